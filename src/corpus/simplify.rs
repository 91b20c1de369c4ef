//! Cuts a text into shingles as datatrove 0.10 does before MinHash: `simplify_text` with its defaults, then words.
//!
//! The text is lower-cased; a number with at most one decimal part becomes `0`; punctuation and controls become
//! spaces, and runs of white space one; it is decomposed (NFD) and loses its nonspacing marks. Every `n` words in a row,
//! joined by single spaces, are a shingle, known by its xxHash64; fewer words than `n` give none.
//!
//! Words are cut as in English (`english.rs`). For other languages datatrove has other tokenizers (jieba for
//! Chinese), and with them other shingles.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh64::xxh64;

use super::english::words;
use crate::text::{is_digit, is_nonspacing_mark, is_punctuation, is_space};

/// What shingling needs on the way: kept from one text to the next, so that nothing is allocated for each.
#[derive(Debug, Clone, Default)]
pub struct Simplified {
    text: Simplifier,
    joined: String,
    words: Vec<Range<usize>>,
}

impl Simplified {
    /// Appends the hashes of the shingles of `n` words, repeats included.
    pub fn shingles(&mut self, text: &str, n: usize, out: &mut Vec<u64>) {
        let simplified = self.text.simplify(text);
        self.joined.clear();
        self.words.clear();
        words(simplified, |word| {
            let from = self.joined.len();
            self.joined.push_str(word);
            self.words.push(from..self.joined.len());
            self.joined.push(' ');
        });
        let bytes = self.joined.as_bytes();
        out.extend(self.words.windows(n).map(|words| xxh64(&bytes[words[0].start..words[n - 1].end], 0)));
    }
}

/// A text on its way.
#[derive(Debug, Clone, Default)]
struct Simplifier {
    out: String,
    /// Characters that are not decomposed yet: marks are put in order among those that follow each other.
    composed: String,
    /// Whether anything but white space came, and white space after it.
    begun: bool,
    space: bool,
}

impl Simplifier {
    /// The text as `simplify_text` leaves it.
    fn simplify(&mut self, text: &str) -> &str {
        self.out.clear();
        self.composed.clear();
        (self.begun, self.space) = (false, false);
        // Of all capitals, only a sigma's lower case depends on what stands around it.
        let lowered = text.contains('Σ').then(|| text.to_lowercase());
        self.push_all(lowered.as_deref().unwrap_or(text));
        self.decompose();
        // A space can be next to nothing but marks that went.
        self.out.trim_matches(' ')
    }

    fn push_all(&mut self, text: &str) {
        let mut at = 0;
        while let Some(&byte) = text.as_bytes().get(at) {
            match ASCII.get(usize::from(byte)) {
                Some(b' ') => {
                    self.space = self.begun;
                    at += 1;
                }
                Some(b'0') => {
                    self.push('0');
                    at = number_end(text, at);
                }
                Some(&letter) => {
                    self.push(letter.into());
                    at += 1;
                }
                None => at = self.push_beyond_ascii(text, at),
            }
        }
    }

    /// Takes the character at `at`, or the number that begins with it. Returns where it goes on.
    fn push_beyond_ascii(&mut self, text: &str, at: usize) -> usize {
        let c = text[at..].chars().next().expect("something is left");
        if is_ideograph(c) {
            self.push(c);
        } else if is_digit(c) {
            self.push('0');
            return number_end(text, at);
        } else if is_space(c) || is_punctuation(c) {
            self.space = self.begun;
        } else {
            self.push_space();
            self.composed.extend(c.to_lowercase());
        }
        at + c.len_utf8()
    }

    /// Takes a character that stays as it is and is no mark.
    fn push(&mut self, c: char) {
        self.push_space();
        if !self.composed.is_empty() {
            self.decompose();
        }
        self.out.push(c);
    }

    fn push_space(&mut self) {
        self.begun = true;
        if self.space {
            self.space = false;
            self.decompose();
            self.out.push(' ');
        }
    }

    fn decompose(&mut self) {
        self.out.extend(self.composed.nfd().filter(|&c| !is_nonspacing_mark(c)));
        self.composed.clear();
    }
}

/// What a byte of ASCII becomes: itself in lower case, `0` for a digit, a space for all else, which is punctuation,
/// a control or white space.
const ASCII: [u8; 128] = {
    let mut becomes = [b' '; 128];
    let mut byte = 0;
    while byte < 128 {
        let this = byte as u8;
        if this.is_ascii_digit() {
            becomes[byte] = b'0';
        } else if this.is_ascii_alphabetic() {
            becomes[byte] = this.to_ascii_lowercase();
        }
        byte += 1;
    }
    becomes
};

/// Whether the character is one of the many ideographs that neither case nor decomposition change.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}

/// Where the number that begins at `at` ends: `\p{Nd}+([.,،٫⎖⎗⎘]\p{Nd}+)?`.
fn number_end(text: &str, at: usize) -> usize {
    let whole = text[at..].trim_start_matches(is_digit);
    let decimals = whole.strip_prefix(['.', ',', '،', '٫', '⎖', '⎗', '⎘']);
    let rest = decimals.filter(|decimals| decimals.starts_with(is_digit)).unwrap_or(whole);
    text.len() - rest.trim_start_matches(is_digit).len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::affine::tests::{English, golden};

    fn simplify(text: &str) -> String {
        Simplifier::default().simplify(text).to_owned()
    }

    #[test]
    fn texts_are_simplified_as_by_datatrove() {
        let golden = golden();
        assert!(golden.simplified.len() >= 600 && golden.documents.len() >= 20);
        for [text, simplified] in &golden.simplified {
            assert_eq!(simplify(text), *simplified, "{text:?}");
        }
        for document in &golden.documents {
            assert_eq!(simplify(&document.text), document.simplified, "{}", document.name);
        }
    }

    #[track_caller]
    fn check_words(simplified: &str, expected: &[String]) {
        let mut found = Vec::new();
        words(simplified, |word| found.push(word));
        assert_eq!(found, expected);
    }

    #[test]
    fn english_words_are_those_of_datatrove() {
        let golden = golden();
        assert!(golden.english.len() >= 4);
        for English { text, words } in golden.english {
            check_words(&simplify(&text), &words);
        }
    }

    #[test]
    fn the_same_words_have_the_same_shingles_as_in_datatrove() {
        let mut simplified = Simplified::default();
        for document in golden().documents {
            check_words(&document.simplified, &document.words);
            for signature in document.signatures {
                let mut shingles = Vec::new();
                simplified.shingles(&document.text, signature.n, &mut shingles);
                assert_eq!(shingles, signature.shingles, "{}", document.name);
            }
        }
    }

    #[test]
    fn fewer_words_than_a_shingle_has_give_none() {
        let mut shingles = Vec::new();
        let mut simplified = Simplified::default();
        simplified.shingles("one two three four", 5, &mut shingles);
        simplified.shingles("", 1, &mut shingles);
        simplified.shingles("— !", 1, &mut shingles);
        assert!(shingles.is_empty());
        simplified.shingles("One, two: three — FOUR 5.5", 5, &mut shingles);
        assert_eq!(shingles, [xxh64(b"one two three four 0", 0)]);
    }
}
