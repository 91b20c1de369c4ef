//! Decodes the character references that were left in a text when it was taken out of HTML.

use std::borrow::Cow;

use html_escape::NAMED_ENTITIES;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::{Normalizer, Settings};

/// Decodes `&amp;`, `&nbsp;`, `&#20013;`, `&#x4e2d;`: the 2,125 names that HTML has, and numbers.
///
/// Only what is well-formed is decoded, with its `;`, and only to characters that a text may hold: no control but tab
/// and line ends, no half of a surrogate pair. The numbers 128 to 159 are taken for those of Windows-1252, as
/// browsers take them (HTML, "numeric character reference end state"): `&#146;` is `’`.
///
/// What was encoded twice is decoded twice: `&amp;lt;` becomes `<`, for a page that is extracted has been decoded once
/// already, and what is left was once too many. So nothing is left to decode afterwards, and texts that explain HTML
/// lose their explanation: use `when` or `unless` to leave them out. `&nbsp;` becomes U+00A0: put `whitespace` after it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HtmlEntities {}

impl Settings for HtmlEntities {
    const NAME: &'static str = "html_entities";
    const ABOUT: &'static str = "decodes character references such as &amp; and &#20013;";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

/// The longest reference there is, `&CounterClockwiseContourIntegral;`, has 33 bytes. Numbers with so many zeros
/// before them that they are longer are left alone.
const LONGEST: usize = 33;

impl Normalizer for HtmlEntities {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(first) = first_reference(text) else { return Cow::Borrowed(text) };
        let mut out = String::with_capacity(text.len());
        out.push_str(&text[..first]);
        let mut rest = &text[first..];
        while let Some(at) = memchr::memchr(b';', rest.as_bytes()) {
            out.push_str(&rest[..at]);
            put_end(&mut out);
            rest = &rest[at + 1..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

/// Where the first reference begins.
fn first_reference(text: &str) -> Option<usize> {
    memchr::memchr_iter(b'&', text.as_bytes()).find(|&at| {
        let bytes = &text.as_bytes()[at + 1..];
        let end = bytes.iter().take(LONGEST - 1).position(|b| matches!(b, b';' | b'&'));
        end.is_some_and(|end| bytes[end] == b';' && decoded(&text[at + 1..at + 1 + end]).is_some())
    })
}

/// Puts a `;` behind a text, which holds no reference, so that again there is none: the one that it may end is decoded,
/// and what it becomes may be a `;` as well.
fn put_end(out: &mut String) {
    loop {
        let tail = &out.as_bytes()[out.len().saturating_sub(LONGEST - 1)..];
        let Some(n) = memchr::memrchr(b'&', tail).map(|at| tail.len() - at) else { break };
        let Some(decoded) = decoded(&out[out.len() - n + 1..]) else { break };
        out.truncate(out.len() - n);
        if decoded != ";" {
            out.push_str(&decoded);
            return;
        }
    }
    out.push(';');
}

/// What stands between `&` and `;`, decoded.
fn decoded(reference: &str) -> Option<Cow<'static, str>> {
    if let Some(number) = reference.strip_prefix('#') {
        let (digits, radix) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16),
            None => (number, 10),
        };
        // A sign is read as a number, but is none here.
        let first_digit = digits.chars().next()?;
        let number = first_digit.is_digit(radix).then(|| u32::from_str_radix(digits, radix).ok())??;
        return of_number(number).map(|c| Cow::Owned(c.to_string()));
    }
    let name = reference.as_bytes();
    let at = NAMED_ENTITIES.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some(Cow::Borrowed(NAMED_ENTITIES[at].1))
}

/// The character of a number, if it is one that a text may hold.
fn of_number(number: u32) -> Option<char> {
    match number {
        0x80..=0x9f => Some(WINDOWS_1252[number as usize - 0x80]).filter(|&c| c != '\0'),
        // What is set aside for no character.
        0xfdd0..=0xfdef => None,
        _ if number & 0xfffe == 0xfffe => None,
        _ => char::from_u32(number).filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r')),
    }
}

/// The characters of the bytes 80 to 9F (WHATWG Encoding, index of windows-1252), and NUL where there is none.
const WINDOWS_1252: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”', '•',
    '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(HtmlEntities {}.normalize(text), expected);
    }

    #[test]
    fn names_are_decoded() {
        check("Fish &amp; chips&hellip; 1&nbsp;&lt;&nbsp;2 &eacute;&Eacute;", "Fish & chips… 1\u{a0}<\u{a0}2 éÉ");
        check("&CounterClockwiseContourIntegral;&NotEqualTilde;", "∳≂\u{338}");
    }

    #[test]
    fn numbers_are_decoded() {
        check("&#20013;&#x4e2d;&#X4E2D;&#128512;&#10;", "中中中😀\n");
        check("it&#146;s &#128; &#151;", "it’s € —");
        check(&format!("&#{:0>30};", 65), "A");
    }

    #[test]
    fn what_is_not_well_formed_stays() {
        for text in [
            "a & b; c",
            "&amp",
            "&nosuchname;",
            "&;",
            "&#;",
            "&#x;",
            "&#+65;",
            "&#x-1;",
            "&#0;",
            "&#7;",
            "&#129;",
            "&#xd800;",
            "&#x110000;",
            "&#xffff;",
            "&#xfdd0;",
            "&AMP ;",
            "?a=1&copy=2;",
        ] {
            check(text, text);
            assert!(matches!(HtmlEntities {}.normalize(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn numbers_with_too_many_zeros_stay() {
        let long = format!("&#{:0>31};", 65);
        check(&long, &long);
    }

    #[test]
    fn what_was_encoded_twice_is_decoded_twice() {
        check("&amp;lt; &amp;amp;amp;nbsp; &#38;#65;", "< \u{a0} A");
        check("&am&#112;; &amp&semi; &&num;65; &amp&semisemi;;", "& & A &amp&semisemi;;");
        check("&amp&&semi;semi;", "&amp&;semi;");
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(NAMED_ENTITIES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(NAMED_ENTITIES.len(), 2125);
        assert!(NAMED_ENTITIES.iter().all(|(name, _)| name.len() + 2 <= LONGEST));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn decoding_twice_is_decoding_once(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "&", ";", "amp", "#", "38", "x26", "lt", "semi", "num", "&amp;", "&semi;", "&num;", "&#59;", "a", "中", "s",
                ]),
                0..24,
            ),
        ) {
            let text = pieces.concat();
            let once = HtmlEntities {}.normalize(&text);
            let twice = HtmlEntities {}.normalize(&once);
            prop_assert_eq!(&twice, &once);
            prop_assert!(matches!(twice, Cow::Borrowed(_)));
        }
    }
}
