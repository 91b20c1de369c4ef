//! Bytes per second and core of each filter and normalizer, on English-like and Chinese-like text.
//!
//!     cargo bench --bench filters
//!
//! A filter's figure includes the views of the document that it is the first to ask for; the groups run all their
//! stages on one document, as a pipeline does, so that the views are worked out once.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use documents::{chinese, english};
use trommel::doc::Doc;
use trommel::stage::{Entry, Stage};
use trommel::tokenize::Tokenizer;
use trommel::{filter, normalize, text};

mod documents;

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
    if entry.required.is_empty() { (entry.build)(own.unwrap_or_default()).expect(entry.name) } else { (entry.sample)() }
}

/// The recipes with datatrove's own words.
fn as_published(language: &str) -> Vec<Stage> {
    let settings = |recipe: &str| match (language, recipe) {
        ("chinese", "c4") => {
            "profile = 'datatrove-0.10'\nlanguage = 'zh'\nterminal_punctuation = false\nmin_words_per_line = false"
        }
        ("chinese", _) => "profile = 'fineweb-2/cmn_Hani'",
        _ => "profile = 'datatrove-0.10'\nlanguage = 'en'",
    };
    let build = |entry: &Entry| (entry.build)(settings(entry.name).parse().expect("TOML")).expect(entry.name);
    filter::ALL.iter().filter(|entry| RECIPES.contains(&entry.name)).map(build).collect()
}

fn stages(criterion: &mut Criterion) {
    for (language, documents, settings) in [("english", english(), ENGLISH), ("chinese", chinese(), CHINESE)] {
        let mut group = criterion.benchmark_group(language);
        group.throughput(Throughput::Bytes(documents.iter().map(|text| text.len() as u64).sum()));
        group.sample_size(20);
        group.bench_function("words", |b| {
            b.iter(|| documents.iter().map(|text| text::words(text).count()).sum::<usize>());
        });
        for tokenizer in [Tokenizer::English, Tokenizer::Multi, Tokenizer::Chinese, Tokenizer::Dictionary] {
            let mut all = Vec::new();
            group.bench_function(format!("words, {tokenizer:?}"), |b| {
                b.iter(|| {
                    all.clear();
                    documents.iter().for_each(|text| tokenizer.words(text, &mut all));
                    all.len()
                });
            });
        }
        group.bench_function("sentences, English", |b| {
            b.iter(|| documents.iter().map(|text| Tokenizer::English.n_sentences(text)).sum::<usize>());
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
        let mut groups: Vec<(&str, Vec<Stage>)> = groups
            .into_iter()
            .map(|(name, all)| (name, all.into_iter().map(|entry| build(entry, settings)).collect()))
            .collect();
        groups.push(("gopher, c4, fineweb as published", as_published(language)));
        for (name, stages) in groups {
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
