//! Bytes per second and core of each filter and normalizer, on English-like and Chinese-like text.
//!
//!     cargo bench --bench filters
//!
//! A filter's figure includes the views of the document that it is the first to ask for; the groups run all their
//! stages on one document, as a pipeline does, so that the views are worked out once.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use trommel::doc::Doc;
use trommel::stage::{Entry, Stage};
use trommel::{filter, normalize, text};

const N_DOCUMENTS: usize = 200;

/// Numbers that look random and are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) % n as u64) as usize
    }

    /// Small numbers are far more frequent than great ones, as with words.
    fn rank(&mut self, n: usize) -> usize {
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        ((n as f64).powf(share) as usize).min(n - 1)
    }
}

/// Documents of some paragraphs of sentences, each with the words that `word` gives.
fn documents(mut word: impl FnMut(&mut Random, usize, &mut String), ends: [&str; 2]) -> Vec<String> {
    let mut random = Random(1);
    let document = |_| {
        let mut text = String::new();
        for _ in 0..4 + random.below(8) {
            for _ in 0..2 + random.below(5) {
                for n in 0..8 + random.below(14) {
                    word(&mut random, n, &mut text);
                }
                text.push_str(ends[random.below(2)]);
            }
            let end = text.trim_end().len();
            text.truncate(end);
            text.push_str("\n\n");
        }
        let end = text.trim_end().len();
        text.truncate(end);
        text
    };
    (0..N_DOCUMENTS).map(document).collect()
}

fn english() -> Vec<String> {
    let common = ["the", "of", "and", "to", "in", "that", "is", "with", "for", "be", "have", "it's", "was", "on", "as"];
    let word = move |random: &mut Random, n: usize, text: &mut String| {
        if n > 0 {
            text.push(' ');
        }
        match random.rank(20_000) {
            rank if rank < common.len() => text.push_str(common[rank]),
            rank => {
                let mut letters = Random(rank as u64);
                for _ in 0..3 + letters.below(8) {
                    text.push((b'a' + letters.below(26) as u8) as char);
                }
            }
        }
        if random.below(12) == 0 {
            text.push(',');
        }
    };
    documents(word, [". ", "? "])
}

fn chinese() -> Vec<String> {
    let word = |random: &mut Random, _: usize, text: &mut String| match random.below(40) {
        0 => text.push('，'),
        1 => write!(text, "{}", 1900 + random.below(150)).expect("a string takes all"),
        _ => text.extend(char::from_u32(0x4e00 + (random.rank(3000) * 7) as u32)),
    };
    documents(word, ["。", "！"])
}

fn run(stage: &Stage, doc: &Doc<'_>) {
    match stage {
        Stage::Filter(filter) => drop(black_box(filter.judge(doc))),
        Stage::Edit(editor) => drop(black_box(editor.edit(doc))),
        Stage::Normalize(normalizer) => drop(black_box(normalizer.normalize(doc.text()))),
        _ => unreachable!("both tables are of stages that see one document"),
    }
}

/// The settings under which documents pass most rules, so that all the work is measured.
const ENGLISH: &str = "";
const CHINESE: &str = "
    c4 = { terminal_punctuation = false, min_words_per_line = false }
    gopher_quality = { min_mean_word_length = 1, min_stop_words = false }
";

/// The published recipes; their sum is what English and Chinese web text is taken through.
const RECIPES: [&str; 4] = ["gopher_quality", "gopher_repetition", "c4", "fineweb_quality"];

fn build(entry: &Entry, settings: &str) -> Stage {
    let mut settings: toml::Table = settings.parse().expect("the settings above are TOML");
    let own = settings.remove(entry.name).and_then(|own| own.try_into().ok());
    (entry.build)(own.unwrap_or_default()).expect(entry.name)
}

fn stages(criterion: &mut Criterion) {
    for (language, documents, settings) in [("english", english(), ENGLISH), ("chinese", chinese(), CHINESE)] {
        let mut group = criterion.benchmark_group(language);
        group.throughput(Throughput::Bytes(documents.iter().map(|text| text.len() as u64).sum()));
        group.sample_size(20);
        group.bench_function("words", |b| {
            b.iter(|| documents.iter().map(|text| text::words(text).count()).sum::<usize>());
        });
        for entry in filter::ALL.iter().chain(normalize::ALL) {
            let stage = build(entry, settings);
            group.bench_function(entry.name, |b| {
                b.iter(|| documents.iter().for_each(|text| run(&stage, &Doc::bare(text))));
            });
        }
        let is_recipe = |entry: &&Entry| RECIPES.contains(&entry.name);
        let groups: [(&str, Vec<&Entry>); 3] = [
            ("gopher, c4, fineweb", filter::ALL.iter().filter(is_recipe).collect()),
            ("all filters", filter::ALL.iter().collect()),
            ("all normalizers", normalize::ALL.iter().collect()),
        ];
        for (name, all) in groups {
            let stages: Vec<Stage> = all.into_iter().map(|entry| build(entry, settings)).collect();
            group.bench_function(name, |b| {
                b.iter(|| {
                    for text in &documents {
                        let doc = Doc::bare(text);
                        stages.iter().for_each(|stage| run(stage, &doc));
                    }
                });
            });
        }
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
