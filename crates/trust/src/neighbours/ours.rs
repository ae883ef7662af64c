//! What Trefoil does.

use trefoil_format::gvariant::Metadata;
use trefoil_fsat::Fs;
use trefoil_repo::MutableTree;
use trefoil_repo::commit::{CommitModifier, CommitRequest, import_dir, write_commit};
use trefoil_repo::pull::{PullOptions, PullRef, pull_local};
use trefoil_sysroot::Deployment;

use super::{Actor, Done, SOURCES};
use crate::Result;
use crate::faults::machine;
use crate::faults::repository::prune_at;
use crate::faults::world::{REF, TIME};

pub fn at_the_repository(actor: &mut Actor<'_>) -> Done {
    match actor.dice.below(10) {
        0..=2 => ("commits", commit(actor, REF)),
        3..=6 => ("commits", commit(actor, "ours/own")),
        7 | 8 => ("pulls", pull(actor)),
        _ => ("prunes", prune(actor)),
    }
}

pub fn at_the_machine(actor: &mut Actor<'_>) -> Done {
    match actor.dice.below(12) {
        0..=4 => ("deploys", deploy(actor)),
        5 => (
            "cleanups",
            on_machine(actor, "a cleanup", |a| machine::cleanup(&a.rig.world, &Fs::new())),
        ),
        6 | 7 => ("undeploys", on_machine(actor, "an undeploy", undeploy)),
        8 => (
            "spares prepared",
            on_machine(actor, "a spare", |a| machine::prepare_spare(&a.rig.world, &Fs::new())),
        ),
        9 | 10 => ("pins", on_machine(actor, "a pin", pin)),
        _ => ("kernel arguments set", on_machine(actor, "kernel arguments", set_kargs)),
    }
}

/// Without a history: the commit before is nobody's, and there is something to prune.
fn commit(actor: &mut Actor<'_>, branch: &str) -> Result<()> {
    actor.edit();
    actor.begin("a commit");
    let repo = actor.rig.repo()?;
    let txn = repo.begin()?;
    let mut tree = MutableTree::new();
    import_dir(
        &txn,
        &Fs::new().open_dir(actor.tree_path())?,
        &mut tree,
        &CommitModifier::default(),
    )?;
    let request = CommitRequest {
        tree: tree.write(&txn)?,
        parent: None,
        subject: String::new(),
        body: String::new(),
        metadata: Metadata::default(),
        detached: None,
        timestamp: TIME,
    };
    let checksum = write_commit(&txn, request)?;
    let shared = branch == REF;
    if shared {
        actor.rig.wrote(branch, checksum.to_hex(), true);
    }
    txn.set_ref(branch.parse()?, Some(checksum));
    txn.commit()?;
    if !shared {
        actor.rig.wrote(branch, checksum.to_hex(), false);
    }
    Ok(())
}

fn pull(actor: &mut Actor<'_>) -> Result<()> {
    let name = format!("up/{}", actor.dice.below(SOURCES));
    actor.begin("a pull");
    let source = actor.rig.world.repo(&Fs::new(), "source")?;
    let options = PullOptions { refs: vec![PullRef::from(&*name)], ..PullOptions::default() };
    pull_local(&actor.rig.repo()?, &source, &options)?;
    actor.rig.wrote(&name, source.resolve_rev(&name)?.to_hex(), true);
    Ok(())
}

fn prune(actor: &mut Actor<'_>) -> Result<()> {
    actor.begin("a prune");
    let _alone = actor.rig.refs.write().expect("no holder panics");
    prune_at(&actor.rig.repo()?)
}

fn deploy(actor: &mut Actor<'_>) -> Result<()> {
    actor.begin("a deploy");
    machine::deploy(&actor.rig.world, &Fs::new())
}

fn on_machine(
    actor: &mut Actor<'_>,
    what: &'static str,
    work: fn(&mut Actor<'_>) -> Result<()>,
) -> Result<()> {
    actor.begin(what);
    work(actor)
}

/// A deployment that may be done with what one likes, if there are enough.
fn free(deployments: &[Deployment], kept: &[String], at: usize) -> Option<usize> {
    let free: Vec<_> = deployments.iter().filter(|d| !kept.contains(&d.path())).collect();
    (free.len() > 1).then(|| free[at % free.len()].index)
}

fn undeploy(actor: &mut Actor<'_>) -> Result<()> {
    let _turn = actor.rig.undeploy.lock().expect("no holder panics");
    let (mut sysroot, lock) = actor.rig.world.locked(&Fs::new())?;
    if let Some(index) = free(sysroot.deployments(), &actor.rig.kept, actor.dice.below(8)) {
        sysroot.undeploy(&lock, index, &machine::builder())?;
    }
    Ok(())
}

/// Pins what is not pinned and the other way round.
fn pin(actor: &mut Actor<'_>) -> Result<()> {
    let (mut sysroot, lock) = actor.rig.world.locked(&Fs::new())?;
    if let Some(index) = free(sysroot.deployments(), &actor.rig.kept, actor.dice.below(8)) {
        let pinned = sysroot.deployment(index)?.is_pinned();
        // Many pinned ones would make all slow.
        let on = !pinned && sysroot.deployments().len() < 6;
        sysroot.set_pinned(&lock, index, on)?;
    }
    Ok(())
}

fn set_kargs(actor: &mut Actor<'_>) -> Result<()> {
    let (mut sysroot, lock) = actor.rig.world.locked(&Fs::new())?;
    let mut kargs = sysroot.deployment(0)?.kargs();
    kargs.replace_take(&format!("number={}", actor.dice.below(100)));
    sysroot.set_kargs(&lock, 0, &kargs, &machine::builder())?;
    Ok(())
}
