//! E-mail addresses.

use std::ops::Range;

/// The most characters before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// The most characters after it (RFC 5321, 4.5.3.1.2).
const MAX_DOMAIN: usize = 255;

/// What follows a last dot in the names of files and of system units, and is no top-level domain.
const NO_DOMAINS: [&str; 22] = [
    "bmp", "conf", "css", "gif", "htm", "html", "jpeg", "jpg", "js", "json", "mount", "pdf", "png", "service", "slice",
    "socket", "svg", "target", "timer", "txt", "webp", "xml",
];

/// The address around an `@`, not reaching back before `free`.
pub(super) fn around(text: &str, at: usize, free: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_local = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-');
    let n_before = bytes[free..at].iter().rev().take(MAX_LOCAL + 1).take_while(|b| is_local(b)).count();
    if n_before == 0 || n_before > MAX_LOCAL || bytes[at - 1] == b'.' {
        return None;
    }
    let local = &bytes[at - n_before..at];
    // Dots and dashes before it belong to the sentence.
    let start = at - n_before + local.iter().position(u8::is_ascii_alphanumeric)?;
    let before = text[..start].chars().next_back();
    let local = &text[start..at];
    let end = domain_end(text, at + 1)?;
    let domain = &text[at + 1..end];
    let is_account_of_none = local == "git" || is_reserved(domain);
    // An `@` before it makes it a name in a social network, as `@name@host` is.
    (before != Some('@') && !is_account_of_none).then_some(start..end)
}

/// Where the domain that begins at a place ends, if there is one.
fn domain_end(text: &str, at: usize) -> Option<usize> {
    let is_inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let n = text.as_bytes()[at..].iter().take(MAX_DOMAIN + 1).take_while(|b| is_inside(b)).count();
    if n > MAX_DOMAIN || matches!(text.as_bytes().get(at + n), Some(b'@' | b'_')) {
        return None;
    }
    let mut domain = text[at..at + n].split("..").next()?;
    // What cannot end a domain is behind it: `me@home.org-and` and `me@home.org.2` are at home.org.
    loop {
        domain = domain.trim_end_matches(['.', '-']);
        let (rest, last) = domain.rsplit_once('.')?;
        if is_top_level(last) {
            let is_label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
            return rest.split('.').all(is_label).then_some(at + domain.len());
        }
        domain = last.find('-').filter(|&dash| is_top_level(&last[..dash])).map_or(rest, |dash| {
            let end = rest.len() + 1 + dash;
            &domain[..end]
        });
    }
}

fn is_top_level(label: &str) -> bool {
    let is_word = (2..=24).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphabetic());
    let is_encoded = label.len() > 4 && label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    (is_word || is_encoded) && !NO_DOMAINS.iter().any(|none| none.eq_ignore_ascii_case(label))
}

/// Whether a domain is set aside for examples (RFC 2606), so that nobody has an address there.
fn is_reserved(domain: &str) -> bool {
    let mut labels = domain.rsplit('.');
    let (last, before) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    let is = |label: &str, one_of: &[&str]| one_of.iter().any(|other| other.eq_ignore_ascii_case(label));
    is(last, &["example", "invalid", "localhost", "test"])
        || (is(before, &["example"]) && is(last, &["com", "net", "org"]))
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, tests};

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        tests::check(Kind::Email, text, expected);
    }

    #[test]
    fn addresses_are_found() {
        check("a@b.de", &["a@b.de"]);
        check("<First.Last+tag@mail.some-host.co.uk>", &["First.Last+tag@mail.some-host.co.uk"]);
        check("写信给li_wei@gongsi.cn。", &["li_wei@gongsi.cn"]);
        check("mailto:a@b.de,c@d.fr", &["a@b.de", "c@d.fr"]);
        check("'a@b.de' *c@d.fr*", &["a@b.de", "c@d.fr"]);
        check("u@xn--fiq228c.xn--fiqs8s", &["u@xn--fiq228c.xn--fiqs8s"]);
        check("10086@a.cn", &["10086@a.cn"]);
    }

    #[test]
    fn the_sentence_around_them_stays() {
        check("...a@b.de...", &["a@b.de"]);
        check("a@b.de. So a@b.org-and a@b.org.2 -a@b.de-", &["a@b.de", "a@b.org", "a@b.org", "a@b.de"]);
    }

    #[test]
    fn what_has_no_domain_is_none() {
        check("a@b a@b. @b.de a@.de a@1.2.3 a.@b.de a@b..de a@-b.de a@b.c a@b.de_x", &[]);
        check("lib@1.4.0-beta a@b.c0m", &[]);
    }

    #[test]
    fn files_units_and_repositories_are_none() {
        check("icon@2x.png getty@tty1.service git@host.org:me/it.git", &[]);
    }

    #[test]
    fn nobody_lives_in_examples() {
        check("a@example.com a@mail.Example.ORG a@b.test a@localhost.localhost", &[]);
        check("a@example.de a@myexample.com", &["a@example.de", "a@myexample.com"]);
    }

    #[test]
    fn names_in_social_networks_are_none() {
        check("@me@social.host.org", &[]);
    }

    #[test]
    fn sixty_four_characters_are_a_name_and_more_are_not() {
        let name = "x".repeat(64);
        check(&format!("{name}@b.de"), &[&format!("{name}@b.de")]);
        check(&format!("x{name}@b.de"), &[]);
        let host = format!("{}de", "x.".repeat(126));
        check(&format!("a@{host}"), &[&format!("a@{host}")]);
        check(&format!("a@x.{host}"), &[]);
    }
}
