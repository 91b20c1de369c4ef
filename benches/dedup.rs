//! The kernels of deduplication: bytes of text, shingles, members of sets or rows per second and core.
//!
//!     cargo bench --bench dedup

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use documents::{chinese, english};
use trommel::canonical::{canonical, composed};
use trommel::corpus::affine::Affine;
use trommel::corpus::minhash::{MinHash, MinHashStage};
use trommel::corpus::profile::Profile;
use trommel::corpus::shingle::{Shingler, Units};
use trommel::corpus::simplify::Simplified;
use trommel::corpus::sketch::sketch;
use trommel::doc::{Doc, content_key};
use trommel::exchange::record::KeyRow;
use trommel::exchange::sort::{Sorter, SpillDir};
use trommel::stage::{CorpusStage, PairJudge, Settings};

mod documents;

/// The slots of the sketches measured.
const SLOTS: usize = 128;

/// From text to what the exchange is given.
fn texts(criterion: &mut Criterion) {
    for (language, documents) in [("english", english()), ("chinese", chinese())] {
        let stage = MinHash::default().build().expect("the defaults are sound");
        let mut group = criterion.benchmark_group(format!("{language} text"));
        group.throughput(Throughput::Bytes(documents.iter().map(|text| text.len() as u64).sum()));
        group.sample_size(30);
        group.bench_function("composed", |b| {
            b.iter(|| documents.iter().map(|text| composed(text).len()).sum::<usize>());
        });
        group.bench_function("canonical", |b| {
            b.iter(|| documents.iter().map(|text| canonical(text).len()).sum::<usize>());
        });
        group.bench_function("content key", |b| {
            b.iter(|| documents.iter().map(|text| content_key(text)[0]).fold(0, |a, b| a ^ b));
        });
        let (mut units, mut shingles, mut slots) = (Units::default(), Vec::new(), Vec::new());
        group.bench_function("shingles", |b| {
            b.iter(|| {
                for text in &documents {
                    shingles.clear();
                    Shingler::default().shingles(text, &mut units, &mut shingles);
                    black_box(&shingles);
                }
            });
        });
        group.bench_function("shingles and sketch", |b| {
            b.iter(|| {
                for text in &documents {
                    shingles.clear();
                    slots.clear();
                    Shingler::default().shingles(text, &mut units, &mut shingles);
                    sketch(&shingles, SLOTS, &mut slots);
                    black_box(&slots);
                }
            });
        });
        let mut simplified = Simplified::default();
        group.bench_function("shingles of datatrove", |b| {
            b.iter(|| {
                for text in &documents {
                    shingles.clear();
                    simplified.shingles(text, 5, &mut shingles);
                    black_box(&shingles);
                }
            });
        });
        let keys = |stage: &MinHashStage| {
            let mut sum = 0;
            for text in &documents {
                stage.keys(&Doc::bare(text), &mut |_, key| sum ^= key);
            }
            sum
        };
        group.bench_function("keys of minhash", |b| b.iter(|| keys(&stage)));
        let datatrove = MinHash { profile: Profile::Datatrove, ..MinHash::default() }.build().expect("sound");
        group.bench_function("keys of minhash, as datatrove", |b| b.iter(|| keys(&datatrove)));
        group.bench_function("set for verification", |b| {
            b.iter(|| {
                for text in &documents {
                    shingles.clear();
                    stage.set(text, &mut shingles);
                    black_box(&shingles);
                }
            });
        });
        group.finish();
    }
}

/// From shingles to slots, by the number of shingles.
fn sketches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("sketch of {SLOTS} slots"));
    let affine = Affine::new(SLOTS);
    for n in [10u64, 100, 300, 1000, 10_000] {
        let shingles: Vec<u64> = (0..n).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        group.throughput(Throughput::Elements(n));
        let mut slots = Vec::new();
        group.bench_function(format!("{n} shingles"), |b| {
            b.iter(|| {
                slots.clear();
                sketch(black_box(&shingles), SLOTS, &mut slots);
            });
        });
        group.bench_function(format!("{n} shingles, by permutations"), |b| {
            b.iter(|| {
                slots.clear();
                affine.sketch(black_box(&shingles), &mut slots);
            });
        });
    }
}

/// Two sets that share nine members in ten, and two that share one in ten.
fn verification(criterion: &mut Criterion) {
    let stage = MinHash::default().build().expect("the defaults are sound");
    let set = |from: u64| {
        let members = (from..from + 1000).map(|i| (i ^ (i >> 3)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut set: Vec<u64> = members.collect();
        set.sort_unstable();
        set
    };
    let mut group = criterion.benchmark_group("verification");
    group.throughput(Throughput::Elements(2000));
    for (name, from) in [("alike", 50), ("not alike", 900)] {
        let (a, b) = (set(0), set(from));
        group.bench_function(name, |bencher| bencher.iter(|| stage.similarity(black_box(&a), black_box(&b))));
    }
}

/// Rows of keys through a sorter, in memory and through runs on the disk.
fn sorting(criterion: &mut Criterion) {
    const N_ROWS: u64 = 1 << 20;
    let folder = tempfile::tempdir().expect("a folder");
    let dir = SpillDir::new(folder.path());
    let rows = (0..N_ROWS).map(|doc| KeyRow { key: u128::from(doc.wrapping_mul(0x9e37_79b9_7f4a_7c15)), rank: 0, doc });
    let rows: Vec<KeyRow> = rows.collect();
    let mut group = criterion.benchmark_group("sort a million keys");
    group.throughput(Throughput::Elements(N_ROWS));
    group.sample_size(10);
    for (name, budget) in [("in memory", 1 << 30), ("through runs", 4 << 20)] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || rows.clone(),
                |rows| {
                    let mut sorter = Sorter::new(&dir, budget);
                    rows.into_iter().try_for_each(|row| sorter.push(row)).expect("room");
                    sorter.finish().expect("sorted").map(|row| row.expect("a row").doc).fold(0, |a, b| a ^ b)
                },
                BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(benches, texts, sketches, verification, sorting);
criterion_main!(benches);
