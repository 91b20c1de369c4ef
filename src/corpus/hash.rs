//! The hashes that shingles, sketches and band keys are made of. The same on every machine.
//!
//! Sequences are hashed as wyhash does (Wang Yi, 2019): each step multiplies 64 by 64 bits and folds the 128
//! bits of the product, so it costs one multiplication.

/// A random odd number: 2^64 over the golden ratio.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a sequence begins, and what it is multiplied by: random numbers, half of whose bits are set.
const BEGIN: u64 = 0x93c4_67e3_7db0_c7a4;
const FACTOR: u64 = 0xd1b5_4a32_d192_ed03;

/// The hash of a sequence of one member.
#[inline]
pub(super) fn hash_one(member: u64) -> u64 {
    hash_next(BEGIN, member)
}

/// The hash of a sequence.
#[inline]
pub(super) fn hash_all(members: impl Iterator<Item = u64>) -> u64 {
    members.fold(BEGIN, hash_next)
}

/// The hash of a sequence with one member more.
#[inline]
pub(super) fn hash_next(hash: u64, member: u64) -> u64 {
    fold(hash ^ member)
}

#[inline]
fn fold(x: u64) -> u64 {
    let product = u128::from(x) * u128::from(FACTOR);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn small_numbers_and_short_words_have_hashes_of_their_own() {
        let letters = || (b'a'..=b'z').map(u64::from);
        let words = letters().flat_map(|a| letters().map(move |b| a << 8 | b));
        let words = words.flat_map(|two| letters().map(move |c| two << 8 | c));
        let hashes: HashSet<u64> = words.chain(0..100_000).map(hash_one).collect();
        assert_eq!(hashes.len(), 26 * 26 * 26 + 100_000);
        // Every bit is set in about half of them.
        for bit in 0..64 {
            let set = hashes.iter().filter(|&&hash| hash >> bit & 1 == 1).count() as f64;
            let part = set / hashes.len() as f64;
            assert!((part - 0.5).abs() < 0.01, "bit {bit}: {part}");
        }
    }

    #[test]
    fn order_and_length_matter() {
        let hash = |members: &[u64]| hash_all(members.iter().copied());
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash(&[1, 0]), hash(&[1]));
        assert_eq!(hash(&[7]), hash_one(7));
    }

    #[test]
    fn the_hashes_are_the_same_on_every_machine() {
        assert_eq!(hash_one(1), 8_264_237_888_910_226_062);
    }
}
