//! E-mail and IPv4 addresses as datatrove 0.10's `PIIFormatter` finds them.

use std::net::Ipv4Addr;
use std::ops::Range;

use regex::Regex;

use super::{Find, Kind};

/// Its two patterns. What they match is a fact of that version, odd or not: an address in brackets hardly ever fits,
/// the last part of a domain may be a number, and four numbers may stand inside of a longer one.
pub(super) struct Patterns {
    email: Regex,
    ip: Regex,
}

impl Patterns {
    pub(super) fn new() -> Self {
        let atom = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
        let label = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
        let octet = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)";
        let literal = format!(r"\[(?:{octet}\.){{3}}(?:{octet}|[A-Za-z0-9-]*[A-Za-z0-9]:)\]");
        let email = format!(r"\b{atom}(?:\.{atom})*@(?:(?:{label}\.)+{label}|{literal})");
        let ip = format!(r"(?:{octet}\.){{3}}{octet}");
        let regex = |pattern: &str| Regex::new(pattern).expect("the patterns above are valid");
        Self { email: regex(&email), ip: regex(&ip) }
    }

    /// What they find in a text, in order.
    pub(super) fn finds(&self, text: &str, emails: bool, ips: bool) -> Vec<Find> {
        let mut finds = Vec::new();
        let mut start = 0;
        // No address goes over the end of a line, and most lines have none.
        for line in text.split_inclusive('\n') {
            let in_line = |range: Range<usize>| start + range.start..start + range.end;
            let n = finds.len();
            if emails && memchr::memchr(b'@', line.as_bytes()).is_some() {
                let matches = self.email.find_iter(line).map(|found| in_line(found.range()));
                finds.extend(matches.map(|range| Find { kind: Kind::Email, range }));
            }
            if ips {
                let emails = n..finds.len();
                for found in self.ip.find_iter(line).filter(|found| is_global(found.as_str())) {
                    let range = in_line(found.range());
                    let next = finds[emails.clone()].partition_point(|email| email.range.end <= range.start);
                    if finds[emails.clone()].get(next).is_none_or(|email| range.end <= email.range.start) {
                        finds.push(Find { kind: Kind::Ip, range });
                    }
                }
                finds[n..].sort_by_key(|find| find.range.start);
            }
            start += line.len();
        }
        finds
    }
}

/// Whether Python 3.11's `ipaddress` calls an address global. Those with leading zeros it does not read.
fn is_global(address: &str) -> bool {
    let Ok(address) = address.parse::<Ipv4Addr>() else { return false };
    let [a, b, c, d] = address.octets();
    let is_private = match a {
        0 | 10 | 127 | 240.. => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => matches!((b, c, d), (0, 0, ..8 | 170 | 171) | (0, 2, _) | (168, _, _)),
        198 => matches!((b, c), (18 | 19, _) | (51, 100)),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !is_private
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let finds = Patterns::new().finds(text, true, true);
        assert_eq!(finds.into_iter().map(|find| &text[find.range]).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn it_finds_what_datatrove_finds() {
        // Each line was given to datatrove 0.10.1.
        check("x='a@b.com' git@host.org:a a@1.2 icon@2x.png", &["x='a@b.com", "git@host.org", "a@1.2", "icon@2x.png"]);
        check("éa@b.com 请a@b.com", &[]);
        check(".a@b.com a..b@c.de a@b.com.", &["a@b.com", "b@c.de", "a@b.com"]);
        check(
            "1.2.3.4 945.1.2.3 1.2.3.4.5 01.2.3.4 10.0.0.1 224.0.0.1",
            &["1.2.3.4", "45.1.2.3", "1.2.3.4", "224.0.0.1"],
        );
        check("me@[1.2.3.4] me@[8.8.8.abc:]", &["me@[1.2.3.4]", "me@[8.8.8.abc:]"]);
    }
}
