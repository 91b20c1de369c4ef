//! What deduplication promises, held against the truth of every pair.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::corpus::{self, Document, jaccard, shingles};
use common::{Left, Rows, Work};

/// The documents that a run rejected: id, stage, reason, value, threshold, duplicate_of, similarity.
struct Rejected {
    id: String,
    by: String,
    reason: String,
    threshold: f64,
    duplicate_of: String,
    duplicate_key: Vec<u8>,
    similarity: f64,
}

fn rejected(left: &Left) -> Vec<Rejected> {
    let rows = left.rejected();
    let [id, by, reason, duplicate_of] =
        ["id", "rejected_by", "reason", "duplicate_of"].map(|column| rows.strings(column));
    let [value, threshold, similarity] = ["value", "threshold", "similarity"].map(|column| rows.numbers(column));
    let keys = rows.keys("duplicate_key");
    let all = (0..id.len()).filter(|&row| duplicate_of[row].is_some()).map(|row| {
        assert_eq!(value[row], similarity[row], "the value of a duplicate is its similarity");
        let text = |column: &[Option<String>]| column[row].clone().expect("a duplicate says all of this");
        Rejected {
            id: text(&id),
            by: text(&by),
            reason: text(&reason),
            threshold: threshold[row].expect("a threshold"),
            duplicate_of: text(&duplicate_of),
            duplicate_key: keys[row].clone().expect("a key"),
            similarity: similarity[row].unwrap_or(f64::NAN),
        }
    });
    all.collect()
}

struct Truth<'d> {
    by_id: BTreeMap<&'d str, &'d Document>,
    sets: BTreeMap<&'d str, BTreeSet<String>>,
}

impl<'d> Truth<'d> {
    fn new(documents: &'d [Document]) -> Self {
        Self {
            by_id: documents.iter().map(|document| (document.id.as_str(), document)).collect(),
            sets: documents.iter().map(|document| (document.id.as_str(), shingles(&document.text))).collect(),
        }
    }

    fn similarity(&self, a: &str, b: &str) -> f64 {
        let canonical = |id: &str| self.by_id[id].text.split_whitespace().collect::<Vec<_>>().join(" ");
        if canonical(a) == canonical(b) { 1.0 } else { jaccard(&self.sets[a], &self.sets[b]) }
    }

    /// Every duplicate names a document that is kept, is as similar to it as it says, and similar enough. And
    /// links say the same.
    #[track_caller]
    fn check(&self, left: &Left, thresholds: &BTreeMap<&str, f64>) -> Vec<Rejected> {
        let rejected = rejected(left);
        let kept = left.kept();
        let kept_ids: BTreeSet<String> = kept.strings("id").into_iter().flatten().collect();
        for row in &rejected {
            let Rejected { id, by, reason, threshold, duplicate_of, similarity, .. } = row;
            assert!(kept_ids.contains(duplicate_of), "{id} was dropped by {by} for {duplicate_of}, which is not kept");
            let truth = self.similarity(id, duplicate_of);
            if similarity.is_nan() {
                // By way of a third, which is not like both to the letter.
                assert!(thresholds.len() > 1, "{id}: a similarity that is not known");
                continue;
            }
            assert!((similarity - truth).abs() < 1e-12, "{id} and {duplicate_of}: {similarity}, in truth {truth}");
            assert!(similarity >= threshold, "{id}: {similarity} is below {threshold}");
            assert!(thresholds[by.as_str()] >= *threshold, "{by} has no threshold of {threshold}");
            assert_eq!(reason == "exact_duplicate", by == "exact" || truth == 1.0 && reason == "exact_duplicate");
        }
        let links = left.links();
        assert_eq!(links.n_rows(), rejected.len() as u64, "a link for each duplicate");
        let mut linked = links.keys("kept_key");
        let mut named: Vec<_> = rejected.iter().map(|row| Some(row.duplicate_key.clone())).collect();
        linked.sort();
        named.sort();
        assert!(linked == named, "links lead where rejects do");
        if kept.schema().field_with_name("dup_count").is_ok() {
            check_counts(&kept, &rejected);
        }
        rejected
    }

    /// The pairs of kept documents at or above the threshold: what was missed.
    fn missed(&self, left: &Left, threshold: f64) -> (usize, usize) {
        let kept: Vec<String> = left.kept_strings("id").into_iter().flatten().collect();
        let (mut missed, mut pairs) = (0, 0);
        let ids: Vec<_> = self.sets.keys().collect();
        for (i, a) in ids.iter().enumerate() {
            for b in &ids[i + 1..] {
                if jaccard(&self.sets[*a], &self.sets[*b]) >= threshold {
                    pairs += 1;
                    missed += usize::from(kept.iter().any(|id| id == *a) && kept.iter().any(|id| id == *b));
                }
            }
        }
        (missed, pairs)
    }
}

/// A kept document stands for itself and for all that went for it, and its cluster has its name.
#[track_caller]
fn check_counts(kept: &Rows, rejected: &[Rejected]) {
    let mut gone: BTreeMap<&str, Vec<&Rejected>> = BTreeMap::new();
    for row in rejected {
        gone.entry(&row.duplicate_of).or_default().push(row);
    }
    let (ids, counts, clusters) = (kept.strings("id"), kept.numbers("dup_count"), kept.keys("dup_cluster"));
    for ((id, count), cluster) in ids.iter().zip(counts).zip(clusters) {
        // Null where the stage does not run.
        let Some(count) = count else { continue };
        let gone = gone.get(id.as_deref().expect("an id")).map_or(&[][..], Vec::as_slice);
        assert_eq!(count, 1.0 + gone.len() as f64, "{id:?}");
        let cluster = cluster.expect("a counted document has a cluster");
        assert!(gone.iter().all(|row| row.duplicate_key == cluster), "{id:?}");
    }
}

#[test]
fn every_near_duplicate_is_like_one_that_is_kept() {
    let work = Work::new();
    let documents = corpus::documents(31, 700);
    let truth = Truth::new(&documents);
    corpus::write_parquet(&work.path("in"), &documents, 3, 40);
    for threshold in [0.5, 0.8, 1.0] {
        let output = format!("out-{threshold}");
        work.run(&format!("dedup in {output} --threshold {threshold} --counts --task-size 64KB")).ends_with(0);
        let left = work.left(&output);
        left.adds_up();
        let rejected = truth.check(&left, &BTreeMap::from([("minhash", threshold)]));
        assert!(rejected.len() > 50);
        let counted: f64 = left.kept().numbers("dup_count").into_iter().flatten().sum();
        assert_eq!(counted, documents.len() as f64, "every document is counted once");
        let (missed, pairs) = truth.missed(&left, threshold);
        assert!(missed * 50 <= pairs, "{missed} of {pairs} pairs at {threshold} are both kept");
        // Of those that are alike, the first in order stays.
        let order: BTreeMap<_, _> =
            documents.iter().enumerate().map(|(i, document)| (document.id.as_str(), i)).collect();
        assert!(rejected.iter().all(|row| order[row.duplicate_of.as_str()] < order[row.id.as_str()]));
    }
}

#[test]
fn corpus_stages_of_one_exchange_agree() {
    let work = Work::new();
    let documents = corpus::documents(32, 700);
    let truth = Truth::new(&documents);
    corpus::write_parquet(&work.path("in"), &documents, 3, 40);
    let stages = [
        "[[stage]]\nuse = 'exact'\n",
        "[[stage]]\nuse = 'minhash'\nthreshold = 0.6\nkeep = 'longest'\ncounts = true\n",
        "[[stage]]\nuse = 'reuse'\n",
    ];
    let thresholds = BTreeMap::from([("exact", 1.0), ("minhash", 0.6)]);
    for order in [[0, 1, 2], [1, 0, 2], [2, 0, 1]] {
        let name = order.map(|i| i.to_string()).concat();
        work.write(&format!("{name}.toml"), order.map(|i| stages[i]).concat());
        work.run(&format!("run {name}.toml -i in -o {name} --task-size 64KB")).ends_with(0);
        let left = work.left(&name);
        left.adds_up();
        let rejected = truth.check(&left, &thresholds);
        assert!(rejected.iter().any(|row| row.by == "minhash"));
        if order != [1, 0, 2] {
            // What exact kept and minhash dropped: its copies go for the one that is kept.
            let through = rejected.iter().filter(|row| row.by == "exact" && row.similarity < 1.0).count();
            assert!(through > 0, "some copies stood for one that went");
        }
        assert!(left.kept().numbers("reuse_count").iter().all(|uses| *uses == Some(0.0)));
        let counted: f64 = left.kept().numbers("dup_count").into_iter().flatten().sum();
        assert_eq!(counted, documents.len() as f64, "what any stage of the exchange dropped is counted");
        let report = left.report();
        assert_eq!(report["exchanges"].as_array().expect("a list").len(), 1, "one exchange for all of them");
    }
}

#[test]
fn the_one_that_stays_is_the_one_asked_for() {
    let work = Work::new();
    let documents = corpus::documents(33, 500);
    let truth = Truth::new(&documents);
    corpus::write_parquet(&work.path("in"), &documents, 2, 40);
    corpus::write_lines(&work.path("lines"), &documents, 2);
    let number = |id: &str, of: &dyn Fn(&Document) -> f64| of(truth.by_id[id]);
    type Of = Box<dyn Fn(&Document) -> f64>;
    // The lower goes first.
    let policies: [(&str, Of); 4] = [
        ("longest", Box::new(|document| -(document.text.chars().count() as f64))),
        ("highest:score", Box::new(|document| document.score.map_or(f64::INFINITY, |score| -score))),
        ("lowest:score", Box::new(|document| document.score.unwrap_or(f64::INFINITY))),
        (
            "sources:books,web",
            Box::new(|document| {
                ["books", "web", "forum"].iter().position(|source| *source == document.source).expect("a source") as f64
            }),
        ),
    ];
    for (policy, of) in policies {
        for (stage, thresholds) in
            [("--exact", BTreeMap::from([("exact", 1.0)])), ("--threshold 0.7", BTreeMap::from([("minhash", 0.7)]))]
        {
            for input in ["in", "lines"] {
                let output = format!("{input}-{}-{}", policy.replace([':', ','], "-"), stage.len());
                work.run(&format!("dedup {input} {output} {stage} --keep {policy} --counts --task-size 64KB"))
                    .ends_with(0);
                let left = work.left(&output);
                left.adds_up();
                let rejected = truth.check(&left, &thresholds);
                assert!(rejected.len() > 20);
                for row in &rejected {
                    let (kept, gone) = (number(&row.duplicate_of, &of), number(&row.id, &of));
                    assert!(kept <= gone, "{policy}: {} stays, {} goes", row.duplicate_of, row.id);
                }
            }
        }
    }
}

/// Which fields lines have is known only when they have been read.
#[test]
fn a_column_that_no_line_has_is_said() {
    let work = Work::new();
    let documents = corpus::documents(35, 200);
    corpus::write_lines(&work.path("lines"), &documents, 2);
    for (i, stage) in ["--exact", "--threshold 0.7"].into_iter().enumerate() {
        let run = |keep: &str, output: &str| {
            work.run(&format!("dedup lines {output}-{i} {stage} --keep {keep}")).ends_with(0)
        };
        run("first", "first");
        let ran = run("highest:scroe", "typo");
        ran.says(" WARN ")
            .says(": no document has a number in the column `scroe`, so the first of like documents stays");
        let ids = |output: &str| work.left(&format!("{output}-{i}")).kept_strings("id");
        assert_eq!(ids("typo"), ids("first"));
        let ran = run("highest:score", "sound");
        assert!(!ran.stderr.contains("WARN"), "{ran}");
    }
}

#[test]
fn a_profile_says_what_is_alike() {
    let work = Work::new();
    let lines = [
        ("accents", "Le café naïve de l'été : 12,5 km à pied, un soir de 1998 (peut-être)."),
        ("plain", "le cafe naive de l ete 3 km a pied un soir de 2024 peut etre"),
        ("four-words", "Three mice, one cat."),
        ("four-words-again", "three mice one cat"),
        ("other", "Nothing of this has anything to do with what stands above it, or so it seems."),
    ];
    let lines = lines.map(|(id, text)| serde_json::json!({ "id": id, "text": text }).to_string());
    work.write("in.jsonl", lines.join("\n"));
    let dropped = |more: &str| {
        let output = format!("out{}", more.replace(' ', ""));
        work.run(&format!("dedup in.jsonl {output} {more}")).ends_with(0);
        let left = work.left(&output);
        left.adds_up();
        rejected(&left).into_iter().map(|row| (row.id, row.duplicate_of, row.similarity)).collect::<Vec<_>>()
    };
    let pair = |id: &str, of: &str| (id.to_owned(), of.to_owned(), 1.0);
    assert_eq!(dropped(""), [pair("four-words-again", "four-words")]);
    assert_eq!(dropped("--profile default"), dropped(""));
    // Four words are no shingle there.
    let alike = [pair("plain", "accents")];
    assert_eq!(dropped("--profile datatrove-0.10"), alike);
    assert_eq!(dropped("--profile datatrove-0.10 --recall 0.9"), alike);
    assert_eq!(dropped("--profile datatrove-0.10 --bands 3 --rows 7"), alike);
    assert_eq!(dropped("--profile datatrove-0.10 --verify signature"), alike);
    assert_eq!(dropped("--profile datatrove-0.10 --audit 9"), alike);
    let notes = &work.left("out--profiledatatrove-0.10--audit9").report()["exchanges"][0]["notes"]["minhash"];
    // Both are in the sample, and each is like the other.
    assert_eq!((&notes["audit_pairs"], &notes["audit_pairs_found"]), (&2.into(), &2.into()), "{notes}");
    let [(id, of, similarity)] = &dropped("--profile datatrove-0.10 --verify none")[..] else { panic!("one pair") };
    assert!((id.as_str(), of.as_str()) == ("plain", "accents") && similarity.is_nan());
    let with_shorter = dropped("--profile datatrove-0.10 --ngram 4");
    assert_eq!(with_shorter, [pair("plain", "accents"), pair("four-words-again", "four-words")]);
}

#[test]
fn conditions_hold_for_corpus_stages() {
    let work = Work::new();
    let documents = corpus::documents(34, 500);
    let truth = Truth::new(&documents);
    corpus::write_parquet(&work.path("in"), &documents, 2, 40);
    work.write(
        "p.toml",
        "[[stage]]\nuse = 'exact'\nwhen = { source = ['web', 'books'] }\n[[stage]]\nuse = 'minhash'\nthreshold = 0.6\nunless = { source = 'web' }\ncounts = true\n[[stage]]\nuse = 'reuse'\nwhen = { source = 'forum' }\n",
    );
    work.run("run p.toml -i in -o out --task-size 64KB").ends_with(0);
    let left = work.left("out");
    left.adds_up();
    let rejected = truth.check(&left, &BTreeMap::from([("exact", 1.0), ("minhash", 0.6)]));
    let source = |id: &str| truth.by_id[id].source;
    for row in &rejected {
        let never = if row.by == "exact" { "forum" } else { "web" };
        assert_ne!(source(&row.id), never, "{} was seen by {}", row.id, row.by);
    }
    assert!(["exact", "minhash"].iter().all(|by| rejected.iter().any(|row| row.by == **by)));
    let kept = left.kept();
    for (source, count) in kept.strings("source").iter().zip(kept.numbers("dup_count")) {
        assert_eq!(count.is_none(), source.as_deref() == Some("web"), "counted where the stage runs");
    }
    for (source, uses) in kept.strings("source").iter().zip(kept.numbers("reuse_count")) {
        assert_eq!(uses.is_some(), source.as_deref() == Some("forum"));
    }
}
