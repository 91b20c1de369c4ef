//! A seeded corpus: English and Chinese documents, in families of near copies.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};

/// A document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) source: &'static str,
    pub(crate) score: Option<f64>,
}

/// Numbers that look random and are the same everywhere (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

const SOURCES: [&str; 3] = ["web", "books", "forum"];

/// `n` documents: a third of them Chinese, half of them copies of an earlier one with no, few or many edits.
pub(crate) fn documents(seed: u64, n: usize) -> Vec<Document> {
    let mut random = Random(seed);
    let mut documents: Vec<Document> = Vec::with_capacity(n);
    for i in 0..n {
        let text = if i > 0 && random.below(2) == 0 {
            // Recent ones more often, so that families grow.
            let back = 1 + random.below(i.min(40));
            edited(&documents[i - back].text, &mut random)
        } else {
            fresh(&mut random)
        };
        let score = (random.below(10) > 0).then(|| random.below(100) as f64 / 10.0);
        documents.push(Document { id: format!("doc-{i:05}"), text, source: SOURCES[random.below(3)], score });
    }
    documents
}

fn fresh(random: &mut Random) -> String {
    let chinese = random.below(3) == 0;
    let length = 20 + random.below(150);
    let mut text = String::new();
    for i in 0..length {
        if chinese {
            text.push(char::from_u32(0x4e00 + random.below(3000) as u32).expect("an ideograph"));
            if i % 17 == 16 {
                text.push('。');
            }
        } else {
            text.push_str(&word(random));
            text.push_str(if i % 13 == 12 { ".\n" } else { " " });
        }
    }
    text
}

fn word(random: &mut Random) -> String {
    const SYLLABLES: [&str; 16] =
        ["ba", "ken", "lo", "mi", "sta", "re", "tu", "von", "pel", "ish", "or", "ga", "dri", "nes", "um", "fa"];
    (0..1 + random.below(3)).map(|_| SYLLABLES[random.below(16)]).collect()
}

/// A copy: as it is, with other white space, with some places changed, or with something cut off.
fn edited(text: &str, random: &mut Random) -> String {
    match random.below(6) {
        0 => text.to_owned(),
        1 => format!("  {} ", text.replace(' ', "  ")),
        2 => {
            let characters: Vec<char> = text.chars().collect();
            let keep = characters.len() - random.below(characters.len() / 4 + 1);
            characters[..keep].iter().collect()
        }
        _ => {
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            if words.len() < 5 {
                let mut characters: Vec<char> = text.chars().collect();
                for _ in 0..1 + random.below(4) {
                    let at = random.below(characters.len());
                    characters[at] = '新';
                }
                return characters.into_iter().collect();
            }
            for _ in 0..1 + random.below(5) {
                let at = random.below(words.len());
                words[at] = word(random);
            }
            words.join(" ")
        }
    }
}

/// The documents as a batch with the columns id, text, source and score.
pub(crate) fn batch(documents: &[Document]) -> RecordBatch {
    let strings = |pick: fn(&Document) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(documents.iter().map(pick)))
    };
    let scores: ArrayRef = Arc::new(documents.iter().map(|document| document.score).collect::<Float64Array>());
    let columns = [
        ("id", strings(|document| &document.id)),
        ("text", strings(|document| &document.text)),
        ("source", strings(|document| document.source)),
        ("score", scores),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, name == "score")))
        .expect("columns of one length")
}

/// Writes the documents into `n_files` Parquet files, in row groups of `group` rows.
pub(crate) fn write_parquet(folder: &Path, documents: &[Document], n_files: usize, group: usize) {
    for (i, part) in documents.chunks(documents.len().div_ceil(n_files)).enumerate() {
        super::write_parquet(&folder.join(format!("part-{i}.parquet")), &batch(part), group);
    }
}

/// Writes the documents into `n_files` JSON Lines files.
pub(crate) fn write_lines(folder: &Path, documents: &[Document], n_files: usize) {
    for (i, part) in documents.chunks(documents.len().div_ceil(n_files)).enumerate() {
        super::write_lines(&folder.join(format!("part-{i}.jsonl")), part.iter().map(line));
    }
}

/// A document as a line of JSON.
pub(crate) fn line(document: &Document) -> String {
    let Document { id, text, source, score } = document;
    serde_json::json!({ "id": id, "text": text, "source": source, "score": score }).to_string()
}

/// The set of shingles of a text, of 5 words or CJK characters, by the book and not fast.
pub(crate) fn shingles(text: &str) -> BTreeSet<String> {
    let is_cjk = |c: char| {
        matches!(u32::from(c),
            0x3005 | 0x3007 | 0x3040..=0x30FF | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
            | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x20000..=0x2FA1F)
    };
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let (mut set, mut words) = (BTreeSet::new(), Vec::new());
    let mut i = 0;
    while i < text.len() {
        let start = i;
        if is_cjk(text[i]) {
            while i < text.len() && is_cjk(text[i]) {
                i += 1;
            }
            let run = &text[start..i];
            set.extend(run.windows(5.min(run.len())).map(|window| window.iter().collect::<String>()));
        } else if text[i].is_alphanumeric() || text[i] == '_' {
            while i < text.len() && !is_cjk(text[i]) && (text[i].is_alphanumeric() || text[i] == '_') {
                i += 1;
            }
            words.push(text[start..i].iter().collect::<String>());
        } else {
            i += 1;
        }
    }
    if !words.is_empty() {
        set.extend(words.windows(5.min(words.len())).map(|window| window.join(" ")));
    }
    set
}

/// The Jaccard similarity of two sets.
pub(crate) fn jaccard(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let common = a.intersection(b).count() as f64;
    let union = (a.len() + b.len()) as f64 - common;
    if union == 0.0 { 0.0 } else { common / union }
}
