use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use trefoil_fsat::{Dir, Fs};

use crate::attach::run_dir;
use crate::tools::{command, starting};
use crate::{ImageError, Result};

/// The name of our files is this and the number of our process.
const NAME: &str = "disk.";
const PROGRAM: &str = "qemu-storage-daemon";
/// Time between two looks whether the export is there, and how often we look.
const PAUSE: Duration = Duration::from_millis(5);
const LOOKS: u32 = 2000;

/// The content of a qcow2 image as a file of its own, served by `qemu-storage-daemon` over FUSE.
/// The daemon ends with the thread that started it, and with that the file: the kernel sends it
/// SIGTERM.
#[derive(Debug)]
pub(crate) struct Export {
    daemon: Child,
    dir: Dir,
    name: String,
}

impl Export {
    /// Starts to serve the image at `image`.
    pub(crate) fn start(fs: &Fs, image: &Path) -> Result<Export> {
        let dir = fs.open_dir(run_dir(fs)?)?;
        remove_leftovers(fs, &dir)?;
        let name = format!("{NAME}{}", std::process::id());
        dir.create_file(&name, 0o600)?;
        let path = dir.path().join(&name);
        let mut daemon = command("setpriv");
        daemon.args(["--pdeathsig", "TERM", PROGRAM]);
        let file = format!("driver=file,node-name=file,filename={}", option_value(image));
        let format = "driver=qcow2,node-name=disk,file=file";
        daemon.args(["--blockdev", &file, "--blockdev", format, "--export"]).arg(format!(
            "type=fuse,id=export,node-name=disk,mountpoint={},writable=on",
            option_value(&path)
        ));
        daemon.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = daemon.spawn().map_err(|e| starting("setpriv", &e))?;
        let mut export = Export { daemon: child, dir, name };
        export.wait()?;
        Ok(export)
    }

    /// Waits until the file has the length of the disk.
    fn wait(&mut self) -> Result<()> {
        for _ in 0..LOOKS {
            if let Some(status) = self.daemon.try_wait().map_err(|e| starting(PROGRAM, &e))? {
                let message = self.said().unwrap_or_else(|| status.to_string());
                return Err(ImageError::Program { command: PROGRAM.into(), message });
            }
            if self.dir.stat(&self.name)?.size > 0 {
                return Ok(());
            }
            sleep(PAUSE);
        }
        let message = "it did not serve the image in time".to_string();
        Err(ImageError::Program { command: PROGRAM.into(), message })
    }

    fn said(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut pipe = self.daemon.stderr.take()?;
        std::io::Read::read_to_string(&mut pipe, &mut text).ok()?;
        let text = text.trim().replace('\n', "; ");
        (!text.is_empty()).then_some(text)
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    /// Has the daemon write everything out and waits for its end.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.terminate();
        let status = self.daemon.wait().map_err(|e| starting(PROGRAM, &e))?;
        self.dir.unlink_opt(&self.name)?;
        if status.success() {
            return Ok(());
        }
        let message = self.said().unwrap_or_else(|| status.to_string());
        Err(ImageError::Program { command: PROGRAM.into(), message })
    }

    fn terminate(&self) {
        // One that is gone already needs no signal.
        if let Ok(pid) = i32::try_from(self.daemon.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            self.terminate();
            let _ = self.daemon.wait();
        }
        // What stays is found by the next run.
        let _ = self.dir.unlink_opt(&self.name);
    }
}

/// Removes the files of processes that are gone.
fn remove_leftovers(fs: &Fs, dir: &Dir) -> Result<()> {
    let proc = fs.open_dir("/proc")?;
    for entry in dir.entries()? {
        let Some(pid) = entry.name.to_str().and_then(|name| name.strip_prefix(NAME)) else {
            continue;
        };
        if !proc.exists(pid)? {
            // A daemon that is on its way out still holds it.
            let _ = dir.unlink_opt(&entry.name);
        }
    }
    Ok(())
}

/// QEMU's options are separated by commas, which are doubled in a value.
fn option_value(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}
