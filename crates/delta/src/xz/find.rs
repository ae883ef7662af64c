//! Finds places with the same bytes.

use super::model::LEN_MIN;
use super::parse::common;

/// How many places with the same four bytes are looked at.
const DEPTH: usize = 96;
const HASH_BITS: u32 = 16;
/// How far back a match may lie: the dictionary that readers need for it is that of libostree.
pub(super) const WINDOW: usize = 32 << 20;

/// The places that were seen, by the bytes that begin there. A place is noted as the one behind
/// it, so that 0 is none.
pub(super) struct Finder<'d> {
    data: &'d [u8],
    pairs: Vec<u32>,
    triples: Vec<u32>,
    fours: Vec<u32>,
    /// Of each place the last one before that begins with four bytes of the same hash.
    before: Vec<u32>,
    /// The first place that is not noted.
    next: usize,
    /// Room for what is found.
    pub found: Vec<(usize, u32)>,
}

impl<'d> Finder<'d> {
    pub fn new(data: &'d [u8]) -> Self {
        let table = || vec![0; 1 << HASH_BITS];
        Finder {
            data,
            pairs: table(),
            triples: table(),
            fours: table(),
            before: vec![0; data.len()],
            next: 0,
            found: Vec::new(),
        }
    }

    /// Notes all places before this one that are not noted or left out.
    pub fn note(&mut self, at: usize) {
        while self.next < at {
            self.add(self.next);
            self.next += 1;
        }
    }

    fn add(&mut self, at: usize) {
        let Some((pair, triple, four)) = self.keys(at) else { return };
        let place = at as u32 + 1;
        self.pairs[pair] = place;
        self.triples[triple] = place;
        self.before[at] = std::mem::replace(&mut self.fours[four], place);
    }

    /// Leaves places out.
    pub fn skip_to(&mut self, at: usize) {
        self.next = at;
    }

    fn keys(&self, at: usize) -> Option<(usize, usize, usize)> {
        let bytes = self.data.get(at..at + 4)?.try_into().ok()?;
        let four = u32::from_le_bytes(bytes);
        let hash = |n: u32| (n.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize;
        Some(((four & 0xffff) as usize, hash(four << 8), hash(four)))
    }

    /// Longer and longer matches of at most `most` bytes, each with its distance. Notes all
    /// places before.
    pub fn find(&mut self, at: usize, most: usize, found: &mut Vec<(usize, u32)>) {
        self.note(at);
        found.clear();
        let Some((pair, triple, four)) = self.keys(at) else { return };
        let mut best = LEN_MIN - 1;
        let mut look = |place: u32, best: &mut usize| {
            let place = place as usize - 1;
            let near = at - place <= WINDOW;
            if near && *best < most && self.data[place + *best] == self.data[at + *best] {
                let same = common(self.data, place, at, most);
                if same > *best {
                    *best = same;
                    found.push((same, (at - place - 1) as u32));
                }
            }
        };
        for place in [self.pairs[pair], self.triples[triple]] {
            if place > 0 {
                look(place, &mut best);
            }
        }
        let mut place = self.fours[four];
        for _ in 0..DEPTH {
            if place == 0 || best >= most {
                return;
            }
            look(place, &mut best);
            place = self.before[place as usize - 1];
        }
    }
}
