//! Where a benchmark works: a directory, or an ext4 image mounted for the time of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::lab::peer::run;
use crate::error::{Context as _, Result};

/// An ext4 image, mounted; unmounted when the value is dropped.
#[derive(Debug)]
pub struct Image {
    mount: PathBuf,
}

impl Image {
    /// Makes and mounts a sparse image of `size` bytes below `dir`.
    #[expect(clippy::disallowed_methods, reason = "an image is no part of a sysroot")]
    pub fn mount(dir: &Path, size: u64) -> Result<Image> {
        let (image, mount) = (dir.join("image"), dir.join("mount"));
        let file = File::create_new(&image).context(format!("making {}", image.display()))?;
        file.set_len(size).context(format!("making {}", image.display()))?;
        let mut format = Command::new("mkfs.ext4");
        run(with(format.args(["-q", "-F"]).arg(&image)))?;
        std::fs::create_dir(&mount).context(format!("making {}", mount.display()))?;
        let mut command = Command::new("mount");
        run(with(command.args(["-o", "loop"]).arg(&image).arg(&mount)))?;
        avoid_second_cache(&mount);
        Ok(Image { mount })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // What holds it busy is not ours to end; the message of `umount` goes to the terminal.
        let _ = Command::new("umount").arg(&self.mount).status();
    }
}

/// Lets the loop device go past the page cache: a disk has none, and with one all that is written
/// takes memory and time twice. Where the file system below cannot, that is how it is measured.
fn avoid_second_cache(mount: &Path) {
    let mut find = Command::new("findmnt");
    let found = find.args(["--noheadings", "--output", "SOURCE"]).arg(mount).output();
    if let Ok(output) = found {
        let device = String::from_utf8_lossy(&output.stdout).trim().to_string();
        let _ = Command::new("losetup").args(["--direct-io=on", &device]).output();
    }
}

/// A command of its own from one that was put together by reference.
fn with(command: &mut Command) -> Command {
    let mut owned = Command::new(command.get_program());
    owned.args(command.get_args());
    owned
}
