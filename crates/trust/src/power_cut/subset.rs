//! Which of the writes after a flush reach the disk before the power goes.

use super::log::Write;
use super::random::Random;

/// What a disk writes as a whole: a page, as file systems and drives assume.
const UNIT: u64 = 4096;

/// A part of a write: which one, how many bytes into it, how many bytes.
pub type Piece = (usize, u64, u64);

/// A choice by chance. The disk may reorder as it likes, so every set of writes is possible;
/// those that are likely to matter are taken more often than even chance would.
pub fn choose(random: &mut Random, writes: &[Write]) -> Vec<Piece> {
    let whole = |at: usize| (at, 0, writes[at].len);
    let count = writes.len() as u64;
    match random.below(4) {
        // In order up to one that is torn.
        0 => {
            let last = random.below(count) as usize;
            let torn = units(last, &writes[last]).filter(|_| random.chance(5));
            let torn: Vec<Piece> = torn.collect();
            (0..last).map(whole).chain(torn).collect()
        }
        // All but one.
        1 => {
            let gone = random.below(count) as usize;
            (0..writes.len()).filter(|at| *at != gone).map(whole).collect()
        }
        // Each write by itself.
        2 => {
            let of_ten = 1 + random.below(9);
            (0..writes.len()).filter(|_| random.chance(of_ten)).map(whole).collect()
        }
        // Each unit by itself.
        _ => {
            let of_ten = 1 + random.below(9);
            let all = writes.iter().enumerate().flat_map(|(at, write)| units(at, write));
            all.filter(|_| random.chance(of_ten)).collect()
        }
    }
}

fn units(at: usize, write: &Write) -> impl Iterator<Item = Piece> + use<> {
    let (start, end) = (write.at, write.at + write.len);
    let first = start - start % UNIT;
    (first..end).step_by(UNIT as usize).map(move |unit| {
        let from = unit.max(start);
        (at, from - start, (unit + UNIT).min(end) - from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: pieces are parts of their writes, a seed gives its choice again, and choices differ.
    #[test]
    fn choices_are_parts_and_come_again() {
        let write = |at, len| Write { at, len, data: None };
        let writes = [write(0, 8192), write(512, 9000 / 512 * 512), write(40960, 512)];
        let mut all = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let pieces = choose(&mut Random::new(&[seed]), &writes);
            assert_eq!(pieces, choose(&mut Random::new(&[seed]), &writes));
            for (at, skip, len) in &pieces {
                assert!(*len > 0 && skip + len <= writes[*at].len, "{pieces:?}");
            }
            all.insert(pieces);
        }
        assert!(all.len() > 20, "{} different choices of 200", all.len());
        let parts: u64 = units(1, &writes[1]).map(|(_, _, len)| len).sum();
        assert_eq!(parts, writes[1].len);
    }
}
