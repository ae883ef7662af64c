use serde::Serialize;
use trefoil_fsat::File;

use crate::disk::Disk;
use crate::tools::run;
use crate::{Format, ImageError, Place, Result, Surroundings};

/// The name of a snapshot is that of the image and this.
const SUFFIX: &str = "snapshot";

/// How the state before an update was kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotMethod {
    /// The blocks are shared until one side changes.
    Reflink,
    /// The data was copied: the file system cannot share blocks.
    Copy,
    /// The image became a qcow2 file of differences to the snapshot.
    Backing,
    /// The differences to the snapshot were written into it: it is the state of now again.
    Merged,
}

/// The state before an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The file.
    pub path: String,
    /// How it was made.
    pub method: SnapshotMethod,
    /// Bytes that were copied for it.
    pub copied: u64,
}

impl SnapshotMethod {
    /// In words for people, with the reason where it was not the cheap way.
    pub const fn words(self) -> &'static str {
        match self {
            SnapshotMethod::Reflink => "blocks shared with the image",
            SnapshotMethod::Copy => {
                "copied in full: this file system cannot share blocks between files"
            }
            SnapshotMethod::Backing => "the image is a file of differences to it now",
            SnapshotMethod::Merged => "the differences since it were merged into it",
        }
    }
}

/// Keeps the state of the image as it is now, in place of an older snapshot.
pub(crate) fn take(around: &Surroundings, place: &Place) -> Result<Snapshot> {
    let disk = Disk::open(&around.fs, place)?;
    let name = place.beside(SUFFIX);
    let (method, copied) = match disk.format() {
        Format::Raw => copy(place, disk.file(), &name)?,
        Format::Qcow2 => {
            // qemu-img locks the file itself.
            disk.close()?;
            (differences(place, &name)?, 0)
        }
    };
    let path = place.path_of(&name).display().to_string();
    Ok(Snapshot { path, method, copied })
}

fn copy(place: &Place, source: &File, name: &str) -> Result<(SnapshotMethod, u64)> {
    let draft = place.hidden("snapshot");
    place.dir().unlink_opt(&draft)?;
    let target = place.dir().create_file(&draft, 0o600)?;
    let done = if target.reflink_from(source)? {
        (SnapshotMethod::Reflink, 0)
    } else {
        target.set_len(source.stat()?.size)?;
        (SnapshotMethod::Copy, target.copy_data_from(source, 0)?)
    };
    target.sync()?;
    place.dir().rename(&draft, place.dir(), name)?;
    place.dir().sync()?;
    Ok(done)
}

/// At every step the name of the image leads to a whole image of the same content.
fn differences(place: &Place, name: &str) -> Result<SnapshotMethod> {
    let path = |name: &str| place.path_of(name).to_string_lossy().into_owned();
    if place.dir().exists(name)? {
        if backing_file(place)?.as_deref() != Some(name) {
            let path = path(name);
            return Err(ImageError::Refused(format!(
                "{path} is there and does not belong to the image: move it away first"
            )));
        }
        run("qemu-img", ["commit", "-q", "-f", "qcow2", &path(place.name())])?;
        return Ok(SnapshotMethod::Merged);
    }
    let draft = place.hidden("snapshot");
    place.dir().unlink_opt(&draft)?;
    place.dir().link(place.name(), place.dir(), name)?;
    // The name of the backing file is relative to the image.
    let made =
        run("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", name, &path(&draft)]);
    if let Err(e) = made {
        place.dir().unlink_opt(name)?;
        return Err(e);
    }
    place.dir().open_file(&draft)?.sync()?;
    place.dir().rename(&draft, place.dir(), place.name())?;
    place.dir().sync()?;
    Ok(SnapshotMethod::Backing)
}

fn backing_file(place: &Place) -> Result<Option<String>> {
    let path = place.path().to_string_lossy().into_owned();
    let text = run("qemu-img", ["info", "-U", "--output=json", &path])?;
    let info: serde_json::Value = serde_json::from_str(&text).map_err(|e| ImageError::Program {
        command: format!("qemu-img info {path}"),
        message: e.to_string(),
    })?;
    Ok(info.get("backing-filename").and_then(|name| name.as_str()).map(str::to_string))
}

/// The path of the snapshot of an image, if there is one.
pub(crate) fn find(place: &Place) -> Result<Option<String>> {
    let name = place.beside(SUFFIX);
    let there = place.dir().exists(&name)?;
    Ok(there.then(|| place.path_of(&name).display().to_string()))
}

/// Puts the snapshot in the place of the image, whose state is lost. One rename.
///
/// # Errors
/// There is no snapshot; the image is in use.
pub fn restore_snapshot(around: &Surroundings, place: &Place) -> Result<()> {
    let name = existing_snapshot(place)?;
    let _held = Disk::open(&around.fs, place)?;
    place.dir().rename(&name, place.dir(), place.name())?;
    Ok(place.dir().sync()?)
}

/// The name of the snapshot beside the image.
///
/// # Errors
/// There is none.
pub fn existing_snapshot(place: &Place) -> Result<String> {
    let name = place.beside(SUFFIX);
    if !place.dir().exists(&name)? {
        let path = place.path_of(&name);
        return Err(ImageError::Refused(format!("there is no snapshot {}", path.display())));
    }
    Ok(name)
}
