//! How much of a document is in pieces, such as lines, that repeat an earlier one.

use std::cell::RefCell;

use memchr::memmem::Finder;
use xxhash_rust::xxh3::xxh3_64;

use crate::text;

/// A text cut at every run of line feeds that begins with `cut`. Where the text begins or ends with such a run there
/// is an empty piece, as `re.split` leaves it.
pub(super) fn pieces<'t>(text: &'t str, cut: &'static str) -> impl Iterator<Item = &'t str> {
    let finder = Finder::new(cut);
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = finder.find(text.as_bytes()) else {
            return rest.take();
        };
        rest = Some(text[at..].trim_start_matches('\n'));
        Some(&text[..at])
    })
}

/// How many of a document's pieces repeat an earlier one; the first copy is free.
///
/// They are told apart by 64-bit hashes.
#[derive(Default)]
pub(super) struct Duplicates {
    n_pieces: usize,
    n_duplicates: usize,
    /// The characters of the duplicates.
    pub(super) n_chars: usize,
}

thread_local! {
    /// The table is needed for every document, and nearly all are small.
    static SEEN: RefCell<Seen> = RefCell::default();
}

impl Duplicates {
    pub(super) fn among<'t>(pieces: impl Iterator<Item = &'t str>) -> Self {
        SEEN.with_borrow_mut(|seen| {
            seen.clear(16);
            let mut found = Self::default();
            for piece in pieces {
                found.n_pieces += 1;
                if !seen.insert(xxh3_64(piece.as_bytes())) {
                    found.n_duplicates += 1;
                    found.n_chars += text::n_chars(piece);
                }
            }
            seen.shrink();
            found
        })
    }

    pub(super) fn share(&self) -> f64 {
        self.n_duplicates as f64 / self.n_pieces as f64
    }
}

/// A set of hashes, emptied for one text after the other.
#[derive(Default)]
pub(super) struct Seen {
    /// A hash table, in which 0 is free. At most half of it is taken.
    slots: Vec<u64>,
    n: usize,
}

impl Seen {
    /// Empties it; there is room for `n` hashes before it grows.
    pub(super) fn clear(&mut self, n: usize) {
        self.slots.clear();
        self.slots.resize((2 * n).next_power_of_two(), 0);
        self.n = 0;
    }

    /// Gives room back that only few texts need.
    pub(super) fn shrink(&mut self) {
        shrink(&mut self.slots);
    }

    /// Whether the hash is seen for the first time.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64) -> bool {
        // The last bit makes it other than free.
        let is_new = self.put(hash | 1);
        self.n += usize::from(is_new);
        if 2 * self.n > self.slots.len() {
            let slots = vec![0; 4 * self.n.next_power_of_two()];
            for hash in std::mem::replace(&mut self.slots, slots) {
                if hash != 0 {
                    self.put(hash);
                }
            }
        }
        is_new
    }

    #[inline]
    fn put(&mut self, hash: u64) -> bool {
        let mask = self.slots.len() - 1;
        let mut slot = (hash >> 1) as usize & mask;
        while self.slots[slot] != 0 {
            if self.slots[slot] == hash {
                return false;
            }
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = hash;
        true
    }
}

/// Gives back room for more than a text of a megabyte or so needs: a thread keeps what it has for the texts to come.
pub(super) fn shrink<T>(room: &mut Vec<T>) {
    const KEPT: usize = 1 << 18;
    if room.capacity() > KEPT {
        *room = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, cut: &'static str, expected: [usize; 3]) {
        let found = Duplicates::among(pieces(text, cut));
        assert_eq!([found.n_pieces, found.n_duplicates, found.n_chars], expected, "{text:?}");
    }

    #[test]
    fn the_first_copy_is_free() {
        check("é\n中\né\né", "\n", [4, 2, 2]);
        check("a\nb\n\na\nb\n\n\na\nb", "\n\n", [3, 2, 6]);
        check("", "\n", [1, 0, 0]);
    }

    #[test]
    fn empty_pieces_are_at_the_ends_only() {
        check("\n\na\n\n\nb\n", "\n", [4, 1, 0]);
        check("a\n\n", "\n\n", [2, 0, 0]);
    }

    #[test]
    fn a_set_grows_and_is_emptied() {
        let mut seen = Seen::default();
        for n in [1000, 3] {
            seen.clear(1);
            let hashes = || (0..n).map(|i: u64| xxh3_64(&i.to_le_bytes()));
            assert!(hashes().all(|hash| seen.insert(hash)));
            assert!(!hashes().any(|hash| seen.insert(hash)));
        }
    }
}
