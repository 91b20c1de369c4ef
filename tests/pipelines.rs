//! Every pipeline in `pipelines/` runs, and the small documents in `fixtures/` become what they say they should.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;

/// A finished run.
struct Run {
    dir: TempDir,
}

impl Run {
    /// Runs `trommel` in the project's folder with these arguments; `OUT` is the output folder.
    #[track_caller]
    fn of(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = dir.path().to_str().expect("a plain path");
        let run = Command::new(env!("CARGO_BIN_EXE_trommel"))
            .current_dir(root())
            .args(arguments.iter().map(|&argument| if argument == "OUT" { out } else { argument }))
            .output()
            .expect("the program can be started");
        assert!(run.status.success(), "{arguments:?} {}\n{}", run.status, String::from_utf8_lossy(&run.stderr));
        Self { dir }
    }

    fn report(&self) -> Value {
        json(&fs::read_to_string(self.dir.path().join("report.json")).expect("a report"))
    }

    /// The data files by their paths.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        ["kept", "rejected"]
            .iter()
            .flat_map(|folder| list(&self.dir.path().join(folder)))
            .map(|path| {
                let bytes = fs::read(&path).expect("a file that was listed");
                (path.strip_prefix(self.dir.path()).expect("a file in the folder").to_owned(), bytes)
            })
            .collect()
    }

    /// All rows of a folder, file by file: rejects of a later pass have more columns.
    fn rows(&self, folder: &str) -> Vec<RecordBatch> {
        let read = |path: &PathBuf| {
            let file = File::open(path).expect("a file that was listed");
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
            reader.build().expect("a reader").map(|batch| batch.expect("a whole file")).collect::<Vec<_>>()
        };
        list(&self.dir.path().join(folder)).iter().flat_map(read).collect()
    }

    fn n_rows(&self, folder: &str) -> usize {
        self.rows(folder).iter().map(RecordBatch::num_rows).sum()
    }

    /// A column of strings; null where there is none.
    fn strings(&self, folder: &str, column: &str) -> Vec<Option<String>> {
        let strings = |batch: &RecordBatch| {
            let column: ArrayRef = cast(&batch[column], &DataType::Utf8).expect("strings");
            column.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect::<Vec<_>>()
        };
        self.rows(folder).iter().flat_map(strings).collect()
    }

    /// A column of numbers; null where there is none.
    fn numbers(&self, folder: &str, column: &str) -> Vec<Option<f64>> {
        let numbers = |batch: &RecordBatch| {
            let column = cast(&batch[column], &DataType::Float64).expect("numbers");
            column.as_primitive::<Float64Type>().iter().collect::<Vec<_>>()
        };
        self.rows(folder).iter().flat_map(numbers).collect()
    }

    /// What became of each document: `kept`, or `STAGE: REASON`, with ` of ID` if another one stands for it.
    fn fates(&self) -> BTreeMap<String, String> {
        let id = |id: Option<String>| id.expect("every document has an id");
        let kept = self.strings("kept", "id").into_iter().map(|kept| (id(kept), "kept".to_owned()));
        let [ids, stages, reasons, originals] =
            ["id", "rejected_by", "reason", "duplicate_of"].map(|column| self.strings("rejected", column));
        let rejected = (0..ids.len()).map(|i| {
            let of = originals[i].as_ref().map_or(String::new(), |original| format!(" of {original}"));
            let (stage, reason) = (stages[i].as_deref().expect("a stage"), reasons[i].as_deref().expect("a reason"));
            (id(ids[i].clone()), format!("{stage}: {reason}{of}"))
        });
        kept.chain(rejected).collect()
    }

    /// The text of a kept document.
    fn kept_text(&self, id: &str) -> String {
        let at = self.strings("kept", "id").iter().position(|kept| kept.as_deref() == Some(id)).expect("it is kept");
        self.strings("kept", "text")[at].clone().expect("a text")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// The files of a folder in the order of their names; none if there is no folder.
fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder that can be listed").path()).collect();
    paths.sort();
    paths
}

fn fixtures(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join("fixtures").join(name)).expect("a fixture");
    text.lines().map(json).collect()
}

/// Holds what became of documents against what they say of themselves.
#[track_caller]
fn check_expectations(fixtures: &[Value], fates: &BTreeMap<String, String>) {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let expected: BTreeMap<_, _> = fixtures.iter().map(|doc| (text(&doc["id"]), text(&doc["expect"]))).collect();
    assert_eq!(expected.len(), fixtures.len(), "ids are unique");
    for (id, expect) in &expected {
        assert_eq!(&fates[id], expect, "{id}");
    }
    assert_eq!(fates.len(), expected.len());
}

#[test]
fn every_pipeline_runs_and_accounts_for_every_row() {
    for path in list(&root().join("pipelines")) {
        let pipeline = path.to_str().expect("a plain path");
        let names_its_input = fs::read_to_string(&path).expect("a pipeline").contains("\nfiles = ");
        let (input, n_rows): (&[&str], _) = if names_its_input {
            (&[], fixtures("web.jsonl").len())
        } else {
            let files = &["--input", "fixtures/web.jsonl", "fixtures/dedup.jsonl"];
            (files, fixtures("web.jsonl").len() + fixtures("dedup.jsonl").len())
        };
        let run = |threads| Run::of(&[&["run", pipeline, "--output", "OUT", "--threads", threads], input].concat());
        let one = run("1");
        let report = one.report();
        let n = |key: &str| report[key].as_u64().expect("a number") as usize;
        assert_eq!(n("rows_in"), n_rows, "{pipeline}");
        assert_eq!(n("rows_kept"), one.n_rows("kept"), "{pipeline}");
        assert_eq!(n("rows_rejected"), one.n_rows("rejected"), "{pipeline}");
        assert_eq!(n("rows_in"), n("rows_kept") + n("rows_rejected"), "{pipeline}");
        assert!(one.files() == run("4").files(), "{pipeline}: four threads write other files than one");
    }
}

#[test]
fn the_quickstart_does_with_each_document_what_it_expects() {
    let run = Run::of(&["run", "pipelines/quickstart.toml", "--output", "OUT"]);
    check_expectations(&fixtures("web.jsonl"), &run.fates());
}

#[test]
fn kept_documents_are_clean() {
    let run = Run::of(&["run", "pipelines/quickstart.toml", "--output", "OUT"]);
    assert!(!run.kept_text("javascript-line").to_lowercase().contains("javascript"));
    assert!(!run.kept_text("policy-line").contains("privacy policy"));
    assert!(!run.kept_text("controls").contains(['\u{200b}', '\u{feff}', '\0']));
    assert!(run.kept_text("full-width").contains("2024年10月1日"));
    assert!(!run.kept_text("decomposed").contains('\u{301}'));
    for text in run.strings("kept", "text") {
        assert!(!text.expect("a text").contains("\n\n\n"));
    }
}

#[test]
fn the_report_sums_the_tokens_that_are_kept() {
    let run = Run::of(&["run", "pipelines/quickstart.toml", "--output", "OUT"]);
    let tokens: f64 = run.numbers("kept", "token_count").into_iter().flatten().sum();
    assert!(tokens > 0.0);
    assert_eq!(run.report()["tokens_kept"].as_f64(), Some(tokens));
}

#[test]
fn dedup_does_with_each_document_what_it_expects() {
    let run = Run::of(&["dedup", "--threshold", "0.8", "fixtures/dedup.jsonl", "OUT"]);
    let fates = run.fates().into_iter().map(|(id, fate)| match fate.split_once(" of ") {
        Some((_, original)) => (id, format!("duplicate of {original}")),
        None => (id, fate),
    });
    check_expectations(&fixtures("dedup.jsonl"), &fates.collect());
}

#[test]
fn similarities_are_those_of_the_fixtures() {
    let run = Run::of(&["dedup", "--threshold", "0.8", "fixtures/dedup.jsonl", "OUT"]);
    let similarities = run.numbers("rejected", "similarity");
    let fixtures = fixtures("dedup.jsonl");
    for (id, similarity) in run.strings("rejected", "id").into_iter().zip(similarities) {
        let fixture = fixtures.iter().find(|doc| doc["id"].as_str() == id.as_deref()).expect("a fixture");
        if let Some(jaccard) = fixture["jaccard"].as_f64() {
            assert!((similarity.expect("a similarity") - jaccard).abs() < 1e-4, "{id:?}");
        }
    }
}

#[test]
fn the_readme_lists_every_stage() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    for entry in trommel::pipeline::FAMILIES.iter().flat_map(|(_, all)| *all) {
        let line = format!("| `{}` | {} |", entry.name, entry.family);
        assert!(readme.contains(&line), "the table of stages in the README lacks {line}");
    }
}
