//! Cuts a text into shingles: the set whose overlap says how alike two texts are.
//!
//! The text is taken in canonical form and lower-cased (full Unicode, as Python's `str.lower`). Then, with
//! `n` = 5:
//!
//! - words are maximal runs of letters, digits and underscores other than Han ideographs and kana; every
//!   `n` words in a row are a shingle, over the whole document, whatever stands between them;
//! - a document of fewer than `n` words gives one shingle of all its words;
//! - in a run of ideographs and kana every `n` characters in a row are a shingle, and a shorter run is one.
//!
//! A shingle is known by a 64-bit hash. Each word and character is hashed once, where it stands in the text and
//! lower-cased on the way, and the hash of a shingle is a polynomial in those of its members, which rolls on from
//! one shingle to the next: so nothing is ever written out, and a shingle costs two multiplications.
//!
//! Text is taken 64 bytes at a time: one number says which of them belong to words of ASCII, and one which are beyond
//! that. And a word is taken eight
//! bytes at a time, as a number too (Knuth 4A, 7.1.3, has such tricks, as "broadword computing").

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hash::{GOLDEN, hash_all, hash_one};
use crate::exchange::radix::radix_sort;
use crate::text::{is_cjk, is_word_char};
use crate::vector::{BLOCK, Kernel, Width, mask, widest};

/// What a shingle is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Words; in runs of Han ideographs and kana, characters.
    #[default]
    Words,
    /// Characters of the canonical text, lower-cased, spaces and marks included.
    Chars,
}

/// How texts are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shingler {
    /// How many units a shingle has, at least 1.
    pub n: usize,
    /// What the units are.
    pub unit: Unit,
}

impl Default for Shingler {
    /// Lee et al. 2021 (arXiv 2107.06499, appendix A) and most corpora since compare 5-grams of words.
    fn default() -> Self {
        Self { n: 5, unit: Unit::Words }
    }
}

/// What shingling needs on the way: kept from one text to the next, so that nothing is allocated for each.
#[derive(Debug, Clone, Default)]
pub struct Units {
    /// The hashes of the words. Longer than there are words.
    words: Vec<u64>,
    /// The hashes of the characters of a run. Longer than a run is.
    run: Vec<u64>,
    /// A word in lower case.
    lower: String,
}

/// Keeps shingles of characters apart from shingles of words.
const OF_CHARS: u64 = 0x6368_6172;

impl Shingler {
    /// Appends the shingles of a text in [canonical](crate::canonical::canonical) form, repeats included.
    pub fn shingles(&self, canonical: &str, units: &mut Units, out: &mut Vec<u64>) {
        match self.unit {
            Unit::Words => {
                let from = out.len();
                let split = |text: &str, units: &mut Units, out: &mut Vec<u64>| {
                    widest(Split { bytes: text.as_bytes(), n: self.n, n_words: 0, units, out })
                };
                if split(canonical, units, out).is_err() {
                    out.truncate(from);
                    split(&canonical.to_lowercase(), units, out).expect("what is lower-case stays as it is");
                }
            }
            Unit::Chars => {
                units.run.clear();
                units.run.extend(canonical.to_lowercase().chars().map(|c| hash_one(u64::from(c))));
                windows(&units.run, self.n, OF_CHARS, out);
            }
        }
    }

    /// The shingles of a text in canonical form as a set: sorted, each once. Appended to `set`, which is empty.
    pub fn set(&self, canonical: &str, units: &mut Units, set: &mut Vec<u64>) {
        self.shingles(canonical, units, set);
        radix_sort(set, |hash| *hash);
        set.dedup();
    }
}

/// The hashes of all windows of `n` units; of the whole if it is shorter; nothing of nothing.
#[inline(always)]
fn windows(units: &[u64], n: usize, seed: u64, out: &mut Vec<u64>) {
    let roll = |hash: u64, unit: u64| hash.wrapping_mul(GOLDEN).wrapping_add(unit);
    let first = &units[..n.min(units.len())];
    if first.is_empty() {
        return;
    }
    // A whole that is shorter is no window of fewer units.
    let seed = if units.len() < n { seed ^ units.len() as u64 } else { seed };
    let power = (0..n).fold(1, |power: u64, _| power.wrapping_mul(GOLDEN));
    let mut hash = first.iter().fold(0, |hash, &unit| roll(hash, unit));
    out.push(hash.wrapping_add(seed));
    out.extend(units[first.len()..].iter().zip(units).map(|(&new, &old)| {
        hash = roll(hash, new).wrapping_sub(old.wrapping_mul(power));
        hash.wrapping_add(seed)
    }));
}

/// A text on its way through the splitter.
struct Split<'a> {
    bytes: &'a [u8],
    n: usize,
    n_words: usize,
    units: &'a mut Units,
    out: &'a mut Vec<u64>,
}

/// A character whose lower case depends on what stands around it, or is not one character of the same class.
#[derive(Debug)]
struct Unusual;

impl Kernel for Split<'_> {
    type Output = Result<(), Unusual>;

    /// Splits the whole text.
    #[inline(always)]
    fn run<W: Width>(mut self) -> Result<(), Unusual> {
        // There are no more words than every other byte, and no more ideographs than every third.
        self.units.words.resize(self.units.words.len().max(self.bytes.len() / 2 + 1), 0);
        self.units.run.resize(self.units.run.len().max(self.bytes.len() / 3 + 1), 0);
        let mut at = 0;
        while let Some(block) = self.bytes.get(at..at + BLOCK) {
            at = self.block::<W>(at, block.try_into().expect("a block"))?;
        }
        self.rest(at)?;
        windows(&self.units.words[..self.n_words], self.n, 0, self.out);
        Ok(())
    }
}

impl Split<'_> {
    /// The words and runs that begin in the block at `at`. Returns where it goes on.
    #[inline(always)]
    fn block<W: Width>(&mut self, at: usize, block: &[u8; BLOCK]) -> Result<usize, Unusual> {
        let (words, beyond) = words_of_ascii::<W>(block);
        // What is still to be looked at.
        let mut left = words | beyond;
        while left != 0 {
            let begin = left.trailing_zeros();
            let from = at + begin as usize;
            let len = (!(words >> begin)).trailing_zeros();
            let end = begin + len;
            if end == u64::BITS && begin > 0 {
                // It goes on in the next block, which shall begin with it.
                return Ok(from);
            }
            let next = if len == 0 {
                self.beyond_ascii(from)?
            } else if end == u64::BITS || beyond >> end & 1 != 0 {
                // It is too long for a block, or goes on beyond ASCII.
                self.word(from, at + end as usize)?
            } else {
                self.push_word(from, at + end as usize, 0);
                left &= u64::MAX << end;
                continue;
            };
            let done = next - at;
            if done >= BLOCK {
                return Ok(next);
            }
            left &= u64::MAX << done;
        }
        Ok(at + BLOCK)
    }

    /// The words and runs of what is less than a block, from `at` on.
    #[inline(always)]
    fn rest(&mut self, mut at: usize) -> Result<(), Unusual> {
        while at < self.bytes.len() {
            at = match self.bytes[at] {
                byte if is_ascii_word(byte) => self.word(at, at + 1)?,
                0..0x80 => at + 1,
                _ => self.beyond_ascii(at)?,
            };
        }
        Ok(())
    }

    /// What begins at `at`, which is beyond ASCII. Returns where it goes on.
    #[inline(always)]
    fn beyond_ascii(&mut self, at: usize) -> Result<usize, Unusual> {
        if self.bytes[at..].first_chunk().copied().and_then(ideograph).is_some() {
            return Ok(self.cjk_run(at));
        }
        let (c, next) = decode(self.bytes, at);
        match class(c) {
            class if class & WORD != 0 => self.word(at, at),
            class if class & CJK != 0 => Ok(self.cjk_run(at)),
            class if class & UNUSUAL != 0 => Err(Unusual),
            _ => Ok(next),
        }
    }

    /// The word that begins at `at` and goes to `end` at least. Returns where it ends.
    #[inline(always)]
    fn word(&mut self, at: usize, mut end: usize) -> Result<usize, Unusual> {
        let mut classes = 0;
        while let Some(&byte) = self.bytes.get(end) {
            let (class, next) = if byte < 0x80 {
                (u8::from(is_ascii_word(byte)) * WORD, end + 1)
            } else {
                let (c, next) = decode(self.bytes, end);
                (class(c), next)
            };
            if class & WORD == 0 {
                break;
            }
            classes |= class;
            end = next;
        }
        if classes & UNUSUAL != 0 {
            return Err(Unusual);
        }
        self.push_word(at, end, classes);
        Ok(end)
    }

    /// Hashes the word from `at` to `end`, which has characters of these classes beyond ASCII.
    #[inline(always)]
    fn push_word(&mut self, at: usize, end: usize, classes: u8) {
        let eight = |from: usize| {
            // Nearly all words have eight bytes of text after the begin of their last.
            let inside = u64::MAX >> (64 - 8 * (end - from).min(8));
            ascii_lower(load(self.bytes, from) & inside)
        };
        self.units.words[self.n_words] = if classes & UPPER != 0 {
            self.hash_in_lower_case(at, end)
        } else if end - at <= 8 {
            hash_one(eight(at))
        } else {
            hash_all((at..end).step_by(8).map(eight))
        };
        self.n_words += 1;
    }

    fn hash_in_lower_case(&mut self, mut at: usize, end: usize) -> u64 {
        self.units.lower.clear();
        while at < end {
            let (c, next) = decode(self.bytes, at);
            self.units.lower.extend(c.to_lowercase());
            at = next;
        }
        let lower = self.units.lower.as_bytes();
        hash_all((0..lower.len()).step_by(8).map(|from| load(lower, from)))
    }

    /// The run of ideographs and kana that begins at `at`. Returns where it ends.
    #[inline(always)]
    fn cjk_run(&mut self, mut at: usize) -> usize {
        let mut n_units = 0;
        loop {
            let (threes, _) = self.bytes[at..].as_chunks();
            for (&three, unit) in threes.iter().zip(&mut self.units.run[n_units..]) {
                let Some(c) = ideograph(three) else { break };
                *unit = hash_one(c);
                n_units += 1;
                at += 3;
            }
            if self.bytes.get(at).is_none_or(|&byte| byte < 0x80) {
                break;
            }
            let (c, next) = decode(self.bytes, at);
            if class(c) & CJK == 0 {
                break;
            }
            self.units.run[n_units] = hash_one(u64::from(c));
            n_units += 1;
            at = next;
        }
        windows(&self.units.run[..n_units], self.n, OF_CHARS, self.out);
        at
    }
}

/// The character that three bytes are, if it is from U+4E00 to U+9FFF: most ideographs are, and no table is asked.
#[inline(always)]
fn ideograph([first, second, third]: [u8; 3]) -> Option<u64> {
    let c = u64::from(first & 0x0f) << 12 | u64::from(second & 0x3f) << 6 | u64::from(third & 0x3f);
    ((0xe4..=0xe9).contains(&first) && c >= 0x4e00).then_some(c)
}

/// A bit for each byte that belongs to a word and is ASCII, and one for each that is not ASCII.
#[inline(always)]
fn words_of_ascii<W: Width>(block: &[u8; BLOCK]) -> (u64, u64) {
    // Without a branch, so that it is done with vector instructions.
    let mut in_word = [0; BLOCK];
    for i in 0..BLOCK {
        in_word[i] = mask(is_ascii_word(block[i]));
    }
    (W::high_bits(&in_word), W::high_bits(block))
}

#[inline(always)]
fn is_ascii_word(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10) | (byte == b'_')
}

/// A byte in each of the eight of a number.
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EACH;

/// The high bit of each byte that is at least `n`; the other bits are anything. All bytes are below 0x80.
#[inline(always)]
fn at_least(bytes: u64, n: u8) -> u64 {
    bytes + EACH * u64::from(0x80 - n)
}

/// Eight bytes with the ASCII letters among them in lower case.
#[inline(always)]
fn ascii_lower(bytes: u64) -> u64 {
    let plain = bytes & !HIGH;
    let upper = at_least(plain, b'A') & !at_least(plain, b'Z' + 1) & HIGH & !bytes;
    // 0x80 becomes 0x20, by which the cases differ.
    bytes | upper >> 2
}

/// The eight bytes from `at` on, the first one lowest; zeros after the end.
#[inline(always)]
fn load(bytes: &[u8], at: usize) -> u64 {
    if let Some(eight) = bytes.get(at..at + 8) {
        return u64::from_le_bytes(eight.try_into().expect("eight bytes"));
    }
    let (mut eight, rest) = ([0; 8], &bytes[at..]);
    eight[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(eight)
}

/// The character at `at`, and where the next one begins.
#[inline(always)]
fn decode(bytes: &[u8], at: usize) -> (char, usize) {
    let byte = |i: usize| u32::from(bytes.get(at + i).copied().unwrap_or(0));
    let rest = |i: usize| byte(i) & 0x3f;
    let (c, length) = match byte(0) {
        first @ 0..0x80 => (first, 1),
        first @ 0x80..0xe0 => ((first & 0x1f) << 6 | rest(1), 2),
        first @ 0xe0..0xf0 => ((first & 0x0f) << 12 | rest(1) << 6 | rest(2), 3),
        first => ((first & 0x07) << 18 | rest(1) << 12 | rest(2) << 6 | rest(3), 4),
    };
    (char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER), at + length)
}

/// It belongs to words.
const WORD: u8 = 1;
/// It is an ideograph or kana.
const CJK: u8 = 2;
/// It has another lower case, of the same class.
const UPPER: u8 = 4;
/// See [`Unusual`].
const UNUSUAL: u8 = 8;

/// The classes of a character, from a table for all but the rarest planes.
#[inline(always)]
fn class(c: char) -> u8 {
    static TABLE: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..0x10000).map(|c| char::from_u32(c).map_or(0, class_of)).collect());
    TABLE.get(c as usize).copied().unwrap_or_else(|| class_of(c))
}

fn class_of(c: char) -> u8 {
    let split = |c: char| if is_cjk(c) { CJK } else { u8::from(is_word_char(c)) * WORD };
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        // The lower case of a last sigma is another one.
        _ if c == 'Σ' => WORD | UNUSUAL,
        (Some(lower), None) if lower == c => split(c),
        (Some(lower), None) if split(lower) == split(c) => split(c) | UPPER,
        _ => split(c) | UNUSUAL,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::vector::Any;

    /// The definition, word for word: shingles as strings.
    fn naive(text: &str, n: usize) -> BTreeSet<String> {
        let text = text.to_lowercase();
        let (mut words, mut out) = (Vec::new(), BTreeSet::new());
        let class = |c: char| if is_cjk(c) { 2 } else { u8::from(is_word_char(c)) };
        let chars: Vec<char> = text.chars().collect();
        for run in chars.chunk_by(|a, b| class(*a) == class(*b)) {
            match class(run[0]) {
                0 => {}
                1 => words.push(run.iter().collect::<String>()),
                _ if run.len() < n => drop(out.insert(run.iter().collect())),
                _ => out.extend(run.windows(n).map(|window| window.iter().collect::<String>())),
            }
        }
        if !words.is_empty() && words.len() < n {
            out.insert(words.join(" "));
        }
        out.extend(words.windows(n).map(|window| window.join(" ")));
        out
    }

    fn set(text: &str) -> Vec<u64> {
        let mut set = Vec::new();
        Shingler::default().set(text, &mut Units::default(), &mut set);
        set
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let expected: BTreeSet<_> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(naive(text, 5), expected);
        assert_eq!(set(text).len(), expected.len());
    }

    #[track_caller]
    fn check_same(a: &str, b: &str) {
        assert_eq!(set(a), set(b));
        assert!(!set(a).is_empty());
    }

    #[test]
    fn words_are_taken_five_by_five() {
        check("a b c d e f", &["a b c d e", "b c d e f"]);
        check("a b c d e", &["a b c d e"]);
        check("a, b: c_1", &["a b c_1"]);
    }

    #[test]
    fn ideographs_are_taken_five_by_five_in_their_run() {
        check("一二三四五六", &["一二三四五", "二三四五六"]);
        check("一二三。四五", &["一二三", "四五"]);
    }

    #[test]
    fn ideographs_do_not_break_the_sequence_of_words() {
        check("a b 中文 c d e f", &["中文", "a b c d e", "b c d e f"]);
        check("abc中文def", &["中文", "abc def"]);
    }

    #[test]
    fn nothing_to_cut_gives_nothing() {
        check("", &[]);
        check("… — !", &[]);
        check("\u{301}", &[]);
    }

    #[test]
    fn case_does_not_matter() {
        check_same("Straße É Ⅷ Đ", "straße é ⅷ đ");
        check_same("ΟΔΟΣ ΣΑΣ", "οδος σας");
        check_same("中Aİ文", "中ai\u{307}文");
    }

    #[test]
    fn a_word_is_not_a_run_of_ideographs() {
        let mut chars = Vec::new();
        Shingler { n: 5, unit: Unit::Chars }.shingles("abc", &mut Units::default(), &mut chars);
        assert_ne!(set("abc"), chars);
    }

    #[test]
    fn characters_are_taken_with_what_stands_between() {
        let cut = |text: &str| {
            let mut out = Vec::new();
            Shingler { n: 3, unit: Unit::Chars }.shingles(text, &mut Units::default(), &mut out);
            out
        };
        assert_eq!(cut("a b,中").len(), 3);
        assert_eq!(cut("AB"), cut("ab"));
        assert_eq!((cut("ab").len(), cut("").len()), (1, 0));
    }

    proptest! {
        #[test]
        fn sets_are_those_of_the_definition(
            a in "([abΣς]{1,3}|[0-9_]|[中文字々カ]{1,7}|[ ,。é\u{301}İ한ⅧÀ]){0,40}",
            b in "([abΣς]{1,3}|[0-9_]|[中文字々カ]{1,7}|[ ,。é\u{301}İ한ⅧÀ]){0,40}",
        ) {
            // Equal numbers and equal overlaps: the hashes stand for the strings.
            let (strings_a, strings_b) = (naive(&a, 5), naive(&b, 5));
            let (set_a, set_b) = (set(&a), set(&b));
            prop_assert_eq!(set_a.len(), strings_a.len());
            let shared = set_a.iter().filter(|hash| set_b.binary_search(hash).is_ok()).count();
            prop_assert_eq!(shared, strings_a.intersection(&strings_b).count());
        }
    }

    proptest! {
        #[test]
        fn wider_vectors_change_nothing(text in "([a-zA-Z_ ,.]{0,30}|[中文。かカ, ]{0,9}|[éÅßΣ’“]{0,5}|.{0,9}){0,12}") {
            let shingles = |wide: bool| {
                let (mut units, mut out) = (Units::default(), Vec::new());
                let split = Split { bytes: text.as_bytes(), n: 5, n_words: 0, units: &mut units, out: &mut out };
                let done = if wide { widest(split) } else { split.run::<Any>() };
                (done.is_ok(), out)
            };
            prop_assert_eq!(shingles(true), shingles(false));
        }
    }
}
