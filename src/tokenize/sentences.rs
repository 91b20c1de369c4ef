//! How many sentences there are: the rule of spaCy 3.8's sentencizer (`pipeline/sentencizer.pyx`).

use super::chars::{PUNCTUATION, TERMINAL, classes_of};
use super::gap;
use super::rules::has_white_space_word;
use crate::text::offset;

/// The number of sentences, at least 1. A sentence ends at a word that is a single mark such as `.`, `?` or `。`, and
/// the next begins at the first word after it that is no such mark and not all punctuation.
///
/// `words` are those of `text`. White space other than one blank between words is a word to the rule, so it begins a
/// sentence too, even if it is the last thing in the text.
pub(super) fn n_sentences(text: &str, words: &[&str]) -> usize {
    let mut n = 1;
    let mut ended = false;
    let mut last = "";
    for &word in words {
        let mut chars = word.chars();
        let Some(first) = chars.next() else { continue };
        if first.is_ascii_alphanumeric() {
            n += usize::from(ended);
            ended = false;
        } else {
            let is_terminal = classes_of(first) & TERMINAL != 0 && chars.next().is_none();
            let begins = || {
                has_white_space_word(gap(text, last, word))
                    || !is_terminal && word.chars().any(|c| classes_of(c) & PUNCTUATION == 0)
            };
            if ended && begins() {
                n += 1;
                ended = false;
            }
            ended |= is_terminal;
        }
        last = word;
    }
    if ended && has_white_space_word(&text[offset(text, last) + last.len()..]) { n + 1 } else { n }
}
