//! The filters: stages that judge a document. One idea a file; this table names them all.

use crate::stage::Entry;

pub mod c4;
pub mod fineweb_quality;
pub mod gopher_quality;
pub mod gopher_repetition;
pub mod symbol_ratio;
pub mod threshold;
pub mod word_count;

/// Every filter, in the order they are listed to users: cheap and general first, whole recipes last.
pub const ALL: &[Entry] = &[
    Entry::filter::<word_count::WordCount>(),
    Entry::filter::<symbol_ratio::SymbolRatio>(),
    Entry::filter::<gopher_quality::GopherQuality>(),
    Entry::filter::<gopher_repetition::GopherRepetition>(),
    Entry::editor::<c4::C4>(),
    Entry::filter::<fineweb_quality::FinewebQuality>(),
];
