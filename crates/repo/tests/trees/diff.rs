//! Diff beside `ostree diff`, and the primitive beside a comparison of full listings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use trefoil_format::checksum::Checksum;
use trefoil_repo::diff::{
    ChangeKind, DiffSide, DiffStats, DirsDiff, DirsDiffOptions, TreeChange, diff_dirs,
    diff_objects, diff_trees,
};
use trefoil_repo::{Repo, TreeId};

use crate::random::{make, tree};
use crate::support::{Bench, file, modes};

const NAMES: &[&str] = &["a", "b", "c", "d", "e"];

fn lines(diff: &DirsDiff) -> Vec<String> {
    let line = |letter: char, path: &Path| format!("{letter}    {}", path.display());
    let mut out: Vec<String> = diff.modified.iter().map(|p| line('M', p)).collect();
    out.extend(diff.removed.iter().map(|p| line('D', p)));
    out.extend(diff.added.iter().map(|p| line('A', p)));
    out.sort();
    out
}

#[track_caller]
fn compare(bench: &Bench, args: &[&str], old: DiffSide<'_>, new: DiffSide<'_>) {
    let mut options = DirsDiffOptions::default();
    for arg in args {
        match *arg {
            "--no-xattrs" => options.no_xattrs = true,
            "--owner-uid=7" => options.owner_uid = Some(7),
            "--owner-gid=8" => options.owner_gid = Some(8),
            _ => {}
        }
    }
    let mut command = vec!["diff"];
    command.extend(args);
    let said = bench.ostree_ok(&command);
    let mut theirs: Vec<&str> = said.lines().collect();
    theirs.sort_unstable();
    let ours = lines(&diff_dirs(old, new, &options).unwrap());
    assert_eq!(theirs, ours, "{} diff {args:?} (left is ostree)", bench.mode);
}

fn run(cases: u32, check: impl Fn(&Bench) -> std::result::Result<(), TestCaseError>) {
    for mode in modes() {
        let bench = Bench::new(mode);
        let mut runner = TestRunner::new(ProptestConfig {
            cases,
            failure_persistence: None,
            max_shrink_iters: 60,
            ..ProptestConfig::default()
        });
        let result = runner.run(&(tree(NAMES), tree(NAMES)), |(old, new)| {
            bench.clean(&["old", "new"]);
            make(&bench.path("old"), &old);
            make(&bench.path("new"), &new);
            bench.commit("old");
            bench.commit("new");
            check(&bench)
        });
        if let Err(e) = result {
            panic!("{mode}: {e}");
        }
    }
}

/// Guards the lists of `ostree diff` for commits and directories, with every option.
#[test]
fn lists_equal_ostree() {
    run(8, |bench| {
        let repo = bench.repo();
        let (old, new) = (bench.tree("old"), bench.tree("new"));
        let (old_dir, new_dir) = (bench.dir("old"), bench.dir("new"));
        let tree = |id| DiffSide::Tree(&repo, id);
        compare(bench, &["old", "new"], tree(old), tree(new));
        compare(bench, &["old", "./new"], tree(old), DiffSide::Dir(&new_dir));
        compare(bench, &["./old", "new"], DiffSide::Dir(&old_dir), tree(new));
        compare(bench, &["./old", "./new"], DiffSide::Dir(&old_dir), DiffSide::Dir(&new_dir));
        for args in [
            &["--no-xattrs", "old", "./old"][..],
            &["--owner-uid=7", "--owner-gid=8", "old", "./old"],
        ] {
            compare(bench, args, tree(old), DiffSide::Dir(&old_dir));
        }
        Ok(())
    });
}

/// Guards the numbers of `ostree diff --stats`.
#[test]
fn object_counts_equal_ostree() {
    run(4, |bench| {
        let repo = bench.repo();
        let rev = |name: &str| repo.resolve_rev(name).unwrap();
        let ours = diff_objects(&repo, &rev("old"), &rev("new")).unwrap();
        let said = bench.ostree_ok(&["diff", "--stats", "old", "new"]);
        let expected = format!(
            "[A] Object Count: {}\n[B] Object Count: {}\nCommon Object Count: {}\n",
            ours.old, ours.new, ours.common
        );
        prop_assert!(said.starts_with(&expected), "{} {}", said, expected);
        Ok(())
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listed {
    File(Checksum),
    Dir(TreeId),
}

fn list(repo: &Repo, id: TreeId, path: &str, out: &mut BTreeMap<String, Listed>) {
    out.insert(if path.is_empty() { "/".into() } else { path.into() }, Listed::Dir(id));
    let tree = repo.load_dirtree(&id.tree).unwrap();
    for file in &tree.files {
        out.insert(format!("{path}/{}", file.name.as_str()), Listed::File(file.checksum));
    }
    for dir in &tree.dirs {
        let id = TreeId { tree: dir.tree, meta: dir.meta };
        list(repo, id, &format!("{path}/{}", dir.name.as_str()), out);
    }
}

/// The changes as two full listings give them, without what is below a directory that is new,
/// gone or took the place of a file.
fn naive(repo: &Repo, old: TreeId, new: TreeId) -> BTreeMap<String, ChangeKind> {
    let (mut a, mut b) = (BTreeMap::new(), BTreeMap::new());
    list(repo, old, "", &mut a);
    list(repo, new, "", &mut b);
    let mut out = BTreeMap::new();
    for path in a.keys().chain(b.keys()) {
        let kind = match (a.get(path), b.get(path)) {
            (Some(Listed::File(old)), Some(Listed::File(new))) if old != new => {
                ChangeKind::FileChanged { old: *old, new: *new }
            }
            (Some(Listed::Dir(old)), Some(Listed::Dir(new))) if old.meta != new.meta => {
                ChangeKind::DirMetaChanged { old: old.meta, new: new.meta }
            }
            (Some(Listed::File(old)), Some(Listed::Dir(new))) => {
                ChangeKind::FileToDir { old: *old, new: *new }
            }
            (Some(Listed::Dir(old)), Some(Listed::File(new))) => {
                ChangeKind::DirToFile { old: *old, new: *new }
            }
            (Some(Listed::File(old)), None) => ChangeKind::FileRemoved { old: *old },
            (Some(Listed::Dir(old)), None) => ChangeKind::DirRemoved { old: *old },
            (None, Some(Listed::File(new))) => ChangeKind::FileAdded { new: *new },
            (None, Some(Listed::Dir(new))) => ChangeKind::DirAdded { new: *new },
            _ => continue,
        };
        let whole = |p: PathBuf| {
            let dirs = [a.get(p.to_str().unwrap()), b.get(p.to_str().unwrap())];
            dirs.iter().all(|d| matches!(d, Some(Listed::Dir(_))))
        };
        if Path::new(path).ancestors().skip(1).all(|p| whole(p.to_path_buf())) {
            out.insert(path.clone(), kind);
        }
    }
    out
}

/// Guards that the primitive finds every change once, with the right checksums.
#[test]
fn changes_equal_full_listings() {
    run(12, |bench| {
        let repo = bench.repo();
        let (old, new) = (bench.tree("old"), bench.tree("new"));
        let mut found = BTreeMap::new();
        let mut visit = |change: TreeChange<'_>| {
            assert!(found.insert(change.path.to_string(), change.kind).is_none());
        };
        let stats = diff_trees(&repo, old, new, &mut visit).unwrap();
        prop_assert_eq!(stats.changes, found.len() as u64);
        prop_assert_eq!(found, naive(&repo, old, new));
        Ok(())
    });
}

/// Guards the cost: one changed file reads two dirtrees for each directory above it, however
/// large the rest is.
#[test]
fn cost_is_that_of_the_change() {
    for mode in modes() {
        for width in [2, 20] {
            let bench = Bench::new(mode);
            for name in ["old", "new"] {
                for i in 0..width {
                    let path = bench.path(&format!("{name}/a/dir{i}/file"));
                    file(&path, format!("{i}").as_bytes(), 0o644);
                }
                file(&bench.path(&format!("{name}/a/dir1/changed")), name.as_bytes(), 0o644);
                bench.commit(name);
            }
            let repo = bench.repo();
            let (old, new) = (bench.tree("old"), bench.tree("new"));
            let stats = diff_trees(&repo, old, new, &mut |_| {}).unwrap();
            assert_eq!(stats, DiffStats { dirtrees_read: 6, changes: 1 });
            let none = diff_trees(&repo, new, new, &mut |_| {}).unwrap();
            assert_eq!(none, DiffStats::default());
        }
    }
}
