//! Classifiers in the file format of fastText (Joulin et al. 2016, arXiv 1607.01759; Bojanowski et al. 2017,
//! arXiv 1607.04606): read, asked, trained and written.
//!
//! [`Model::load`] reads what fastText 0.9.2 writes for supervised models, version 11 and 12 of its format: `.bin`,
//! and `.ftz` with product quantisation (Joulin et al. 2016, arXiv 1612.03651). [`Model::predict`] gives the labels and
//! probabilities that fastText itself gives for a line of text.
//!
//! A text is taken as one line: line ends are white space like any other. It is cut at the bytes that fastText cuts at
//! (space, tab, line feed, vertical tab, form feed, carriage return and NUL), and no others, so a no-break space or an
//! ideographic space is part of a word. As there, a word `</s>` ends the text, and words that begin with `__label__` are
//! not looked at.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::error::{Error, Result};
use dictionary::Dictionary;
use matrix::Matrix;
use output::Loss;
use read::Reader;

mod dictionary;
mod matrix;
mod output;
mod read;
pub mod train;
pub mod units;

pub use output::Prediction;
pub use units::Units;

/// What labels begin with in training files and in models. It is left out where labels are shown or asked for.
pub const LABEL_PREFIX: &str = "__label__";

/// The word that ends a line.
const END_OF_LINE: &[u8] = b"</s>";

/// The first bytes of a model, as a number.
const MAGIC: i32 = 793_712_314;

/// The newest version of the format there is.
const VERSION: i32 = 12;

/// A classifier, ready to be asked from many threads at once.
pub struct Model {
    dictionary: Dictionary,
    input: Matrix,
    output: Matrix,
    loss: Loss,
    digest: u128,
}

/// The settings at the head of a model, as far as they matter once it is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Args {
    dim: usize,
    word_ngrams: usize,
    /// The number of rows that hashed n-grams share.
    bucket: u32,
    minn: usize,
    maxn: usize,
    loss: i32,
}

/// Room to work in, kept from text to text.
#[derive(Default)]
struct Scratch {
    hidden: Vec<f32>,
    scores: Vec<f32>,
    hashes: Vec<u32>,
    word: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Model {
    /// Reads a model file. The message of an error names the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(path.display(), error);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::refused(format!("{}: this is a folder, expected a model file", path.display())));
        }
        Self::read(BufReader::with_capacity(1 << 16, file), metadata.len())
            .map_err(|message| Error::refused(format!("{}: {message}", path.display())))
    }

    /// Reads a model of `size` bytes. The message says what is wrong, and at which byte.
    pub fn read(source: impl BufRead, size: u64) -> Result<Self, String> {
        let mut reader = Reader::new(source, size);
        let args = Args::read(&mut reader)?;
        let dictionary = Dictionary::read(&mut reader, &args)?;
        let is_quantised = reader.flag("whether the input is quantised")?;
        if !is_quantised && dictionary.is_pruned() {
            return Err(
                "its dictionary is pruned, but its matrix is not quantised; fastText cannot use it either".into()
            );
        }
        let input = Matrix::read(&mut reader, is_quantised, "input", args.dim)?;
        let needed = dictionary.n_rows();
        if (input.n_rows() as u64) < needed {
            let n_rows = input.n_rows();
            return Err(format!("its input matrix has {n_rows} rows, but its words and n-grams need {needed}"));
        }
        let is_output_quantised = reader.flag("whether the output is quantised")?;
        let output = Matrix::read(&mut reader, is_quantised && is_output_quantised, "output", args.dim)?;
        if output.n_rows() != dictionary.n_labels() {
            let (n_rows, n_labels) = (output.n_rows(), dictionary.n_labels());
            return Err(format!("its output matrix has {n_rows} rows, but there are {n_labels} labels"));
        }
        let loss = Loss::new(args.loss, dictionary.label_counts())?;
        Ok(Self { dictionary, input, output, loss, digest: reader.digest() })
    }

    /// Names the bytes the model was read from: two files of one digest are the same file.
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// The labels, without their prefix, in the order of the model: the most frequent in training first.
    pub fn labels(&self) -> &[String] {
        self.dictionary.labels()
    }

    /// The place of a label in [`Model::labels`]; its prefix may be there or not.
    pub fn label(&self, name: &str) -> Option<usize> {
        let bare = name.strip_prefix(LABEL_PREFIX).unwrap_or(name);
        self.labels().iter().position(|label| label == bare)
    }

    /// The `k` most probable labels of a text whose probability is `threshold` or more, the most probable first.
    ///
    /// fastText adds 0.00001 to probabilities; so do these, except that they end at 1. There are none for a text in
    /// which the model knows nothing, not even the end of a line.
    pub fn predict(&self, text: &str, units: Units, k: usize, threshold: f32) -> Vec<Prediction> {
        self.with_hidden(text, units, Vec::new(), |hidden, scores| {
            self.loss.predict(&self.output, hidden, scores, k, threshold)
        })
    }

    /// The probability of one label of [`Model::labels`], as [`Model::predict`] would give it if it gave them all.
    /// None for a text in which the model knows nothing.
    pub fn probability(&self, text: &str, units: Units, label: usize) -> Option<f32> {
        self.with_hidden(text, units, None, |hidden, scores| {
            Some(self.loss.probability(&self.output, hidden, scores, label))
        })
    }

    /// The most probable label of a text, and the probability of one of [`Model::labels`], or else of that one: as
    /// [`Model::predict`] and [`Model::probability`] give them, at the cost of reading the text once.
    pub fn top(&self, text: &str, units: Units, asked: Option<usize>) -> Option<(Prediction, f32)> {
        self.with_hidden(text, units, None, |hidden, scores| {
            let top = self.loss.predict(&self.output, hidden, scores, 1, 0.0).pop()?;
            let other = asked.filter(|&label| label != top.label);
            let probability = |label| self.loss.probability(&self.output, hidden, scores, label);
            Some((top, other.map_or(top.probability, probability)))
        })
    }

    /// Calls `ask` with the mean of the rows of all that is known in a text, if anything is.
    fn with_hidden<T>(&self, text: &str, units: Units, unknown: T, ask: impl FnOnce(&[f32], &mut Vec<f32>) -> T) -> T {
        SCRATCH.with_borrow_mut(|Scratch { hidden, scores, hashes, word }| {
            hidden.clear();
            hidden.resize(self.input.n_columns(), 0.0);
            let mut n = 0u32;
            self.dictionary.rows(units.tokens(text), hashes, word, &mut |row| {
                self.input.add_row(row, hidden);
                n += 1;
            });
            if n == 0 {
                return unknown;
            }
            // A giant is not remembered.
            hashes.shrink_to(1 << 16);
            let share = (1.0 / f64::from(n)) as f32;
            hidden.iter_mut().for_each(|x| *x *= share);
            ask(hidden, scores)
        })
    }
}

impl Args {
    fn read(reader: &mut Reader<impl BufRead>) -> Result<Self, String> {
        reader.head()?;
        let version = reader.i32("the version")?;
        if !(11..=VERSION).contains(&version) {
            return Err(format!("its format is of version {version}, expected 11 or {VERSION}"));
        }
        let dim = reader.size("the dimension", 1)?;
        for setting in ["the window", "the epochs", "the least count", "the negatives"] {
            reader.i32(setting)?;
        }
        let word_ngrams = reader.size("the length of word n-grams", 0)?;
        let loss = reader.i32("the loss")?;
        let model = reader.i32("the kind of model")?;
        if model != 3 {
            let kind = match model {
                1 => "word vectors (cbow)",
                2 => "word vectors (skipgram)",
                _ => "an unknown kind",
            };
            return Err(format!("it is a model of {kind}, expected a classifier (`fasttext supervised`)"));
        }
        let bucket = reader.size("the number of buckets", 0)? as u32;
        let minn = reader.size("the least length of character n-grams", 0)?;
        let mut maxn = reader.size("the greatest length of character n-grams", 0)?;
        reader.i32("the rate of updates")?;
        reader.f64("the sampling threshold")?;
        if version == 11 {
            // Classifiers of that time were saved with a length that they did not use.
            maxn = 0;
        }
        let args = Self { dim, word_ngrams, bucket, minn, maxn, loss };
        if bucket == 0 && args.has_ngrams() {
            return Err("it has n-grams, but no buckets for them".into());
        }
        Ok(args)
    }

    /// Whether anything but whole words has rows.
    fn has_ngrams(&self) -> bool {
        self.word_ngrams > 1 || self.maxn > 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// What fastText 0.9.2 says; `tests/golden/fasttext_models.py` makes it.
    #[derive(Deserialize)]
    struct Golden {
        texts: Vec<String>,
        models: BTreeMap<String, Vec<Vec<(String, f32)>>>,
    }

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/fasttext");

    fn golden() -> Golden {
        let text = std::fs::read_to_string(format!("{FOLDER}/predictions.json")).expect("it belongs to the project");
        serde_json::from_str(&text).expect("it is as the script writes it")
    }

    fn bytes(name: &str) -> Vec<u8> {
        std::fs::read(format!("{FOLDER}/{name}")).expect("it belongs to the project")
    }

    fn model(bytes: &[u8]) -> Result<Model, String> {
        Model::read(bytes, bytes.len() as u64)
    }

    fn named(model: &Model, found: &[Prediction]) -> Vec<(String, f32)> {
        found.iter().map(|found| (model.labels()[found.label].clone(), found.probability)).collect()
    }

    /// Whether two lists of predictions agree. Labels of the same probability may change places, and the last one may
    /// be another of its probability.
    fn agree(ours: &[(String, f32)], theirs: &[(String, f32)]) -> bool {
        let close = |a: f32, b: f32| (a - b.min(1.0)).abs() < 2e-6;
        let last = theirs.last().map_or(0.0, |(_, probability)| *probability);
        let is_theirs = |(label, probability): &(String, f32)| {
            close(*probability, last) || theirs.iter().any(|(other, _)| other == label)
        };
        ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(ours, theirs)| close(ours.1, theirs.1))
            && ours.iter().all(is_theirs)
    }

    #[test]
    fn predictions_are_those_of_fasttext() {
        let golden = golden();
        assert_eq!(golden.models.len(), 26);
        for (name, expected) in &golden.models {
            let model = Model::load(Path::new(&format!("{FOLDER}/{name}"))).expect(name);
            for (text, expected) in golden.texts.iter().zip(expected) {
                let found = named(&model, &model.predict(text, Units::Spaces, 2, 0.0));
                assert!(agree(&found, expected), "{name}, {text:?}: {found:?}, expected {expected:?}");
                let best = named(&model, &model.predict(text, Units::Spaces, 1, 0.0));
                assert_eq!(best[0].1, found[0].1, "{name}, {text:?}");
            }
        }
    }

    #[test]
    fn the_probability_of_a_label_is_the_predicted_one() {
        for name in golden().models.into_keys() {
            let model = model(&bytes(&name)).expect(&name);
            for text in ["the boat lay on the mud", "dough", ""] {
                let all = model.predict(text, Units::Spaces, usize::MAX, 0.0);
                assert!(!all.is_empty());
                for found in all {
                    let own = model.probability(text, Units::Spaces, found.label);
                    let best = model.predict(text, Units::Spaces, 1, 0.0);
                    assert_eq!(model.top(text, Units::Spaces, Some(found.label)), best.first().copied().zip(own));
                    assert_eq!(own, Some(found.probability), "{name}, {text:?}");
                }
            }
        }
    }

    #[test]
    fn a_threshold_leaves_out_what_is_below() {
        let model = model(&bytes("softmax-words1-chars0.bin")).expect("sound");
        let all = model.predict("the boat", Units::Spaces, 9, 0.0);
        assert_eq!(all.len(), 6);
        assert!(all.is_sorted_by(|a, b| a.probability >= b.probability));
        let limit = all[1].probability;
        let some = model.predict("the boat", Units::Spaces, 9, limit - 2e-5);
        assert_eq!(some, all[..some.len()]);
        assert!(some.len() >= 2 && some.len() < 6, "{all:?}");
        assert_eq!(model.predict("the boat", Units::Spaces, 0, 0.0), []);
    }

    #[test]
    fn line_ends_are_spaces() {
        let model = model(&bytes("hs-words2-chars4.bin")).expect("sound");
        let predict = |text| model.predict(text, Units::Spaces, 3, 0.0);
        assert_eq!(predict("the boat\nlay\r\non the mud\n"), predict("the boat lay on the mud"));
    }

    #[test]
    fn labels_are_known_with_their_prefix_and_without() {
        let model = model(&bytes("softmax-words1-chars0.bin")).expect("sound");
        assert_eq!(model.label("茶"), model.label("__label__茶"));
        assert!(model.label("茶").is_some());
        assert_eq!(model.label("tea"), None);
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], expected: &str) {
        assert_eq!(model(bytes).map(drop).expect_err("a broken model"), expected);
    }

    #[test]
    fn other_files_are_told_from_models() {
        check_refused(b"", "it has 0 bytes; expected a .bin or .ftz model of fastText");
        check_refused(
            b"2 3\nthe 0.1 0.2 0.3\n",
            "it is a text file, perhaps word vectors (.vec); expected a .bin or .ftz model of fastText",
        );
        check_refused(
            &[0x1f, 0x8b, 8, 0, 0],
            "it is compressed (gzip), unpack it first; expected a .bin or .ftz model of fastText",
        );
        check_refused(
            &[0xff, 0xd8, 0xff, 0xe0],
            "it begins with the bytes [ff, d8, ff, e0]; expected a .bin or .ftz model of fastText",
        );
        let sound = bytes("softmax-words1-chars0.bin");
        let with = |at: usize, number: i32| [&sound[..at], &number.to_le_bytes(), &sound[at + 4..]].concat();
        check_refused(&with(4, 13), "its format is of version 13, expected 11 or 12");
        check_refused(
            &with(36, 2),
            "it is a model of word vectors (skipgram), expected a classifier (`fasttext supervised`)",
        );
        check_refused(&with(32, 9), "its loss has the number 9, expected 1 (hs), 2 (ns), 3 (softmax) or 4 (ova)");
        check_refused(&with(8, 0), "broken model, at byte 12: the dimension is 0, expected 1 or more");
        check_refused(
            &with(8, 5),
            "broken model, at byte 1601: the input matrix has 4 columns, the model 5 dimensions",
        );
    }

    #[test]
    fn a_size_that_cannot_be_is_not_believed() {
        let sound = bytes("softmax-words1-chars0.bin");
        // The number of words, then of all words and labels.
        let mut broken = sound.clone();
        broken[64..68].copy_from_slice(&i32::MAX.to_le_bytes());
        assert!(model(&broken).is_err());
        broken[68..72].copy_from_slice(&(i32::MAX - 6).to_le_bytes());
        let message = model(&broken).map(drop).expect_err("broken");
        assert!(message.contains("the number of words and labels is 2147483647, but only"), "{message}");
    }

    #[test]
    fn every_file_cut_short_is_refused() {
        for name in ["softmax-words2-chars4.bin", "hs-cutoff.ftz", "softmax-qout.ftz"] {
            let sound = bytes(name);
            for end in (0..sound.len()).step_by(7) {
                assert!(model(&sound[..end]).is_err(), "{name} up to {end}");
            }
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Model::load(Path::new("no/such.bin")).map(drop).expect_err("it is not there").to_string();
        assert!(error.starts_with("no/such.bin: "), "{error}");
    }

    proptest! {
        #[test]
        fn broken_models_do_no_harm(
            name in prop::sample::select(vec!["hs-words2-chars4.bin", "hs-cutoff.ftz", "ova-qout.ftz"]),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut broken = bytes(name);
            for (at, byte) in changes {
                let at = at.index(broken.len());
                broken[at] = byte;
            }
            if let Ok(model) = model(&broken) {
                for found in model.predict("the boat 茶 w7 n7", Units::Spaces, 3, 0.0) {
                    prop_assert!((0.0..=1.0).contains(&found.probability));
                }
            }
        }

        #[test]
        fn every_text_is_judged(text in any::<String>()) {
            let model = model(&bytes("hs-words2-chars4.bin")).expect("sound");
            for units in [Units::Spaces, Units::Characters] {
                prop_assert!(!model.predict(&text, units, 1, 0.0).is_empty());
            }
        }
    }
}
