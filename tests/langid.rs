//! How often the language annotator is right, on sentences and declarations of known languages, where they
//! are at hand. `cargo test --release --test langid -- --nocapture` prints every language.

#![expect(clippy::print_stderr, reason = "a skipped test says why, and the measured figures are wanted")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use trommel::doc::{Doc, Value};
use trommel::stage::{Annotator, Settings};

/// What `whichlang` knows, and so what is expected to be good.
const COMMON: [&str; 16] =
    ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pt", "ru", "sv", "tr", "vi", "zh"];

/// Labels of the declarations with what should be found; the last one is written Cantonese.
const UDHR: [(&str, &str); 17] = [
    ("arb_Arab", "ar"),
    ("deu_Latn", "de"),
    ("eng_Latn", "en"),
    ("spa_Latn", "es"),
    ("fra_Latn", "fr"),
    ("hin_Deva", "hi"),
    ("ita_Latn", "it"),
    ("jpn_Jpan", "ja"),
    ("kor_Hang", "ko"),
    ("nld_Latn", "nl"),
    ("por_Latn", "pt"),
    ("rus_Cyrl", "ru"),
    ("swe_Latn", "sv"),
    ("tur_Latn", "tr"),
    ("vie_Latn", "vi"),
    ("cmn_Hans", "zh"),
    ("yue_Hani", "yue"),
];

#[derive(Default, Clone, Copy)]
struct Count {
    right: u32,
    all: u32,
}

impl Count {
    fn share(self) -> f64 {
        f64::from(self.right) / f64::from(self.all)
    }
}

/// The counts by language of a file of lines `language TAB text`; `None`, with a reason printed, without the file.
fn judge(file: &str) -> Option<BTreeMap<String, Count>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/langid").join(file);
    let Ok(lines) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    let language = trommel::annotate::language::Language::default().build().expect("defaults are valid");
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut wrong: BTreeMap<(&str, String), u32> = BTreeMap::new();
    let began = Instant::now();
    for (expected, text) in lines.lines().filter_map(|line| line.split_once('\t')) {
        let mut row = Vec::new();
        language.annotate(&Doc::bare(text), &mut row);
        let [Value::Str(found), Value::F32(_)] = &row[..] else { panic!("two columns") };
        let count = counts.entry(expected.to_owned()).or_default();
        count.all += 1;
        if found == expected || UDHR.contains(&(expected, found)) {
            count.right += 1;
        } else {
            *wrong.entry((expected, found.to_string())).or_default() += 1;
        }
    }
    eprintln!("{file}: {:.1} MB/s", lines.len() as f64 / began.elapsed().as_secs_f64() / 1e6);
    for (language, count) in &counts {
        let mut taken: Vec<_> = wrong.iter().filter(|((l, _), _)| l == language).collect();
        taken.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let taken: Vec<_> = taken.iter().take(3).map(|((_, found), n)| format!("{found} {n}")).collect();
        eprintln!("{language} {:.3} of {} ({})", count.share(), count.all, taken.join(", "));
    }
    Some(counts)
}

fn macro_mean(counts: &BTreeMap<String, Count>, of: impl Fn(&str) -> bool) -> f64 {
    let shares: Vec<_> = counts.iter().filter(|(language, _)| of(language)).map(|(_, count)| count.share()).collect();
    shares.iter().sum::<f64>() / shares.len() as f64
}

#[test]
fn sentences_are_recognised() {
    let Some(counts) = judge("sentences.tsv") else { return };
    let common = macro_mean(&counts, |language| COMMON.contains(&language));
    let all = macro_mean(&counts, |_| true);
    eprintln!("macro: 16 common {common:.3}, all {} {all:.3}", counts.len());
    // Measured: 0.979 and 0.737; the 20 languages that neither model knows are in the second.
    assert!(common > 0.97 && all > 0.72);
    // Measured: 1.000, 0.980, 1.000, 1.000.
    for (language, floor) in [("zh", 0.99), ("en", 0.97), ("ja", 0.99), ("ko", 0.99)] {
        assert!(counts[language].share() > floor, "{language}");
    }
}

/// A score is how often the language is right, on sentences and short parts of them that the tables were not made from.
#[test]
fn scores_are_probabilities() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/langid/sentences.tsv");
    let Ok(lines) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let language = trommel::annotate::language::Language::default().build().expect("defaults are valid");
    // By tenths of the score: how many, how many right, the sum of scores.
    let mut bins = [(0u32, 0u32, 0.0f64); 10];
    let odd = lines.lines().skip(1).step_by(2).filter_map(|line| line.split_once('\t'));
    for (expected, text) in odd {
        let middle = text.len() / 2;
        let middle = (middle..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
        let words: Vec<&str> = text[middle..].split_inclusive(' ').skip(1).collect();
        for part in [text, &words[..words.len().min(6)].concat(), &words[..words.len().min(3)].concat()] {
            let mut row = Vec::new();
            language.annotate(&Doc::bare(part), &mut row);
            let [Value::Str(found), Value::F32(score)] = &row[..] else { panic!("two columns") };
            if found == "und" {
                continue;
            }
            let bin = &mut bins[((score * 10.0) as usize).min(9)];
            *bin = (bin.0 + 1, bin.1 + u32::from(found == expected), bin.2 + f64::from(*score));
        }
    }
    let all: u32 = bins.iter().map(|bin| bin.0).sum();
    let mut error = 0.0;
    for (n, right, scores) in bins {
        eprintln!("{:.2} on average, {:.2} right, of {n}", scores / f64::from(n), f64::from(right) / f64::from(n));
        error += (f64::from(right) - scores).abs() / f64::from(all);
    }
    eprintln!("expected calibration error {error:.3} on {all}");
    assert!(error < 0.05, "{error}");
}

#[test]
fn declarations_are_recognised() {
    let Some(counts) = judge("udhr.tsv") else { return };
    let common = macro_mean(&counts, |label| UDHR.iter().any(|(l, _)| *l == label));
    eprintln!("macro: 17 {common:.3}");
    // Measured: 0.994, and 0.951 for the formal Cantonese of the declaration.
    assert!(common > 0.98 && counts["yue_Hani"].share() > 0.9);
}
