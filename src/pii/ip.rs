//! Public addresses of the Internet Protocol.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::digits_end;

/// Four numbers of which none is so large are taken for a version or a section. Our own guess: of all addresses one
/// in 256 is below it, of versions hardly one is above.
const LEAST_LARGEST: u8 = 64;

/// What stands before versions and sections, in lower case.
const NOT_BEFORE: [&str; 15] = [
    "v",
    "ver",
    "version",
    "versions",
    "release",
    "build",
    "revision",
    "firmware",
    "kernel",
    "driver",
    "section",
    "chapter",
    "oid",
    "版本",
    "版本号",
];

/// The address that begins at a digit.
pub(super) fn at(text: &str, at: usize) -> Option<Range<usize>> {
    v4_at(text, at).or_else(|| v6_at(text, at))
}

fn v4_at(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut octets = [0; 4];
    let mut end = at;
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            end += usize::from(*bytes.get(end)? == b'.');
        }
        let digits = end..digits_end(bytes, end);
        let zero_led = digits.len() > 1 && bytes[digits.start] == b'0';
        if zero_led || digits.len() > 3 {
            return None;
        }
        *octet = text[digits.clone()].parse().ok()?;
        end = digits.end;
    }
    let largest = octets.into_iter().max().unwrap_or_default();
    let is_one = largest >= LEAST_LARGEST
        && is_public_v4(Ipv4Addr::from(octets))
        && begins(text, at)
        && !ends_inside(bytes, end)
        && !is_after_version_word(&text[..at]);
    is_one.then_some(at..end)
}

fn v6_at(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // All that is given out begins with four digits, from 2000 to 3fff.
    let is_begun = matches!(bytes[at], b'2' | b'3')
        && bytes.get(at + 4) == Some(&b':')
        && bytes[at + 1..at + 4].iter().all(u8::is_ascii_hexdigit);
    // Behind a group it is the end of a longer address.
    let is_end = text[..at].strip_suffix(':').is_some_and(|before| {
        let group = before.trim_end_matches(|c: char| c.is_ascii_hexdigit());
        group.len() < before.len() && !group.ends_with(|c: char| c.is_ascii_alphanumeric())
    });
    if !is_begun || is_end || !begins(text, at) {
        return None;
    }
    /// The longest there is, of eight groups of four.
    const LONGEST: usize = 39;
    let is_inside = |b: &u8| b.is_ascii_hexdigit() || *b == b':';
    let n = bytes[at..].iter().take(LONGEST + 1).take_while(|b| is_inside(b)).count();
    let mut end = at + n;
    // A colon of the sentence.
    if bytes[end - 1] == b':' && !text[..end].ends_with("::") {
        end -= 1;
    }
    // An address that ends with zeros alone is that of a network, or none.
    if text[at..end].ends_with("::") && bytes.get(end) != Some(&b'/') {
        return None;
    }
    let address: Ipv6Addr = text[at..end].parse().ok()?;
    (is_public_v6(address) && !ends_inside(bytes, end)).then_some(at..end)
}

/// Whether an address can begin at a place. A slash before it is one of two, as in `http://`.
fn begins(text: &str, at: usize) -> bool {
    let before = &text[..at];
    match before.chars().next_back() {
        Some('/') => before.ends_with("//"),
        Some(':') => !before.ends_with("::"),
        Some('.' | '-' | '_' | '+' | '#' | '$' | '%' | '\\' | '§') => false,
        Some(c) => !c.is_alphanumeric() || !c.is_ascii() && !c.is_numeric(),
        None => true,
    }
}

/// Whether something goes on at a place that is no address with what is before it: a fifth number, a word.
fn ends_inside(bytes: &[u8], end: usize) -> bool {
    match bytes.get(end) {
        Some(b'.' | b'-') => bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric),
        Some(b) => b.is_ascii_alphanumeric() || *b == b'_',
        None => false,
    }
}

fn is_after_version_word(before: &str) -> bool {
    // A short word with a full stop is that of a citation: `Art. 12.3.80.1`, `Dig. 50.16.99.1`. Not the end of a host.
    if let Some(before) = before.trim_end_matches(' ').strip_suffix('.') {
        let n_letters = before.chars().rev().take(5).take_while(|c| c.is_alphabetic()).count();
        if (1..=4).contains(&n_letters) && before.chars().nth_back(n_letters) != Some('.') {
            return true;
        }
    }
    let before = before.trim_end_matches([' ', ':', '=', '：', '(', '"', '\'', '`']);
    let is_inside = |c: char| c.is_alphabetic();
    // The longest word of the list is eight characters long.
    let start = before.char_indices().rev().take(9).take_while(|(_, c)| is_inside(*c)).last().map(|(i, _)| i);
    let word = start.map_or("", |start| &before[start..]);
    NOT_BEFORE.iter().any(|not| if not.is_ascii() { word.eq_ignore_ascii_case(not) } else { word.ends_with(not) })
}

/// Whether it is one that anybody can reach, by IANA's registry of addresses with a special purpose.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match a {
        0 | 10 | 127 | 224.. => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => matches!((b, c), (0, 0 | 2) | (88, 99) | (168, _)),
        198 => matches!((b, c), (18 | 19, _) | (51, 100)),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !is_special
}

/// Whether it is one that anybody can reach: 2000::/3 without 2001::/23 and what is for documentation.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || (a == 0x3fff && b < 0x1000);
    a & 0xe000 == 0x2000 && !is_special
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, tests};

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        tests::check(Kind::Ip, text, expected);
    }

    #[test]
    fn public_addresses_are_found() {
        check("93.184.216.34", &["93.184.216.34"]);
        check("http://93.184.216.34:8080/x (93.184.216.34).", &["93.184.216.34"; 2]);
        check("地址93.184.216.34，93.184.216.0/24", &["93.184.216.34", "93.184.216.0"]);
        check("[2a00:1450:4001:81b::200e]:443 2400:cb00::1.", &["2a00:1450:4001:81b::200e", "2400:cb00::1"]);
        check("2a00:1450:4001:81b:0:0:0:200e: so", &["2a00:1450:4001:81b:0:0:0:200e"]);
    }

    #[test]
    fn those_of_nobody_stay() {
        check("10.200.1.2 172.16.0.99 172.31.0.99 192.168.0.1 127.0.0.100 100.64.0.1 100.127.0.1 169.254.1.1", &[]);
        check("192.0.2.77 198.51.100.1 203.0.113.9 198.19.0.1 224.0.0.251 255.255.255.255 0.0.0.77 192.0.0.80", &[]);
        check(
            "172.15.0.99 172.32.0.99 100.63.0.1 100.128.0.1",
            &["172.15.0.99", "172.32.0.99", "100.63.0.1", "100.128.0.1"],
        );
        check("2001:db8::1 2001:1::1 fe80::1 fd00:1234::1 ::1 3fff:1::2", &[]);
        check("2001:200::1 3fff:1000::2", &["2001:200::1", "3fff:1000::2"]);
    }

    #[test]
    fn versions_and_sections_stay() {
        check("1.2.3.4 2.6.32.63", &[]);
        check("2.6.32.64", &["2.6.32.64"]);
        check("version 91.0.100.2, Version: 91.0.100.2 v91.0.100.2 V 91.0.100.2 版本号：91.0.100.2", &[]);
        check("Chrome/91.0.100.2 lib-91.0.100.2 91.0.100.2-beta 91.0.100.2.7 7.91.0.100.2", &[]);
        check("91.0.4472.124 256.1.1.1 91.0.100.02 91.0.100.2a 1.3.6.1.4.1.311", &[]);
        check("conversion 91.0.100.2", &["91.0.100.2"]);
        check("Dig. 50.16.99.1, Art.12.3.80.1", &[]);
        check("So it was. 50.16.99.1 servers. 50.16.99.1", &["50.16.99.1"]);
    }

    #[test]
    fn times_and_names_are_no_addresses() {
        check("2020:12:30 2021:3 std::2abc::f 3abc::foo 20:15:30:45 2a:1b:3c:4d:5e:6f 2abc:", &[]);
        check("2a00:1:2:3:4:5:6:7:8 2a00:1:2:3:4:5:6 fd7d:844d:3e17:f3ae::1 3977:349::-;", &[]);
        check("2400:cb00::/32 IPv6:2400:cb00::1", &["2400:cb00::", "2400:cb00::1"]);
    }
}
