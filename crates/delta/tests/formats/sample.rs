use std::io::Read;

use lzma_rust2::XzReader;
use trefoil_delta::{
    ByteDiff, DeltaName, Endianness, Fallback, Match, PartBuilder, PartHeader, Superblock,
};
use trefoil_format::checksum::Checksum;
use trefoil_format::commit::Commit;
use trefoil_format::file::FileHeader;
use trefoil_format::gvariant::{Metadata, Value};
use trefoil_format::object::{ObjectName, ObjectType};
use trefoil_format::xattrs::Xattrs;

/// A number generator that gives the same everywhere.
pub struct Noise(pub u64);

impl Noise {
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.number() >> 24) as u8).collect()
    }
}

pub fn sum(text: &str) -> Checksum {
    Checksum::of(text.as_bytes())
}

pub fn regular(mode: u32) -> FileHeader {
    let xattrs = Xattrs::new(vec![(b"user.a".to_vec(), b"value".to_vec())]);
    FileHeader { uid: 7, gid: 8, mode: 0o100_000 | mode, symlink_target: None, xattrs }
}

pub fn link(target: &str) -> FileHeader {
    let symlink_target = Some(target.to_string());
    FileHeader { symlink_target, mode: 0o120_777, xattrs: Xattrs::default(), ..regular(0) }
}

/// A part with every operation.
pub fn part() -> (Vec<u8>, PartHeader) {
    let mut builder = PartBuilder::new();
    builder.metadata(ObjectName::new(sum("tree"), ObjectType::DirTree), b"not really a tree");
    builder.whole(sum("whole"), &regular(0o644), b"the whole content");
    builder.whole(sum("link"), &link("../target"), b"");
    let copies = vec![
        Match { new_start: 2, old_start: 10, len: 5 },
        Match { new_start: 9, old_start: 0, len: 3 },
    ];
    let new = b"ab?????cd???e";
    builder.differing(sum("copied"), &regular(0o600), new, &sum("old"), &ByteDiff::Copies(copies));
    let patch = ByteDiff::Patch(vec![1; 30]);
    builder.differing(sum("patched"), &regular(0o755), b"12345", &sum("older"), &patch);
    builder.finish(1).expect("a part")
}

/// The same part, not compressed: every byte of it means something.
pub fn plain_part() -> (Vec<u8>, PartHeader) {
    let (bytes, mut header) = part();
    let mut plain = vec![0];
    XzReader::new(&bytes[1..], false).read_to_end(&mut plain).expect("it is LZMA");
    header.checksum = Checksum::of(&plain);
    (plain, header)
}

pub fn superblock(endianness: Endianness) -> Superblock {
    let commit = Commit {
        metadata: Metadata::default(),
        parent: Some(sum("from")),
        related: Vec::new(),
        subject: "subject".into(),
        body: String::new(),
        timestamp: 12,
        root_tree: sum("root"),
        root_meta: sum("meta"),
    };
    let (bytes, header) = part();
    let name = DeltaName::new(commit.parent, commit.checksum());
    let fallback = ObjectName::new(sum("large"), ObjectType::File);
    let mut superblock = Superblock {
        metadata: Superblock::new_metadata(endianness),
        timestamp: 1_234_567,
        name,
        commit_bytes: commit.to_bytes(),
        recurse: vec![DeltaName::new(Some(sum("a")), sum("b"))],
        parts: vec![header],
        fallbacks: vec![Fallback { name: fallback, size: 5_000_000, usize: 9_000_000 }],
        endianness,
    };
    superblock.set_inline_part(0, &bytes);
    let mut detached = Metadata::default();
    detached.set("signature", Value::Str("yes".into()));
    superblock.metadata.set(name.detached_key(), detached.to_value());
    superblock
}
