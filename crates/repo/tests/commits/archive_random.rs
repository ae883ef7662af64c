use proptest::prelude::*;
use trefoil_repo::RepoMode;
use trefoil_repo::commit::CommitModifier;

use crate::archive_tools::{PYTHON, shell};
use crate::bench::{Bench, have_ostree};
use crate::random::{Node, build, node};
use crate::sample::mkdir;

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, failure_persistence: None, ..Default::default() })]

    /// Random trees, packed by a random program, alone and over one another: the checksum of
    /// `ostree commit --tree=tar`, and that of the directory where links are no more than names.
    #[test]
    fn random_archives_give_libostrees_checksum(
        one in proptest::collection::vec(("[a-z]{1,3}", node()), 0..8),
        two in proptest::collection::vec(("[0-9]{1,3}|[a-z]{100,140}", node()), 0..8),
        mode in 0usize..3,
        program in 0usize..5,
    ) {
        if have_ostree() {
            let modes = [RepoMode::BareUser, RepoMode::BareUserOnly, RepoMode::Archive];
            let bench = Bench::new(modes[mode]);
            let command = [
                "tar -c --format=gnu -f $out .",
                "tar -cz --format=pax -f $out .",
                PYTHON,
                "find . | cpio -o -H newc > $out 2>/dev/null",
                "tar -c --sort=name --mtime=@0 --format=pax --xattrs --zstd -f $out $(ls -A) .",
            ][program];
            for (name, children) in [("one", one), ("two", two)] {
                build(&bench.path(name), &Node::Dir(0o755, children));
                mkdir(&bench.path(name), "never-empty", 0o700);
                shell(&bench.path(""), name, &format!("{name}.tar"), command);
            }
            let archive = bench.same(&["tar=one.tar"], &[], &CommitModifier::default());
            bench.same(&["tar=one.tar", "tar=two.tar"], &[], &CommitModifier::default());
            bench.same(&["ref=main", "tar=one.tar"], &[], &CommitModifier::default());
            // GNU cpio takes `./` off the targets of links.
            if !command.contains("cpio") {
                let directory = bench.same(&["one"], &[], &CommitModifier::default());
                prop_assert_eq!(archive.tree, directory.tree);
            }
        }
    }
}
