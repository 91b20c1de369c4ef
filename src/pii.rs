//! What in a text points at a person: e-mail addresses, public IP addresses, phone numbers, Chinese resident
//! identity numbers, bank cards.
//!
//! The rules are cautious: a number is a find only if its form, its check digits and what stands beside it all
//! agree, for a corpus has a thousand version numbers, barcodes and order numbers for each number of a person.
//! All of them are about ASCII digits, so full-width ones are to be made plain before.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod bank_card;
mod datatrove;
mod email;
mod id_number;
mod ip;
mod phone;

/// What kind of thing points at a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A public address of IPv4 or IPv6.
    Ip,
    /// A phone number with a country code, or one of China.
    Phone,
    /// A resident identity number of China.
    IdNumber,
    /// The number of a bank card.
    BankCard,
}

impl Kind {
    /// All kinds, in the order they are listed to users.
    pub const ALL: [Self; 5] = [Self::Email, Self::Ip, Self::Phone, Self::IdNumber, Self::BankCard];
}

/// Whose rules find e-mail and IP addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rules {
    /// Our own, which pass over addresses of nobody (`git@`, `example.com`), files (`icon@2x.png`) and versions, and
    /// know IPv6.
    #[default]
    Trommel,
    /// The patterns of datatrove 0.10's `PIIFormatter`: e-mail, and IPv4 wherever four numbers stand.
    Datatrove,
}

/// Something that points at a person, as a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub range: Range<usize>,
}

/// Finds the kinds that are wanted.
pub struct Finder {
    wanted: Vec<Kind>,
    patterns: Option<datatrove::Patterns>,
}

impl Finder {
    /// A finder of some kinds.
    pub fn new(wanted: impl IntoIterator<Item = Kind>, rules: Rules) -> Self {
        let patterns = (rules == Rules::Datatrove).then(datatrove::Patterns::new);
        Self { wanted: wanted.into_iter().collect(), patterns }
    }

    /// The finds in a text, in order. No two overlap.
    pub fn finds(&self, text: &str) -> Vec<Find> {
        let mut taken = match &self.patterns {
            Some(patterns) => patterns.finds(text, self.wants(Kind::Email), self.wants(Kind::Ip)),
            None => Vec::new(),
        };
        let is_free = |find: &Find, taken: &[Find]| {
            let next = taken.partition_point(|other| other.range.end <= find.range.start);
            taken.get(next).is_none_or(|other| find.range.end <= other.range.start)
        };
        let own: Vec<Find> = self.own(text).into_iter().filter(|find| is_free(find, &taken)).collect();
        if taken.is_empty() {
            return own;
        }
        taken.extend(own);
        taken.sort_by_key(|find| find.range.start);
        taken
    }

    fn wants(&self, kind: Kind) -> bool {
        self.wanted.contains(&kind)
    }

    /// What our own rules find.
    fn own(&self, text: &str) -> Vec<Find> {
        let mut finds = Vec::new();
        let (mut from, mut free) = (0, 0);
        while let Some(at) = next_hint(text.as_bytes(), from) {
            match self.at(text, at, free) {
                Some(find) => {
                    (from, free) = (find.range.end, find.range.end);
                    finds.push(find);
                }
                None => from = digits_end(text.as_bytes(), at).max(at + 1),
            }
        }
        finds
    }

    /// What is found at an `@` or at the first of some digits. What is before `free` is spoken for.
    fn at(&self, text: &str, at: usize, free: usize) -> Option<Find> {
        let addresses = self.patterns.is_none();
        let try_kind = |kind: Kind, rule: &dyn Fn() -> Option<Range<usize>>| {
            let range = if self.wants(kind) { rule() } else { None };
            range.filter(|range| range.start >= free).map(|range| Find { kind, range })
        };
        if text.as_bytes()[at] == b'@' {
            return if addresses { try_kind(Kind::Email, &|| email::around(text, at, free)) } else { None };
        }
        let end = digits_end(text.as_bytes(), at);
        let ip = || if addresses { ip::at(text, at) } else { None };
        try_kind(Kind::Ip, &ip)
            .or_else(|| try_kind(Kind::IdNumber, &|| id_number::at(text, at..end)))
            .or_else(|| try_kind(Kind::BankCard, &|| bank_card::at(text, at..end)))
            .or_else(|| try_kind(Kind::Phone, &|| phone::at(text, at..end)))
    }
}

/// The first `@` or ASCII digit from a place on.
fn next_hint(bytes: &[u8], from: usize) -> Option<usize> {
    let is_hint = |b: &u8| b.is_ascii_digit() || *b == b'@';
    let mut at = from;
    // Many bytes at once, as long as there is nothing: that is the rule.
    while let Some(block) = bytes.get(at..at + 64) {
        if block.iter().fold(false, |any, b| any | is_hint(b)) {
            break;
        }
        at += 64;
    }
    bytes[at..].iter().position(is_hint).map(|i| at + i)
}

/// Where the digits that begin at a place end.
fn digits_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count()
}

/// Whether a number that stands for itself can begin at a place: what is before it is no part of a longer number, of
/// a name, of an address or of a sum of money.
fn begins_number(text: &str, at: usize) -> bool {
    let before = &text[..at];
    let Some(c) = before.chars().next_back() else { return true };
    match c {
        '/' | '\\' | '=' | '-' | '+' | '_' | '@' | '#' | '$' | '%' | '&' | '^' => false,
        '￥' | '¥' | '€' | '£' | '№' => false,
        '.' => !before.as_bytes().get(at.wrapping_sub(2)).is_some_and(u8::is_ascii_digit),
        c if c.is_ascii() => !c.is_ascii_alphanumeric(),
        c => !c.is_numeric(),
    }
}

/// Whether a number that stands for itself can end at a place.
fn ends_number(text: &str, end: usize) -> bool {
    let mut after = text[end..].chars();
    let Some(c) = after.next() else { return true };
    match c {
        '-' | '+' | '*' | '=' | '.' | ':' => !after.next().is_some_and(|c| c.is_ascii_alphanumeric()),
        '_' | '@' | '%' | '&' | '#' | '$' | '\\' | '°' | '元' | '円' | '％' => false,
        c if c.is_ascii() => !c.is_ascii_alphanumeric(),
        c => !c.is_numeric(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What all rules find in a text.
    pub(super) fn found(text: &str) -> Vec<(Kind, &str)> {
        let finds = Finder::new(Kind::ALL, Rules::Trommel).finds(text);
        finds.into_iter().map(|find| (find.kind, &text[find.range])).collect()
    }

    /// That a text holds these finds, and no others, of one kind.
    #[track_caller]
    pub(super) fn check(kind: Kind, text: &str, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(|find| (kind, *find)).collect();
        assert_eq!(found(text), expected, "{text:?}");
    }

    #[test]
    fn kinds_stand_side_by_side() {
        let text = "13912345678, a.b@c-d.de; 93.184.216.34 11010519491231002X 4539 1488 0343 6467";
        let expected = [
            (Kind::Phone, "13912345678"),
            (Kind::Email, "a.b@c-d.de"),
            (Kind::Ip, "93.184.216.34"),
            (Kind::IdNumber, "11010519491231002X"),
            (Kind::BankCard, "4539 1488 0343 6467"),
        ];
        assert_eq!(found(text), expected);
    }

    #[test]
    fn what_is_not_wanted_is_not_found() {
        for kind in Kind::ALL {
            let text = "13912345678 a@b.de 93.184.216.34 11010519491231002X 4539148803436467";
            let finds = Finder::new([kind], Rules::Trommel).finds(text);
            assert_eq!(finds.iter().map(|find| find.kind).collect::<Vec<_>>(), [kind]);
        }
    }

    #[test]
    fn other_people_s_rules_leave_our_own_to_the_other_kinds() {
        let text = "13912345678@qq.com, 1.2.3.4, 13912345678";
        let finds = Finder::new(Kind::ALL, Rules::Datatrove).finds(text);
        let found: Vec<_> = finds.into_iter().map(|find| (find.kind, &text[find.range])).collect();
        assert_eq!(found, [(Kind::Email, "13912345678@qq.com"), (Kind::Ip, "1.2.3.4"), (Kind::Phone, "13912345678")]);
    }

    #[test]
    fn a_hint_is_found_wherever_it_stands() {
        for n in 0..200 {
            let text = format!("{}7", "x".repeat(n));
            assert_eq!(next_hint(text.as_bytes(), 0), Some(n));
            assert_eq!(next_hint(text.as_bytes(), n + 1), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn finds_are_in_order_and_apart(
            text in prop_oneof![any::<String>(), r"[0-9a-cx@.:+（\-() \n号v/]{0,60}", r"([0-9]{1,8}[-. @:+a中]){0,12}"],
        ) {
            for rules in [Rules::Trommel, Rules::Datatrove] {
                let mut free = 0;
                for find in Finder::new(Kind::ALL, rules).finds(&text) {
                    prop_assert!(free <= find.range.start && find.range.start < find.range.end);
                    prop_assert!(text.get(find.range.clone()).is_some());
                    free = find.range.end;
                }
            }
        }
    }
}
