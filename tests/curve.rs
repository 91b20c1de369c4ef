//! Every threshold from one run: what it records is what a run at each threshold would do.

mod common;

use common::corpus;
use common::{Ran, Work};
use serde_json::Value;

/// A corpus in three files, with rows that are no documents and documents without a word among them.
fn write_corpus(work: &Work, seed: u64) {
    let mut documents = corpus::documents(seed, 600);
    for i in [50, 51, 300] {
        documents[i].text = "!".into();
    }
    corpus::write_parquet(&work.path("in"), &documents, 3, 40);
    work.write(
        "in/odd.jsonl",
        "{\"id\":\"no text\",\"text\":null}\n{\"id\":\"short\",\"text\":\"one word\"}\nbroken\n",
    );
}

const DEDUP: &str = "--task-size 40KB --floor 0.5";

fn points(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).expect("JSON")
}

#[test]
fn every_point_is_what_a_run_at_that_threshold_keeps() {
    let work = Work::new();
    write_corpus(&work, 41);
    for (i, keep) in ["first", "longest", "highest:score"].into_iter().enumerate() {
        work.run(&format!("dedup in out-{i} {DEDUP} --keep {keep} --threshold 0.7")).ends_with(0);
        let curve = points(&work.run(&format!("report out-{i} --curve --json")).ends_with(0));
        assert_eq!(curve["floor"], 0.5);
        let points = curve["points"].as_array().expect("a list");
        assert_eq!(points.len(), 11);
        assert!(points[0]["documents"].as_u64() < points[10]["documents"].as_u64(), "thresholds differ");
        // The reader rejects two rows; all others are documents.
        assert_eq!(curve["all"]["documents"].as_u64(), Some(601));
        for point in points.iter().step_by(if i == 0 { 1 } else { 5 }) {
            let threshold = &point["threshold"];
            let output = format!("at-{i}-{threshold}");
            work.run(&format!("dedup in {output} {DEDUP} --keep {keep} --threshold {threshold}")).ends_with(0);
            let report = work.left(&output).report();
            assert_eq!(point["documents"], report["rows_kept"], "at {threshold}");
            assert_eq!(point["bytes"], report["bytes_kept"], "at {threshold}");
        }
    }
}

#[test]
fn tokens_are_those_that_counts_has_counted() {
    let work = Work::new();
    write_corpus(&work, 42);
    for (name, rates) in [("default", ""), ("other", "ascii_chars_per_token = 3.0\ntokens_per_cjk_char = 0.5\n")] {
        let pipeline =
            format!("[[stage]]\nuse = 'counts'\n{rates}[[stage]]\nuse = 'minhash'\nfloor = 0.6\nthreshold = 0.75\n");
        work.write(&format!("{name}.toml"), pipeline);
        work.run(&format!("run {name}.toml -i in -o {name}")).ends_with(0);
        let curve = points(&work.run(&format!("report {name} --curve --json")).ends_with(0));
        let point = curve["points"].as_array().expect("a list").iter().find(|point| point["threshold"] == 0.75);
        assert_eq!(point.expect("on the grid")["tokens"], work.left(name).report()["tokens_kept"]);
    }
    work.run("dedup in bare --floor 0.6").ends_with(0);
    let tokens = |run: &str| points(&work.run(&format!("report {run} --curve --json")))["all"]["tokens"].clone();
    assert_eq!(tokens("bare"), tokens("default"), "without counts, its defaults");
    assert_ne!(tokens("bare"), tokens("other"));
}

#[test]
fn what_is_recorded_depends_on_the_input_alone() {
    let work = Work::new();
    write_corpus(&work, 43);
    let recorded = |more: &str, output: &str| {
        work.run(&format!("dedup in {output} {DEDUP} {more}")).ends_with(0);
        let files = work.left(output).files("_trommel/0");
        files
            .into_iter()
            .filter(|(name, _)| !name.ends_with(".json") || name.ends_with("pairs.json"))
            .collect::<Vec<_>>()
    };
    let one = recorded("--threads 1", "one");
    let names: Vec<_> = one.iter().map(|(name, _)| name.as_str()).filter(|name| !name.contains("/names/")).collect();
    assert_eq!(names, ["_trommel/0/copies", "_trommel/0/edges", "_trommel/0/pairs.json"]);
    assert!(one == recorded("--threads 8 --memory 1MB", "eight"));
    // And on no threshold.
    assert!(one == recorded("--threshold 0.5", "low"));
}

#[test]
fn the_report_is_printed_again() {
    let work = Work::new();
    write_corpus(&work, 44);
    let table = work.run(&format!("dedup in out {DEDUP}")).ends_with(0).stdout;
    assert_eq!(work.run("report out").ends_with(0).stdout, table);
    let report: Value = points(&work.run("report out --json").ends_with(0));
    assert_eq!(report, work.left("out").report());
    let curve = work.run("report out --curve --step 0.01 --svg curve.svg").ends_with(0).stdout;
    assert!(curve.contains("\n0.51 ") && curve.contains("\nkept\n"), "{curve}");
    assert!(curve.lines().all(|line| line.len() <= 80), "{curve}");
    let svg = std::fs::read_to_string(work.path("curve.svg")).expect("a drawing");
    assert_eq!(svg.matches("<circle").count(), 3 * 51);
}

#[test]
fn what_cannot_be_reported_is_said() {
    let work = Work::new();
    write_corpus(&work, 45);
    work.run("report nothing").ends_with(1).says("nothing: there is no run; name the output folder of one");
    work.run("dedup in plain").ends_with(0);
    assert!(!work.path("plain/_trommel/0").exists(), "without a floor, nothing stays");
    let none = "plain: this run has no pairs on record; `trommel dedup --floor 0.5` records those from 0.5 up";
    work.run("report plain --curve").ends_with(1).says(none);
    work.write("p.toml", "[[stage]]\nuse = 'word_count'\n[[stage]]\nuse = 'minhash'\nfloor = 0.5\n");
    work.run("run p.toml -i in -o more").ends_with(0);
    work.run("report more --curve").ends_with(1).says("where no other stage drops");
    std::fs::remove_file(work.path("plain/report.json")).expect("it is there");
    work.run("report plain").ends_with(1).says("plain: this run is not finished; give its command again");
    work.run("dedup in out --floor 0.9").ends_with(1).says("`floor` (0.9) must be above 0 and at most the threshold");
    work.run("dedup in out --floor 0.5 --verify none").ends_with(1).says("which `verify = \"none\"` does not work out");
}
