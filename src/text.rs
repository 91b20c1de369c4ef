//! How a text is cut: characters, words, lines, and the classes of characters that published rules name.
//!
//! Everything is counted in code points. Where a published rule leans on Python's character tables
//! (`str.isalpha`, `str.isspace`, `str.splitlines`), the functions here give the same answers.

use std::sync::LazyLock;

/// The number of code points.
pub fn n_chars(text: &str) -> usize {
    // A byte that does not continue a character begins one.
    text.as_bytes().iter().filter(|&&b| (b as i8) >= -64).count()
}

/// Whether Python's `str.isalpha` holds for the character: general category L*.
/// Wider than no letter, narrower than `char::is_alphabetic`, which adds letter-like numbers and marks.
pub fn is_alpha(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphabetic() } else { CLASSES.letter.contains(c) }
}

/// Whether Python's `re` counts the character to `\w`: letters, digits and other numbers, underscore.
pub fn is_word_char(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { CLASSES.word.contains(c) }
}

/// Whether the character is a decimal digit of any script (general category Nd).
pub fn is_digit(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_digit() } else { CLASSES.digit.contains(c) }
}

/// Whether the character is white space to Python's `str.isspace` and `re`'s `\s`: Rust's `White_Space`
/// and the four information separators U+001C to U+001F.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Whether the character is a Han ideograph or kana, that is, written without spaces between words and
/// counted as a unit of its own. Hangul is written with spaces and is not in the class.
pub fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{3005}' | '\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FF9F}' | '\u{20000}'..='\u{2FA1F}')
}

/// The lines of a text as Python's `str.splitlines` cuts them: at `\n`, `\r`, `\r\n`, `\v`, `\f`,
/// U+001C to U+001E, U+0085, U+2028 and U+2029. No empty line follows a last line end.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((at, end)) = rest.char_indices().find(|&(_, c)| is_line_end(c)) else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..at];
        let after = &rest[at + end.len_utf8()..];
        rest = if end == '\r' { after.strip_prefix('\n').unwrap_or(after) } else { after };
        Some(line)
    })
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The word units of a text, in order, covering everything but white space:
///
/// - a run of letters, digits, marks and underscores, with single apostrophes, full stops, commas and
///   hyphens kept where both neighbours are letters or digits (`don't`, `3.14`, `well-kept`);
/// - each ideograph and kana alone, so that Chinese and Japanese need no dictionary;
/// - a run of one repeated other character (`...`, `###`, `!!`), or a single one.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_space);
        let first = rest.chars().next()?;
        let end = if is_cjk(first) {
            first.len_utf8()
        } else if is_inside_word(first) {
            word_end(rest)
        } else {
            rest.find(|c| c != first).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Where the word at the start of `text` ends.
fn word_end(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if is_inside_word(c) && !is_cjk(c) {
            continue;
        }
        let joins = matches!(c, '\'' | '\u{2019}' | '.' | ',' | '-')
            && at > 0
            && chars.peek().is_some_and(|&(_, next)| is_inside_word(next) && !is_cjk(next));
        if !joins {
            return at;
        }
    }
    text.len()
}

/// Letters, digits, underscore and the marks that belong to them.
fn is_inside_word(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || c == '_'
    } else {
        CLASSES.word.contains(c) || CLASSES.mark.contains(c)
    }
}

/// One bit for every code point.
struct CharSet(Vec<u64>);

impl CharSet {
    /// The set of a Unicode class written as `regex` writes it, for example `\p{L}`.
    fn of(class: &str) -> Self {
        let mut bits = vec![0u64; (char::MAX as usize + 1).div_ceil(64)];
        let hir = regex_syntax::parse(class).expect("the classes below are valid");
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = hir.kind() else {
            unreachable!("the classes below are Unicode classes of more than one character");
        };
        for range in class.ranges() {
            for point in range.start() as usize..=range.end() as usize {
                bits[point / 64] |= 1 << (point % 64);
            }
        }
        Self(bits)
    }

    fn contains(&self, c: char) -> bool {
        self.0[c as usize / 64] >> (c as usize % 64) & 1 == 1
    }
}

struct Classes {
    letter: CharSet,
    digit: CharSet,
    word: CharSet,
    mark: CharSet,
}

static CLASSES: LazyLock<Classes> = LazyLock::new(|| Classes {
    letter: CharSet::of(r"\p{L}"),
    digit: CharSet::of(r"\p{Nd}"),
    word: CharSet::of(r"[\p{L}\p{N}_]"),
    mark: CharSet::of(r"\p{M}"),
});

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_words(text: &str, expected: &[&str]) {
        assert_eq!(words(text).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_lines(text: &str, expected: &[&str]) {
        assert_eq!(lines(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn punctuation_stands_alone() {
        check_words("Plain words, here.", &["Plain", "words", ",", "here", "."]);
        check_words("(see [1])", &["(", "see", "[", "1", "]", ")"]);
    }

    #[test]
    fn inner_joiners_stay() {
        check_words("don't 3.14 well-kept it’s", &["don't", "3.14", "well-kept", "it’s"]);
        check_words("end. -start --", &["end", ".", "-", "start", "--"]);
    }

    #[test]
    fn repeats_of_one_mark_are_one_unit() {
        check_words("so... ### !?", &["so", "...", "###", "!", "?"]);
    }

    #[test]
    fn ideographs_and_kana_are_units() {
        check_words("中文abc字。", &["中", "文", "abc", "字", "。"]);
        check_words("한국어 말", &["한국어", "말"]);
    }

    #[test]
    fn marks_belong_to_their_letters() {
        check_words("हिन्दी cafe\u{301}", &["हिन्दी", "cafe\u{301}"]);
    }

    #[test]
    fn every_unicode_line_end_cuts() {
        check_lines("", &[]);
        check_lines("\n", &[""]);
        check_lines("a\nb\r\nc\rd\u{2028}e\u{85}f\n", &["a", "b", "c", "d", "e", "f"]);
        check_lines("a\n\nb", &["a", "", "b"]);
        check_lines("\r\n\r", &["", ""]);
    }

    #[test]
    fn alpha_is_category_l_only() {
        assert!(is_alpha('é') && is_alpha('中') && is_alpha('ª'));
        // Roman numeral two is a letter number, a Devanagari vowel sign a mark: alphabetic, not alpha.
        assert!(!is_alpha('Ⅱ') && 'Ⅱ'.is_alphabetic());
        assert!(!is_alpha('\u{93e}') && '\u{93e}'.is_alphabetic());
    }

    #[test]
    fn spaces_are_pythons() {
        assert!(is_space('\u{1c}') && is_space('\u{3000}') && is_space('\u{85}'));
        assert!(!is_space('\u{200b}') && !is_space('\u{180e}'));
    }

    #[test]
    fn characters_are_code_points() {
        assert_eq!(n_chars("aé中😀"), 4);
    }
}
