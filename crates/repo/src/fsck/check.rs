use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::dirtree::DirTreeView;
use trefoil_format::error::FormatError;
use trefoil_format::file::FileHeader;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::FsError;

use crate::{Repo, RepoError, Result};

const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// Checks one object by itself: its checksum, and for metadata the structure, names included.
///
/// # Errors
/// [`RepoError::ObjectMissing`], or what is wrong with it.
pub fn check_object(repo: &Repo, name: &ObjectName) -> Result<()> {
    match name.kind {
        ObjectType::File => check_content(repo, &name.checksum),
        _ => check_metadata(repo, name),
    }
}

fn check_metadata(repo: &Repo, name: &ObjectName) -> Result<()> {
    let bytes = repo.load_metadata(name.kind, &name.checksum)?;
    let actual = Checksum::of(&bytes);
    if actual != name.checksum {
        return Err(mismatch(name.kind, name.checksum, actual));
    }
    let parsed: std::result::Result<(), FormatError> = match name.kind {
        ObjectType::Commit => Commit::parse(&bytes).map(drop),
        ObjectType::DirTree => DirTreeView::parse(&bytes).map(drop),
        ObjectType::DirMeta => DirMeta::parse(&bytes).map(drop),
        _ => Ok(()),
    };
    parsed.map_err(|source| RepoError::Format { what: name.to_string(), source })
}

fn check_content(repo: &Repo, checksum: &Checksum) -> Result<()> {
    let object = repo.load_file(checksum)?;
    check_mode(&object.header)?;
    let path = repo.object_path(&ObjectName::new(*checksum, ObjectType::File)).to_string();
    let actual = object.checksum().map_err(|e| FsError::new("read object", path, e))?;
    match actual == *checksum {
        true => Ok(()),
        false => Err(mismatch(ObjectType::File, *checksum, actual)),
    }
}

fn check_mode(header: &FileHeader) -> Result<()> {
    let mode = header.mode;
    if !matches!(mode & S_IFMT, S_IFREG | S_IFLNK) {
        let what = format!("Invalid file metadata mode {mode}; not a valid file type");
        return Err(RepoError::Refused(what));
    }
    if mode & !(S_IFMT | 0o7777) != 0 {
        return Err(RepoError::Refused(format!("Invalid mode {mode}; invalid bits in mode")));
    }
    Ok(())
}

fn mismatch(kind: ObjectType, expected: Checksum, actual: Checksum) -> RepoError {
    RepoError::ChecksumMismatch { kind: kind.suffix(), expected, actual }
}
