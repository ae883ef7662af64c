//! Makes a part.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use trefoil_format::checksum::Checksum;
use trefoil_format::dirtree::DirTreeView;
use trefoil_format::file::FileHeader;
use trefoil_format::gvariant::{Type, Value};
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;

use super::run::{
    BSPATCH, CLOSE, OPEN, OPEN_SPLICE_AND_CLOSE, SET_READ_SOURCE, UNSET_READ_SOURCE, WRITE,
};
use super::{LZMA, Owner};
use crate::{ByteDiff, PartHeader, Result, varint, xz};

/// A part under construction. Its objects must not be in it twice.
#[derive(Debug, Default)]
pub struct PartBuilder {
    owners: Table<Owner>,
    xattrs: Table<Xattrs>,
    payload: Vec<u8>,
    ops: Vec<u8>,
    usize: u64,
    objects: Vec<ObjectName>,
    /// Checksums in directories.
    told: HashSet<Checksum>,
    /// Where in the payload each of them first is.
    noise: Vec<Range<usize>>,
}

/// A part of which so many times the checksums in directories is no more than all of it.
const MOSTLY_NOISE: usize = 3;

/// Different values in the order they came.
#[derive(Debug)]
struct Table<T> {
    values: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { values: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Table<T> {
    fn place(&mut self, value: &T) -> u64 {
        if let Some(place) = self.places.get(value) {
            return *place as u64;
        }
        let place = self.values.len();
        self.values.push(value.clone());
        self.places.insert(value.clone(), place);
        place as u64
    }
}

impl PartBuilder {
    /// Starts with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of objects it makes.
    pub fn objects(&self) -> usize {
        self.objects.len()
    }

    /// Adds a metadata object.
    pub fn metadata(&mut self, name: ObjectName, bytes: &[u8]) {
        let offset = self.append(bytes);
        if name.kind == ObjectType::DirTree
            && let Ok(tree) = DirTreeView::parse(bytes)
        {
            self.note_checksums(&tree, offset as usize);
        }
        self.op(OPEN_SPLICE_AND_CLOSE, &[bytes.len() as u64, offset]);
        self.done(name, bytes.len() as u64);
    }

    fn note_checksums(&mut self, tree: &DirTreeView<'_>, offset: usize) {
        let files = tree.files().map(|(_, checksum)| checksum);
        let checksums = files.chain(tree.dirs().map(|(_, tree, _)| tree));
        for (checksum, place) in checksums.zip(tree.checksum_places()) {
            if self.told.insert(checksum) {
                let start = offset + place;
                self.noise.push(start..start + Checksum::LEN);
            }
        }
    }

    /// Adds a file with its whole content, which for a symbolic link is ignored.
    pub fn whole(&mut self, checksum: Checksum, header: &FileHeader, content: &[u8]) {
        let content = header.symlink_target.as_deref().map_or(content, str::as_bytes);
        let (owner, xattrs) = self.header(header);
        let offset = self.append(content);
        self.op(OPEN_SPLICE_AND_CLOSE, &[owner, xattrs, content.len() as u64, offset]);
        // As in libostree a symbolic link counts for nothing.
        let usize = if header.is_symlink() { 0 } else { content.len() as u64 };
        self.done(ObjectName::new(checksum, ObjectType::File), usize);
    }

    /// Adds a file by its difference to the file object `source`.
    pub fn differing(
        &mut self,
        checksum: Checksum,
        header: &FileHeader,
        new: &[u8],
        source: &Checksum,
        diff: &ByteDiff,
    ) {
        let (owner, xattrs) = self.header(header);
        let source = self.append(source.as_bytes());
        let open = [owner, xattrs, new.len() as u64];
        match diff {
            ByteDiff::Patch(patch) => {
                self.op(SET_READ_SOURCE, &[source]);
                self.op(OPEN, &open);
                let offset = self.append(patch);
                self.op(BSPATCH, &[offset, patch.len() as u64]);
                self.op(CLOSE, &[]);
                self.op(UNSET_READ_SOURCE, &[]);
            }
            ByteDiff::Copies(copies) => {
                self.op(OPEN, &open);
                let mut filled = 0;
                for copy in copies {
                    self.write_new(&new[filled..copy.new_start]);
                    self.op(SET_READ_SOURCE, &[source]);
                    self.op(WRITE, &[copy.len as u64, copy.old_start as u64]);
                    self.op(UNSET_READ_SOURCE, &[]);
                    filled = copy.new_start + copy.len;
                }
                self.write_new(&new[filled..]);
                self.op(CLOSE, &[]);
            }
        }
        self.done(ObjectName::new(checksum, ObjectType::File), new.len() as u64);
    }

    fn write_new(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let offset = self.append(bytes);
            self.op(WRITE, &[bytes.len() as u64, offset]);
        }
    }

    fn header(&mut self, header: &FileHeader) -> (u64, u64) {
        let owner = Owner { uid: header.uid, gid: header.gid, mode: header.mode };
        (self.owners.place(&owner), self.xattrs.place(&header.xattrs))
    }

    fn append(&mut self, bytes: &[u8]) -> u64 {
        let offset = self.payload.len();
        self.payload.extend_from_slice(bytes);
        offset as u64
    }

    fn op(&mut self, code: u8, numbers: &[u64]) {
        self.ops.push(code);
        for number in numbers {
            varint::write(&mut self.ops, *number);
        }
    }

    fn done(&mut self, name: ObjectName, usize: u64) {
        self.objects.push(name);
        self.usize += usize;
    }

    /// Compresses the part and gives its bytes and what the superblock says about it.
    ///
    /// Needs about thirteen times the payload in memory, at most 400 MiB more than it for each
    /// of the `threads` it may use; two threads make the part about a hundredth larger.
    pub fn finish(self, threads: usize) -> Result<(Vec<u8>, PartHeader)> {
        let PartBuilder { owners, xattrs, payload, ops, usize, objects, mut noise, .. } = self;
        let owners = owners.values.iter().map(owner_value).collect();
        let owners = Value::Array(Type::tuple([Type::Uint32, Type::Uint32, Type::Uint32]), owners);
        let xattrs = xattrs.values.iter().map(xattrs_value).collect();
        let xattrs = Value::Array(Type::array(xattr_type()), xattrs);
        // Neither bytes nor arrays of them are padded.
        let start = owners.to_bytes().len() + xattrs.to_bytes().len();
        for place in &mut noise {
            *place = place.start + start..place.end + start;
        }
        let content = Value::Tuple(vec![owners, xattrs, Value::Bytes(payload), Value::Bytes(ops)]);
        let plain = content.to_bytes();
        drop(content);
        let compressed = match noise.len() * Checksum::LEN * MOSTLY_NOISE >= plain.len() {
            true => xz::compress_noisy(&plain, &noise),
            false => xz::compress(&plain, threads)?,
        };
        drop(plain);
        let mut bytes = Vec::with_capacity(compressed.len() + 1);
        bytes.push(LZMA);
        bytes.extend_from_slice(&compressed);
        let checksum = Checksum::of(&bytes);
        let size = bytes.len() as u64;
        Ok((bytes, PartHeader { version: 0, checksum, size, usize, objects }))
    }
}

fn owner_value(owner: &Owner) -> Value {
    let numbers = [owner.uid, owner.gid, owner.mode];
    Value::Tuple(numbers.map(|n| Value::Uint32(n.swap_bytes())).to_vec())
}

fn xattr_type() -> Type {
    Type::tuple([Type::bytes(), Type::bytes()])
}

fn xattrs_value(xattrs: &Xattrs) -> Value {
    let pair = |(name, value): (&[u8], &[u8])| {
        let mut name = name.to_vec();
        name.push(0);
        Value::Tuple(vec![Value::Bytes(name), Value::Bytes(value.to_vec())])
    };
    Value::Array(xattr_type(), xattrs.iter().map(pair).collect())
}
