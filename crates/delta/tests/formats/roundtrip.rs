use trefoil_delta::{
    DeltaIndex, DeltaName, Endianness, Limits, Part, Piece, RecipeKind, SignedDelta, Superblock,
    index_name, index_path, is_signed,
};
use trefoil_format::file::FileHeader;

use crate::sample::{link, part, regular, sum, superblock};

/// Guards that both byte orders are read back, and that only the numbers differ between them.
#[test]
fn superblocks_survive_in_both_byte_orders() {
    let mut lengths = Vec::new();
    for endianness in [Endianness::Little, Endianness::Big] {
        let original = superblock(endianness);
        let bytes = original.to_bytes().expect("it has a commit");
        let read = Superblock::parse(&bytes).expect("it was written by us");
        assert_eq!(read, original);
        assert_eq!(read.commit().expect("it is that commit").subject, "subject");
        assert_eq!(read.inline_part(0), Some(part().0));
        assert_eq!(read.inline_part(1), None);
        assert_eq!(read.detached().expect("some").get_str("signature"), Some("yes"));
        lengths.push(bytes.len());
    }
    assert_eq!(lengths[0], lengths[1]);
}

/// Guards the guess for deltas of before the byte order was noted: sizes that make sense only
/// the other way round.
#[test]
fn an_old_delta_of_the_other_order_is_recognised() {
    for (written, guessed) in
        [(Endianness::Big, Endianness::BigByGuess), (Endianness::Little, Endianness::LittleByGuess)]
    {
        let mut old = superblock(written);
        old.metadata.remove("ostree.endianness");
        // A small part that did not compress.
        old.parts[0].usize = 500;
        old.parts[0].size = 700;
        let read = Superblock::parse(&old.to_bytes().expect("bytes")).expect("a superblock");
        assert_eq!(read.endianness, guessed);
        assert_eq!(read.parts, old.parts);
        assert_eq!(read.fallbacks, old.fallbacks);
    }
}

/// Guards that operations give back the pieces they were made of.
#[test]
fn parts_give_back_what_went_in() {
    let (bytes, header) = part();
    assert_eq!(header.size, bytes.len() as u64);
    let part = Part::open(&header, &bytes, &Limits::default()).expect("a part");
    let (recipes, stats) = part.recipes(&header.objects).expect("recipes");
    assert_eq!((stats.open_splice_and_close, stats.open, stats.close, stats.bspatch), (3, 2, 2, 1));
    let contents: Vec<(Option<FileHeader>, Vec<u8>)> = recipes
        .iter()
        .map(|recipe| match &recipe.kind {
            RecipeKind::Metadata(range) => (None, part.payload()[range.clone()].to_vec()),
            RecipeKind::File { owner, xattrs, pieces, .. } => {
                let header = part.header(*owner, *xattrs, pieces).expect("a header");
                (Some(header), described(&part, pieces))
            }
        })
        .collect();
    assert_eq!(contents[0], (None, b"not really a tree".to_vec()));
    assert_eq!(contents[1], (Some(regular(0o644)), b"the whole content".to_vec()));
    assert_eq!(contents[2], (Some(link("../target")), b"../target".to_vec()));
    assert_eq!(contents[3], (Some(regular(0o600)), b"ab<10+5>cd<0+3>e".to_vec()));
    assert_eq!(contents[4], (Some(regular(0o755)), b"<patch 30>".to_vec()));
    let sources: Vec<_> = recipes.iter().filter_map(|r| source(&r.kind)).collect();
    assert_eq!(sources, [sum("old"), sum("older")]);
}

fn source(kind: &RecipeKind) -> Option<trefoil_format::checksum::Checksum> {
    match kind {
        RecipeKind::Metadata(_) => None,
        RecipeKind::File { pieces, .. } => pieces.iter().find_map(Piece::source).copied(),
    }
}

fn described(part: &Part, pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Payload(range) => out.extend_from_slice(&part.payload()[range.clone()]),
            Piece::Copy { offset, len, .. } => out.extend(format!("<{offset}+{len}>").bytes()),
            Piece::Patch { patch, .. } => out.extend(format!("<patch {}>", patch.len()).bytes()),
        }
    }
    out
}

/// Guards the container of signatures.
#[test]
fn signed_superblocks_survive() {
    let superblock = superblock(Endianness::Little).to_bytes().expect("bytes");
    assert!(!is_signed(&superblock));
    let mut signed = SignedDelta { superblock, signatures: Default::default() };
    signed.set_signatures("dummy", vec![b"one".to_vec(), b"two".to_vec()]);
    let bytes = signed.to_bytes();
    assert!(is_signed(&bytes));
    let read = SignedDelta::parse(&bytes).expect("it was written by us");
    assert_eq!(read, signed);
    assert_eq!(read.signatures_of("dummy"), Some(vec![&b"one"[..], &b"two"[..]]));
    assert_eq!(read.signatures_of("ed25519"), None);
    assert_eq!(read.sign_types().collect::<Vec<_>>(), ["dummy"]);
}

/// Guards names, paths and indexes.
#[test]
fn names_and_indexes_survive() {
    for from in [None, Some(sum("from"))] {
        let name = DeltaName::new(from, sum("to"));
        assert_eq!(name.to_string().parse::<DeltaName>().expect("a name"), name);
        let base64 = name.dir().strip_prefix("deltas/").expect("its place").replacen('/', "", 1);
        assert_eq!(DeltaName::from_base64(&base64), Some(name));
    }
    let path = index_path(&sum("to"));
    let (dir, file) = path.rsplit_once('/').expect("a path");
    assert_eq!(index_name(dir.rsplit_once('/').expect("a path").1, file), Some(sum("to")));
    let index = DeltaIndex(vec![(DeltaName::new(Some(sum("from")), sum("to")), sum("digest"))]);
    assert_eq!(DeltaIndex::parse(&index.to_bytes()).expect("an index"), index);
    for text in ["", "-", "abc", &format!("{}-", sum("a")), &format!("-{}", sum("a"))] {
        text.parse::<DeltaName>().expect_err(text);
    }
}
