//! Numbers of bank cards (ISO/IEC 7812).

use std::ops::Range;

use super::{begins_number, digits_end, ends_number};

/// The groups that cards of 19, 18, 17, 16, 15 and 14 digits are printed in.
const GROUPS: [&[usize]; 6] =
    [&[4, 4, 4, 4, 3], &[4, 4, 4, 4, 2], &[4, 4, 4, 4, 1], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

/// The card whose number begins with some digits.
pub(super) fn at(text: &str, digits: Range<usize>) -> Option<Range<usize>> {
    if !begins_number(text, digits.start) {
        return None;
    }
    let is_card = |end: usize| {
        let number = text[digits.start..end].bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect::<Vec<_>>();
        let is_printed = number.len() < end - digits.start;
        ends_number(text, end) && is_issued(&number, is_printed) && is_varied(&number) && has_check_digit(&number)
    };
    match digits.len() {
        14..=19 => Some(digits.end).filter(|&end| is_card(end)),
        4 => GROUPS.iter().find_map(|groups| groups_end(text, digits.start, groups).filter(|&end| is_card(end))),
        _ => None,
    }
    .map(|end| digits.start..end)
}

/// Where some groups of digits, all of them with the same blank or dash between them, end.
fn groups_end(text: &str, start: usize, groups: &[usize]) -> Option<usize> {
    let bytes = text.as_bytes();
    let between = *bytes.get(start + groups[0]).filter(|b| matches!(b, b' ' | b'-'))?;
    // A further group makes it something else.
    if start > 1 && bytes[start - 1] == between && bytes[start - 2].is_ascii_digit() {
        return None;
    }
    let mut at = start;
    for (i, &n) in groups.iter().enumerate() {
        if i > 0 {
            at += usize::from(bytes.get(at) == Some(&between));
        }
        let end = digits_end(bytes, at);
        if end - at != n {
            return None;
        }
        at = end;
    }
    let goes_on = bytes.get(at) == Some(&between) && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    (!goes_on).then_some(at)
}

/// Whether an issuer has cards of so many digits that begin so: UnionPay (62), Visa (4), Mastercard (51 to 55, 2221 to
/// 2720), American Express (34, 37), JCB (3528 to 3589), Discover (6011, 644 to 649, 65), Diners Club (300 to 305, 36,
/// 38, 39). Visa's old cards of 13 digits are left out: they look like the barcodes of Germany and Japan. Those of
/// Mastercard that begin with 2 are few, and numbers that do are many, so they must be printed in groups.
fn is_issued(number: &[u8], is_printed: bool) -> bool {
    let first = |n: usize| number.iter().take(n).fold(0u32, |sum, &digit| sum * 10 + u32::from(digit));
    let n = number.len();
    match first(4) {
        6200..=6299 => (16..=19).contains(&n),
        4000..=4999 => n == 16 || n == 19,
        5100..=5599 => n == 16,
        2221..=2720 => n == 16 && is_printed,
        3400..=3499 | 3700..=3799 => n == 15,
        3528..=3589 => (16..=19).contains(&n),
        6011 | 6440..=6599 => (16..=19).contains(&n),
        3000..=3059 | 3600..=3699 | 3800..=3999 => n == 14,
        _ => false,
    }
}

/// Whether it has four different digits at least, as all but one in a million cards do: the others are patterns, and the
/// cards that payment services have for tests.
fn is_varied(number: &[u8]) -> bool {
    (0..10).filter(|digit| number.contains(digit)).count() >= 4
}

/// ISO/IEC 7812-1, annex B, known as Luhn's: from the last digit on, every second one counts twice.
fn has_check_digit(number: &[u8]) -> bool {
    let count = |(i, &digit): (usize, &u8)| {
        let value = u32::from(digit) * (1 + i as u32 % 2);
        if value > 9 { value - 9 } else { value }
    };
    number.iter().rev().enumerate().map(count).sum::<u32>().is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, tests};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        tests::check(Kind::BankCard, text, expected);
    }

    /// A number of `n` digits that begins so, with the check digit that belongs to it.
    fn whole(first: &str, n: usize) -> String {
        let first: String = first.chars().chain("8902713456".chars().cycle()).take(n - 1).collect();
        let with = |last: u8| format!("{first}{last}");
        let is_right = |last: &u8| has_check_digit(&with(*last).bytes().map(|b| b - b'0').collect::<Vec<_>>());
        with((0..10).find(is_right).expect("each remainder has a digit"))
    }

    #[test]
    fn cards_of_all_issuers_are_found() {
        let issuers = [
            ("62", 16),
            ("62", 19),
            ("4", 16),
            ("51", 16),
            ("34", 15),
            ("3528", 16),
            ("6011", 16),
            ("644", 16),
            ("300", 14),
            ("36", 14),
        ];
        for (first, n) in issuers {
            let card = whole(first, n);
            check(&format!("卡号：{card}。"), &[&card]);
        }
    }

    #[test]
    fn others_issue_none() {
        for (first, n) in [("1", 16), ("4", 13), ("4", 17), ("56", 16), ("3527", 16), ("62", 15)] {
            check(&whole(first, n), &[]);
        }
    }

    #[test]
    fn cards_that_begin_with_2_are_printed_in_groups() {
        let printed = |card: &str| card.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ");
        for (first, is_one) in [("2220", false), ("2221", true), ("2720", true), ("2721", false)] {
            let card = whole(first, 16);
            check(&card, &[]);
            let printed = printed(&card);
            let expected: &[&str] = if is_one { &[&printed] } else { &[] };
            check(&printed, expected);
        }
    }

    #[test]
    fn patterns_are_none() {
        check("4111 1111 1111 1111 4242424242424242 4455555555556666", &[]);
        check("2361 2362 4539 1488 0343 6467", &[]);
    }

    #[test]
    fn groups_are_those_of_cards() {
        check("4539 1488 0343 6467", &["4539 1488 0343 6467"]);
        check("4539-1488-0343-6467", &["4539-1488-0343-6467"]);
        check("3782 822463 10005.", &["3782 822463 10005"]);
        check("4539-1488 0343-6467 453 91488 0343 6467", &[]);
        check("4539 1488 0343 6467 2", &[]);
        let long = whole("62", 19);
        let printed = format!("{} {} {} {} {}", &long[..4], &long[4..8], &long[8..12], &long[12..16], &long[16..]);
        check(&printed, &[&printed]);
    }

    #[test]
    fn one_wrong_digit_is_none() {
        for digit in ["0", "1", "2", "3", "4", "5", "6", "8", "9"] {
            check(&format!("453914880343646{digit}"), &[]);
        }
    }

    #[test]
    fn a_part_of_something_else_is_none() {
        check("0.4539148803436467 a4539148803436467 /4539148803436467 4539148803436467f", &[]);
    }
}
