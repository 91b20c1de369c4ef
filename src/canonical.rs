//! The canonical form of a text: two texts with the same one count as the same text.

use std::borrow::Cow;
use std::marker::PhantomData;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::vector::{BLOCK, Kernel, Width, mask, widest};

/// The canonical form of a text: Unicode NFC, every run of `White_Space` one space, trimmed.
/// Borrowed when the text is canonical already.
pub fn canonical(text: &str) -> Cow<'_, str> {
    widest(Canonical(text))
}

struct Canonical<'t>(&'t str);

impl<'t> Kernel for Canonical<'t> {
    type Output = Cow<'t, str>;

    #[inline(always)]
    fn run<W: Width>(self) -> Cow<'t, str> {
        match Composed(self.0).run::<W>() {
            Cow::Borrowed(text) => single_spaces::<W>(text),
            Cow::Owned(text) => Cow::Owned(single_spaces::<W>(&text).into_owned()),
        }
    }
}

/// The text in Unicode NFC. Borrowed when it is already.
pub fn composed(text: &str) -> Cow<'_, str> {
    widest(Composed(text))
}

/// A character that `may_compose` does not hold for is one to which nothing before it can be joined or moved; so
/// what lies between two of them is composed alone.
struct Composed<'t>(&'t str);

impl<'t> Kernel for Composed<'t> {
    type Output = Cow<'t, str>;

    #[inline(always)]
    fn run<W: Width>(self) -> Cow<'t, str> {
        let text = self.0;
        let bytes = text.as_bytes();
        let mut hits = Hits::<W, _, _>::new(bytes, needs_a_look, may_compose);
        // `text[from..]` is not yet in `out`; up to `at` it is looked through.
        let (mut out, mut from, mut at) = (String::new(), 0, 0);
        while let Some(hit) = hits.next(at) {
            let begin = text[at..hit].char_indices().next_back().map_or(at, |(before, _)| at + before);
            let plain = text[hit..].char_indices().find(|(i, _)| {
                let byte = |after: usize| bytes.get(hit + i + after).copied().unwrap_or(0);
                !may_compose(byte(0), byte(1), byte(2))
            });
            let end = plain.map_or(text.len(), |(i, _)| hit + i);
            if !is_nfc(&text[begin..end]) {
                out.reserve(text.len() - from);
                out.push_str(&text[from..begin]);
                out.extend(text[begin..end].nfc());
                from = end;
            }
            at = end;
        }
        if from == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[from..]);
        Cow::Owned(out)
    }
}

/// The text with every run of `White_Space` one space, trimmed.
#[inline(always)]
fn single_spaces<W: Width>(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let mut hits = Hits::<W, _, _>::new(bytes, |_, _, _| true, is_odd_space);
    // `text[from..]` is not yet in `out`.
    let (mut out, mut from) = (String::new(), 0);
    while let Some(at) = hits.next(from) {
        if out.is_empty() {
            out.reserve(text.len());
        }
        if bytes[at] < b' ' && bytes[at - 1] > b' ' && bytes[at + 1] > b' ' && bytes[at + 1] < 0x80 {
            // The end of a line, with a word before it and one after it: nearly all are so.
            out.push_str(&text[from..at]);
            from = at + 1;
        } else {
            // All that is before it is a single space at most.
            out.push_str(text[from..at].strip_suffix(' ').unwrap_or(&text[from..at]));
            from = at + white_space(&text[at..]);
        }
        out.push(' ');
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// The bytes of white space that a text begins with.
#[inline(always)]
fn white_space(text: &str) -> usize {
    let of_ascii = text.bytes().take_while(|byte| matches!(byte, b'\t'..=b'\r' | b' ')).count();
    match text.as_bytes().get(of_ascii) {
        Some(0x80..) => text.len() - text[of_ascii..].trim_start().len(),
        _ => of_ascii,
    }
}

/// Finds the bytes for which `is` holds; it is given the two bytes after each too, zeros after the end. It holds
/// for no byte for which `may`, which costs less, does not.
///
/// Both are to be made of comparisons without a branch: then whole blocks are looked at with the vector
/// instructions that every processor has. They must not hold for zeros.
struct Hits<'t, W, May, Is> {
    bytes: &'t [u8],
    may: May,
    is: Is,
    /// Where the block begins that was looked at last, and its hits, a bit each.
    block: usize,
    hits: u64,
    width: PhantomData<W>,
}

impl<'t, W: Width, May: Fn(u8, u8, u8) -> bool, Is: Fn(u8, u8, u8) -> bool> Hits<'t, W, May, Is> {
    #[inline(always)]
    fn new(bytes: &'t [u8], may: May, is: Is) -> Self {
        let mut hits = Self { bytes, may, is, block: 0, hits: 0, width: PhantomData };
        hits.look();
        hits
    }

    /// The first one from `from` on. Never goes back.
    #[inline(always)]
    fn next(&mut self, from: usize) -> Option<usize> {
        if from >= self.block + BLOCK {
            self.block = from;
            self.look();
        }
        self.hits &= u64::MAX << (from - self.block.min(from));
        while self.hits == 0 {
            self.block += BLOCK;
            if self.block >= self.bytes.len() {
                return None;
            }
            self.look();
        }
        Some(self.block + self.hits.trailing_zeros() as usize)
    }

    /// Looks at the block.
    #[inline(always)]
    fn look(&mut self) {
        self.hits = match self.bytes.get(self.block..self.block + BLOCK + 2) {
            Some(block) => self.hits_in(block.try_into().expect("as long as that")),
            None => {
                let rest = self.bytes.get(self.block..).unwrap_or_default();
                let rest = &rest[..rest.len().min(BLOCK + 2)];
                let mut block = [0; BLOCK + 2];
                block[..rest.len()].copy_from_slice(rest);
                self.hits_in(&block)
            }
        };
    }

    #[inline(always)]
    fn hits_in(&self, block: &[u8; BLOCK + 2]) -> u64 {
        let mut any = false;
        for i in 0..BLOCK {
            any |= (self.may)(block[i], block[i + 1], block[i + 2]);
        }
        if !any {
            return 0;
        }
        let mut hits = [0; BLOCK];
        for i in 0..BLOCK {
            hits[i] = mask((self.is)(block[i], block[i + 1], block[i + 2]));
        }
        W::high_bits(&hits)
    }
}

/// Whether a byte begins white space that is not a single `' '` as it seems, or is one before another.
#[inline(always)]
fn is_odd_space(a: u8, b: u8, c: u8) -> bool {
    let double = (a == b' ') & (b == b' ');
    let control = a.wrapping_sub(b'\t') < 5;
    let latin = (a == 0xc2) & ((b == 0x85) | (b == 0xa0));
    let ogham = (a == 0xe1) & (b == 0x9a) & (c == 0x80);
    // U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F.
    let wide = (c <= 0x8a) | (c == 0xa8) | (c == 0xa9) | (c == 0xaf);
    let general = (a == 0xe2) & (((b == 0x80) & wide) | ((b == 0x81) & (c == 0x9f)));
    let ideographic = (a == 0xe3) & (b == 0x80) & (c == 0x80);
    double | control | latin | ogham | general | ideographic
}

/// Whether [`may_compose`] can hold: not for ASCII, for nearly all Latin letters, for ideographs and for what stands
/// between them, which are most of most texts.
#[inline(always)]
fn needs_a_look(a: u8, b: u8, c: u8) -> bool {
    let latin = (a < 0xcc) | (0xcf..=0xd1).contains(&a);
    let kana_and_marks = (a == 0xe3) & !((c >= 0xaa) | (c == 0x99) | (c == 0x9a));
    let ideograph = (0xe4..=0xe9).contains(&a);
    let wide = (a == 0xef) & (b >= 0xbc);
    !(latin | kana_and_marks | ideograph | wide)
}

/// Whether a byte begins a character that perhaps is not composed or combines with one before it. Not so for
/// nearly all characters of most texts, and found without a table; the rest is looked up.
#[inline(always)]
fn may_compose(a: u8, b: u8, c: u8) -> bool {
    // Combining marks and Greek, Cyrillic marks, and all that begins with E0, E1 or F0 but emoji and ideographs.
    let two = (0xcc..=0xce).contains(&a) | (0xd2..=0xe1).contains(&a);
    // General punctuation from U+2010 on, currency signs, boxes and arrows are composed.
    let symbols =
        (a == 0xe2) & !((b == 0x80) & (c >= 0x90) | (b == 0x82) | ((b & 0xfe) == 0x86) | (0x94..=0x9f).contains(&b));
    let marks = ((b == 0x80) & (0xaa..=0xaf).contains(&c)) | ((b == 0x82) & ((c == 0x99) | (c == 0x9a)));
    let kana = (a == 0xe3) & marks;
    let hangul = ((a == 0xea) & (b < 0xb0)) | ((a == 0xed) & (b > 0x9d));
    let private = (a == 0xee) | (a == 0xef) & (b < 0xbc);
    let beyond = (a == 0xf0) & !((b == 0x9f) | (0xa0..=0xaa).contains(&b)) | (a > 0xf0);
    two | symbols | kana | hangul | private | beyond
}

#[cfg(test)]
mod tests {
    use unicode_normalization::char::canonical_combining_class;
    use unicode_normalization::{IsNormalized, is_nfc_quick};

    use super::*;
    use crate::vector::Any;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(canonical(text), expected);
        assert_eq!(canonical(expected), expected, "canonical twice is canonical once");
    }

    /// Whether `is` holds for some byte of the character, whatever comes after it.
    fn holds(c: char, is: fn(u8, u8, u8) -> bool) -> bool {
        let text = format!("{c}.");
        Hits::<Any, _, _>::new(text.as_bytes(), |_, _, _| true, is).next(0).is_some()
    }

    #[test]
    fn white_space_becomes_single_spaces() {
        check("", "");
        check(" \t\n", "");
        check("a  b\u{3000}c\r\n", "a b c");
        check(" a", "a");
        check("a ", "a");
        check("a \nb\n c", "a b c");
    }

    #[test]
    fn white_space_is_found_across_blocks() {
        for n in 0..100 {
            let word = "x".repeat(n);
            check(&format!("{word}\n{word}"), &format!("{word} {word}").trim().replace("  ", " "));
            check(&format!("中{word}  {word}\u{3000}"), format!("中{word} {word}").trim());
        }
    }

    #[test]
    fn every_white_space_is_known() {
        for c in (char::MIN..=char::MAX).filter(|&c| c != ' ') {
            assert_eq!(holds(c, is_odd_space), c.is_whitespace(), "{c:?}");
        }
    }

    #[test]
    fn decomposed_letters_are_composed() {
        check("e\u{301}te\u{301}", "été");
        check("か\u{3099}", "が");
    }

    #[test]
    fn characters_that_are_not_looked_up_are_composed() {
        let plain = (char::MIN..=char::MAX).filter(|&c| !holds(c, may_compose));
        let mut n_plain = 0;
        for c in plain {
            assert_eq!(is_nfc_quick(['a', c].into_iter()), IsNormalized::Yes, "{c:?}");
            assert_eq!(canonical_combining_class(c), 0, "{c:?} moves among marks");
            n_plain += 1;
        }
        assert!(n_plain > 80_000, "{n_plain}");
        for c in "aéжя，。中々かカー가“”…€→😀𠀀".chars() {
            assert!(!holds(c, may_compose), "{c:?}");
        }
    }

    #[test]
    fn a_look_is_taken_wherever_a_character_may_compose() {
        for bytes in 0..1u32 << 24 {
            let [_, a, b, c] = bytes.to_be_bytes();
            assert!(needs_a_look(a, b, c) || !may_compose(a, b, c), "{a:x} {b:x} {c:x}");
        }
    }

    #[test]
    fn a_canonical_text_is_borrowed() {
        for text in ["plain words 中文", "été", "हिन्दी में"] {
            assert!(matches!(canonical(text), Cow::Borrowed(_)), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn wider_vectors_change_nothing(text in "([a-z ]{0,30}|[中文。\u{3000}かéÅ\u{301}\n\t]{0,9}|.{0,9}){0,12}") {
            proptest::prop_assert_eq!(canonical(&text), Canonical(&text).run::<Any>());
        }

        #[test]
        fn composed_in_parts_is_composed_as_a_whole(
            text in "[ae中한]{0,3}([\u{300}-\u{330}\u{3099}ᄀ-ᄅ아-양ᅡ-ᅣᆨ-ᆭக\u{bbe}Åé\u{f73}\u{1d157}\u{1d165}]{0,4}[ae中か가.]{0,3}){0,5}",
        ) {
            proptest::prop_assert_eq!(composed(&text), text.nfc().collect::<String>());
        }

        #[test]
        fn the_canonical_form_is_that_of_the_definition(
            text in "[a \t\u{85}中文é\u{301}\u{3000}か\u{3099}\u{2000}Å]{0,12}[a-z 中。]{0,40}[ \n\u{2028}\u{a0}b]{0,5}",
        ) {
            let composed: String = text.nfc().collect();
            let expected = composed.split_whitespace().collect::<Vec<_>>().join(" ");
            check(&text, &expected);
        }
    }
}
