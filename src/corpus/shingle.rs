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
//! A shingle is known by a 64-bit hash. Words are hashed once, and a shingle of words is the hash of their
//! hashes, so no shingle is ever written out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::text::{is_cjk, is_word_char};

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

/// Keeps shingles of characters apart from shingles of words.
const CHARS_SEED: u64 = 0x6368_6172;

impl Shingler {
    /// Appends the shingles of a text in [canonical](crate::doc::canonical) form, in the order of the text,
    /// repeats included.
    pub fn shingles(&self, canonical: &str, out: &mut Vec<u64>) {
        let text = lower(canonical);
        match self.unit {
            Unit::Words => self.words(&text, out),
            Unit::Chars => self.windows(&text, out),
        }
    }

    /// The shingles of a text as a set: sorted, each once. Appended to `set`, which is empty.
    pub fn set(&self, canonical: &str, set: &mut Vec<u64>) {
        self.shingles(canonical, set);
        set.sort_unstable();
        set.dedup();
    }

    fn words(&self, text: &str, out: &mut Vec<u64>) {
        // The hashes of the words, as bytes, so that a shingle is a slice of it.
        let mut hashes: Vec<u8> = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let (class, next) = class_at(text, at);
            let end = if class == Class::Between { next } else { run_end(text, next, class) };
            match class {
                Class::Between => {}
                Class::Word => hashes.extend_from_slice(&xxh3_64(&text.as_bytes()[at..end]).to_le_bytes()),
                Class::Cjk => self.windows(&text[at..end], out),
            }
            at = end;
        }
        let length = 8 * self.n;
        if hashes.len() >= length {
            let windows = (0..=hashes.len() - length).step_by(8);
            out.extend(windows.map(|from| xxh3_64(&hashes[from..from + length])));
        } else if !hashes.is_empty() {
            out.push(xxh3_64(&hashes));
        }
    }

    /// All windows of `n` characters; the whole if it is shorter; nothing of nothing.
    fn windows(&self, run: &str, out: &mut Vec<u64>) {
        let starts = run.char_indices().map(|(at, _)| at);
        let ends = starts.clone().skip(self.n).chain([run.len()]);
        let windows = starts.zip(ends).map(|(start, end)| &run.as_bytes()[start..end]);
        out.extend(windows.map(|window| xxh3_64_with_seed(window, CHARS_SEED)));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Cjk,
    Between,
}

/// Where the run of a class ends that goes on at `at`.
fn run_end(text: &str, mut at: usize, class: Class) -> usize {
    loop {
        if class == Class::Word {
            let ascii = text.as_bytes()[at..].iter().position(|&byte| !ASCII_WORD[usize::from(byte)]);
            at += ascii.unwrap_or(text.len() - at);
        }
        if at == text.len() {
            return at;
        }
        let (next_class, next) = class_at(text, at);
        if next_class != class {
            return at;
        }
        at = next;
    }
}

/// The class of the character at `at`, and where it ends.
fn class_at(text: &str, at: usize) -> (Class, usize) {
    let byte = text.as_bytes()[at];
    if byte < 0x80 {
        return (if ASCII_WORD[usize::from(byte)] { Class::Word } else { Class::Between }, at + 1);
    }
    let Some(c) = text[at..].chars().next() else { return (Class::Between, text.len()) };
    let class = if is_cjk(c) {
        Class::Cjk
    } else if is_word_char(c) {
        Class::Word
    } else {
        Class::Between
    };
    (class, at + c.len_utf8())
}

/// Whether a byte is an ASCII character that belongs to words.
const ASCII_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
};

/// The text in lower case, as Python's `str.lower` and Rust's `str::to_lowercase` have it.
fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    if text.contains('Σ') {
        // The one letter whose lower case depends on what stands around it.
        return text.to_lowercase();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let copied = if first.is_ascii() {
            rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len())
        } else {
            // U+3000 to U+9FFF, ideographs and kana among them, know no case.
            rest.as_bytes().chunks_exact(3).take_while(|chunk| (0xe3..=0xe9).contains(&chunk[0])).count() * 3
        };
        out.push_str(&rest[..copied]);
        rest = &rest[copied..];
        if copied == 0 {
            let mut chars = rest.chars();
            out.extend(chars.next().into_iter().flat_map(char::to_lowercase));
            rest = chars.as_str();
        }
    }
    // All ASCII at once.
    out.make_ascii_lowercase();
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

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
        Shingler::default().set(text, &mut set);
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
        assert_eq!(lower("中Aİ文"), "中ai\u{307}文");
    }

    #[test]
    fn a_word_is_not_a_run_of_ideographs() {
        let mut chars = Vec::new();
        Shingler { n: 5, unit: Unit::Chars }.shingles("abc", &mut chars);
        assert_ne!(set("abc"), chars);
    }

    #[test]
    fn characters_are_taken_with_what_stands_between() {
        let cut = |text: &str| {
            let mut out = Vec::new();
            Shingler { n: 3, unit: Unit::Chars }.shingles(text, &mut out);
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

        #[test]
        fn lower_case_is_the_standard_librarys(text in "[aAÉΣ中文カÅİẞ\u{a000}Ａ😀 ]{0,30}") {
            prop_assert_eq!(lower(&text), text.to_lowercase());
        }
    }
}
