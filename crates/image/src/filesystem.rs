use serde::Serialize;
use trefoil_fsat::File;

use crate::error::During;
use crate::tools::run;
use crate::{Partition, Place, Result, Role};

/// The file system of the root partition.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filesystem {
    /// ext4.
    #[default]
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
}

/// What goes into a partition.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Content {
    Fat,
    /// ext4 with only what boot loaders' own readers know.
    PlainExt4,
    Root(Filesystem),
}

/// Makes the file system of a partition in a file of its own, lets `fill` put files into it, and
/// copies what is not a hole to its place on the disk. No loop device takes part.
pub(crate) fn make(
    place: &Place,
    disk: &File,
    partition: &Partition,
    root: Filesystem,
    fill: impl FnOnce(&str) -> Result<()>,
) -> Result<()> {
    let content = match partition.role {
        Role::Esp => Content::Fat,
        Role::Boot => Content::PlainExt4,
        Role::Root => Content::Root(root),
    };
    let name = place.hidden("part");
    place.dir().unlink_opt(&name)?;
    let file = place.dir().create_file(&name, 0o600)?;
    let path = place.path_of(&name).to_string_lossy().into_owned();
    let make = || -> Result<()> {
        file.set_len(partition.size)?;
        format(content, partition, &path)?;
        fill(&path)?;
        disk.copy_data_from(&file, partition.start)?;
        Ok(())
    };
    let made = make();
    place.dir().unlink_opt(&name)?;
    made.during(|| format!("making the {} partition", partition.role.label()))
}

fn format(content: Content, partition: &Partition, path: &str) -> Result<()> {
    let (label, uuid) = (partition.role.label(), partition.uuid.as_str());
    let xfs_uuid = format!("uuid={uuid}");
    let done = match content {
        Content::Fat => run("mkfs.fat", ["-F", "32", "-n", label, path]),
        Content::PlainExt4 => run(
            "mkfs.ext4",
            ["-q", "-F", "-L", label, "-U", uuid, "-O", "^64bit,^metadata_csum,^orphan_file", path],
        )
        // Versions before 1.47 do not know the last of these features, so they do not set it.
        .or_else(|_| {
            let features = "^64bit,^metadata_csum";
            run("mkfs.ext4", ["-q", "-F", "-L", label, "-U", uuid, "-O", features, path])
        }),
        Content::Root(Filesystem::Ext4) => {
            run("mkfs.ext4", ["-q", "-F", "-L", label, "-U", uuid, path])
        }
        Content::Root(Filesystem::Xfs) => {
            run("mkfs.xfs", ["-q", "-f", "-L", label, "-m", &xfs_uuid, path])
        }
        Content::Root(Filesystem::Btrfs) => {
            run("mkfs.btrfs", ["-q", "-f", "-L", label, "-U", uuid, path])
        }
    };
    done.map(drop)
}
