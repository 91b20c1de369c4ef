//! How a text is cut: characters, words, lines, and the classes of characters that published rules name.
//!
//! Everything is counted in code points. Where a published rule leans on Python's character tables
//! (`str.isalpha`, `str.isspace`, `str.splitlines`), the functions here give the same answers.

use std::sync::LazyLock;

use crate::vector::{BLOCK, Kernel, Width, bytes_at, widest};

/// The number of code points.
pub fn n_chars(text: &str) -> usize {
    n_bytes(text, begins_char)
}

/// Whether a byte of a text begins a character, and does not continue one.
pub fn begins_char(byte: u8) -> bool {
    byte.cast_signed() >= -64
}

/// Where in a text a part of it begins.
pub fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// The number of bytes for which `is` holds.
#[inline(always)]
pub fn n_bytes(text: &str, is: impl Fn(u8) -> bool) -> usize {
    // A sum that fits a byte lets the compiler look at many bytes at once.
    let sum = |bytes: &[u8]| usize::from(bytes.iter().map(|&b| u8::from(is(b))).sum::<u8>());
    text.as_bytes().chunks(255).map(sum).sum()
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

/// Whether the character is one of the 129 punctuation marks and controls that datatrove 0.9 and 0.10 name
/// `PUNCTUATION`: all of ASCII's, the commoner ones of Chinese and of typography, and every control but tab
/// and line feed. The list is kept as published, the full-width digit one and the missing `‘` included.
pub fn is_punctuation(c: char) -> bool {
    CLASSES.punctuation.contains(c)
}

/// Whether the character is one of the 159 marks that end a sentence in some script, as datatrove 0.9 and
/// 0.10 list them (`TERMINAL_PUNCTUATION`). No quotes, no closing brackets, no `…`.
pub fn is_terminal(c: char) -> bool {
    if c.is_ascii() { matches!(c, '.' | '!' | '?') } else { CLASSES.terminal.contains(c) }
}

/// Whether the character is punctuation to Unicode (general category P*): no symbols, such as `$` or `+`.
pub fn is_any_punctuation(c: char) -> bool {
    CLASSES.category_p.contains(c)
}

/// Whether the character is upper or title case (general categories Lu and Lt). Cherokee is taken for a script
/// without case: Unicode counts the letters it is written in as upper case.
pub fn is_upper(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_uppercase() } else { CLASSES.upper.contains(c) }
}

/// Whether the character is a mark that belongs to the letter before it (general category M*).
pub fn is_mark(c: char) -> bool {
    !c.is_ascii() && CLASSES.mark.contains(c)
}

/// Whether the character is a mark that takes no room of its own, such as an accent (general category Mn).
pub fn is_nonspacing_mark(c: char) -> bool {
    !c.is_ascii() && CLASSES.nonspacing_mark.contains(c)
}

/// Whether the character is a Han ideograph or kana, that is, written without spaces between words and
/// counted as a unit of its own. Hangul is written with spaces and is not in the class.
pub fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{3005}' | '\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FF9F}' | '\u{20000}'..='\u{2FA1F}')
}

/// How much of a text is written without words of letters, and how much with letters beyond ASCII: the numbers that
/// tokens are estimated from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scripts {
    /// Bytes of ASCII.
    pub ascii: usize,
    /// Han ideographs, kana and Hangul syllables.
    pub cjk: usize,
    /// Bytes of all other characters.
    pub other_bytes: usize,
}

/// Counts [`Scripts`], a block of bytes at a time: every document of a run comes through here.
pub fn scripts(text: &str) -> Scripts {
    widest(Count(text))
}

struct Count<'t>(&'t str);

impl Kernel for Count<'_> {
    type Output = Scripts;

    #[inline(always)]
    fn run<W: Width>(self) -> Scripts {
        let text = self.0;
        let bytes = text.as_bytes();
        let ascii = n_bytes(text, |byte| byte < 0x80);
        let (mut threes, mut fours) = (0, 0);
        if ascii < bytes.len() {
            let mut padded = [0; BLOCK + 3];
            for at in (0..bytes.len()).step_by(BLOCK) {
                let block = bytes_at(bytes, at, &mut padded);
                if block[..BLOCK].iter().fold(0, |all, byte| all | byte) >= 0x80 {
                    let (three, four) = cjk_in(block);
                    threes += usize::from(three);
                    fours += usize::from(four);
                }
            }
        }
        Scripts { ascii, cjk: threes + fours, other_bytes: bytes.len() - ascii - 3 * threes - 4 * fours }
    }
}

/// The characters of three and of four bytes that begin in a block and are Han ideographs, kana or Hangul syllables.
///
/// Comparisons of UTF-8 without a branch, so that it is done with the vector instructions that every processor has.
#[inline(always)]
fn cjk_in(block: &[u8; BLOCK + 3]) -> (u8, u8) {
    let (mut threes, mut fours) = (0, 0);
    for i in 0..BLOCK {
        let (a, b, c, d) = (block[i], block[i + 1], block[i + 2], block[i + 3]);
        // U+3005, U+3007, U+3040 to U+30FF, U+31F0 to U+31FF, U+3400 to U+3FFF.
        let marks = (b == 0x80) & ((c == 0x85) | (c == 0x87));
        let kana = (b.wrapping_sub(0x81) < 3) | ((b == 0x87) & (c >= 0xb0));
        let of_e3 = (a == 0xe3) & (marks | kana | (b >= 0x90));
        // U+4000 to U+9FFF without the hexagrams, U+4DC0 to U+4DFF.
        let of_e4_to_e9 = (a.wrapping_sub(0xe4) < 6) & !((a == 0xe4) & (b == 0xb7));
        // U+AC00 to U+D7AF.
        let last = (a == 0xed) & ((b < 0x9e) | ((b == 0x9e) & (c <= 0xaf)));
        let hangul = ((a == 0xea) & (b >= 0xb0)) | (a == 0xeb) | (a == 0xec) | last;
        // U+F900 to U+FAFF, U+FF66 to U+FF9F.
        let narrow = ((b == 0xbd) & (c >= 0xa6)) | ((b == 0xbe) & (c <= 0x9f));
        let of_ef = (a == 0xef) & ((b.wrapping_sub(0xa4) < 8) | narrow);
        threes += u8::from(of_e3 | of_e4_to_e9 | hangul | of_ef);
        // U+20000 to U+2FA1F.
        let end = (b == 0xaf) & ((c < 0xa8) | ((c == 0xa8) & (d <= 0x9f)));
        fours += u8::from((a == 0xf0) & ((b.wrapping_sub(0xa0) < 15) | end));
    }
    (threes, fours)
}

/// The lines of a text as Python's `str.splitlines` cuts them: at `\n`, `\r`, `\r\n`, `\v`, `\f`,
/// U+001C to U+001E, U+0085, U+2028 and U+2029. No empty line follows a last line end.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((at, end)) = find_line_end(rest) else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..at];
        let after = &rest[at + end.len_utf8()..];
        rest = if end == '\r' { after.strip_prefix('\n').unwrap_or(after) } else { after };
        Some(line)
    })
}

fn find_line_end(text: &str) -> Option<(usize, char)> {
    let mut from = 0;
    loop {
        let at = from + find_like_line_end(&text.as_bytes()[from..])?;
        let c = text[at..].chars().next()?;
        if is_line_end(c) {
            return Some((at, c));
        }
        from = at + c.len_utf8();
    }
}

/// Where the first byte is that a line end begins with, or nearly so: a control character, or one of two others.
fn find_like_line_end(bytes: &[u8]) -> Option<usize> {
    let is_like = |b: &u8| matches!(b, 0..0x20 | 0xc2 | 0xe2);
    let mut at = 0;
    // Eight bytes at a time; the two others differ in one bit.
    while let Some(&eight) = bytes[at..].first_chunk() {
        let eight = u64::from_le_bytes(eight);
        let is_control = !((eight & !HIGH) + 0x60 * EACH) & !eight & HIGH;
        let differs = (eight | (0x20 * EACH)) ^ (0xe2 * EACH);
        let found = is_control | (!(((differs & !HIGH) + 0x7f * EACH) | differs) & HIGH);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes[at..].iter().position(is_like).map(|n| at + n)
}

/// A byte of 1, and one of its highest bit alone, eight times.
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EACH;

/// Whether [`lines`] cuts at the character.
pub fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The word units of a text, in order, covering everything but white space:
///
/// - a run of letters, digits, marks and underscores, with single apostrophes, full stops, commas and
///   hyphens kept where both neighbours are letters or digits (`don't`, `3.14`, `well-kept`);
/// - each ideograph and kana alone, so that Chinese and Japanese need no dictionary;
/// - a run of one repeated other character (`...`, `###`, `!!`), or a single one.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let begin = at;
            match FIRST_BYTES[usize::from(*text.as_bytes().get(begin)?)] {
                FirstByte::Space => {
                    at += 1;
                    continue;
                }
                FirstByte::Ideograph => at += 3,
                FirstByte::Han if text.as_bytes()[begin + 1] >= 0xb8 => at += 3,
                FirstByte::Word => at = word_end(text, begin),
                FirstByte::Mark => at = run_end(text, begin, 1),
                FirstByte::Han | FirstByte::Other => {
                    let c = text[begin..].chars().next()?;
                    at += c.len_utf8();
                    if is_space(c) {
                        continue;
                    }
                    if !is_cjk(c) {
                        at = if is_inside_word(c) { word_end(text, begin) } else { run_end(text, begin, at - begin) };
                    }
                }
            }
            return Some(&text[begin..at]);
        }
    })
}

/// Where the run of one character of `len` bytes that begins here ends.
#[inline]
fn run_end(text: &str, begin: usize, len: usize) -> usize {
    let (first, rest) = text.as_bytes()[begin..].split_at(len);
    begin + len + len * rest.chunks_exact(len).take_while(|&next| next == first).count()
}

/// Where the word that begins here ends.
#[inline]
fn word_end(text: &str, begin: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = begin;
    loop {
        at += n_ascii_word(&bytes[at..]);
        // One blank between words is the rule.
        let (Some(&b), next) = (bytes.get(at), bytes.get(at + 1)) else { return at };
        if matches!(b, b' ' | b'\n') {
            return at;
        }
        match (FIRST_BYTES[usize::from(b)], next.map_or(FirstByte::Space, |&next| FIRST_BYTES[usize::from(next)])) {
            (FirstByte::Word, _) => {}
            (FirstByte::Space | FirstByte::Ideograph, _) => return at,
            (FirstByte::Mark, FirstByte::Space | FirstByte::Mark | FirstByte::Ideograph) => return at,
            (FirstByte::Mark, _) if !matches!(b, b'\'' | b'.' | b',' | b'-') => return at,
            (FirstByte::Mark, FirstByte::Word) => at += 1,
            _ => match wide_word_end(text, begin, at) {
                0 => return at,
                n => at += n,
            },
        }
    }
}

/// The bytes of the character with which a word that began at `begin` goes on here; 0 if it does not.
fn wide_word_end(text: &str, begin: usize, at: usize) -> usize {
    let mut chars = text[at..].chars();
    let Some(c) = chars.next() else { return 0 };
    let joins = |next| at > begin && matches!(c, '\'' | '\u{2019}' | '.' | ',' | '-') && continues_word(next);
    if continues_word(Some(c)) || joins(chars.next()) { c.len_utf8() } else { 0 }
}

/// Whether a word that has begun goes on with this character.
fn continues_word(c: Option<char>) -> bool {
    c.is_some_and(|c| is_inside_word(c) && !is_cjk(c))
}

/// How many ASCII letters, digits and underscores there are at the start.
#[inline]
fn n_ascii_word(bytes: &[u8]) -> usize {
    // Whether each byte, none of which is beyond ASCII, is one of a range, in its highest bit.
    let is_in = |bytes: u64, from: u8, to: u8| {
        (bytes + u64::from(0x80 - from) * EACH) & !(bytes + u64::from(0x7f - to) * EACH) & HIGH
    };
    let mut n = 0;
    // Eight bytes at a time, as there is a branch for each time only.
    while let Some(&eight) = bytes[n..].first_chunk() {
        let eight = u64::from_le_bytes(eight);
        let ascii = eight & !HIGH;
        let is_word = is_in(ascii | (0x20 * EACH), b'a', b'z') | is_in(ascii, b'0', b'9') | is_in(ascii, b'_', b'_');
        let other = !(is_word & !eight) & HIGH;
        if other != 0 {
            return n + other.trailing_zeros() as usize / 8;
        }
        n += 8;
    }
    n + bytes[n..].iter().take_while(|&&b| FIRST_BYTES[usize::from(b)] == FirstByte::Word).count()
}

/// What the first byte of a character tells of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstByte {
    /// An ASCII letter, digit or underscore.
    Word,
    /// White space of ASCII.
    Space,
    /// Any other ASCII character.
    Mark,
    /// An ideograph, of three bytes.
    Ideograph,
    /// The same, if the second byte is great enough.
    Han,
    /// Any other character.
    Other,
}

const FIRST_BYTES: [FirstByte; 256] = {
    let mut all = [FirstByte::Other; 256];
    let mut b = 0;
    while b < 256 {
        all[b] = match b as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => FirstByte::Word,
            b'\t'..=b'\r' | 0x1c..=b' ' => FirstByte::Space,
            0..0x80 => FirstByte::Mark,
            // U+5000 to U+9FFF.
            0xe5..=0xe9 => FirstByte::Ideograph,
            // U+4000 to U+4FFF, of which those from U+4E00 on are.
            0xe4 => FirstByte::Han,
            _ => FirstByte::Other,
        };
        b += 1;
    }
    all
};

/// Letters, digits, underscore and the marks that belong to them.
fn is_inside_word(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { CLASSES.inside_word.contains(c) }
}

/// The number of sentences, at least 1. A sentence ends at a unit (see [`words`]) of [terminal
/// marks](is_terminal), such as `.`, `?!` or `。`, and the next begins at the first unit after it that is
/// neither terminal nor punctuation, so that closing quotes and brackets stay with what they close.
///
/// This is the rule of spaCy's sentencizer on this project's units. As there, a run of full stops is an
/// ellipsis and ends nothing, and abbreviations are not known.
pub fn n_sentences(text: &str) -> usize {
    n_sentences_of(words(text))
}

/// [`n_sentences`] of a text by its units.
pub fn n_sentences_of<'t>(words: impl Iterator<Item = &'t str>) -> usize {
    let mut n = 1;
    let mut ended = false;
    for word in words {
        if word.chars().all(is_terminal) {
            ended |= !word.starts_with("..");
        } else if ended && !word.chars().all(is_any_punctuation) {
            n += 1;
            ended = false;
        }
    }
    n
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
    inside_word: CharSet,
    mark: CharSet,
    nonspacing_mark: CharSet,
    upper: CharSet,
    category_p: CharSet,
    punctuation: CharSet,
    terminal: CharSet,
}

static CLASSES: LazyLock<Classes> = LazyLock::new(|| Classes {
    letter: CharSet::of(r"\p{L}"),
    digit: CharSet::of(r"\p{Nd}"),
    word: CharSet::of(r"[\p{L}\p{N}_]"),
    inside_word: CharSet::of(r"[\p{L}\p{N}_\p{M}]"),
    mark: CharSet::of(r"\p{M}"),
    nonspacing_mark: CharSet::of(r"\p{Mn}"),
    upper: CharSet::of(r"[[\p{Lu}\p{Lt}]--[\u{13a0}-\u{13f5}]]"),
    category_p: CharSet::of(r"\p{P}"),
    punctuation: CharSet::of(PUNCTUATION),
    terminal: CharSet::of(TERMINAL),
});

const PUNCTUATION: &str = r"(?x)[
        \x{0}-\x{8}\x{B}-\x{1F}\x{21}-\x{2F}\x{3A}-\x{40}\x{5B}-\x{60}\x{7B}-\x{9F}\x{AB}\x{B4}\x{BB}
        \x{2013}\x{2014}\x{2019}\x{201C}-\x{201E}\x{2026}\x{2236}\x{2501}\x{25BA}\x{3001}\x{3002}
        \x{3008}-\x{300D}\x{3010}\x{3011}\x{FF01}\x{FF05}\x{FF08}\x{FF09}\x{FF0C}\x{FF0E}\x{FF11}
        \x{FF1A}\x{FF1B}\x{FF1F}\x{FF5E}
    ]";

const TERMINAL: &str = r"(?x)[
        \x{21}\x{2E}\x{3F}\x{589}\x{61D}-\x{61F}\x{6D4}\x{700}-\x{702}\x{7F9}\x{837}\x{839}\x{83D}\x{83E}
        \x{964}\x{965}\x{104A}\x{104B}\x{1362}\x{1367}\x{1368}\x{166E}\x{1735}\x{1736}\x{17D4}-\x{17D6}
        \x{17D9}\x{17DA}\x{1803}\x{1809}\x{1944}\x{1945}\x{1AA8}-\x{1AAB}\x{1B5A}\x{1B5B}\x{1B5E}\x{1B5F}
        \x{1B7D}\x{1B7E}\x{1C3B}\x{1C3C}\x{1C7E}\x{1C7F}\x{203C}\x{203D}\x{2047}-\x{2049}\x{2E2E}\x{2E3C}
        \x{2E53}\x{2E54}\x{3002}\x{A4FF}\x{A60E}\x{A60F}\x{A6F3}\x{A6F7}\x{A876}\x{A877}\x{A8CE}\x{A8CF}\x{A92F}
        \x{A9C8}\x{A9C9}\x{AA5D}-\x{AA5F}\x{AAF0}\x{AAF1}\x{ABEB}\x{FE52}\x{FE56}\x{FE57}\x{FF01}\x{FF0E}
        \x{FF1F}\x{FF61}\x{10A56}\x{10A57}\x{10F55}-\x{10F59}\x{10F86}-\x{10F89}\x{11047}\x{11048}
        \x{110BE}-\x{110C1}\x{11141}-\x{11143}\x{111C5}\x{111C6}\x{111CD}\x{111DE}\x{111DF}\x{11238}\x{11239}
        \x{1123B}\x{1123C}\x{112A9}\x{1144B}\x{1144C}\x{115C2}\x{115C3}\x{115C9}-\x{115D7}\x{11641}\x{11642}
        \x{1173C}-\x{1173E}\x{11944}\x{11946}\x{11A42}\x{11A43}\x{11A9B}\x{11A9C}\x{11C41}\x{11C42}
        \x{11EF7}\x{11EF8}\x{11F43}\x{11F44}\x{16A6E}\x{16A6F}\x{16AF5}\x{16B37}\x{16B38}\x{16B44}\x{16E98}
        \x{1BC9F}\x{1DA88}
    ]";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Any;

    #[track_caller]
    fn check_words(text: &str, expected: &[&str]) {
        assert_eq!(words(text).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_lines(text: &str, expected: &[&str]) {
        assert_eq!(lines(text).collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_scripts(text: &str) {
        let mut expected = Scripts::default();
        for c in text.chars() {
            match c {
                c if c.is_ascii() => expected.ascii += 1,
                c if is_cjk(c) || ('\u{ac00}'..='\u{d7af}').contains(&c) => expected.cjk += 1,
                c => expected.other_bytes += c.len_utf8(),
            }
        }
        assert_eq!(scripts(text), expected, "{:?}", text.chars().take(3).collect::<String>());
    }

    #[test]
    fn scripts_are_those_of_the_characters() {
        for c in '\0'..=char::MAX {
            check_scripts(c.encode_utf8(&mut [0; 4]));
        }
        let all: String = ('\0'..=char::MAX).collect();
        check_scripts(&all);
        // Wherever a block begins.
        (0..=70).for_each(|n| check_scripts(&format!("{}汉字😀𠀀한 é{}", "x".repeat(n), "の".repeat(40))));
    }

    #[test]
    fn wider_vectors_change_nothing() {
        let all: String = ('\0'..=char::MAX).collect();
        for part in [&all, "", "plain words", "汉字 and the like, あ한𠀀"] {
            assert_eq!(scripts(part), Count(part).run::<Any>());
        }
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
    fn published_sets_are_whole() {
        let count = |is: fn(char) -> bool| ('\0'..=char::MAX).filter(|&c| is(c)).count();
        assert_eq!(count(is_punctuation), 129);
        assert_eq!(count(is_terminal), 159);
        assert!(('!'..='~').filter(char::is_ascii_punctuation).all(is_punctuation));
        assert!(!('\0'..=char::MAX).any(|c| is_cjk(c) && (is_punctuation(c) || is_terminal(c))));
        // As published, odd or not.
        assert!(is_punctuation('１') && is_punctuation('\r') && is_punctuation('\u{85}'));
        assert!(!is_punctuation('\t') && !is_punctuation('\n') && !is_punctuation('‘') && !is_punctuation('·'));
        assert!(is_terminal('。') && is_terminal('．') && is_terminal('।'));
        assert!(!is_terminal('…') && !is_terminal('；') && !is_terminal('”'));
    }

    #[track_caller]
    fn check_sentences(text: &str, expected: usize) {
        assert_eq!(n_sentences(text), expected, "{text:?}");
    }

    #[test]
    fn every_text_has_a_sentence() {
        check_sentences("", 1);
        check_sentences("no mark at all", 1);
        check_sentences("One.", 1);
        check_sentences("?!", 1);
    }

    #[test]
    fn a_sentence_begins_after_an_end() {
        check_sentences("One. Two! Three? four", 4);
        check_sentences("What?! No. ... And so", 3);
        check_sentences("他来了。我走了！好？", 3);
        check_sentences("他说：“好。”我走了。", 2);
        check_sentences("It is 3.14 here. (Or so.) Yes", 3);
    }

    #[test]
    fn an_ellipsis_ends_nothing() {
        check_sentences("so... it goes", 1);
        check_sentences("so… it goes", 1);
    }

    #[test]
    fn characters_are_code_points() {
        assert_eq!(n_chars("aé中😀"), 4);
        assert_eq!(n_chars(&"é中".repeat(1000)), 2000);
    }
}
