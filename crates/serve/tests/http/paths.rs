//! What can be asked for, and that nothing else can.

use std::os::unix::fs::symlink;

use proptest::prelude::*;
use trefoil_format::checksum::Checksum;
use trefoil_repo::RepoMode;
use trefoil_serve::{Options, RefBase, Resource};

use crate::support::{Lab, filez};

/// Guards the list of what is served, name by name.
#[test]
fn what_exists_is_served() {
    let lab = Lab::new(RepoMode::Archive);
    let stored = lab.store(b"content");
    lab.set_ref("os/main", &stored);
    lab.put("summary", b"s");
    lab.put("summary.sig", b"g");
    lab.put("summary.idx", b"i");
    lab.put("summaries/abc.gz", b"z");
    lab.put("deltas/Ab/c+d_e-F+/superblock", b"d");
    lab.put("delta-indexes/Ab/c.index", b"x");
    lab.put("extensions/vendor/one", b"e");
    lab.put("refs/mirrors/org.example.Os/os/main", b"m");
    std::fs::create_dir_all(lab.path("repo/refs/heads/alias")).expect("writable");
    symlink("../os/main", lab.path("repo/refs/heads/alias/main")).expect("writable");
    let server = lab.serve();
    let mut client = server.connect();
    for (target, content) in [
        ("/config", "[core]\nrepo_version=1\nmode=archive-z2\n"),
        ("/summary", "s"),
        ("/summary.sig", "g"),
        ("/summary.idx", "i"),
        ("/summaries/abc.gz", "z"),
        ("/deltas/Ab/c+d_e-F+/superblock", "d"),
        ("/deltas/Ab/c%2Bd_e-F%2b/superblock", "d"),
        ("/delta-indexes/Ab/c.index", "x"),
        ("/extensions/vendor/one", "e"),
        ("/refs/mirrors/org.example.Os/os/main", "m"),
        ("/refs/heads/os/main", &format!("{stored}\n")),
        ("/refs/heads/alias/main", &format!("{stored}\n")),
        ("http://elsewhere/summary?x=y", "s"),
    ] {
        let answer = client.ask("GET", target, &[]);
        assert_eq!((answer.status, answer.text()), (200, content), "{target}");
    }
    assert_eq!(client.ask("GET", &filez(&stored), &[]).status, 200);
}

/// Guards against every way out of the list, with files in place that would answer it.
#[test]
fn nothing_else_is_served() {
    let lab = Lab::new(RepoMode::Archive);
    let stored = lab.store(b"content");
    let hex = stored.to_hex();
    std::fs::write(lab.path("secret"), "secret").expect("writable");
    for inside in ["tmp/x", "state/x", ".lock", "trefoil/x", "refs/remotes/origin/main", "other"] {
        lab.put(inside, b"secret");
    }
    lab.put("extensions/.hidden", b"secret");
    lab.put("objects/ab/garbage", b"secret");
    lab.put("objects/abc.filez", b"secret");
    let link = |to: &str, at: &str| symlink(to, lab.path("repo").join(at)).expect("writable");
    link("../../secret", "extensions/out");
    link("/", "extensions/root");
    link("../config", "extensions/config");
    link("../../../secret", "refs/heads/out");
    link("/etc/passwd", "refs/heads/passwd");
    link("../remotes/origin/main", "refs/heads/sideways");
    link("../../secret", "deltas");
    std::fs::create_dir_all(lab.path("repo/objects/aa")).expect("writable");
    let linked = format!("objects/aa/{}.filez", "a".repeat(62));
    symlink("../../../secret", lab.path("repo").join(&linked)).expect("writable");
    make_fifo(&lab.path("repo/extensions/pipe"));
    let server = lab.serve_with(Options::default());
    let (folder, rest) = hex.split_at(2);
    let mut targets: Vec<String> = [
        "/",
        "//config",
        "/config/",
        "/./config",
        "/x/../config",
        "/../secret",
        "/%2e%2e/secret",
        "/%2E./secret",
        "/..%2fsecret",
        "/extensions/../../secret",
        "/extensions/%2e%2e/other",
        "/extensions%2fone",
        "/%2fetc/passwd",
        "/config%00",
        "/config%",
        "/config%2",
        "/config%zz",
        "/config%ff",
        "/CONFIG",
        "/tmp/x",
        "/state/x",
        "/.lock",
        "/trefoil/x",
        "/trefoil/follow",
        "/other",
        "/refs",
        "/refs/heads",
        "/refs/heads/",
        "/refs/remotes/origin/main",
        "/refs/mirrors/org.example.Os",
        "/refs/heads/out",
        "/refs/heads/passwd",
        "/refs/heads/sideways",
        "/refs/heads/../remotes/origin/main",
        "/extensions",
        "/extensions/out",
        "/extensions/root/etc/passwd",
        "/extensions/config",
        "/extensions/.hidden",
        "/extensions/pipe",
        "/deltas/x",
        "/objects",
        "/objects/ab",
        "/objects/ab/garbage",
        "/objects/abc.filez",
        "/objects/a/bc.filez",
        "/summaries",
        "/summaries/a/b",
    ]
    .map(str::to_string)
    .to_vec();
    targets.push(format!("/{linked}"));
    targets.push(format!("/objects/{folder}/{rest}.file"));
    targets.push(format!("/objects/{folder}/{rest}.filez.sig"));
    targets.push(format!("/objects/{folder}/{rest}"));
    targets.push(format!("/objects/{folder}/{}.filez", rest.to_uppercase()));
    targets.push(format!("/objects/{}/{}.filez", &hex[..3], &hex[3..]));
    targets.push(format!("/objects//{hex}.filez"));
    targets.push(format!("/objects/{folder}/{rest}.payload-linkz"));
    targets.push(format!("/refs/heads/{}", "a/".repeat(3000)));
    targets.push(format!("/extensions/{}", "a".repeat(256)));
    for target in targets {
        let answer = server.get(&target);
        assert_eq!((answer.status, answer.text()), (404, "Not Found\n"), "{target}");
    }
    let mut client = server.connect();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = client.ask(method, "/config", &[]);
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    // A control character in the target is no HTTP at all.
    for bad in ["/config\0", "/config\x01", "/a b c"] {
        assert_eq!(server.get(bad).status, 400, "{bad:?}");
    }
}

fn make_fifo(path: &std::path::Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("coreutils are there").success());
}

/// Guards the secrets of the administrator: only what clients ask for leaves `config`.
#[test]
fn config_tells_what_clients_need() {
    let lab = Lab::new(RepoMode::BareUser);
    lab.put(
        "config",
        b"[core]\nrepo_version=1\nmode=bare-user\ncollection-id=org.example.Os\n\
          tombstone-commits=true\nparent=\n[remote \"o\"]\nurl=https://me:password@example.com/\n",
    );
    let told = lab.serve().get("/config");
    assert_eq!(
        told.text(),
        "[core]\nrepo_version=1\nmode=archive-z2\ncollection-id=org.example.Os\n\
         tombstone-commits=true\n"
    );
}

/// The path of the file a resource stands for, told independently of the server.
fn file_of(resource: &Resource) -> String {
    match resource {
        Resource::Config => "config".to_string(),
        Resource::Object(name) => {
            let hex = name.checksum.to_hex();
            let z = if name.kind.suffix() == "file" { "z" } else { "" };
            format!("objects/{}/{}.{}{z}", &hex[..2], &hex[2..], name.kind.suffix())
        }
        Resource::Ref(RefBase::Heads, name) => format!("refs/heads/{name}"),
        Resource::Ref(RefBase::Mirrors, name) => format!("refs/mirrors/{name}"),
        Resource::Summary(path) | Resource::File(path) => path.clone(),
        Resource::Follow => "trefoil/follow".to_string(),
        Resource::Report => "trefoil/report".to_string(),
    }
}

fn percent_all(path: &str) -> String {
    let byte = |b: u8| if b == b'/' { "/".to_string() } else { format!("%{b:02x}") };
    path.bytes().map(byte).collect()
}

fn likely_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("objects".to_string()),
        Just("refs".to_string()),
        Just("heads".to_string()),
        Just("mirrors".to_string()),
        Just("deltas".to_string()),
        Just("extensions".to_string()),
        Just("summaries".to_string()),
        Just("summary".to_string()),
        Just("config".to_string()),
        Just("..".to_string()),
        Just(".".to_string()),
        Just(String::new()),
        Just("%2e%2e".to_string()),
        Just("%2f".to_string()),
        Just("%00".to_string()),
        Just("trefoil".to_string()),
        Just("tmp".to_string()),
        Just("follow".to_string()),
        "[0-9a-f]{2}",
        "[0-9a-f]{62}\\.(filez|file|dirtree|commit|commitmeta)",
        "\\PC{0,6}",
        "%[0-9a-fA-F]{2}",
        "[a-z%./]{0,8}",
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| format!("/{}", pieces.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Guards the filter: whatever passes names a file that a client may read, by clean
    /// components, and its plain name and its fully encoded name mean the same.
    #[test]
    fn what_passes_is_clean(path in likely_path()) {
        if let Some(resource) = Resource::parse(&path) {
            let file = file_of(&resource);
            let first = file.split('/').next().unwrap_or_default();
            let allowed = ["config", "summary", "summary.sig", "summary.idx", "summary.idx.sig",
                "summaries", "objects", "refs", "deltas", "delta-indexes", "extensions"];
            prop_assert!(allowed.contains(&first) || file == "trefoil/follow", "{}", file);
            for part in file.split('/') {
                prop_assert!(!part.is_empty() && !part.starts_with('.'), "{}", file);
                prop_assert!(!part.chars().any(char::is_control) && part.len() < 256);
            }
            prop_assert!(!file.starts_with("refs/") || file.starts_with("refs/heads/")
                || file.starts_with("refs/mirrors/"));
            let encoded = percent_all(&format!("/{file}"));
            prop_assert_eq!(Resource::parse(&encoded), Some(resource));
        }
    }

    /// Guards against a panic on any bytes a target may have.
    #[test]
    fn anything_is_judged(path in "\\PC*") {
        let _ = Resource::parse(&path);
        let _ = Resource::parse(&format!("/{path}"));
    }

    /// Guards the other direction: every object has a way in.
    #[test]
    fn objects_pass(bytes in any::<[u8; 32]>()) {
        let hex = Checksum::of(&bytes).to_hex();
        for suffix in ["filez", "dirtree", "dirmeta", "commit", "commitmeta", "tombstone-commit"] {
            let path = format!("objects/{}/{}.{suffix}", &hex[..2], &hex[2..]);
            let parsed = Resource::parse(&format!("/{path}"));
            prop_assert_eq!(parsed.as_ref().map(file_of), Some(path));
        }
    }
}
