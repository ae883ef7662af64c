//! What libostree does, as people call it.

use super::{Actor, Done, SOURCES};
use crate::Result;
use crate::faults::world::{REF, STATEROOT};

/// What is deployed.
const RELEASES: &str = "theirs/os";

pub fn at_the_repository(actor: &mut Actor<'_>) -> Done {
    match actor.dice.below(10) {
        0..=2 => ("commits", commit(actor, REF)),
        3..=6 => ("commits", commit(actor, "theirs/own")),
        7 | 8 => ("pulls", pull(actor)),
        _ => {
            actor.begin("a prune");
            let _alone = actor.rig.refs.write().expect("no holder panics");
            ("prunes", call(actor, &["prune", "--refs-only", "--depth=0"]).map(drop))
        }
    }
}

pub fn at_the_machine(actor: &mut Actor<'_>) -> Done {
    match actor.dice.below(10) {
        0..=4 => ("deploys", deploy(actor)),
        5 | 6 => {
            actor.begin("a cleanup");
            ("cleanups", admin(actor, &["cleanup"]))
        }
        7 => ("undeploys", undeploy(actor)),
        8 => {
            actor.begin("a pin");
            ("pins", admin(actor, &["pin", "0"]))
        }
        _ => {
            actor.begin("a pin");
            ("pins", admin(actor, &["pin", "--unpin", "0"]))
        }
    }
}

fn call(actor: &Actor<'_>, args: &[&str]) -> Result<String> {
    let repo = format!("--repo={}", actor.rig.world.live("sysroot/ostree/repo").display());
    output(actor, &[&args[..1], &[repo.as_str()], &args[1..]].concat())
}

fn admin(actor: &Actor<'_>, args: &[&str]) -> Result<()> {
    let _unpruned = actor.rig.refs.read().expect("no holder panics");
    output(actor, &[&["admin"], args].concat()).map(drop)
}

/// What a call prints. One that lists refs is made again where it came upon a file that another
/// `ostree` was about to rename to a ref: libostree takes it for a ref, and then it is gone.
fn output(actor: &Actor<'_>, args: &[&str]) -> Result<String> {
    loop {
        let output = actor.rig.ostree.output(args);
        let words = String::from_utf8_lossy(&output.stderr).trim().to_string();
        match output.status.success() {
            true => return Ok(String::from_utf8(output.stdout)?.trim().to_string()),
            false if words.contains("Listing refs: openat(") && words.contains("/tmp.") => {}
            false => return Err(words.into()),
        }
    }
}

fn commit(actor: &mut Actor<'_>, branch: &str) -> Result<()> {
    actor.edit();
    actor.begin("a commit");
    let tree = actor.tree_path().display().to_string();
    // The ref of both is moved in a step of its own: whoever looks at it must have been told.
    let (shared, own) = (branch == REF, "theirs/made");
    let first = if shared { own } else { branch };
    let commit = call(actor, &["commit", &format!("--branch={first}"), "--parent=none", &tree])?;
    actor.rig.wrote(first, commit.clone(), false);
    if shared {
        actor.rig.wrote(REF, commit.clone(), true);
        call(actor, &["refs", "--force", &format!("--create={REF}"), &commit])?;
    }
    Ok(())
}

/// libostree does not keep a commit from being pruned while it deploys it: it may only deploy
/// what nobody moves a ref away from.
fn deploy(actor: &mut Actor<'_>) -> Result<()> {
    if actor.dice.below(2) == 0 {
        commit(actor, RELEASES)?;
    }
    actor.begin("a deploy");
    admin(actor, &["deploy", &format!("--os={STATEROOT}"), RELEASES])
}

fn pull(actor: &mut Actor<'_>) -> Result<()> {
    let name = format!("up/{}", actor.dice.below(SOURCES));
    actor.begin("a pull");
    let source = actor.rig.world.live("source").display().to_string();
    call(actor, &["pull-local", &source, &name])?;
    let commit = call(actor, &["rev-parse", &name])?;
    actor.rig.wrote(&name, commit, true);
    Ok(())
}

/// The first: what has to stay comes after what was deployed since.
fn undeploy(actor: &mut Actor<'_>) -> Result<()> {
    let _turn = actor.rig.undeploy.lock().expect("no holder panics");
    actor.begin("an undeploy");
    let listed = actor.rig.world.sysroot(&trefoil_fsat::Fs::new())?;
    let free = listed.deployments().iter().filter(|d| !actor.rig.kept.contains(&d.path()));
    match free.count() {
        0 | 1 => Ok(()),
        _ => admin(actor, &["undeploy", "0"]),
    }
}
