//! The annotators: stages that add columns. One idea a file; this table names them all.

use crate::stage::Entry;

pub mod content_key;

/// Every annotator.
pub const ALL: &[Entry] = &[Entry::annotator::<content_key::ContentKey>()];
