//! From a resource to its bytes. Everything here may block.

use bytes::Bytes;
use trefoil_format::checksum::Checksum;
use trefoil_format::keyfile::{KeyFile, KeyFileError};
use trefoil_format::object::{LoosePath, ObjectName, ObjectType};
use trefoil_fsat::{Dir, File, FsError, Stat};
use trefoil_repo::{Repo, RepoError, RepoMode};

use crate::conditional::{Validators, whole_seconds};
use crate::pack::Packer;
use crate::resource::{RefBase, Resource};

const CONFIG_LIMIT: u64 = 1 << 20;
/// A ref file holds a checksum and a newline; anything much longer is none.
const REF_LIMIT: u64 = 4096;
/// The keys of `core` that a client asks for, beside version and mode.
const CLIENT_KEYS: [&str; 3] = ["collection-id", "tombstone-commits", "indexed-deltas"];

/// Where bytes come from.
pub(crate) enum Origin {
    Bytes(Bytes),
    File(File, u64),
    Packed(Box<Packer>),
}

/// A resource that is there.
pub(crate) struct Opened {
    pub origin: Origin,
    pub validators: Validators,
    /// Whether it will have the same bytes for ever.
    pub immutable: bool,
    pub is_text: bool,
}

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("there is no such file")]
    Missing,
    #[error(transparent)]
    Repo(#[from] RepoError),
    #[error("parsing config")]
    Config(#[from] KeyFileError),
    #[error("config is not UTF-8")]
    Encoding,
}

impl From<FsError> for Unavailable {
    /// Nothing, or something that is not served: a directory, a link, a way out.
    fn from(e: FsError) -> Self {
        let not_ours = e.is_not_found()
            || e.is_directory_mixup()
            || e.is_not_directory()
            || e.is_cross_device();
        if not_ours { Unavailable::Missing } else { Unavailable::Repo(e.into()) }
    }
}

type Found = Result<Opened, Unavailable>;

/// Opens what `resource` names; content that has to be packed is packed at `level`.
pub(crate) fn open(repo: &Repo, resource: &Resource, level: u32) -> Found {
    match resource {
        Resource::Config => config(repo),
        Resource::Object(name) => object(repo, name, level),
        Resource::Ref(base, name) => read_ref(repo, *base, name),
        // It would tell the mode, which is not that of what we send, and may be signed.
        Resource::Summary(_) if repo.mode() != RepoMode::Archive => Err(Unavailable::Missing),
        Resource::Summary(path) | Resource::File(path) => {
            let (file, stat) = regular(repo.dir(), path)?;
            Ok(changing(file, &stat))
        }
        Resource::Follow | Resource::Report => Err(Unavailable::Missing),
    }
}

/// Whether the content of some object may have to be packed.
pub(crate) fn may_pack(repo: &Repo, resource: &Resource) -> bool {
    let is_content = matches!(resource, Resource::Object(name) if name.kind == ObjectType::File);
    is_content && lineage(repo).any(|repo| repo.mode() != RepoMode::Archive)
}

/// The repository and those it looks into for what it lacks.
fn lineage(repo: &Repo) -> impl Iterator<Item = &Repo> {
    std::iter::successors(Some(repo), |repo| repo.parent())
}

/// What a client has to know. The rest of the file is nobody's business: it may hold names and
/// passwords of remotes.
fn config(repo: &Repo) -> Found {
    let bytes = repo.dir().read("config", CONFIG_LIMIT)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Unavailable::Encoding)?;
    let key_file = KeyFile::parse(text)?;
    let mode = RepoMode::Archive.config_word();
    let mut told = format!("[core]\nrepo_version=1\nmode={mode}\n");
    for key in CLIENT_KEYS {
        if let Some(value) = key_file.raw("core", key) {
            told.push_str(&format!("{key}={value}\n"));
        }
    }
    Ok(in_memory(told.into_bytes()))
}

fn read_ref(repo: &Repo, base: RefBase, name: &str) -> Found {
    for repo in lineage(repo) {
        match own_ref(repo, base, name) {
            Err(Unavailable::Missing) => {}
            found => return found,
        }
    }
    Err(Unavailable::Missing)
}

fn own_ref(repo: &Repo, base: RefBase, name: &str) -> Found {
    let dir = repo.dir().open_dir(base.path())?;
    let bytes = dir.read_beneath_opt(name, REF_LIMIT)?.ok_or(Unavailable::Missing)?;
    Ok(in_memory(bytes))
}

fn object(repo: &Repo, name: &ObjectName, level: u32) -> Found {
    for repo in lineage(repo) {
        let found = match name.kind == ObjectType::File && repo.mode() != RepoMode::Archive {
            true => packed(repo, &name.checksum, level),
            false => stored(repo, name),
        };
        match found {
            Err(Unavailable::Missing) => {}
            found => return found,
        }
    }
    Err(Unavailable::Missing)
}

fn stored(repo: &Repo, name: &ObjectName) -> Found {
    let (file, stat) = regular(repo.objects(), &LoosePath::new(name, true))?;
    let tag = match name.kind {
        // Equal content may be packed in several ways.
        ObjectType::File => format!("{}-{:x}", name.checksum, stat.size),
        ObjectType::DirTree | ObjectType::DirMeta | ObjectType::Commit => name.checksum.to_hex(),
        _ => return Ok(changing(file, &stat)),
    };
    let modified = Some(whole_seconds(stat.mtime.sec));
    let validators = Validators { tag, strong: true, modified };
    let origin = Origin::File(file, stat.size);
    Ok(Opened { origin, validators, immutable: true, is_text: false })
}

fn packed(repo: &Repo, checksum: &Checksum, level: u32) -> Found {
    let object = match repo.load_file_opt(checksum) {
        // A directory in the place of the object, say, is no object either.
        Err(RepoError::Fs(e)) => return Err(e.into()),
        loaded => loaded?.ok_or(Unavailable::Missing)?,
    };
    let validators = Validators { tag: checksum.to_hex(), strong: false, modified: None };
    let origin = Origin::Packed(Box::new(Packer::new(object, level)));
    Ok(Opened { origin, validators, immutable: true, is_text: false })
}

/// Opens a regular file beneath `dir` without following a link. Pipes and devices are opened
/// without waiting and turned away.
fn regular(dir: &Dir, path: &str) -> Result<(File, Stat), Unavailable> {
    let file = dir.open_file(path)?;
    let stat = file.stat()?;
    if stat.is_file() { Ok((file, stat)) } else { Err(Unavailable::Missing) }
}

fn changing(file: File, stat: &Stat) -> Opened {
    let tag = format!("{:x}-{:x}-{:x}.{:x}", stat.ino, stat.size, stat.mtime.sec, stat.mtime.nsec);
    let modified = Some(whole_seconds(stat.mtime.sec));
    let validators = Validators { tag, strong: true, modified };
    let origin = Origin::File(file, stat.size);
    Opened { origin, validators, immutable: false, is_text: false }
}

fn in_memory(bytes: Vec<u8>) -> Opened {
    let tag = Checksum::of(&bytes).to_hex();
    let validators = Validators { tag, strong: true, modified: None };
    let origin = Origin::Bytes(Bytes::from(bytes));
    Opened { origin, validators, immutable: false, is_text: true }
}
