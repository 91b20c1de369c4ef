//! What a further use of a document is worth, by how often it was used before.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the worth of a document falls with its uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// e^(−uses / `r_star`): the marginal value of repeated tokens in Muennighoff et al. 2023,
    /// "Scaling Data-Constrained Language Models" (arXiv 2305.16264), section 5.
    #[default]
    RepeatValue,
    /// From 1 down to 0 at `cap` in even steps.
    Linear,
    /// 1 up to `cap`.
    Cap,
    /// 1, however often it was used: no curve and no cap.
    None,
}

/// The weight of the next use of a document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// How it falls.
    pub curve: Curve,
    /// After how many repeats a further one is worth 1/e of a first use.
    pub r_star: f64,
    /// From how many uses on it is 0.
    pub cap: u32,
}

impl Default for Weight {
    /// R* = 15.39 is fitted in Muennighoff et al. 2023, section 5; up to 4 epochs, they find, repeating is
    /// nearly as good as fresh data.
    fn default() -> Self {
        Self { curve: Curve::RepeatValue, r_star: 15.39, cap: 4 }
    }
}

impl Weight {
    /// Checks the numbers; the message names the setting.
    pub fn checked(self) -> Result<Self, String> {
        if !(self.r_star > 0.0 && self.r_star.is_finite()) {
            return Err(format!("`r_star` ({}) must be above 0", self.r_star));
        }
        if self.cap == 0 {
            return Err("`cap` must be at least 1: with 0 no document could be used at all".to_owned());
        }
        Ok(self)
    }

    /// The weight of a further use after `uses` uses: 1 for a fresh document, 0 for one that is used up.
    pub fn of(&self, uses: u64) -> f64 {
        if self.curve == Curve::None {
            return 1.0;
        }
        if uses >= u64::from(self.cap) {
            return 0.0;
        }
        match self.curve {
            // In software: draws by weight are to be the same on every machine, to the last digit.
            Curve::RepeatValue => libm::exp(-(uses as f64) / self.r_star),
            Curve::Linear => 1.0 - uses as f64 / f64::from(self.cap),
            Curve::Cap | Curve::None => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(curve: Curve, expected: [f64; 5]) {
        let weight = Weight { curve, ..Weight::default() }.checked().expect("sound");
        for (uses, expected) in (0..).zip(expected) {
            assert!((weight.of(uses) - expected).abs() < 5e-5, "{curve:?} after {uses}: {}", weight.of(uses));
        }
    }

    #[test]
    fn curves_fall_from_one_to_the_cap() {
        check(Curve::RepeatValue, [1.0, 0.9371, 0.8781, 0.8229, 0.0]);
        check(Curve::Linear, [1.0, 0.75, 0.5, 0.25, 0.0]);
        check(Curve::Cap, [1.0, 1.0, 1.0, 1.0, 0.0]);
        check(Curve::None, [1.0; 5]);
    }

    #[test]
    fn any_number_of_uses_has_a_weight() {
        assert_eq!(Weight::default().of(u64::MAX), 0.0);
        let uncapped = Weight { cap: u32::MAX, ..Weight::default() };
        assert!((0.0..1e-10).contains(&uncapped.of(1000)));
    }

    #[test]
    fn nonsense_is_refused() {
        for r_star in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Weight { r_star, ..Weight::default() }.checked().is_err());
        }
        assert!(Weight { cap: 0, ..Weight::default() }.checked().expect_err("nonsense").contains("`cap`"));
    }
}
