use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use trefoil_format::checksum::{Checksum, Hasher};
use trefoil_fsat::{Dir, File, FileKind, Stat};

use super::diff::same_bytes;
use super::{EtcError, Result};

const PIECE: usize = 64 * 1024;
const TEMP: &str = ".trefoil-etc.tmp";
/// Holds the metadata of an object in a `bare-user` repository; a checked out file is a link
/// to it, a copy in `etc` is none.
const OSTREE_META: &[u8] = b"user.ostreemeta";
/// So that no sum made here can be taken for an object's.
const ID_CONTEXT: &[u8] = b"trefoil etc node 1\0";

type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// What a copy takes along besides content, owner and mode.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Take {
    pub(crate) xattrs: bool,
    /// Files carried over from the local `etc` keep their modification time, default ones
    /// do not: so does libostree.
    pub(crate) mtime: bool,
}

/// A name in an open directory that gets a new node.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) dir: &'a Dir,
    pub(crate) name: &'a OsStr,
    /// Something that is not a directory has the name now.
    pub(crate) taken: bool,
}

#[derive(Copy, Clone, Debug)]
pub(crate) struct Copied {
    /// Sum over type, mode, owner, attributes and content.
    pub(crate) id: Checksum,
    pub(crate) bytes: u64,
}

/// Copies a regular file or symbolic link. Where the name is taken the new node replaces the
/// old one by rename.
pub(crate) fn copy_node(
    from: &Dir,
    path: &Path,
    kind: FileKind,
    place: Place<'_>,
    take: Take,
) -> Result<Copied> {
    // Only under a name that is text can attributes be set on a new link.
    let direct = place.name.to_str().filter(|_| !place.taken);
    let name = direct.unwrap_or(TEMP);
    let copied = match kind {
        FileKind::Regular => copy_file(from, path, place.dir, name, take)?,
        FileKind::Symlink => copy_link(from, path, place.dir, name, take)?,
        _ => return Err(changing(path, kind)),
    };
    if direct.is_none() {
        place.dir.rename(name, place.dir, place.name)?;
    }
    Ok(copied)
}

fn changing(path: &Path, was: FileKind) -> EtcError {
    EtcError::Changing { path: path.to_path_buf(), was: was.word() }
}

fn copy_file(from: &Dir, path: &Path, to: &Dir, name: &str, take: Take) -> Result<Copied> {
    let source = from.open_file(path)?;
    let stat = source.stat()?;
    if !stat.is_file() {
        return Err(changing(path, FileKind::Regular));
    }
    let xattrs = if take.xattrs { source.xattrs()? } else { Attributes::new() };
    let xattrs = own(xattrs);
    let target = create(to, name)?;
    let mut hasher = id_hasher(&stat, &xattrs);
    let bytes = copy_bytes(&source, &target, &mut hasher)?;
    target.set_owner(stat.uid, stat.gid)?;
    for (key, value) in &xattrs {
        target.set_xattr(key, value)?;
    }
    // Last, since a change of owner takes the setuid bit away.
    target.set_mode(stat.mode)?;
    if take.mtime {
        target.set_mtime(stat.mtime)?;
    }
    Ok(Copied { id: hasher.finish(), bytes })
}

fn copy_bytes(source: &File, target: &File, hasher: &mut Hasher) -> Result<u64> {
    let mut buffer = vec![0; PIECE];
    let mut total = 0;
    loop {
        let n = source.read_some(&mut buffer)?;
        if n == 0 {
            return Ok(total);
        }
        hasher.update(&buffer[..n]);
        target.write_all(&buffer[..n])?;
        total += n as u64;
    }
}

/// Creates a file; the leftover of an interrupted run under the temporary name is removed.
fn create(to: &Dir, name: &str) -> Result<File> {
    match to.create_file(name, 0o600) {
        Err(e) if e.is_exists() && name == TEMP => {
            to.unlink(name)?;
            Ok(to.create_file(name, 0o600)?)
        }
        other => Ok(other?),
    }
}

fn copy_link(from: &Dir, path: &Path, to: &Dir, name: &str, take: Take) -> Result<Copied> {
    let stat = from.stat(path)?;
    if !stat.is_symlink() {
        return Err(changing(path, FileKind::Symlink));
    }
    let target = from.read_link(path)?;
    let xattrs = if take.xattrs { from.xattrs_of(path)? } else { Attributes::new() };
    let xattrs = own(xattrs);
    let link = || to.symlink(OsStr::from_bytes(&target), name);
    match link() {
        Err(e) if e.is_exists() && name == TEMP => {
            to.unlink(name)?;
            link()?;
        }
        other => other?,
    }
    to.set_owner_of_new(name, stat.uid, stat.gid)?;
    for (key, value) in &xattrs {
        to.set_xattr_of_new(name, key, value)?;
    }
    let mut hasher = id_hasher(&stat, &xattrs);
    hasher.update(&target);
    Ok(Copied { id: hasher.finish(), bytes: 0 })
}

/// The attributes that belong to the file and not to the repository.
fn own(mut xattrs: Attributes) -> Attributes {
    xattrs.retain(|(name, _)| name != OSTREE_META);
    xattrs.sort();
    xattrs
}

fn id_hasher(stat: &Stat, xattrs: &Attributes) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(ID_CONTEXT);
    for number in [stat.mode, stat.uid, stat.gid, xattrs.len() as u32] {
        hasher.update(&number.to_le_bytes());
    }
    for part in xattrs.iter().flat_map(|(name, value)| [name, value]) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher
}

/// Owner, mode and attributes of a directory.
#[derive(Clone, Debug)]
pub(crate) struct DirAttributes {
    stat: Stat,
    xattrs: Attributes,
}

impl DirAttributes {
    pub(crate) fn of(dir: &Dir, xattrs: bool) -> Result<DirAttributes> {
        let xattrs = if xattrs { own(dir.xattrs()?) } else { Attributes::new() };
        Ok(DirAttributes { stat: dir.stat_self()?, xattrs })
    }

    /// These attributes put over those a directory has, whose further extended attributes stay.
    pub(crate) fn over(mut self, present: &DirAttributes) -> DirAttributes {
        for (name, value) in &present.xattrs {
            if !self.xattrs.iter().any(|(n, _)| n == name) {
                self.xattrs.push((name.clone(), value.clone()));
            }
        }
        self.xattrs.sort();
        self
    }

    pub(crate) fn same_metadata(&self, other: &DirAttributes) -> bool {
        let key = |s: &Stat| (s.mode, s.uid, s.gid);
        key(&self.stat) == key(&other.stat)
    }

    pub(crate) fn id(&self) -> Checksum {
        id_hasher(&self.stat, &self.xattrs).finish()
    }

    /// Gives `dir` these attributes; a new one has no others yet.
    pub(crate) fn give(&self, dir: &Dir, is_new: bool) -> Result<()> {
        if !is_new {
            for (name, _) in own(dir.xattrs()?) {
                if !self.xattrs.iter().any(|(n, _)| *n == name) {
                    dir.remove_xattr(&name)?;
                }
            }
        }
        dir.set_owner(self.stat.uid, self.stat.gid)?;
        for (name, value) in &self.xattrs {
            dir.set_xattr(name, value)?;
        }
        Ok(dir.set_mode(self.stat.mode)?)
    }
}

/// Whether two nodes are equal in what libostree compares: no extended attributes, no times.
pub(crate) fn equal_nodes(a: (&Dir, &Path, &Stat), b: (&Dir, &Path, &Stat)) -> Result<bool> {
    let key = |s: &Stat| (s.mode, s.uid, s.gid);
    if key(a.2) != key(b.2) {
        return Ok(false);
    }
    match a.2.kind() {
        FileKind::Regular if a.2.size != b.2.size => Ok(false),
        FileKind::Regular => same_bytes(&a.0.open_file(a.1)?, &b.0.open_file(b.1)?, &mut 0),
        FileKind::Symlink => Ok(a.0.read_link(a.1)? == b.0.read_link(b.1)?),
        _ => Ok(true),
    }
}
