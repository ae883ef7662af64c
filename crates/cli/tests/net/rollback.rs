//! A server that shows an old version of itself, with signatures that are good.

use std::fs;

use crate::ground::Ground;
use crate::web::{Reply, Web};

// RFC 8032, 7.1, test 2.
const SECRET: &str =
    "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs9QBfD6EOJWpK3CqdNG368nJgszy7ElozAzVXxKvRmDA==";
const PUBLIC: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

/// A commit of this time, and a summary that was made then, both signed.
fn publish(ground: &Ground, time: u64) -> String {
    ground.write("version", &time.to_string());
    let words = format!(
        "commit --repo=srv/repo -b main --tree=dir=tree --no-xattrs --timestamp=@{time} \
         --sign={SECRET}"
    );
    let commit = ground.must(&words).out.trim().to_string();
    ground.must(&format!("summary --repo=srv/repo -u --sign={SECRET}"));
    commit
}

/// Keeps the files of the summary under another name, or brings them back.
fn copy(ground: &Ground, from: &str, to: &str) {
    for end in ["", ".sig"] {
        let path = |name: &str| ground.path(&format!("srv/repo/{name}{end}"));
        fs::copy(path(from), path(to)).expect("ours");
    }
}

fn signed_remote(ground: &Ground, url: &str, summary: bool) {
    let key = format!("verification-ed25519-key={PUBLIC}");
    let _ = fs::remove_dir_all(ground.path("ours"));
    ground.must("init --repo=ours --mode=bare-user");
    ground.must("config --repo=ours set core.fsync false");
    let summary = if summary { "--set=sign-verify-summary=ed25519 " } else { "" };
    let words = format!(
        "remote add --repo=ours --set=gpg-verify=false --set=sign-verify=ed25519 \
         {summary}--set={key} origin {url}"
    );
    ground.must(&words);
}

/// A summary that has to be signed is not taken once a newer one was seen; the newer one is kept
/// and taken again. libostree takes the old one.
#[test]
fn a_signed_summary_does_not_go_back() {
    let ground = Ground::new();
    let server = Web::start(&ground.path("srv"));
    publish(&ground, 1_000_000_000);
    copy(&ground, "summary", "old");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let new = publish(&ground, 1_100_000_000);
    copy(&ground, "summary", "new");
    signed_remote(&ground, &server.url("repo"), true);
    // Who never saw the new one cannot know that the old one is old.
    copy(&ground, "old", "summary");
    assert!(ground.pull().ok);
    copy(&ground, "new", "summary");
    ground.pulls();
    copy(&ground, "old", "summary");
    let said = ground.pull();
    assert!(!said.ok && said.err.contains("it is out of date, or was rolled back"), "{said:?}");
    assert!(said.err.contains("hint: if the remote was set back on purpose"), "{said:?}");
    let refs = ground.trefoil("remote refs --repo=ours origin");
    assert!(!refs.ok && refs.err.contains("rolled back"), "{refs:?}");
    assert_eq!(ground.must("rev-parse --repo=ours origin:main").out.trim(), new);
    copy(&ground, "new", "summary");
    ground.pulls();
    // The owner says that it is meant.
    copy(&ground, "old", "summary");
    for end in ["", ".sig"] {
        let kept = format!("ours/tmp/cache/summaries/origin{end}");
        fs::remove_file(ground.path(&kept)).expect("it is kept");
    }
    assert!(ground.pull().ok);
}

/// Without signatures of the summary nothing says what is newer, as in libostree; what guards
/// then is the time of the commit, for those who ask (`-T`).
#[test]
fn an_old_commit_is_refused_where_asked() {
    let ground = Ground::new();
    let server = Web::start(&ground.path("srv"));
    publish(&ground, 1_000_000_000);
    copy(&ground, "summary", "old");
    let new = publish(&ground, 1_100_000_000);
    ground.remote(&server.url("repo"), &[]);
    ground.pulls();
    copy(&ground, "old", "summary");
    for words in ["pull -T", &format!("pull --timestamp-check-from-rev={new}")] {
        let said = ground.trefoil(&format!("{words} --repo=ours origin main"));
        assert!(!said.ok && said.err.contains("chronologically older"), "{said:?}");
        assert_eq!(ground.must("rev-parse --repo=ours origin:main").out.trim(), new);
    }
    assert!(ground.pull().ok, "as libostree");
}

/// A commit, or signatures, of another commit in place of those that were asked for.
#[test]
fn another_commit_does_not_stand_in() {
    let ground = Ground::new();
    let server = Web::start(&ground.path("srv"));
    let one = publish(&ground, 1_000_000_000);
    let two = publish(&ground, 1_100_000_000);
    signed_remote(&ground, &server.url("repo"), false);
    let path =
        |commit: &str, kind: &str| format!("repo/objects/{}/{}.{kind}", &commit[..2], &commit[2..]);
    let read = |path: &str| fs::read(ground.path("srv").join(path)).expect("it is there");
    let (one_meta, one_commit) = (read(&path(&one, "commitmeta")), read(&path(&one, "commit")));
    let (meta_path, commit_path) = (path(&two, "commitmeta"), path(&two, "commit"));
    let (real_meta, real_commit) = (read(&meta_path), read(&commit_path));
    let put =
        |path: &str, bytes: &[u8]| fs::write(ground.path("srv").join(path), bytes).expect("ours");
    put(&meta_path, &one_meta);
    ground.refused("Can't verify");
    put(&meta_path, &real_meta);
    put(&commit_path, &one_commit);
    ground.refused("o");
    put(&commit_path, &real_commit);
    server.answer(|seen| match seen.path.ends_with(".commitmeta") {
        true => Reply::Status(404),
        false => Reply::File,
    });
    ground.refused("without detached metadata");
    server.answer(|_| Reply::File);
    ground.pulls();
}
