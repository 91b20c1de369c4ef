//! Byte-pair encoding: how many tokens a piece of text becomes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

/// Which neighbours merge, and in what order: the pair of the lowest rank first, the leftmost of equals.
#[derive(Debug)]
pub(super) struct Bpe {
    /// What each byte begins as.
    bytes: Vec<Start>,
    /// The merge of two bytes as they begin, by both: most lookups are of these.
    byte_merges: Vec<Merge>,
    merges: HashMap<u64, Merge, BuildHasherDefault<PairHasher>>,
    /// The pieces that are one token whatever the merges say.
    whole: HashSet<Box<[u8]>>,
    /// Whether neighbouring bytes that are in no token are one.
    fuses_unknown: bool,
}

/// What a byte begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// This token.
    Token(u32),
    /// The token for what is in no other.
    Unknown(u32),
    /// Nothing: the byte is passed over.
    Nothing,
}

/// The rank of a merge and the token that it makes, in one number that is ordered by rank.
type Merge = u64;

/// Neighbours that stay apart.
const NO_MERGE: Merge = u64::MAX;

/// The most symbols that are looked through for the best merge again and again. In more of them, a heap finds it.
const SHORT: usize = 96;

impl Bpe {
    /// A model of these starts, `merges` as (left, right, rank, made) and pieces that are taken whole.
    pub(super) fn new(
        bytes: Vec<Start>,
        merges: impl Iterator<Item = (u32, u32, u32, u32)>,
        whole: HashSet<Box<[u8]>>,
        fuses_unknown: bool,
    ) -> Self {
        let mut by_pair: HashMap<u64, Merge, _> = HashMap::default();
        // Of a pair that is listed twice, the later rank counts, as in a map that is filled in order.
        by_pair.extend(merges.map(|(left, right, rank, made)| (pair(left, right), merge(rank, made))));
        let token = |b: usize| match bytes[b] {
            Start::Token(token) => Some(token),
            Start::Unknown(_) | Start::Nothing => None,
        };
        let of_bytes = |at: usize| {
            let (left, right) = (token(at >> 8)?, token(at & 0xff)?);
            by_pair.get(&pair(left, right)).copied()
        };
        let byte_merges = (0..1 << 16).map(|at| of_bytes(at).unwrap_or(NO_MERGE)).collect();
        Self { bytes, byte_merges, merges: by_pair, whole, fuses_unknown }
    }

    /// The number of tokens of a piece.
    pub(super) fn count(&self, piece: &[u8], scratch: &mut Scratch) -> usize {
        if let Some(count) = scratch.cache.get(piece) {
            return count;
        }
        let count = if self.whole.contains(piece) { 1 } else { self.merged(piece, scratch) };
        scratch.cache.put(piece, count);
        count
    }

    fn merged(&self, piece: &[u8], scratch: &mut Scratch) -> usize {
        let Scratch { symbols, merges, .. } = scratch;
        symbols.clear();
        merges.clear();
        let mut after_unknown = false;
        // The byte before, if it has a token: most pairs are found by their bytes.
        let mut before: Option<u8> = None;
        for &b in piece {
            match self.bytes[usize::from(b)] {
                Start::Nothing => continue,
                Start::Unknown(_) if after_unknown && self.fuses_unknown => continue,
                Start::Unknown(token) => {
                    if let Some(&left) = symbols.last() {
                        merges.push(self.merge_of(left, token));
                    }
                    symbols.push(token);
                    (before, after_unknown) = (None, true);
                }
                Start::Token(token) => {
                    match (before, symbols.last()) {
                        (Some(left), _) => merges.push(self.byte_merges[usize::from(left) << 8 | usize::from(b)]),
                        (None, Some(&left)) => merges.push(self.merge_of(left, token)),
                        (None, None) => {}
                    }
                    symbols.push(token);
                    (before, after_unknown) = (Some(b), false);
                }
            }
        }
        if symbols.len() <= SHORT { self.merge_short(symbols, merges) } else { self.merge_long(symbols, merges) }
    }

    /// The number of symbols that are left. `merges` are those of each symbol with the next.
    fn merge_short(&self, symbols: &mut Vec<u32>, merges: &mut Vec<Merge>) -> usize {
        loop {
            let mut best = NO_MERGE;
            let mut at = 0;
            for (i, &merge) in merges.iter().enumerate() {
                if merge < best {
                    (best, at) = (merge, i);
                }
            }
            if best == NO_MERGE {
                return symbols.len();
            }
            symbols[at] = made(best);
            symbols.remove(at + 1);
            merges.remove(at);
            if at < merges.len() {
                merges[at] = self.merge_of(symbols[at], symbols[at + 1]);
            }
            if at > 0 {
                merges[at - 1] = self.merge_of(symbols[at - 1], symbols[at]);
            }
        }
    }

    /// The same for many symbols.
    fn merge_long(&self, symbols: &mut [u32], merges: &mut [Merge]) -> usize {
        let n = symbols.len();
        let mut count = n;
        // The neighbours that are still there.
        let mut next: Vec<usize> = (1..=n).collect();
        let mut previous: Vec<usize> = (0..n).map(|i| i.wrapping_sub(1)).collect();
        let possible = merges.iter().enumerate().filter(|(_, merge)| **merge != NO_MERGE);
        let mut heap: BinaryHeap<Reverse<(Merge, usize)>> = possible.map(|(i, &merge)| Reverse((merge, i))).collect();
        while let Some(Reverse((merge, at))) = heap.pop() {
            // The pair has been merged otherwise since.
            if merges[at] != merge {
                continue;
            }
            let right = next[at];
            symbols[at] = made(merge);
            count -= 1;
            next[at] = next[right];
            // The last symbol has no merge.
            if right < merges.len() {
                merges[right] = NO_MERGE;
            }
            merges[at] = NO_MERGE;
            if next[at] < n {
                previous[next[at]] = at;
                merges[at] = self.merge_of(symbols[at], symbols[next[at]]);
                if merges[at] != NO_MERGE {
                    heap.push(Reverse((merges[at], at)));
                }
            }
            if at > 0 {
                let left = previous[at];
                merges[left] = self.merge_of(symbols[left], symbols[at]);
                if merges[left] != NO_MERGE {
                    heap.push(Reverse((merges[left], left)));
                }
            }
        }
        count
    }

    fn merge_of(&self, left: u32, right: u32) -> Merge {
        self.merges.get(&pair(left, right)).copied().unwrap_or(NO_MERGE)
    }
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

fn merge(rank: u32, made: u32) -> Merge {
    u64::from(rank) << 32 | u64::from(made)
}

fn made(merge: Merge) -> u32 {
    (merge & u64::from(u32::MAX)) as u32
}

/// Spreads the bits of a pair. Who writes a tokenizer file is trusted not to choose pairs that collide.
#[derive(Debug, Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, n: u64) {
        let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ spread >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What one thread needs to count, kept from text to text.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    cache: Cache,
    symbols: Vec<u32>,
    merges: Vec<Merge>,
}

/// The counts of pieces met before. A piece puts out another in its place, so that the cache never grows; what it
/// knows is true of any text, so a count is the same whatever was counted before.
#[derive(Debug)]
struct Cache(Vec<Known>);

/// A piece and its count. No piece is empty.
#[derive(Debug, Clone, Copy)]
struct Known {
    piece: [u8; LONGEST],
    len: u8,
    count: u8,
}

/// The longest piece that is remembered, in bytes.
const LONGEST: usize = 30;

/// The number of places in the cache: it takes 1 MB.
const PLACES: usize = 1 << 15;

impl Default for Cache {
    fn default() -> Self {
        Self(vec![Known { piece: [0; LONGEST], len: 0, count: 0 }; PLACES])
    }
}

impl Cache {
    fn get(&self, piece: &[u8]) -> Option<usize> {
        if piece.len() > LONGEST {
            return None;
        }
        let known = &self.0[place(piece)];
        let same = usize::from(known.len) == piece.len() && known.piece[..piece.len()] == *piece;
        same.then_some(usize::from(known.count))
    }

    fn put(&mut self, piece: &[u8], count: usize) {
        if let (true, Ok(len), Ok(count)) = (piece.len() <= LONGEST, piece.len().try_into(), count.try_into()) {
            let known = &mut self.0[place(piece)];
            known.piece[..piece.len()].copy_from_slice(piece);
            (known.len, known.count) = (len, count);
        }
    }
}

fn place(piece: &[u8]) -> usize {
    (xxh3_64(piece) % PLACES as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes as they are, and these merges of neighbours, each to the next number from 256 on.
    fn model(merges: &[(u32, u32)], fuses_unknown: bool, start: impl Fn(u8) -> Start) -> Bpe {
        let merges = merges.iter().zip(0..).map(|(&(left, right), rank)| (left, right, rank, 256 + rank));
        Bpe::new((0..=u8::MAX).map(start).collect(), merges, HashSet::new(), fuses_unknown)
    }

    fn plain(merges: &[(u32, u32)]) -> Bpe {
        model(merges, false, |b| Start::Token(b.into()))
    }

    #[track_caller]
    fn check(bpe: &Bpe, piece: &str, expected: usize) {
        let mut scratch = Scratch::default();
        assert_eq!(bpe.count(piece.as_bytes(), &mut scratch), expected, "{piece}");
        assert_eq!(bpe.count(piece.as_bytes(), &mut scratch), expected, "{piece}, remembered");
    }

    const A: u32 = b'a' as u32;
    const B: u32 = b'b' as u32;

    #[test]
    fn the_lowest_rank_merges_first() {
        check(&plain(&[(A, B), (B, A)]), "aba", 2);
        check(&plain(&[(A, B), (256, A)]), "aba", 1);
        // `ba` merges before `ab` can.
        check(&plain(&[(B, A), (A, B), (257, A)]), "aba", 2);
    }

    #[test]
    fn the_leftmost_of_equals_merges_first() {
        check(&plain(&[(A, A), (256, A)]), "aaa", 1);
        check(&plain(&[(A, A), (A, 256)]), "aaa", 2);
    }

    #[test]
    fn what_is_in_no_token_is_passed_over_or_unknown() {
        let start = |missing| move |b: u8| if b == b'x' { missing } else { Start::Token(b.into()) };
        check(&model(&[(A, B)], false, start(Start::Nothing)), "axb", 1);
        check(&model(&[(A, B)], false, start(Start::Unknown(999))), "axxb", 4);
        check(&model(&[(A, B)], true, start(Start::Unknown(999))), "axxb", 3);
    }

    #[test]
    fn a_piece_can_be_whole() {
        let starts = (0..=u8::MAX).map(|b| Start::Token(b.into())).collect();
        let bpe = Bpe::new(starts, std::iter::empty(), HashSet::from([b"abc".as_slice().into()]), false);
        check(&bpe, "abc", 1);
        check(&bpe, "abcd", 4);
    }

    /// Merges one pair after the other, all places of it at once: as byte-pair encoding is defined.
    fn by_definition(bpe: &Bpe, piece: &[u8]) -> usize {
        let mut symbols: Vec<u32> = piece.iter().map(|&b| b.into()).collect();
        loop {
            let best = symbols.windows(2).map(|two| bpe.merge_of(two[0], two[1])).min().unwrap_or(NO_MERGE);
            if best == NO_MERGE {
                return symbols.len();
            }
            let at = symbols.windows(2).position(|two| bpe.merge_of(two[0], two[1]) == best).expect("it was found");
            symbols.splice(at..at + 2, [made(best)]);
        }
    }

    proptest! {
        #[test]
        fn short_and_long_pieces_are_merged_as_defined(
            merges in prop::collection::vec((0u32..14, 0u32..14), 1..40),
            piece in prop::collection::vec(0u8..4, 0..140),
        ) {
            // Numbers from 4 on stand for the tokens made so far.
            let merges: Vec<(u32, u32)> = merges
                .iter()
                .zip(0..)
                .map(|(&(left, right), made)| {
                    let token = |n: u32| if n < 4 || made == 0 { n % 4 } else { 256 + (n - 4) % made };
                    (token(left), token(right))
                })
                .collect();
            // Each pair once.
            let mut seen = HashSet::new();
            let merges: Vec<_> = merges.into_iter().filter(|pair| seen.insert(*pair)).collect();
            let known = 256 + merges.len() as u32;
            prop_assume!(merges.iter().all(|&(left, right)| left < known && right < known));
            let bpe = plain(&merges);
            let expected = by_definition(&bpe, &piece);
            let symbols: Vec<u32> = piece.iter().map(|&b| b.into()).collect();
            let pairs: Vec<Merge> = symbols.windows(2).map(|two| bpe.merge_of(two[0], two[1])).collect();
            prop_assert_eq!(bpe.merge_short(&mut symbols.clone(), &mut pairs.clone()), expected);
            prop_assert_eq!(bpe.merge_long(&mut symbols.clone(), &mut pairs.clone()), expected);
            prop_assert_eq!(bpe.count(&piece, &mut Scratch::default()), expected);
        }
    }

    #[test]
    fn a_giant_piece_is_merged() {
        let n = 1 << 18;
        check(&plain(&[(A, A), (256, 256)]), &"a".repeat(n), n / 4);
    }
}
