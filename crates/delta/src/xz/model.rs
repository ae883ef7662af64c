//! What LZMA knows of the bytes before, and how symbols are written by it.

use super::range::{BIT, EVEN, Prices, Prob, RangeEncoder};

/// Bits of the byte before that a literal is told by.
pub(super) const LC: u32 = 3;
/// Bits of the position that kinds of symbols and lengths are told by.
pub(super) const PB: u32 = 2;
const POSITIONS: usize = 1 << PB;
/// Shortest match.
pub(super) const LEN_MIN: usize = 2;
/// Longest match.
pub(super) const LEN_MAX: usize = 273;
const STATES: usize = 12;
const LITERAL: usize = 0x300;
/// Slots of distances that have their last bits told without a model.
const SLOT_MODEL_END: u32 = 14;
const ALIGN_BITS: u32 = 4;
/// Matches of this length and more share a model of distances.
const DIST_STATES: usize = 4;

/// One symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Literal,
    /// The byte at the last distance.
    Short,
    /// So many bytes at one of the last four distances.
    Rep(usize, usize),
    /// So many bytes at a distance, which is 0 for the byte before.
    Match(u32, usize),
}

/// What the symbols before mean for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub state: u8,
    pub reps: [u32; 4],
}

impl Context {
    pub fn new() -> Self {
        Context { state: 0, reps: [0; 4] }
    }

    pub fn after(self, symbol: Symbol) -> Self {
        let Context { state, mut reps } = self;
        let literal_before = state < 7;
        let state = match symbol {
            Symbol::Literal => match state {
                0..4 => 0,
                4..10 => state - 3,
                _ => state - 6,
            },
            Symbol::Short => {
                if literal_before {
                    9
                } else {
                    11
                }
            }
            Symbol::Rep(which, _) => {
                reps[..=which].rotate_right(1);
                if literal_before { 8 } else { 11 }
            }
            Symbol::Match(dist, _) => {
                reps.rotate_right(1);
                reps[0] = dist;
                if literal_before { 7 } else { 10 }
            }
        };
        Context { state, reps }
    }
}

struct LenModel {
    choice: [Prob; 2],
    low: [[Prob; 8]; POSITIONS],
    mid: [[Prob; 8]; POSITIONS],
    high: [Prob; 256],
    prices: [[u32; LEN_MAX + 1]; POSITIONS],
}

impl LenModel {
    fn new() -> Self {
        LenModel {
            choice: [EVEN; 2],
            low: [[EVEN; 8]; POSITIONS],
            mid: [[EVEN; 8]; POSITIONS],
            high: [EVEN; 256],
            prices: [[0; LEN_MAX + 1]; POSITIONS],
        }
    }

    fn encode(&mut self, rc: &mut RangeEncoder, len: usize, position: usize) {
        let rest = (len - LEN_MIN) as u32;
        rc.bit(&mut self.choice[0], u32::from(rest >= 8));
        if rest < 8 {
            return rc.tree(&mut self.low[position], rest);
        }
        rc.bit(&mut self.choice[1], u32::from(rest >= 16));
        match rest < 16 {
            true => rc.tree(&mut self.mid[position], rest - 8),
            false => rc.tree(&mut self.high, rest - 16),
        }
    }

    fn update(&mut self, prices: Prices) {
        let [first, second] = self.choice;
        let (is_low, no_low) = (prices.bit(first, 0), prices.bit(first, 1));
        let (is_mid, no_mid) = (prices.bit(second, 0), prices.bit(second, 1));
        let [low_end, mid_end] = [LEN_MIN + 8, LEN_MIN + 16];
        for position in 0..POSITIONS {
            for rest in 0..8 {
                let (low, mid) = (&self.low[position], &self.mid[position]);
                let of_position = &mut self.prices[position];
                of_position[LEN_MIN + rest] = is_low + prices.tree(low, rest as u32);
                of_position[low_end + rest] = no_low + is_mid + prices.tree(mid, rest as u32);
            }
        }
        for len in mid_end..=LEN_MAX {
            let price = no_low + no_mid + prices.tree(&self.high, (len - mid_end) as u32);
            self.prices.iter_mut().for_each(|of_position| of_position[len] = price);
        }
    }
}

/// All models, and prices by them as they were when they were last looked at.
pub(super) struct Model {
    literal: Vec<[Prob; LITERAL]>,
    is_match: [[Prob; POSITIONS]; STATES],
    is_rep: [Prob; STATES],
    is_later: [[Prob; 3]; STATES],
    is_long: [[Prob; POSITIONS]; STATES],
    slots: [[Prob; 64]; DIST_STATES],
    special: [Prob; 115],
    align: [Prob; 16],
    match_len: LenModel,
    rep_len: LenModel,
    prices: Prices,
    slot_prices: [[u32; 64]; DIST_STATES],
    /// Of short distances, whole.
    near_prices: [[u32; 128]; DIST_STATES],
    align_prices: [u32; 16],
}

impl Model {
    pub fn new() -> Self {
        let mut model = Model {
            literal: vec![[EVEN; LITERAL]; 1 << LC],
            is_match: [[EVEN; POSITIONS]; STATES],
            is_rep: [EVEN; STATES],
            is_later: [[EVEN; 3]; STATES],
            is_long: [[EVEN; POSITIONS]; STATES],
            slots: [[EVEN; 64]; DIST_STATES],
            special: [EVEN; 115],
            align: [EVEN; 16],
            match_len: LenModel::new(),
            rep_len: LenModel::new(),
            prices: Prices::new(),
            slot_prices: [[0; 64]; DIST_STATES],
            near_prices: [[0; 128]; DIST_STATES],
            align_prices: [0; 16],
        };
        model.update();
        model
    }

    /// Brings the prices of lengths and distances up to date.
    pub fn update(&mut self) {
        let prices = self.prices;
        self.match_len.update(prices);
        self.rep_len.update(prices);
        for (state, probs) in self.slots.iter().enumerate() {
            for slot in 0_u32..64 {
                let free = (slot >> 1).saturating_sub(1 + ALIGN_BITS);
                let free = if slot < SLOT_MODEL_END { 0 } else { free };
                self.slot_prices[state][slot as usize] = prices.tree(probs, slot) + free * BIT;
            }
        }
        for dist in 0_u32..128 {
            let slot = slot_of(dist);
            let special = special_at(slot).map_or(0, |(at, bits, base)| {
                prices.reverse_tree(&self.special[at..], bits, dist - base)
            });
            for (near, slots) in self.near_prices.iter_mut().zip(&self.slot_prices) {
                near[dist as usize] = slots[slot as usize] + special;
            }
        }
        for low in 0_u32..16 {
            self.align_prices[low as usize] = prices.reverse_tree(&self.align, ALIGN_BITS, low);
        }
    }

    fn dist_price(&self, dist: u32, len: usize) -> u32 {
        let state = (len - LEN_MIN).min(DIST_STATES - 1);
        match dist < 128 {
            true => self.near_prices[state][dist as usize],
            false => {
                self.slot_prices[state][slot_of(dist) as usize]
                    + self.align_prices[dist as usize & 15]
            }
        }
    }

    /// What a literal costs.
    pub fn literal_price(&self, data: &[u8], at: usize, context: &Context) -> u32 {
        let state = usize::from(context.state);
        let mut price = self.prices.bit(self.is_match[state][at & (POSITIONS - 1)], 0);
        let probs = &self.literal[literal_context(data, at)];
        let mut symbol = u32::from(data[at]) | 0x100;
        let (mut offset, mut beside) = beside(data, at, context);
        while symbol < 0x1_0000 {
            beside <<= 1;
            let place = offset + (beside & offset) + (symbol >> 8);
            price += self.prices.bit(probs[place as usize], symbol >> 7 & 1);
            symbol <<= 1;
            offset &= !(beside ^ symbol);
        }
        price
    }

    /// What it costs to say that there is a match at a new distance; its length and distance not
    /// counted.
    pub fn match_price(&self, at: usize, context: &Context) -> u32 {
        let state = usize::from(context.state);
        self.prices.bit(self.is_match[state][at & (POSITIONS - 1)], 1)
            + self.prices.bit(self.is_rep[state], 0)
    }

    /// Its length and distance.
    pub fn match_rest(&self, at: usize, dist: u32, len: usize) -> u32 {
        self.match_len.prices[at & (POSITIONS - 1)][len] + self.dist_price(dist, len)
    }

    /// What the byte at the last distance costs.
    pub fn short_price(&self, at: usize, context: &Context) -> u32 {
        let state = usize::from(context.state);
        let position = at & (POSITIONS - 1);
        self.prices.bit(self.is_match[state][position], 1)
            + self.prices.bit(self.is_rep[state], 1)
            + self.prices.bit(self.is_later[state][0], 0)
            + self.prices.bit(self.is_long[state][position], 0)
    }

    /// What it costs to name one of the last distances; the length not counted.
    pub fn rep_price(&self, at: usize, context: &Context, which: usize) -> u32 {
        let state = usize::from(context.state);
        let position = at & (POSITIONS - 1);
        let bit = |prob, bit| self.prices.bit(prob, bit);
        let is_rep = bit(self.is_match[state][position], 1) + bit(self.is_rep[state], 1);
        let later = &self.is_later[state];
        is_rep
            + match which {
                0 => bit(later[0], 0) + bit(self.is_long[state][position], 1),
                1 => bit(later[0], 1) + bit(later[1], 0),
                _ => bit(later[0], 1) + bit(later[1], 1) + bit(later[2], u32::from(which == 3)),
            }
    }

    /// The length of such a match.
    pub fn rep_rest(&self, at: usize, len: usize) -> u32 {
        self.rep_len.prices[at & (POSITIONS - 1)][len]
    }

    /// Writes a symbol.
    pub fn encode(
        &mut self,
        rc: &mut RangeEncoder,
        data: &[u8],
        at: usize,
        context: &Context,
        symbol: Symbol,
    ) {
        let state = usize::from(context.state);
        let position = at & (POSITIONS - 1);
        rc.bit(&mut self.is_match[state][position], u32::from(symbol != Symbol::Literal));
        match symbol {
            Symbol::Literal => self.literal(rc, data, at, context),
            Symbol::Match(dist, len) => {
                rc.bit(&mut self.is_rep[state], 0);
                self.match_len.encode(rc, len, position);
                self.dist(rc, dist, len);
            }
            Symbol::Short => {
                rc.bit(&mut self.is_rep[state], 1);
                rc.bit(&mut self.is_later[state][0], 0);
                rc.bit(&mut self.is_long[state][position], 0);
            }
            Symbol::Rep(which, len) => {
                rc.bit(&mut self.is_rep[state], 1);
                let later = &mut self.is_later[state];
                rc.bit(&mut later[0], u32::from(which > 0));
                match which {
                    0 => rc.bit(&mut self.is_long[state][position], 1),
                    _ => {
                        rc.bit(&mut later[1], u32::from(which > 1));
                        if which > 1 {
                            rc.bit(&mut later[2], u32::from(which > 2));
                        }
                    }
                }
                self.rep_len.encode(rc, len, position);
            }
        }
    }

    fn literal(&mut self, rc: &mut RangeEncoder, data: &[u8], at: usize, context: &Context) {
        let probs = &mut self.literal[literal_context(data, at)];
        let mut symbol = u32::from(data[at]) | 0x100;
        let (mut offset, mut beside) = beside(data, at, context);
        while symbol < 0x1_0000 {
            beside <<= 1;
            let place = offset + (beside & offset) + (symbol >> 8);
            rc.bit(&mut probs[place as usize], symbol >> 7 & 1);
            symbol <<= 1;
            offset &= !(beside ^ symbol);
        }
    }

    fn dist(&mut self, rc: &mut RangeEncoder, dist: u32, len: usize) {
        let slot = slot_of(dist);
        rc.tree(&mut self.slots[(len - LEN_MIN).min(DIST_STATES - 1)], slot);
        if let Some((at, bits, base)) = special_at(slot) {
            rc.reverse_tree(&mut self.special[at..], bits, dist - base);
        } else if slot >= SLOT_MODEL_END {
            let bits = (slot >> 1) - 1;
            let rest = dist - ((2 | (slot & 1)) << bits);
            rc.direct(rest >> ALIGN_BITS, bits - ALIGN_BITS);
            rc.reverse_tree(&mut self.align, ALIGN_BITS, rest & 15);
        }
    }
}

fn literal_context(data: &[u8], at: usize) -> usize {
    at.checked_sub(1).map_or(0, |before| usize::from(data[before] >> (8 - LC)))
}

/// Where the models of a literal begin that stands beside another byte, and that byte.
fn beside(data: &[u8], at: usize, context: &Context) -> (u32, u32) {
    match context.state < 7 {
        true => (0, 0),
        false => (0x100, u32::from(data[at - context.reps[0] as usize - 1])),
    }
}

/// The position of the highest bit of a distance, and the bit behind it.
fn slot_of(dist: u32) -> u32 {
    match dist < 4 {
        true => dist,
        false => {
            let high = dist.ilog2();
            high << 1 | (dist >> (high - 1) & 1)
        }
    }
}

/// Of slots whose other bits all have models: where these begin, how many bits there are, and
/// the smallest distance.
fn special_at(slot: u32) -> Option<(usize, u32, u32)> {
    (4..SLOT_MODEL_END).contains(&slot).then(|| {
        let bits = (slot >> 1) - 1;
        let base = (2 | (slot & 1)) << bits;
        ((base - slot) as usize, bits, base)
    })
}
