//! Making a delta.

mod difference;
mod find;
mod memory;
mod output;
mod pack;
mod similar;

use trefoil_delta::{DeltaName, Endianness, Fallback, SignedDelta, Superblock};
use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_fsat::{Dir, LockMode};
use trefoil_sign::SignType;

use crate::{Repo, RepoError, Result, TreeId};
use difference::Items;
use find::Difference;
use output::Output;
use pack::{Item, Packer};

/// Signs the bytes of a superblock: one signature for each key, all of one type.
pub type SignDelta<'a> = &'a (dyn Fn(&[u8]) -> Result<(SignType, Vec<Vec<u8>>)> + Sync);

/// How to make a delta; the defaults are libostree's.
#[derive(Clone, Copy)]
pub struct GenerateOptions<'a> {
    /// Larger files that are sent whole are left to be fetched by themselves; 0 for none. Bytes.
    pub min_fallback_size: u64,
    /// Larger pairs of files are not compared byte by byte. Bytes, both together.
    pub max_bsdiff_size: u64,
    /// How much content goes into one part. Bytes.
    pub max_chunk_size: u64,
    /// Compare files byte by byte.
    pub bsdiff: bool,
    /// Put the parts into the superblock.
    pub inline: bool,
    /// Byte order of the numbers.
    pub endianness: Endianness,
    /// Time to put into the superblock, in seconds since 1970.
    pub timestamp: u64,
    /// Signs the superblock.
    pub sign: Option<SignDelta<'a>>,
}

impl GenerateOptions<'_> {
    /// The defaults, at the time `timestamp`.
    pub fn new(timestamp: u64) -> Self {
        GenerateOptions {
            min_fallback_size: 4_000_000,
            max_bsdiff_size: 128_000_000,
            max_chunk_size: 32_000_000,
            bsdiff: true,
            inline: false,
            endianness: Endianness::Little,
            timestamp,
            sign: None,
        }
    }
}

/// Where the delta goes.
#[derive(Clone, Copy, Debug)]
pub enum DeltaPlace<'a> {
    /// To its place in the repository, where it replaces one that is there in one step.
    Repo,
    /// To a file of this name in this directory; parts that are not inline lie beside it.
    File(&'a Dir, &'a str),
}

/// What was made, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenerateReport {
    /// New metadata objects, the commit not among them.
    pub metadata: usize,
    /// Those that are also told by how they are made of old ones.
    pub patched: usize,
    /// New regular files.
    pub regular: usize,
    /// New symbolic links.
    pub symlinks: usize,
    /// New files of which an old one is similar.
    pub modified: usize,
    /// Files put together of chunks of another one.
    pub rollsum: usize,
    /// Bytes of these that are in the other one.
    pub rollsum_bytes: u64,
    /// Files told by their difference byte by byte.
    pub bsdiff: usize,
    /// Files to be fetched by themselves.
    pub fallbacks: usize,
    /// Of each part the number of objects, its size and the size of what it makes, in bytes.
    pub parts: Vec<(usize, u64, u64)>,
    /// What the objects that are sent whole take up in the repository, in bytes.
    pub loose_bytes: u64,
    /// Directory objects that were read.
    pub dirtrees_read: u64,
}

/// Makes the delta to `to`, from `from` or from nothing.
///
/// Finding the difference costs the directories that differ. Parts are made on all cores, as
/// many at a time as about a gigabyte of memory allows. Takes the shared repository lock.
///
/// # Errors
/// Missing or broken objects of either commit.
pub fn generate_delta(
    repo: &Repo,
    name: DeltaName,
    place: DeltaPlace<'_>,
    options: &GenerateOptions<'_>,
) -> Result<GenerateReport> {
    let _lock = repo.lock(LockMode::Shared)?;
    let commit_bytes = repo.load_metadata(ObjectType::Commit, &name.to)?;
    let (difference, mut report) = find_difference(repo, &name)?;
    let Items { patched, others, fallbacks } =
        difference::items(repo, &difference, options, &mut report)?;
    let mut superblock = Superblock {
        metadata: Superblock::new_metadata(options.endianness),
        timestamp: options.timestamp,
        name,
        commit_bytes,
        recurse: Vec::new(),
        parts: Vec::new(),
        fallbacks,
        endianness: options.endianness,
    };
    if !patched.is_empty() {
        report.patched = patched.len();
        superblock.set_tree_patches(difference.patches.iter());
    }
    let output = Output::begin(repo, &name, place)?;
    let packer = Packer::new(repo, options.max_chunk_size);
    for batch in packer.parts(patched, others).chunks(packer.parallel()) {
        for (bytes, header) in packer.pack(batch)? {
            report.parts.push((header.objects.len(), header.size, header.usize));
            match options.inline {
                true => superblock.set_inline_part(superblock.parts.len(), &bytes),
                false => output.part(superblock.parts.len(), &bytes)?,
            }
            superblock.parts.push(header);
        }
    }
    if let Some(detached) = repo.load_detached(&name.to)? {
        superblock.metadata.set(name.detached_key(), detached.to_value());
    }
    output.finish(&signed(&superblock, options)?)?;
    Ok(report)
}

/// Tells what [`generate_delta`] would put into the delta, without packing, which is most of the
/// work: [`GenerateReport::parts`] is empty. Similar files are compared. Writes nothing and takes
/// no lock.
///
/// # Errors
/// As of [`generate_delta`].
pub fn plan_generate(
    repo: &Repo,
    name: &DeltaName,
    options: &GenerateOptions<'_>,
) -> Result<GenerateReport> {
    let (difference, mut report) = find_difference(repo, name)?;
    let items = difference::items(repo, &difference, options, &mut report)?;
    report.patched = items.patched.len();
    Ok(report)
}

fn find_difference(repo: &Repo, name: &DeltaName) -> Result<(Difference, GenerateReport)> {
    let old = name.from.map(|from| root_of(repo, &from)).transpose()?;
    let difference = find::find(repo, old, root_of(repo, &name.to)?)?;
    let report = GenerateReport {
        metadata: difference.metadata.len(),
        dirtrees_read: difference.dirtrees_read,
        ..GenerateReport::default()
    };
    Ok((difference, report))
}

fn root_of(repo: &Repo, commit: &Checksum) -> Result<TreeId> {
    let commit = repo.load_commit(commit)?;
    Ok(TreeId { tree: commit.root_tree, meta: commit.root_meta })
}

fn signed(superblock: &Superblock, options: &GenerateOptions<'_>) -> Result<Vec<u8>> {
    let superblock = superblock.to_bytes()?;
    let Some(sign) = options.sign else { return Ok(superblock) };
    let (ty, signatures) = sign(&superblock)?;
    let mut signed = SignedDelta { superblock, signatures: Default::default() };
    signed.set_signatures(ty.name(), signatures);
    Ok(signed.to_bytes())
}

/// The size of an object's file, wherever in the chain of repositories it lies.
fn stored_size(repo: &Repo, name: &ObjectName) -> Result<u64> {
    match (repo.object_size(name)?, repo.parent()) {
        (Some(size), _) => Ok(size),
        (None, Some(parent)) => stored_size(parent, name),
        (None, None) => Err(RepoError::ObjectMissing { name: *name }),
    }
}
