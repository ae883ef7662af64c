use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use trefoil_fsat::watch::Stopper;

use crate::error::{Context as _, Result};

/// Signals that ask for an end, held back so that what is under way is finished first.
#[derive(Debug)]
pub struct Signals {
    mask: SigSet,
    fd: SignalFd,
}

impl Signals {
    /// Holds them back in this thread and those it starts from here on. Programs that are
    /// started get them as ever.
    pub fn hold() -> Result<Signals> {
        let mask = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        let hold = || -> nix::Result<SignalFd> {
            mask.thread_block()?;
            SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)
        };
        Ok(Signals { mask, fd: hold().context("holding signals back")? })
    }

    /// The first signal ends the waiting; the second one does what it does by itself, for
    /// those who cannot wait for the commit that is under way.
    pub fn stop(self, stopper: Stopper) {
        // It ends with the program: nothing else makes a signal come.
        std::thread::spawn(move || {
            if matches!(self.fd.read_signal(), Ok(Some(_))) {
                stopper.stop();
            }
            if let Ok(Some(info)) = self.fd.read_signal()
                && let Ok(signal) = Signal::try_from(info.ssi_signo as i32)
            {
                let _ = self.mask.thread_unblock();
                let _ = raise(signal);
            }
        });
    }
}
