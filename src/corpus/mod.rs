//! The corpus stages: stages that need every document. One idea a file; this table names them all.

use crate::stage::Entry;

pub mod exact;
pub mod minhash;
pub mod reuse;

// What they are made of.
pub mod affine;
pub mod anchors;
mod audit;
pub mod bands;
pub mod components;
pub mod duplicates;
mod earlier;
mod english;
mod hash;
pub mod keep;
pub mod profile;
mod rolling;
pub mod shingle;
pub mod simplify;
pub mod sketch;

/// Every corpus stage, in the order they are listed to users.
pub const ALL: &[Entry] =
    &[Entry::corpus::<exact::Exact>(), Entry::corpus::<minhash::MinHash>(), Entry::corpus::<reuse::Reuse>()];
