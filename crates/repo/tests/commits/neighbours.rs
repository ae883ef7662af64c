//! Commits beside other commits, beside prunes, and beside those who write to the source.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use trefoil_repo::RepoMode;
use trefoil_repo::commit::{CommitModifier, CommitRequest, ImportStats, import_dir, write_commit};
use trefoil_repo::prune::{PruneOptions, plan_prune};
use trefoil_repo::{MutableTree, Repo, Result};

use trefoil_format::gvariant::Metadata;
use trefoil_fsat::Fs;

use crate::bench::{Bench, TIME, have_ostree, ostree};
use crate::sample::{mkdir, write};

const ROUNDS: usize = 30;
/// Between two prunes: the lock is nobody's turn, and who takes it again at once keeps it.
const BREATH: Duration = Duration::from_millis(5);

/// Ends the other threads of a test, also when it fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Commits a directory to a branch, with no index: everything is read.
fn commit(bench: &Bench, source: &str, branch: &str) -> Result<ImportStats> {
    let repo = bench.ours();
    let txn = repo.begin()?;
    let dir = Fs::new().open_dir(bench.path(source))?;
    let mut tree = MutableTree::new();
    let stats = import_dir(&txn, &dir, &mut tree, &CommitModifier::default())?;
    let request = CommitRequest {
        tree: tree.write(&txn)?,
        // Without a history the commit before is nobody's, and there is something to prune.
        parent: None,
        subject: String::new(),
        body: String::new(),
        metadata: Metadata::default(),
        detached: None,
        timestamp: TIME,
    };
    let checksum = write_commit(&txn, request)?;
    txn.set_ref(branch.parse().expect("a ref"), Some(checksum));
    txn.commit()?;
    Ok(stats)
}

fn prune(repo: &Repo) {
    let options = PruneOptions { refs_only: true, ..PruneOptions::default() };
    plan_prune(repo, &options).expect("a plan").apply().expect("a prune");
}

/// Guards: commits that run at once all land, and no prune, ours or libostree's, takes an
/// object that a running commit found to be there or is about to name.
#[test]
fn prunes_spare_running_commits() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::Archive);
    let (bench, over) = (&bench, &AtomicBool::new(false));
    thread::scope(|scope| {
        let writers = ["a", "b"].map(|name| {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    // Content that comes, goes, and comes again, so that a prune finds it loose.
                    let root = bench.path(name);
                    write_tree(&root, round % 3);
                    commit(bench, name, name).expect("a commit");
                }
            })
        });
        scope.spawn(move || {
            while !over.load(Relaxed) {
                prune(&bench.ours());
                thread::sleep(BREATH);
            }
        });
        scope.spawn(move || {
            while !over.load(Relaxed) {
                ostree(&bench.path("ours"), &["prune", "--refs-only"]);
                thread::sleep(BREATH);
            }
        });
        let _over = Over(over);
        for writer in writers {
            writer.join().expect("a writer");
        }
    });
    ostree(&bench.path("ours"), &["fsck", "-q"]);
    for name in ["a", "b"] {
        let target = bench.path(&format!("checkout-{name}"));
        ostree(&bench.path("ours"), &["checkout", "-U", name, &target.display().to_string()]);
        let last = fs::read_to_string(target.join("sub/changing")).expect("the file");
        assert_eq!(last, format!("content {}", (ROUNDS - 1) % 3));
    }
}

fn write_tree(root: &std::path::Path, version: usize) {
    mkdir(root, "sub", 0o755);
    write(root, "sub/changing", format!("content {version}").as_bytes(), 0o644);
    write(root, "same", b"the same in all", 0o644);
}

/// Guards: a source that others write to gives a commit or an error that names the path, and
/// never an object whose content is not what its name says.
#[test]
fn a_source_that_changes_is_named() {
    if !have_ostree() {
        return;
    }
    let bench = Bench::new(RepoMode::BareUser);
    let root = bench.path("tree");
    mkdir(&root, "sub", 0o755);
    let (over, mut named) = (&AtomicBool::new(false), 0);
    thread::scope(|scope| {
        let busy = &root;
        scope.spawn(move || {
            let mut size = 0;
            while !over.load(Relaxed) {
                size += 1;
                write(busy, "sub/growing", &vec![b'x'; (size % 64) * 64 * 1024], 0o644);
                write(busy, "sub/coming", b"c", 0o644);
                fs::remove_file(busy.join("sub/coming")).expect("it was there");
            }
        });
        let _over = Over(over);
        for _ in 0..100 {
            if let Err(error) = commit(&bench, "tree", "main") {
                let text = error.to_string();
                assert!(text.contains("sub/growing") || text.contains("sub/coming"), "{text}");
                named += 1;
            }
        }
    });
    assert!(named > 0, "the writer was never in the way");
    ostree(&bench.path("ours"), &["fsck", "-q"]);
}
