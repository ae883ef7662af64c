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

/// What a call prints. It is made again where libostree stumbles over another `ostree`, as it
/// does without us: [`stumbles`].
fn output(actor: &Actor<'_>, args: &[&str]) -> Result<String> {
    loop {
        let output = actor.rig.ostree.output(args);
        let words = String::from_utf8_lossy(&output.stderr).trim().to_string();
        match output.status.success() {
            true => return Ok(String::from_utf8(output.stdout)?.trim().to_string()),
            false if stumbles(&words) => {}
            false => return Err(words.into()),
        }
    }
}

/// Whether one `ostree` came upon what another was about to take away: a file on its way to be a
/// ref, which is listed as one, or a staging directory, where it sweeps up in `tmp`. Ours have
/// other names, `staging-BOOT-tN`, and no others are taken away by us in the same boot.
fn stumbles(words: &str) -> bool {
    let staging = words.split_once("opendir(staging-").map(|(_, name)| name);
    let theirs = |name: &str| {
        let own = name.split(')').next().and_then(|name| name.rsplit('-').next());
        let digits = own.and_then(|own| own.strip_prefix(['t', 'p']));
        !digits.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let ref_is_gone = words.contains("Listing refs: openat(") && words.contains("/tmp.");
    ref_is_gone || (words.contains("No such file") && staging.is_some_and(theirs))
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

#[cfg(test)]
mod tests {
    /// Guards which of libostree's failures are taken for its own.
    #[test]
    fn only_its_own_are_forgiven() {
        let gone = |name| format!("error: opendir(staging-4d76-{name}): No such file or directory");
        assert!(super::stumbles(&gone("lOAC0h")));
        assert!(!super::stumbles(&gone("t00001")), "ours");
        assert!(!super::stumbles(&gone("p00000")), "ours");
        assert!(super::stumbles("error: Listing refs: openat(x/tmp.ab): No such file"));
        assert!(!super::stumbles("error: opendir(objects): No such file or directory"));
    }
}
