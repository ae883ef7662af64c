use std::time::{Duration, Instant};

use crate::ground::{Ground, chain, main_ref};
use crate::server::{Reply, Request};

/// Pulls from a server that answers as `lie` says: it has to fail with `words`, change nothing
/// outside of `tmp` but the marks of partial commits, and succeed once the server is honest.
fn refused(
    ground: &Ground,
    name: &str,
    words: &str,
    lie: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) {
    let started = Instant::now();
    ground.init(name, "bare-user");
    let before = ground.outside_tmp(name);
    ground.server.lie(lie);
    let error = ground.pull(name, &main_ref()).expect_err(name);
    let text = chain(&error);
    assert!(text.contains(words), "{name}: {text}");
    let mut after = ground.outside_tmp(name);
    after.retain(|path, _| !path.starts_with("state"));
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{name}");
    assert_eq!(after, before, "{name}");
    assert!(started.elapsed() < Duration::from_secs(20), "{name} took {:?}", started.elapsed());
    ground.server.honest();
    ground.pull(name, &main_ref()).expect(name);
    ground.fsck(name);
}

fn is(request: &Request, suffix: &str) -> bool {
    request.path.ends_with(suffix)
}

fn when(
    suffix: &'static str,
    reply: impl Fn() -> Reply + Send + Sync,
) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| if is(request, suffix) { reply() } else { Reply::Honest }
}

fn ground() -> Option<Ground> {
    let ground = Ground::new()?;
    ground.tree(4);
    ground.commit();
    Some(ground)
}

/// Objects that are not what they are asked for as.
#[test]
fn wrong_objects() {
    let Some(ground) = ground() else { return };
    let of = |suffix: &str| {
        let path =
            ground.objects("srv/repo").into_iter().find(|p| p.to_string_lossy().ends_with(suffix));
        std::fs::read(ground.path("srv/repo").join(path.expect(suffix))).expect("object")
    };
    let (tree, meta, commit) = (of(".dirtree"), of(".dirmeta"), of(".commit"));
    for suffix in [".commit", ".dirtree", ".dirmeta"] {
        for (what, bytes) in [("tree", &tree), ("meta", &meta), ("commit", &commit)] {
            if suffix == format!(".dir{what}") || suffix == format!(".{what}") {
                continue;
            }
            let name = format!("{what}-as{suffix}");
            let bytes = bytes.clone();
            let kind = suffix.trim_start_matches('.');
            let words = match kind {
                // The summary tells how large a commit is.
                "commit" => "o",
                _ => "Corrupted",
            };
            refused(&ground, &name, words, when(suffix, move || Reply::Content(bytes.clone())));
        }
    }
    let files: Vec<_> = ground
        .objects("srv/repo")
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "filez"))
        .collect();
    let other = std::fs::read(ground.path("srv/repo").join(&files[0])).expect("object");
    refused(
        &ground,
        "other-file",
        "Corrupted file object; checksum expected=",
        when(".filez", move || Reply::Content(other.clone())),
    );
    refused(&ground, "empty-file", "read", when(".filez", || Reply::Content(Vec::new())));
    refused(&ground, "garbage", "Corrupted", when(".filez", || Reply::Content(vec![0xff; 100])));
    let header = vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    refused(
        &ground,
        "huge-header",
        "Corrupted",
        when(".filez", move || Reply::Content(header.clone())),
    );
}

/// Answers that end too early or never, that are too large or too slow.
#[test]
fn wrong_lengths() {
    let Some(ground) = ground() else { return };
    refused(
        &ground,
        "cut-commit",
        "partial file",
        when(".commit", || Reply::Cut { claimed: 100, sent: vec![1; 50] }),
    );
    refused(
        &ground,
        "cut-file",
        "partial file",
        when(".filez", || Reply::Cut { claimed: 5000, sent: vec![0; 5] }),
    );
    refused(
        &ground,
        "large-commit",
        "exceeded maximum",
        when(".commit", || Reply::Content(vec![0; 100_000])),
    );
    refused(&ground, "endless-tree", "exceeded maximum", when(".dirtree", || Reply::Endless));
    refused(&ground, "endless-file", "Corrupted", when(".filez", || Reply::Endless));
    refused(&ground, "endless-summary", "exceeded maximum", when("/summary", || Reply::Endless));
    refused(
        &ground,
        "slow",
        "too slow",
        when(".dirtree", || Reply::Trickle(Duration::from_millis(100))),
    );
    refused(&ground, "endless-head", "head", when(".dirtree", || Reply::EndlessHead));
    refused(&ground, "silent", "connection closed", when(".dirtree", || Reply::Nothing));
}

/// Redirects in a circle, and away from HTTP.
#[test]
fn wrong_ways() {
    let Some(ground) = ground() else { return };
    refused(&ground, "circle", "redirects", |request| match is(request, ".dirtree") {
        true => Reply::Redirect(format!("/{}", request.path)),
        false => Reply::Honest,
    });
    let away = |to: &str| {
        let to = to.to_string();
        when(".commit", move || Reply::Redirect(to.clone()))
    };
    refused(&ground, "to-a-file", "scheme 'file'", away("file:///etc/passwd"));
    refused(&ground, "to-ftp", "scheme 'ftp'", away("ftp://127.0.0.1/x"));
    refused(&ground, "nowhere", "redirected to", away("http://"));
}

/// Statuses that are no answer are told; those that may pass are tried again.
#[test]
fn wrong_statuses() {
    let Some(ground) = ground() else { return };
    for status in [400, 401, 404, 418, 500, 503] {
        let name = format!("status{status}");
        let words = format!("HTTP {status}");
        refused(&ground, &name, &words, when(".dirtree", move || Reply::Status(status)));
    }
    ground.init("again", "bare-user");
    ground.server.lie(|request| match request.nth == 0 && request.path.contains("objects") {
        true => Reply::Status(503),
        false => Reply::Honest,
    });
    // What was asked for before is not asked for the first time.
    ground.tree(5);
    ground.commit();
    ground.pull("again", &main_ref()).expect("the second time it works");
    ground.fsck("again");
}

/// Directories that name what lies outside of them, and summaries that are none.
#[test]
fn wrong_names() {
    use trefoil_format::checksum::Checksum;
    let Some(ground) = ground() else { return };
    // A directory object whose entry is called `..`: the name is forged into a real one.
    let commit = ground.ostree("srv/repo", &["rev-parse", "main"]);
    for (n, evil) in ["../x", "a/b", "..", "."].into_iter().enumerate() {
        let name = format!("evil{n}");
        let mut file = evil.as_bytes().to_vec();
        file.push(0);
        let entry_end = file.len() + 32;
        let mut tree = file;
        tree.extend([7; 32]);
        // Offsets: of the name in the entry, of the entry in the list, of the list in the tuple.
        tree.push(u8::try_from(tree.len() - 32).expect("short"));
        let entry = tree.len();
        tree.push(u8::try_from(entry).expect("short"));
        let list = tree.len();
        tree.push(u8::try_from(list).expect("short"));
        let sum = Checksum::of(&tree);
        let bytes = std::fs::read(
            ground
                .path("srv/repo/objects")
                .join(&commit[..2])
                .join(format!("{}.commit", &commit[2..])),
        )
        .expect("commit");
        let root = trefoil_format::commit::Commit::parse(&bytes).expect("commit");
        let forged = trefoil_format::commit::Commit { root_tree: sum, parent: None, ..root };
        let forged_bytes = forged.to_bytes();
        let forged_sum = forged.checksum().to_hex();
        let _ = entry_end;
        refused(&ground, &name, "dirtree", move |request| {
            if is(request, "/summary") || is(request, "summary.sig") {
                return Reply::Status(404);
            }
            if is(request, "refs/heads/main") {
                return Reply::Content(format!("{forged_sum}\n").into_bytes());
            }
            if request.path.contains(&forged_sum[2..]) && is(request, ".commit") {
                return Reply::Content(forged_bytes.clone());
            }
            if request.path.contains(&sum.to_hex()[2..]) {
                return Reply::Content(tree.clone());
            }
            Reply::Honest
        });
    }
    refused(
        &ground,
        "no-summary",
        "summary",
        when("/summary", || Reply::Content(b"lots of html".to_vec())),
    );
    refused(&ground, "html", "Invalid rev lots of html", |request| match request.path.as_str() {
        "repo/summary" | "repo/summary.sig" => Reply::Status(404),
        "repo/refs/heads/main" => Reply::Content(b"lots of html\n".repeat(20)),
        _ => Reply::Honest,
    });
}

/// A file that unpacks to more than its header says, or says it has more than there is room for:
/// refused with little memory and little written.
#[test]
fn packed_bombs() {
    let Some(ground) = ground() else { return };
    // A served object with the size in its header changed: it unpacks to other than that.
    let path = ground
        .objects("srv/repo")
        .into_iter()
        .find(|p| p.extension().is_some_and(|e| e == "filez"));
    let honest =
        std::fs::read(ground.path("srv/repo").join(path.expect("a file"))).expect("object");
    let with_size = move |size: u64| {
        let mut bytes = honest.clone();
        bytes[8..16].copy_from_slice(&size.to_be_bytes());
        bytes
    };
    let (short, long) = (with_size(0), with_size(u64::MAX));
    let modest = with_size(1 << 20);
    refused(
        &ground,
        "more-than-said",
        "longer than the header",
        when(".filez", move || Reply::Content(short.clone())),
    );
    refused(
        &ground,
        "less-than-said",
        "shorter than the header",
        when(".filez", move || Reply::Content(modest.clone())),
    );
    refused(
        &ground,
        "no-room",
        "does not fit",
        when(".filez", move || Reply::Content(long.clone())),
    );
    // Blocks of nothing, for ever: content never comes.
    let path = ground
        .objects("srv/repo")
        .into_iter()
        .find(|p| p.extension().is_some_and(|e| e == "filez"));
    let honest =
        std::fs::read(ground.path("srv/repo").join(path.expect("a file"))).expect("object");
    let header = 8 + u32::from_be_bytes(honest[..4].try_into().expect("four bytes")) as usize;
    let head = honest[..header].to_vec();
    let nothing = vec![0, 0, 0, 0xff, 0xff];
    let lie = move || Reply::EndlessOf(head.clone(), nothing.clone());
    refused(&ground, "blocks-of-nothing", "far longer than its header says", when(".filez", lie));
}
