//! Makes a commit of generated content, over a commit that is there or over nothing, without a
//! directory to read it from:
//!
//!     cargo run -p trefoil-repo --example commit_tree -- REPO [BASE]
//!
//! Puts the file `usr/share/generated/hello` in place and prints the checksum of the commit. No
//! ref moves. Of a base only the directories on the way to the file are read and written: root,
//! `usr`, `usr/share`, `usr/share/generated`. The rest stays a checksum, whatever its size.

use std::error::Error;
use std::time::SystemTime;

use trefoil_format::checksum::Checksum;
use trefoil_format::dirmeta::DirMeta;
use trefoil_format::file::FileHeader;
use trefoil_format::gvariant::Metadata;
use trefoil_format::name::EntryName;
use trefoil_format::object::ObjectType;
use trefoil_format::xattrs::Xattrs;
use trefoil_fsat::Fs;
use trefoil_repo::commit::{CommitRequest, write_commit};
use trefoil_repo::{FileSource, MutableTree, Repo, Transaction, TreeId};

const DIR_MODE: u32 = 0o040_755;
const FILE_MODE: u32 = 0o100_644;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: commit_tree REPO [BASE]")?;
    let repo = Repo::open(Fs::new().open_dir(path)?)?;
    let base = arguments.next().map(|rev| repo.resolve_rev(&rev)).transpose()?;
    println!("{}", commit(&repo, base)?);
    Ok(())
}

fn commit(repo: &Repo, base: Option<Checksum>) -> Result<Checksum> {
    // Everything is staged in the transaction; dropping it takes everything back.
    let transaction = repo.begin()?;
    let mut tree = match &base {
        Some(base) => MutableTree::from_tree(TreeId::of_commit(&repo.load_commit(base)?)),
        None => MutableTree::new(),
    };
    let content = "Hello from no directory at all\n";
    put_file(&transaction, &mut tree, "usr/share/generated/hello", content.as_bytes())?;
    let request = CommitRequest {
        tree: tree.write(&transaction)?,
        parent: base,
        subject: "Generated".to_string(),
        body: String::new(),
        metadata: Metadata::default(),
        detached: None,
        // The library reads no clock: the time is part of the checksum, and the caller's.
        timestamp: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs(),
    };
    let checksum = write_commit(&transaction, request)?;
    transaction.commit()?;
    Ok(checksum)
}

/// Writes the file object first and then enters it, making the directories that lack.
fn put_file(
    transaction: &Transaction<'_>,
    tree: &mut MutableTree,
    path: &str,
    content: &[u8],
) -> Result<()> {
    let repo = transaction.repo();
    let xattrs = Xattrs::default();
    let dirmeta = DirMeta { uid: 0, gid: 0, mode: DIR_MODE, xattrs: xattrs.clone() };
    let dirmeta = transaction.write_metadata(ObjectType::DirMeta, &dirmeta.to_bytes())?;
    let header = FileHeader { uid: 0, gid: 0, mode: FILE_MODE, symlink_target: None, xattrs };
    let file = transaction.write_file(&header, FileSource::Bytes(content))?;

    let mut names =
        path.split('/').map(EntryName::new).collect::<std::result::Result<Vec<_>, _>>()?;
    let name = names.pop().ok_or("a file has a name")?;
    let mut dir = tree;
    give_metadata(dir, dirmeta);
    for name in &names {
        dir = dir.ensure_dir(repo, name)?;
        give_metadata(dir, dirmeta);
    }
    Ok(dir.replace_file(repo, name, file)?)
}

/// A directory that is new has no metadata yet; one of the base keeps its own.
fn give_metadata(dir: &mut MutableTree, dirmeta: Checksum) {
    if dir.metadata().is_none() {
        dir.set_metadata(dirmeta);
    }
}
