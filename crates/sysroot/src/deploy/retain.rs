use crate::{Deployment, Sysroot};

/// Which deployments of the same stateroot stay when another one comes. The booted and the
/// merge deployment, pinned ones and those of other stateroots always do.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Retain {
    /// All (`--retain`).
    pub all: bool,
    /// Those before the booted one (`--retain-pending`).
    pub pending: bool,
    /// Those after it (`--retain-rollback`).
    pub rollback: bool,
}

/// The new boot order, `None` standing for the new deployment.
pub(crate) fn next_list<'a>(
    sysroot: &'a Sysroot,
    stateroot: &str,
    merge: Option<&Deployment>,
    mut retain: Retain,
    as_default: bool,
) -> Vec<Option<&'a Deployment>> {
    let booted = sysroot.booted();
    // With nothing to tell pending from rollback by, both mean all.
    if booted.is_none() && merge.is_none() && (retain.pending || retain.rollback) {
        retain.all = true;
    }
    let is = |d: &Deployment, other: Option<&Deployment>| other.is_some_and(|o| o.same_as(d));
    let mut list = Vec::new();
    if as_default {
        list.push(None);
    }
    let (mut past_booted, mut past_merge) = (false, false);
    for deployment in sysroot.deployments() {
        let (is_booted, is_merge) = (is(deployment, booted), is(deployment, merge));
        past_booted |= is_booted;
        past_merge |= is_merge;
        let past = if booted.is_some() { past_booted } else { past_merge };
        let stays = retain.all
            || deployment.is_pinned()
            || deployment.stateroot != stateroot
            || (retain.pending && !past)
            || is_booted
            || is_merge
            || (retain.rollback && past);
        if stays {
            list.push(Some(deployment));
        }
        if past && !list.contains_new() {
            list.push(None);
        }
    }
    if !list.contains_new() {
        list.push(None);
    }
    // A staged deployment stays only where it stays first.
    let mut at = 0;
    list.retain(|found| {
        at += 1;
        at == 1 || !found.is_some_and(|deployment| deployment.staged)
    });
    list
}

trait ContainsNew {
    fn contains_new(&self) -> bool;
}

impl ContainsNew for Vec<Option<&Deployment>> {
    fn contains_new(&self) -> bool {
        self.iter().any(Option::is_none)
    }
}
