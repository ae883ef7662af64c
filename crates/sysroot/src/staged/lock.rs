use trefoil_format::kargs::KernelArgs;

use super::{LOCKED, STATE, StagedState};
use crate::{Result, Sysroot, SysrootError, SysrootLock};

impl Sysroot {
    /// Keeps the staged deployment from being finished at shutdown, or no longer. False where
    /// it was so already. Not durable: nothing in `/run` is.
    ///
    /// # Errors
    /// Nothing is staged.
    pub fn set_finalization_locked(&mut self, _lock: &SysrootLock, on: bool) -> Result<bool> {
        let mut state = self.to_finish()?.clone();
        if state.locked == on {
            return Ok(false);
        }
        state.locked = on;
        let run = self.ensure_run()?;
        run.write(STATE, &state.to_bytes(), 0o644)?;
        self.write_legacy_lock(on)?;
        self.reload()?;
        Ok(true)
    }

    /// Whether [`Sysroot::set_finalization_locked`] would change anything.
    ///
    /// # Errors
    /// Nothing is staged.
    pub fn would_lock_finalization(&self, on: bool) -> Result<bool> {
        Ok(self.to_finish()?.locked != on)
    }

    fn to_finish(&self) -> Result<&StagedState> {
        let state = self.staged_state();
        state.ok_or_else(|| SysrootError::Refused("No staged deployment".into()))
    }

    /// Replaces the kernel arguments that the staged deployment will have.
    pub(crate) fn set_staged_kargs(&mut self, kargs: &KernelArgs) -> Result<()> {
        let mut state = self.to_finish()?.clone();
        state.kargs = Some(kargs.to_strings());
        self.ensure_run()?.write(STATE, &state.to_bytes(), 0o644)?;
        self.reload()
    }

    pub(super) fn write_legacy_lock(&self, on: bool) -> Result<()> {
        let run = self.ensure_run()?;
        match on {
            true => Ok(run.write(LOCKED, b"", 0o640)?),
            false => run.unlink_opt(LOCKED).map(drop).map_err(Into::into),
        }
    }

    /// Whether anything keeps the staged deployment from being finished.
    pub(super) fn is_finalization_locked(&self) -> Result<bool> {
        let legacy = match self.open_run()? {
            Some(run) => run.exists(LOCKED)?,
            None => false,
        };
        Ok(legacy || self.staged_state().is_some_and(|state| state.locked))
    }
}
