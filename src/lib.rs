//! `trommel` cleans text corpora for language-model pretraining.
#![deny(missing_docs)]

pub mod annotate;
pub mod budget;
pub mod chain;
pub mod cli;
pub mod corpus;
pub mod doc;
pub mod engine;
pub mod error;
pub mod exchange;
pub mod filter;
pub mod format;
pub mod normalize;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod reuse;
pub mod run_dir;
pub mod schema;
pub mod stage;
pub mod store;
pub mod tally;
pub mod task;
pub mod text;
