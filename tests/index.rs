//! Deduplication as data arrives: parts of a corpus one after the other are one run over all of it.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::corpus::{self, Document, Random};
use common::{Left, Work};

const TASKS: &str = "--task-size 30KB";

/// A corpus in parts `in-0`, `in-1`, …, with documents without a word among them, and all of it in `in`. Families of
/// like documents have members in every part.
fn work(seed: u64, parts: &[usize]) -> Work {
    let work = Work::new();
    let mut documents = corpus::documents(seed, parts.iter().sum());
    for i in [3, 50, 200, 201] {
        if let Some(document) = documents.get_mut(i) {
            document.text = "!".into();
        }
    }
    let mut random = Random(seed);
    for i in 1..documents.len() {
        documents.swap(i, random.below(i + 1));
    }
    let mut rest: &[Document] = &documents;
    for (i, n) in parts.iter().enumerate() {
        let (part, later) = rest.split_at(*n);
        rest = later;
        corpus::write_parquet(&work.path(&format!("in-{i}")), part, 2, 40);
    }
    corpus::write_parquet(&work.path("in"), &documents, 3, 40);
    work
}

/// What each rejected document says, but for the run that the other one was in.
fn rejects(runs: &[Left]) -> BTreeMap<String, [Option<String>; 6]> {
    let mut all = BTreeMap::new();
    for left in runs {
        let rows = left.rejected();
        let ids = rows.strings("id");
        let keys = rows.keys("duplicate_key").into_iter().map(|key| key.map(|key| format!("{key:02x?}")));
        let keys: Vec<_> = keys.collect();
        let others =
            ["rejected_by", "reason", "threshold", "duplicate_of", "similarity"].map(|name| rows.strings(name));
        for (row, id) in ids.into_iter().enumerate() {
            let [by, reason, threshold, of, similarity] = others.each_ref().map(|column| column[row].clone());
            let said = [by, reason, threshold, of, similarity, keys[row].clone()];
            assert!(all.insert(id.expect("an id"), said).is_none(), "a document is rejected once");
        }
    }
    all
}

fn kept(runs: &[Left]) -> Vec<String> {
    runs.iter().flat_map(|left| left.kept_strings("id")).flatten().collect()
}

/// The runs together keep what the whole keeps, in order, and say the same of what they reject.
#[track_caller]
fn check_same(parts: &[Left], whole: Left) {
    for left in parts {
        left.adds_up();
    }
    let whole = [whole];
    assert_eq!(kept(parts), kept(&whole));
    let (parts, whole) = (rejects(parts), rejects(&whole));
    assert!(whole.len() > 50, "{}", whole.len());
    assert_eq!(parts, whole);
}

#[test]
fn three_parts_one_after_the_other_are_one_run() {
    let work = work(71, &[300, 200, 150]);
    for (i, how) in
        ["", "--threshold 0.6 --ngram 3", "--verify none", "--verify signature --threshold 0.7"].into_iter().enumerate()
    {
        work.run(&format!("dedup in whole-{i} {TASKS} {how}")).ends_with(0);
        let part = |n: usize, index: &str| {
            let output = format!("out-{i}/part-{n}");
            work.run(&format!("dedup in-{n} {output} {TASKS} {how} {index}")).ends_with(0);
            work.left(&output)
        };
        let index = format!("--index index-{i}");
        let parts = [
            part(0, &index),
            part(1, &format!("{index} --against index-{i}")),
            part(2, &format!("--against index-{i}")),
        ];
        let [first, second, third] = &parts;
        assert!(first.rejected().schema().field_with_name("duplicate_run").is_err(), "there was no index to read");
        // A document of this run has no run, an earlier one has that which kept it.
        let own = kept(std::slice::from_ref(third));
        let rows = third.rejected();
        let mut met: BTreeMap<_, usize> = BTreeMap::new();
        for (of, run) in rows.strings("duplicate_of").into_iter().zip(rows.strings("duplicate_run")) {
            let of = of.expect("a duplicate");
            assert_eq!(own.contains(&of), run.is_none(), "{of}");
            let kept_by = [("part-0", first), ("part-1", second)];
            if let Some(run) = &run {
                let (_, left) = kept_by.into_iter().find(|(name, _)| name == run).expect("a run of the index");
                assert!(left.kept_strings("id").contains(&Some(of)), "{run} kept it");
            }
            *met.entry(run).or_default() += 1;
        }
        assert_eq!(met.len(), 3, "{met:?}");
        let known: usize = met.iter().filter(|(run, _)| run.is_some()).map(|(_, n)| n).sum();
        let notes = &third.report()["exchanges"][0]["notes"]["minhash"];
        let noted = notes["known_exact"].as_u64().expect("a number") + notes["known_near"].as_u64().expect("a number");
        assert_eq!(noted, known as u64);
        check_same(&parts, work.left(&format!("whole-{i}")));
    }
}

#[test]
fn an_index_can_be_built_without_writing_documents() {
    let work = work(72, &[250, 150, 100]);
    work.run("dedup in-0 part-0 --index by-dedup --threshold 0.7").ends_with(0);
    let ran = work.run("index build by-build in-0 --threshold 0.7 --run-name part-0 --threads 1 --task-size 9KB");
    assert!(ran.ends_with(0).stdout.starts_with("1 run, alike from 0.7 up: "));
    assert!(work.left("by-dedup").files("") == work.left("by-build").files(""), "the same bytes either way");
    // Settings are those of the index.
    work.run("index add by-build in-1").ends_with(0);
    work.run("dedup in-2 part-2 --against by-build --threshold 0.7").ends_with(0);
    work.run("dedup in-1 part-1 --against by-dedup --threshold 0.7").ends_with(0);
    work.run("dedup in whole --threshold 0.7").ends_with(0);
    check_same(&["part-0", "part-1", "part-2"].map(|name| work.left(name)), work.left("whole"));
    let shown = work.run("index show by-build --json").ends_with(0);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(shown["settings"]["threshold"], 0.7);
    let runs: Vec<_> = shown["parts"].as_array().expect("a list").iter().map(|part| part["run"].clone()).collect();
    assert_eq!(runs, ["part-0", "in-1"]);
    let rows: u64 = shown["parts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|part| part["documents"].as_u64().expect("a number"))
        .sum();
    assert_eq!(rows, 400);
}

#[test]
fn what_is_in_an_index_is_shown() {
    let work = Work::new();
    let line = |id: usize, text: &str| serde_json::json!({ "id": id, "text": text }).to_string() + "\n";
    let long = "one two three four five six seven eight nine ten";
    work.write("2023.jsonl", line(1, long) + &line(2, "quite another text") + &line(3, long));
    work.write("2024.jsonl", line(4, &format!("{long} eleven")) + &line(5, "!"));
    work.run("index build seen 2023.jsonl --threshold 0.7").ends_with(0);
    work.run("index add seen 2024.jsonl").ends_with(0);
    insta::assert_snapshot!(work.run("index show seen").ends_with(0).stdout);
}

#[test]
fn an_index_is_the_same_on_one_thread_and_on_many() {
    let work = work(73, &[300, 200]);
    for (name, how) in [("one", "--threads 1 --memory 1MB --task-size 9KB"), ("many", "--threads 8 --task-size 60KB")] {
        work.run(&format!("dedup in-0 {name}/a --index index-{name} {how}")).ends_with(0);
        work.run(&format!("dedup in-1 {name}/b --index index-{name} --against index-{name} {how}")).ends_with(0);
    }
    let [one, many] = ["index-one", "index-many"].map(|name| work.left(name).files(""));
    let names: Vec<_> = one.iter().map(|(name, _)| name.as_str()).collect();
    let part = |run: &str| ["contents", "keys", "names", "sets"].map(|what| format!("parts/{run}/{what}"));
    assert_eq!(names, [&["index.json".into(), "lock".into()], &part("a")[..], &part("b")].concat());
    assert!(one == many);
    assert_eq!(kept(&[work.left("one/b")]), kept(&[work.left("many/b")]));
}

#[test]
fn to_annotate_is_to_say_what_would_be_dropped() {
    let work = work(74, &[250, 200]);
    work.run("dedup in-0 part-0 --index index").ends_with(0);
    work.run("dedup in-1 dropped --against index").ends_with(0);
    work.run("dedup in-1 marked --against index --mode annotate").ends_with(0);
    let (dropped, marked) = (work.left("dropped").rejected(), work.left("marked"));
    assert_eq!(marked.adds_up().2, 0, "nothing is dropped");
    let marked = marked.kept();
    let said = |rows: &common::Rows, of: &str, key: &str, similarity: &str, run: &str| -> BTreeMap<_, _> {
        let similarities = rows.numbers(similarity).into_iter().map(|similarity| similarity.map(|s| s as f32));
        let all = rows.strings(of).into_iter().zip(rows.keys(key)).zip(similarities).zip(rows.strings(run));
        rows.strings("id").into_iter().zip(all).collect()
    };
    let earlier = said(&dropped, "duplicate_of", "duplicate_key", "similarity", "duplicate_run");
    let matched = said(&marked, "duplicate_of", "matched_key", "matched_similarity", "matched_run");
    let mut n_matched = 0;
    for (id, said) in matched {
        let (((of, key), similarity), run) = &said;
        match earlier.get(&id) {
            Some((_, Some(_))) => {
                assert_eq!(Some(&said), earlier.get(&id));
                n_matched += 1;
            }
            // A duplicate of this run, or none.
            other => {
                assert_eq!((key, similarity, run), (&None, &None, &None));
                assert_eq!(of.is_some(), other.is_some());
            }
        }
    }
    assert!(n_matched > 20, "{n_matched}");
}

#[test]
fn pipelines_may_clean_before_they_compare() {
    let work = work(75, &[250, 200]);
    let pipeline = |index: &str| {
        format!(
            "[[stage]]\nuse = 'whitespace'\n[[stage]]\nuse = 'word_count'\nmin = 30\n[[stage]]\nuse = 'minhash'\n\
                 unless.source = 'forum'\n{index}[[stage]]\nuse = 'content_key'\n"
        )
    };
    work.write("whole.toml", pipeline(""));
    work.write("a.toml", pipeline("index = 'index'\n"));
    work.write("b.toml", pipeline("index = 'index'\nagainst = 'index'\nrun_name = 'second'\n"));
    for (name, input) in [("whole", "in"), ("a", "in-0"), ("b", "in-1")] {
        work.run(&format!("run {name}.toml -i {input} -o {name} {TASKS}")).ends_with(0);
    }
    check_same(&["a", "b"].map(|name| work.left(name)), work.left("whole"));
    assert!(work.run("index show index").ends_with(0).stdout.contains("\nsecond "));
}

#[test]
fn earlier_documents_can_win_over_any_policy() {
    let work = work(76, &[250, 200]);
    work.run("dedup in-0 part-0 --index index --keep longest").ends_with(0);
    work.run("dedup in-1 out --against index --keep longest").ends_with(1).says("need `earlier_wins = true`");
    assert!(!work.path("out").exists());
    work.run("dedup in-1 out --against index --keep longest --earlier-wins").ends_with(0);
    let left = work.left("out");
    left.adds_up();
    let of_earlier = left.rejected().strings("duplicate_run").into_iter().flatten().count();
    assert!(of_earlier > 20, "{of_earlier}");
}

#[test]
fn what_does_not_fit_an_index_is_refused() {
    let work = work(77, &[60, 60]);
    work.run("dedup in-0 part-0 --index index").ends_with(0);
    let before = work.left("index").files("");
    let refused = |arguments: &str, message: &str| {
        work.run(&format!("dedup in-1 out {arguments}")).ends_with(1).says(message);
        assert!(!work.path("out").exists(), "{arguments}");
    };
    refused("--against nowhere", "nowhere: there is no index here (index.json is missing)");
    refused("--against index --threshold 0.7", "index: its `threshold` is 0.8, here it is 0.7; with threshold = 0.8");
    refused("--against index --ngram 3", "its `n` is 5, here it is 3");
    refused("--against index --verify none", "its `verify` is \"exact\", here it is \"none\"");
    refused("--against index --bands 4 --rows 5", "its `bands` is 20, here it is 4");
    refused("--against index --profile datatrove-0.10", "its `profile` is \"default\", here it is \"datatrove-0.10\"");
    refused("--index index", "there is an index already, of part-0; `against` the same");
    refused("--index index --against index --run-name part-0", "it has a run called `part-0` already; --run-name");
    refused("--index index --against other", "name two folders");
    refused("--index other --run-name a/b", "a run called `a/b` cannot be in an index");
    refused("--index out/index", "the index outlives this run");
    refused("--against index --floor 0.5", "an index is of one threshold");
    refused("--against index --clusters components", "an index has no chains to close");
    refused("--against index --audit 10", "leave out `against` to audit");
    refused("--against index --exact", "--exact");
    refused("--earlier-wins", "--against");
    work.run("index build index in-1").ends_with(1).says("there is an index already, of part-0");
    work.run("index add nowhere in-1").ends_with(1).says("nowhere: there is no index here");
    work.run("index show in-1").ends_with(1).says("in-1: there is no index here");
    assert!(work.left("index").files("") == before);
    assert!(!work.path("nowhere").exists() && !work.path("other").exists());
    for (stages, message) in [
        (
            "[[stage]]\nuse = 'exact'\n[[stage]]\nuse = 'minhash'\nagainst = 'index'\n",
            "minhash has an index, which would not know",
        ),
        (
            "[[stage]]\nuse = 'minhash'\nindex = 'a'\n[[stage]]\nuse = 'minhash'\nname = 'b'\nindex = 'b'\n",
            "has an index already",
        ),
    ] {
        work.write("p.toml", stages);
        work.run("run p.toml -i in-1 -o out").ends_with(1).says(message);
    }
}

#[test]
fn damaged_files_are_errors() {
    let work = work(78, &[120, 100]);
    work.run("dedup in-0 part-0 --index index").ends_with(0);
    for what in ["contents", "keys", "names", "sets"] {
        let path = work.path(&format!("index/parts/part-0/{what}"));
        let whole = fs::read(&path).expect("a file");
        let mut wrong = whole.clone();
        // All of its blocks, for not every one is read.
        wrong[16..].iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55);
        for (n, bytes) in [wrong, whole[..whole.len() / 2].to_vec()].into_iter().enumerate() {
            fs::write(&path, bytes).expect("written");
            let ran = work.run(&format!("dedup in-1 out-{what}-{n} --against index")).ends_with(1);
            ran.says(&format!("index/parts/part-0/{what}: the file is damaged"));
        }
        fs::write(&path, whole).expect("written");
    }
    work.write("index/index.json", "{");
    work.run("dedup in-1 out --against index").ends_with(1).says("index/index.json: the file is damaged");
}

#[test]
fn a_killed_run_leaves_the_same_index_when_it_is_continued() {
    let work = work(79, &[500, 400]);
    work.run(&format!("dedup in-0 a --index base {TASKS}")).ends_with(0);
    let base = work.left("base").files("");
    let copy = |to: &str| base.iter().for_each(|(name, bytes)| drop(work.write(&format!("{to}/{name}"), bytes)));
    copy("whole");
    let command = |to: &str, output: &str| {
        format!("dedup in-1 {output} --index {to} --against {to} --run-name b {TASKS} --threads 2")
    };
    let start = Instant::now();
    work.run(&command("whole", "out-whole")).ends_with(0);
    let time = start.elapsed();
    let whole = work.left("whole").files("");
    for round in 0..8u32 {
        let (to, output) = (format!("index-{round}"), format!("out-{round}"));
        copy(&to);
        for part in [round, 8 - round] {
            let mut child = work.command(&command(&to, &output));
            let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the built program");
            std::thread::sleep((time * (part + 1) / 9).min(Duration::from_secs(5)));
            // It may have come to its end just now.
            drop(child.kill());
            child.wait().expect("it was started here");
            // Others see either nothing of it or all.
            let listed = work.run(&format!("index show {to}")).ends_with(0).stdout;
            assert!(listed.lines().count() == 4 || work.left(&to).files("parts").len() == 8, "{listed}");
        }
        work.run(&command(&to, &output)).ends_with(0);
        assert!(work.left(&to).files("") == whole, "round {round}");
        work.left(&output).assert_same(&work.left("out-whole"));
        work.run(&command(&to, &output)).ends_with(0).says("done already");
    }
}

#[test]
fn a_run_is_not_continued_against_another_index() {
    let work = work(82, &[60, 60]);
    work.run("index build index in-0").ends_with(0);
    work.run("dedup in-1 done --against index").ends_with(0);
    // A run that was begun and came no further.
    work.write("begun/_trommel/run.json", fs::read(work.path("done/_trommel/run.json")).expect("a file"));
    work.run("index add index in-1").ends_with(0);
    for output in ["begun", "done"] {
        let ran = work.run(&format!("dedup in-1 {output} --against index")).ends_with(1);
        ran.says("another run is kept here: its index had in-0, now it has in-0, in-1; name a new output folder");
    }
}

#[test]
fn a_stopped_build_is_continued_and_leaves_nothing_behind() {
    let work = work(80, &[500, 10]);
    let build = |index: &str| format!("index build {index} in-0 --threads 2 {TASKS}");
    let start = Instant::now();
    work.run(&build("whole")).ends_with(0);
    let time = start.elapsed();
    let whole = work.left("whole").files("");
    assert!(whole.iter().all(|(name, _)| !name.starts_with('_')));
    for round in 1..6u32 {
        let index = format!("index-{round}");
        let mut child = work.command(&build(&index));
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the built program");
        std::thread::sleep(time * round / 6);
        drop(child.kill());
        child.wait().expect("it was started here");
        let ran = work.run(&build(&index));
        // It may have been done before it was killed.
        assert!(ran.code == Some(0) || ran.stderr.contains("it has a run called `in-0` already"), "{ran}");
        assert!(
            work.left(&index).files("").iter().filter(|(name, _)| !name.starts_with('_')).eq(&whole),
            "round {round}"
        );
    }
}

#[test]
fn files_that_cannot_be_read_keep_a_run_out_of_the_index() {
    let work = work(81, &[100, 100]);
    let whole = fs::read(work.path("in-0/part-1.parquet")).expect("a file");
    work.write("in-0/part-1.parquet", &whole[..whole.len() / 2]);
    work.run("dedup in-0 out --index index").ends_with(2).says("is not added to the index before all of its files");
    assert!(!work.path("index/index.json").exists());
    work.run("index build index in-0").ends_with(2);
    assert!(!work.path("index/index.json").exists());
    work.write("in-0/part-1.parquet", &whole);
    work.run("dedup in-0 out --index index").ends_with(0);
    let shown = work.run("index show index").ends_with(0).stdout;
    assert!(shown.contains("\nout ") && shown.contains(" 100 "), "{shown}");
}
