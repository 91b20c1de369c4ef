//! Drops documents whose number in a column is out of range.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::threshold::{Ruling, Threshold, check_order, verdict};
use crate::doc::Doc;
use crate::stage::{Filter, Need, NeedKind, Reason, Settings, Verdict};

/// Drops documents whose number in a column is below `min` or above `max`: scores of language or quality, counts.
///
/// The column is one of the input, or one that an earlier stage adds. The limits themselves are in range.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnRange {
    /// The column of numbers.
    pub column: String,
    /// The least number that is kept, or `false` for none. Default: none.
    pub min: Threshold,
    /// The greatest number that is kept, or `false` for none. Default: none.
    pub max: Threshold,
    /// What becomes of documents without a number there. Default: they are kept, as what was not measured fails
    /// no limit.
    pub missing: Missing,
}

/// What becomes of documents without a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// They stay.
    #[default]
    Keep,
    /// They go.
    Drop,
}

impl Default for ColumnRange {
    fn default() -> Self {
        Self { column: String::new(), min: Threshold::OFF, max: Threshold::OFF, missing: Missing::Keep }
    }
}

impl Settings for ColumnRange {
    const NAME: &'static str = "column_range";
    const ABOUT: &'static str = "drops documents whose number in a column, a score say, is out of range";
    const REQUIRED: &'static [(&'static str, &'static str)] = &[("column", "\"language_score\"")];
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        if self.column.is_empty() {
            return Err("`column` is missing; name the column of numbers to look at".into());
        }
        check_order(("min", self.min), ("max", self.max))?;
        Ok(self)
    }

    fn sample() -> Self {
        Self { column: "language_score".into(), min: Threshold::at(0.5), ..Self::default() }
    }
}

impl ColumnRange {
    fn rule(&self, doc: &Doc<'_>) -> Ruling {
        match doc.columns().number(&self.column).filter(|value| !value.is_nan()) {
            Some(value) => {
                self.min.at_least("below_min", value)?;
                self.max.at_most("above_max", value)
            }
            None if self.missing == Missing::Keep => Ruling::Continue(()),
            None => Ruling::Break(Reason { code: "missing", value: f64::NAN, threshold: f64::NAN }),
        }
    }
}

impl Filter for ColumnRange {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        verdict(self.rule(doc))
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["below_min", "above_max", "missing"]
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need { column: self.column.clone(), kind: NeedKind::Number }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::Columns;

    struct Score(Option<f64>);

    impl Columns for Score {
        fn string(&self, _: &str) -> Option<&str> {
            None
        }
        fn number(&self, column: &str) -> Option<f64> {
            self.0.filter(|_| column == "score")
        }
    }

    fn built(toml: &str) -> Result<ColumnRange, String> {
        toml::from_str::<ColumnRange>(toml).expect("settings").build()
    }

    #[track_caller]
    fn check(settings: &str, score: impl Into<Option<f64>>, expected: &str) {
        let filter = built(&format!("column = 'score'\n{settings}")).expect("they fit together");
        let columns = Score(score.into());
        assert_eq!(filter.judge(&Doc::new("a", "a", &columns)).to_string(), expected);
    }

    #[test]
    fn the_limits_are_in_range() {
        let settings = "min = 0.25\nmax = 4";
        check(settings, 0.25, "keep");
        check(settings, 4.0, "keep");
        check(settings, 0.2499, "below_min 0.2499 (threshold 0.25)");
        check(settings, 4.5, "above_max 4.5 (threshold 4)");
    }

    #[test]
    fn one_limit_is_enough() {
        check("min = 0", -1.0, "below_min -1 (threshold 0)");
        check("min = 0", 1e9, "keep");
        check("max = 0", -1.0, "keep");
    }

    #[test]
    fn no_limit_is_none() {
        check("", f64::MIN, "keep");
        check("missing = 'drop'", None, "missing NaN (threshold NaN)");
    }

    #[test]
    fn documents_without_a_number_go_where_they_are_told() {
        check("min = 1", None, "keep");
        check("min = 1", f64::NAN, "keep");
        check("min = 1\nmissing = 'drop'", None, "missing NaN (threshold NaN)");
        check("min = 1\nmissing = 'drop'", f64::NAN, "missing NaN (threshold NaN)");
        check("min = 1\nmissing = 'drop'", 1.0, "keep");
    }

    #[test]
    fn limits_that_nothing_meets_are_refused() {
        let error = |toml| built(toml).expect_err("refused");
        assert_eq!(error("min = 1"), "`column` is missing; name the column of numbers to look at");
        assert_eq!(error("column = 'score'\nmin = 2\nmax = 1"), "`min` (2) is above `max` (1)");
    }
}
