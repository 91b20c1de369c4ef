//! Bytes per second and core of counting tokens and of telling kinds of text apart, on English-like and
//! Chinese-like text.
//!
//!     cargo bench --bench counts
//!
//! The tokenizers are the tiny ones of the golden tests. With a real one, named by the variable `TOKENIZER`, pieces
//! merge into fewer and longer tokens, and its tables are larger than a cache.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use documents::{chinese, english};
use trommel::annotate;
use trommel::doc::Doc;
use trommel::stage::Stage;
use trommel::tokenizer::{Pattern, Tokenizer};

mod documents;

fn tokenizers() -> Vec<(String, Tokenizer)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tokens"));
    let tiny = ["gpt2", "llama3", "o200k", "other"].map(|name| (name.to_owned(), folder.join(format!("{name}.json"))));
    let own = std::env::var_os("TOKENIZER").map(|path| ("own".to_owned(), PathBuf::from(path)));
    let read = |(name, path): (String, PathBuf)| {
        let tokenizer = Tokenizer::read(&path, None).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (name, tokenizer)
    };
    tiny.into_iter().chain(own).map(read).collect()
}

fn counts(criterion: &mut Criterion) {
    for (language, documents) in [("english", english()), ("chinese", chinese())] {
        let mut group = criterion.benchmark_group(format!("counts, {language}"));
        group.throughput(Throughput::Bytes(documents.iter().map(|text| text.len() as u64).sum()));
        group.sample_size(20);
        for pattern in [Pattern::Gpt2, Pattern::Llama3, Pattern::O200k] {
            group.bench_function(format!("pieces, {pattern:?}"), |b| {
                b.iter(|| documents.iter().map(|text| pattern.pieces(text).count()).sum::<usize>());
            });
        }
        for (name, tokenizer) in tokenizers() {
            group.bench_function(format!("tokens, {name}"), |b| {
                b.iter(|| documents.iter().filter_map(|text| tokenizer.count(text)).sum::<usize>());
            });
        }
        for name in ["counts", "kind"] {
            let entry = annotate::ALL.iter().find(|entry| entry.name == name).expect("it is in the table");
            let Ok(Stage::Annotate(stage)) = (entry.build)(toml::Table::new()) else { panic!("defaults are right") };
            group.bench_function(name, |b| {
                b.iter(|| {
                    for text in &documents {
                        stage.annotate(black_box(&Doc::bare(text)), &mut Vec::new());
                    }
                });
            });
        }
    }
}

criterion_group!(benches, counts);
criterion_main!(benches);
