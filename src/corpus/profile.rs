//! Which MinHash: our own, or one that is compatible with another tool's.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::affine::Affine;
use super::bands::Bands;
use super::shingle::{Shingler, Unit, Units};
use super::simplify::Simplified;
use super::sketch::sketch;
use crate::canonical::{canonical, composed};
use crate::doc::{Doc, KEPT};
use crate::exchange::radix::radix_sort;

/// How texts are cut into shingles, and sketched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// Shingles as above.
    #[default]
    #[serde(rename = "default")]
    Default,
    /// As datatrove 0.10 does for FineWeb: in simplified text (no punctuation, no accents, every number 0), hashed
    /// by xxHash64, sketched by its 64-bit permutations in 14 bands of 8 rows unless `floor`, `recall`, or `bands` and
    /// `rows`, say otherwise. Given the same words, signatures are the same to the bit, and words are cut as its English
    /// tokenizer does; for Chinese it uses a dictionary, where we take characters. Fewer than `n` words have no shingle.
    #[serde(rename = "datatrove-0.10")]
    Datatrove,
}

impl Profile {
    /// The bands of the published run, if the profile is one that has them.
    pub fn bands(self) -> Option<Bands> {
        match self {
            Self::Default => None,
            Self::Datatrove => Some(Bands { bands: 14, rows: 8 }),
        }
    }

    /// What shingles and sketches of `slots` slots are made by. The message says which setting does not fit.
    pub fn build(self, n: usize, unit: Unit, slots: usize) -> Result<Method, String> {
        match self {
            Self::Default => Ok(Method::Ours { shingler: Shingler { n, unit }, slots }),
            Self::Datatrove if unit != Unit::Words => {
                Err("the profile `datatrove-0.10` has shingles of words: leave out `unit`".to_owned())
            }
            Self::Datatrove => Ok(Method::Datatrove { n, permutations: Affine::new(slots) }),
        }
    }
}

/// A [`Profile`] ready to run.
#[derive(Debug, Clone)]
pub enum Method {
    /// Shingles by rolling hashes, and sketches of a few hashes a shingle.
    Ours {
        /// How texts are cut.
        shingler: Shingler,
        /// The size of a sketch.
        slots: usize,
    },
    /// Those of datatrove.
    Datatrove {
        /// How many words a shingle has.
        n: usize,
        /// What sketches are made by, a slot for each.
        permutations: Affine,
    },
}

/// What a method needs on the way: kept from one text to the next, so that nothing is allocated for each.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    units: Units,
    simplified: Simplified,
}

impl Method {
    /// The form of a text that [`Method::shingles`] is to be given.
    pub fn form<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self {
            // White space between words is nothing to them, and so need not be made canonical.
            Self::Ours { shingler: Shingler { unit: Unit::Words, .. }, .. } => composed(text),
            Self::Ours { .. } => canonical(text),
            Self::Datatrove { .. } => Cow::Borrowed(text),
        }
    }

    /// The same of a document, which may have it at hand.
    pub fn form_of<'d>(&self, doc: &'d Doc<'_>) -> &'d str {
        match self {
            Self::Ours { shingler: Shingler { unit: Unit::Words, .. }, .. } => doc.composed(),
            Self::Ours { .. } => doc.canonical(),
            Self::Datatrove { .. } => doc.text(),
        }
    }

    /// Appends the shingles of a text in its [form](Method::form), repeats included.
    pub fn shingles(&self, text: &str, scratch: &mut Scratch, out: &mut Vec<u64>) {
        match self {
            Self::Ours { shingler, .. } => shingler.shingles(text, &mut scratch.units, out),
            Self::Datatrove { n, .. } => scratch.simplified.shingles(text, *n, out),
        }
        if text.len() > KEPT {
            *scratch = Scratch::default();
        }
    }

    /// The shingles as a set: sorted, each once. Appended to `set`, which is empty.
    pub fn set(&self, text: &str, scratch: &mut Scratch, set: &mut Vec<u64>) {
        self.shingles(text, scratch, set);
        // Those of datatrove are hashes as well.
        radix_sort(set, |hash| *hash);
        set.dedup();
    }

    /// Appends the sketch of the shingles. Without any, there is none.
    pub fn sketch(&self, shingles: &[u64], out: &mut Vec<u64>) {
        match self {
            Self::Ours { slots, .. } => sketch(shingles, *slots, out),
            Self::Datatrove { permutations, .. } => permutations.sketch(shingles, out),
        }
    }
}
