//! Special cases: words that are taken apart, or kept together, against the rules.

/// Special cases, found by their text.
pub(super) struct Specials {
    cases: Vec<Special>,
    /// An open-addressed hash table: part of the hash, and the number of the case, counted from 1. 0 is empty.
    slots: Vec<(u32, u32)>,
    /// A bit for the hash of each case, eight times as many as there are slots: most texts are none, and this is
    /// small enough to stay at hand.
    hints: Vec<u64>,
    longest: usize,
    most_words: usize,
}

/// A word, and how it is cut.
pub(super) struct Special {
    text: Box<str>,
    /// The bytes of each piece.
    pieces: Box<[u8]>,
    /// The bytes of each word that the rules alone would make of it.
    by_rules: Box<[u8]>,
}

impl Special {
    /// The case of these pieces, and the words that the rules alone would make of it.
    pub(super) fn new(pieces: &[String], by_rules: &[&str]) -> Self {
        let length = |text: &str| u8::try_from(text.len()).expect("special cases are short");
        Self {
            text: pieces.concat().into(),
            pieces: pieces.iter().map(|piece| length(piece)).collect(),
            by_rules: by_rules.iter().map(|piece| length(piece)).collect(),
        }
    }

    /// The bytes of each piece.
    pub(super) fn pieces(&self) -> impl Iterator<Item = usize> {
        self.pieces.iter().map(|&length| usize::from(length))
    }

    /// Whether the rules alone would cut it otherwise.
    pub(super) fn is_cut_otherwise(&self) -> bool {
        self.pieces != self.by_rules
    }

    /// Whether these words, which side by side are the text of the case, are what the rules make of it.
    pub(super) fn is_made_of(&self, words: &[&str]) -> bool {
        words.len() == self.by_rules.len()
            && words.iter().zip(&self.by_rules).all(|(word, &n)| word.len() == usize::from(n))
    }
}

impl Specials {
    /// The table of these cases.
    pub(super) fn new(cases: Vec<Special>) -> Self {
        let longest = cases.iter().map(|case| case.text.len()).max().unwrap_or(0);
        let most_words = cases.iter().map(|case| case.by_rules.len()).max().unwrap_or(0);
        let mut slots = vec![(0, 0); (4 * cases.len()).next_power_of_two()];
        let mut hints = vec![0; slots.len().div_ceil(8)];
        for (number, case) in (1..).zip(&cases) {
            let hash = hash(case.text.as_bytes());
            let (word, bit) = hint(&hints, hash);
            hints[word] |= bit;
            let mut at = hash as usize & (slots.len() - 1);
            while slots[at].1 != 0 {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = ((hash >> 32) as u32, number);
        }
        Self { cases, slots, hints, longest, most_words }
    }

    /// The case of this text, if it is one.
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<&Special> {
        if text.len() > self.longest {
            return None;
        }
        let hash = hash(text);
        let (word, bit) = hint(&self.hints, hash);
        if self.hints[word] & bit == 0 { None } else { self.find_hashed(text, hash) }
    }

    fn find_hashed(&self, text: &[u8], hash: u64) -> Option<&Special> {
        let mut at = hash as usize & (self.slots.len() - 1);
        loop {
            let (tag, number) = self.slots[at];
            let case = self.cases.get((number as usize).checked_sub(1)?)?;
            if tag == (hash >> 32) as u32 && case.text.as_bytes() == text {
                return Some(case);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// The bytes of the longest case.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The most words that the rules make of a case.
    pub(super) fn most_words(&self) -> usize {
        self.most_words
    }
}

/// Which word and which bit of it hold the hint for a hash.
#[inline]
fn hint(hints: &[u64], hash: u64) -> (usize, u64) {
    ((hash as usize / 64) & (hints.len() - 1), 1 << (hash % 64))
}

/// A hash of both ends of the text and of its length.
#[inline]
fn hash(text: &[u8]) -> u64 {
    let (head, tail) = match text {
        [] => (0, 0),
        [a] => (u64::from(*a), 0),
        [a, b] => (u64::from(*a), u64::from(*b)),
        [a, b, c] => (u64::from(*a) | u64::from(*b) << 8, u64::from(*c)),
        _ => match (text.first_chunk(), text.last_chunk()) {
            (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
            _ => {
                let four = |chunk: Option<&[u8; 4]>| chunk.map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)));
                (four(text.first_chunk()), four(text.last_chunk()))
            }
        },
    };
    // The multiplier is 2^64 over the golden ratio.
    let mixed = (head ^ tail.rotate_left(29) ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}
