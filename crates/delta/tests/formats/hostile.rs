use lzma_rust2::{XzOptions, XzWriter};
use std::io::Write;

use trefoil_delta::{
    DeltaError, DeltaIndex, Endianness, Limits, Part, PartHeader, RecipeKind, SignedDelta,
    Superblock,
};
use trefoil_format::checksum::Checksum;

use crate::sample::{plain_part, superblock};

/// Every way to flip a bit or cut the bytes short, one at a time.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flip = |at: usize, bits: u8| {
        let mut copy = bytes.to_vec();
        copy[at] ^= bits;
        copy
    };
    let flips =
        (0..bytes.len()).flat_map(move |at| [0x01, 0x10, 0x80, 0xff].map(|bits| flip(at, bits)));
    flips.chain((0..bytes.len()).map(|len| bytes[..len].to_vec()))
}

/// Guards that a damaged superblock is refused or read, and never more than that.
#[test]
fn no_damage_to_a_superblock_is_a_panic() {
    for endianness in [Endianness::Little, Endianness::Big] {
        let bytes = superblock(endianness).to_bytes().expect("bytes");
        for damaged in damaged(&bytes) {
            if let Ok(read) = Superblock::parse(&damaged) {
                let _ = read.commit();
                let _ = (read.inline_part(0), read.detached(), read.part_sizes());
                // Whatever is accepted has one form.
                if read.commit().is_ok() && read.endianness == endianness {
                    assert_eq!(read.to_bytes().expect("it has a commit"), damaged);
                }
            }
        }
    }
}

/// Guards the same for signatures and lists.
#[test]
fn no_damage_to_a_container_is_a_panic() {
    let mut signed = SignedDelta { superblock: vec![1; 40], signatures: Default::default() };
    signed.set_signatures("dummy", vec![b"signature".to_vec()]);
    for damaged in damaged(&signed.to_bytes()) {
        if let Ok(read) = SignedDelta::parse(&damaged) {
            let _ = (read.signatures_of("dummy"), read.sign_types().count());
        }
    }
    let name = superblock(Endianness::Little).name;
    for damaged in damaged(&DeltaIndex(vec![(name, name.to)]).to_bytes()) {
        let _ = DeltaIndex::parse(&damaged);
    }
}

/// Guards that damaged operations and tables never reach beyond what is there, and that every
/// recipe is as long as it says.
#[test]
fn no_damage_to_a_part_is_a_panic() {
    let (bytes, header) = plain_part();
    let mut read = 0;
    for damaged in damaged(&bytes) {
        let header = PartHeader { checksum: Checksum::of(&damaged), ..header.clone() };
        let Ok(part) = Part::open(&header, &damaged, &Limits::default()) else { continue };
        let Ok((recipes, _)) = part.recipes(&header.objects) else { continue };
        assert_eq!(recipes.len(), header.objects.len());
        for recipe in recipes {
            match recipe.kind {
                RecipeKind::Metadata(range) => assert!(part.payload().get(range).is_some()),
                RecipeKind::File { owner, xattrs, size, pieces } => {
                    let _ = part.header(owner, xattrs, &pieces);
                    assert_eq!(pieces.iter().map(|piece| piece.len(size)).sum::<u64>(), size);
                }
            }
        }
        read += 1;
    }
    assert!(read > 10, "the damage must reach the operations");
}

/// Guards that compressed bytes are not looked at before their checksum was, and that damage
/// to them is no panic where it was.
#[test]
fn no_damage_to_lzma_is_a_panic() {
    let (bytes, header) = crate::sample::part();
    for damaged in damaged(&bytes) {
        let refused = Part::open(&header, &damaged, &Limits::default());
        assert!(matches!(refused, Err(DeltaError::PartChecksum { .. })));
        let _ = Part::parse(&damaged, 1 << 20, &Limits::default());
    }
}

fn lzma(preset: u32, data: &[u8]) -> Vec<u8> {
    let options = XzOptions::with_preset(preset);
    let mut writer = XzWriter::new(vec![b'x'], options).expect("a writer");
    writer.write_all(data).expect("it is in memory");
    writer.finish().expect("it is in memory")
}

fn header_of(bytes: &[u8], usize: u64) -> PartHeader {
    let (_, header) = crate::sample::part();
    PartHeader { checksum: Checksum::of(bytes), size: bytes.len() as u64, usize, ..header }
}

/// Guards memory: a bomb goes no further than the superblock says, whatever it claims no
/// further than the limit, and a decoder that wants much memory gets none.
#[test]
fn bombs_do_not_go_off() {
    let bomb = lzma(1, &vec![0; 32 << 20]);
    assert!(bomb.len() < 100_000);
    let limits = Limits { part: 4 << 20, ..Limits::default() };
    let modest = header_of(&bomb, 100);
    let said = Part::open(&modest, &bomb, &limits).expect_err("it is a bomb");
    assert!(matches!(said, DeltaError::TooLarge { limit } if limit < 2 << 20), "{said}");
    let boasting = header_of(&bomb, u64::MAX);
    let said = Part::open(&boasting, &bomb, &limits).expect_err("it is a bomb");
    assert!(matches!(said, DeltaError::TooLarge { limit } if limit == 4 << 20), "{said}");
    let greedy = lzma(9, b"small");
    let limits = Limits { lzma_kib: 16 << 10, ..Limits::default() };
    let said = Part::open(&header_of(&greedy, 100), &greedy, &limits).expect_err("too greedy");
    assert!(matches!(said, DeltaError::Decompress(_)), "{said}");
}

/// Guards the refusals that have words of their own.
#[test]
fn nonsense_is_named() {
    let (bytes, header) = plain_part();
    let later = PartHeader { version: 1, ..header.clone() };
    let said = Part::open(&later, &bytes, &Limits::default()).expect_err("too new");
    assert_eq!(said.to_string(), "Delta part has too new version 1");
    let said = Part::parse(b"?", 9, &Limits::default()).expect_err("no compression");
    assert_eq!(said.to_string(), "Invalid compression type '63'");
    let part = Part::open(&header, &bytes, &Limits::default()).expect("a part");
    let said = part.recipes(&header.objects[1..]).expect_err("one object short");
    assert!(said.to_string().starts_with("opcode "), "{said}");
    let mut more = header.objects.clone();
    more.push(header.objects[0]);
    let said = part.recipes(&more).expect_err("one object more");
    assert!(said.to_string().contains("makes 5 objects of the 6"), "{said}");
    let mut other = superblock(Endianness::Little);
    other.name.to = header.objects[0].checksum;
    assert!(other.commit().expect_err("another commit").to_string().contains("its commit has"));
}
