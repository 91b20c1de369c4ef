//! How a normalizer writes: a text stays borrowed as long as what is kept is what was there.

use std::borrow::Cow;
use std::ops::Range;

/// A text under rewriting, from its beginning to its end.
pub(super) struct Rewrite<'t> {
    text: &'t str,
    out: String,
    /// What is kept after `out` and not copied yet.
    kept: Range<usize>,
}

impl<'t> Rewrite<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, out: String::new(), kept: 0..0 }
    }

    /// Keeps the bytes of `range`, which is not before what was kept last. What lies between is left out.
    pub(super) fn keep(&mut self, range: Range<usize>) {
        if range.start == self.kept.end {
            self.kept.end = range.end;
        } else if !range.is_empty() {
            self.copy();
            self.kept = range;
        }
    }

    /// Puts a character that was not there.
    pub(super) fn put(&mut self, c: char) {
        self.copy();
        self.kept.start = self.kept.end;
        self.out.push(c);
    }

    /// Puts some characters that were not there.
    pub(super) fn put_str(&mut self, s: &str) {
        self.copy();
        self.kept.start = self.kept.end;
        self.out.push_str(s);
    }

    fn copy(&mut self) {
        if self.out.capacity() == 0 {
            self.out.reserve(self.text.len());
        }
        self.out.push_str(&self.text[self.kept.clone()]);
    }

    /// The text, rewritten; borrowed if all of it was kept.
    pub(super) fn finish(mut self) -> Cow<'t, str> {
        if self.kept == (0..self.text.len()) && self.out.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.copy();
        Cow::Owned(self.out)
    }
}
