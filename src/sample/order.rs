//! The order of a draw: made of hashes and of arithmetic that is the same on every machine.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Draws lots: a number for each use of each text, which nobody can foresee and everybody can work out.
#[derive(Debug, Clone, Copy)]
pub struct Lot {
    seed: u64,
}

impl Lot {
    /// The lots of a draw for one purpose. Another seed, name or purpose has others.
    pub fn new(seed: u64, name: &str, purpose: &str) -> Self {
        let words = [name.as_bytes(), &[0], purpose.as_bytes()].concat();
        Self { seed: xxh3_64_with_seed(&words, seed) }
    }

    /// The lot of a use of a text.
    pub fn of(self, key: u128, turn: u32) -> u64 {
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(&key.to_be_bytes());
        bytes[16..].copy_from_slice(&turn.to_le_bytes());
        xxh3_64_with_seed(&bytes, self.seed)
    }
}

/// When something of this weight is met, by its lot: exponentially distributed with the weight as its rate. Those met
/// first are a draw without replacement in which each next one is drawn by weight (Efraimidis and Spirakis 2006,
/// "Weighted random sampling with a reservoir"; the logarithm of their key u^(1/w), its sign turned).
///
/// The logarithm is worked out in software: that of the system differs from one to the other in the last digit.
pub fn arrival(lot: u64, weight: f64) -> f64 {
    // 52 bits and a half, so that it is exact and neither 0 nor 1.
    let unit = ((lot >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
    -libm::log(unit) / weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_differ_by_everything_they_are_made_of() {
        let lot = Lot::new(1, "a", "order").of(7, 0);
        assert_eq!(lot, Lot::new(1, "a", "order").of(7, 0));
        for other in [
            Lot::new(2, "a", "order").of(7, 0),
            Lot::new(1, "b", "order").of(7, 0),
            Lot::new(1, "a", "place").of(7, 0),
            Lot::new(1, "a", "order").of(8, 0),
            Lot::new(1, "a", "order").of(7, 1),
        ] {
            assert_ne!(lot, other);
        }
    }

    /// Another machine, another compiler: the same draw.
    #[test]
    fn lots_are_what_they_always_were() {
        let seed = xxh3_64_with_seed(b"draw\0order", 9);
        let bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0];
        assert_eq!(Lot::new(9, "draw", "order").of(0x0102, 3), xxh3_64_with_seed(&bytes, seed));
        assert_eq!(arrival(0x8000_0000_0000_0000, 1.0).to_bits(), 0.693_147_180_559_945_1_f64.to_bits());
        assert_eq!(arrival(0x1234_5678_9abc_def0, 0.25).to_bits(), 0x4025_25e9_73a0_5652);
    }

    #[test]
    fn arrivals_are_exponential() {
        let lot = Lot::new(3, "x", "y");
        let mean = |weight: f64| (0..20_000).map(|n| arrival(lot.of(n, 0), weight)).sum::<f64>() / 20_000.0;
        assert!((mean(1.0) - 1.0).abs() < 0.02, "{}", mean(1.0));
        assert!((mean(4.0) - 0.25).abs() < 0.005, "{}", mean(4.0));
        assert!(arrival(0, 1.0).is_finite() && arrival(u64::MAX, 1.0) > 0.0);
    }
}
