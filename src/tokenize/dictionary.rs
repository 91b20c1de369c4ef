//! Words of languages that are written without spaces, by the dictionaries of Unicode's ICU.

use std::sync::LazyLock;

use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};

use crate::text;

static SEGMENTER: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));

/// Appends the words of a text, punctuation included, without white space: Japanese and Chinese, Thai, Khmer, Lao and
/// Burmese by a dictionary each, everything else by Unicode's rules (UAX #29).
///
/// datatrove 0.10 has other segmenters for these languages (SudachiPy, PyThaiNLP, ...), whose words differ.
pub fn words<'t>(text: &'t str, out: &mut Vec<&'t str>) {
    let mut from = 0;
    for at in SEGMENTER.segment_str(text) {
        let word = text[from..at].trim_matches(text::is_space);
        if !word.is_empty() {
            out.push(word);
        }
        from = at;
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut words = Vec::new();
        super::words(text, &mut words);
        assert_eq!(words.join("|"), expected, "{text:?}");
    }

    #[test]
    fn words_without_spaces_are_found() {
        check("", "");
        check("ภาษาไทยง่าย", "ภาษา|ไทย|ง่าย");
        check("吾輩は猫である。", "吾輩|は|猫|で|ある|。");
        check("one, two\u{3000}3.14", "one|,|two|3.14");
    }
}
