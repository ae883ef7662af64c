//! A deployment that is finished at shutdown: made now, listed first, booted only after
//! [`Sysroot::finalize_staged`].
//!
//! What is left to do is kept in `/run/ostree/staged-deployment`, in libostree's form, so that
//! either program finishes or takes back what the other staged. `/run` forgets it by itself: a
//! machine that crashes boots the old list, and the next cleanup removes the tree.

mod failure;
mod finalize;
mod lock;
mod stage;
pub(crate) mod state;

pub use finalize::{FinalizeReport, Finalized};
pub(crate) use state::{StagedState, Stub};

use trefoil_format::kargs::KernelArgs;
use trefoil_format::loader_entry::LoaderEntry;
use trefoil_fsat::Dir;

use crate::error::During;
use crate::{Deployment, Result, Sysroot, SysrootError, Unlocked, origin, parse_name};

/// Name of the state below `/run/ostree`.
const STATE: &str = "staged-deployment";
/// The lock of versions of libostree before 2023.8, written beside the one in the state.
const LOCKED: &str = "staged-deployment-locked";
/// Largest state we read.
const LIMIT: u64 = 1 << 20;

impl Sysroot {
    /// The staged deployment; it is the first of the list.
    pub fn staged(&self) -> Option<&Deployment> {
        self.deployments().first().filter(|d| d.staged)
    }

    /// The deployments that have boot entries.
    pub fn listed(&self) -> &[Deployment] {
        &self.deployments()[usize::from(self.staged().is_some())..]
    }

    /// The directory of flags for this boot, where there is one.
    pub(crate) fn open_run(&self) -> Result<Option<Dir>> {
        let Some(path) = &self.options().run_dir else { return Ok(None) };
        match self.fs().open_dir(path) {
            Ok(dir) => Ok(Some(dir)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// As [`Sysroot::open_run`], made as needed.
    pub(crate) fn ensure_run(&self) -> Result<Dir> {
        let path = self.options().run_dir.as_deref();
        let Some((parent, name)) = path.and_then(|path| path.parent().zip(path.file_name())) else {
            return Err(SysrootError::Refused(
                "there is no directory for flags of this boot".into(),
            ));
        };
        let parent = self.fs().open_dir(parent)?;
        parent.ensure_dir(name, 0o755)?;
        Ok(parent.open_dir(name)?)
    }

    /// Loads what is staged on the running machine, next to the deployments that have entries.
    pub(crate) fn load_staged(
        &self,
        listed: &[Deployment],
    ) -> Result<Option<(Deployment, StagedState)>> {
        if self.options().booted.is_none() {
            return Ok(None);
        }
        let Some(run) = self.open_run()? else { return Ok(None) };
        let Some(bytes) = run.read_opt(STATE, LIMIT)? else { return Ok(None) };
        let step = || "Loading staged deployment".to_string();
        let state = StagedState::parse(&bytes).during(step)?;
        let deployment = self.staged_deployment(&state, listed).during(step)?;
        Ok(Some((deployment, state)))
    }

    fn staged_deployment(&self, state: &StagedState, listed: &[Deployment]) -> Result<Deployment> {
        let Stub { name, stateroot, bootcsum } = &state.target;
        let Some((checksum, serial)) = parse_name(name) else {
            let what = format!("Invalid deploy name '{name}', expected CHECKSUM.TREESERIAL");
            return Err(SysrootError::State(what));
        };
        let mut entry = LoaderEntry::default();
        let merge = state.merge.as_ref();
        let merge = merge.and_then(|stub| listed.iter().find(|d| stub.names(d)));
        match (&state.kargs, merge.and_then(|merge| merge.entry.get("options"))) {
            (Some(kargs), _) => {
                let mut args = KernelArgs::default();
                args.append_all(kargs);
                entry.set("options", &args.to_string());
            }
            // It has none of its own: whatever the merge deployment has by then.
            (None, Some(options)) => entry.set("options", options),
            (None, None) => {}
        }
        state.extra.iter().for_each(|(key, value)| entry.set(key, value));
        let mut deployment = Deployment {
            stateroot: stateroot.clone(),
            checksum,
            serial,
            bootcsum: *bootcsum,
            bootserial: 0,
            origin: None,
            entry,
            entry_name: None,
            unlocked: Unlocked::None,
            staged: true,
            finalization_locked: state.locked,
            identity: (0, 0),
            index: 0,
        };
        deployment.identity = self.dir().stat(deployment.path())?.identity();
        deployment.origin = origin::load(self.dir(), &deployment.origin_path())?;
        Ok(deployment)
    }

    /// Takes the staged deployment back: from here on its tree is one that nothing names.
    pub(crate) fn forget_staged(&self) -> Result<()> {
        let Some(run) = self.open_run()? else { return Ok(()) };
        run.unlink_opt(STATE)?;
        run.unlink_opt(LOCKED)?;
        Ok(())
    }
}
