//! A sketch of a set: a fixed number of slots, of which two sketches share as large a part as their sets
//! are alike. Bands of slots are the keys by which like documents meet.
//!
//! FastSimilaritySketch (Dahlgaard, Knudsen, Thorup 2017, "Fast Similarity Sketching", arXiv 1704.04370):
//! in round *i* every member falls into one slot with a value of *i* and a fraction; a slot keeps its least
//! value; the rounds end when every slot is filled, after 2·t rounds at the latest, for in round t + *j*
//! all members fall into slot *j*. One or two rounds do for long texts, so the cost is a few hashes a
//! member and not one per slot. The part of shared slots is an unbiased estimate of the Jaccard
//! similarity, with no more variance than t independent hashes have.

use super::hash::{GOLDEN, hash_all, hash_one};
use crate::vector::{Kernel, Width, widest};

/// The bits of a slot's value below the number of the round.
const FRACTION_BITS: u32 = 50;

/// The most slots a sketch can have: the number of the round must fit above the fraction.
pub const MAX_SLOTS: usize = 1 << (63 - FRACTION_BITS);

/// Appends the `slots` slots (1 to [`MAX_SLOTS`]) of the sketch of `set`, whose order and repeats do not
/// matter. The empty set has no sketch, and nothing is appended. The same on every machine.
pub fn sketch(set: &[u64], slots: usize, out: &mut Vec<u64>) {
    debug_assert!((1..=MAX_SLOTS).contains(&slots));
    if set.is_empty() {
        return;
    }
    let from = out.len();
    out.resize(from + slots, u64::MAX);
    widest(Fill { sketch: &mut out[from..], set });
}

/// Fills the slots of a sketch, which are empty.
struct Fill<'s> {
    sketch: &'s mut [u64],
    set: &'s [u64],
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<W: Width>(self) {
        let Self { sketch, set } = self;
        let slots = sketch.len();
        for round in 0..2 * slots as u64 {
            let base = round << FRACTION_BITS;
            let salt = round.wrapping_mul(GOLDEN);
            // The upper half of a hash chooses the slot, the lower half leads the fraction.
            let value = |hash: u64| base | (hash.rotate_left(32) >> (64 - FRACTION_BITS));
            if round < slots as u64 {
                for &member in set {
                    let hash = hash_one(member ^ salt);
                    let slot = &mut sketch[(((hash >> 32) * slots as u64) >> 32) as usize];
                    *slot = (*slot).min(value(hash));
                }
            } else {
                let slot = &mut sketch[round as usize - slots];
                *slot = set.iter().map(|member| value(hash_one(member ^ salt))).fold(*slot, u64::min);
            }
            if !sketch.contains(&u64::MAX) {
                return;
            }
        }
    }
}

/// The keys of a sketch's bands: band *i* is slots `i·rows` to `(i+1)·rows`.
pub fn band_keys(sketch: &[u64], rows: usize) -> impl Iterator<Item = u64> {
    let of_band = |(band, index): (&[u64], u64)| hash_all(std::iter::once(index).chain(band.iter().copied()));
    sketch.chunks_exact(rows).zip(0..).map(of_band)
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64_with_seed;

    use super::*;
    use crate::vector::Any;

    /// Two sets of `size` members in all, of which `common` are in both.
    fn pair(seed: u64, size: u64, common: u64) -> [Vec<u64>; 2] {
        let member = |i: u64| xxh3_64_with_seed(&i.to_le_bytes(), seed);
        let left = (0..common).chain(common..common + (size - common) / 2);
        let right = (0..common).chain(common + (size - common) / 2..size);
        [left.map(member).collect(), right.map(member).collect()]
    }

    fn sketch_of(set: &[u64], slots: usize) -> Vec<u64> {
        let mut out = Vec::new();
        sketch(set, slots, &mut out);
        out
    }

    /// The root of the mean squared error of the estimate, over 2,000 pairs of sets.
    fn error(slots: usize, size: u64, common: u64) -> f64 {
        let truth = common as f64 / size as f64;
        let squares = (0..2000).map(|seed| {
            let [a, b] = pair(seed, size, common).map(|set| sketch_of(&set, slots));
            let shared = a.iter().zip(&b).filter(|(a, b)| a == b).count();
            (shared as f64 / slots as f64 - truth).powi(2)
        });
        (squares.sum::<f64>() / 2000.0).sqrt()
    }

    #[track_caller]
    fn check_error(slots: usize, size: u64, common: u64) {
        let truth = common as f64 / size as f64;
        let independent = (truth * (1.0 - truth) / slots as f64).sqrt();
        let found = error(slots, size, common);
        assert!(found < independent, "{found} of {independent} for independent hashes");
    }

    #[test]
    fn estimates_are_no_worse_than_independent_hashes() {
        for slots in [96, 128, 140] {
            check_error(slots, 1000, 800);
            check_error(slots, 300, 150);
            check_error(slots, 60, 48);
            check_error(slots, 10, 5);
        }
    }

    #[test]
    fn estimates_of_short_sets_are_better() {
        // A member of a small set falls into a slot of its own in the first rounds, so fewer slots are left
        // to chance.
        let error = error(128, 10, 5);
        assert!(error < 0.8 * (0.25f64 / 128.0).sqrt(), "{error}");
    }

    #[test]
    fn order_and_repeats_do_not_matter() {
        for size in [1, 2, 50, 3000] {
            let [set, _] = pair(size, size, size);
            let mixed: Vec<_> = set.iter().rev().chain(&set).copied().collect();
            assert_eq!(sketch_of(&set, 100), sketch_of(&mixed, 100));
            assert!(!sketch_of(&set, 100).contains(&u64::MAX), "every slot is filled");
        }
        assert!(sketch_of(&[], 100).is_empty());
    }

    #[test]
    fn the_sketch_is_the_same_on_every_machine() {
        let sketch = sketch_of(&[1, 2, 3], 4);
        let keys: Vec<_> = band_keys(&sketch, 2).collect();
        assert_eq!(keys, [2_705_016_082_062_898_061, 17_358_815_597_786_258_600]);
    }

    #[test]
    fn equal_bands_at_other_places_have_other_keys() {
        let keys: Vec<_> = band_keys(&[5, 6, 5, 6, 7], 2).collect();
        assert_eq!(keys.len(), 2, "slots that fill no band are left out");
        assert_ne!(keys[0], keys[1]);
    }

    #[test]
    fn wider_vectors_change_nothing() {
        for size in [1, 2, 30, 128, 3000] {
            let [set, _] = pair(size, size, size);
            for slots in [1, 7, 128] {
                let mut plain = vec![u64::MAX; slots];
                Fill { sketch: &mut plain, set: &set }.run::<Any>();
                assert_eq!(sketch_of(&set, slots), plain);
            }
        }
    }
}
