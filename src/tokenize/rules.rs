//! How a text is cut into words: the rules that spaCy 3.8 has for most languages.
//!
//! A run without white space is cut in this order (`tokenizer.pyx`, `lang/punctuation.py`). If it is a special case,
//! it is cut as that says. Otherwise one prefix and one suffix are taken off it, and so on, until what is left is a
//! special case or has neither. What is left then is an address, or is cut at its infixes. In the end, words side by
//! side that are what the rules make of a special case are replaced by its pieces.
//!
//! Time is linear in the text: what is looked at to place one cut is bounded, and what is not is looked at once.

use super::chars::{ALPHA, BEFORE_STOP, CURRENCY, Classes, INFIX, LOWER, PREFIX, QUOTE, SUFFIX, UPPER, classes_of};
use super::gap;
use super::special::{Special, Specials};
use super::url::is_url;
use crate::text::{is_space, offset};

/// The rules of a language.
pub(super) struct Rules {
    specials: Specials,
    /// Whether a dash between a digit and a letter is an infix, as one between letters is.
    dash_after_digit: bool,
}

impl Rules {
    /// The rules with these special cases, each given by its pieces.
    pub(super) fn new(specials: &[Vec<String>], dash_after_digit: bool) -> Self {
        let bare = Self { specials: Specials::new(Vec::new()), dash_after_digit };
        let special = |pieces: &Vec<String>| {
            let text = pieces.concat();
            let mut by_rules = Vec::new();
            bare.words(&text, &mut by_rules);
            Special::new(pieces, &by_rules)
        };
        Self { specials: Specials::new(specials.iter().map(special).collect()), dash_after_digit }
    }

    /// Appends the words of a text to `out`.
    pub(super) fn words<'t>(&self, text: &'t str, out: &mut Vec<&'t str>) {
        let from = out.len();
        let mut cut = Cut { rules: self, text, out, suffixes: Vec::new(), joins: Vec::new() };
        cut.runs();
        let joins = cut.joins;
        if !joins.is_empty() {
            let by_rules = out.split_off(from);
            self.join(text, &by_rules, from, &joins, out);
        }
    }

    /// Appends the words with special cases in place of what the rules have made of them. In `joins` the words are
    /// counted from `from`.
    ///
    /// A case is passed over if its first or last word is also part of one of more words, or of one of as many that
    /// begins earlier. In this a blank between words does not count, though a case with a blank in it is none.
    fn join<'t>(&self, text: &'t str, words: &[&'t str], from: usize, joins: &[Join<'_>], out: &mut Vec<&'t str>) {
        let mut done = 0;
        for join in joins {
            let (begin, end) = (join.begin - from, join.end - from);
            if self.is_covered(text, words, begin, end) {
                continue;
            }
            out.extend(&words[done..begin]);
            let mut at = offset(text, words[begin]);
            for piece in join.case.pieces() {
                out.push(&text[at..at + piece]);
                at += piece;
            }
            done = end;
        }
        out.extend(&words[done..]);
    }

    /// Whether the first or the last of the words `begin..end` is part of a special case that goes first.
    fn is_covered(&self, text: &str, words: &[&str], begin: usize, end: usize) -> bool {
        let most = self.specials.most_words();
        let mut case = String::new();
        for from in (begin + 1).saturating_sub(most)..end {
            case.clear();
            for to in from + 1..=words.len().min(from + most) {
                if to > from + 1 && has_white_space_word(gap(text, words[to - 2], words[to - 1])) {
                    break;
                }
                case.push_str(words[to - 1]);
                if case.len() > self.specials.longest() {
                    break;
                }
                let covers = from <= begin && begin < to || from < end && end <= to;
                let goes_first = to - from > end - begin || to - from == end - begin && from < begin;
                let is_case = |found: &Special| found.is_made_of(&words[from..to]);
                if covers && goes_first && self.specials.find(case.as_bytes()).is_some_and(is_case) {
                    return true;
                }
            }
        }
        false
    }
}

/// Whether the white space between two words holds a word of white space: all but one blank does.
pub(super) fn has_white_space_word(gap: &str) -> bool {
    !matches!(gap, "" | " ")
}

/// The words `begin..end`, which are what the rules make of a special case.
struct Join<'r> {
    begin: usize,
    end: usize,
    case: &'r Special,
}

/// A text that is being cut.
struct Cut<'r, 't, 'o> {
    rules: &'r Rules,
    text: &'t str,
    out: &'o mut Vec<&'t str>,
    /// Where the suffixes of the run begin, the last one first.
    suffixes: Vec<usize>,
    joins: Vec<Join<'r>>,
}

impl<'r, 't> Cut<'r, 't, '_> {
    /// Cuts all runs without white space.
    fn runs(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        loop {
            at = self.skip_space(at);
            if at == bytes.len() {
                return;
            }
            let begin = at;
            at += n_letters(&bytes[at..]);
            match bytes.get(at) {
                None | Some(b' ' | b'\n') => match self.find(begin, at) {
                    Some(case) => self.push_case(begin, case),
                    None => self.push(begin, at),
                },
                Some(_) => {
                    let letters = at;
                    let kinds;
                    (at, kinds) = self.run_end(letters);
                    self.run(begin, letters, at, kinds);
                }
            }
        }
    }

    /// Where the white space that begins here ends.
    fn skip_space(&self, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(&b) = bytes.get(at) {
            match KINDS[usize::from(b)] {
                SPACE => at += 1,
                MAYBE_SPACE => match self.space_at(at) {
                    0 => return at,
                    n => at += n,
                },
                _ => return at,
            }
        }
        at
    }

    /// Where the run that goes on here ends, and the kinds of the bytes up to there.
    fn run_end(&self, mut at: usize) -> (usize, Kinds) {
        let mut kinds = 0;
        for &b in &self.text.as_bytes()[at..] {
            let kind = KINDS[usize::from(b)];
            if kind == SPACE || kind == MAYBE_SPACE && self.space_at(at) > 0 {
                break;
            }
            kinds |= kind;
            at += 1;
        }
        (at, kinds)
    }

    /// The bytes of the white space character here, 0 if there is none.
    fn space_at(&self, at: usize) -> usize {
        self.text[at..].chars().next().filter(|&c| is_space(c)).map_or(0, char::len_utf8)
    }

    /// Cuts one run without white space. Up to `letters` there are none but ASCII letters.
    fn run(&mut self, begin: usize, letters: usize, end: usize, kinds: Kinds) {
        let text = self.text;
        let first = self.out.len();
        self.suffixes.clear();
        let (mut lo, mut hi) = (begin, end);
        let mut found = self.find(lo, hi);
        while found.is_none() {
            let prefix = prefix(&text[lo..hi]);
            if prefix > 0 {
                found = self.find(lo + prefix, hi);
                if found.is_some() {
                    self.push(lo, lo + prefix);
                    lo += prefix;
                    break;
                }
            }
            let suffix = suffix(&text[lo + prefix..hi], kinds);
            if suffix > 0 {
                found = self.find(lo, hi - suffix);
                if found.is_some() {
                    hi -= suffix;
                    self.suffixes.push(hi);
                    break;
                }
                hi -= suffix;
                self.suffixes.push(hi);
            }
            if prefix > 0 {
                self.push(lo, lo + prefix);
                lo += prefix;
            }
            // Letters alone have no affixes.
            if prefix + suffix == 0 || hi <= letters || lo == hi {
                break;
            }
            // What is left by one affix has been looked up.
            if prefix > 0 && suffix > 0 {
                found = self.find(lo, hi);
            }
        }
        match found {
            Some(case) => self.push_case(lo, case),
            None if lo < hi && hi <= letters => self.push(lo, hi),
            None => self.push_pieces(lo, hi, kinds),
        }
        while let Some(suffix) = self.suffixes.pop() {
            self.push(suffix, self.suffixes.last().copied().unwrap_or(end));
        }
        // Of two words a case would be the whole run.
        if self.out.len() - first > 2 {
            self.find_joins(begin, first);
        }
    }

    /// Appends what is left of a run without its affixes: an address, or what lies between infixes.
    fn push_pieces(&mut self, lo: usize, hi: usize, kinds: Kinds) {
        let word = &self.text[lo..hi];
        let (mut done, mut from) = (0, 0);
        while kinds & (BREAK | STOP | WIDE) != 0
            && let Some((begin, end)) = infix(word, from, self.rules.dash_after_digit)
        {
            from = end;
            if begin == 0 {
                // Nothing is cut off the start.
                continue;
            }
            if done == 0 && kinds & STOP != 0 && is_url(word) {
                break;
            }
            if begin > done {
                self.push(lo + done, lo + begin);
            }
            self.push(lo + begin, lo + end);
            done = end;
        }
        if lo + done < hi {
            self.push(lo + done, hi);
        }
    }

    /// Notes where words of the run that begins here, which are those from `first` on, are made of a special case.
    fn find_joins(&mut self, mut begin: usize, first: usize) {
        for from in first..self.out.len() - 1 {
            let mut end = begin + self.out[from].len();
            for to in from + 2..=self.out.len() {
                end += self.out[to - 1].len();
                if end - begin > self.rules.specials.longest() || to - from > self.rules.specials.most_words() {
                    break;
                }
                if let Some(case) = self.find(begin, end)
                    && case.is_cut_otherwise()
                    && case.is_made_of(&self.out[from..to])
                {
                    self.joins.push(Join { begin: from, end: to, case });
                }
            }
            begin += self.out[from].len();
        }
    }

    fn find(&self, begin: usize, end: usize) -> Option<&'r Special> {
        self.rules.specials.find(&self.text.as_bytes()[begin..end])
    }

    fn push(&mut self, begin: usize, end: usize) {
        self.out.push(&self.text[begin..end]);
    }

    fn push_case(&mut self, mut at: usize, case: &Special) {
        for piece in case.pieces() {
            self.push(at, at + piece);
            at += piece;
        }
    }
}

/// How many ASCII letters there are at the start.
#[inline]
fn n_letters(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let mut n = 0;
    // Eight bytes at a time, as there is a branch for each time only. A sum carries into the high bit of its byte if
    // the byte, in lower case, is at or beyond a letter.
    while let Some(&eight) = bytes[n..].first_chunk() {
        let eight = u64::from_le_bytes(eight);
        let lower = (eight | (0x20 * EACH)) & !HIGH;
        let from_a = lower + (0x80 - u64::from(b'a')) * EACH;
        let beyond_z = lower + (0x7f - u64::from(b'z')) * EACH;
        let other = !(from_a & !beyond_z & !eight) & HIGH;
        if other != 0 {
            return n + other.trailing_zeros() as usize / 8;
        }
        n += 8;
    }
    n + bytes[n..].iter().take_while(|b| b.is_ascii_alphabetic()).count()
}

/// The bytes of the prefix of a word, 0 if it has none.
fn prefix(word: &str) -> usize {
    match word.as_bytes() {
        [b'.', b'.', ..] => word.len() - word.trim_start_matches('.').len(),
        [b'+', next @ ..] => usize::from(!next.first().is_some_and(u8::is_ascii_digit)),
        [b'U', b'S', b'$', ..] => 3,
        [b'C' | b'A', b'$', ..] => 2,
        [b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9', ..] => 0,
        _ => word.chars().next().filter(|&c| classes_of(c) & PREFIX != 0).map_or(0, char::len_utf8),
    }
}

/// The bytes of the suffix of a word, 0 if it has none. `kinds` are those of its bytes, and perhaps others.
fn suffix(word: &str, kinds: Kinds) -> usize {
    let Some(c) = word.chars().next_back() else { return 0 };
    let head = &word[..word.len() - c.len_utf8()];
    match c {
        's' | 'S' if head.ends_with('\'') => 2,
        's' | 'S' if head.ends_with('’') => 1 + '’'.len_utf8(),
        'a'..='z' | 'A'..='Z' if kinds & DIGIT == 0 => 0,
        '.' => final_stop(word),
        '…' if head.ends_with('…') => 2 * c.len_utf8(),
        _ if classes_of(c) & SUFFIX != 0 => c.len_utf8(),
        _ if kinds & DIGIT != 0 => measure(word),
        _ => 0,
    }
}

/// The bytes that are cut off a word that ends with a full stop.
fn final_stop(word: &str) -> usize {
    let head = word.trim_end_matches('.');
    if word.len() - head.len() > 1 {
        return word.len() - head.len();
    }
    let mut chars = head.chars().rev();
    let (last, before) = (chars.next(), chars.next());
    let is_degree = before == Some('°') && matches!(last, Some('F' | 'f' | 'C' | 'c' | 'K' | 'k'));
    let is = |c: Option<char>, class| c.is_some_and(|c| classes_of(c) & class != 0);
    usize::from(is(last, BEFORE_STOP) || is(last, UPPER) && is(before, UPPER) || is_degree)
}

/// The bytes behind the last digit of a word, if they are a plus sign, a currency or a unit of measure.
fn measure(word: &str) -> usize {
    let bytes = word.as_bytes();
    let looked_at = bytes.len().saturating_sub(LONGEST_UNIT + 1);
    let Some(digit) = bytes[looked_at..].iter().rposition(u8::is_ascii_digit) else { return 0 };
    let tail = &word[looked_at + digit + 1..];
    let mut chars = tail.chars();
    let is_currency = |c: Option<char>| c.is_some_and(|c| classes_of(c) & CURRENCY != 0);
    if is_currency(chars.next()) && chars.next().is_none() || is_unit(tail) { tail.len() } else { 0 }
}

const LONGEST_UNIT: usize = "اكواب".len();

/// The units that are cut off a number (`lang/char_classes.py`), "тб" and "كم" run together as there, and what else is.
fn is_unit(text: &str) -> bool {
    #[rustfmt::skip]
    let is_unit = matches!(
        text,
        "+" | "US$" | "C$" | "A$" | "%" | "km" | "km²" | "km³" | "m" | "m²" | "m³" | "dm" | "dm²" | "dm³" | "cm" | "cm²"
        | "cm³" | "mm" | "mm²" | "mm³" | "ha" | "µm" | "nm" | "yd" | "in" | "ft" | "kg" | "g" | "mg" | "µg" | "t" | "lb"
        | "oz" | "m/s" | "km/h" | "kmh" | "mph" | "hPa" | "Pa" | "mbar" | "mb" | "MB" | "kb" | "KB" | "gb" | "GB" | "tb"
        | "TB" | "T" | "G" | "M" | "K" | "км" | "км²" | "км³" | "м" | "м²" | "м³" | "дм" | "дм²" | "дм³" | "см" | "см²"
        | "см³" | "мм" | "мм²" | "мм³" | "нм" | "кг" | "г" | "мг" | "м/с" | "км/ч" | "кПа" | "Па" | "мбар" | "Кб" | "КБ"
        | "кб" | "Мб" | "МБ" | "мб" | "Гб" | "ГБ" | "гб" | "Тб" | "ТБ" | "тбكم" | "كم²" | "كم³" | "م" | "م²" | "م³"
        | "سم" | "سم²" | "سم³" | "مم" | "مم²" | "مم³" | "كم" | "غرام" | "جرام" | "جم" | "كغ" | "ملغ" | "كوب" | "اكواب"
    );
    is_unit
}

/// Where the first infix at or after `from` begins and ends.
fn infix(word: &str, from: usize, dash_after_digit: bool) -> Option<(usize, usize)> {
    let bytes = word.as_bytes();
    let mut at = from;
    while let Some(&b) = bytes.get(at) {
        let kind = KINDS[usize::from(b)];
        let mut step = 1;
        if kind & (BREAK | STOP | WIDE) != 0 {
            let c = word[at..].chars().next()?;
            step = c.len_utf8();
            let length = infix_at(word, at, c, dash_after_digit);
            if length > 0 {
                return Some((at, at + length));
            }
        }
        at += step;
    }
    None
}

/// The bytes of the infix that begins here, 0 if none does.
fn infix_at(word: &str, at: usize, c: char, dash_after_digit: bool) -> usize {
    let digit_before = word.as_bytes()[..at].last().is_some_and(u8::is_ascii_digit);
    let before = |class: Classes| word[..at].chars().next_back().is_some_and(|c| classes_of(c) & class != 0);
    let after = |end: usize, class: Classes| word[end..].chars().next().is_some_and(|c| classes_of(c) & class != 0);
    let is_operator =
        || digit_before && word.as_bytes().get(at + 1).is_some_and(|&next| next.is_ascii_digit() || next == b'-');
    let dash = || {
        let dashes = ["-", "–", "—", "--", "---", "——", "~"];
        let is_dash = |dash: &&str| word[at..].starts_with(dash) && after(at + dash.len(), ALPHA);
        let can_be = before(ALPHA) || dash_after_digit && digit_before;
        dashes.iter().copied().filter(|_| can_be).find(is_dash).map_or(0, str::len)
    };
    match c {
        '.' if word[at..].starts_with("..") => word[at..].len() - word[at..].trim_start_matches('.').len(),
        '.' => usize::from(before(LOWER | QUOTE) && after(at + 1, UPPER | QUOTE)),
        ',' => usize::from(before(ALPHA) && after(at + 1, ALPHA)),
        '+' | '*' | '^' => usize::from(is_operator()),
        '-' if is_operator() => 1,
        '-' | '–' | '—' | '~' => dash(),
        ':' | '<' | '>' | '=' | '/' => usize::from((before(ALPHA) || digit_before) && after(at + 1, ALPHA)),
        _ if classes_of(c) & INFIX != 0 => c.len_utf8(),
        _ => 0,
    }
}

/// What bytes tell of a run, one bit for each kind.
type Kinds = u8;

const SPACE: Kinds = 1;
const DIGIT: Kinds = 1 << 1;
const STOP: Kinds = 1 << 2;
/// May be an infix.
const BREAK: Kinds = 1 << 3;
/// Not ASCII.
const WIDE: Kinds = 1 << 4;
/// Not ASCII, and may begin a white space character.
const MAYBE_SPACE: Kinds = WIDE | 1 << 5;

const KINDS: [Kinds; 256] = {
    let mut kinds = [0; 256];
    let mut b = 0;
    while b < 256 {
        kinds[b] = match b as u8 {
            b'\t'..=b'\r' | 0x1c..=b' ' => SPACE,
            b'0'..=b'9' => DIGIT,
            b'.' => STOP,
            b',' | b'+' | b'*' | b'^' | b'-' | b'~' | b':' | b'<' | b'>' | b'=' | b'/' => BREAK,
            0xc2 | 0xe1..=0xe3 => MAYBE_SPACE,
            0x80.. => WIDE,
            _ => 0,
        };
        b += 1;
    }
    kinds
};
