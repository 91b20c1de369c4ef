//! What counts as an address: a host of the web, with or without a scheme, a user, a port and a path.
//!
//! This is the pattern of spaCy 3.8 (`URL_MATCH` in `lang/tokenizer_exceptions.py`), matched by hand: every part can
//! end at one place only, so that time is linear, also for a run of a million `@`.

use std::sync::LazyLock;

use memchr::memchr_iter;
use regex::Regex;

use super::chars::{LOWER, classes_of};
use crate::text::{is_digit, is_word_char};

/// Whether the whole of a text without white space is an address, such as `www.example.com/a`, `a@b.org` or
/// `1.2.3.4:80`. Addresses of private networks are none.
pub(super) fn is_url(text: &str) -> bool {
    // The user may be anything, even what has the looks of a scheme.
    is_host_and_path(text)
        || after_scheme(text).is_some_and(is_host_and_path)
        || memchr_iter(b'@', text.as_bytes()).any(|at| at > 0 && is_host_and_path(&text[at + 1..]))
}

fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.chars().all(|c| is_word_char(c) || matches!(c, '+' | '-' | '.'));
    rest.strip_prefix("//").filter(|_| is_scheme && scheme.chars().nth(1).is_some())
}

fn is_host_and_path(text: &str) -> bool {
    let end = text.find([':', '/', '?', '#', '@']).unwrap_or(text.len());
    let (host, rest) = text.split_at(end);
    is_port_and_path(rest) && (is_name(host) || is_public_address(host))
}

fn is_port_and_path(mut text: &str) -> bool {
    if let Some(rest) = text.strip_prefix(':') {
        text = rest.trim_start_matches(is_digit);
        if !(2..=5).contains(&rest[..rest.len() - text.len()].chars().count()) {
            return false;
        }
    }
    text.is_empty() || text.starts_with(['/', '?', '#'])
}

/// Whether the text is the name of a host: labels and a last one in lower case, joined by full stops.
fn is_name(text: &str) -> bool {
    let Some((labels, last)) = text.rsplit_once('.') else { return false };
    let is_lower = |c| classes_of(c) & LOWER != 0;
    last.chars().all(is_lower) && (2..=63).contains(&last.chars().count()) && labels.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_alphanumeric() || matches!(c, '\u{A1}'..='\u{FFFF}');
    text.starts_with(is_end)
        && text.ends_with(is_end)
        && text.chars().all(|c| is_end(c) || matches!(c, '_' | '-'))
        && text.chars().nth(64).is_none()
}

/// Whether the text is the number of a host, of those that the public network has.
fn is_public_address(text: &str) -> bool {
    text.starts_with(is_digit) && ADDRESS.is_match(text) && !PRIVATE.is_match(text)
}

static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    const FIRST: &str = r"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])";
    const INNER: &str = r"(?:1?\d{1,2}|2[0-4]\d|25[0-5])";
    const LAST: &str = r"(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4])";
    Regex::new(&format!(r"^{FIRST}\.{INNER}\.{INNER}\.{LAST}$")).expect("a valid pattern")
});

static PRIVATE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:10|127|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.").expect("a valid pattern")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(is_url(text), expected, "{text}");
    }

    #[test]
    fn hosts_have_labels_and_a_last_one_in_lower_case() {
        check("example.com", true);
        check("a.b.c-d.org", true);
        check("bücher.例子.de", true);
        check("Example.Com", false);
        check("example.c", false);
        check("example", false);
        check(".example.com", false);
        check("a..com", false);
        check("-a.com", false);
        check("a-.com", false);
        check(&format!("{}.com", "a".repeat(64)), true);
        check(&format!("{}.com", "a".repeat(65)), false);
        check(&format!("a.{}", "b".repeat(63)), true);
        check(&format!("a.{}", "b".repeat(64)), false);
    }

    #[test]
    fn schemes_users_ports_and_paths_are_known() {
        check("https://example.com", true);
        check("x://example.com", false);
        check("git+ssh://example.com", true);
        check("https:/example.com", false);
        check("mailto:someone@example.com", true);
        check("@example.com", false);
        check("a@b@example.com", true);
        check("http://a:b@example.com:8080/c?d#e", true);
        check("example.com:8", false);
        check("example.com:80", true);
        check("example.com:123456", false);
        check("example.com:80x", false);
        check("example.com?a", true);
        check("example.com,a", false);
        check("example.com/a,b—c", true);
    }

    #[test]
    fn addresses_are_those_of_the_public_network() {
        check("1.2.3.4", true);
        check("223.255.255.254", true);
        check("224.1.1.1", false);
        check("1.2.3.255", false);
        check("1.2.3.0", false);
        check("1.256.3.4", false);
        check("10.1.2.3", false);
        check("127.0.0.1", false);
        check("192.168.1.1", false);
        check("192.169.1.1", true);
        check("169.254.1.1", false);
        check("172.15.1.1", true);
        check("172.16.1.1", false);
        check("172.31.1.1", false);
        check("172.32.1.1", true);
        check("1.2.3", false);
        check("1.2.3.4.5", false);
        check("1.2.3.4:99/x", true);
        check("1.٢٣.3.4", true);
    }
}
