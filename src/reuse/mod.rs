//! How often documents were used in training, and what a further use is worth.
//!
//! A [`ledger`] is a folder with a set of Parquet files for each training run: which texts it has drawn, how often, and
//! how many tokens that were. [`recording`] writes those of a run, [`entries`] reads those of many as if they were one
//! list, [`recall`] finds in it what is known of a corpus, and [`weight`] says what follows from the number of uses.
//! [`law`] has the scaling laws that plans are made by.

pub mod entries;
pub mod key_column;
pub mod law;
pub mod ledger;
pub mod recall;
pub mod recording;
pub mod snapshot;
pub mod time;
pub mod weight;
mod window;
