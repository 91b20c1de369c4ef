//! A sketch as datatrove makes it: slot *i* is the least value that the *i*-th of a family of permutations gives to
//! a member of the set.
//!
//! A permutation takes *x* to ((*a*·*x* + *b*) mod 2⁶⁴) mod (2⁶¹ − 1): as published (datatrove 0.10,
//! `pipeline/dedup/minhash.py`), with the product cut to 64 bits first. The *a* are drawn first, then the *b*, by
//! NumPy's `RandomState(1).randint`: so another number of slots means other permutations.
//!
//! Every member meets every permutation, which costs more than [the sketch of our own](super::sketch), and most of
//! it is spared: whether a value can be the least so far is seen from one product, and the rest is only worked out
//! where it can.

/// 2⁶¹ − 1, a Mersenne prime.
const PRIME: u64 = (1 << 61) - 1;

/// How many permutations go through the members together, to fill the processor's pipeline.
const LANES: usize = 8;

/// A family of permutations.
#[derive(Debug, Clone)]
pub struct Affine {
    blocks: Vec<Block>,
    slots: usize,
}

/// Some permutations of a family. Those that fill the last block up are 0·x + 0.
#[derive(Debug, Clone, Default)]
struct Block {
    a: [u64; LANES],
    b: [u64; LANES],
}

impl Affine {
    /// The family of `slots` permutations.
    pub fn new(slots: usize) -> Self {
        let mut random = MersenneTwister::new(1);
        let mut blocks = vec![Block::default(); slots.div_ceil(LANES)];
        for i in 0..slots {
            blocks[i / LANES].a[i % LANES] = 1 + random.up_to(PRIME - 2);
        }
        for i in 0..slots {
            blocks[i / LANES].b[i % LANES] = random.up_to(PRIME - 1);
        }
        Self { blocks, slots }
    }

    /// Appends the sketch of `set`, whose order and repeats do not matter. The empty set has none.
    pub fn sketch(&self, set: &[u64], out: &mut Vec<u64>) {
        if set.is_empty() {
            return;
        }
        let end = out.len() + self.slots;
        out.extend(self.blocks.iter().flat_map(|block| block.least(set)));
        out.truncate(end);
    }
}

impl Block {
    /// The least value of each permutation over a set that is not empty.
    fn least(&self, set: &[u64]) -> [u64; LANES] {
        // A value is the sum of the lower 61 bits of a·x + b and its upper three, less the prime if that is more.
        // So it is below `least` only if those 61 bits are, or if they are among the last seven numbers they can
        // be, which wrap. Moved up by three bits and on by 64, that is one comparison.
        let a = self.a.map(|a| a << 3);
        let b = self.b.map(|b| (b << 3).wrapping_add(64));
        let mut least = [PRIME; LANES];
        let mut bound = [u64::MAX; LANES];
        for &x in set {
            for i in 0..LANES {
                if x.wrapping_mul(a[i]).wrapping_add(b[i]) < bound[i] {
                    let value = reduced(x.wrapping_mul(self.a[i]).wrapping_add(self.b[i]));
                    if value < least[i] {
                        least[i] = value;
                        bound[i] = (value << 3).saturating_add(64);
                    }
                }
            }
        }
        least
    }
}

/// `x` mod (2⁶¹ − 1).
fn reduced(x: u64) -> u64 {
    let sum = (x & PRIME) + (x >> 61);
    if sum >= PRIME { sum - PRIME } else { sum }
}

/// MT19937 (Matsumoto and Nishimura 1998), which NumPy's `RandomState` draws from.
struct MersenneTwister {
    state: [u32; 624],
    at: usize,
}

impl MersenneTwister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; 624];
        for i in 1..624 {
            let before = state[i - 1];
            state[i] = (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, at: 624 }
    }

    /// A number from 0 to `most`, as `randint` draws 64 bits: those above it, below the next power of two, are drawn again.
    fn up_to(&mut self, most: u64) -> u64 {
        let mask = u64::MAX >> most.leading_zeros();
        loop {
            let upper = u64::from(self.next());
            let drawn = ((upper << 32) | u64::from(self.next())) & mask;
            if drawn <= most {
                return drawn;
            }
        }
    }

    fn next(&mut self) -> u32 {
        if self.at == 624 {
            for i in 0..624 {
                let x = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
                let odd = if x & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % 624] ^ (x >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut x = self.state[self.at];
        self.at += 1;
        x ^= x >> 11;
        x ^= (x << 7) & 0x9d2c_5680;
        x ^= (x << 15) & 0xefc6_0000;
        x ^ (x >> 18)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde::Deserialize;

    use super::*;

    /// What datatrove makes of some documents: see `tests/golden/minhash_datatrove.py`.
    #[derive(Deserialize)]
    pub(in crate::corpus) struct Golden {
        permutations: Vec<Permutations>,
        pub(in crate::corpus) documents: Vec<Document>,
        pub(in crate::corpus) simplified: Vec<[String; 2]>,
        pub(in crate::corpus) english: Vec<English>,
    }

    #[derive(Deserialize)]
    pub(in crate::corpus) struct English {
        pub(in crate::corpus) text: String,
        pub(in crate::corpus) words: Vec<String>,
    }

    #[derive(Deserialize)]
    struct Permutations {
        slots: usize,
        a: Vec<u64>,
        b: Vec<u64>,
    }

    #[derive(Deserialize)]
    pub(in crate::corpus) struct Document {
        pub(in crate::corpus) name: String,
        pub(in crate::corpus) text: String,
        pub(in crate::corpus) simplified: String,
        pub(in crate::corpus) words: Vec<String>,
        pub(in crate::corpus) signatures: Vec<Signature>,
    }

    #[derive(Deserialize)]
    pub(in crate::corpus) struct Signature {
        pub(in crate::corpus) bands: usize,
        pub(in crate::corpus) rows: usize,
        pub(in crate::corpus) n: usize,
        pub(in crate::corpus) shingles: Vec<u64>,
        pub(in crate::corpus) signature: Vec<Vec<u64>>,
    }

    pub(in crate::corpus) fn golden() -> Golden {
        let golden = include_str!("../../tests/golden/minhash_datatrove.json");
        serde_json::from_str(golden).expect("as the script writes it")
    }

    fn sketch_of(affine: &Affine, set: &[u64]) -> Vec<u64> {
        let mut out = vec![7];
        affine.sketch(set, &mut out);
        assert_eq!(out.remove(0), 7, "sketches are appended");
        out
    }

    #[test]
    fn permutations_are_those_of_datatrove() {
        let golden = golden();
        assert_eq!(golden.permutations.len(), 3);
        for Permutations { slots, a, b } in golden.permutations {
            let blocks = Affine::new(slots).blocks;
            let drawn = |of: fn(&Block) -> &[u64]| blocks.iter().flat_map(of).copied().take(slots).collect::<Vec<_>>();
            assert_eq!(drawn(|block| &block.a), a);
            assert_eq!(drawn(|block| &block.b), b);
        }
    }

    #[test]
    fn sketches_are_those_of_datatrove() {
        for document in golden().documents {
            for Signature { bands, rows, shingles, signature, .. } in document.signatures {
                assert_eq!(sketch_of(&Affine::new(bands * rows), &shingles), signature.concat(), "{}", document.name);
            }
        }
    }

    #[test]
    fn values_next_to_the_prime_are_not_missed() {
        // 1·x + b reaches the numbers where the lower bits wrap and the upper ones add to them.
        let mut block = Block { a: [1; LANES], b: std::array::from_fn(|i| i as u64 * PRIME) };
        block.b[LANES - 1] = 3;
        let edges = (0..8).flat_map(|upper| [0, 5, PRIME - 8, PRIME - 3, PRIME].map(|lower| upper << 61 | lower));
        let near = |x: u64| (0..10).flat_map(move |i| [x.wrapping_add(i), x.wrapping_sub(i)]);
        let members: Vec<u64> = edges.flat_map(near).collect();
        for (i, &first) in members.iter().enumerate() {
            for &second in &members[i..] {
                let plain = |x: u64, lane: usize| x.wrapping_add(block.b[lane]) % PRIME;
                let expected = std::array::from_fn(|lane| plain(first, lane).min(plain(second, lane)));
                assert_eq!(block.least(&[first, second]), expected);
                assert_eq!(block.least(&[second, first]), expected);
            }
        }
    }

    #[test]
    fn order_and_repeats_do_not_matter() {
        let affine = Affine::new(30);
        let set: Vec<u64> = (0..500).map(|i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let mixed: Vec<u64> = set.iter().rev().chain(&set).copied().collect();
        assert_eq!(sketch_of(&affine, &set), sketch_of(&affine, &mixed));
        assert!(sketch_of(&affine, &[]).is_empty());
    }
}
