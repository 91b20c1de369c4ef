//! `trommel` cleans text corpora for language-model pretraining.
#![deny(missing_docs)]

pub mod annotate;
pub mod corpus;
pub mod doc;
pub mod error;
pub mod exchange;
pub mod filter;
pub mod normalize;
pub mod reuse;
pub mod stage;
pub mod store;
pub mod text;
