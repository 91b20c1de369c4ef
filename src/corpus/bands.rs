//! How many bands of how many slots: the trade between missing pairs and comparing in vain.
//!
//! Two documents of similarity *s* share all *r* slots of a band with probability s^r, and meet in at least
//! one of *b* bands with P = 1 − (1 − s^r)^b. More rows propose fewer dissimilar pairs but ask for more
//! bands to keep the recall; so the most rows are taken whose bands fit [`SLOTS`] slots.

/// The slots that a chosen banding may take.
///
/// At 0.8 it means 20 bands of 7 rows; with 256 it would be 26 of 8, a third more keys to sort for half the
/// false candidates, which verification dismisses at a microsecond each.
pub const SLOTS: usize = 192;

/// Bands of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    /// The number of bands: each is a key.
    pub bands: usize,
    /// The slots of a band: all of them must be shared.
    pub rows: usize,
}

impl Bands {
    /// The bands that propose pairs of similarity `threshold` with probability `recall` or more, those of
    /// higher similarity with a higher one.
    pub fn choose(threshold: f64, recall: f64) -> Result<Self, String> {
        if !(threshold > 0.0 && threshold <= 1.0) {
            return Err(format!("the threshold ({threshold}) must be above 0 and at most 1"));
        }
        if !(recall > 0.0 && recall < 1.0) {
            return Err(format!("`recall` ({recall}) must be above 0 and below 1"));
        }
        let fits = |rows: usize| {
            let bands = Self::needed(threshold, recall, rows);
            (bands * rows as f64 <= SLOTS as f64).then_some(Self { bands: bands as usize, rows })
        };
        (1..=SLOTS).rev().find_map(fits).ok_or_else(|| {
            let needed = Self::needed(threshold, recall, 1);
            format!(
                "a threshold of {threshold} with a recall of {recall} needs {needed} bands, and {SLOTS} are possible: \
                 raise the threshold, lower `recall`, or set `bands` and `rows`"
            )
        })
    }

    /// The slots of all bands.
    pub fn slots(&self) -> usize {
        self.bands * self.rows
    }

    /// The probability that two documents of this similarity meet.
    pub fn recall(&self, similarity: f64) -> f64 {
        1.0 - (1.0 - similarity.powi(self.rows as i32)).powi(self.bands as i32)
    }

    /// The least number of bands of `rows` rows that reach the recall.
    fn needed(threshold: f64, recall: f64, rows: usize) -> f64 {
        // All slots are shared for certain at 1, and the quotient below is then -0.
        let all_shared = threshold.powi(rows as i32);
        ((1.0 - recall).ln() / (-all_shared).ln_1p()).ceil().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(threshold: f64, bands: usize, rows: usize) {
        let chosen = Bands::choose(threshold, 0.99).expect("possible");
        assert_eq!(chosen, Bands { bands, rows });
        assert!(chosen.recall(threshold) >= 0.99 && chosen.slots() <= SLOTS);
        if bands > 1 {
            assert!(Bands { bands: bands - 1, rows }.recall(threshold) < 0.99, "one band less would do");
        }
    }

    #[test]
    fn bands_reach_the_recall_within_the_slots() {
        check(0.95, 10, 19);
        check(0.8, 20, 7);
        check(0.7, 26, 5);
        check(0.5, 35, 3);
        check(1.0, 1, 192);
    }

    #[test]
    fn nonsense_is_refused() {
        for threshold in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(Bands::choose(threshold, 0.99).expect_err("nonsense").contains("threshold"));
        }
        for recall in [0.0, 1.0, f64::NAN] {
            assert!(Bands::choose(0.8, recall).expect_err("nonsense").contains("recall"));
        }
        let error = Bands::choose(0.02, 0.99).expect_err("too low");
        assert!(error.contains("needs 228 bands, and 192 are possible"), "{error}");
    }
}
