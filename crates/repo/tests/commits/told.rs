//! Commits that are told what changed, beside full ones over the same trees.

use std::fs;
use std::os::unix::fs::symlink;

use trefoil_format::gvariant::Metadata;
use trefoil_fsat::{Counters, Fs};
use trefoil_repo::commit::{
    CommitModifier, CommitRequest, ImportStats, SkipList, StatOverrides, delete_paths,
    import_changes, import_dir, write_commit,
};
use trefoil_repo::{MutableTree, Repo, RepoError, RepoMode, Result, TreeId};

use crate::bench::{Bench, TIME, have_ostree, modes};
use crate::sample::{mkdir, sample, write};

pub struct Done {
    pub tree: TreeId,
    pub imported: ImportStats,
    pub counters: Counters,
}

/// Commits what was told over the tip of `main`, and moves it.
pub fn told(bench: &Bench, changes: &[String], modifier: &CommitModifier) -> Result<Done> {
    let account = Fs::new();
    let repo = Repo::open(account.open_dir(bench.path("ours"))?)?;
    let before = account.counters();
    let parent = repo.resolve_rev("main")?;
    let mut tree = MutableTree::from_tree(TreeId::of_commit(&repo.load_commit(&parent)?));
    let transaction = repo.begin()?;
    let dir = account.open_dir(bench.path("tree"))?;
    let imported = import_changes(&transaction, &dir, &mut tree, changes, modifier)?;
    let tree = tree.write(&transaction)?;
    let request = CommitRequest {
        tree,
        parent: Some(parent),
        subject: "told".into(),
        body: String::new(),
        metadata: Metadata::default(),
        detached: None,
        timestamp: TIME,
    };
    let checksum = write_commit(&transaction, request)?;
    transaction.set_ref("main".parse().unwrap(), Some(checksum));
    transaction.commit()?;
    Ok(Done { tree, imported, counters: account.counters().since(&before) })
}

/// The tree of a full import, of which nothing stays in the repository.
pub fn full(bench: &Bench, modifier: &CommitModifier) -> TreeId {
    let repo = bench.ours();
    let transaction = repo.begin().unwrap();
    let dir = Fs::new().open_dir(bench.path("tree")).unwrap();
    let mut tree = MutableTree::new();
    import_dir(&transaction, &dir, &mut tree, modifier).unwrap();
    tree.write(&transaction).unwrap()
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|p| p.to_string()).collect()
}

#[track_caller]
fn same(bench: &Bench, paths: &[&str], modifier: &dyn Fn() -> CommitModifier) -> Done {
    let expected = full(bench, &modifier());
    let done = told(bench, &owned(paths), &modifier()).unwrap();
    assert_eq!(done.tree, expected, "{paths:?}");
    done
}

/// Guards that the tree follows the disk where directories above a told path are none any more.
#[test]
fn told_paths_follow_what_became_of_their_directories() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let tree = bench.path("tree");
    for name in ["file/a/b", "link/a/b", "gone/a/b", "same"] {
        mkdir(&tree, name, 0o755);
        write(&tree, &format!("{name}/c"), b"c", 0o644);
    }
    write(&tree, "dir", b"was a file", 0o644);
    let plain = &CommitModifier::default;
    bench.commit(&["tree"], &plain()).unwrap();
    for name in ["file/a", "link/a", "gone/a"] {
        fs::remove_dir_all(tree.join(name)).unwrap();
    }
    write(&tree, "file/a", b"file", 0o644);
    symlink("../same", tree.join("link/a")).unwrap();
    fs::remove_file(tree.join("dir")).unwrap();
    mkdir(&tree, "dir/x/y", 0o711);
    write(&tree, "dir/x/y/z", b"z", 0o644);
    same(&bench, &["file/a/b/c", "/link/a/b/c", "./gone/a/b/c", "dir/x/y/z"], plain);
    same(&bench, &["nosuch", "same/nosuch/deep"], plain);
    mkdir(&tree, "same", 0o700);
    same(&bench, &["same/nosuch"], plain);
    let once = same(&bench, &["same/", "same/c", "same", "./same", "/same/c"], plain);
    assert_eq!((once.imported.dirs, once.imported.files), (2, 1), "told twice, done once");
    fs::remove_dir_all(tree.join("file")).unwrap();
    same(&bench, &["/"], plain);
    write(&tree, "new", b"n", 0o644);
    same(&bench, &[".", "new"], plain);
    let nothing = told(&bench, &[], &plain()).unwrap();
    assert_eq!(nothing.imported, ImportStats::default());
}

/// Guards that lists by path have the effect they have on a full import.
#[test]
fn told_paths_meet_the_same_lists() {
    if !have_ostree() {
        return;
    }
    for mode in modes() {
        let bench = Bench::new(mode);
        let tree = bench.path("tree");
        sample(&tree);
        let lists = &|| CommitModifier {
            stat_overrides: StatOverrides::parse(
                "+2048 /empty\n=384 /open\n+1024 /usr\n=448 /usr/empty\n64 /a/same\n+512 /\n",
            )
            .unwrap(),
            skip_list: SkipList::parse("/usr/bin\n/dangling\n/a/left-out\n"),
            owner_uid: Some(7),
            ..Default::default()
        };
        bench.commit(&["tree"], &lists()).unwrap();
        write(&tree, "empty", b"no more", 0o600);
        write(&tree, "open", b"O", 0o644);
        write(&tree, "usr/bin/tool", b"tool", 0o755);
        write(&tree, "a/same", b"other", 0o700);
        write(&tree, "a/left-out", b"out", 0o700);
        mkdir(&tree, "usr/empty", 0o711);
        let paths = ["empty", "open", "usr/bin/tool", "usr/bin/su", "a/same", "a/left-out"];
        same(&bench, &[&paths[..], &["usr/empty", "dangling"]].concat(), lists);
        same(&bench, &["usr"], lists);
    }
}

/// Guards that a path that could mean anything else is refused by name, and nothing changes.
#[test]
fn told_paths_are_checked() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::Archive);
    mkdir(&bench.path("tree"), "", 0o755);
    bench.commit(&["tree"], &CommitModifier::default()).unwrap();
    let deep = "d/".repeat(300) + "f";
    for bad in ["", "a//b", "a//", "../a", "a/../b", "a/./b", "//a", "a\0b", &deep] {
        let error = told(&bench, &owned(&["ok", bad]), &CommitModifier::default()).err().unwrap();
        let named = format!("Invalid path '{}'", bad.escape_debug());
        assert!(error.to_string().starts_with(&named), "{bad:?}: {error}");
    }
    std::os::unix::net::UnixListener::bind(bench.path("tree/socket")).unwrap();
    let error = told(&bench, &owned(&["socket"]), &CommitModifier::default()).err().unwrap();
    assert_eq!(error.to_string(), "Not a regular file or symlink: /socket is a socket");
    for modifier in [
        CommitModifier { consume: true, ..Default::default() },
        CommitModifier { whiteouts: true, ..Default::default() },
    ] {
        assert!(told(&bench, &owned(&["a"]), &modifier).is_err());
    }
}

const CHAIN: &str = "b/c/d/e/f/g";

/// Guards the cost: it is that of the changes, whatever else there is, and small.
#[test]
fn told_changes_cost_what_changed() {
    if !have_ostree() {
        return;
    }
    let cost = |dirs: usize| {
        let bench = Bench::new(RepoMode::BareUser);
        let tree = bench.path("tree");
        // A small repository does not have all directories of objects yet.
        for prefix in 0..=255 {
            fs::create_dir(bench.path(&format!("ours/objects/{prefix:02x}"))).unwrap();
        }
        mkdir(&tree, &format!("a/{CHAIN}"), 0o755);
        for i in 0..dirs {
            mkdir(&tree, &format!("wide/{i}"), 0o755);
            for j in 0..50 {
                fs::write(tree.join(format!("wide/{i}/{j}")), format!("{j}")).unwrap();
            }
        }
        let paths: Vec<String> = (0..10).map(|i| format!("a/{CHAIN}/{i}")).collect();
        for path in &paths {
            write(&tree, path, b"old", 0o644);
        }
        bench.commit(&["tree"], &CommitModifier::default()).unwrap();
        for path in &paths {
            write(&tree, path, format!("new {path}").as_bytes(), 0o644);
        }
        let done = told(&bench, &paths, &CommitModifier::default()).unwrap();
        assert_eq!((done.imported.dirs, done.imported.files), (8, 10));
        Counters { bytes_read: 0, bytes_written: 0, ..done.counters }
    };
    let (few, many) = (cost(20), cost(200));
    assert_eq!(few.nonzero(), many.nonzero());
    assert!(few.total() < 1000, "{:?}", few.nonzero());
}

/// Guards the worst case: ten changes that share no directory but the root.
#[test]
fn told_changes_far_apart_stay_cheap() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let tree = bench.path("tree");
    let paths: Vec<String> = (0..10).map(|i| format!("a{i}/{CHAIN}/file")).collect();
    for (i, path) in paths.iter().enumerate() {
        mkdir(&tree, &format!("a{i}/{CHAIN}"), 0o755);
        write(&tree, path, format!("old {i}").as_bytes(), 0o644);
    }
    bench.commit(&["tree"], &CommitModifier::default()).unwrap();
    for path in &paths {
        write(&tree, path, path.as_bytes(), 0o644);
    }
    let done = told(&bench, &paths, &CommitModifier::default()).unwrap();
    let counters = done.counters;
    assert!(counters.total() < 1500, "{} {:?}", counters.total(), counters.nonzero());
}

/// Guards that whiteouts hide what trees before had, not what their own has, and are not
/// committed.
#[test]
fn whiteouts_hide_earlier_trees() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let (tree, layer, result) = (bench.path("low"), bench.path("layer"), bench.path("tree"));
    for (root, names) in [
        (&tree, &["d/gone", "d/kept", "d/sub/x", "opaque/old", "swap"][..]),
        (
            &layer,
            &[
                "d/.wh.gone",
                "d/.wh.sub",
                "d/sub/y",
                ".wh.nosuch",
                "opaque/.wh..wh..opq",
                "opaque/new",
                ".wh.swap",
                "swap/dir",
            ],
        ),
        (&result, &["d/kept", "d/sub/y", "opaque/new", "swap/dir"]),
    ] {
        for name in names {
            mkdir(root, std::path::Path::new(name).parent().unwrap().to_str().unwrap(), 0o755);
            write(root, name, b"", 0o644);
        }
    }
    symlink("nowhere", layer.join("d/.wh.kept")).unwrap();
    symlink("nowhere", result.join("d/.wh.kept")).unwrap();
    bench.commit(&["low"], &CommitModifier::default()).unwrap();
    let modifier = || CommitModifier { whiteouts: true, ..Default::default() };
    let expected = full(&bench, &CommitModifier::default());
    assert_eq!(bench.commit(&["low", "layer"], &modifier()).unwrap().tree, expected);
    let error = |name: &str| {
        write(&layer, name, b"", 0o644);
        let error = bench.commit(&["low", "layer"], &modifier()).unwrap_err().to_string();
        fs::remove_file(layer.join(name)).unwrap();
        error
    };
    assert_eq!(error("d/.wh."), "Invalid whiteout '/d/.wh.': it names nothing to hide");
    assert_eq!(error("d/.wh..."), "Invalid whiteout '/d/.wh...': it names nothing to hide");
    let consume = CommitModifier { consume: true, ..modifier() };
    assert_eq!(bench.commit(&["low", "layer"], &consume).unwrap().tree, expected);
    assert_eq!(fs::read_dir(layer).unwrap().count(), 0);
}

/// Guards that listed paths are removed in any order, and that a missing one is an error that
/// leaves everything in place.
#[test]
fn listed_paths_are_deleted() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::Archive);
    let tree = bench.path("tree");
    sample(&tree);
    let first = bench.commit(&["tree"], &CommitModifier::default()).unwrap().tree;
    let repo = bench.ours();
    let delete = |paths: &[&str]| -> Result<TreeId> {
        let transaction = repo.begin()?;
        let mut tree = MutableTree::from_tree(first);
        let result = delete_paths(&repo, &mut tree, paths);
        let written = tree.write(&transaction)?;
        result.inspect_err(|_| assert_eq!(written, first)).map(|()| written)
    };
    let done = delete(&["usr", "/usr/bin/tool", "./empty", "usr"]).unwrap();
    fs::remove_dir_all(tree.join("usr")).unwrap();
    fs::remove_file(tree.join("empty")).unwrap();
    assert_eq!(done, full(&bench, &CommitModifier::default()));
    for missing in ["nosuch", "usr/nosuch/x", "empty/x"] {
        let error = delete(&["usr", missing]).unwrap_err();
        assert!(matches!(&error, RepoError::PathNotFound { path } if path == missing), "{error}");
    }
    assert!(delete(&["/"]).unwrap_err().to_string().starts_with("Invalid path '/'"));
}
