//! How many characters of a text are of which class: what several filters ask for.

use crate::text;

/// The characters of a text by class. The classes overlap.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CharCounts {
    /// All but white space.
    pub(super) visible: usize,
    pub(super) letters: usize,
    /// Marks on letters.
    pub(super) marks: usize,
    pub(super) upper: usize,
    /// Ideographs and kana that are letters.
    pub(super) ideographs: usize,
    pub(super) digits: usize,
    pub(super) punctuation: usize,
    pub(super) replacement: usize,
    pub(super) private_use: usize,
}

impl CharCounts {
    pub(super) fn of(text: &str) -> Self {
        // No byte of another character is ASCII, so ASCII can be counted first, many bytes at once.
        let mut n = Self {
            visible: text::n_bytes(text, |b| !matches!(b, b'\t'..=b'\r' | 0x1c..=b' ' | 0x80..)),
            letters: text::n_bytes(text, |b| b.is_ascii_alphabetic()),
            upper: text::n_bytes(text, |b| b.is_ascii_uppercase()),
            digits: text::n_bytes(text, |b| b.is_ascii_digit()),
            punctuation: text::n_bytes(text, |b| b.is_ascii_punctuation() || matches!(b, 0..=8 | 0xe..=0x1b | 0x7f)),
            ..Self::default()
        };
        if !text.is_ascii() {
            text.chars().filter(|c| !c.is_ascii()).for_each(|c| n.add(c));
        }
        n
    }

    fn add(&mut self, c: char) {
        if ('\u{4e00}'..='\u{9fff}').contains(&c) {
            // Most characters of a Chinese text.
            self.visible += 1;
            self.letters += 1;
            self.ideographs += 1;
            return;
        }
        if text::is_space(c) {
            return;
        }
        self.visible += 1;
        let is_letter = text::is_alpha(c);
        self.letters += usize::from(is_letter);
        self.ideographs += usize::from(is_letter && text::is_cjk(c));
        self.marks += usize::from(text::is_mark(c));
        self.upper += usize::from(text::is_upper(c));
        self.digits += usize::from(text::is_digit(c));
        self.punctuation += usize::from(text::is_punctuation(c));
        self.replacement += usize::from(c == char::REPLACEMENT_CHARACTER);
        self.private_use += usize::from(is_private_use(c));
    }
}

fn is_private_use(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_in_the_classes_that_text_gives_it() {
        for c in '\0'..='\u{1ffff}' {
            let n = |is: bool| usize::from(is && !text::is_space(c));
            let expected = CharCounts {
                visible: n(true),
                letters: n(text::is_alpha(c)),
                marks: n(text::is_mark(c)),
                upper: n(text::is_upper(c)),
                ideographs: n(text::is_alpha(c) && text::is_cjk(c)),
                digits: n(text::is_digit(c)),
                punctuation: n(text::is_punctuation(c)),
                replacement: n(c == '\u{fffd}'),
                private_use: n(is_private_use(c)),
            };
            assert_eq!(CharCounts::of(c.encode_utf8(&mut [0; 4])), expected, "{c:?}");
        }
    }
}
