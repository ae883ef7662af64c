use std::fs;
use std::process::Command;
use std::sync::Arc;

use trefoil_fsat::Fs;
use trefoil_repo::commit::{CommitModifier, DevInoCache, import_dir};
use trefoil_repo::{MutableTree, RepoMode};

use crate::bench::{Bench, have_ostree, modes, ostree};
use crate::sample::{mkdir, sample, write};

/// Hard links of a checkout are recognised, and what the options change about them is written.
#[test]
fn hard_links_of_a_checkout_are_not_read() {
    if !have_ostree() {
        return;
    }
    for mode in modes() {
        if mode == RepoMode::Archive {
            continue; // Nothing of it can be linked.
        }
        let bench = Bench::new(mode);
        sample(&bench.path("tree"));
        bench.same(&["tree"], &[], &CommitModifier::default());
        let checkout = bench.path("checkout");
        let target = checkout.display().to_string();
        let user: &[&str] = if mode == RepoMode::Bare { &[] } else { &["-U"] };
        ostree(&bench.path("ours"), &[&["checkout", "-H"], user, &["main", &target]].concat());
        let devino = Arc::new(DevInoCache::scan(&bench.ours()).unwrap());
        assert!(!devino.is_empty());
        let modifier = |canonical, uid| CommitModifier {
            devino: Some(devino.clone()),
            devino_canonical: canonical,
            owner_uid: uid,
            ..Default::default()
        };
        let plain = bench.commit(&["checkout"], &modifier(false, None)).unwrap();
        let canonical = bench.commit(&["checkout"], &modifier(true, None)).unwrap();
        assert!(canonical.written.content_cache_hits > 10);
        assert_eq!(canonical.written.content_objects_written, 0);
        if mode == RepoMode::Bare {
            let first = bench.commit(&["tree"], &CommitModifier::default()).unwrap();
            assert_eq!(plain.tree, first.tree);
            assert_eq!(canonical.tree, first.tree);
            assert!(plain.written.content_cache_hits > 10);
            // What is known is not asked for, in the numbers of `--table-output`.
            let asked = plain.imported.files + plain.imported.symlinks;
            let known = plain.written.content_cache_hits;
            assert_eq!(plain.written.content_objects_total, asked - known);
        }
        bench.commit(&["checkout"], &modifier(false, Some(77))).unwrap();
        ostree(&bench.path("ours"), &["fsck", "-q"]);
        // The same from their repository: the same commit.
        let theirs = bench.path("theirs-checkout");
        let target = theirs.display().to_string();
        ostree(&bench.path("theirs"), &[&["checkout", "-H"], user, &["main", &target]].concat());
        let expected = bench.theirs(&["theirs-checkout"], &["--link-checkout-speedup"]);
        let list = |name: &str, rev: &str| ostree(&bench.path(name), &["ls", "-RCX", rev]);
        bench.commit(&["checkout"], &modifier(false, None)).unwrap();
        assert_eq!(list("ours", "main"), list("theirs", &expected), "{mode}");
    }
}

/// A consumed directory is empty afterwards and the commit is the same as without; files go
/// into the repository as they are where libostree does that.
#[test]
fn consume_empties_the_source() {
    if !have_ostree() {
        return;
    }
    for mode in modes() {
        let bench = Bench::new(mode);
        sample(&bench.path("tree"));
        let kept = bench.commit(&["tree"], &CommitModifier::default()).unwrap();
        let bench = Bench::new(mode);
        sample(&bench.path("tree"));
        let modifier = CommitModifier { consume: true, ..Default::default() };
        let consumed = bench.commit(&["tree"], &modifier).unwrap();
        assert_eq!(consumed.tree, kept.tree, "{mode}");
        assert_eq!(fs::read_dir(bench.path("tree")).unwrap().count(), 0);
        let adopts = matches!(mode, RepoMode::Bare | RepoMode::BareUserOnly);
        assert_eq!(consumed.imported.adopted > 10, adopts, "{mode}");
        let (a, b) = (consumed.written, kept.written);
        assert_eq!(a.content_objects_written, b.content_objects_written);
        ostree(&bench.path("ours"), &["fsck", "-q"]);
    }
}

/// Guards: where the file system can share blocks, the content of a large file is not written
/// again; and the commit is the same. `tests/filesystems` runs it on XFS and btrfs.
#[test]
fn large_files_share_their_blocks() {
    if !have_ostree() {
        return;
    }
    const SIZE: usize = 3 << 20;
    for mode in modes() {
        let bench = Bench::new(mode);
        mkdir(&bench.path("tree"), "usr", 0o755);
        write(&bench.path("tree"), "usr/large", &vec![b'l'; SIZE], 0o644);
        write(&bench.path("tree"), "usr/small", b"small", 0o644);
        bench.same(&["tree"], &[], &CommitModifier::default());
        // The same content with another owner is another object.
        let repo = bench.ours();
        let dir = Fs::new().open_dir(bench.path("tree")).unwrap();
        let modifier = CommitModifier { owner_uid: Some(77), ..Default::default() };
        let transaction = repo.begin().unwrap();
        let before = repo.dir().fs().counters();
        import_dir(&transaction, &dir, &mut MutableTree::new(), &modifier).unwrap();
        let written = repo.dir().fs().counters().since(&before).bytes_written;
        let plain = mode != RepoMode::Archive && mode != RepoMode::BareUserOnly;
        if plain && shares_blocks(&bench) {
            assert!(written < 64 << 10, "{mode}: {written} bytes");
        } else if plain {
            assert!(written >= SIZE as u64, "{mode}: {written} bytes");
        }
    }
}

/// Whether the file system that the tests are on can, as coreutils see it.
fn shares_blocks(bench: &Bench) -> bool {
    let mut cp = Command::new("cp");
    cp.arg("--reflink=always").arg(bench.path("tree/usr/large")).arg(bench.path("clone"));
    cp.output().unwrap().status.success()
}
