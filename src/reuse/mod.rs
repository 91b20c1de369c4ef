//! How often documents were used in training, and what a further use is worth.

pub mod law;
pub mod weight;
