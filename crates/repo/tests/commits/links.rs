use std::fs;
use std::sync::Arc;

use trefoil_repo::RepoMode;
use trefoil_repo::commit::{CommitModifier, DevInoCache};

use crate::bench::{Bench, have_ostree, modes, ostree};
use crate::sample::sample;

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
