//! How much of what a draw takes: shares by the values of a column, and weights by those of others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{self, Error, Result};

/// What stands for all values that are not named, and for no value.
pub const OTHERS: &str = "*";

/// Shares and weights, as a file gives them.
///
/// ```toml
/// by = "source"                         # a column of strings
/// [shares]                              # parts of --tokens, 1 together
/// web = 0.7
/// books = { share = 0.2, cap = 2 }      # no document above 2 uses
/// "*" = 0.1                             # all other sources, and documents without one
///
/// [weights.language]                    # with --policy weighted: how many times as likely
/// yue = 3.0
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// The column whose values have shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether what a share cannot fill is taken from the others, by their parts.
    pub fill: bool,
    /// The parts of the whole.
    pub shares: BTreeMap<String, Share>,
    /// For columns of strings, how many times as likely a document with a value is to be drawn.
    pub weights: BTreeMap<String, BTreeMap<String, f64>>,
}

/// A part of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Share {
    /// The part.
    Part(f64),
    /// More than the part.
    Table(ShareTable),
}

/// A part of the whole, with what holds for its documents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareTable {
    /// The part.
    pub share: f64,
    /// The most uses of one of its documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u32>,
}

impl Share {
    /// The part of the whole.
    pub fn part(self) -> f64 {
        match self {
            Self::Part(part) | Self::Table(ShareTable { share: part, .. }) => part,
        }
    }

    /// The most uses of one of its documents, if that is another number than everywhere.
    pub fn cap(self) -> Option<u32> {
        match self {
            Self::Part(_) => None,
            Self::Table(table) => table.cap,
        }
    }
}

impl Mix {
    /// Reads the text of a file. `place` names it in messages.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let refused = |message: String| Error::refused(format!("{place}: {message}"));
        let mix: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            let mut message = error::of_settings(&error);
            if message.contains("untagged enum Share") {
                "a share is a number, or a table like { share = 0.2, cap = 2 }".clone_into(&mut message);
            }
            refused(format!("line {line}: {message}"))
        })?;
        mix.checked().map_err(refused)
    }

    fn checked(self) -> Result<Self, String> {
        match (&self.by, self.shares.is_empty()) {
            (Some(_), true) => return Err("`by` names a column, and there are no `[shares]`".into()),
            (None, false) => return Err("`by` is not set: the column whose values the shares are of".into()),
            (None, true) if self.weights.is_empty() => {
                return Err("there is nothing in it; `[shares]` or `[weights.COLUMN]` are".into());
            }
            _ => {}
        }
        for (name, share) in &self.shares {
            let part = share.part();
            if !(part > 0.0 && part <= 1.0) {
                return Err(format!("the share of `{name}` is {part}; it is above 0 and at most 1"));
            }
            if share.cap() == Some(0) {
                return Err(format!("the cap of `{name}` is 0; leave out the share"));
            }
        }
        let sum: f64 = self.shares.values().map(|share| share.part()).sum();
        if !self.shares.is_empty() && (sum - 1.0).abs() > 1e-6 {
            return Err(format!("the shares add up to {sum:.4}; they are parts of --tokens and add up to 1"));
        }
        if self.shares.len() > usize::from(u16::MAX) {
            return Err("there are more than 65,535 shares".into());
        }
        for (column, weights) in &self.weights {
            if let Some((value, weight)) = weights.iter().find(|(_, weight)| !(**weight >= 0.0 && weight.is_finite())) {
                return Err(format!("the weight of {column} `{value}` is {weight}; it is 0 or above"));
            }
        }
        Ok(self)
    }

    /// The shares with their names and tokens, together `tokens`; one of all documents if none are named.
    pub fn budgets(&self, tokens: u64) -> Vec<Budget> {
        if self.shares.is_empty() {
            return vec![Budget { name: String::new(), part: 1.0, tokens, cap: None }];
        }
        let budget = |(name, share): (&String, &Share)| {
            let tokens = (tokens as f64 * share.part()).floor() as u64;
            Budget { name: name.clone(), part: share.part(), tokens, cap: share.cap() }
        };
        let mut budgets: Vec<_> = self.shares.iter().map(budget).collect();
        let mut left = tokens.saturating_sub(budgets.iter().map(|budget| budget.tokens).sum());
        // What rounding has left over: less than a token for each.
        for budget in &mut budgets {
            let one = left.min(1);
            budget.tokens += one;
            left -= one;
        }
        budgets
    }

    /// The share that a document with this value of the column belongs to.
    pub fn share_of(&self, value: Option<&str>) -> Option<u16> {
        if self.shares.is_empty() {
            return Some(0);
        }
        let place = |name: &str| self.shares.keys().position(|known| known == name);
        let place = value.filter(|value| *value != OTHERS).and_then(place).or_else(|| place(OTHERS));
        place.map(|place| place as u16)
    }

    /// How many times as likely a document with this value of a column is to be drawn.
    pub fn weight(&self, column: &str, value: Option<&str>) -> f64 {
        let Some(weights) = self.weights.get(column) else { return 1.0 };
        let weight = value.and_then(|value| weights.get(value)).or_else(|| weights.get(OTHERS));
        weight.copied().unwrap_or(1.0)
    }
}

/// What is to be drawn of a share.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// The value of the column; nothing, where there are no shares.
    pub name: String,
    /// Its part of the whole.
    pub part: f64,
    /// The tokens to draw.
    pub tokens: u64,
    /// The most uses of one of its documents, if that is another number than everywhere.
    pub cap: Option<u32>,
}

/// Takes from others, by their parts, what shares cannot fill that have fewer tokens `available` than they shall give.
pub fn fill(budgets: &mut [Budget], available: &[u64]) {
    // Each time round, at least one more share is full, or all is given out.
    for _ in 0..=budgets.len() {
        let mut missing = 0;
        for (budget, available) in budgets.iter_mut().zip(available) {
            missing += budget.tokens.saturating_sub(*available);
            budget.tokens = budget.tokens.min(*available);
        }
        let open = |(budget, available): &(&Budget, &u64)| budget.tokens < **available;
        let parts: f64 = budgets.iter().zip(available).filter(open).map(|(budget, _)| budget.part).sum();
        if missing == 0 || parts <= 0.0 {
            return;
        }
        let mut left = missing;
        for (budget, available) in budgets.iter_mut().zip(available) {
            if budget.tokens < *available {
                let more = ((missing as f64 * (budget.part / parts)).ceil() as u64).min(left);
                budget.tokens += more;
                left -= more;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, message: &str) {
        assert_eq!(Mix::parse(text, "mix.toml").expect_err("refused").to_string(), format!("mix.toml: {message}"));
    }

    const MIX: &str = "by = 'source'\n[shares]\nweb = 0.7\nbooks = { share = 0.2, cap = 2 }\n'*' = 0.1\n[weights.language]\nyue = 3.0\n";

    #[test]
    fn shares_are_parts_of_the_whole() {
        let mix = Mix::parse(MIX, "mix.toml").expect("sound");
        let budgets = mix.budgets(101);
        let shown: Vec<_> = budgets.iter().map(|budget| (budget.name.as_str(), budget.tokens, budget.cap)).collect();
        assert_eq!(shown, [("*", 11, None), ("books", 20, Some(2)), ("web", 70, None)]);
        assert_eq!(mix.share_of(Some("web")), Some(2));
        assert_eq!(
            (mix.share_of(Some("code")), mix.share_of(None), mix.share_of(Some("*"))),
            (Some(0), Some(0), Some(0))
        );
        assert_eq!(
            (mix.weight("language", Some("yue")), mix.weight("language", None), mix.weight("kind", None)),
            (3.0, 1.0, 1.0)
        );
        let all = Mix::default();
        assert_eq!((all.budgets(7)[0].tokens, all.share_of(None)), (7, Some(0)));
    }

    #[test]
    fn what_is_in_no_share_is_not_drawn() {
        let mix = Mix::parse("by = 'source'\n[shares]\nweb = 1.0\n", "mix.toml").expect("sound");
        assert_eq!((mix.share_of(Some("web")), mix.share_of(Some("books")), mix.share_of(None)), (Some(0), None, None));
    }

    #[test]
    fn nonsense_is_refused() {
        check(
            "by = 'source'\n[shares]\nweb = 0.7\n",
            "the shares add up to 0.7000; they are parts of --tokens and add up to 1",
        );
        check("[shares]\nweb = 'much'\n", "line 2: a share is a number, or a table like { share = 0.2, cap = 2 }");
        check("[shares]\nweb = 1.0\n", "`by` is not set: the column whose values the shares are of");
        check("by = 'source'", "`by` names a column, and there are no `[shares]`");
        check("", "there is nothing in it; `[shares]` or `[weights.COLUMN]` are");
        check("by = 'source'\n[shares]\nweb = -1.0\n", "the share of `web` is -1; it is above 0 and at most 1");
        check(
            "by = 'source'\n[shares]\nweb = { share = 1.0, cap = 0 }\n",
            "the cap of `web` is 0; leave out the share",
        );
        check("[weights.language]\nen = -2.0\n", "the weight of language `en` is -2; it is 0 or above");
        check(
            "bye = 'source'\n",
            "line 1: unknown field `bye`, expected one of `by`, `fill`, `shares`, `weights`; did you mean `by`?",
        );
    }

    #[test]
    fn others_fill_what_a_share_lacks() {
        let budget = |part: f64, tokens| Budget { name: String::new(), part, tokens, cap: None };
        let check = |available: [u64; 3], expected: [u64; 3]| {
            let mut budgets = [budget(0.5, 50), budget(0.3, 30), budget(0.2, 20)];
            fill(&mut budgets, &available);
            assert_eq!(budgets.map(|budget| budget.tokens), expected);
        };
        check([99, 99, 99], [50, 30, 20]);
        check([10, 99, 99], [10, 54, 36]);
        check([10, 40, 99], [10, 40, 50]);
        check([10, 20, 30], [10, 20, 30]);
    }
}
