//! Writes corpora of any size, the same in every run, for `benches/scale.sh` to deduplicate.
//!
//!     cargo bench --bench scale -- web 1000000 FOLDER
//!
//! Each document is made from its number alone, so all cores write at once.
#![expect(clippy::print_stderr, reason = "a program of its own, which says how it is used")]

use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use random::Random;
use rayon::prelude::*;

#[path = "documents/random.rs"]
mod random;

/// Bytes of text in a file, and in a row group of it.
const FILE: usize = 64 << 20;
const ROW_GROUP: usize = 16 << 20;

fn main() -> ExitCode {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [kind, n_documents, folder] = &arguments[..] else {
        let kinds = KINDS.map(|kind| format!("    {:<10}{}\n", kind.name, kind.about)).concat();
        eprintln!("cargo bench --bench scale -- KIND DOCUMENTS FOLDER\n\nKinds:\n{kinds}");
        return ExitCode::SUCCESS;
    };
    match write(kind, n_documents, Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A kind of corpus.
struct Kind {
    name: &'static str,
    about: &'static str,
    /// The mean length of a document.
    bytes: usize,
    /// The longest document is as many times as long as the shortest.
    spread: usize,
    /// How many in a hundred are Chinese.
    chinese: usize,
    make: Make,
}

/// How documents come from each other.
enum Make {
    /// Unrelated ones, of which so many in a hundred are edited copies of earlier ones, and exact copies.
    Pages { edited: usize, exact: usize },
    /// Each is a copy of one page, with so many words in a thousand replaced.
    Copies { replaced: usize },
    /// Each is a copy of the one before, with so many words in a thousand replaced.
    Drift { replaced: usize },
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "web",
        about: "pages of 1.2 kB, a third of them Chinese, 10 % edited copies, 5 % exact ones",
        bytes: 1200,
        spread: 3,
        chinese: 33,
        make: Make::Pages { edited: 10, exact: 5 },
    },
    Kind {
        name: "short",
        about: "the same of 200 bytes",
        bytes: 200,
        spread: 3,
        chinese: 33,
        make: Make::Pages { edited: 10, exact: 5 },
    },
    Kind {
        name: "unrelated",
        about: "pages of 2.4 kB, none a copy of another",
        bytes: 2400,
        spread: 1,
        chinese: 0,
        make: Make::Pages { edited: 0, exact: 0 },
    },
    Kind {
        name: "copies",
        about: "copies of one page of 2.4 kB, 1 % of the words of each replaced",
        bytes: 2400,
        spread: 1,
        chinese: 0,
        make: Make::Copies { replaced: 10 },
    },
    Kind {
        name: "loose",
        about: "the same with 12 %",
        bytes: 2400,
        spread: 1,
        chinese: 0,
        make: Make::Copies { replaced: 120 },
    },
    Kind {
        name: "drift",
        about: "each a copy of the one before, with 1 % of the words replaced",
        bytes: 2400,
        spread: 1,
        chinese: 0,
        make: Make::Drift { replaced: 10 },
    },
];

fn write(kind: &str, n_documents: &str, folder: &Path) -> Result<()> {
    let kind = KINDS.iter().find(|known| known.name == kind).with_context(|| format!("{kind}: no such kind"))?;
    let n_documents: usize = n_documents.parse().with_context(|| format!("{n_documents}: no number of documents"))?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let words = Words::new();
    let in_file = FILE / kind.bytes;
    (0..n_documents.div_ceil(in_file)).into_par_iter().try_for_each(|file| {
        let path = folder.join(format!("part-{file:05}.parquet"));
        let documents = file * in_file..n_documents.min((file + 1) * in_file);
        kind.write_file(&path, documents, &words).with_context(|| path.display().to_string())
    })
}

impl Kind {
    fn write_file(&self, path: &Path, documents: std::ops::Range<usize>, words: &Words) -> Result<()> {
        let columns = ["id", "text"].map(|name| Field::new(name, DataType::Utf8, false));
        let schema = Arc::new(Schema::new(columns.to_vec()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_dictionary_enabled(false)
            .build();
        let mut writer = ArrowWriter::try_new(File::create(path)?, schema.clone(), Some(properties))?;
        let mut drifting = None;
        let mut text = String::new();
        for from in documents.clone().step_by(ROW_GROUP / self.bytes) {
            let (mut ids, mut texts) = (StringBuilder::new(), StringBuilder::new());
            for i in from..documents.end.min(from + ROW_GROUP / self.bytes) {
                text.clear();
                words.write(&self.page(i, &mut drifting, words), &mut text);
                ids.append_value(format!("{}-{i}", self.name));
                texts.append_value(&text);
            }
            let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(ids.finish()), Arc::new(texts.finish())])?;
            writer.write(&batch)?;
            writer.flush()?;
        }
        writer.close()?;
        Ok(())
    }

    /// Document `i`. `drifting` is the last one of this file, where it is needed for the next.
    fn page(&self, i: usize, drifting: &mut Option<(usize, Page)>, words: &Words) -> Page {
        let mut random = Random(i as u64 ^ 0x5ca1_e000_0000_0000);
        match self.make {
            Make::Pages { edited, exact } => {
                let drawn = |i: usize| if i == 0 { 100 } else { Random(i as u64 ^ 0xd1ce << 40).below(100) };
                let kind = drawn(i);
                if kind >= edited + exact {
                    return self.fresh(i, words);
                }
                let earlier =
                    std::iter::repeat_with(|| random.below(i)).find(|&earlier| drawn(earlier) >= edited + exact);
                let mut page = self.fresh(earlier.expect("the first is no copy"), words);
                if kind < edited {
                    page.edit(&mut random, words);
                }
                page
            }
            Make::Copies { replaced } => {
                let mut page = self.fresh(0, words);
                page.replace(replaced, &mut random, words);
                page
            }
            Make::Drift { replaced } => {
                let (mut at, mut page) = drifting.take().unwrap_or_else(|| (0, self.fresh(0, words)));
                while at < i {
                    at += 1;
                    page.replace(replaced, &mut Random(at as u64), words);
                }
                *drifting = Some((at, page.clone()));
                page
            }
        }
    }

    /// A page like no other.
    fn fresh(&self, i: usize, words: &Words) -> Page {
        let mut random = Random((i as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let chinese = random.below(100) < self.chinese;
        let shortest = 2 * self.bytes / (self.spread + 1);
        let bytes = shortest + random.below(shortest * (self.spread - 1) + 1);
        let n_words = bytes * 10 / if chinese { 32 } else { 54 };
        let words = (0..n_words.max(5)).map(|_| words.draw(chinese, &mut random)).collect();
        Page { chinese, words }
    }
}

/// A text: the numbers of its words, or of its Chinese characters.
#[derive(Clone)]
struct Page {
    chinese: bool,
    words: Vec<u32>,
}

impl Page {
    /// Replaces a passage of up to a twentieth of the words: at the end of every second page, as footers change, else
    /// anywhere.
    fn edit(&mut self, random: &mut Random, words: &Words) {
        let length = 1 + random.below(self.words.len() / 20 + 1);
        let last = self.words.len() - length;
        let from = if random.below(2) == 0 { last } else { random.below(last + 1) };
        self.words[from..from + length].fill_with(|| words.draw(self.chinese, random));
    }

    /// Replaces so many words in a thousand, wherever they stand.
    fn replace(&mut self, thousandths: usize, random: &mut Random, words: &Words) {
        for _ in 0..self.words.len() * thousandths / 1000 {
            let at = random.below(self.words.len());
            self.words[at] = words.draw(self.chinese, random);
        }
    }
}

/// Two vocabularies, in which the second word is half as frequent as the first, the third a third, and so on.
struct Words {
    english: Vec<String>,
    /// Which word the drawn numbers stand for.
    english_ranks: Vec<u32>,
    chinese_ranks: Vec<u32>,
}

const N_ENGLISH: usize = 60_000;
const N_CHINESE: usize = 5_000;

impl Words {
    fn new() -> Self {
        const FIRST: &[u8] = b"bcdfghklmnprstvw";
        const MIDDLE: &[u8] = b"aeiou";
        const LAST: &[u8] = b"lmnrst";
        let syllable = |i: usize| {
            let of = |letters: &[u8], i: usize| char::from(letters[i % letters.len()]);
            [of(FIRST, i), of(MIDDLE, i / FIRST.len()), of(LAST, i / FIRST.len() / MIDDLE.len())]
        };
        let n_syllables = FIRST.len() * MIDDLE.len() * LAST.len();
        let word = |mut i: usize| {
            let mut word = String::from_iter(syllable(i));
            while i >= n_syllables {
                i /= n_syllables;
                word.extend(syllable(i));
            }
            word
        };
        let mut random = Random(1);
        let mut ranks = |n| (0..1 << 18).map(|_| random.rank(n) as u32).collect();
        Self {
            english_ranks: ranks(N_ENGLISH),
            chinese_ranks: ranks(N_CHINESE),
            english: (0..N_ENGLISH).map(word).collect(),
        }
    }

    fn draw(&self, chinese: bool, random: &mut Random) -> u32 {
        let ranks = if chinese { &self.chinese_ranks } else { &self.english_ranks };
        ranks[random.below(ranks.len())]
    }

    /// Appends a page as text.
    fn write(&self, page: &Page, text: &mut String) {
        for (&word, n) in page.words.iter().zip(1..) {
            if page.chinese {
                text.push(char::from_u32(0x4e00 + word).expect("an ideograph"));
                text.push_str(if n % 45 == 0 {
                    "。"
                } else if n % 15 == 0 {
                    "，"
                } else {
                    ""
                });
            } else {
                text.push_str(&self.english[word as usize]);
                text.push_str(if n % 60 == 0 {
                    ".\n"
                } else if n % 15 == 0 {
                    ". "
                } else {
                    " "
                });
            }
        }
        let end = text.trim_end().len();
        text.truncate(end);
    }
}
