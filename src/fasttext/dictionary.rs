//! The words and labels of a model, and the rows that a text stands for.

use std::io::BufRead;

use super::read::Reader;
use super::{Args, END_OF_LINE, LABEL_PREFIX};

/// A factor by which the hashes of neighbouring words are mixed; part of the format.
const NEIGHBOUR: u64 = 116_049_371;

/// The words and labels of a model.
pub(super) struct Dictionary {
    args: Args,
    /// All words and labels behind each other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// The first are words, the others labels.
    n_words: usize,
    labels: Vec<String>,
    label_counts: Vec<i64>,
    places: Slots,
    pruned: Option<Pruned>,
}

/// The buckets of n-grams that were kept when the model was made smaller, each with its new place: a table at most
/// half full, by the bucket.
struct Pruned {
    slots: Vec<(u32, u32)>,
    /// The number of rows for them.
    n_places: u64,
}

impl Dictionary {
    pub(super) fn read(reader: &mut Reader<impl BufRead>, args: &Args) -> Result<Self, String> {
        let size = reader.size("the number of words and labels", 0)?;
        let n_words = reader.size("the number of words", 0)?;
        let n_labels = reader.size("the number of labels", 1)?;
        if n_words.checked_add(n_labels) != Some(size) {
            return Err(reader.broken(&format!("{n_words} words and {n_labels} labels are not {size}")));
        }
        reader.i64("the number of tokens")?;
        let n_pruned = reader.i64("the number of n-grams kept")?;
        // The NUL that ends a word, its count and its kind.
        reader.check_room("the number of words and labels", size as i64, 10)?;
        let mut dictionary = Self {
            args: *args,
            bytes: Vec::new(),
            ends: Vec::with_capacity(size),
            n_words,
            labels: Vec::with_capacity(n_labels),
            label_counts: Vec::with_capacity(n_labels),
            places: Slots::with_room(size),
            pruned: None,
        };
        for i in 0..size {
            let word = reader.word("a word")?;
            let count = reader.i64("the count of a word")?;
            let is_label = reader.flag("whether a word is a label")?;
            if is_label != (i >= n_words) {
                return Err(reader.broken("words and labels are mixed"));
            }
            if is_label {
                let label = String::from_utf8_lossy(&word);
                dictionary.labels.push(label.strip_prefix(LABEL_PREFIX).unwrap_or(&label).to_owned());
                dictionary.label_counts.push(count);
            }
            dictionary.push(&word);
        }
        if n_pruned >= 0 {
            dictionary.pruned = Some(Pruned::read(reader, n_pruned)?);
        }
        Ok(dictionary)
    }

    /// Adds a word; one that is there already is found at its last place.
    fn push(&mut self, word: &[u8]) {
        let place = self.ends.len() as u32;
        self.bytes.extend_from_slice(word);
        self.ends.push(self.bytes.len());
        let Self { bytes, ends, places, .. } = self;
        places.insert(hash(word), place, |other| word_at(bytes, ends, other) == word);
    }

    pub(super) fn n_labels(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }

    pub(super) fn label_counts(&self) -> &[i64] {
        &self.label_counts
    }

    pub(super) fn is_pruned(&self) -> bool {
        self.pruned.is_some()
    }

    /// The number of rows that the input matrix has at least.
    pub(super) fn n_rows(&self) -> u64 {
        let n_hashed = match &self.pruned {
            Some(pruned) => pruned.n_places,
            None if self.args.has_ngrams() => self.args.bucket.into(),
            None => 0,
        };
        self.n_words as u64 + n_hashed
    }

    /// Calls `add` with the rows of a text, in the order of fastText: for each word its own and those of its character
    /// n-grams, then those of the word n-grams.
    pub(super) fn rows<'t>(
        &self,
        tokens: impl Iterator<Item = &'t str>,
        hashes: &mut Vec<u32>,
        marked: &mut Vec<u8>,
        add: &mut impl FnMut(usize),
    ) {
        hashes.clear();
        let last = std::iter::once(END_OF_LINE);
        for token in tokens.map(str::as_bytes).chain(last) {
            let hash = hash(token);
            let place = self.place(token, hash);
            let is_label = place.map_or_else(|| token.starts_with(LABEL_PREFIX.as_bytes()), |at| at >= self.n_words);
            if !is_label {
                self.word_rows(token, place, marked, add);
                hashes.push(hash);
            }
            if token == END_OF_LINE {
                break;
            }
        }
        word_ngrams(hashes, self.args.word_ngrams, self.args.bucket, &mut |bucket| self.hashed_row(bucket, add));
    }

    fn place(&self, word: &[u8], hash: u32) -> Option<usize> {
        self.places.find(hash, |place| word_at(&self.bytes, &self.ends, place) == word).map(|place| place as usize)
    }

    fn word_rows(&self, word: &[u8], place: Option<usize>, marked: &mut Vec<u8>, add: &mut impl FnMut(usize)) {
        if let Some(place) = place {
            add(place);
        }
        if self.args.maxn > 0 && word != END_OF_LINE {
            marked.clear();
            marked.push(b'<');
            marked.extend_from_slice(word);
            marked.push(b'>');
            self.char_ngram_rows(marked, add);
        }
    }

    /// The rows of the character n-grams of a word, whose ends are marked; the marks alone are none.
    fn char_ngram_rows(&self, word: &[u8], add: &mut impl FnMut(usize)) {
        let Args { minn, maxn, bucket, .. } = self.args;
        let begins = |at: usize| word.get(at).is_none_or(|&b| b & 0xc0 != 0x80);
        for begin in (0..word.len()).filter(|&at| begins(at)) {
            let mut state = Fnv::new();
            let mut end = begin;
            for n in 1..=maxn {
                if end == word.len() {
                    break;
                }
                state.add(word[end]);
                end += 1;
                while !begins(end) {
                    state.add(word[end]);
                    end += 1;
                }
                let is_mark = n == 1 && (begin == 0 || end == word.len());
                if n >= minn && !is_mark {
                    self.hashed_row(state.0 % bucket, add);
                }
            }
        }
    }

    /// The row of a bucket, if it was kept.
    fn hashed_row(&self, bucket: u32, add: &mut impl FnMut(usize)) {
        let place = match &self.pruned {
            None => Some(bucket),
            Some(pruned) => pruned.place(bucket),
        };
        if let Some(place) = place {
            add(self.n_words + place as usize);
        }
    }
}

impl Pruned {
    /// What stands in a slot without a bucket; no bucket has this number.
    const FREE: u32 = u32::MAX;

    fn read(reader: &mut Reader<impl BufRead>, n: i64) -> Result<Self, String> {
        reader.check_room("the number of n-grams kept", n, 8)?;
        let n_slots = (2 * n as usize).next_power_of_two().max(2);
        let mut pruned = Self { slots: vec![(Self::FREE, 0); n_slots], n_places: 0 };
        for _ in 0..n {
            let bucket = reader.size("a bucket", 0)? as u32;
            let place = reader.size("the place of a bucket", 0)? as u32;
            let at = pruned.slot(bucket);
            pruned.slots[at] = (bucket, place);
            pruned.n_places = pruned.n_places.max(u64::from(place) + 1);
        }
        Ok(pruned)
    }

    fn place(&self, bucket: u32) -> Option<u32> {
        let (found, place) = self.slots[self.slot(bucket)];
        (found == bucket).then_some(place)
    }

    /// The slot of a bucket, or the free one where it belongs.
    fn slot(&self, bucket: u32) -> usize {
        let mask = self.slots.len() - 1;
        // Buckets are remainders; their low bits are mixed before they choose a slot.
        let mut at = bucket.wrapping_mul(0x9e37_79b9).rotate_left(16) as usize & mask;
        while self.slots[at].0 != bucket && self.slots[at].0 != Self::FREE {
            at = (at + 1) & mask;
        }
        at
    }
}

fn word_at<'b>(bytes: &'b [u8], ends: &[usize], place: u32) -> &'b [u8] {
    let place = place as usize;
    let begin = place.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[begin..ends[place]]
}

/// A table of places by hash, at most half full. What is at a place is known to the caller.
struct Slots(Vec<u32>);

impl Slots {
    const FREE: u32 = u32::MAX;

    fn with_room(n: usize) -> Self {
        Self(vec![Self::FREE; (2 * n).next_power_of_two().max(2)])
    }

    /// Puts a place in, instead of one that is the same.
    fn insert(&mut self, hash: u32, place: u32, is_same: impl Fn(u32) -> bool) {
        let at = self.slot(hash, is_same);
        self.0[at] = place;
    }

    fn find(&self, hash: u32, is_same: impl Fn(u32) -> bool) -> Option<u32> {
        Some(self.0[self.slot(hash, is_same)]).filter(|place| *place != Self::FREE)
    }

    /// The slot that holds what is looked for, or the free one where it belongs.
    fn slot(&self, hash: u32, is_same: impl Fn(u32) -> bool) -> usize {
        let mask = self.0.len() - 1;
        let mut at = hash as usize & mask;
        while self.0[at] != Self::FREE && !is_same(self.0[at]) {
            at = (at + 1) & mask;
        }
        at
    }
}

/// Calls `add` with the buckets of the runs of 2 to `n` words, given the hashes of all words in order.
pub(super) fn word_ngrams(hashes: &[u32], n: usize, buckets: u32, add: &mut impl FnMut(u32)) {
    if n < 2 {
        return;
    }
    // Hashes were numbers with a sign, and they still are where they become wider.
    let wide = |hash: u32| i64::from(hash.cast_signed()).cast_unsigned();
    for (i, &first) in hashes.iter().enumerate() {
        let mut mixed = wide(first);
        for &next in hashes[i + 1..].iter().take(n - 1) {
            mixed = mixed.wrapping_mul(NEIGHBOUR).wrapping_add(wide(next));
            add((mixed % u64::from(buckets)) as u32);
        }
    }
}

/// The hash of a word: FNV-1a of 32 bits, except that bytes count as numbers with a sign.
pub(super) fn hash(word: &[u8]) -> u32 {
    let mut state = Fnv::new();
    word.iter().for_each(|&byte| state.add(byte));
    state.0
}

struct Fnv(u32);

impl Fnv {
    fn new() -> Self {
        Self(2_166_136_261)
    }

    fn add(&mut self, byte: u8) {
        let signed = i32::from(byte.cast_signed()).cast_unsigned();
        self.0 = (self.0 ^ signed).wrapping_mul(16_777_619);
    }
}
