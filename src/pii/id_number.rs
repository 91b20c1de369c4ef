//! Resident identity numbers of China (GB 11643-1999).

use std::ops::Range;

use super::{begins_number, ends_number};

/// The first two digits of the codes of provinces (GB/T 2260), with Taiwan, Hong Kong and Macao, whose residents have
/// numbers of 81 to 83 since 2018.
const PROVINCES: [u32; 35] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
    64, 65, 71, 81, 82, 83,
];

/// The identity number that some digits are, or begin.
pub(super) fn at(text: &str, digits: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let end = match digits.len() {
        18 => digits.end,
        17 if matches!(bytes.get(digits.end), Some(b'x' | b'X')) => digits.end + 1,
        _ => return None,
    };
    let is_one = begins_number(text, digits.start) && ends_number(text, end) && is_valid(&text[digits.start..end]);
    is_one.then_some(digits.start..end)
}

fn is_valid(number: &str) -> bool {
    let part = |range: Range<usize>| number[range].parse::<u32>().unwrap_or(0);
    let (year, month, day) = (part(6..10), part(10..12), part(12..14));
    let is_date = (1900..2100).contains(&year) && (1..=12).contains(&month) && (1..=days(year, month)).contains(&day);
    PROVINCES.contains(&part(0..2)) && part(2..6) > 0 && is_date && has_check_digit(number)
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// ISO 7064, MOD 11-2: from the last to the first, digits weigh the powers of 2, and all of them make 1 modulo 11.
fn has_check_digit(number: &str) -> bool {
    let value = |b: u8| if b.is_ascii_digit() { u32::from(b - b'0') } else { 10 };
    number.bytes().fold(0, |sum, b| (sum * 2 + value(b)) % 11) == 1
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, tests};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        tests::check(Kind::IdNumber, text, expected);
    }

    /// A number with the check digit that belongs to it.
    fn whole(first: &str) -> String {
        let last = "0123456789X".chars().find(|c| has_check_digit(&format!("{first}{c}")));
        format!("{first}{}", last.expect("each of 11 remainders has a digit"))
    }

    #[test]
    fn a_number_with_its_check_digit_is_one() {
        // The example of the standard.
        check("身份证号11010519491231002X。", &["11010519491231002X"]);
        check("11010519491231002x", &["11010519491231002x"]);
        assert_eq!(whole("11010519491231002"), "11010519491231002X");
        let other = whole("44052418800101001");
        assert!(!is_valid(&other), "nobody alive was born in 1880");
        let other = whole("44052419900101001");
        check(&format!("({other})"), &[&other]);
    }

    #[test]
    fn one_wrong_digit_is_none() {
        for digit in "0123456789".chars() {
            check(&format!("11010519491231002{digit}"), &[]);
        }
    }

    #[test]
    fn place_and_date_must_be() {
        for first in ["10010519491231002", "11000019491231002", "11010519491331002", "11010519490230002"] {
            assert!(!is_valid(&whole(first)), "{first}");
        }
        assert!(is_valid(&whole("11010520000229001")) && !is_valid(&whole("11010519000229001")));
    }

    #[test]
    fn a_part_of_something_else_is_none() {
        check("x11010519491231002X id=11010519491231002X 11010519491231002Xy", &[]);
    }
}
