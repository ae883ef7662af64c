//! What is tried: how the world is made, what is done in it while calls fail.

use std::fs;

use trefoil_fsat::Fs;
use trefoil_sysroot::init_fs;

use super::machine as m;
use super::repository as r;
use super::world::{STATEROOT, World};
use crate::Result;

/// One thing that people do.
pub struct Scenario {
    pub name: &'static str,
    /// Makes the world.
    pub prepare: fn(&World) -> Result<()>,
    /// Done after the world was put back, and before the try.
    pub settle: fn(&World) -> Result<()>,
    /// The steps, each a state that the world may be left in.
    pub acts: &'static [Act],
    /// What has to be the same when it is done again after a fault.
    pub again: Again,
    /// Whether what is staged may be gone, and nothing else.
    pub may_unstage: bool,
}

/// One step, by the door it is given.
pub type Act = fn(&World, &Fs) -> Result<()>;

/// What the next run comes to, compared with one that nothing disturbed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// The same state.
    Same,
    /// The same deployment comes first: it may have been deployed twice.
    Newest,
}

const fn scenario(
    name: &'static str,
    prepare: fn(&World) -> Result<()>,
    acts: &'static [Act],
) -> Scenario {
    Scenario { name, prepare, settle: nothing, acts, again: Again::Same, may_unstage: false }
}

const fn sealed(scenario: Scenario) -> Scenario {
    Scenario { settle: m::seal_spare, ..scenario }
}

const fn recycling(scenario: Scenario) -> Scenario {
    Scenario { settle: m::seal_to_recycle, ..scenario }
}

const fn twice(scenario: Scenario) -> Scenario {
    Scenario { again: Again::Newest, ..scenario }
}

fn nothing(_: &World) -> Result<()> {
    Ok(())
}

/// All of them.
pub const ALL: &[Scenario] = &[
    scenario("init", |_| Ok(()), &[|world, fs| r::init(world, fs)]),
    scenario("init-fs", |world| Ok(fs::create_dir(world.live("sysroot"))?), &[make_sysroot]),
    scenario("commit-full", r::archive, &[r::commit_full]),
    scenario("commit-indexed", r::bare_user, &[r::commit_indexed]),
    scenario("commit-told", r::bare, &[r::commit_told]),
    scenario("checkout", r::with_two, &[r::checkout_anew]),
    scenario("checkout-union", r::with_checkout, &[r::checkout_over]),
    scenario("pull-local", r::with_source, &[r::pull]),
    scenario("pull-local-untrusted", r::with_source, &[r::pull_untrusted]),
    scenario("delta-apply", r::with_delta, &[r::apply_delta]),
    scenario("delta-generate", r::with_two, &[r::generate_delta]),
    scenario("summary", r::with_lists, &[r::summary]),
    scenario("config", r::archive, &[r::config]),
    scenario("prune", r::with_garbage, &[r::prune]),
    twice(scenario("deploy-full", m::next_release, &[m::deploy_full])),
    twice(recycling(scenario("deploy-recycle", m::with_spare, &[m::deploy]))),
    twice(recycling(scenario("deploy-etc", m::with_conflicts, &[m::deploy]))),
    twice(scenario("deploy-two-buffers", m::next_release_of_two, &[m::retire_ahead, m::deploy])),
    sealed(scenario("cleanup", m::with_clutter, &[m::cleanup])),
    sealed(scenario("undeploy", m::with_three, &[m::undeploy])),
    scenario("set-default", m::with_three, &[m::set_default]),
    scenario("set-kargs", m::with_three, &[m::set_kargs]),
    scenario("kargs-in-place", m::with_three, &[m::kargs_in_place]),
    scenario("pin", m::with_three, &[m::pin]),
    twice(scenario("stage", m::running, &[m::stage])),
    twice(scenario("stage-over", m::staged, &[m::stage])),
    Scenario { may_unstage: true, ..twice(scenario("finalize", m::staged, &[m::finalize])) },
    scenario("spare-prepare", m::with_three, &[m::prepare_spare]),
    sealed(scenario("spare-drop", m::with_spare, &[m::drop_spare])),
];

fn make_sysroot(world: &World, fs: &Fs) -> Result<()> {
    let root = fs.open_dir(world.live("sysroot"))?;
    init_fs(&root, trefoil_sysroot::Epoch::Traditional, trefoil_repo::RepoMode::Bare)?;
    let (mut sysroot, lock) = world.locked(fs)?;
    // What is there is not made again; whoever made it half is asked to go on.
    if !world.live("sysroot/ostree/deploy").join(STATEROOT).join("var").exists() {
        sysroot.init_stateroot(&lock, STATEROOT)?;
    }
    Ok(())
}
