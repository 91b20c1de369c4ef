//! Chance, the same in every run.

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) % n as u64) as usize
    }

    /// Small numbers are far more frequent than great ones, as with words.
    pub(crate) fn rank(&mut self, n: usize) -> usize {
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        ((n as f64).powf(share) as usize).min(n - 1)
    }
}
