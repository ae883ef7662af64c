use trefoil_delta::{Limits, Part, Piece, RecipeKind, apply_patch};
use trefoil_format::checksum::Checksum;
use trefoil_format::object::{ObjectName, ObjectType};

use super::Target;

pub const TARGET: Target = Target {
    name: "parts",
    formats: "static delta parts and their operations, LZMA, bspatch streams",
    run,
};

/// Small, so that what goes beyond them is soon there.
const LIMITS: Limits = Limits { part: 4 << 20, patched: 1 << 20, lzma_kib: 16 << 10 };
const KINDS: [ObjectType; 4] =
    [ObjectType::File, ObjectType::DirTree, ObjectType::DirMeta, ObjectType::Commit];

/// A part, a byte for each object it makes, and the number of these.
fn run(bytes: &[u8]) {
    let Some((&count, rest)) = bytes.split_last() else { return };
    let Some(at) = rest.len().checked_sub(count.into()) else { return };
    let (part, kinds) = rest.split_at(at);
    patch(part);
    let Ok(part) = Part::parse(part, LIMITS.part, &LIMITS) else { return };
    assert!(part.sizes().payload as u64 <= LIMITS.part);
    let name = |kind: &u8| {
        ObjectName::new(Checksum::of(&[*kind]), KINDS[usize::from(*kind) % KINDS.len()])
    };
    let objects: Vec<ObjectName> = kinds.iter().map(name).collect();
    let Ok((recipes, _)) = part.recipes(&objects) else { return };
    assert_eq!(recipes.len(), if objects.is_empty() { 0 } else { objects.len() });
    for (recipe, object) in recipes.iter().zip(&objects) {
        assert_eq!(recipe.name, *object);
        match &recipe.kind {
            RecipeKind::Metadata(range) => assert!(part.payload().get(range.clone()).is_some()),
            RecipeKind::File { owner, xattrs, size, pieces } => {
                let _ = part.header(*owner, *xattrs, pieces);
                make(&part, *size, pieces);
            }
        }
    }
}

/// What a file would be made of lies within the part, and is as long as it says.
fn make(part: &Part, size: u64, pieces: &[Piece]) {
    let mut len = 0u64;
    for piece in pieces {
        len = len.checked_add(piece.len(size)).expect("pieces overflow");
        let range = match piece {
            Piece::Copy { .. } => continue,
            Piece::Payload(range) | Piece::Patch { patch: range, .. } => range.clone(),
        };
        let bytes = part.payload().get(range).expect("a piece lies in the payload");
        if let Piece::Patch { .. } = piece {
            let _ = apply_patch(&old(), bytes, size);
        }
    }
    assert_eq!(len, size, "pieces make another size");
}

/// Something to patch.
fn old() -> Vec<u8> {
    (0..4096u32).map(|n| ((n * n) >> 3) as u8).collect()
}

/// The bytes as a patch: the size it has to make stands before it.
fn patch(bytes: &[u8]) {
    let Some((size, patch)) = bytes.split_first_chunk::<2>() else { return };
    let size = u64::from(u16::from_le_bytes(*size));
    if let Ok(new) = apply_patch(&old(), patch, size) {
        assert_eq!(new.len() as u64, size);
    }
}
