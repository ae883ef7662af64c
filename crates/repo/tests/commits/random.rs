use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use trefoil_repo::RepoMode;
use trefoil_repo::commit::CommitModifier;

use crate::bench::{Bench, have_ostree};

#[derive(Clone, Debug)]
pub enum Node {
    File(Vec<u8>, u32),
    Link(String),
    Dir(u32, Vec<(String, Node)>),
}

pub fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        (proptest::collection::vec(any::<u8>(), 0..40), 0o400u32..=0o7777)
            .prop_map(|(content, mode)| Node::File(content, mode)),
        // GNU cpio takes `./` off a target, and of some that leaves nothing, which we refuse.
        "[a-z./]{1,12}"
            .prop_filter("a name in it", |target| target.contains(|c: char| c.is_lowercase()))
            .prop_map(Node::Link),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        (0o700u32..=0o1777, proptest::collection::vec(("[a-zA-Z0-9 ._-]{1,6}x", inner), 0..6))
            .prop_map(|(mode, children)| Node::Dir(mode, children))
    })
}

pub fn build(path: &Path, node: &Node) {
    match node {
        Node::File(content, mode) => {
            fs::write(path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o400)).unwrap();
        }
        Node::Link(target) => symlink(target, path).unwrap(),
        Node::Dir(mode, children) => {
            fs::create_dir(path).unwrap();
            for (name, child) in children {
                if !path.join(name).exists() && fs::symlink_metadata(path.join(name)).is_err() {
                    build(&path.join(name), child);
                }
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o700)).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    /// Random trees, and one laid over the other where they fit.
    #[test]
    fn random_trees_give_libostrees_checksum(
        one in proptest::collection::vec(("[a-z]{1,3}", node()), 0..8),
        two in proptest::collection::vec(("[0-9]{1,3}", node()), 0..8),
        mode in 0usize..3,
    ) {
        if have_ostree() {
            let modes = [RepoMode::BareUser, RepoMode::BareUserOnly, RepoMode::Archive];
            let bench = Bench::new(modes[mode]);
            build(&bench.path("one"), &Node::Dir(0o755, one));
            build(&bench.path("two"), &Node::Dir(0o750, two));
            bench.same(&["one"], &[], &CommitModifier::default());
            bench.same(&["ref=main", "two"], &[], &CommitModifier::default());
        }
    }
}
