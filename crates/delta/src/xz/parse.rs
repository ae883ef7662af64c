//! Chooses the symbols that data is told by: the cheapest way through each stretch of it.

use std::ops::Range;

use super::find::Finder;
use super::model::{Context, LC, LEN_MAX, LEN_MIN, Model, PB, Symbol};
use super::range::RangeEncoder;

/// Bytes that are looked at together.
const STRETCH: usize = 512;
/// A chunk of LZMA2 has no more than 64 KiB; behind so many bytes no further stretch is begun,
/// which at worst takes seven bytes for each of its own.
const CHUNK_FULL: usize = 60_000;
/// Nor has it more than 2 MiB unpacked.
const CHUNK_DATA: usize = (2 << 20) - STRETCH;
/// Prices follow the models after so many matches.
const UPDATE: usize = 64;

/// Packs data into chunks of LZMA2.
///
/// `noise` are stretches in ascending order that nothing is to be gained from: there no match is
/// looked for.
pub(super) fn chunks(data: &[u8], noise: &[Range<usize>]) -> Vec<u8> {
    let mut encoder = Encoder {
        data,
        model: Model::new(),
        rc: RangeEncoder::new(),
        context: Context::new(),
        finder: Finder::new(data),
        nodes: vec![Node::FAR; STRETCH + 1],
        symbols: Vec::new(),
        since_update: 0,
        at: 0,
        chunk: 0,
        out: Vec::new(),
    };
    for noise in noise {
        encoder.stretches(noise.start);
        encoder.literals(noise.end);
    }
    encoder.stretches(data.len());
    encoder.end_chunk();
    encoder.out.push(0);
    encoder.out
}

struct Encoder<'d> {
    data: &'d [u8],
    model: Model,
    rc: RangeEncoder,
    context: Context,
    finder: Finder<'d>,
    nodes: Vec<Node>,
    symbols: Vec<Symbol>,
    since_update: usize,
    /// How many bytes are told.
    at: usize,
    /// Where the chunk begins.
    chunk: usize,
    out: Vec<u8>,
}

/// The cheapest way known to a place in a stretch.
#[derive(Clone, Copy)]
struct Node {
    price: u32,
    from: usize,
    symbol: Symbol,
    context: Context,
}

impl Node {
    const FAR: Node = Node {
        price: u32::MAX,
        from: 0,
        symbol: Symbol::Literal,
        context: Context { state: 0, reps: [0; 4] },
    };
}

impl Encoder<'_> {
    fn stretches(&mut self, end: usize) {
        while self.at < end {
            let to = end.min(self.at + STRETCH);
            self.make_room();
            self.search(to - self.at);
            self.walk_back(to - self.at);
            while let Some(symbol) = self.symbols.pop() {
                self.encode(symbol);
            }
        }
    }

    fn literals(&mut self, end: usize) {
        // Should the checksum come again.
        self.finder.note(self.at + 1);
        while self.at < end {
            let to = end.min(self.at + STRETCH);
            self.make_room();
            while self.at < to {
                self.encode(Symbol::Literal);
            }
        }
        self.finder.skip_to(end);
    }

    fn encode(&mut self, symbol: Symbol) {
        self.model.encode(&mut self.rc, self.data, self.at, &self.context, symbol);
        self.context = self.context.after(symbol);
        self.at += symbol.len();
        self.since_update += usize::from(symbol != Symbol::Literal);
        if self.since_update >= UPDATE {
            self.since_update = 0;
            self.model.update();
        }
    }

    /// Finds the cheapest way through the next `len` bytes.
    fn search(&mut self, len: usize) {
        self.nodes[..=len].fill(Node::FAR);
        self.nodes[0].price = 0;
        self.nodes[0].context = self.context;
        // A cheaper way that leads further: what is dearer here leads nowhere.
        let (mut ahead, mut ahead_price) = (0, 0);
        for place in 0..len {
            let node = self.nodes[place];
            if ahead > place && ahead_price <= node.price {
                continue;
            }
            if place > 0 {
                let before = self.nodes[node.from].context;
                self.nodes[place].context = before.after(node.symbol);
            }
            let (to, price) = self.steps(place, len);
            if ahead <= place || price <= ahead_price {
                (ahead, ahead_price) = (to, price);
            }
        }
    }

    /// Goes on from a place in every way. Gives the cheapest place this leads to by a match.
    fn steps(&mut self, place: usize, len: usize) -> (usize, u32) {
        let (at, data) = (self.at + place, self.data);
        let Node { price, context, .. } = self.nodes[place];
        let most = (len - place).min(LEN_MAX);
        let literal = price + self.model.literal_price(data, at, &context);
        self.relax(place, literal, Symbol::Literal);
        let mut ahead = (0, u32::MAX);
        let mut shortest = LEN_MIN;
        for which in 0..4 {
            let dist = context.reps[which] as usize + 1;
            if dist > at {
                continue;
            }
            let same = common(data, at - dist, at, most);
            if which == 0 && same > 0 {
                let short = price + self.model.short_price(at, &context);
                self.relax(place, short, Symbol::Short);
            }
            if same < shortest {
                continue;
            }
            let named = price + self.model.rep_price(at, &context, which);
            for len in shortest..=same {
                let price = named + self.model.rep_rest(at, len);
                self.relax(place, price, Symbol::Rep(which, len));
                ahead = cheaper(ahead, (place + len, price));
            }
            shortest = same + 1;
        }
        let named = price + self.model.match_price(at, &context);
        let mut found = std::mem::take(&mut self.finder.found);
        self.finder.find(at, most, &mut found);
        for (same, dist) in found.iter().copied() {
            for len in shortest..=same {
                let price = named + self.model.match_rest(at, dist, len);
                self.relax(place, price, Symbol::Match(dist, len));
                ahead = cheaper(ahead, (place + len, price));
            }
            shortest = shortest.max(same + 1);
        }
        self.finder.found = found;
        ahead
    }

    fn relax(&mut self, from: usize, price: u32, symbol: Symbol) {
        let node = &mut self.nodes[from + symbol.len()];
        if price < node.price {
            *node = Node { price, from, symbol, ..*node };
        }
    }

    /// The symbols of the way to `place`, the last one first.
    fn walk_back(&mut self, mut place: usize) {
        self.symbols.clear();
        while place > 0 {
            let Node { from, symbol, .. } = self.nodes[place];
            self.symbols.push(symbol);
            place = from;
        }
    }

    fn make_room(&mut self) {
        if self.rc.len() > CHUNK_FULL || self.at - self.chunk > CHUNK_DATA {
            self.end_chunk();
        }
    }

    fn end_chunk(&mut self) {
        let Some(last) = (self.at - self.chunk).checked_sub(1) else { return };
        let packed = self.rc.take();
        // Everything is new to the reader, or nothing is.
        let first = self.chunk == 0;
        let control = if first { 0xe0 } else { 0x80 };
        self.out.push(control | (last >> 16) as u8);
        self.out.extend_from_slice(&(last as u16).to_be_bytes());
        self.out.extend_from_slice(&((packed.len() - 1) as u16).to_be_bytes());
        if first {
            self.out.push((PB * 5 * 9 + LC) as u8);
        }
        self.out.extend_from_slice(&packed);
        self.chunk = self.at;
    }
}

impl Symbol {
    fn len(self) -> usize {
        match self {
            Symbol::Literal | Symbol::Short => 1,
            Symbol::Rep(_, len) | Symbol::Match(_, len) => len,
        }
    }
}

fn cheaper(one: (usize, u32), other: (usize, u32)) -> (usize, u32) {
    if other.1 <= one.1 { other } else { one }
}

/// How many bytes from two places on are equal, at most.
pub(super) fn common(data: &[u8], one: usize, other: usize, most: usize) -> usize {
    let (one, other) = (&data[one..one + most], &data[other..other + most]);
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    for (at, (a, b)) in words.iter().zip(other_words).enumerate() {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return at * 8 + differ.trailing_zeros() as usize / 8;
        }
    }
    let same = rest.iter().zip(other_rest).take_while(|(a, b)| a == b).count();
    words.len() * 8 + same
}
