//! `trommel` cleans text corpora for language-model pretraining: text in, judgement out, and nothing is lost
//! that is not accounted for.
//!
//! This page is the map of the code; ARCHITECTURE.md tells how a run works.
//!
//! - **One document.** [`encoding`] makes text of bytes, [`codepage`] knows what was decoded wrongly, [`text`] cuts and
//!   classifies characters, [`tokenize`] finds the words that published recipes count, [`tokenizer`] counts tokens as a
//!   model does, [`pii`] finds what points at a person, [`fasttext`] asks classifiers; a [`doc::Doc`] is what a stage sees. [`stage`] says what stages
//!   may do: a normalizer cannot drop, a filter cannot rewrite.
//! - **The stages**, one idea a file: [`normalize`], [`filter`], [`annotate`] look at one document, [`corpus`] at
//!   all of them. Each folder's `ALL` is the list of its stages.
//! - **From a file of settings to work.** [`pipeline`] reads TOML, checks all of it and cuts it into passes;
//!   [`plan`] cuts the input into tasks, [`schema`] makes one schema of many files.
//! - **Work.** [`chain`] is the only loop over documents; [`task`] takes one task through one pass; [`exchange`]
//!   lets keys of different documents meet, also with those of an [index](exchange::index) of earlier corpora; an [`engine`] decides where all that happens.
//!   With the feature `cluster`, the module `cluster` takes waves of tasks to other machines.
//!   [`sample`] draws so many tokens for a training run.
//! - **The world.** [`store`] is folders and buckets, [`format`](mod@format) Parquet and JSON Lines, [`run_dir`] what lies where in
//!   a run's folder, [`report`] what happened, [`budget`] and [`tally`] the memory and the sums on the way,
//!   [`reuse`] what training runs have used and what a further use is worth, [`cli`] the commands.
//!
//! A stage is built from its settings and asked about a text:
//!
//! ```
//! use trommel::doc::Doc;
//! use trommel::filter::word_count::WordCount;
//! use trommel::stage::{Filter, Settings, Verdict};
//!
//! let settings: WordCount = toml::from_str("min = 4")?;
//! let filter = settings.build()?;
//!
//! assert_eq!(filter.judge(&Doc::bare("Enough words for a document.")), Verdict::Keep);
//! assert_eq!(filter.judge(&Doc::bare("Too few.")).to_string(), "too_few_words 3 (threshold 4)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]

pub mod alike;
pub mod annotate;
pub mod budget;
pub mod canonical;
pub mod chain;
pub mod cli;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod codepage;
pub mod corpus;
pub mod doc;
pub mod encoding;
pub mod engine;
pub mod error;
pub mod exchange;
pub mod fasttext;
pub mod filter;
pub mod fleet;
pub mod format;
pub mod normalize;
pub mod pairs;
pub mod pii;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod reuse;
pub mod run_dir;
pub mod sample;
pub mod schema;
pub mod stage;
pub mod store;
pub mod tally;
pub mod task;
pub mod text;
pub mod tokenize;
pub mod tokenizer;
pub mod vector;
