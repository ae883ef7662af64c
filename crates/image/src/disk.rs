use std::path::{Path, PathBuf};

use serde::Serialize;
use trefoil_fsat::{File, Fs};

use crate::export::Export;
use crate::hold::{Keep, hold};
use crate::{Place, Result, loops};

/// The first bytes of a qcow2 file.
const QCOW2_MAGIC: &[u8] = b"QFI\xfb";

/// The format of an image file.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The bytes of the disk as they are, with holes.
    #[default]
    Raw,
    /// QEMU's format.
    Qcow2,
}

impl Format {
    /// QEMU's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
        }
    }
}

/// An image that is ours alone until this value is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    format: Format,
    export: Option<Export>,
}

impl Disk {
    /// Opens an image and keeps everybody else out.
    ///
    /// # Errors
    /// No such file; it is in use by QEMU, by another run of this program, or by a loop device.
    pub(crate) fn open(fs: &Fs, place: &Place) -> Result<Disk> {
        let file = place.dir().open_in_place(place.name())?;
        let format = match file.read_up_to(QCOW2_MAGIC.len())?.as_slice() {
            QCOW2_MAGIC => Format::Qcow2,
            _ => Format::Raw,
        };
        let keep = match format {
            Format::Raw => Keep::All,
            Format::Qcow2 => Keep::ButQemu,
        };
        hold(&file, keep)?;
        loops::require_none(fs, &place.path(), file.stat()?.identity())?;
        Ok(Disk { file, format, export: None })
    }

    /// Its format.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// The open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// A file with the bytes of the disk as they are, to be opened and attached.
    pub(crate) fn raw(&mut self, fs: &Fs, path: &Path) -> Result<PathBuf> {
        if self.format == Format::Raw {
            return Ok(path.to_path_buf());
        }
        let export = match self.export.take() {
            Some(export) => export,
            None => Export::start(fs, path)?,
        };
        Ok(self.export.insert(export).path())
    }

    /// Ends what stands between us and the file, and makes the file durable.
    pub(crate) fn close(mut self) -> Result<()> {
        if let Some(export) = self.export.take() {
            export.stop()?;
        }
        Ok(self.file.sync()?)
    }
}
