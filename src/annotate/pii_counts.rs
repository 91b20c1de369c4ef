//! Says how much in each document points at a person.

use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, Value};
use crate::pii::{Finder, Kind, Rules};
use crate::stage::{Annotator, Settings};

/// Adds `pii_email`, `pii_ip`, `pii_phone`, `pii_id_number` and `pii_bank_card`: how many of each there are.
///
/// They are what `pii` replaces if it has the same `rules`. Put this before it; behind it, what it has replaced is
/// not there any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PiiCounts {
    /// Whose rules find e-mail and IP addresses: `trommel` or `datatrove`. Default: our own, as in `pii`.
    pub rules: Rules,
}

impl Settings for PiiCounts {
    const NAME: &'static str = "pii_counts";
    const ABOUT: &'static str = "adds pii_email, pii_ip, pii_phone, pii_id_number, pii_bank_card";
    type Stage = Counter;

    fn build(self) -> Result<Counter, String> {
        Ok(Counter { finder: Finder::new(Kind::ALL, self.rules) })
    }
}

/// [`PiiCounts`], built.
pub struct Counter {
    finder: Finder,
}

fn column(kind: Kind) -> &'static str {
    match kind {
        Kind::Email => "pii_email",
        Kind::Ip => "pii_ip",
        Kind::Phone => "pii_phone",
        Kind::IdNumber => "pii_id_number",
        Kind::BankCard => "pii_bank_card",
    }
}

impl Annotator for Counter {
    fn columns(&self) -> Vec<Field> {
        Kind::ALL.map(|kind| Field::new(column(kind), DataType::UInt32, true)).to_vec()
    }

    fn annotate(&self, doc: &Doc<'_>, row: &mut Vec<Value>) {
        let finds = self.finder.finds(doc.text());
        let n = |kind| finds.iter().filter(|find| find.kind == kind).count();
        row.extend(Kind::ALL.map(|kind| Value::U32(u32::try_from(n(kind)).unwrap_or(u32::MAX))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: Rules, text: &str, expected: [u32; 5]) {
        let mut row = Vec::new();
        let stage = PiiCounts { rules }.build().expect("all rules are right");
        stage.annotate(&Doc::bare(text), &mut row);
        assert_eq!(row, expected.map(Value::U32));
    }

    #[test]
    fn each_kind_is_counted() {
        let text = "a@b.de 13812345678 c@d.fr 93.184.216.34 11010519491231002X 4539148803436467 13812345679 138";
        check(Rules::Trommel, text, [2, 1, 2, 1, 1]);
        check(Rules::Trommel, "", [0; 5]);
    }

    #[test]
    fn by_the_rules_of_datatrove() {
        check(Rules::Trommel, "git@host.org:a v1.2.3.4", [0; 5]);
        check(Rules::Datatrove, "git@host.org:a v1.2.3.4", [1, 1, 0, 0, 0]);
    }
}
