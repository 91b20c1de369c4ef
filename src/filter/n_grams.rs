//! How much of a text is in n-grams that come again: the counting behind the repetition rules, in linear time.
//!
//! Nearly every text is far from the limits, and to know that is cheaper than to count. So each question has two
//! answers: the exact one, and before it a number that it cannot exceed. That number comes of adding up, or marking,
//! at places that are chosen by hashes: what meets at a place by chance only makes it greater.
//!
//! Words and n-grams are told apart by 64-bit hashes: in a text of a million words a count takes two different ones for
//! the same with a chance of about 1 in 10^7.

use xxhash_rust::xxh3::xxh3_64;

use super::duplicates::{Seen, shrink};
use crate::text;

/// The words of a text, of which the most frequent n-grams are sought. Made for one text after the other, as its room is
/// used again.
#[derive(Default)]
pub(super) struct TopGrams {
    words: Vec<Word>,
    /// For two, three and four words, if it is known: what the most frequent n-gram cannot exceed.
    most: [Option<usize>; 3],
    hashes: Vec<u64>,
    marks: Marks,
    numbers: Numbers,
    counts: Vec<Count>,
}

/// What counting needs to know of a word.
#[derive(Clone, Copy)]
struct Word {
    hash: u64,
    n_chars: usize,
}

/// An n-gram, by where it was first seen.
#[derive(Clone, Copy)]
struct Count {
    first: usize,
    count: usize,
}

impl TopGrams {
    /// Takes another text. `words` are parts of it, in order.
    pub(super) fn take(&mut self, text: &str, words: &[&str]) {
        self.words.clear();
        self.words.extend(words.iter().map(|word| Word::of(text.as_bytes(), text::offset(text, word), word.len())));
        self.most = [None; 3];
    }

    /// Gives room back that only few texts need.
    pub(super) fn shrink(&mut self) {
        shrink(&mut self.words);
        shrink(&mut self.hashes);
        shrink(&mut self.counts);
        shrink(&mut self.marks.places);
        self.numbers.shrink();
    }

    /// The characters in all copies of the most frequent n-gram, and in the blanks between its words, for `n` from 2;
    /// among equals, of the first seen. Not more are asked for than do not `pass`: if the number is sure to do so, there
    /// is no answer.
    pub(super) fn n_chars(&mut self, n: usize, pass: impl Fn(usize) -> bool) -> Option<usize> {
        let is_sure = match n {
            2 => pass(self.most(2)),
            // In a triple there are two pairs, and these overlap.
            3 => pass(2 * self.most(2)) || pass(self.most(3)),
            // In four words there are two pairs and a blank, and of a pair's characters a third at most are blanks; or a
            // triple, and less than a pair.
            4 => pass(2 * self.most(2) + self.most(2) / 3) || pass(self.most(3) + self.most(2)) || pass(self.most(4)),
            _ => false,
        };
        (!is_sure).then(|| self.count(n))
    }

    fn most(&mut self, n: usize) -> usize {
        let known = self.most[n - 2];
        let most = known.unwrap_or_else(|| self.greatest_sum(n));
        self.most[n - 2] = Some(most);
        most
    }

    /// The greatest sum of the characters of all n-grams that share a place.
    fn greatest_sum(&self, n: usize) -> usize {
        const PLACE_BITS: u32 = 10;
        let mut sums = [0; 1 << PLACE_BITS];
        let mut greatest = 0;
        for gram in self.words.windows(n) {
            // Words that are told apart by chance need no more than this to be so in any order.
            let place = gram.iter().fold(0u64, |place, word| place.rotate_left(7) ^ word.hash);
            let sum: &mut usize = &mut sums[(place >> (64 - PLACE_BITS)) as usize];
            *sum += n_chars(gram);
            greatest = greatest.max(*sum);
        }
        greatest
    }

    fn count(&mut self, n: usize) -> usize {
        let Self { words, hashes, marks, numbers, counts, .. } = self;
        hashes.clear();
        hashes.extend(words.windows(n).map(sequence));
        marks.clear(hashes.len());
        for &hash in hashes.iter() {
            marks.mark(hash);
        }
        numbers.clear(hashes.len());
        counts.clear();
        let is_repeated = |(_, hash): &(usize, u64)| marks.is_twice(*hash);
        for (at, hash) in hashes.iter().copied().enumerate().filter(is_repeated) {
            let (gram, is_new) = numbers.number(hash);
            if is_new {
                counts.push(Count { first: at, count: 0 });
            }
            counts[gram].count += 1;
        }
        // Where nothing is repeated every n-gram is as frequent as the first.
        let unrepeated = Count { first: 0, count: 1 };
        let top = counts.iter().fold(unrepeated, |top, &gram| if gram.count > top.count { gram } else { top });
        words.get(top.first..top.first + n).map_or(0, |gram| n_chars(gram) * top.count)
    }
}

/// The characters of an n-gram with blanks between its words.
fn n_chars(gram: &[Word]) -> usize {
    gram.iter().map(|word| word.n_chars).sum::<usize>() + gram.len() - 1
}

/// The hash of an n-gram.
fn sequence(gram: &[Word]) -> u64 {
    gram.iter().fold(0, |hash, word| mix(hash.wrapping_add(word.hash), SEED))
}

impl Word {
    fn of(text: &[u8], mut at: usize, len: usize) -> Self {
        // A byte that continues a character is one that begins with the bits 10.
        let n_continuing = |eight: u64| ((eight >> 7 & !(eight >> 6) & EACH).wrapping_mul(EACH) >> 56) as usize;
        let mut hash = len as u64;
        let mut n_chars = len;
        let mut left = len;
        while left > 8 {
            let eight = load(text, at);
            hash = mix(hash ^ eight, SEED);
            n_chars -= n_continuing(eight);
            at += 8;
            left -= 8;
        }
        let last = load(text, at) & u64::MAX >> (64 - 8 * left.max(1));
        Self { hash: mix(hash ^ last.rotate_left(32), SEED), n_chars: n_chars - n_continuing(last) }
    }
}

const EACH: u64 = 0x0101_0101_0101_0101;

/// The eight bytes from `at` on; beyond the end there are zeros.
#[inline]
fn load(bytes: &[u8], at: usize) -> u64 {
    if let Some(&eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        return u64::from_le_bytes(eight);
    }
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().rev().fold(0, |eight, &byte| eight << 8 | u64::from(byte))
}

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

#[inline]
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The words of a text written one after the other, with nothing between them, in which repeated n-grams are sought.
/// Made for one text after the other, as its room is used again.
///
/// That is how the published rule compares n-grams: `ab c` and `a bc` are the same.
#[derive(Default)]
pub(super) struct Run {
    /// The words, and [`Run::PADDING`] zeros.
    bytes: Vec<u8>,
    /// Where each word begins, and the end.
    starts: Vec<usize>,
    is_ascii: bool,
    /// Where anything can be repeated, or repeat something.
    open: Vec<Open>,
    /// How many bytes were looked at to find these.
    peek: usize,
    marks: Marks,
    seen: Seen,
}

/// A word from which on anything can be repeated, or repeat something.
#[derive(Clone, Copy)]
struct Open {
    word: usize,
    /// The hash of the bytes looked at, but for its last bit, which says whether they may have been there before.
    hash: u64,
}

impl Run {
    /// The fewest words of a repetition.
    pub(super) const MIN_WORDS: usize = 5;

    /// The bytes looked at first: those of five ideographs, and of nearly all runs of five words in other scripts.
    const PEEK: usize = 15;

    /// How many more there are for each further word.
    const PEEK_MORE: usize = 3;

    /// As many as are ever looked at beyond the end.
    const PADDING: usize = 64;

    /// Takes another text. `words` are parts of it, in order.
    pub(super) fn take(&mut self, text: &str, words: &[&str]) {
        self.is_ascii = text.is_ascii();
        self.starts.clear();
        self.starts.reserve(words.len() + 1);
        self.bytes.clear();
        self.bytes.resize(text.len() + Self::PADDING, 0);
        // Words with nothing between them are copied together.
        let (mut from, mut to, mut len) = (0, 0, 0);
        for word in words {
            let at = text::offset(text, word);
            if at != to {
                len = copy(text.as_bytes(), from, to, &mut self.bytes, len);
                from = at;
            }
            self.starts.push(len + at - from);
            to = at + word.len();
        }
        len = copy(text.as_bytes(), from, to, &mut self.bytes, len);
        self.starts.push(len);
        self.bytes.truncate(len);
        self.bytes.resize(len + Self::PADDING, 0);
        self.peek_first();
    }

    /// Gives room back that only few texts need.
    pub(super) fn shrink(&mut self) {
        shrink(&mut self.bytes);
        shrink(&mut self.starts);
        shrink(&mut self.open);
        shrink(&mut self.marks.places);
        self.seen.shrink();
    }

    /// The characters in n-grams, of at least [`Run::MIN_WORDS`] words, that repeat an earlier one. The text is
    /// walked once: a repeated n-gram is stepped over, any other one is remembered and the walk goes on with the next
    /// word. Not more are asked for than do not `pass`: if the number is sure to do so, there is no answer.
    ///
    /// `n` must not fall from one question to the next.
    pub(super) fn n_repeated_chars(&mut self, n: usize, pass: impl Fn(usize) -> bool) -> Option<usize> {
        if pass(self.most_repeated_chars(n)) {
            return None;
        }
        while self.peek + 2 * Self::PEEK_MORE <= Self::PEEK + (n - Self::MIN_WORDS) * Self::PEEK_MORE {
            self.peek_more(n);
            if pass(self.most_repeated_chars(n)) {
                return None;
            }
        }
        Some(self.walk(n))
    }

    /// The characters of all n-grams that can be no first copies.
    fn most_repeated_chars(&mut self, n: usize) -> usize {
        let Self { bytes, starts, open, marks, .. } = self;
        marks.clear(open.len());
        let mut n_chars = 0;
        let (mut begin, mut end) = (0, 0);
        for open in open.iter().filter(|open| open.word + n < starts.len()) {
            let gram = starts[open.word]..starts[open.word + n];
            // What lies behind an n-gram tells nothing of it.
            let again = if gram.len() < self.peek { marks.mark(xxh3_64(&bytes[gram])) } else { open.again() };
            if again {
                if open.word > end {
                    n_chars += n_chars_of(&bytes[starts[begin]..starts[end]], self.is_ascii);
                    begin = open.word;
                }
                end = open.word + n;
            }
        }
        n_chars + n_chars_of(&bytes[starts[begin]..starts[end]], self.is_ascii)
    }

    fn walk(&mut self, n: usize) -> usize {
        let Self { bytes, starts, open, seen, .. } = self;
        seen.clear(open.len());
        let mut n_chars = 0;
        let mut next = 0;
        for open in open.iter().filter(|open| open.word + n < starts.len()) {
            if open.word < next {
                continue;
            }
            let gram = &bytes[starts[open.word]..starts[open.word + n]];
            if !seen.insert(xxh3_64(gram)) {
                next = open.word + n;
                n_chars += n_chars_of(gram, self.is_ascii);
            }
        }
        n_chars
    }

    /// Finds the words from which on the first bytes are not the only ones of their kind, or an n-gram is shorter.
    fn peek_first(&mut self) {
        let Self { bytes, starts, open, marks, .. } = self;
        self.peek = Self::PEEK;
        open.clear();
        let n = starts.len().saturating_sub(Self::MIN_WORDS);
        marks.clear(n);
        open.extend(starts[..n].iter().enumerate().map(|(word, &start)| {
            let hash = mix(load(bytes, start) ^ load(bytes, start + Self::PEEK - 8).rotate_left(31), SEED);
            Open::new(word, hash, marks.mark(hash))
        }));
        self.close(Self::MIN_WORDS);
    }

    /// Looks at some more bytes of what is still open, to tell which n-grams are the only ones of their kind.
    fn peek_more(&mut self, n: usize) {
        let from = self.peek;
        self.peek += 2 * Self::PEEK_MORE;
        let Self { bytes, starts, open, marks, .. } = self;
        marks.clear(open.len());
        for open in open.iter_mut() {
            let hash = mix((open.hash | 1) ^ load(bytes, starts[open.word] + from - 2).rotate_left(1), SEED);
            *open = Open::new(open.word, hash, marks.mark(hash) && open.again());
        }
        self.close(n);
    }

    fn close(&mut self, n: usize) {
        let Self { starts, open, marks, .. } = self;
        let is_short = |word: usize| starts.get(word + n).is_some_and(|end| end - starts[word] < self.peek);
        // Without branches, as nobody can tell what stays.
        let mut n_open = 0;
        for at in 0..open.len() {
            open[n_open] = open[at];
            n_open += usize::from(marks.is_twice(open[at].hash) | is_short(open[at].word));
        }
        open.truncate(n_open);
    }
}

/// Copies `from..to` behind the first `len` bytes of `out`; how many there are then.
#[inline]
fn copy(text: &[u8], from: usize, to: usize, out: &mut [u8], len: usize) -> usize {
    let n = to - from;
    match (text.get(from..from + 16), out.get_mut(len..len + 16)) {
        // It is faster to copy too much than just so much as there is.
        (Some(text), Some(out)) if n <= 16 => out.copy_from_slice(text),
        _ => out[len..len + n].copy_from_slice(&text[from..to]),
    }
    len + n
}

fn n_chars_of(bytes: &[u8], is_ascii: bool) -> usize {
    if is_ascii { bytes.len() } else { bytes.iter().filter(|&&byte| text::begins_char(byte)).count() }
}

impl Open {
    fn new(word: usize, hash: u64, again: bool) -> Self {
        Self { word, hash: hash & !1 | u64::from(again) }
    }

    fn again(self) -> bool {
        self.hash & 1 == 1
    }
}

/// Which hashes occur more than once, and a few others: a filter (after Bloom) that settles most of a text without a hash
/// table.
#[derive(Default)]
struct Marks {
    /// Of each place the bits that were marked, and those that were marked again.
    places: Vec<[u64; 2]>,
}

impl Marks {
    /// Room for `n` hashes.
    fn clear(&mut self, n: usize) {
        // Sixteen bits a hash, of which it has two: one in two hundred shares them by chance.
        self.places.clear();
        self.places.resize((n / 4 + 1).next_power_of_two(), [0; 2]);
    }

    /// Marks a hash; whether it may have been marked before. Never wrong about one that was.
    #[inline]
    fn mark(&mut self, hash: u64) -> bool {
        let (at, bits) = self.place(hash);
        let [once, twice] = &mut self.places[at];
        let again = *once & bits == bits;
        *twice |= if again { bits } else { 0 };
        *once |= bits;
        again
    }

    /// Whether the hash may have been marked more than once. Never wrong about one that was.
    #[inline]
    fn is_twice(&self, hash: u64) -> bool {
        let (at, bits) = self.place(hash);
        self.places[at][1] & bits == bits
    }

    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        let bits = 1 << (hash >> 58) | 1 << (hash >> 52 & 63);
        ((hash >> 1) as usize & (self.places.len() - 1), bits)
    }
}

/// Numbers things by their hashes, from 0 in the order they are first seen.
#[derive(Default)]
pub(super) struct Numbers {
    /// A hash table of places in `hashes`, each one more than it is; 0 is free. At most half of it is taken.
    slots: Vec<u32>,
    hashes: Vec<u64>,
}

impl Numbers {
    /// Room for `n` things.
    pub(super) fn clear(&mut self, n: usize) {
        self.slots.clear();
        self.slots.resize((2 * n).next_power_of_two(), 0);
        self.hashes.clear();
    }

    /// Gives room back that only few texts need.
    pub(super) fn shrink(&mut self) {
        shrink(&mut self.slots);
        shrink(&mut self.hashes);
    }

    /// The number of the thing with this hash, and whether it is seen for the first time.
    pub(super) fn number(&mut self, hash: u64) -> (usize, bool) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            let number = self.slots[slot] as usize - 1;
            if self.hashes[number] == hash {
                return (number, false);
            }
            slot = (slot + 1) & mask;
        }
        self.hashes.push(hash);
        self.slots[slot] = self.hashes.len() as u32;
        (self.hashes.len() - 1, true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The published rule, word for word: the most frequent n-gram's length and count.
    fn plain_top(words: &[&str], n: usize) -> usize {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for gram in words.windows(n).map(|gram| gram.join(" ")) {
            match counts.iter_mut().find(|(seen, _)| *seen == gram) {
                Some((_, count)) => *count += 1,
                None => counts.push((gram, 1)),
            }
        }
        let top = counts.iter().rev().max_by_key(|(_, count)| *count);
        top.map_or(0, |(gram, count)| text::n_chars(gram) * count)
    }

    /// The published rule, word for word: the characters in repeated n-grams.
    fn plain_repeated(words: &[&str], n: usize) -> usize {
        let mut seen = Vec::new();
        let (mut at, mut n_chars) = (0, 0);
        while at + n <= words.len() {
            let gram = words[at..at + n].concat();
            if seen.contains(&gram) {
                n_chars += text::n_chars(&gram);
                at += n;
            } else {
                seen.push(gram);
                at += 1;
            }
        }
        n_chars
    }

    /// Whether what is counted is what the plain rule gives, and is known not to exceed the limits that it does not.
    fn check(text: &str) -> Result<(), TestCaseError> {
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let limits = |plain: usize| [0, plain.saturating_sub(1), plain, plain + 1, 2 * plain, 4 * plain, usize::MAX];
        let (mut top, mut run) = (TopGrams::default(), Run::default());
        for n in 2..=4 {
            let plain = plain_top(&words, n);
            for limit in limits(plain) {
                top.take(text, &words);
                let counted = top.n_chars(n, |n_chars| n_chars <= limit);
                prop_assert!(counted.is_none() && plain <= limit || counted == Some(plain), "{counted:?} {plain} {n}");
            }
            top.take(text, &words);
            prop_assert_eq!(top.n_chars(n, |_| false), Some(plain));
        }
        run.take(text, &words);
        for n in 5..=10 {
            let plain = plain_repeated(&words, n);
            for limit in limits(plain) {
                let counted = run.n_repeated_chars(n, |n_chars| n_chars <= limit);
                prop_assert!(counted.is_none() && plain <= limit || counted == Some(plain), "{counted:?} {plain} {n}");
            }
            prop_assert_eq!(run.n_repeated_chars(n, |_| false), Some(plain));
        }
        Ok(())
    }

    #[test]
    fn a_large_text_is_settled_without_counting() {
        let text: String = (0..5000).map(|n: u32| format!("{} ", n.wrapping_mul(2_654_435_761))).collect();
        let words: Vec<&str> = text.split_whitespace().collect();
        let (mut top, mut run) = (TopGrams::default(), Run::default());
        top.take(&text, &words);
        run.take(&text, &words);
        for n in 2..=4 {
            assert_eq!(top.n_chars(n, |n_chars| n_chars * 10 <= text.len()), None);
        }
        for n in 5..=10 {
            assert_eq!(run.n_repeated_chars(n, |n_chars| n_chars * 10 <= text.len()), None);
        }
    }

    proptest! {
        #[test]
        fn the_fast_way_is_the_plain_way(text in "(([ab]{1,3}|abcdefghij|é中|[中文]) {0,2}){0,80}") {
            check(&text)?;
        }

        #[test]
        fn also_where_much_is_repeated(text in "(a b c d e f g h i j k |长江 大桥 市 长 |the quick brown fox jumps |[a-e] ){0,25}") {
            check(&text)?;
        }
    }
}
