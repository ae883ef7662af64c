//! Chance that a seed gives again.

/// A generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts from what all `parts` say.
    pub fn new(parts: &[u64]) -> Random {
        let mut random = Random(0x7265_666f_696c);
        for part in parts {
            random.0 ^= *part;
            random.0 = random.next();
        }
        random
    }

    /// As [`Random::new`], with words.
    pub fn of_words(seed: u64, words: &[&str], parts: &[u64]) -> Random {
        let bytes = words.iter().flat_map(|word| word.bytes().chain([0])).map(u64::from);
        let all: Vec<u64> = [seed].into_iter().chain(bytes).chain(parts.iter().copied()).collect();
        Random::new(&all)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `of_ten` cases of ten.
    pub fn chance(&mut self, of_ten: u64) -> bool {
        self.below(10) < of_ten
    }

    /// Text that does not repeat.
    pub fn text(&mut self, len: usize) -> String {
        let mut text = String::with_capacity(len + 16);
        while text.len() < len {
            text.push_str(&format!("{:016x}", self.next()));
        }
        text.truncate(len);
        text
    }
}
