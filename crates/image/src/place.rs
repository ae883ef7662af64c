use std::path::{Path, PathBuf};

use trefoil_fsat::{Dir, Fs, FsError};

use crate::Result;

/// Where an image file is: an open directory and a name in it.
#[derive(Debug)]
pub struct Place {
    dir: Dir,
    name: String,
}

impl Place {
    /// Opens the directory that `path` lies in; the file itself need not be there. The last
    /// component is taken as it is: resolve symbolic links before.
    ///
    /// # Errors
    /// No such directory; a path that ends in no name, or in one that is not UTF-8.
    pub fn open(fs: &Fs, path: &Path) -> Result<Place> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            let cause = std::io::Error::from(std::io::ErrorKind::InvalidFilename);
            FsError::new("open image", path, cause)
        })?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        Ok(Place { dir: fs.open_dir(parent)?, name: name.to_string() })
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The name of the image in it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The path, for messages and for programs.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    /// The name of a file that goes with this one.
    pub(crate) fn beside(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }

    /// The name of a file that is only there while something is being made.
    pub(crate) fn hidden(&self, suffix: &str) -> String {
        format!(".{}.trefoil-{suffix}", self.name)
    }

    /// Path of another name in the same directory.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
