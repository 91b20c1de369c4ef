//! Draws: what was asked for is drawn, nobody is drawn too often, and the ledger knows it, whatever happens on the way.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use common::corpus::{self, Document, Random};
use common::{Left, Rows, Work, kill};
use serde_json::Value;

/// Small tasks and files, so that there are several.
const SMALL: &str = "--task-size 64KB --shard-size 64KB --threads 2";

/// What makes texts the same text: all but white space.
fn same(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How often each text is in an output.
fn drawn(left: &Left) -> BTreeMap<String, u64> {
    let mut drawn = BTreeMap::new();
    for text in left.kept_strings("text").into_iter().flatten() {
        *drawn.entry(same(&text)).or_default() += 1;
    }
    drawn
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a number, not {value}"))
}

/// All rows are accounted for, in the report and in the files.
#[track_caller]
fn adds_up(left: &Left) -> Value {
    let report = left.report();
    let of = |name: &str| number(&report[name]);
    let rejected: u64 = report["rejected"].as_object().expect("a table").values().map(number).sum();
    let parts = ["documents_drawn", "documents_left", "copies", "used_up", "left_out"];
    assert_eq!(of("rows_in"), parts.iter().map(|part| of(part)).sum::<u64>() + rejected, "{report:#}");
    let kept = left.kept();
    assert_eq!(kept.n_rows(), of("rows_drawn"));
    assert_eq!(drawn(left).len() as u64, of("documents_drawn"));
    let uses: u64 = report["uses"].as_array().expect("a list").iter().map(|row| number(&row["rows"])).sum();
    assert_eq!(uses, of("rows_drawn"));
    let shares = report["shares"].as_array().expect("a list");
    assert_eq!(shares.iter().map(|share| number(&share["drawn"])).sum::<u64>(), of("drawn"));
    // Each use of a text has its number, from 1.
    let (texts, epochs) = (left.kept_strings("text"), kept.numbers("draw_epoch"));
    let mut of_text: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (text, epoch) in texts.into_iter().zip(epochs) {
        of_text.entry(same(&text.expect("a text"))).or_default().push(epoch.expect("a number") as u64);
    }
    for (text, mut epochs) in of_text {
        epochs.sort_unstable();
        assert!(epochs.iter().copied().eq(1..=epochs.len() as u64), "{text}: {epochs:?}");
    }
    report
}

fn corpus(work: &Work, n: usize) -> Vec<Document> {
    let documents = corpus::documents(11, n);
    corpus::write_parquet(&work.path("in"), &documents, 3, 40);
    documents
}

fn manifest(work: &Work, ledger: &str, run: &str) -> Value {
    let path = work.path(&format!("{ledger}/_runs/{run}.json"));
    serde_json::from_slice(&fs::read(path).expect("a manifest")).expect("JSON")
}

#[test]
fn fresh_documents_go_first_and_the_ledger_knows_every_row() {
    let work = Work::new();
    let documents = corpus(&work, 600);
    let all: BTreeSet<String> = documents.iter().map(|document| same(&document.text)).collect();
    let mut uses: BTreeMap<String, u64> = all.iter().map(|text| (text.clone(), 0)).collect();
    let mut before: Option<u64> = None;
    for run in 1..=6 {
        let name = format!("run-{run}");
        work.run(&format!("sample --tokens 15k --ledger used --record {name} {SMALL} in {name}")).ends_with(0);
        let left = work.left(&name);
        let report = adds_up(&left);
        for (text, n) in drawn(&left) {
            *uses.get_mut(&text).expect("a text of the corpus") += n;
        }
        let (least, most) = (uses.values().min().expect("texts"), uses.values().max().expect("texts"));
        assert!(most - least <= 1, "run {run}: some texts were used {least} times, others {most}");
        let (asked, got) = (number(&report["asked"]), number(&report["drawn"]));
        assert!(got >= asked && got - asked < 500, "{got} of {asked}");
        let recorded = manifest(&work, "used", &name);
        assert_eq!(number(&recorded["uses"]), number(&report["rows_drawn"]));
        assert_eq!(number(&recorded["tokens"]), got);
        assert_eq!(number(&recorded["keys"]), number(&report["documents_drawn"]));
        assert_eq!(report["ledger"]["runs"].as_array().map(Vec::len), Some(run - 1));
        let copies = number(&report["copies"]);
        assert_eq!(*before.get_or_insert(copies), copies);
        assert_eq!(copies, (documents.len() - all.len()) as u64);
    }
    work.run("ledger verify used").ends_with(0);
    // Nobody above the cap, however much is asked for.
    let ran = work.run(&format!("sample --tokens 10M --ledger used --record rest {SMALL} in rest")).ends_with(0);
    let ran = ran.says("10.0 M tokens were asked for");
    assert!(ran.stdout.contains("used before"), "{ran}");
    let printed = work.run("report rest").ends_with(0).stdout;
    assert_eq!(printed, ran.stdout, "the table can be had again");
    for flag in ["--curve", "--html page.html"] {
        work.run(&format!("report rest {flag}")).ends_with(1).says("this is a draw");
    }
    assert!(!work.path("page.html").exists(), "nothing is left where nothing was asked for");
    for (text, n) in drawn(&work.left("rest")) {
        *uses.get_mut(&text).expect("a text of the corpus") += n;
    }
    assert!(uses.values().all(|n| *n == 4), "all is used up, and nothing beyond");
    let more = work.run(&format!("sample --tokens 1k --ledger used --name more {SMALL} in more")).ends_with(0);
    more.says("there is no document that could be drawn");
    let report = adds_up(&work.left("more"));
    assert_eq!((number(&report["drawn"]), number(&report["used_up"])), (0, all.len() as u64));
}

#[test]
fn a_draw_is_the_same_on_any_machine() {
    let work = Work::new();
    let documents = corpus(&work, 500);
    for asked in [
        "--tokens 9k",
        "--tokens 9k --policy weighted --quality-column score",
        "--tokens 200k",
        "--tokens 200k --order grouped",
    ] {
        let name = asked.replace(['-', ' '], "");
        let sample = format!("sample {asked} --task-size 64KB --shard-size 64KB");
        work.run(&format!("{sample} --threads 1 in {name}")).ends_with(0);
        let one = work.left(&name);
        adds_up(&one);
        assert!(!one.files("kept").is_empty());
        work.run(&format!("{sample} --threads 4 --memory 4MB in {name}-b")).ends_with(0);
        one.assert_same(&work.left(&format!("{name}-b")));
        // Cut into other files, in another order: the same uses of the same texts.
        let backwards: Vec<Document> = documents.iter().rev().cloned().collect();
        corpus::write_parquet(&work.path(&format!("{name}-in")), &backwards, 5, 33);
        work.run(&format!("{sample} {name}-in {name}-c")).ends_with(0);
        assert_eq!(drawn(&one), drawn(&work.left(&format!("{name}-c"))), "{asked}");
        // Another seed, another name.
        if asked.contains("9k") {
            for other in ["--seed 1", "--name other"] {
                let out = format!("{name}{other}").replace(['-', ' '], "");
                work.run(&format!("{sample} {other} in {out}")).ends_with(0);
                assert_ne!(drawn(&one), drawn(&work.left(&out)));
            }
        }
    }
}

#[test]
fn weights_are_probabilities() {
    let work = Work::new();
    // Every text once: of copies, one that has a weight stands for all.
    let mut documents = corpus::documents(13, 500);
    let mut known = BTreeSet::new();
    documents.retain(|document| known.insert(same(&document.text)));
    corpus::write_parquet(&work.path("in"), &documents, 3, 40);
    let score: BTreeMap<String, Option<f64>> =
        documents.iter().map(|document| (same(&document.text), document.score)).collect();
    let mut observed: BTreeMap<&String, f64> = score.keys().map(|text| (text, 0.0)).collect();
    let mut expected = observed.clone();
    let mut variance = observed.clone();
    let n_seeds = 40;
    let mut draws = Vec::new();
    for seed in 0..n_seeds {
        let out = format!("seed-{seed}");
        work.run(&format!("sample --tokens 9k --policy weighted --quality-column score --seed {seed} in {out}"))
            .ends_with(0);
        let left = work.left(&out);
        let report = left.report();
        let tau = report["shares"][0]["cut"]["arrival"].as_f64().expect("a number");
        let drawn = drawn(&left);
        for (text, score) in &score {
            let p = 1.0 - (-score.unwrap_or(0.0) * tau).exp();
            *expected.get_mut(text).expect("known") += p;
            *variance.get_mut(text).expect("known") += p * (1.0 - p);
            *observed.get_mut(text).expect("known") += f64::from(drawn.contains_key(text));
        }
        assert!(drawn.values().all(|n| *n == 1), "there are enough for one use of each");
        draws.push(drawn);
    }
    let (mut chi, mut n) = (0.0, 0.0_f64);
    for (text, expected) in &expected {
        if *expected == 0.0 {
            assert_eq!(observed[text], 0.0, "a weight of 0, or none, is never drawn");
            continue;
        }
        chi += (observed[text] - expected).powi(2) / variance[text];
        n += 1.0;
    }
    // Chi-squared of so many degrees of freedom: p > 0.001 below its mean and 3.3 deviations.
    assert!(n > 200.0 && chi < n + 3.3 * (2.0 * n).sqrt(), "chi-squared {chi} of {n}");
    // It would not be a test if it took anything: all equally likely is far off.
    let mean = observed.values().sum::<f64>() / n;
    let level: f64 =
        observed.iter().filter(|(text, _)| expected[*text] > 0.0).map(|(_, o)| (o - mean).powi(2) / mean).sum();
    assert!(level > n + 20.0 * (2.0 * n).sqrt(), "chi-squared {level} of {n}");
    // Two draws of different seeds share what chance has them share, over all pairs of them.
    let pairs = (0..draws.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let shared: f64 =
        pairs.map(|(i, j)| draws[i].keys().filter(|text| draws[j].contains_key(*text)).count() as f64).sum();
    let n = f64::from(n_seeds);
    let by_chance: f64 = expected.values().map(|sum| (sum / n).powi(2)).sum::<f64>() * n * (n - 1.0) / 2.0;
    // A text drawn o times is shared by o (o − 1) / 2 pairs, which varies about (n − 1) p times as much as o does.
    let varies = expected.iter().map(|(text, sum)| ((n - 1.0) * sum / n).powi(2) * variance[text]).sum::<f64>().sqrt();
    assert!((shared - by_chance).abs() < 3.3 * varies, "{shared} shared, {by_chance} by chance, give or take {varies}");
}

#[test]
fn shares_are_given_to_the_document_and_told_where_they_cannot() {
    let work = Work::new();
    let documents = corpus(&work, 600);
    work.write("mix.toml", "by = 'source'\n[shares]\nweb = 0.5\nbooks = { share = 0.3, cap = 1 }\n'*' = 0.2\n");
    work.run(&format!("sample --tokens 20k --mix mix.toml {SMALL} in out")).ends_with(0);
    let report = adds_up(&work.left("out"));
    for share in report["shares"].as_array().expect("a list") {
        let (asked, got) = (number(&share["asked"]), number(&share["drawn"]));
        assert!(got >= asked && got - asked < 500, "{share}");
    }
    assert_eq!(report["shares"].as_array().map(Vec::len), Some(3));
    // Books are used once only: the share lacks something, which nobody else gives.
    let ran = work.run(&format!("sample --tokens 100k --mix mix.toml {SMALL} in short")).ends_with(0);
    ran.says("share `books`: 30.0 k tokens were asked for, and");
    let report = adds_up(&work.left("short"));
    let books = &report["shares"][1];
    assert_eq!((books["name"].as_str(), &books["drawn"]), (Some("books"), &books["available"]));
    assert!(number(&report["drawn"]) < 100_000);
    // Unless it is told so.
    let mix = fs::read_to_string(work.path("mix.toml")).expect("a file");
    work.write("fill.toml", format!("fill = true\n{mix}"));
    work.run(&format!("sample --tokens 100k --mix fill.toml {SMALL} in filled")).ends_with(0).says("share `books`");
    let report = adds_up(&work.left("filled"));
    assert!((100_000..101_500).contains(&number(&report["drawn"])), "{}", report["drawn"]);
    // A document in no share is left out.
    work.write("books.toml", "by = 'source'\n[shares]\nbooks = 1.0\n");
    work.run(&format!("sample --tokens 2k --mix books.toml {SMALL} in books")).ends_with(0);
    let report = adds_up(&work.left("books"));
    let others = documents.iter().filter(|document| document.source != "books").count();
    assert_eq!(number(&report["left_out"]), others as u64);
    assert!(work.left("books").kept_strings("source").iter().all(|source| source.as_deref() == Some("books")));
}

#[test]
fn weights_of_values_multiply() {
    let work = Work::new();
    corpus(&work, 600);
    work.write("mix.toml", "[weights.source]\nbooks = 8.0\nforum = 0.0\n");
    work.run(&format!("sample --tokens 9k --policy weighted --mix mix.toml {SMALL} in out")).ends_with(0);
    adds_up(&work.left("out"));
    let sources = work.left("out").kept_strings("source");
    let of = |name: &str| sources.iter().filter(|source| source.as_deref() == Some(name)).count();
    assert_eq!(of("forum"), 0);
    assert!(of("books") > 2 * of("web"), "{} books, {} web", of("books"), of("web"));
}

#[test]
fn lines_are_drawn_as_columns_are() {
    let work = Work::new();
    let documents = corpus(&work, 300);
    corpus::write_lines(&work.path("lines"), &documents, 2);
    work.write("lines/odd.jsonl", "{\"id\":\"no text\",\"text\":null}\nbroken\n");
    work.write("mix.toml", "by = 'source'\n[shares]\nweb = 0.5\nbooks = 0.5\n");
    let sample = "sample --tokens 9k --policy weighted --quality-column score --mix mix.toml";
    work.run(&format!("{sample} in out")).ends_with(0);
    work.run(&format!("{sample} lines out-lines")).ends_with(0);
    let report = adds_up(&work.left("out-lines"));
    assert_eq!(drawn(&work.left("out")), drawn(&work.left("out-lines")));
    assert_eq!(report["rejected"].as_object().expect("a table").values().map(number).sum::<u64>(), 2);
    work.run(&format!("{sample} --format jsonl in out-jsonl")).ends_with(0);
    let lines = Rows::read(&work.path("out-jsonl/kept")).strings("line");
    assert_eq!(lines.len() as u64, number(&work.left("out").report()["rows_drawn"]));
    assert!(lines.iter().flatten().all(|line| line.contains("\"draw_epoch\":1")), "{:?}", lines.first());
}

#[test]
fn what_a_tagged_corpus_says_of_its_uses_counts() {
    let work = Work::new();
    corpus(&work, 300);
    work.run(&format!("sample --tokens 10k --ledger used --record a {SMALL} in a")).ends_with(0);
    work.run("tag in tagged --ledger used").ends_with(0);
    work.run(&format!("sample --tokens 10k --name b {SMALL} tagged/kept b")).ends_with(0).says("`reuse_count`");
    work.run(&format!("sample --tokens 10k --name b --ledger used {SMALL} in c")).ends_with(0);
    adds_up(&work.left("b"));
    assert_eq!(drawn(&work.left("b")), drawn(&work.left("c")));
    assert!(drawn(&work.left("a")).keys().all(|text| !drawn(&work.left("b")).contains_key(text)), "fresh ones first");
}

/// What `tag` says was used is what a draw takes for used: also by way of texts that are alike.
#[test]
fn a_draw_knows_of_near_copies_what_a_tag_knows() {
    let work = Work::new();
    let documents = corpus::documents(17, 400);
    let (used, others) = documents.split_at(100);
    corpus::write_parquet(&work.path("used-pages"), used, 2, 40);
    corpus::write_parquet(&work.path("others"), others, 3, 40);
    work.run("ledger record used used-pages --run a").ends_with(0);
    work.run("dedup --threshold 0.7 --all-links used-pages others earlier").ends_with(0);
    work.run("index build seen --threshold 0.7 used-pages").ends_with(0);
    work.run("dedup --threshold 0.7 --mode annotate --against seen others matched").ends_with(0);
    let mut n_used = Vec::new();
    for (name, input, links) in
        [("plain", "others", ""), ("linked", "others", "--links earlier"), ("by-index", "matched/kept", "")]
    {
        work.run(&format!("tag {input} tagged-{name} --ledger used {links}")).ends_with(0);
        let tagged = work.left(&format!("tagged-{name}"));
        let mut uses: BTreeMap<String, u64> = BTreeMap::new();
        for (text, n) in tagged.kept_strings("text").into_iter().zip(tagged.kept().numbers("reuse_count")) {
            *uses.entry(same(&text.expect("a text"))).or_default() += n.expect("a number") as u64;
        }
        work.run(&format!("sample --tokens 10M --cap 1 --ledger used {links} {SMALL} {input} drawn-{name}"))
            .ends_with(0);
        let left = work.left(&format!("drawn-{name}"));
        adds_up(&left);
        let fresh: BTreeSet<&String> = uses.iter().filter(|(_, n)| **n == 0).map(|(text, _)| text).collect();
        assert_eq!(drawn(&left).keys().collect::<BTreeSet<_>>(), fresh, "{name}");
        n_used.push(uses.len() - fresh.len());
    }
    assert!(n_used[0] < n_used[1].min(n_used[2]), "near copies there are: {n_used:?}");
    work.run(&format!("sample --tokens 1k --ledger used --links others {SMALL} others out"))
        .ends_with(1)
        .says("others: this is not the output folder of a run");
}

#[test]
fn a_shuffle_is_one_and_groups_keep_their_order() {
    let work = Work::new();
    corpus(&work, 600);
    work.run(&format!("sample --tokens 120k --order grouped {SMALL} in grouped")).ends_with(0);
    work.run(&format!("sample --tokens 120k {SMALL} in shuffled")).ends_with(0);
    let place = |name: &str| {
        let rows = work.left(name).kept();
        let ids = rows.strings("id").into_iter().flatten();
        rows.numbers("draw_epoch").into_iter().flatten().map(|epoch| epoch as u64).zip(ids).collect::<Vec<_>>()
    };
    let (grouped, shuffled) = (place("grouped"), place("shuffled"));
    assert!(grouped.is_sorted(), "epoch by epoch, each in the order of the input");
    assert!(grouped.iter().any(|(epoch, _)| *epoch == 2));
    assert!(work.left("grouped").files("kept").len() > 3 && work.left("shuffled").files("kept").len() > 3);
    let mut sorted = shuffled.clone();
    sorted.sort();
    assert_eq!(sorted, grouped, "the same, in another order");
    // Neighbours are far apart in a shuffle: a third of the whole, on average.
    let rank: BTreeMap<&(u64, String), usize> = grouped.iter().enumerate().map(|(rank, row)| (row, rank)).collect();
    let apart: usize = shuffled.windows(2).map(|pair| rank[&pair[0]].abs_diff(rank[&pair[1]])).sum();
    let mean = apart as f64 / (shuffled.len() - 1) as f64 / shuffled.len() as f64;
    assert!((mean - 1.0 / 3.0).abs() < 0.03, "{mean}");
}

#[test]
fn what_cannot_be_drawn_is_refused_before_anything_is_read() {
    let work = Work::new();
    corpus(&work, 100);
    let check = |arguments: &str, message: &str| {
        work.run(&format!("sample {arguments}")).ends_with(1).says(message);
        assert!(!work.path("out").exists(), "{arguments}: nothing is made");
    };
    check("--tokens 1k out", "only one path is given");
    check("--tokens 1k --ledger nowhere in out", "there is no ledger here");
    check("--tokens 1k --record a in out", "--ledger");
    check("--tokens 1k --quality-column score in out", "add --policy weighted");
    check("--tokens 1k --policy weighted --quality-column text in out", "expected one of numbers");
    check("--tokens 1k --policy weighted --quality-column nothing in out", "the input has id, text, source, score");
    check("--tokens 1k --cap 0 in out", "a number from 1 to 1000");
    check("--tokens none in out", "no unit");
    work.write("mix.toml", "by = 'nothing'\n[shares]\na = 1.0\n");
    check("--tokens 1k --mix mix.toml in out", "there is no column `nothing`");
    work.write("mix.toml", "by = 'source'\n[shares]\na = 0.5\n");
    check("--tokens 1k --mix mix.toml in out", "the shares add up to 0.5000");
    work.run("sample --tokens 1k --ledger used --record a in first").ends_with(0);
    check("--tokens 1k --ledger used --record a in out", "the run `a` was recorded already");
    check("--tokens 1k --ledger used --record ../a in out", "..");
    check("--tokens 1k first/kept out", "a column `draw_epoch`");
    work.run("sample --tokens 500 --replace-columns first/kept again").ends_with(0);
    adds_up(&work.left("again"));
    // Another draw is not made in the folder of this one.
    work.run("sample --tokens 2k --ledger used --record a in first")
        .ends_with(1)
        .says("sample.tokens was 1000, now it is 2000");
    work.run("sample --tokens 1k --ledger used --record a in first").ends_with(0).says("done already");
}

#[test]
fn a_broken_file_is_told() {
    let work = Work::new();
    corpus(&work, 200);
    let bytes = fs::read(work.path("in/part-1.parquet")).expect("a file");
    work.write("in/part-1.parquet", &bytes[..bytes.len() / 2]);
    let ran = work.run("sample --tokens 1k in out").ends_with(2);
    assert!(ran.stdout.contains("part-1.parquet"), "{ran}");
    adds_up(&work.left("out"));
}

/// How far a draw has come, by what it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Looking,
    Reading,
    Drawing,
    Spreading,
    Gathering,
    Recording,
    Finishing,
    Done,
}

fn phase(work: &Work, output: &str, ledger: &str, n_tasks: usize, n_shards: usize) -> Phase {
    let out = work.path(output);
    let count = |folder: &str| {
        fs::read_dir(out.join(folder)).map_or(0, |files| {
            files
                .filter(|file| file.as_ref().is_ok_and(|file| !file.file_name().to_string_lossy().starts_with('.')))
                .count()
        })
    };
    if out.join("report.json").exists() {
        Phase::Done
    } else if !out.join("_trommel/run.json").exists() {
        Phase::Looking
    } else if work.path(ledger).join("_runs/a.json").exists() {
        Phase::Finishing
    } else if count("_trommel/0/reports") < n_tasks {
        Phase::Reading
    } else if !out.join("_trommel/1/draw.json").exists() {
        Phase::Drawing
    } else if count("_trommel/2/reports") < n_tasks {
        Phase::Spreading
    } else if count("_trommel/3/reports") < n_shards {
        Phase::Gathering
    } else {
        Phase::Recording
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "how often each phase was met is of interest")]
fn a_draw_killed_at_any_instant_is_drawn_and_recorded_once() {
    const PHASES: [Phase; 6] =
        [Phase::Reading, Phase::Drawing, Phase::Spreading, Phase::Gathering, Phase::Recording, Phase::Finishing];
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(12, 3000), 4, 60);
    let sample = "sample --tokens 400k --record a --time 2026-11-22 --task-size 64KB --shard-size 64KB --threads 2";
    work.run(&format!("{sample} --ledger used in whole")).ends_with(0);
    let whole = work.left("whole");
    let report = adds_up(&whole);
    let (n_tasks, n_shards) = (
        number(
            &serde_json::from_slice::<Value>(&fs::read(work.path("whole/_trommel/run.json")).expect("a file"))
                .expect("JSON")["tasks"]
                .as_array()
                .expect("tasks")
                .len()
                .into(),
        ) as usize,
        whole.files("kept").len(),
    );
    assert!(n_tasks > 5 && n_shards > 5, "{n_tasks} tasks, {n_shards} files");
    let parts = |ledger: &str| {
        let mut files = Vec::new();
        common::walk(&work.path(&format!("{ledger}/run=a")), &mut |path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            // What was being written when it was killed is hidden, and counts for nobody.
            if !name.starts_with('.') {
                files.push((name, fs::read(path).expect("a file")));
            }
        });
        files
    };
    let mut random = Random(3);
    let mut killed: BTreeMap<Phase, usize> = BTreeMap::new();
    let mut n = 0;
    for round in 0..40 {
        if PHASES.iter().all(|phase| killed.get(phase).is_some_and(|n| *n >= 5)) {
            break;
        }
        for wanted in PHASES {
            if killed.get(&wanted).is_some_and(|n| *n >= 5) {
                continue;
            }
            n += 1;
            let (output, ledger) = (format!("out-{n}"), format!("used-{n}"));
            // Twice in a row: what was continued may be killed, too.
            for _ in 0..2 {
                let mut child = work.spawn(&format!("{sample} --ledger {ledger} in {output}"));
                while phase(&work, &output, &ledger, n_tasks, n_shards) < wanted
                    && child.try_wait().expect("a child").is_none()
                {
                    std::hint::spin_loop();
                }
                std::thread::sleep(Duration::from_micros(random.below(1500) as u64 * (round % 3)));
                kill(&mut child);
                *killed.entry(phase(&work, &output, &ledger, n_tasks, n_shards)).or_default() += 1;
            }
            work.run(&format!("{sample} --ledger {ledger} in {output}")).ends_with(0);
            work.run(&format!("{sample} --ledger {ledger} in {output}")).ends_with(0).says("done already");
            let left = work.left(&output);
            left.assert_same(&whole);
            assert_eq!(adds_up(&left)["uses"], report["uses"]);
            let recorded = manifest(&work, &ledger, "a");
            assert_eq!(number(&recorded["uses"]), number(&report["rows_drawn"]), "nothing counts twice");
            assert_eq!(number(&recorded["tokens"]), number(&report["drawn"]));
            let runs = fs::read_dir(work.path(&format!("{ledger}/_runs"))).expect("a folder");
            let names = runs.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
            assert_eq!(names.filter(|name| !name.starts_with('.')).collect::<Vec<_>>(), ["a.json"]);
            assert!(parts(&ledger) == parts("used"), "the ledger has the same bytes");
            assert!(!work.path(&output).join("_trommel/0").exists() && !work.path(&output).join("_trommel/3").exists());
            work.run(&format!("ledger verify {ledger}")).ends_with(0);
            for gone in [&output, &ledger] {
                fs::remove_dir_all(work.path(gone)).expect("a folder");
            }
        }
    }
    println!("killed: {killed:?}");
    // Which instants are met depends on the machine; that each phase is met does not.
    assert!(PHASES[..5].iter().all(|phase| killed.get(phase).is_some_and(|n| *n >= 5)), "{killed:?}");
}
