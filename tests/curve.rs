//! Every threshold from one run: what it records is what a run at each threshold would do.

mod common;

use std::time::Instant;

use common::corpus::{self, Random};
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

const DEDUP: &str = "--task-size 64KB --floor 0.5";

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

#[test]
fn a_run_cut_anew_is_a_run_at_that_threshold() {
    let work = Work::new();
    write_corpus(&work, 46);
    for (i, keep) in ["first", "highest:score"].into_iter().enumerate() {
        work.run(&format!("dedup in out-{i} {DEDUP} --keep {keep} --threshold 0.7 --audit 5")).ends_with(0);
        for threshold in ["0.5", "0.66", "0.7", "1"] {
            let (fresh, cut) = (format!("fresh-{i}-{threshold}"), format!("cut-{i}-{threshold}"));
            work.run(&format!("dedup in {fresh} {DEDUP} --keep {keep} --threshold {threshold}")).ends_with(0);
            work.run(&format!("dedup --from out-{i} --threshold {threshold} {cut}")).ends_with(0);
            let (fresh, left) = (work.left(&fresh), work.left(&cut));
            left.assert_same(&fresh);
            assert_eq!(left.adds_up(), fresh.adds_up());
            assert!(!work.path(&cut).join("_trommel/0").exists(), "the pairs stay where they are");
        }
    }
    // Cut from what was cut, on one thread or many, and asked for its curve.
    let again = |more: &str, output: &str| {
        work.run(&format!("dedup --from cut-0-1 --threshold 0.66 {more} {output}")).ends_with(0);
        work.left(output).assert_same(&work.left("cut-0-0.66"));
    };
    again("--threads 1 --memory 1MB", "again-1");
    again("--threads 8", "again-8");
    let curve = |run: &str| work.run(&format!("report {run} --curve")).ends_with(0).stdout;
    assert_eq!(curve("again-1"), curve("out-0"));
}

#[test]
fn a_cut_has_the_floor_the_bands_and_the_leaders_of_its_run() {
    let work = Work::new();
    write_corpus(&work, 52);
    let pipeline = |threshold: &str, bands: &str| {
        format!("[[stage]]\nuse = 'minhash'\nfloor = 0.7\nthreshold = {threshold}\n{bands}")
    };
    // Of these few bands and leaders some pairs are not found, and have to be missed in the same way.
    for (name, bands) in [("chosen", ""), ("by-hand", "bands = 3\nrows = 9\nleaders = 2\n")] {
        work.write(&format!("{name}-low.toml"), pipeline("0.7", bands));
        work.write(&format!("{name}-high.toml"), pipeline("0.9", bands));
        work.run(&format!("run {name}-low.toml -i in -o {name}-low")).ends_with(0);
        work.run(&format!("run {name}-high.toml -i in -o {name}-high")).ends_with(0);
        work.run(&format!("dedup --from {name}-low --threshold 0.9 {name}-cut")).ends_with(0);
        let [low, high, cut] = ["low", "high", "cut"].map(|run| work.left(&format!("{name}-{run}")));
        cut.assert_same(&high);
        assert_eq!(cut.adds_up(), high.adds_up());
        assert!(low.adds_up().2 > high.adds_up().2, "thresholds differ");
    }
    let kept = |run: &str| work.left(run).adds_up().1;
    assert!(kept("by-hand-cut") > kept("chosen-cut"), "some pairs are not found");
}

#[test]
fn what_a_pipeline_adds_is_added_when_it_is_cut_anew() {
    let work = Work::new();
    write_corpus(&work, 47);
    let pipeline = |threshold: &str| {
        format!(
            "[output]\nformat = 'jsonl'\n[[stage]]\nuse = 'counts'\n[[stage]]\nuse = 'minhash'\nfloor = 0.5\n\
             threshold = {threshold}\nwhen = {{ source = ['web', 'books'] }}\n[[stage]]\nuse = 'content_key'\n"
        )
    };
    work.write("low.toml", pipeline("0.6"));
    work.write("high.toml", pipeline("0.9"));
    work.run("run low.toml -i in -o low --limit 500").ends_with(0);
    work.run("run high.toml -i in -o high --limit 500").ends_with(0);
    work.run("dedup --from low --threshold 0.9 cut").ends_with(0);
    work.left("cut").assert_same(&work.left("high"));
    work.run("dedup --from high --threshold 0.6 --format parquet parquet").ends_with(0);
    assert_eq!(work.left("parquet").report()["rows_kept"], work.left("low").report()["rows_kept"]);
    let curve = points(&work.run("report low --curve --json").ends_with(0));
    let at = curve["points"].as_array().expect("a list").iter().find(|point| point["threshold"] == 0.9).expect("0.9");
    assert_eq!(at["documents"], work.left("high").report()["rows_kept"], "documents that are not compared stay");
}

#[test]
fn a_cut_that_cannot_be_is_refused() {
    let work = Work::new();
    write_corpus(&work, 48);
    work.run("dedup in out --floor 0.6 --threshold 0.7").ends_with(0);
    work.run("dedup --from out --threshold 0.5 new")
        .ends_with(1)
        .says("out: its pairs are on record from 0.6 up; for a threshold of 0.5, deduplicate again with --floor 0.5");
    work.run("dedup --from out --threshold 0.8 in new").ends_with(1).says("in: with --from, the input is that of out");
    work.run("dedup --from in --threshold 0.8 new").ends_with(1).says("in: there is no run");
    work.run("dedup in plain").ends_with(0);
    work.run("dedup --from plain --threshold 0.8 new").ends_with(1).says("plain: this run has no pairs on record");
    work.run("dedup in").ends_with(1).says("only one path is given; name the input and the output");
    assert!(!work.path("new").exists(), "nothing is begun");

    // One folder, one run.
    work.run("dedup --from out --threshold 0.8 cut").ends_with(0);
    work.run("dedup --from out --threshold 0.8 cut").ends_with(0).says("done already");
    work.run("dedup in cut --floor 0.6 --threshold 0.8").ends_with(1).says("this one from no other");
    work.run("dedup --from out --threshold 0.9 cut").ends_with(1).says("threshold was 0.8, now it is 0.9");

    let mut lines = std::fs::read(work.path("in/odd.jsonl")).expect("a file");
    lines.extend_from_slice(b"{\"text\":\"more\"}\n");
    std::fs::write(work.path("in/odd.jsonl"), lines).expect("written");
    let changed = "in/odd.jsonl: it has changed since out was made; deduplicate it again";
    work.run("dedup --from out --threshold 0.8 new").ends_with(1).says(changed);
    std::fs::remove_file(work.path("in/odd.jsonl")).expect("it was there");
    work.run("dedup --from out --threshold 0.8 new").ends_with(1).says("in/odd.jsonl: there is no such file");
    std::fs::remove_file(work.path("out/report.json")).expect("it was there");
    work.run("dedup --from out --threshold 0.8 new").ends_with(1).says("out: this run is not finished");
    assert!(!work.path("new").exists(), "nothing is begun");
}

#[test]
fn a_cut_killed_at_any_instant_can_be_continued() {
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(49, 900), 3, 20);
    work.run("dedup in out --floor 0.5 --task-size 64KB").ends_with(0);
    let cut = "dedup --from out --threshold 0.6 --threads 2";
    let start = Instant::now();
    work.run(&format!("{cut} whole")).ends_with(0);
    let time = start.elapsed();
    let mut random = Random(3);
    let mut n_kills = 0;
    for round in 0..6 {
        let output = format!("cut-{round}");
        n_kills += work.kill_until_done(cut, &output, time, &mut random, |_| {});
        work.run(&format!("{cut} {output}")).ends_with(0).says("done already");
        work.left(&output).assert_same(&work.left("whole"));
        assert_eq!(work.left(&output).adds_up(), work.left("whole").adds_up());
    }
    assert!(n_kills >= 4, "{n_kills} kills before the end");
}

#[test]
fn a_target_takes_the_lowest_threshold_that_keeps_it() {
    let work = Work::new();
    write_corpus(&work, 50);
    work.run("dedup in out --floor 0.55").ends_with(0);
    let curve = points(&work.run("report out --curve --step 0.01 --json").ends_with(0));
    let curve = curve["points"].as_array().expect("a list");
    let number = |point: &Value, what: &str| point[what].as_u64().expect("a number");
    for (i, (flag, what)) in [("--target-tokens", "tokens"), ("--target-docs", "documents")].into_iter().enumerate() {
        // One that a threshold keeps exactly, one more, and nearly none.
        for (j, wanted) in [number(&curve[20], what), number(&curve[20], what) + 1, 1].into_iter().enumerate() {
            let point = curve.iter().find(|point| number(point, what) >= wanted).expect("reached");
            let output = format!("target-{i}-{j}");
            let ran = work.run(&format!("dedup in {output} --floor 0.55 {flag} {wanted}")).ends_with(0);
            let said = format!("\nthreshold {} taken, the lowest that keeps ", point["threshold"]);
            assert!(ran.stdout.contains(&said), "{said}{ran}");
            let fresh = format!("fresh-{i}-{j}");
            work.run(&format!("dedup in {fresh} --floor 0.55 --threshold {}", point["threshold"])).ends_with(0);
            let cut = format!("cut-{i}-{j}");
            work.run(&format!("dedup --from out {flag} {wanted} {cut}")).ends_with(0);
            for left in [work.left(&output), work.left(&cut)] {
                left.assert_same(&work.left(&fresh));
                let choice = &left.report()["exchanges"][0]["choice"];
                assert_eq!((&choice["threshold"], &choice["reached"]), (&point["threshold"], &Value::Bool(true)));
                assert_eq!(choice["kept"]["documents"], left.report()["rows_kept"]);
            }
        }
    }
    // What was taken by a target can be cut at a threshold.
    work.run("dedup --from target-0-0 --threshold 0.55 low").ends_with(0);
    assert_eq!(work.left("low").report()["rows_kept"], curve[0]["documents"]);
}

#[test]
fn a_target_that_is_not_reached_takes_one_and_says_so() {
    let work = Work::new();
    write_corpus(&work, 51);
    let ran = work.run("dedup in out --floor 0.6 --target-docs 1k").ends_with(0);
    let said = "1,000 documents are not to be had: threshold 1 taken, which keeps ";
    assert!(ran.stdout.contains(said) && ran.stdout.contains(" of 601 documents before deduplication"), "{ran}");
    let ran = ran.says(&format!(" WARN {said}"));
    assert_eq!(work.run("report out").ends_with(0).stdout, ran.stdout);
    work.run("dedup in one --floor 0.6 --threshold 1").ends_with(0);
    work.left("out").assert_same(&work.left("one"));

    work.run("dedup in new --target-docs 10").ends_with(1).says("a target needs `floor`, the lowest threshold");
    work.run("dedup in new --floor 0.5 --target-docs 10 --threshold 0.7").ends_with(1).says("cannot be used with");
    work.run("dedup in new --floor 0.5 --target-docs 10 --audit 5").ends_with(1).says("`audit` needs a threshold");
    work.run("dedup in new --floor 0.5 --target-docs 0").ends_with(1).says("write a number above 0");
    let stage = |more: &str| format!("[[stage]]\nuse = 'minhash'\nfloor = 0.5\ntarget_docs = 10\n{more}");
    work.write("both.toml", stage("target_tokens = 10\n"));
    work.run("run both.toml -i in -o new").ends_with(1).says("set `target_tokens` or `target_docs`, not both");
    work.write("more.toml", stage("[[stage]]\nuse = 'word_count'\n"));
    work.run("run more.toml -i in -o new")
        .ends_with(1)
        .says("stage 1 (minhash): a target needs a pipeline in which no other");
    assert!(!work.path("new").exists(), "nothing is begun");
}
