//! How a text is cut into pieces before byte-pair encoding: no token reaches over the border of two pieces.
//!
//! Each family of models has published a regular expression for it. The commonest are walked by hand here, many times
//! faster than an engine that looks ahead; those that differ from them in their classes of characters are left to
//! `regex`.

use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A published rule for cutting a text into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// GPT-2, GPT-NeoX, r50k and p50k.
    Gpt2,
    /// GPT-3.5 and GPT-4: cl100k as tiktoken 0.14 has it, in which blanks at the end of a text are one piece.
    Cl100k,
    /// cl100k as it was published first: Llama 3, Phi 4, OLMo 2.
    Llama3,
    /// Qwen 2 to 3: as Llama 3, each digit alone.
    Qwen2,
    /// GPT-4o and gpt-oss.
    O200k,
    /// Mistral's Tekken: as o200k, each digit alone, and no English contractions.
    Tekken,
}

/// All patterns with the regular expressions that they are published as.
pub(super) const PUBLISHED: [(Pattern, &[&str]); 6] = [
    (
        Pattern::Gpt2,
        &[
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
        ],
    ),
    (
        Pattern::Cl100k,
        &[
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        ],
    ),
    (
        Pattern::Llama3,
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
        ],
    ),
    (
        Pattern::Qwen2,
        &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        Pattern::O200k,
        &[
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
    (
        Pattern::Tekken,
        &[
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
    ),
];

impl Pattern {
    /// The pattern that is published as this regular expression, read as Oniguruma reads it: there, `$` is the end of
    /// any line and `{1,3}+` a repetition, so that what tiktoken writes with them means something else.
    pub(super) fn published_as(expression: &str) -> Option<Self> {
        let differs = expression.contains('$') || expression.contains("++");
        PUBLISHED.iter().filter(|_| !differs).find(|(_, all)| all.contains(&expression)).map(|(pattern, _)| *pattern)
    }

    /// The pieces of a text, which cover it.
    pub fn pieces<'t>(self, text: &'t str) -> impl Iterator<Item = &'t str> + use<'t> {
        let rules = self.rules();
        let mut rest = text;
        std::iter::from_fn(move || {
            let end = rules.end(rest)?;
            let (piece, after) = rest.split_at(end);
            rest = after;
            Some(piece)
        })
    }

    fn rules(self) -> Rules {
        let llama3 = Rules {
            contractions: Contractions::AnyCase,
            letters: Letters::AfterAnyMark,
            digits: Digits::UpTo(3),
            after_marks: b"\r\n",
            lines: true,
            blanks_at_end: false,
        };
        match self {
            Self::Gpt2 => Rules {
                contractions: Contractions::LowerCase,
                letters: Letters::AfterBlank,
                digits: Digits::AfterBlank,
                after_marks: b"",
                lines: false,
                ..llama3
            },
            Self::Cl100k => Rules { blanks_at_end: true, ..llama3 },
            Self::Llama3 => llama3,
            Self::Qwen2 => Rules { digits: Digits::UpTo(1), ..llama3 },
            Self::O200k => {
                Rules { contractions: Contractions::Suffix, letters: Letters::ByCase, after_marks: b"\r\n/", ..llama3 }
            }
            Self::Tekken => Rules { contractions: Contractions::None, digits: Digits::UpTo(1), ..Self::O200k.rules() },
        }
    }
}

/// What the published expressions differ in. Every one of them takes, at each place, the first that fits of: a
/// contraction, a word, a number, other marks, blanks.
#[derive(Debug, Clone, Copy)]
struct Rules {
    contractions: Contractions,
    letters: Letters,
    digits: Digits,
    /// What may follow marks in their piece.
    after_marks: &'static [u8],
    /// Whether blanks up to their last line end are a piece.
    lines: bool,
    /// Whether blanks at the end of the text are one piece, line ends among them or not.
    blanks_at_end: bool,
}

/// `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Contractions {
    None,
    /// A piece of their own, in lower case.
    LowerCase,
    /// A piece of their own, in any case.
    AnyCase,
    /// The end of a word, in any case.
    Suffix,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Letters {
    /// With a blank before them.
    AfterBlank,
    /// With any character before them that is no letter, number or line end.
    AfterAnyMark,
    /// The same, marks of letters included, and cut where capitals follow small letters.
    ByCase,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Digits {
    /// All of them, with a blank before them.
    AfterBlank,
    /// So many.
    UpTo(usize),
}

impl Rules {
    /// Where the first piece ends; `None` for no text.
    fn end(&self, text: &str) -> Option<usize> {
        let first = Char::at(text, 0)?;
        if matches!(self.contractions, Contractions::LowerCase | Contractions::AnyCase)
            && let Some(end) = contraction(text, 0, self.contractions == Contractions::AnyCase)
        {
            return Some(end);
        }
        let second = Char::at(text, first.len);
        let is_blank = text.as_bytes()[0] == b' ';
        if let Some(end) = self.word(text, first, second) {
            return Some(end);
        }
        match self.digits {
            Digits::AfterBlank => {
                let from = if is_blank { 1 } else { 0 };
                let end = run(text, from, NUMBER);
                if end > from {
                    return Some(end);
                }
            }
            Digits::UpTo(most) => {
                if first.is(NUMBER) {
                    let more = (1..most).try_fold(first.len, |at, _| match Char::at(text, at) {
                        Some(c) if c.is(NUMBER) => Ok(at + c.len),
                        _ => Err(at),
                    });
                    return Some(more.unwrap_or_else(|at| at));
                }
            }
        }
        let from = if is_blank { 1 } else { 0 };
        let end = run_without(text, from, SPACE | LETTER | NUMBER);
        if end > from {
            let after = text.as_bytes()[end..].iter().take_while(|b| self.after_marks.contains(b)).count();
            return Some(end + after);
        }
        Some(self.blanks(text))
    }

    fn word(&self, text: &str, first: Char, second: Option<Char>) -> Option<usize> {
        let begins = match self.letters {
            Letters::AfterBlank => text.as_bytes()[0] == b' ',
            Letters::AfterAnyMark | Letters::ByCase => !first.is(LETTER | NUMBER | LINE_END),
        };
        if self.letters == Letters::ByCase {
            let before = begins.then_some(first.len);
            let small = || before.and_then(|from| small_word(text, from)).or_else(|| small_word(text, 0));
            let capital = || before.and_then(|from| capital_word(text, from)).or_else(|| capital_word(text, 0));
            let end = small().or_else(capital)?;
            let suffix = if self.contractions == Contractions::Suffix { contraction(text, end, true) } else { None };
            return Some(suffix.unwrap_or(end));
        }
        if first.is(LETTER) {
            return Some(run(text, first.len, LETTER));
        }
        let second = second.filter(|c| begins && c.is(LETTER))?;
        Some(run(text, first.len + second.len, LETTER))
    }

    /// Where the piece ends that begins with blanks.
    fn blanks(&self, text: &str) -> usize {
        let (mut end, mut last, mut line_end) = (0, 0, None);
        while let Some(c) = Char::at(text, end).filter(|c| c.is(SPACE)) {
            last = end;
            end += c.len;
            if c.is(LINE_END) {
                line_end = Some(end);
            }
        }
        let at_end = end == text.len();
        match line_end.filter(|_| self.lines) {
            Some(_) if at_end && self.blanks_at_end => end,
            Some(line_end) => line_end,
            // The last blank goes with what follows it.
            None if last > 0 && !at_end => last,
            None => end,
        }
    }
}

/// Where a word ends that has small letters, or letters without case, at its end.
fn small_word(text: &str, from: usize) -> Option<usize> {
    // Letters without case count as both. The last of them ends the word if nothing but capitals follows.
    let (mut at, mut last_of_both) = (from, None);
    while let Some(c) = Char::at(text, at).filter(|c| c.is(UPPER | OTHER_LETTER | MARK)) {
        at += c.len;
        if c.is(OTHER_LETTER | MARK) {
            last_of_both = Some(at);
        }
    }
    let end = run(text, at, LOWER | OTHER_LETTER | MARK);
    if end > at { Some(end) } else { last_of_both }
}

/// Where a word of capitals ends, with the small letters that follow.
fn capital_word(text: &str, from: usize) -> Option<usize> {
    let end = run(text, from, UPPER | OTHER_LETTER | MARK);
    (end > from).then(|| run(text, end, LOWER | OTHER_LETTER | MARK))
}

/// Where the contraction ends that begins at `at`, if one does.
fn contraction(text: &str, at: usize, any_case: bool) -> Option<usize> {
    let rest = text.as_bytes()[at..].strip_prefix(b"'")?;
    let fold = |b: u8| if any_case { b.to_ascii_lowercase() } else { b };
    match (fold(*rest.first()?), rest.get(1).map(|&b| fold(b))) {
        (b's' | b't' | b'm' | b'd', _) => Some(at + 2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(at + 3),
        // The long s is an s in another case.
        _ if any_case && text[at + 1..].starts_with('ſ') => Some(at + 1 + 'ſ'.len_utf8()),
        _ => None,
    }
}

/// Where the run of characters of these classes ends that begins at `at`.
fn run(text: &str, mut at: usize, classes: u8) -> usize {
    while let Some(c) = Char::at(text, at).filter(|c| c.is(classes)) {
        at += c.len;
    }
    at
}

/// Where the run of characters of none of these classes ends that begins at `at`.
fn run_without(text: &str, mut at: usize, classes: u8) -> usize {
    while let Some(c) = Char::at(text, at).filter(|c| !c.is(classes)) {
        at += c.len;
    }
    at
}

/// A character by what it is.
#[derive(Debug, Clone, Copy)]
struct Char {
    classes: u8,
    len: usize,
}

impl Char {
    fn at(text: &str, at: usize) -> Option<Self> {
        let byte = *text.as_bytes().get(at)?;
        if byte < 0x80 {
            return Some(Self { classes: ASCII[usize::from(byte)], len: 1 });
        }
        let c = text[at..].chars().next()?;
        // Most of what is not ASCII.
        let classes = if matches!(c, '\u{4e00}'..='\u{9fff}') { OTHER_LETTER } else { CLASSES[c as usize] };
        Some(Self { classes, len: c.len_utf8() })
    }

    fn is(self, classes: u8) -> bool {
        self.classes & classes != 0
    }
}

/// Lu and Lt.
const UPPER: u8 = 1;
/// Ll.
const LOWER: u8 = 2;
/// Lm and Lo.
const OTHER_LETTER: u8 = 4;
const LETTER: u8 = UPPER | LOWER | OTHER_LETTER;
/// M.
const MARK: u8 = 8;
/// N.
const NUMBER: u8 = 16;
/// White_Space.
const SPACE: u8 = 32;
/// Line feed and carriage return.
const LINE_END: u8 = 64;

const ASCII: [u8; 128] = {
    let mut classes = [0; 128];
    let mut b = 0;
    while b < 128 {
        classes[b] = match b as u8 {
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'0'..=b'9' => NUMBER,
            b'\r' | b'\n' => SPACE | LINE_END,
            b' ' | b'\t' | 0xb | 0xc => SPACE,
            _ => 0,
        };
        b += 1;
    }
    classes
};

/// The classes of every code point.
static CLASSES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut classes = vec![0u8; char::MAX as usize + 1];
    let sets = [
        (r"[\p{Lu}\p{Lt}]", UPPER),
        (r"\p{Ll}", LOWER),
        (r"[\p{Lm}\p{Lo}]", OTHER_LETTER),
        (r"\p{M}", MARK),
        (r"\p{N}", NUMBER),
        (r"\s", SPACE),
        (r"[\r\n]", LINE_END),
    ];
    for (set, class) in sets {
        let hir = regex_syntax::parse(set).expect("the sets above are valid");
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(set)) = hir.kind() else {
            unreachable!("the sets above are of more than one character");
        };
        for range in set.ranges() {
            for of_point in &mut classes[range.start() as usize..=range.end() as usize] {
                *of_point |= class;
            }
        }
    }
    classes
});

/// A rule that is no published one, but can be told to `regex` without changing what it means.
#[derive(Debug)]
pub(super) struct Expression {
    regex: Regex,
    /// Whether blanks before a character leave the last one of them to it: `\s+(?!\S)|\s+` at the end of the rule.
    leaves_blank: bool,
}

impl Expression {
    /// The rule of an expression in the syntax of Oniguruma, if it can be told to `regex`.
    pub(super) fn new(expression: &str) -> Option<Self> {
        let cut = expression.strip_suffix(r"|\s+(?!\S)|\s+");
        let plain = cut.unwrap_or(expression);
        if !means_the_same(plain) {
            return None;
        }
        // The group tells blanks that another part of the rule takes from those that the last part takes.
        let whole = if cut.is_some() { format!(r"(?:{plain})|(\s+)") } else { plain.to_owned() };
        let regex = Regex::new(&whole).ok().filter(|regex| !regex.is_match(""))?;
        Some(Self { regex, leaves_blank: cut.is_some() })
    }

    /// The characters of this text itself.
    pub(super) fn literal(text: &str) -> Option<Self> {
        let regex = Regex::new(&regex::escape(text)).ok().filter(|_| !text.is_empty())?;
        Some(Self { regex, leaves_blank: false })
    }

    /// Shows the matches and what lies between them.
    pub(super) fn pieces<'t>(&self, text: &'t str, mut visit: impl FnMut(&'t str)) {
        let mut done = 0;
        let mut groups = self.regex.capture_locations();
        while let Some(found) = self.regex.captures_read_at(&mut groups, text, done) {
            let (from, mut end) = (found.start(), found.end());
            if from > done {
                visit(&text[done..from]);
            }
            if self.leaves_blank && groups.get(1).is_some() && end < text.len() {
                let last = text[from..end].chars().next_back().map_or(0, char::len_utf8);
                end = if end - from > last { end - last } else { end };
            }
            visit(&text[from..end]);
            done = end;
        }
        if done < text.len() {
            visit(&text[done..]);
        }
    }
}

/// Whether an expression means the same to Oniguruma and to `regex`: classes of characters, repetitions of them, and
/// choices between these.
fn means_the_same(expression: &str) -> bool {
    let mut in_class = false;
    let mut before = ' ';
    let mut chars = expression.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let Some(escaped) = chars.next() else { return false };
                let known =
                    matches!(escaped, 'p' | 'P' | 's' | 'S' | 'r' | 'n' | 't') || escaped.is_ascii_punctuation();
                if !known {
                    return false;
                }
                before = 'x';
                continue;
            }
            // A class in a class, and the signs by which sets are cut with each other.
            '[' if in_class => return false,
            '&' | '-' | '~' if in_class && c == before => return false,
            ']' if before == '[' => return false,
            '[' => in_class = true,
            ']' => in_class = false,
            _ if in_class => {}
            '^' | '$' | '.' => return false,
            '(' if chars.peek() == Some(&'?') => {
                chars.next();
                if chars.next() != Some(':') {
                    return false;
                }
            }
            // Possessive, or lazy.
            '+' | '?' | '*' if matches!(before, '+' | '?' | '*' | '}') => return false,
            _ => {}
        }
        before = c;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: Pattern, text: &str, expected: &[&str]) {
        assert_eq!(pattern.pieces(text).collect::<Vec<_>>(), expected);
    }

    static ENGINES: LazyLock<Vec<(Pattern, fancy_regex::Regex)>> = LazyLock::new(|| {
        let engine = |expression: &&str| fancy_regex::Regex::new(expression).expect("published expressions are valid");
        PUBLISHED.iter().flat_map(|(pattern, all)| all.iter().map(|one| (*pattern, engine(one)))).collect()
    });

    #[test]
    fn a_blank_goes_with_the_word_after_it() {
        for (pattern, _) in PUBLISHED {
            check(pattern, "so it is", &["so", " it", " is"]);
            check(pattern, "so   it", &["so", "  ", " it"]);
            check(pattern, "so  ", &["so", "  "]);
            check(pattern, "", &[]);
        }
    }

    #[test]
    fn digits_are_cut_as_the_model_wants_them() {
        check(Pattern::Gpt2, "in 12345", &["in", " 12345"]);
        check(Pattern::Llama3, "in 12345", &["in", " ", "123", "45"]);
        check(Pattern::Qwen2, "in 12", &["in", " ", "1", "2"]);
    }

    #[test]
    fn contractions_are_english() {
        check(Pattern::Gpt2, "he'll HE'LL", &["he", "'ll", " HE", "'", "LL"]);
        check(Pattern::Llama3, "HE'LL", &["HE", "'LL"]);
        check(Pattern::O200k, "he'll go", &["he'll", " go"]);
        check(Pattern::Tekken, "he'll", &["he", "'ll"]);
    }

    #[test]
    fn line_ends_close_a_piece() {
        check(Pattern::Gpt2, "a \n b", &["a", " \n", " b"]);
        check(Pattern::Llama3, "a. \n\n  b", &["a", ".", " \n\n", " ", " b"]);
        check(Pattern::O200k, "a;\n//\nb", &["a", ";\n//\n", "b"]);
        check(Pattern::Llama3, "a\n  ", &["a", "\n", "  "]);
        check(Pattern::Cl100k, "a\n  ", &["a", "\n  "]);
    }

    #[test]
    fn words_are_cut_by_case() {
        check(Pattern::O200k, "getHTTPName", &["get", "HTTPName"]);
        check(Pattern::O200k, "(中文ABC", &["(中文", "ABC"]);
        check(Pattern::Llama3, "getHTTPName", &["getHTTPName"]);
    }

    #[test]
    fn rules_that_are_not_published_are_left_to_the_engine() {
        let own = r"[一-龥぀-ゟ゠-ヿ]+|[!-/:-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
        assert!(Pattern::published_as(own).is_none());
        let rule = Expression::new(own).expect("it can be told");
        let text = "中文: some  12 words \n\n   here, and\u{3000}\u{3000}there  ";
        let mut pieces = Vec::new();
        rule.pieces(text, |piece| pieces.push(piece));
        let mut expected = Vec::new();
        let mut done = 0;
        for found in fancy_regex::Regex::new(own).expect("valid").find_iter(text) {
            let found = found.expect("short");
            expected.extend((done < found.start()).then(|| &text[done..found.start()]));
            expected.push(found.as_str());
            done = found.end();
        }
        assert_eq!(pieces, expected);
    }

    #[test]
    fn what_engines_understand_differently_is_not_told() {
        for (pattern, expressions) in PUBLISHED {
            for expression in expressions {
                let is_known = Pattern::published_as(expression) == Some(pattern);
                assert_eq!(is_known, !expression.contains("++"), "{expression}");
            }
        }
        for expression in ["a++", "a?+", "^a", "a$", ".", r"\h", "(?i:a)", "(?=a)", "[a&&b]", "[a[b]]", "a*", "(", ""] {
            assert!(Expression::new(expression).is_none(), "{expression}");
        }
        for expression in ["a+", r"\p{N}{1,3}", r"[^\s\p{L}]", "(?:a|b)", r"\s+(?:a)|\s+(?!\S)|\s+"] {
            assert!(Expression::new(expression).is_some(), "{expression}");
        }
    }

    /// Characters of every class that a rule knows, and others.
    fn texts() -> impl Strategy<Value = String> {
        r"(?s)([ \t\r\n]{0,3}|[a-zA-Z]{0,3}|'(s|T|re|VE|ll|lL|d|ſ)|[0-9]{0,5}|[中文ʰªǅſßǆ\u{301}\u{e9}\u{d89}]|[.,;/!'#]{0,3}|[\u{a0}\u{3000}\u{2028}\u{85}½Ⅷ٣]|.){0,24}"
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn pieces_are_those_of_the_published_expressions(text in texts()) {
            for (pattern, engine) in &*ENGINES {
                let found = engine.find_iter(&text).map(|found| found.expect("no text is too long here").as_str());
                prop_assert_eq!(pattern.pieces(&text).collect::<Vec<_>>(), found.collect::<Vec<_>>(), "{:?}", pattern);
                prop_assert_eq!(pattern.pieces(&text).collect::<String>(), text.as_str());
            }
        }
    }

    #[test]
    fn giants_are_cut_in_one_walk() {
        let giants =
            ["A", "a", "中", " ", "\n", "1", "'", "A中", "\u{301}", " \n", "aB"].map(|part| part.repeat(1 << 18));
        for (pattern, _) in PUBLISHED {
            for giant in &giants {
                assert_eq!(pattern.pieces(giant).map(str::len).sum::<usize>(), giant.len());
            }
        }
    }
}
