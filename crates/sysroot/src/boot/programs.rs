use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use trefoil_fsat::Watchdog;

use crate::{Result, SysrootError};

/// Programs that a change of boot entries may call.
#[derive(Clone, Debug, Default)]
pub struct BootPrograms {
    /// Watches over the freeze of `/boot`. Without it `/boot` is synced, and a boot loader
    /// that cannot replay the journal may see the old list after a power cut.
    pub watchdog: Option<Watchdog>,
    /// Writes GRUB's configuration, called with `-o FILE`: the first of these that is there.
    /// `OSTREE_GRUB2_EXEC`, or the places of `grub2-mkconfig` where that is not set.
    pub grub2: Vec<PathBuf>,
    /// What the programs say goes where we write, instead of nowhere.
    pub show_output: bool,
}

impl BootPrograms {
    /// Calls `command` and waits for it.
    pub(super) fn run(&self, command: &mut Command) -> Result<()> {
        let name = command.get_program().to_os_string();
        let failed = |what: String| {
            SysrootError::State(format!("{}: {what}", OsStr::new(&name).to_string_lossy()))
        };
        if !self.show_output {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        let status = command.stdin(Stdio::null()).status().map_err(|e| failed(e.to_string()))?;
        if status.success() { Ok(()) } else { Err(failed(format!("ended with {status}"))) }
    }
}
