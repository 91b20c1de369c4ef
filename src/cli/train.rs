//! `trommel train`: classifiers learned from folders of documents.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use arrow::datatypes::{DataType, Field, Schema};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::out;
use crate::chain::Strings;
use crate::error::Error;
use crate::fasttext::train::{Trainer, Training};
use crate::fasttext::{Model, Units};
use crate::format::input::{self, InputFile};
use crate::format::{self, Columns};
use crate::plan::{Part, Piece};
use crate::report::table::{aligned, bytes, count};

/// Learns a classifier from folders of documents.
#[derive(Args)]
pub struct Train {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Quality(Quality),
}

/// Learns to tell good documents from bad ones.
///
/// Writes a model that the stage `fasttext` asks, and fastText itself: a linear classifier of words and n-grams, its
/// labels `good` and `bad`. Some documents are held out to measure it on. The same documents, settings and seed give
/// the same model.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel train quality --good reference/ --bad web-sample/ --output quality.bin
  trommel train quality --good zh-good/ --bad zh-web/ --units characters --output quality-zh.bin

Exit codes: 0 done; 1 refused or failed; 2 done, but some files could not be read to the end.")]
struct Quality {
    /// Good documents: files, folders, globs or URLs; can be given several times.
    #[arg(long, required = true, value_name = "INPUT", value_parser = NonEmptyStringValueParser::new())]
    good: Vec<String>,
    /// Bad or average documents; can be given several times.
    #[arg(long, required = true, value_name = "INPUT", value_parser = NonEmptyStringValueParser::new())]
    bad: Vec<String>,
    /// The model file to write, a new one.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// The column that holds the text.
    #[arg(long, default_value = "text", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    text_column: String,
    /// What counts as a word; the stage `fasttext` must be told the same.
    #[arg(long, value_enum, default_value_t = WordUnits::Spaces, value_name = "WHAT")]
    units: WordUnits,
    /// The most documents of each kind, drawn at random if there are more. They are held in memory.
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_documents: u64,
    /// The share of documents that is held out, below 1.
    #[arg(long, default_value_t = 0.1, value_name = "SHARE", value_parser = parse_held_out)]
    held_out: f64,
    /// How many numbers stand for a word.
    #[arg(long, default_value_t = Training::default().dim, value_name = "N")]
    dim: usize,
    /// The most words of an n-gram.
    #[arg(long, default_value_t = Training::default().word_ngrams, value_name = "N")]
    word_ngrams: usize,
    /// The rows that n-grams are hashed into; each takes 4 bytes times --dim in the model.
    #[arg(long, default_value_t = Training::default().buckets, value_name = "N")]
    buckets: u32,
    /// Words that are seen less often count in n-grams only.
    #[arg(long, default_value_t = Training::default().min_count, value_name = "N")]
    min_count: u64,
    /// How often each document is learned from.
    #[arg(long, default_value_t = Training::default().epochs, value_name = "N")]
    epochs: u32,
    /// How far each document moves the model, at the beginning.
    #[arg(long, default_value_t = Training::default().learning_rate, value_name = "RATE")]
    learning_rate: f32,
    /// Decides which documents are drawn and held out, and the order they are learned in.
    #[arg(long, default_value_t = Training::default().seed, value_name = "N")]
    seed: u64,
}

/// What counts as a word.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WordUnits {
    /// What stands between white space.
    Spaces,
    /// The same, and each Chinese or Japanese character by itself.
    Characters,
}

/// The labels of the model.
const GOOD: &str = "good";
const BAD: &str = "bad";

impl Train {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let Command::Quality(quality) = &self.command;
        quality.run()
    }
}

impl Quality {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let place = self.output.display();
        if self.output.exists() {
            return Err(Error::refused(format!("{place}: this file is there already; name a new one")).into());
        }
        let mut trainer = Trainer::new(self.settings()).map_err(Error::refused)?;
        let (mut held_out, mut n_failed) = (Vec::new(), 0);
        for (inputs, label) in [(&self.good, GOOD), (&self.bad, BAD)] {
            let sample = self.sample(inputs)?;
            n_failed += sample.n_failed;
            let n_texts = sample.texts.len();
            tracing::info!("{label}: {} of {} documents", count(n_texts as u64), count(sample.n_seen));
            let before = trainer.n_texts();
            for text in sample.texts {
                if self.is_held_out(&text) {
                    held_out.push((label == GOOD, text));
                } else {
                    trainer.add(label, &text);
                }
            }
            if trainer.n_texts() == before {
                let message = format!("{}: there are no documents to learn from", inputs.join(", "));
                return Err(Error::refused(message).into());
            }
        }
        let mut shown = 0.0;
        let file = trainer.train(&mut |done| {
            if done >= shown {
                tracing::info!("learning: {:.0} %", done * 100.0);
                shown += 0.1;
            }
        });
        // A file of this name is whole.
        let part = PathBuf::from(format!("{place}.part"));
        std::fs::write(&part, &file).with_context(|| part.display().to_string())?;
        std::fs::rename(&part, &self.output).with_context(|| place.to_string())?;
        let model = Model::read(file.as_slice(), file.len() as u64).map_err(anyhow::Error::msg)?;
        out(&self.report(&model, &held_out, trainer.n_texts(), file.len()))?;
        Ok(ExitCode::from(if n_failed > 0 { 2 } else { 0 }))
    }

    fn settings(&self) -> Training {
        Training {
            units: self.units(),
            dim: self.dim,
            word_ngrams: self.word_ngrams,
            buckets: self.buckets,
            min_count: self.min_count,
            epochs: self.epochs,
            learning_rate: self.learning_rate,
            seed: self.seed,
        }
    }

    fn units(&self) -> Units {
        match self.units {
            WordUnits::Spaces => Units::Spaces,
            WordUnits::Characters => Units::Characters,
        }
    }

    /// The text decides, so that copies are on the same side.
    fn is_held_out(&self, text: &str) -> bool {
        (xxh3_64_with_seed(text.as_bytes(), self.seed) as f64) < self.held_out * u64::MAX as f64
    }

    /// Documents of some files, all of them or as many as are wanted.
    fn sample(&self, inputs: &[String]) -> anyhow::Result<Sample> {
        let mut sample = Sample { texts: Vec::new(), n_seen: 0, n_failed: 0 };
        for file in input::find(inputs)? {
            if let Err(error) = self.read(&file, &mut sample) {
                tracing::warn!("{error}; what was read before stays");
                sample.n_failed += 1;
            }
        }
        Ok(sample)
    }

    fn read(&self, file: &InputFile, sample: &mut Sample) -> Result<(), Error> {
        let columns = Columns { text: self.text_column.clone(), others: Some(Vec::new()) };
        let schema = Arc::new(Schema::new(vec![Field::new(&self.text_column, DataType::Utf8, true)]));
        let failed = |message: String| Error::shard(&file.name, message);
        let mut reader = format::open(file, &Piece { shard: 0, part: Part::All }, &columns, WINDOW)?;
        while let Some(chunk) = reader.next_chunk()? {
            let decoded = chunk.decode(&schema, &self.text_column).map_err(failed)?;
            let column = decoded.batch.schema_ref().index_of(&self.text_column);
            let column = column.map_err(|error| failed(error.to_string()))?;
            let texts = Strings::new(decoded.batch.column(column)).map_err(|error| failed(error.to_string()))?;
            let mut bad = decoded.bad.iter().map(|(row, _)| *row).peekable();
            for row in 0..decoded.batch.num_rows() {
                if bad.next_if_eq(&row).is_some() {
                    continue;
                }
                if let Some(text) = texts.get(row) {
                    sample.offer(text, self.max_documents, self.seed);
                }
            }
        }
        Ok(())
    }

    fn report(&self, model: &Model, held_out: &[(bool, String)], n_learned: usize, size: usize) -> String {
        let place = self.output.display();
        let mut text = format!("{place}: {}, learned from {} documents\n", bytes(size as u64), count(n_learned as u64));
        let good = model.label(GOOD).expect("it was taught");
        let judged: Vec<(bool, f32)> = held_out
            .iter()
            .map(|(is_good, text)| (*is_good, model.probability(text, self.units(), good).unwrap_or(0.0)))
            .collect();
        text += &measured(&judged);
        let units = if self.units == WordUnits::Spaces { "" } else { "units = \"characters\"\n" };
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\nIn a pipeline:\n\n[[stage]]\nuse = \"fasttext\"\nmodel = {}\nlabel = \"{GOOD}\"\ncolumn = \"quality\"\n{units}\n\
             [[stage]]\nuse = \"column_range\"\ncolumn = \"quality\"\nmin = 0.5\n",
            toml::Value::String(place.to_string()),
        );
        text
    }
}

/// How much of a file is read at a time.
const WINDOW: u64 = 8 << 20;

/// Documents drawn from those that were seen, each with the same chance.
struct Sample {
    texts: Vec<String>,
    n_seen: u64,
    n_failed: u64,
}

impl Sample {
    /// Vitter 1985, algorithm R; the place in the input takes the part of the dice.
    fn offer(&mut self, text: &str, most: u64, seed: u64) {
        self.n_seen += 1;
        if (self.texts.len() as u64) < most {
            self.texts.push(text.to_owned());
            return;
        }
        let drawn = xxh3_64_with_seed(&self.n_seen.to_le_bytes(), seed) % self.n_seen;
        if drawn < most {
            self.texts[drawn as usize] = text.to_owned();
        }
    }
}

/// What a model makes of documents that it has not learned from: whether each is good, and how probable that seemed.
fn measured(judged: &[(bool, f32)]) -> String {
    let n_good = judged.iter().filter(|(is_good, _)| *is_good).count();
    let n_bad = judged.len() - n_good;
    if n_good == 0 || n_bad == 0 {
        return "held out: too few documents to measure it\n".to_owned();
    }
    let share =
        |part: usize, of: usize| if of == 0 { "-".to_owned() } else { format!("{:.3}", part as f64 / of as f64) };
    let mut rows = vec![["min", "accuracy", "precision", "recall", "kept"].map(str::to_owned)];
    for tenth in 1..10u8 {
        let min = f32::from(tenth) / 10.0;
        let n_kept = judged.iter().filter(|(_, probability)| *probability >= min).count();
        let n_right = judged.iter().filter(|(is_good, probability)| *is_good && *probability >= min).count();
        let n_accurate = judged.iter().filter(|(is_good, probability)| *is_good == (*probability >= min)).count();
        rows.push([
            format!("{min}"),
            share(n_accurate, judged.len()),
            share(n_right, n_kept),
            share(n_right, n_good),
            share(n_kept, judged.len()),
        ]);
    }
    let (n_good, n_bad) = (count(n_good as u64), count(n_bad as u64));
    format!(
        "\nheld out: {n_good} good documents, {n_bad} bad ones; precision and recall of the good\n\n{}",
        aligned(&rows)
    )
}

fn parse_held_out(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(share),
        _ => Err("write a number from 0 to below 1, like 0.1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        train: Train,
    }

    fn parsed(folder: &Path, more: &[&str]) -> Quality {
        let path = |name: &str| folder.join(name).display().to_string();
        let (good, bad, output) = (path("good"), path("bad"), path("model.bin"));
        let line = ["train", "quality", "--good", &good, "--bad", &bad, "--output", &output];
        let Command::Quality(quality) = Line::parse_from(line.iter().chain(more)).train.command;
        quality
    }

    /// A folder of good and bad documents.
    fn corpus() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, words) in [("good", ["calm", "river", "boat"]), ("bad", ["cheap", "click", "now"])] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
            let line =
                |i: usize| format!("{{\"id\": {i}, \"text\": \"{} {} n{i}\"}}\n", words[i % 3], words[i / 3 % 3]);
            let lines: String = (0..60).map(line).collect();
            std::fs::write(folder.path().join(name).join("a.jsonl"), lines).expect("a file");
        }
        folder
    }

    #[test]
    fn good_is_told_from_bad() {
        let folder = corpus();
        let more = ["--min-count", "1", "--epochs", "50", "--buckets", "1000", "--dim", "4"];
        assert_eq!(parsed(folder.path(), &more).run().expect("it learns"), ExitCode::SUCCESS);
        let output = folder.path().join("model.bin");
        let model = Model::load(&output).expect("it can be read");
        let good = model.label(GOOD).expect("it was taught");
        let probability = |text| model.probability(text, Units::Spaces, good).expect("known words");
        assert!(probability("a calm river") > 0.8 && probability("click now") < 0.2);

        let error = parsed(folder.path(), &more).run().expect_err("there is a model").to_string();
        assert_eq!(error, format!("{}: this file is there already; name a new one", output.display()));
        let first = std::fs::read(&output).expect("a file");
        std::fs::remove_file(&output).expect("a file");
        parsed(folder.path(), &more).run().expect("it learns again");
        assert!(first == std::fs::read(&output).expect("a file"), "the same documents, another model");
    }

    #[test]
    fn nothing_to_learn_from_is_refused() {
        let folder = corpus();
        std::fs::write(folder.path().join("bad/a.jsonl"), "").expect("a file");
        let error = parsed(folder.path(), &[]).run().expect_err("no documents").to_string();
        assert!(error.ends_with("bad: there are no documents to learn from"), "{error}");
        assert!(!folder.path().join("model.bin").exists());
    }

    #[test]
    fn a_sample_is_of_the_size_asked_for_and_the_same_each_time() {
        let sample = |most| {
            let mut sample = Sample { texts: Vec::new(), n_seen: 0, n_failed: 0 };
            (0..1000).for_each(|i| sample.offer(&i.to_string(), most, 7));
            sample.texts
        };
        assert_eq!(sample(2000).len(), 1000);
        assert_eq!(sample(100).len(), 100);
        assert_eq!(sample(100), sample(100));
        let late = sample(100).iter().filter(|text| text.parse::<u32>().is_ok_and(|i| i >= 500)).count();
        assert!((30..=70).contains(&late), "{late} of 100 are of the second half");
    }

    #[test]
    fn what_is_measured_is_what_was_kept() {
        let text = measured(&[(true, 0.95), (true, 0.45), (false, 0.65), (false, 0.05)]);
        let line = |min: &str| {
            let found = text.lines().find(|line| line.trim_start().starts_with(min)).expect("a row");
            found.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("0.5"), "0.500 0.500 0.500 0.500");
        assert_eq!(line("0.7"), "0.750 1.000 0.500 0.250");
        assert_eq!(measured(&[(true, 0.5)]), "held out: too few documents to measure it\n");
    }
}
