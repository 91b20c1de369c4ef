//! Tokens are told wherever documents are: kept and rejected, by stage and reason.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use common::{Work, write_parquet};
use serde_json::{Value, json};

mod common;

/// A tokenizer in which nothing merges: a token a byte.
const BYTES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tokens/gpt2.json");

const DOCS: [(&str, u64); 4] = [("zq", 2), ("zq qz", 3), ("zq zq zq zq", 7), ("qz qz zq zq zz", 9)];

/// A run of `stages` over the documents, of which the two short ones go.
fn run(stages: &str, counted: bool) -> Value {
    let work = Work::new();
    let (texts, tokens): (Vec<&str>, Vec<u64>) = DOCS.into_iter().unzip();
    let mut columns: Vec<(&str, ArrayRef)> = vec![("text", Arc::new(StringArray::from(texts)))];
    if counted {
        columns.push(("token_count", Arc::new(UInt64Array::from(tokens))));
    }
    write_parquet(&work.path("in.parquet"), &RecordBatch::try_from_iter(columns).expect("of one length"), 10);
    work.write("p.toml", stages.replace("BYTES", BYTES));
    work.run("run p.toml --input in.parquet --output out").ends_with(0);
    work.left("out").report()
}

#[track_caller]
fn check(report: &Value, [kept, rejected, estimated]: [u64; 3], by_reason: &Value) {
    assert_eq!(report["tokens_kept"], kept);
    assert_eq!(report["tokens_rejected"], rejected);
    assert_eq!(report["tokens_estimated"], estimated);
    assert_eq!((&report["bytes_kept"], &report["bytes_rejected"]), (&25.into(), &7.into()));
    let stages = report["stages"].as_array().expect("a list");
    let filter = stages.iter().find(|stage| stage["stage"] == "word_count").expect("it is in the pipeline");
    assert_eq!(filter["dropped_tokens"], *by_reason);
    assert_eq!(filter["dropped_bytes"], json!({ "too_few_words": 7 }));
}

const FILTER: &str = "[[stage]]\nuse = 'word_count'\nmin = 3\n";

#[test]
fn tokens_that_nobody_counts_are_estimated() {
    let report = run(FILTER, false);
    // A quarter of the characters, rounded up.
    check(&report, [3 + 4, 1 + 2, 4], &json!({ "too_few_words": 3 }));
}

#[test]
fn tokens_of_the_input_are_taken() {
    let report = run(FILTER, true);
    check(&report, [7 + 9, 2 + 3, 0], &json!({ "too_few_words": 5 }));
}

#[test]
fn tokens_are_counted_by_a_tokenizer() {
    let counts = "[[stage]]\nuse = 'counts'\ntokenizer = 'BYTES'\n";
    let counted_first = run(&[counts, FILTER].concat(), false);
    check(&counted_first, [11 + 14, 2 + 5, 0], &json!({ "too_few_words": 7 }));
    // What goes before it is counted goes with an estimate.
    let counted_last = run(&[FILTER, counts].concat(), false);
    check(&counted_last, [11 + 14, 1 + 2, 2], &json!({ "too_few_words": 3 }));
}

#[test]
fn later_passes_know_what_earlier_ones_have_counted() {
    let counts = "[[stage]]\nuse = 'counts'\ntokenizer = 'BYTES'\n";
    let report = run(&[counts, FILTER, "[[stage]]\nuse = 'exact'\n"].concat(), false);
    check(&report, [11 + 14, 2 + 5, 0], &json!({ "too_few_words": 7 }));
}
