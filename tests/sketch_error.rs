//! How far the estimates of sketches are from the truth, on real pairs of like documents.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::Rows;
use rayon::prelude::*;
use trommel::corpus::profile::{Method, Profile, Scratch};
use trommel::corpus::shingle::Unit;

const SLOTS: [usize; 3] = [96, 128, 140];

/// The most shingles of a row of the table.
const SIZES: [usize; 4] = [16, 64, 256, usize::MAX];

/// The characters that documents are cut to: there are few pairs of short ones, so their beginnings are taken too.
const CUTS: [usize; 3] = [80, 400, usize::MAX];

/// Sums over the pairs of a row.
#[derive(Debug, Clone, Copy, Default)]
struct Errors {
    pairs: usize,
    squares: f64,
    /// The squares that as many independent hashes would have on average.
    independent: f64,
}

impl Errors {
    fn roots(self) -> [f64; 2] {
        [self.squares, self.independent].map(|sum| (sum / self.pairs as f64).sqrt())
    }
}

/// TROMMEL_TEST_PAIRS=all takes the pairs of all documents and not of 5,005.
#[test]
#[expect(clippy::print_stderr, reason = "the figures are of interest also where they are in bounds")]
fn estimates_are_as_near_as_those_of_independent_hashes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/neardup");
    let all = std::env::var("TROMMEL_TEST_PAIRS").is_ok_and(|value| value == "all");
    let truth = folder.join(if all { "truth/pairs_all.parquet" } else { "truth/pairs_subset5k.parquet" });
    if !truth.exists() {
        eprintln!("skipped: {} is not there", truth.display());
        return;
    }
    let pairs = Rows { batches: common::read_shard(&truth) };
    let [first, second] = ["id_a", "id_b"].map(|column| pairs.strings(column).into_iter().flatten());
    let mut numbers = BTreeMap::new();
    let mut number = |id: String| {
        let next = numbers.len();
        *numbers.entry(id).or_insert(next)
    };
    let pairs: Vec<_> = first.zip(second).map(|(a, b)| [number(a), number(b)]).collect();
    let documents = Rows::read(&folder.join("docs"));
    let mut texts = vec![String::new(); numbers.len()];
    for (id, text) in documents.strings("id").iter().flatten().zip(documents.strings("text").into_iter().flatten()) {
        if let Some(&number) = numbers.get(id) {
            texts[number] = text;
        }
    }

    let mut found: BTreeMap<(usize, &str, usize), Errors> = BTreeMap::new();
    for (name, profile) in [("ours", Profile::Default), ("datatrove", Profile::Datatrove)] {
        for cut in CUTS {
            let method = |slots| profile.build(5, Unit::Words, slots).expect("sound");
            let sets: Vec<_> = texts.par_iter().map(|text| set(head(text, cut), &method(1))).collect();
            let alike: Vec<_> = pairs
                .par_iter()
                .map(|&[a, b]| (a, b, jaccard(&sets[a], &sets[b])))
                .filter(|(_, _, truth)| (0.5..1.0).contains(truth))
                .collect();
            for slots in SLOTS {
                let method = method(slots);
                let sketches: Vec<_> = sets.par_iter().map(|set| sketch(set, &method)).collect();
                for &(a, b, truth) in &alike {
                    let size = sets[a].len().max(sets[b].len());
                    let most = SIZES.into_iter().find(|&most| size < most).expect("the last has no bound");
                    let shared = sketches[a].iter().zip(&sketches[b]).filter(|(a, b)| a == b).count();
                    let errors = found.entry((most, name, slots)).or_default();
                    errors.pairs += 1;
                    errors.squares += (shared as f64 / slots as f64 - truth).powi(2);
                    errors.independent += truth * (1.0 - truth) / slots as f64;
                }
            }
        }
    }

    eprintln!("shingles below, sketch, slots: pairs, root mean square error, that of independent hashes");
    for (&(most, name, slots), &errors) in &found {
        let [error, independent] = errors.roots();
        let most = if most == usize::MAX { "-".to_owned() } else { most.to_string() };
        eprintln!("{most:>4} {name:<9} {slots}: {:>7} {error:.4} {independent:.4}", errors.pairs);
        // Pairs of one family err together.
        assert!(name != "ours" || errors.pairs < 500 || error < 1.1 * independent, "{most} {slots}: {error}");
    }
    assert!(found.values().filter(|errors| errors.pairs >= 500).count() >= 12, "{found:?}");
}

/// The first characters of a text.
fn head(text: &str, n_chars: usize) -> &str {
    text.char_indices().nth(n_chars).map_or(text, |(end, _)| &text[..end])
}

fn set(text: &str, method: &Method) -> Vec<u64> {
    let mut set = Vec::new();
    method.set(&method.form(text), &mut Scratch::default(), &mut set);
    set
}

fn sketch(set: &[u64], method: &Method) -> Vec<u64> {
    let mut slots = Vec::new();
    method.sketch(set, &mut slots);
    slots
}

/// Of two sets in order.
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let common = a.iter().filter(|member| b.binary_search(member).is_ok()).count() as f64;
    common / ((a.len() + b.len()) as f64 - common)
}
