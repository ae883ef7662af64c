use std::cell::RefCell;

use trefoil_format::checksum::Checksum;
use trefoil_fsat::{Dir, Stat};
use trefoil_repo::TreeId;
use trefoil_repo::checkout::{CheckoutStats, ConvertPlan, checkout, collect_dirs};

use super::Trust;
use super::check::{deployment_checkout, distrust, is_sealed};
use super::seal::{DirSeal, Seal, SealChange};
use super::store::{Sealed, Store};
use crate::deploy::{
    BuiltTree, FullCheckout, TreeBuilder, TreeEtc, TreeMethod, TreePlan, TreeStats, TreeTarget,
    Unlisted, deploy_dir, find_dir, load_index, rename_index,
};
use crate::error::During;
use crate::etc::Scan;
use crate::{Result, Sysroot, parse_name};

/// The name of the tree in the index of the spare's `etc`.
const SPARE_INDEX: &str = "spare";

/// Makes trees of deployments by converting the spare where that is possible and cheaper, and
/// by a full checkout where not; keeps the deployment that falls off the list as the next
/// spare.
#[derive(Debug)]
pub struct SpareBuilder {
    trust: Trust,
    recycle: bool,
    planned: RefCell<Option<Planned>>,
    building: RefCell<Option<Building>>,
}

/// What `plan` found out, so that `build` need not do it again. Both run under one lock.
#[derive(Debug)]
struct Planned {
    commit: Checksum,
    found: std::result::Result<Convertible, String>,
}

/// Between `build` and `place`: what the seal of the new deployment will say.
#[derive(Debug)]
enum Building {
    Recycled(Vec<SealChange>),
    Full(Seal),
}

/// A spare that will be converted, and how.
#[derive(Debug)]
struct Convertible {
    store: Store,
    spare: Sealed,
    plan: ConvertPlan,
}

impl SpareBuilder {
    /// A builder that checks spares as `trust` says; `recycle` off always checks out in full.
    pub fn new(trust: Trust, recycle: bool) -> Self {
        SpareBuilder { trust, recycle, planned: RefCell::default(), building: RefCell::default() }
    }

    /// The spare to convert, or why there is none.
    fn find(
        &self,
        sysroot: &Sysroot,
        target: &TreeTarget<'_>,
    ) -> Result<std::result::Result<Convertible, String>> {
        if !self.recycle {
            return Ok(Err("a full checkout was asked for".into()));
        }
        let Some(store) = Store::open(sysroot, target.stateroot)? else {
            return Ok(Err("there is no spare yet".into()));
        };
        let Some(spare) = store.spares()?.into_iter().next() else {
            return Ok(Err(match store.has_work()? {
                true => "an interrupted run left the spare half converted".into(),
                false => "there is no spare yet".to_string(),
            }));
        };
        let commit = match sysroot.repo().load_commit(&spare.commit) {
            Ok(commit) => commit,
            Err(e) if e.is_not_found() => {
                return Ok(Err(format!("commit {} of the spare was pruned", spare.commit)));
            }
            Err(e) => return Err(e.into()),
        };
        let from = TreeId::of_commit(&commit);
        let plan = match ConvertPlan::new(sysroot.repo(), from, target.root) {
            Ok(plan) => plan,
            Err(e) if e.is_not_found() => {
                return Ok(Err(format!("objects of the spare's commit were pruned: {e}")));
            }
            Err(e) => return Err(e.into()),
        };
        if let Some(obstacle) = &plan.obstacle {
            return Ok(Err(obstacle.clone()));
        }
        Ok(Ok(Convertible { store, spare, plan }))
    }

    /// As [`SpareBuilder::find`], with the spare checked by the policy.
    fn find_trusted(
        &self,
        sysroot: &Sysroot,
        target: &TreeTarget<'_>,
    ) -> Result<std::result::Result<Convertible, String>> {
        let found = match self.find(sysroot, target)? {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        };
        Ok(match distrust(sysroot, &found.store, &found.spare, self.trust)? {
            Some(reason) => Err(format!("the spare cannot be trusted: {reason}")),
            None => Ok(found),
        })
    }

    fn plan_recycling(
        &self,
        sysroot: &Sysroot,
        target: &TreeTarget<'_>,
        found: &Convertible,
    ) -> Result<TreePlan> {
        let plan = &found.plan;
        let (mut links, mut dirs) = (plan.files, 0);
        let mut removals = plan.removed_files;
        if target.estimate {
            for added in &plan.added_dirs {
                let count = sysroot.repo().count_tree(*added)?;
                links += count.files;
                dirs += count.dirs;
            }
            for removed in &plan.removed_dirs {
                let count = sysroot.repo().count_tree(*removed)?;
                removals += count.files + count.dirs;
            }
        }
        let block = sysroot.ostree().space()?.block_size;
        Ok(TreePlan {
            method: TreeMethod::Recycle,
            reason: format!(
                "the spare holds commit {} (checked: {})",
                found.spare.commit,
                self.trust.word()
            ),
            links: Some(links),
            removals: Some(removals),
            dirs: Some(dirs),
            bytes: Some(dirs.saturating_mul(block)),
        })
    }

    fn build_full(&self, sysroot: &Sysroot, target: &TreeTarget<'_>) -> Result<BuiltTree> {
        let step = || "Checking out deployment tree".to_string();
        let store = Store::create(sysroot, target.stateroot)?;
        if self.recycle {
            // Its time would come at the next deploy, with the same verdict.
            for spare in store.spares()? {
                store.drop_spare(sysroot.repo(), &spare)?;
            }
            // What there is of one whose tree was never brought here.
            store.forget_commit(sysroot.repo())?;
        }
        store.discard_work()?;
        store.forget(target.name)?;
        let (dir, made, seal) = full_checkout(sysroot, &store, target.root).during(step)?;
        *self.building.borrow_mut() = Some(Building::Full(seal));
        let stats = TreeStats::from(made);
        Ok(BuiltTree { dir, etc: TreeEtc::AsCommitted, method: TreeMethod::Full, stats })
    }

    fn build_recycled(
        &self,
        sysroot: &Sysroot,
        target: &TreeTarget<'_>,
        found: Convertible,
    ) -> Result<BuiltTree> {
        let Convertible { store, spare, plan } = found;
        store.discard_work()?;
        store.forget(target.name)?;
        let dir = store.begin_work(&spare)?;
        let done = plan.apply(sysroot.repo(), &deployment_checkout(), &dir);
        let done = done.during(|| "Converting the spare".to_string())?;
        let mut changes: Vec<SealChange> =
            done.gone.into_iter().filter(|path| is_sealed(path)).map(SealChange::Removed).collect();
        changes.extend(sealed_dirs(&done.touched).map(|(path, seal)| SealChange::Set(path, seal)));
        *self.building.borrow_mut() = Some(Building::Recycled(changes));
        let mut stats = TreeStats::from(done.made);
        stats.removals = done.removed.0 + done.removed.1;
        let etc = recycled_etc(sysroot, target.stateroot, &spare, &dir, self.trust)?;
        Ok(BuiltTree { dir, etc, method: TreeMethod::Recycle, stats })
    }
}

/// Checks a tree out as the work tree and seals it.
pub(super) fn full_checkout(
    sysroot: &Sysroot,
    store: &Store,
    root: TreeId,
) -> Result<(Dir, CheckoutStats, Seal)> {
    let options = deployment_checkout();
    let made = checkout(sysroot.repo(), &options, root, store.dir(), store.work_name())?;
    let dir = store.dir().open_dir(store.work_name())?;
    let mut seal = Seal::default();
    let dirs = collect_dirs(&dir)?;
    seal.apply(sealed_dirs(&dirs).map(|(path, seal)| SealChange::Set(path, seal)));
    Ok((dir, made, seal))
}

/// What is known of the `etc` in a spare. It is looked at under every policy: it belongs to
/// the administrator, and nobody seals it when the machine leaves it. An `etc` that cannot be
/// described is removed, and made anew.
fn recycled_etc(
    sysroot: &Sysroot,
    stateroot: &str,
    spare: &Sealed,
    tree: &Dir,
    trust: Trust,
) -> Result<TreeEtc> {
    let scan = match trust {
        Trust::None => Scan::of_believing_links,
        Trust::Stat | Trust::Full => Scan::of,
    };
    let index = load_index(sysroot, stateroot, SPARE_INDEX, &spare.commit)?;
    let commit = sysroot.repo().load_commit(&spare.commit)?;
    let defaults = find_dir(sysroot, TreeId::of_commit(&commit), "usr/etc")?;
    if let (Some(index), Some(defaults), Some(etc)) = (index, defaults, tree.open_dir_opt("etc")?)
        && let Some(scan) = scan(&index, &etc)?
    {
        return Ok(TreeEtc::Recycled { index: Box::new(index), scan: Some(scan), defaults });
    }
    tree.remove_all("etc")?;
    Ok(TreeEtc::AsCommitted)
}

fn sealed_dirs(dirs: &[(String, Stat)]) -> impl Iterator<Item = (String, DirSeal)> {
    let sealed = dirs.iter().filter(|(path, _)| is_sealed(path));
    sealed.map(|(path, stat)| (path.clone(), DirSeal::from(stat)))
}

impl TreeBuilder for SpareBuilder {
    fn plan(&self, sysroot: &Sysroot, target: &TreeTarget<'_>) -> Result<TreePlan> {
        let found = self.find_trusted(sysroot, target)?;
        let planned = match &found {
            Err(reason) => FullCheckout { reason: reason.clone() }.plan(sysroot, target)?,
            Ok(found) => self.plan_recycling(sysroot, target, found)?,
        };
        *self.planned.borrow_mut() = Some(Planned { commit: *target.commit, found });
        Ok(planned)
    }

    fn build(&self, sysroot: &Sysroot, target: &TreeTarget<'_>) -> Result<BuiltTree> {
        let found = match self.planned.borrow_mut().take() {
            Some(planned) if planned.commit == *target.commit => planned.found,
            _ => self.find_trusted(sysroot, target)?,
        };
        match found {
            Ok(found) => self.build_recycled(sysroot, target, found),
            Err(_) => self.build_full(sysroot, target),
        }
    }

    fn abandon(&self, sysroot: &Sysroot, stateroot: &str) {
        self.building.borrow_mut().take();
        if let Ok(Some(store)) = Store::open(sysroot, stateroot) {
            // If it stays, the next run takes it away.
            let _ = store.discard_work();
        }
    }

    fn place(&self, sysroot: &Sysroot, target: &TreeTarget<'_>, _: &BuiltTree) -> Result<()> {
        let store = Store::create(sysroot, target.stateroot)?;
        let deploy = deploy_dir(sysroot, target.stateroot)?;
        match self.building.borrow_mut().take() {
            Some(Building::Recycled(changes)) => {
                store.spare_seal().append(target.commit, &changes)?;
                store.place(&deploy, target.name, true)
            }
            Some(Building::Full(seal)) => {
                store.seal_of(target.name).write(target.commit, &seal)?;
                store.place(&deploy, target.name, false)
            }
            None => Err(crate::SysrootError::Refused("no tree was built to be placed".into())),
        }
    }

    fn distrust(&self, sysroot: &Sysroot, stateroot: &str, name: &str) -> Result<()> {
        match Store::open(sysroot, stateroot)? {
            Some(store) => store.forget(name),
            None => Ok(()),
        }
    }

    fn retire(&self, sysroot: &Sysroot, tree: &Unlisted) -> Result<bool> {
        // Whatever was planned may rest on the spare that goes now.
        self.planned.borrow_mut().take();
        let Some(store) = Store::open(sysroot, &tree.stateroot)? else { return Ok(false) };
        let commit = parse_name(&tree.name).map(|(commit, _)| commit);
        let wanted = self.recycle && store.has_seal(&tree.name)?;
        let Some(commit) = commit.filter(|_| wanted) else {
            store.forget(&tree.name)?;
            return Ok(false);
        };
        if !has_commit(sysroot, &commit)? {
            store.forget(&tree.name)?;
            return Ok(false);
        }
        let deploy = deploy_dir(sysroot, &tree.stateroot)?;
        let ino = deploy.stat(&tree.name)?.ino;
        rename_index(sysroot, &tree.stateroot, &tree.name, SPARE_INDEX)?;
        store.adopt(sysroot.repo(), &deploy, &tree.name, &commit, ino)?;
        Ok(true)
    }
}

/// Whether the commit is still there to be compared with.
fn has_commit(sysroot: &Sysroot, commit: &Checksum) -> Result<bool> {
    match sysroot.repo().load_commit(commit) {
        Ok(_) => Ok(true),
        Err(e) if e.is_not_found() => Ok(false),
        Err(e) => Err(e.into()),
    }
}
