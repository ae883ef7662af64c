use proptest::prelude::*;
use trefoil_delta::{ByteDiff, Chunk, Match, apply_patch, byte_copies, byte_diff, chunks, matches};

use crate::sample::Noise;

/// The rule of where chunks end, followed to the letter: slow where nothing ends them.
fn naive_chunks(data: &[u8]) -> Vec<Chunk> {
    let (mut out, mut start, mut ended) = (Vec::new(), 0, false);
    while start < data.len() {
        let left = data.len() - start;
        let found = if ended { None } else { naive_split(&data[start..]) };
        ended |= found.is_none();
        let len = found.unwrap_or(left).min(32 * 1024);
        out.push(Chunk { start, len });
        start += len;
    }
    out
}

fn naive_split(data: &[u8]) -> Option<usize> {
    let mut window = [0_u8; 64];
    let (mut s1, mut s2) = (64_u32 * 31, 64_u32 * 63 * 31);
    for (at, add) in data.iter().enumerate() {
        let drop = u32::from(window[at % 64]);
        window[at % 64] = *add;
        s1 = s1.wrapping_add(u32::from(*add)).wrapping_sub(drop);
        s2 = s2.wrapping_add(s1.wrapping_sub(64 * (drop + 31)));
        if s2 & 8191 == 8191 {
            return Some(at + 1);
        }
    }
    None
}

/// Random stretches between constant ones, in which nothing ends a chunk.
fn mixed() -> impl Strategy<Value = Vec<u8>> {
    let stretch = (any::<u64>(), 0..40_000_usize, any::<bool>());
    prop::collection::vec(stretch, 0..6).prop_map(|stretches| {
        let mut out = Vec::new();
        for (seed, len, constant) in stretches {
            match constant {
                true => out.extend(std::iter::repeat_n(seed as u8, len)),
                false => out.extend(Noise(seed | 1).bytes(len)),
            }
        }
        out
    })
}

/// A file and a later version of it.
fn versions() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let edit = (any::<prop::sample::Index>(), 0..3000_usize, 0..3000_usize, any::<u64>());
    (mixed(), prop::collection::vec(edit, 0..5)).prop_map(|(old, edits)| {
        let mut new = old.clone();
        for (at, remove, insert, seed) in edits {
            let at = at.index(new.len() + 1);
            let end = (at + remove).min(new.len());
            new.splice(at..end, Noise(seed | 1).bytes(insert));
        }
        (old, new)
    })
}

fn put_together(old: &[u8], new: &[u8], copies: &[Match]) -> Vec<u8> {
    let (mut out, mut filled) = (Vec::new(), 0);
    for copy in copies {
        assert!(copy.new_start >= filled, "copies overlap");
        out.extend_from_slice(&new[filled..copy.new_start]);
        out.extend_from_slice(&old[copy.old_start..copy.old_start + copy.len]);
        filled = copy.new_start + copy.len;
    }
    out.extend_from_slice(&new[filled..]);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Guards the places to split: the quick way gives what the rule says.
    #[test]
    fn chunks_end_where_the_rule_says(data in mixed()) {
        prop_assert_eq!(chunks(&data), naive_chunks(&data));
    }

    /// Guards that chunks of the old file make the new one.
    #[test]
    fn matches_make_the_new_file((old, new) in versions()) {
        let found = matches(&old, &new);
        prop_assert_eq!(put_together(&old, &new, &found.matches), &new[..]);
    }

    /// Guards that differences byte by byte make the new file, cut ends and all.
    #[test]
    fn byte_diffs_make_the_new_file((old, new) in versions()) {
        match byte_diff(&old, &new).expect("a difference") {
            ByteDiff::Patch(patch) => {
                prop_assert_eq!(apply_patch(&old, &patch, new.len() as u64).expect("it fits"), new);
            }
            ByteDiff::Copies(copies) => {
                prop_assert_eq!(put_together(&old, &new, &copies), &new[..]);
            }
        }
    }

    /// Guards that no patch makes a panic or more bytes than it has.
    #[test]
    fn any_bytes_as_a_patch(
        old in prop::collection::vec(any::<u8>(), 0..50),
        numbers in prop::collection::vec((0..60_u64, 0..60_u64, -60..60_i64), 0..4),
        rest in prop::collection::vec(any::<u8>(), 0..200),
        extreme in any::<Option<u64>>(),
    ) {
        let mut patch = Vec::new();
        for (mixed, copied, jump) in numbers {
            for number in [extreme.unwrap_or(mixed), copied, jump as u64] {
                patch.extend_from_slice(&number.to_le_bytes());
            }
        }
        patch.extend_from_slice(&rest);
        for size in [0, 10, u64::MAX] {
            if let Ok(new) = apply_patch(&old, &patch, size) {
                prop_assert!(new.len() as u64 == size && new.len() <= patch.len());
            }
        }
    }
}

/// Guards that a change in one place costs no search, and that only the middle of a large file
/// is searched.
#[test]
fn equal_ends_are_left_out() {
    let old = Noise(1).bytes(400_000);
    let mut new = old.clone();
    new.splice(100_000..100_010, *b"something else");
    let before = Match { new_start: 0, old_start: 0, len: 100_000 };
    let behind = Match { new_start: 100_014, old_start: 100_010, len: 299_990 };
    assert_eq!(byte_copies(&old, &new), Some(ByteDiff::Copies(vec![before, behind])));
    new.splice(102_000..102_010, Noise(2).bytes(2000));
    let ByteDiff::Patch(patch) = byte_diff(&old, &new).expect("a difference") else {
        panic!("the change is too large for copies");
    };
    // Context before and behind is kept; the first control leads to where it begins.
    assert_eq!(patch[..8], (100_000_u64 - 65_536).to_le_bytes());
    assert_eq!(apply_patch(&old, &patch, new.len() as u64).expect("it fits"), new);
    assert_eq!(byte_copies(b"", b"new"), None);
}
