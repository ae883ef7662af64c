//! Checkout of random trees over random trees.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::checkout::{clean, compare};
use crate::random::{make, tree};
use crate::support::{Bench, modes};

const NAMES: &[&str] = &["a", "b", ".wh.a", "d", ".wh..wh..opq", ".ostree-wh.b"];
const FLAGS: &[&[&str]] = &[
    &["--union"],
    &["--union-add"],
    &["--union-identical", "-H"],
    &["-H"],
    &["-C", "--union"],
    &["--whiteouts", "--union"],
    &["--whiteouts", "--union-add"],
    &["--process-passthrough-whiteouts", "--union"],
    &["-M", "-C", "--union-add"],
];

/// Guards every combination of layers, clashes and options that nobody thought of.
#[test]
fn random_layers() {
    for mode in modes() {
        let bench = Bench::new(mode);
        let strategy =
            (tree(NAMES), tree(NAMES), tree(NAMES), prop::sample::select(FLAGS), any::<bool>());
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 16,
            failure_persistence: None,
            max_shrink_iters: 60,
            ..ProptestConfig::default()
        });
        let result = runner.run(&strategy, |(existing, lower, upper, flags, user)| {
            bench.clean(&["lower", "upper"]);
            make(&bench.path("lower"), &lower);
            make(&bench.path("upper"), &upper);
            bench.commit("lower");
            bench.commit("upper");
            let mut args = flags.to_vec();
            if user {
                args.push("-U");
            }
            if flags[0] != "-H" {
                make(&bench.path("theirs"), &existing);
                make(&bench.path("ours"), &existing);
            }
            if compare(&bench, &args, "lower", "/") {
                compare(&bench, &args, "upper", "/");
            }
            clean(&bench);
            Ok(())
        });
        if let Err(e) = result {
            panic!("{mode}: {e}");
        }
    }
}
