//! Changes to a committed tree, each at the cost of the directories above it.

use std::io::Read;

use trefoil_format::dirmeta::DirMeta;
use trefoil_format::file::FileHeader;
use trefoil_format::name::EntryName;
use trefoil_format::object::ObjectType;
use trefoil_format::xattrs::Xattrs;
use trefoil_repo::{FileSource, MutableTree, Repo, Transaction};

use super::source::Owner;
use crate::error::{CliError, Result};

const S_IFREG: u32 = 0o100_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFLNK: u32 = 0o120_000;

/// What happens to one path of the tree.
#[derive(Clone, Debug)]
pub struct Edit {
    /// From the root of the tree, without a slash before it.
    pub path: String,
    /// What.
    pub action: Action,
}

/// How a path changes.
#[derive(Clone, Debug)]
pub enum Action {
    /// A line is added at the end of a file.
    Append,
    /// A new file with this content; directories above it are made.
    Add(Vec<u8>),
    /// It goes, with all below it.
    Remove,
    /// Execute permission for all is turned over.
    Chmod,
    /// A symbolic link leads elsewhere.
    Relink(String),
    /// A file takes the place of a directory.
    DirToFile,
}

impl Action {
    /// The word for the report.
    pub const fn word(&self) -> &'static str {
        match self {
            Action::Append => "edited",
            Action::Add(_) => "added",
            Action::Remove => "removed",
            Action::Chmod => "mode changed",
            Action::Relink(_) => "link changed",
            Action::DirToFile => "directory to file",
        }
    }
}

impl Edit {
    /// Makes the change for `version` in `tree`, with new objects in the transaction.
    pub fn apply(
        &self,
        transaction: &Transaction<'_>,
        tree: &mut MutableTree,
        version: &str,
        owner: Owner,
    ) -> Result<()> {
        let repo = transaction.repo();
        let (above, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let dir = ensure_path(transaction, tree, above)?;
        let name = EntryName::new(name)?;
        match &self.action {
            Action::Append => {
                let (header, mut content) = load(repo, dir, &name, &self.path)?;
                content.extend_from_slice(format!("\n# version {version}\n").as_bytes());
                let source = FileSource::Bytes(&content);
                dir.replace_file(repo, name, transaction.write_file(&header, source)?)?;
            }
            Action::Chmod => {
                let (mut header, content) = load(repo, dir, &name, &self.path)?;
                header.mode ^= 0o111;
                let source = FileSource::Bytes(&content);
                dir.replace_file(repo, name, transaction.write_file(&header, source)?)?;
            }
            Action::Add(content) => add_file(transaction, dir, name, content, owner)?,
            Action::Relink(target) => {
                dir.remove(repo, &name)?;
                add_link(transaction, dir, name, target, owner)?;
            }
            Action::Remove => require(dir.remove(repo, &name)?, &self.path)?,
            Action::DirToFile => {
                require(dir.remove(repo, &name)?, &self.path)?;
                add_file(transaction, dir, name, b"no longer a directory\n", owner)?;
            }
        }
        Ok(())
    }
}

/// Puts a new file into `dir`.
pub fn add_file(
    transaction: &Transaction<'_>,
    dir: &mut MutableTree,
    name: EntryName,
    content: &[u8],
    (uid, gid): Owner,
) -> Result<()> {
    let mode = S_IFREG | 0o644;
    let header = FileHeader { uid, gid, mode, symlink_target: None, xattrs: Xattrs::default() };
    let checksum = transaction.write_file(&header, FileSource::Bytes(content))?;
    Ok(dir.replace_file(transaction.repo(), name, checksum)?)
}

/// Puts a new symbolic link into `dir`.
pub fn add_link(
    transaction: &Transaction<'_>,
    dir: &mut MutableTree,
    name: EntryName,
    target: &str,
    (uid, gid): Owner,
) -> Result<()> {
    let symlink_target = Some(target.to_string());
    let mode = S_IFLNK | 0o777;
    let header = FileHeader { uid, gid, mode, symlink_target, xattrs: Xattrs::default() };
    let checksum = transaction.write_file(&header, FileSource::Empty)?;
    Ok(dir.replace_file(transaction.repo(), name, checksum)?)
}

/// Gives `dir` mode 0755.
pub fn set_plain_metadata(
    transaction: &Transaction<'_>,
    dir: &mut MutableTree,
    (uid, gid): Owner,
) -> Result<()> {
    let meta = DirMeta { uid, gid, mode: S_IFDIR | 0o755, xattrs: Xattrs::default() };
    dir.set_metadata(transaction.write_metadata(ObjectType::DirMeta, &meta.to_bytes())?);
    Ok(())
}

/// The directory at `path`; what is missing gets the metadata of the directory above.
pub fn ensure_path<'t>(
    transaction: &Transaction<'_>,
    tree: &'t mut MutableTree,
    path: &str,
) -> Result<&'t mut MutableTree> {
    let mut dir = tree;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let above = dir.metadata();
        dir = dir.ensure_dir(transaction.repo(), &EntryName::new(name)?)?;
        if let (None, Some(above)) = (dir.metadata(), above) {
            dir.set_metadata(above);
        }
    }
    Ok(dir)
}

fn load(
    repo: &Repo,
    dir: &mut MutableTree,
    name: &EntryName,
    path: &str,
) -> Result<(FileHeader, Vec<u8>)> {
    let checksum = dir.file(repo, name)?;
    let checksum = checksum.ok_or_else(|| CliError::failed(format!("{path} is no file")))?;
    let mut object = repo.load_file(&checksum)?;
    let mut content = Vec::new();
    object.content.read_to_end(&mut content)?;
    Ok((object.header, content))
}

fn require(there: bool, path: &str) -> Result<()> {
    if there { Ok(()) } else { Err(CliError::failed(format!("{path} is not in the tree"))) }
}
