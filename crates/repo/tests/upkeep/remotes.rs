use trefoil_repo::remote::{
    IfExists, NewRemote, add_remote, delete_remote, find_remote, list_remotes, open_url,
    remote_refs,
};
use trefoil_repo::reset::reset;
use trefoil_repo::summary::{Summary, update_summary};

use crate::support::{Ground, chain, read};

fn new_remote(url: &str) -> NewRemote {
    NewRemote { url: Some(url.to_string()), ..NewRemote::default() }
}

/// The config is what ostree writes, byte for byte, and ostree lists what we added.
#[test]
fn config_is_as_ostree_writes_it() {
    let Some(ground) = Ground::new() else { return };
    ground.init("theirs", "archive");
    ground.init("ours", "archive");
    let mut repo = ground.open("ours");
    let one = NewRemote {
        branches: vec!["a".to_string(), "b".to_string()],
        options: vec![("gpg-verify".to_string(), "false".to_string())],
        ..new_remote("http://example.com/repo")
    };
    add_remote(&mut repo, None, "one", &one, IfExists::Refuse).expect("add");
    ground.ostree(
        "theirs",
        &["remote", "add", "--no-gpg-verify", "one", "http://example.com/repo", "a", "b"],
    );
    add_remote(&mut repo, None, "two", &new_remote("file:///x"), IfExists::Refuse).expect("add");
    ground.ostree("theirs", &["remote", "add", "two", "file:///x"]);
    assert_eq!(read(ground.path("ours/config")), read(ground.path("theirs/config")));
    assert_eq!(
        ground.ostree("ours", &["remote", "list", "-u"]),
        "one  http://example.com/repo\ntwo  file:///x"
    );
    let error = add_remote(&mut repo, None, "two", &new_remote("x"), IfExists::Refuse);
    let said = ground.try_ostree("theirs", &["remote", "add", "two", "x"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(format!("error: {}\n", chain(&error.expect_err("exists"))), said);
    assert!(!add_remote(&mut repo, None, "two", &new_remote("x"), IfExists::Keep).expect("kept"));
    add_remote(&mut repo, None, "two", &new_remote("file:///y"), IfExists::Replace).expect("new");
    assert_eq!(find_remote(&repo, None, "two").expect("two").url().expect("url"), "file:///y");
    assert!(delete_remote(&mut repo, None, "one", false).expect("delete"));
    assert!(!delete_remote(&mut repo, None, "one", true).expect("missing"));
    let error = delete_remote(&mut repo, None, "one", false).expect_err("missing");
    assert_eq!(chain(&error), "Remote \"one\" not found");
    assert_eq!(ground.ostree("ours", &["remote", "list"]), "two");
}

/// Remotes in a directory of files are found, added and removed there; those of a parent
/// repository are found.
#[test]
fn files_and_parents() {
    let Some(ground) = Ground::new() else { return };
    ground.init("parent", "archive");
    ground.init("repo", "archive");
    ground.ostree("parent", &["remote", "add", "above", "http://above"]);
    let parent = ground.path("parent").display().to_string();
    ground.ostree("repo", &["config", "set", "core.parent", &parent]);
    ground.write("remotes.d/there.conf", "[remote \"there\"]\nurl=http://there\n");
    let mut repo = ground.open("repo");
    let dir = repo.fs().open_dir(ground.path("remotes.d")).expect("directory");
    add_remote(&mut repo, Some(&dir), "new", &new_remote("http://new"), IfExists::Refuse)
        .expect("add");
    assert_eq!(read(ground.path("remotes.d/new.conf")), "[remote \"new\"]\nurl=http://new\n");
    let names: Vec<_> = list_remotes(&repo, Some(&dir)).expect("list").into_keys().collect();
    assert_eq!(names, ["above", "new", "there"]);
    delete_remote(&mut repo, Some(&dir), "there", false).expect("delete");
    assert!(!ground.path("remotes.d/there.conf").exists());
    delete_remote(&mut repo, Some(&dir), "above", false).expect_err("the parent's");
}

/// A summary of ours is read by ostree as its own; refs of a remote come from it.
#[test]
fn summary_is_read_by_ostree() {
    let Some(ground) = Ground::new() else { return };
    ground.init("ours", "archive");
    ground.history("ours", 2);
    ground.copy("ours", "theirs");
    ground.ostree("theirs", &["summary", "-u"]);
    let repo = ground.open("ours");
    update_summary(&repo, 1_700_000_000, &Default::default(), None).expect("update");
    let bytes = std::fs::read(ground.path("ours/summary")).expect("summary");
    let theirs = std::fs::read(ground.path("theirs/summary")).expect("summary");
    let theirs = Summary::parse(&theirs).expect("theirs parses");
    assert_eq!(Summary::parse(&bytes).expect("ours parses").refs, theirs.refs);
    let shown = |repo: &str| {
        let text = ground.ostree(repo, &["summary", "-v"]);
        let mut lines: Vec<_> = text
            .lines()
            .filter(|l| !l.starts_with("Last-Modified") && !l.starts_with("ostree.summary.indexed"))
            .map(str::to_string)
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(shown("ours"), shown("theirs"));
    let url = format!("file://{}", ground.path("ours").display());
    let mut other = ground.open("theirs");
    add_remote(&mut other, None, "o", &new_remote(&url), IfExists::Refuse).expect("add");
    let remote = find_remote(&other, None, "o").expect("o");
    let refs = remote_refs(other.fs(), &remote).expect("refs");
    assert_eq!(refs.into_keys().collect::<Vec<_>>(), ["dev", "main"]);
    assert_eq!(open_url(other.fs(), &url).expect("opens").path(), ground.path("ours"));
    open_url(other.fs(), "http://example.com").expect_err("no network");
}

/// `reset` moves an existing ref and refuses others.
#[test]
fn reset_moves_existing_refs() {
    let Some(ground) = Ground::new() else { return };
    ground.init("repo", "archive");
    ground.history("repo", 2);
    let repo = ground.open("repo");
    let parent = ground.ostree("repo", &["rev-parse", "main^"]);
    assert_eq!(reset(&repo, "main", "main^").expect("reset").to_hex(), parent);
    assert_eq!(ground.ostree("repo", &["rev-parse", "main"]), parent);
    assert_eq!(chain(&reset(&repo, "nosuch", "dev").expect_err("none")), "Invalid ref 'nosuch'");
}
