//! The hashes of all windows of `n` units in a row: a polynomial in the units' own hashes, which rolls on from one window
//! to the next (Karp, Rabin 1987, "Efficient randomized pattern-matching algorithms"). A window costs two multiplications,
//! however many units it has.
//!
//! [`windows`] takes units that are all there. [`Rolling`] takes them as they come, so that the units can be hashed in the
//! same loop: a processor then does one while it waits for the other.

use super::hash::GOLDEN;

/// How the hash of `n` units rolls on to the next ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    n: usize,
    /// What a unit has been multiplied by when it falls out.
    power: u64,
    seed: u64,
}

impl Window {
    /// Windows of `n` units, at least 1. As large as the most units there are, plus one, is large enough.
    pub(super) fn new(n: usize, seed: u64) -> Self {
        Self { n, power: (0..n).fold(1, |power: u64, _| power.wrapping_mul(GOLDEN)), seed }
    }
}

/// The hash of the last `n` units of those that come one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Rolling {
    /// From `at` on, what falls out of the next `n` windows: zeros first, then hashes of units.
    units: Vec<u64>,
    at: usize,
    n_units: usize,
    hash: u64,
}

impl Rolling {
    /// Forgets all units.
    pub(super) fn begin(&mut self, window: Window) {
        if self.units.len() < window.n {
            self.units.resize(window.n, 0);
        }
        self.units[..window.n].fill(0);
        (self.at, self.n_units, self.hash) = (0, 0, 0);
    }

    /// Makes ready for so many more units.
    #[inline(always)]
    pub(super) fn roll(&mut self, window: Window, more: usize) -> Roll<'_> {
        self.units.copy_within(self.at..self.at + window.n, 0);
        if self.units.len() < window.n + more {
            self.units.resize(window.n + more, 0);
        }
        Roll { units: &mut self.units[..window.n + more], window, at: 0, n_units: self.n_units, hash: self.hash }
    }

    /// Keeps where a [`Roll`] has come to.
    #[inline(always)]
    pub(super) fn keep(&mut self, (at, n_units, hash): (usize, usize, u64)) {
        (self.at, self.n_units, self.hash) = (at, n_units, hash);
    }
}

/// A [`Rolling`] in a loop, with what that needs at hand.
pub(super) struct Roll<'u> {
    units: &'u mut [u64],
    window: Window,
    at: usize,
    n_units: usize,
    hash: u64,
}

impl Roll<'_> {
    /// Takes a unit. The hash of the window that it ends, if [none is missing](Roll::missing).
    #[inline(always)]
    pub(super) fn push(&mut self, unit: u64) -> u64 {
        let change = unit.wrapping_sub(self.units[self.at].wrapping_mul(self.window.power));
        self.units[self.at + self.window.n] = unit;
        self.at += 1;
        self.n_units += 1;
        self.hash = self.hash.wrapping_mul(GOLDEN).wrapping_add(change);
        self.hash.wrapping_add(self.window.seed)
    }

    /// How many units must still come before one ends a window.
    #[inline(always)]
    pub(super) fn missing(&self) -> usize {
        (self.window.n - 1).saturating_sub(self.n_units)
    }

    /// The hash of all units, if they are too few for a window.
    #[inline(always)]
    pub(super) fn short(&self) -> Option<u64> {
        let few = (1..self.window.n).contains(&self.n_units);
        few.then(|| short_hash(self.hash, self.window.seed, self.n_units))
    }

    #[inline(always)]
    pub(super) fn state(&self) -> (usize, usize, u64) {
        (self.at, self.n_units, self.hash)
    }
}

/// Writes the hashes of all windows of units to the begin of `out`; that of the whole if it is shorter; nothing of nothing.
/// Returns how many there are, which is no more than there are units.
#[inline(always)]
pub(super) fn windows(units: &[u64], window: Window, out: &mut [u64]) -> usize {
    let Window { n, power, seed } = window;
    let first = &units[..n.min(units.len())];
    let mut hash = first.iter().fold(0, |hash: u64, &unit| hash.wrapping_mul(GOLDEN).wrapping_add(unit));
    if units.is_empty() {
        return 0;
    }
    if units.len() < n {
        out[0] = short_hash(hash, seed, units.len());
        return 1;
    }
    let rest = &units[n..];
    let out = &mut out[..=rest.len()];
    out[0] = hash.wrapping_add(seed);
    for ((out, &new), &old) in out[1..].iter_mut().zip(rest).zip(units) {
        // The difference does not wait for the hash before.
        hash = hash.wrapping_mul(GOLDEN).wrapping_add(new.wrapping_sub(old.wrapping_mul(power)));
        *out = hash.wrapping_add(seed);
    }
    out.len()
}

/// The hash of all units, where they are too few. A whole that is shorter is no window of fewer units.
#[inline(always)]
fn short_hash(hash: u64, seed: u64, n_units: usize) -> u64 {
    hash.wrapping_add(seed ^ n_units as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hash::hash_one;
    use super::*;

    /// The definition: the first unit counts most, and what is shorter than a window is no window of fewer units.
    fn naive(units: &[u64], n: usize, seed: u64) -> Vec<u64> {
        let hash = |units: &[u64]| units.iter().fold(0u64, |all, unit| all.wrapping_mul(GOLDEN).wrapping_add(*unit));
        if (1..n).contains(&units.len()) {
            return vec![hash(units).wrapping_add(seed ^ units.len() as u64)];
        }
        units.windows(n).map(|window| hash(window).wrapping_add(seed)).collect()
    }

    fn at_once(units: &[u64], window: Window) -> Vec<u64> {
        let mut out = vec![0; units.len()];
        let n = windows(units, window, &mut out);
        out.truncate(n);
        out
    }

    fn as_they_come(units: &[u64], window: Window, some: usize, rolling: &mut Rolling) -> Vec<u64> {
        let mut out = Vec::new();
        rolling.begin(window);
        for units in units.chunks(some) {
            let mut roll = rolling.roll(window, units.len());
            let (before, rest) = units.split_at(roll.missing().min(units.len()));
            for &unit in before {
                roll.push(unit);
            }
            out.extend(rest.iter().map(|&unit| roll.push(unit)));
            let state = roll.state();
            rolling.keep(state);
        }
        out.extend(rolling.roll(window, 0).short());
        out
    }

    proptest! {
        #[test]
        fn windows_are_those_of_the_definition(n in 1usize..9, n_units in 0u64..40, some in 1usize..12, seed: u64) {
            let units: Vec<u64> = (0..n_units).map(|i| hash_one(i ^ seed)).collect();
            let (window, mut rolling) = (Window::new(n, seed), Rolling::default());
            prop_assert_eq!(at_once(&units, window), naive(&units, n, seed));
            // The second time, units of the first are still there.
            for _ in 0..2 {
                prop_assert_eq!(as_they_come(&units, window, some, &mut rolling), naive(&units, n, seed));
            }
        }
    }
}
