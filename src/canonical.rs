//! The canonical form of a text: two texts with the same one count as the same text.

use std::borrow::Cow;
use std::marker::PhantomData;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::vector::{BLOCK, Kernel, Width, bytes_at, mask, widest};

/// The canonical form of a text: Unicode NFC, every run of `White_Space` one space, trimmed.
/// Borrowed when the text is canonical already.
pub fn canonical(text: &str) -> Cow<'_, str> {
    let mut bytes = Vec::new();
    let composed = composed(text);
    let canonical = canonical_bytes(&composed, &mut bytes);
    if canonical == composed.as_bytes() {
        return composed;
    }
    // Faster than a string of the bytes themselves, which the standard library looks through in its own way.
    let text = simdutf8::basic::from_utf8(canonical).expect("white space is taken out by whole characters");
    Cow::Owned(text.to_owned())
}

/// The bytes of the [canonical] form of a [composed] text, written to the begin of `out`, which is for that alone and only
/// grows. For those who need no more than these: it asks for no memory.
pub fn canonical_bytes<'o>(composed: &str, out: &'o mut Vec<u8>) -> &'o [u8] {
    let n = widest(SingleSpaces { text: composed.as_bytes(), out });
    &out[..n]
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

/// Writes the text with every run of `White_Space` one space, trimmed, to the begin of `out`, which is longer afterwards;
/// returns its length.
///
/// A block at a time: all of it is written, with spaces for what begins white space, and what comes after bytes that go is
/// written once more in their place.
struct SingleSpaces<'t, 'o> {
    text: &'t [u8],
    out: &'o mut Vec<u8>,
}

impl Kernel for SingleSpaces<'_, '_> {
    type Output = usize;

    #[inline(always)]
    fn run<W: Width>(self) -> usize {
        let Self { text, out } = self;
        if out.len() < text.len() + BLOCK {
            out.resize(text.len() + BLOCK, 0);
        }
        let mut n = 0;
        // What begins a text may not be white space, as if some came before.
        let mut carried = Spaces { after: 1, within: 0 };
        let mut padded = [0; BLOCK + AFTER];
        for at in (0..text.len()).step_by(BLOCK) {
            let mut spaced = [0; 2 * BLOCK];
            let mut goes = carried.look::<W>(bytes_at(text, at, &mut padded), &mut spaced);
            if text.len() - at < BLOCK {
                goes |= u64::MAX << (text.len() - at);
            }
            let (mut from, mut left) = (0, goes);
            loop {
                let to: &mut [u8; BLOCK] = out[n..].first_chunk_mut().expect("there is room for a block");
                *to = *spaced[from..].first_chunk().expect("zeros come after the block");
                if left == 0 {
                    n += BLOCK - from;
                    break;
                }
                let end = left.trailing_zeros() as usize;
                n += end - from;
                from = end + (!(left >> end)).trailing_zeros() as usize;
                if from >= BLOCK {
                    break;
                }
                left &= u64::MAX << from;
            }
        }
        n - usize::from(n > 0 && out[n - 1] == b' ')
    }
}

/// The bytes after a block that say what its last characters are.
const AFTER: usize = 2;

/// What a block says of the begin of the next one: a bit for each byte that comes after white space, and for each that
/// is part of a white space that began before it.
struct Spaces {
    after: u64,
    within: u64,
}

impl Spaces {
    /// Writes a block to `spaced`, with a space where white space begins. The bits of the bytes that go: of white space,
    /// all but the first byte.
    #[inline(always)]
    fn look<W: Width>(&mut self, block: &[u8; BLOCK + AFTER], spaced: &mut [u8; 2 * BLOCK]) -> u64 {
        let mut is_space = [0; BLOCK];
        for i in 0..BLOCK {
            is_space[i] = mask(is_ascii_space(block[i]));
            spaced[i] = (block[i] & !is_space[i]) | (b' ' & is_space[i]);
        }
        let ascii = W::high_bits(&is_space);
        let (mut two, mut three) = (0, 0);
        if W::high_bits(block.first_chunk().expect("it is longer")) != 0 {
            let (mut twos, mut threes) = ([0; BLOCK], [0; BLOCK]);
            for i in 0..BLOCK {
                twos[i] = mask(is_space_of_two(block[i], block[i + 1]));
                threes[i] = mask(is_space_of_three(block[i], block[i + 1], block[i + 2]));
            }
            (two, three) = (W::high_bits(&twos), W::high_bits(&threes));
            let mut begins = two | three;
            while begins != 0 {
                spaced[begins.trailing_zeros() as usize] = b' ';
                begins &= begins - 1;
            }
        }
        let after = ascii << 1 | two << 2 | three << 3 | self.after;
        let within = two << 1 | three << 1 | three << 2 | self.within;
        let over = |bits: u64, by: u32| bits >> (u64::BITS - by);
        self.after = over(ascii, 1) | over(two, 2) | over(three, 3);
        self.within = over(two, 1) | over(three, 1) | over(three, 2);
        ((ascii | two | three) & after) | within
    }
}

/// Finds the bytes for which `is` holds; it is given the two bytes after each too, zeros after the end. It holds
/// for no byte for which `may`, which costs less, does not; and neither for one of ASCII.
///
/// Both are to be made of comparisons without a branch: then whole blocks are looked at with vector instructions.
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
        self.hits = self.hits_in(bytes_at(self.bytes, self.block, &mut [0; BLOCK + AFTER]));
    }

    #[inline(always)]
    fn hits_in(&self, block: &[u8; BLOCK + AFTER]) -> u64 {
        if W::high_bits(block.first_chunk().expect("it is longer")) == 0 {
            return 0;
        }
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

#[inline(always)]
fn is_ascii_space(byte: u8) -> bool {
    (byte == b' ') | (byte.wrapping_sub(b'\t') < 5)
}

/// U+0085 and U+00A0.
#[inline(always)]
fn is_space_of_two(a: u8, b: u8) -> bool {
    (a == 0xc2) & ((b == 0x85) | (b == 0xa0))
}

#[inline(always)]
fn is_space_of_three(a: u8, b: u8, c: u8) -> bool {
    let ogham = (a == 0xe1) & (b == 0x9a) & (c == 0x80);
    // U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F.
    let wide = (c <= 0x8a) | (c == 0xa8) | (c == 0xa9) | (c == 0xaf);
    let general = (a == 0xe2) & (((b == 0x80) & wide) | ((b == 0x81) & (c == 0x9f)));
    let ideographic = (a == 0xe3) & (b == 0x80) & (c == 0x80);
    ogham | general | ideographic
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
        let mut bytes = Vec::new();
        for c in char::MIN..=char::MAX {
            let text = format!("a{c}{c}.");
            let expected = if c.is_whitespace() { "a .".to_owned() } else { text.nfc().collect() };
            assert_eq!(canonical_bytes(&composed(&text), &mut bytes), expected.as_bytes(), "{c:?}");
        }
    }

    #[test]
    fn what_an_earlier_text_left_does_not_show() {
        let mut bytes = Vec::new();
        for n in [300, 0, 1, 63, 64, 65, 66, 127, 128, 129, 5] {
            let text = "é \n".repeat(n);
            assert_eq!(canonical_bytes(&text, &mut bytes), "é ".repeat(n).trim().as_bytes());
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
            proptest::prop_assert_eq!(composed(&text), Composed(&text).run::<Any>());
            let single_spaces = |wide: bool| {
                let mut out = Vec::new();
                let spaces = SingleSpaces { text: text.as_bytes(), out: &mut out };
                let n = if wide { widest(spaces) } else { spaces.run::<Any>() };
                out.truncate(n);
                out
            };
            proptest::prop_assert_eq!(single_spaces(true), single_spaces(false));
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
