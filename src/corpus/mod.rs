//! The corpus stages: stages that need every document. One idea a file; this table names them all.

use crate::stage::Entry;

/// Every corpus stage.
pub const ALL: &[Entry] = &[];
