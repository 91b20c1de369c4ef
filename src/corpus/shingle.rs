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
//! A shingle is known by a 64-bit hash. Each word and character is hashed once, where it stands in the lower-cased text,
//! and the hash of a shingle is a polynomial in those of its members, which rolls on from one shingle to the next: so no
//! shingle is ever written out, and it costs two multiplications.
//!
//! Text is taken 64 bytes at a time: one number says which of them belong to words, and one which to ideographs, a bit a
//! byte; where bits change, words and runs begin and end. These edges are put down first, without asking how many there
//! are, and then what is between them is hashed, in loops that are short and the same for each: a processor that does not
//! have to foresee what comes next does several things at once (as simdjson does it: Langdale, Lemire 2019, arXiv 1902.08318).

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hash::{hash_next, hash_one};
use super::rolling::{Rolling, Window, windows};
use crate::text::{is_cjk, is_word_char};
use crate::vector::{BLOCK, Kernel, Width, bytes_at, mask, widest};

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
    /// The text in lower case, and zeros after it, so that what is loaded at once is there.
    lower: Vec<u8>,
    /// Where words begin and end, in turn, of those that are not hashed yet.
    edges: Vec<usize>,
    words: Rolling,
    /// The same of runs of ideographs and kana.
    run_edges: Vec<usize>,
    /// The hashes of a run, or of all characters of a text.
    chars: Vec<u64>,
}

/// Keeps shingles of characters apart from shingles of words.
const OF_CHARS: u64 = 0x6368_6172;

impl Shingler {
    /// Appends the shingles of a text in Unicode NFC, repeats included, in no order that is promised. Characters are those
    /// of the [canonical](crate::canonical::canonical) form; to words and ideographs white space is all the same.
    pub fn shingles(&self, text: &str, units: &mut Units, out: &mut Vec<u64>) {
        match self.unit {
            Unit::Words => {
                let from = out.len();
                let split =
                    |text: &str, units: &mut Units, out: &mut Vec<u64>| widest(Split::new(text, self.n, units, out));
                if split(text, units, out).is_err() {
                    out.truncate(from);
                    split(&text.to_lowercase(), units, out).expect("what is lower-case stays as it is");
                }
            }
            Unit::Chars => {
                let lower = text.to_lowercase();
                units.chars.clear();
                units.chars.extend(lower.chars().map(|c| hash_one(u64::from(c))));
                let from = out.len();
                out.resize(from + units.chars.len(), 0);
                let window = Window::new(self.n.min(lower.len() + 1), OF_CHARS);
                let n_out = windows(&units.chars, window, &mut out[from..]);
                out.truncate(from + n_out);
            }
        }
    }
}

/// How many edges are found before what is between them is hashed: as many as fit the nearest cache with that.
const WAITING: usize = 512;
/// How many edges are written at a time, whether there are so many or not.
const AT_ONCE: usize = 8;
/// The bytes of a word that are hashed without a branch.
const SHORT: usize = 16;

/// A text on its way through the splitter.
struct Split<'a> {
    bytes: &'a [u8],
    words: Window,
    chars: Window,
    n_edges: usize,
    n_run_edges: usize,
    units: &'a mut Units,
    out: &'a mut Vec<u64>,
}

impl<'a> Split<'a> {
    fn new(text: &'a str, n: usize, units: &'a mut Units, out: &'a mut Vec<u64>) -> Self {
        // No text has more units than bytes.
        let n = n.min(text.len() + 1);
        let (words, chars) = (Window::new(n, 0), Window::new(n, OF_CHARS));
        Self { bytes: text.as_bytes(), words, chars, n_edges: 0, n_run_edges: 0, units, out }
    }
}

/// A character whose lower case depends on what stands around it, is not one character of the same class, or not of as
/// many bytes.
#[derive(Debug)]
struct Unusual;

impl Kernel for Split<'_> {
    type Output = Result<(), Unusual>;

    /// Splits the whole text.
    #[inline(always)]
    fn run<W: Width>(mut self) -> Result<(), Unusual> {
        let len = self.bytes.len();
        let Units { lower, edges, words, run_edges, .. } = &mut *self.units;
        if lower.len() < len + SHORT {
            lower.resize(len + SHORT, 0);
        }
        lower[len..len + SHORT].fill(0);
        for (lower, byte) in lower.iter_mut().zip(self.bytes) {
            *lower = byte | (mask(byte.wrapping_sub(b'A') < 26) & 0x20);
        }
        edges.resize(WAITING + BLOCK + AT_ONCE, 0);
        run_edges.resize(WAITING + BLOCK + AT_ONCE, 0);
        words.begin(self.words);
        let mut state = Carried::default();
        let mut padded = [0; BLOCK + AFTER];
        for at in (0..len).step_by(BLOCK) {
            self.block::<W>(at, bytes_at(self.bytes, at, &mut padded), &mut state)?;
        }
        if state.in_word != 0 {
            self.units.edges[self.n_edges] = len;
            self.n_edges += 1;
        }
        if state.in_run != 0 {
            self.units.run_edges[self.n_run_edges] = len;
            self.n_run_edges += 1;
        }
        self.hash_words();
        self.hash_runs();
        self.out.extend(self.units.words.roll(self.words, 0).short());
        Ok(())
    }
}

/// The bytes after a block that say what its last characters are.
const AFTER: usize = 2;

/// What a block leaves for the next one.
#[derive(Default)]
struct Carried {
    /// 1 if the last byte belongs to a word.
    in_word: u64,
    /// The first bytes of the next block that belong to characters of words which began in this one.
    word: u64,
    /// The same for runs of ideographs and kana.
    in_run: u64,
    run: u64,
}

impl Split<'_> {
    /// Finds the edges of words, and takes the ideographs and kana, of the block at `at`.
    #[inline(always)]
    fn block<W: Width>(&mut self, at: usize, block: &[u8; BLOCK + AFTER], state: &mut Carried) -> Result<(), Unusual> {
        let whole: &[u8; BLOCK] = block.first_chunk().expect("it is longer");
        let mut in_word = [0; BLOCK];
        for i in 0..BLOCK {
            in_word[i] = mask(is_ascii_word(whole[i]));
        }
        let mut word = W::high_bits(&in_word);
        if W::high_bits(whole) != 0 || state.in_run != 0 {
            word |= self.beyond_ascii::<W>(at, block, state)?;
        }
        let edges = word ^ (word << 1 | state.in_word);
        state.in_word = word >> (u64::BITS - 1);
        self.n_edges += write_places(edges, at, &mut self.units.edges[self.n_edges..]);
        if self.n_edges > WAITING {
            self.hash_words();
        }
        Ok(())
    }

    /// Hashes the words whose ends are known.
    #[inline(always)]
    fn hash_words(&mut self) {
        let Units { lower, edges, words, .. } = &mut *self.units;
        let (pairs, rest) = edges[..self.n_edges].as_chunks::<2>();
        let lower = lower.as_slice();
        let mut roll = words.roll(self.words, pairs.len());
        let (before, pairs) = pairs.split_at(roll.missing().min(pairs.len()));
        for &word in before {
            roll.push(hash_word(lower, word));
        }
        // Not `extend`: its loop is not inlined.
        let from = self.out.len();
        self.out.resize(from + pairs.len(), 0);
        for (hash, &word) in self.out[from..].iter_mut().zip(pairs) {
            *hash = roll.push(hash_word(lower, word));
        }
        let state = roll.state();
        words.keep(state);
        if let &[begin] = rest {
            edges[0] = begin;
        }
        self.n_edges %= 2;
    }

    /// Takes the ideographs and kana of the block at `at`. Returns the bytes of other letters and digits beyond ASCII.
    #[inline(always)]
    fn beyond_ascii<W: Width>(
        &mut self,
        at: usize,
        block: &[u8; BLOCK + AFTER],
        state: &mut Carried,
    ) -> Result<u64, Unusual> {
        let (mut begins, mut ideographs, mut known) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
        for i in 0..BLOCK {
            let (a, b, c) = (block[i], block[i + 1], block[i + 2]);
            begins[i] = mask(a >= 0xc0);
            ideographs[i] = mask(is_ideograph(a, b));
            known[i] = mask(is_ideograph(a, b) | is_between_words(a, b, c));
        }
        let ideographs = u128::from(W::high_bits(&ideographs));
        let mut others = W::high_bits(&begins) & !W::high_bits(&known);
        let mut words = u128::from(state.word);
        let mut runs = u128::from(state.run) | ideographs | ideographs << 1 | ideographs << 2;
        while others != 0 {
            let i = others.trailing_zeros() as usize;
            others &= others - 1;
            let (c, next) = decode(self.bytes, at + i);
            let (class, bytes) = (class(c), ((1 << (next - at - i)) - 1) << i);
            if class & UNUSUAL != 0 {
                return Err(Unusual);
            }
            if class & WORD != 0 {
                words |= bytes;
                if class & UPPER != 0 {
                    let lower = c.to_lowercase().next().unwrap_or(c);
                    lower.encode_utf8(&mut self.units.lower[at + i..next]);
                }
            } else if class & CJK != 0 {
                runs |= bytes;
            }
        }
        (state.word, state.run) = ((words >> BLOCK) as u64, (runs >> BLOCK) as u64);
        let runs = runs as u64;
        let edges = runs ^ (runs << 1 | state.in_run);
        state.in_run = runs >> (u64::BITS - 1);
        self.n_run_edges += write_places(edges, at, &mut self.units.run_edges[self.n_run_edges..]);
        if self.n_run_edges > WAITING {
            self.hash_runs();
        }
        Ok(words as u64)
    }

    /// Hashes the runs of ideographs and kana whose ends are known.
    #[inline(always)]
    fn hash_runs(&mut self) {
        let Units { lower, run_edges, chars, .. } = &mut *self.units;
        let (pairs, rest) = run_edges[..self.n_run_edges].as_chunks::<2>();
        let mut n_out = self.out.len();
        let n_most: usize = pairs.iter().map(|[begin, end]| (end - begin) / 3).sum();
        self.out.resize(n_out + n_most, 0);
        for &[begin, end] in pairs {
            let run = &lower[begin..end];
            let (threes, more) = run.as_chunks::<3>();
            if chars.len() < threes.len() {
                chars.resize(threes.len(), 0);
            }
            let mut hashes = &mut chars[..threes.len()];
            let mut all = more.is_empty();
            for (unit, &three) in hashes.iter_mut().zip(threes) {
                *unit = hash_one(of_three(three));
                all &= three[0] & 0xf0 == 0xe0;
            }
            if !all {
                // One of them has four bytes.
                let run = str::from_utf8(run).unwrap_or_default();
                chars.clear();
                chars.extend(run.chars().map(|c| hash_one(u64::from(c))));
                hashes = chars;
            }
            n_out += windows(hashes, self.chars, &mut self.out[n_out..]);
        }
        self.out.truncate(n_out);
        if let &[begin] = rest {
            run_edges[0] = begin;
        }
        self.n_run_edges %= 2;
    }
}

/// The number of a character of three bytes.
#[inline(always)]
fn of_three([a, b, c]: [u8; 3]) -> u64 {
    u64::from(a & 0x0f) << 12 | u64::from(b & 0x3f) << 6 | u64::from(c & 0x3f)
}

/// Writes where bits are set, counted from `at`, and returns how many. What comes after them means nothing.
#[inline(always)]
fn write_places(mut bits: u64, at: usize, places: &mut [usize]) -> usize {
    let n = bits.count_ones() as usize;
    let mut to = 0;
    // So many at a time: how many there are is not known before, and to foresee it wrongly costs more.
    while bits != 0 {
        let some: &mut [usize; AT_ONCE] = places[to..].first_chunk_mut().expect("there is room for a block");
        for place in some {
            *place = at + bits.trailing_zeros() as usize;
            bits &= bits.wrapping_sub(1);
        }
        to += AT_ONCE;
    }
    n
}

/// The bits of two times eight bytes that belong to a word of so many bytes.
const INSIDE: [[u64; 2]; SHORT + 1] = {
    let mut inside = [[0; 2]; SHORT + 1];
    let mut len = 1;
    while len <= SHORT {
        inside[len] = if len <= 8 { [u64::MAX >> (64 - 8 * len), 0] } else { [u64::MAX, u64::MAX >> (128 - 8 * len)] };
        len += 1;
    }
    inside
};

/// The hash of the word from `begin` to `end`.
#[inline(always)]
fn hash_word(lower: &[u8], [begin, end]: [usize; 2]) -> u64 {
    let len = end - begin;
    let text: &[u8; SHORT] = lower[begin..].first_chunk().expect("there are zeros after the text");
    let (eights, _) = text.as_chunks::<8>();
    let [first, second] = INSIDE[len.min(SHORT)];
    let one = hash_one(u64::from_le_bytes(eights[0]) & first);
    let two = hash_next(one, u64::from_le_bytes(eights[1]) & second);
    let hash = if len > 8 { two } else { one };
    if len > SHORT { hash_rest(lower, begin + SHORT, end, hash) } else { hash }
}

/// The hash of a long word, from what is the hash of its bytes before `from`.
#[inline(never)]
fn hash_rest(lower: &[u8], from: usize, end: usize, hash: u64) -> u64 {
    (from..end).step_by(8).fold(hash, |hash, from| {
        let eight = *lower[from..].first_chunk().expect("there are zeros after the text");
        hash_next(hash, u64::from_le_bytes(eight) & INSIDE[(end - from).min(SHORT)][0])
    })
}

/// Whether two bytes begin a character from U+4E00 to U+9FFF: most ideographs are, and no table is asked.
#[inline(always)]
fn is_ideograph(a: u8, b: u8) -> bool {
    (0xe5..=0xe9).contains(&a) | ((a == 0xe4) & (b >= 0xb8))
}

/// Whether three bytes are one of the commonest marks of text, which belong to no word: U+00A0, dashes, quotation marks
/// and ellipses from U+2010 to U+2027, and the marks of Chinese, full stops, brackets, and wide ones of ASCII.
#[inline(always)]
fn is_between_words(a: u8, b: u8, c: u8) -> bool {
    let space = (a == 0xc2) & (b == 0xa0);
    let general = (a == 0xe2) & (b == 0x80) & (0x90..=0xa7).contains(&c);
    let stops = (0x81..=0x82).contains(&c) | (0x88..=0x91).contains(&c) | (0x94..=0x9b).contains(&c);
    let chinese = (a == 0xe3) & (b == 0x80) & stops;
    let wide = (a == 0xef) & (b == 0xbc) & ((0x81..=0x8f).contains(&c) | (0x9a..=0xa0).contains(&c));
    space | general | chinese | wide
}

#[inline(always)]
fn is_ascii_word(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10) | (byte == b'_')
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
        (Some(lower), None) if split(lower) == split(c) && lower.len_utf8() == c.len_utf8() => split(c) | UPPER,
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

    fn set(text: &str) -> BTreeSet<u64> {
        let mut shingles = Vec::new();
        Shingler::default().shingles(text, &mut Units::default(), &mut shingles);
        shingles.into_iter().collect()
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
        assert_ne!(set("abc"), BTreeSet::from_iter(chars));
    }

    #[test]
    fn what_is_seen_at_a_glance_is_what_the_table_says() {
        let (mut n_ideographs, mut n_between) = (0, 0);
        for c in char::MIN..=char::MAX {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes);
            let [a, b, third, _] = bytes;
            let (ideograph, between) = (is_ideograph(a, b), is_between_words(a, b, third));
            if ideograph {
                assert_eq!((class(c), c.len_utf8()), (CJK, 3), "{c:?}");
            }
            if between {
                assert_eq!(class(c) & (WORD | CJK | UNUSUAL), 0, "{c:?}");
            }
            if c.is_ascii() {
                assert_eq!(is_ascii_word(a), class(c) & WORD != 0, "{c:?}");
            }
            n_ideographs += u32::from(ideograph);
            n_between += u32::from(between);
        }
        assert_eq!((n_ideographs, n_between), (0x5200, 67));
    }

    #[test]
    fn what_is_lower_case_is_not_unusual() {
        for c in char::MIN..=char::MAX {
            assert!(c.to_lowercase().all(|lower| class(lower) & (UNUSUAL | UPPER) == 0), "{c:?}");
        }
    }

    #[test]
    fn words_and_runs_go_on_from_block_to_block() {
        // More than are hashed at a time, and each a little further on in its block.
        let words =
            |n: usize| (0..n).map(|i| format!("w{i}é {}中{}文, ", "x".repeat(i % 37), "字".repeat(i % 9))).collect();
        for n in [1, 2, 9, 60, 700, 1500] {
            let text: String = words(n);
            assert_eq!(set(&text).len(), naive(&text, 5).len(), "{n}");
        }
        let long = format!("{} {}", "字".repeat(5000), "y".repeat(5000));
        assert_eq!(set(&long).len(), naive(&long, 5).len());
    }

    #[test]
    fn an_earlier_text_does_not_show() {
        let (mut units, mut out) = (Units::default(), Vec::new());
        for text in ["a".repeat(300), "中文字".repeat(50), "a b c".into(), "中".into(), "b".into(), String::new()] {
            out.clear();
            Shingler::default().shingles(&text, &mut units, &mut out);
            assert_eq!(out.iter().copied().collect::<BTreeSet<_>>(), set(&text), "{text}");
        }
    }

    #[test]
    fn a_window_may_be_longer_than_any_text() {
        let mut out = Vec::new();
        let shingler = Shingler { n: usize::MAX, unit: Unit::Words };
        shingler.shingles("a b 中文", &mut Units::default(), &mut out);
        assert_eq!(out.len(), 2);
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
            a in "([abΣς]{1,3}|[0-9_]|[中文字々カ𠀀]{1,7}|[ ,。é\u{301}İ한ⅧÀẞ]|[xyz]{0,40}){0,40}",
            b in "([abΣς]{1,3}|[0-9_]|[中文字々カ𠀀]{1,7}|[ ,。é\u{301}İ한ⅧÀẞ]|[xyz]{0,40}){0,40}",
        ) {
            // Equal numbers and equal overlaps: the hashes stand for the strings.
            let (strings_a, strings_b) = (naive(&a, 5), naive(&b, 5));
            let (set_a, set_b) = (set(&a), set(&b));
            prop_assert_eq!(set_a.len(), strings_a.len());
            let shared = set_a.intersection(&set_b).count();
            prop_assert_eq!(shared, strings_a.intersection(&strings_b).count());
        }
    }

    proptest! {
        #[test]
        fn wider_vectors_change_nothing(text in "([a-zA-Z_ ,.]{0,30}|[中文。かカ, 𠀀]{0,9}|[éÅßΣ’“]{0,5}|.{0,9}){0,12}") {
            let shingles = |wide: bool| {
                let (mut units, mut out) = (Units::default(), Vec::new());
                let split = Split::new(&text, 5, &mut units, &mut out);
                let done = if wide { widest(split) } else { split.run::<Any>() };
                (done.is_ok(), out)
            };
            prop_assert_eq!(shingles(true), shingles(false));
        }
    }
}
