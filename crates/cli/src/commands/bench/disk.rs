//! Where a benchmark works: a directory, or an ext4 image mounted for the time of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::lab::peer::run;
use crate::error::{Context as _, Result};
use crate::ui::Ui;

/// An ext4 image, mounted; unmounted when the value is dropped.
#[derive(Debug)]
pub struct Image {
    mount: PathBuf,
}

impl Image {
    /// Makes and mounts a sparse image of `size` bytes below `dir`. Says where what is written
    /// takes memory and time twice, which no disk does: the loop device is to go past the page
    /// cache, and not every file system below can.
    #[expect(clippy::disallowed_methods, reason = "an image is no part of a sysroot")]
    pub fn mount(dir: &Path, size: u64, ui: &Ui) -> Result<Image> {
        let (image, mount) = (dir.join("image"), dir.join("mount"));
        let file = File::create_new(&image).context(format!("making {}", image.display()))?;
        file.set_len(size).context(format!("making {}", image.display()))?;
        let mut format = Command::new("mkfs.ext4");
        // What is left to be initialised the kernel does meanwhile, beside what is measured.
        format.args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]);
        run(with(format.arg(&image)))?;
        std::fs::create_dir(&mount).context(format!("making {}", mount.display()))?;
        let mut command = Command::new("mount");
        run(with(command.args(["-o", "loop"]).arg(&image).arg(&mount)))?;
        let image = Image { mount };
        if let Err(e) = image.go_past_the_cache() {
            ui.words(format_args!("the image is cached twice, which slows down both: {e}"))?;
        }
        Ok(image)
    }

    fn go_past_the_cache(&self) -> Result<()> {
        let mut find = Command::new("findmnt");
        let found = run(with(find.args(["--noheadings", "--output", "SOURCE"]).arg(&self.mount)))?;
        let mut set = Command::new("losetup");
        run(with(set.args(["--direct-io=on", found.output.trim()]))).map(drop)
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

/// A command of its own from one that was put together by reference.
fn with(command: &mut Command) -> Command {
    let mut owned = Command::new(command.get_program());
    owned.args(command.get_args());
    owned
}
