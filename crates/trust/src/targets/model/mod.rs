//! Random operations on two repositories, beside a model that keeps whole trees in maps.

mod run;
mod tree;

use arbitrary::{Arbitrary, Unstructured};

use super::Target;
use run::World;

pub const TARGET: Target = Target {
    name: "model",
    formats: "no format: commits (in full, indexed, of told paths), refs, prunes, checkouts and \
              pulls in random order, beside a model of the repository",
    run,
};

/// Longest story: each step works on a file system.
const STEPS: usize = 24;

/// One thing that happens. Numbers are taken modulo what there is to choose from.
#[derive(Arbitrary, Debug)]
enum Step {
    /// A file appears or changes.
    Write { path: u8, content: u8, executable: bool },
    /// A directory appears.
    Mkdir { path: u8 },
    /// A symbolic link appears.
    Link { path: u8, target: u8 },
    /// A path disappears, with all beneath it.
    Remove { path: u8 },
    /// The tree is committed to a branch.
    Commit { branch: u8, how: How },
    /// A ref disappears.
    DeleteRef { branch: u8 },
    /// A ref goes back to the parent of its commit, where that is there.
    Back { branch: u8 },
    /// What nothing needs is deleted.
    Prune { refs_only: bool, depth: Option<u8> },
    /// A branch is written out and compared.
    Checkout { branch: u8, copy: bool },
    /// A branch comes over to the second repository.
    Pull { branch: u8, depth: u8, trusted: bool },
    /// The repository is closed and opened.
    Reopen,
}

/// How a tree is committed; all of these have to give the same.
#[derive(Arbitrary, Copy, Clone, Debug, PartialEq, Eq)]
enum How {
    /// Everything is read.
    Whole,
    /// By an index of the directory.
    Indexed,
    /// Of the commit before and the paths that changed since.
    Told,
}

/// Which of the modes, and the steps.
fn run(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let Ok(archive) = bool::arbitrary(&mut input) else { return };
    let Ok(steps) = input.arbitrary_iter::<Step>() else { return };
    let steps: Vec<Step> = steps.take(STEPS).map_while(Result::ok).collect();
    if steps.iter().any(|step| matches!(step, Step::Commit { .. })) {
        let mut world = World::new(archive);
        for step in &steps {
            world.step(step);
            world.check_refs();
        }
        world.check_all();
    }
}
