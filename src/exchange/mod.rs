//! How keys meet: sorted runs, merges, groups, shingle sets and their comparison. Kernels shared by every engine.
//!
//! ```text
//! keys    a task's documents send keys      -> one key file a task, its sections sorted
//! group   key files of all tasks, a section -> pairs: the first k of each group with every later member
//! sort    rows in any order, any number     -> the same rows in order, through sorted runs on a local disk
//! sets    the candidates of a task          -> one file of sets, read by row
//! verify  routed pairs, sets of both sides  -> edges: the pairs that are alike enough
//! links     edges, names of both sides      -> pairs of content keys
//! clusters  settled drops, by who stays     -> the documents that stand for others, and for how many
//! index     what all of these have said     -> what later corpora are compared with
//! ```
//!
//! Everything here holds a bounded amount of memory, given by the caller, whatever the corpus looks like:
//! rows beyond it spill to files in a [`sort::SpillDir`], and no group, however large, is held in memory.
//! Every file names its kind and carries checksums, so that a file cut short or mixed up is an error and
//! never wrong data. Which files exist, and who runs what where, is for the engines to say.

pub mod bits;
pub mod blocks;
pub mod clusters;
pub mod drops;
pub mod group;
pub mod index;
pub mod keys;
pub mod links;
pub mod names;
pub mod parts;
pub mod radix;
pub mod record;
pub mod sets;
pub mod sort;
pub mod verify;

#[cfg(test)]
mod reference;
