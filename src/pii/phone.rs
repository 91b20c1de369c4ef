//! Phone numbers with a country code, and those of China without one.

use std::ops::Range;

use super::{begins_number, digits_end, ends_number};

/// The phone number whose first digits these are.
pub(super) fn at(text: &str, digits: Range<usize>) -> Option<Range<usize>> {
    if text[..digits.start].ends_with('+') {
        return international(text, digits);
    }
    let mobile = || begins_number(text, digits.start).then(|| mobile(text, digits.clone()))?;
    mobile().or_else(|| landline(text, digits.clone()))
}

/// `+`, a country code, and groups of digits: 8 to 15 digits in all (ITU-T E.164 has no more than 15).
fn international(text: &str, first: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let plus = first.start - 1;
    let is_begun = match text[..plus].chars().next_back() {
        Some(c) => {
            !c.is_alphanumeric() && !matches!(c, '+' | '-' | '=' | '_' | ')' | '\\' | '%' | '.') || !c.is_ascii()
        }
        None => true,
    };
    if !is_begun || !has_country_code(&bytes[first.clone()]) {
        return None;
    }
    let mut end = first.end;
    let mut n_digits = first.len();
    let is_american = bytes[first.start] == b'1';
    while let Some(group) = next_group(bytes, end) {
        // From ten digits on a number may be whole, and what follows another, such as a year; short groups belong to it.
        let is_next = n_digits < 10 || (!is_american && group.len() < 4 && n_digits + group.len() <= 13);
        if !is_next || n_digits + group.len() > 15 {
            break;
        }
        // The zero in `+49 (0)30` is not dialled.
        let is_trunk = &bytes[group.start - 1..digits_end(bytes, group.start)] == b"(0";
        n_digits += if is_trunk { 0 } else { group.len() };
        end = digits_end(bytes, group.start);
    }
    let enough = if is_american { n_digits == 11 } else { (8..=15).contains(&n_digits) };
    // Sums such as +50000000 are round.
    let is_round = bytes[plus..end].ends_with(b"00000");
    (enough && !is_round && ends_number(text, end)).then_some(plus..end)
}

/// The digits after a blank, a dash, a dot or a bracket, or `) ` and the like.
fn next_group(bytes: &[u8], end: usize) -> Option<Range<usize>> {
    let n_between = bytes[end..].iter().take(3).take_while(|b| matches!(b, b' ' | b'-' | b'.' | b'(' | b')')).count();
    let between = &bytes[end..end + n_between];
    let is_one = matches!(between, b" " | b"-" | b"." | b" (" | b"(" | b") " | b")-" | b")" | b"-(");
    let start = end + n_between;
    let group = start..digits_end(bytes, start);
    (is_one && !group.is_empty()).then_some(group)
}

/// Whether the digits begin with the code of a country (ITU-T E.164, annex D).
fn has_country_code(digits: &[u8]) -> bool {
    let digit = |i: usize| digits.get(i).map_or(0, |b| b - b'0');
    let is_of_three = |second: u8| {
        matches!(
            (digit(0), second),
            (2, 1..=6 | 9) | (3, 5 | 7 | 8) | (4, 2) | (5, 0 | 9) | (6, 7..=9) | (8, 0 | 5 | 7 | 8) | (9, 6 | 7 | 9)
        )
    };
    match (digit(0), digits.len()) {
        (1 | 7, _) => true,
        (0, _) | (_, 1) => false,
        (a, n) => {
            let is_of_two = match a {
                2 => matches!(digit(1), 0 | 7),
                3 => matches!(digit(1), 0..=4 | 6 | 9),
                4 => digit(1) != 2,
                5 => matches!(digit(1), 1..=8),
                6 => matches!(digit(1), 0..=6),
                8 => matches!(digit(1), 1 | 2 | 4 | 6),
                _ => matches!(digit(1), 0..=5 | 8),
            };
            is_of_two || (n >= 3 && is_of_three(digit(1)))
        }
    }
}

/// A mobile number of China: eleven digits that begin as those of people do (not as those of machines, 140 to 144), in one
/// piece or as 3-4-4, perhaps after 86.
fn mobile(text: &str, first: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_sep = |b: &u8| matches!(b, b' ' | b'-');
    let starts = |at: usize| match bytes.get(at..at + 3) {
        Some([b'1', b'3' | b'8' | b'9', b'0'..=b'9']) => true,
        Some([b'1', b'4', third]) => (b'5'..=b'9').contains(third),
        Some([b'1', b'5', third]) => third.is_ascii_digit() && *third != b'4',
        Some([b'1', b'6', third]) => matches!(third, b'2' | b'5'..=b'7'),
        Some([b'1', b'7', third]) => (b'0'..=b'8').contains(third),
        _ => false,
    };
    let whole = &bytes[first.clone()];
    let prefix = [&b"0086"[..], b"86"].into_iter().find(|prefix| whole.starts_with(prefix)).map_or(0, <[u8]>::len);
    let mut at = first.start + prefix;
    if prefix > 0 && at == first.end && bytes.get(at).is_some_and(is_sep) {
        at += 1;
    }
    if !starts(at) {
        return None;
    }
    let end = match digits_end(bytes, at) - at {
        11 => at + 11,
        3 => {
            let between = bytes.get(at + 3).filter(|b| is_sep(b))?;
            let is_right = bytes.get(at + 8) == Some(between)
                && digits_end(bytes, at + 4) == at + 8
                && digits_end(bytes, at + 9) == at + 13;
            is_right.then_some(at + 13)?
        }
        _ => return None,
    };
    let is_size = text[end..].trim_start_matches(' ').starts_with("byte");
    (ends_number(text, end) && !is_size).then_some(first.start..end)
}

/// A landline of China: an area code and a dash, or an area code in brackets, then seven or eight digits.
fn landline(text: &str, area: Range<usize>) -> Option<Range<usize>> {
    let (before, after) = (&text[..area.start], &text[area.end..]);
    let n_local: &[usize] = match text.as_bytes()[area.clone()] {
        [b'0', b'1', b'0'] | [b'0', b'2', b'0'..=b'5' | b'7'..=b'9'] => &[8],
        [b'0', b'3'..=b'9', b'1'..=b'9', _] | [b'0', b'7' | b'9', b'0', _] => &[7, 8],
        _ => return None,
    };
    let brackets = [("(", ")"), ("（", "）")];
    let bracket = brackets.into_iter().find(|(open, close)| before.ends_with(open) && after.starts_with(close));
    let (start, mut at) = match bracket {
        Some((open, close)) => {
            let at = area.end + close.len();
            let gap = text[at..].chars().next().filter(|c| matches!(c, ' ' | '-'));
            (area.start - open.len(), at + gap.map_or(0, char::len_utf8))
        }
        None if begins_number(text, area.start) => {
            let dash = after.chars().next().filter(|c| matches!(c, '-' | '–' | '—' | '－'))?;
            (area.start, area.end + dash.len_utf8())
        }
        None => return None,
    };
    let bytes = text.as_bytes();
    // No local number begins with 0, 1 or 9.
    if !matches!(bytes.get(at), Some(b'2'..=b'8')) || !n_local.contains(&(digits_end(bytes, at) - at)) {
        return None;
    }
    at = digits_end(bytes, at);
    // An extension.
    if bytes.get(at) == Some(&b'-') && (1..=6).contains(&(digits_end(bytes, at + 1) - at - 1)) {
        at = digits_end(bytes, at + 1);
    }
    ends_number(text, at).then_some(start..at)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, tests};

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        tests::check(Kind::Phone, text, expected);
    }

    #[test]
    fn numbers_with_a_country_code_are_found() {
        for number in [
            "+1 202 555 0143",
            "+1-202-555-0143",
            "+1 (202) 555-0143",
            "+12025550143",
            "+49 (0)30 1234567",
            "+41 (0) 71 222 28 18",
            "+49 8161 4591 801",
            "+44 20 7946 0958",
            "+33 6 12 34 56 78",
            "+86 138 1234 5678",
            "+8613812345678",
            "+86-10-12345678",
            "+852 2123 4567",
            "+7 495 123 45 67",
        ] {
            check(&format!("Tel.: {number}, 10:30"), &[number]);
            check(&format!("电话{number}。2019"), &[number]);
            check(&format!("{number} 2019"), &[number]);
        }
    }

    #[test]
    fn sums_zones_and_codes_of_no_country_are_none() {
        check("+0800 +08:00 +1 +50000000 a+12025550143 1+12025550143 +1 555 0143 +120255501431", &[]);
        check("+2801234567 +4212345 +99912345678901234", &[]);
        check("+1 000 (see +1", &[]);
    }

    #[test]
    fn mobiles_of_china_are_found() {
        check("手机13812345678，19912345678", &["13812345678", "19912345678"]);
        check("13812345678,19912345678/13912345678", &["13812345678", "19912345678"]);
        check("138-1234-5678 138 1234 5678", &["138-1234-5678", "138 1234 5678"]);
        check(
            "8613812345678 86-13812345678 0086 138 1234 5678",
            &["8613812345678", "86-13812345678", "0086 138 1234 5678"],
        );
    }

    #[test]
    fn other_digits_are_none() {
        check("14012345678 15412345678 16012345678 17912345678 15512345678 bytes", &[]);
        check(
            "14512345678 15512345678 16212345678 17812345678",
            &["14512345678", "15512345678", "16212345678", "17812345678"],
        );
        check("12812345678 1381234567 138123456789 0013812345678 1380012345678", &[]);
        check("138-1234 5678 138-12345-678 a13812345678 13812345678b /13812345678.html 1,381,234,5678", &[]);
        check("￥13812345678 13812345678元 3.13812345678 13812345678.5 #13812345678 id=13812345678", &[]);
    }

    #[test]
    fn landlines_of_china_are_found() {
        check("电话：010-62345678、0571-88888888-801", &["010-62345678", "0571-88888888-801"]);
        check("(021) 62345678 （0755）8234567", &["(021) 62345678", "（0755）8234567"]);
        check("0898－6234567", &["0898－6234567"]);
    }

    #[test]
    fn areas_of_none_and_wrong_lengths_are_none() {
        check("026-62345678 0101-62345678 0300-6234567 010-6234567 0571-888888 0571-888888888", &[]);
        check("010-12345678 010 62345678 01062345678 2010-62345678 010-62345678-2010-x", &[]);
    }
}
