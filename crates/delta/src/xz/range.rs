//! The range coder of LZMA, its adaptive bits, and what they cost.

use std::sync::LazyLock;

/// The probability that a bit is 0, in 2048th.
pub(super) type Prob = u16;
/// Either is as likely.
pub(super) const EVEN: Prob = 1 << (PROB_BITS - 1);

const PROB_BITS: u32 = 11;
const MOVE_BITS: u32 = 5;
const TOP: u32 = 1 << 24;
/// What one bit costs that is as likely as not; prices are in these parts of a bit.
pub(super) const BIT: u32 = 16;
/// Probabilities are told apart for prices in so many steps.
const STEPS: usize = 128;

static PRICES: LazyLock<[u8; STEPS]> = LazyLock::new(|| {
    std::array::from_fn(|step| {
        let likely = (step as f64 + 0.5) / STEPS as f64;
        (-likely.log2() * f64::from(BIT)).round() as u8
    })
});

/// The prices of bits.
#[derive(Clone, Copy)]
pub(super) struct Prices(&'static [u8; STEPS]);

impl Prices {
    pub fn new() -> Self {
        Prices(&PRICES)
    }

    pub fn bit(self, prob: Prob, bit: u32) -> u32 {
        let likely = if bit == 0 { prob } else { (1 << PROB_BITS) - prob };
        u32::from(self.0[usize::from(likely >> 4) & (STEPS - 1)])
    }

    pub fn tree<const N: usize>(self, probs: &[Prob; N], value: u32) -> u32 {
        let mut node = value as usize + N;
        let mut price = 0;
        while node > 1 {
            price += self.bit(probs[node >> 1], node as u32 & 1);
            node >>= 1;
        }
        price
    }

    pub fn reverse_tree(self, probs: &[Prob], bits: u32, value: u32) -> u32 {
        let (mut node, mut price) = (1, 0);
        for at in 0..bits {
            let bit = value >> at & 1;
            price += self.bit(probs[node], bit);
            node = node << 1 | bit as usize;
        }
        price
    }
}

/// Writes bits.
#[derive(Debug)]
pub(super) struct RangeEncoder {
    low: u64,
    range: u32,
    cache: u8,
    pending: usize,
    out: Vec<u8>,
}

impl RangeEncoder {
    pub fn new() -> Self {
        RangeEncoder { low: 0, range: u32::MAX, cache: 0, pending: 1, out: Vec::new() }
    }

    /// How many bytes there will be at the end, or some fewer.
    pub fn len(&self) -> usize {
        self.out.len() + self.pending + 4
    }

    #[inline]
    pub fn bit(&mut self, prob: &mut Prob, bit: u32) {
        // Bits of checksums are as good as random: without a branch that depends on them.
        let bound = (self.range >> PROB_BITS) * u32::from(*prob);
        let mask = 0_u32.wrapping_sub(bit);
        self.low += u64::from(bound & mask);
        self.range = (bound & !mask) | ((self.range - bound) & mask);
        let up = ((1 << PROB_BITS) - u32::from(*prob)) >> MOVE_BITS;
        let down = u32::from(*prob) >> MOVE_BITS;
        *prob = (u32::from(*prob) + (up & !mask) - (down & mask)) as Prob;
        self.normalize();
    }

    pub fn direct(&mut self, value: u32, bits: u32) {
        for at in (0..bits).rev() {
            self.range >>= 1;
            if value >> at & 1 != 0 {
                self.low += u64::from(self.range);
            }
            self.normalize();
        }
    }

    pub fn tree<const N: usize>(&mut self, probs: &mut [Prob; N], value: u32) {
        let mut node = 1;
        for at in (0..N.trailing_zeros()).rev() {
            let bit = value >> at & 1;
            self.bit(&mut probs[node], bit);
            node = node << 1 | bit as usize;
        }
    }

    pub fn reverse_tree(&mut self, probs: &mut [Prob], bits: u32, value: u32) {
        let mut node = 1;
        for at in 0..bits {
            let bit = value >> at & 1;
            self.bit(&mut probs[node], bit);
            node = node << 1 | bit as usize;
        }
    }

    #[inline]
    fn normalize(&mut self) {
        if self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
    }

    fn shift(&mut self) {
        let carry = (self.low >> 32) as u8;
        if (self.low as u32) < 0xff00_0000 || carry != 0 {
            self.out.push(self.cache.wrapping_add(carry));
            for _ in 1..self.pending {
                self.out.push(0xff_u8.wrapping_add(carry));
            }
            self.pending = 0;
            self.cache = (self.low >> 24) as u8;
        }
        self.pending += 1;
        self.low = (self.low & 0x00ff_ffff) << 8;
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        for _ in 0..5 {
            self.shift();
        }
        std::mem::replace(self, RangeEncoder::new()).out
    }
}
