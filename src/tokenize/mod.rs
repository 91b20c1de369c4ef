//! Words and sentences as published recipes count them: token for token those of datatrove 0.10.
//!
//! datatrove's words are those of spaCy's blank pipelines, `en` for English ([`english`]) and `xx` for languages that
//! have no tokenizer of their own ([`multi`]). The two share their rules and differ in their special cases.
//! [`text::words`](crate::text::words) are our own words, simpler and the same for all languages.

pub mod english;
pub mod multi;

mod chars;
mod rules;
mod sentences;
mod special;
mod url;

/// Where in a text a part of it begins.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// What lies between a part of a text and a later one.
fn gap<'t>(text: &'t str, part: &str, next: &str) -> &'t str {
    &text[offset(text, part) + part.len()..offset(text, next)]
}
