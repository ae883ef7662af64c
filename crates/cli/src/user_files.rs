//! Files that the user names: lists, messages, archives. Everything in a repository or a sysroot
//! goes through `trefoil-fsat`.
#![expect(clippy::disallowed_methods, reason = "no fault needs to be injected here")]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use crate::error::{Context as _, Result};

/// The text of a file.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).context(format!("reading {}", path.display()))
}

/// The bytes of a file, or of the standard input for `-`.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    if path != Path::new("-") {
        return fs::read(path).context(format!("reading {}", path.display()));
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("reading standard input")?;
    Ok(bytes)
}

/// A file, pipe or the standard input (for `-`) to be read as a stream.
pub fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let file = fs::File::open(path).context(format!("opening {}", path.display()))?;
    Ok(Box::new(file))
}

/// A file to be written as a stream; what was in it is gone.
pub fn create(path: &Path) -> Result<fs::File> {
    fs::File::create(path).context(format!("creating {}", path.display()))
}

/// Writes a file that must not be there yet, readable by its owner alone.
pub fn write_new(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .context(format!("creating {}", path.display()))?;
    file.write_all(text.as_bytes()).context(format!("writing {}", path.display()))
}

/// Removes a file.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).context(format!("removing {}", path.display()))
}

/// Makes a directory and those above it.
pub fn make_dirs(path: &Path) -> Result<()> {
    fs::create_dir_all(path).context(format!("making {}", path.display()))
}
