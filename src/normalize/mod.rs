//! The normalizers: stages that rewrite a text. One idea a file; this table names them all.

use crate::stage::Entry;

/// Every normalizer, in the order they are best applied.
pub const ALL: &[Entry] = &[];
