//! The ledger from outside: recorded, shown, withdrawn, checked, and asked by `tag` and by pipelines; in a folder and in a
//! bucket.

mod common;
mod s3;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::corpus::{self, Random};
use common::{Rows, Work, kill, write_lines};
use s3::S3Server;

/// Lines of documents of these texts.
fn lines(texts: &[&str]) -> Vec<String> {
    let line = |(i, text): (usize, &&str)| format!("{{\"id\":\"d{i}\",\"text\":\"{text}\",\"source\":\"web\"}}");
    texts.iter().enumerate().map(line).collect()
}

fn shards(work: &Work, name: &str, texts: &[&str]) {
    write_lines(&work.path(name), lines(texts));
}

const THRESHOLD: f64 = 0.6;
const TIME: &str = "--time 2026-11-22T08:30:00Z";

#[test]
fn runs_are_recorded_shown_and_withdrawn() {
    let work = Work::new();
    shards(&work, "a.jsonl", &["one and two", "three", "one  and two"]);
    shards(&work, "b.jsonl", &["three", "four"]);
    let ran = work.run(&format!("ledger record used a.jsonl --run base-1 --epochs 2 {TIME}")).ends_with(0);
    assert_eq!(ran.stdout, "recorded base-1: 3 documents, 2 texts, 6 uses, 16 tokens\n");
    work.run("ledger record used b.jsonl --run base-2 --time 2026-11-23").ends_with(0);
    let shown = work.run("ledger runs used").ends_with(0).stdout;
    let shown: Vec<_> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(shown[1][..7], ["base-1", "2026-11-22T08:30:00Z", "2", "3", "2", "6", "16"]);
    assert_eq!(shown[2][..7], ["base-2", "2026-11-23T00:00:00Z", "1", "2", "2", "2", "3"]);
    assert_eq!(shown[4].join(" "), "2 runs that count: 8 uses, 19 tokens");
    let of = |id: &str, shards: &str| work.run(&format!("ledger show used {id} --in {shards}")).ends_with(0).stdout;
    let three = of("d1", "a.jsonl");
    assert!(three.contains(": 3 uses, 6 tokens, last 2026-11-23T00:00:00Z; one more is worth 0.823\n"), "{three}");
    assert_eq!(three, of("d0", "b.jsonl"), "the same text, by the id that it has elsewhere");
    let key = three.split(':').next().expect("a key");
    assert_eq!(work.run(&format!("ledger show used {key}")).stdout, three);
    let ran = work.run("ledger withdraw used base-1 --reason wrong").ends_with(0);
    assert_eq!(ran.stdout, "withdrawn base-1: 6 uses do not count any more\n");
    work.run("ledger withdraw used base-1").ends_with(1).says("the run `base-1` was withdrawn already");
    work.run("ledger withdraw used base-3").ends_with(1).says("there is no run `base-3`; there is base-1");
    assert!(work.run("ledger runs used").stdout.contains("withdrawn\n"));
    assert!(of("d1", "a.jsonl").contains(": 1 use, 2 tokens, "));
    assert!(of("d0", "a.jsonl").ends_with(": never used\n"));
    let files = work.run("ledger files used").ends_with(0).stdout;
    assert_eq!(files.lines().count(), 1);
    assert!(files.starts_with("used/run=base-2/part-") && work.path(files.trim()).exists(), "{files}");
    work.run("ledger show used d0").ends_with(1).says("name the shards that this is in with --in");
    work.run("ledger show used d9 --in a.jsonl").ends_with(1).says("no document has the id `d9`");
}

#[test]
fn a_run_is_recorded_once() {
    let work = Work::new();
    shards(&work, "a.jsonl", &["one"]);
    let record = |more: &str| work.run(&format!("ledger record used a.jsonl --run base {TIME} {more}"));
    record("").ends_with(0);
    record("").ends_with(1).says("used: the run `base` was recorded already (2026-11-22T08:30:00Z); --again");
    assert!(record("--again").ends_with(0).stdout.starts_with("recorded base~2: "));
    assert!(record("--again").ends_with(0).stdout.starts_with("recorded base~3: "));
    assert!(work.run("ledger runs used").stdout.ends_with("\n3 runs that count: 3 uses, 3 tokens\n"));
    work.run("ledger withdraw used base~2").ends_with(0);
    assert!(work.run("ledger runs used").stdout.ends_with("\n2 runs that count: 2 uses, 2 tokens\n"));
    work.run("ledger verify used").ends_with(0);
}

#[test]
fn what_cannot_be_is_refused() {
    let work = Work::new();
    shards(&work, "a.jsonl", &["one"]);
    let refused = |arguments: &str, said: &str| {
        work.run(arguments).ends_with(1).says(said);
    };
    for run in ["../x", "a/b", ".a", "a~2", "-"] {
        refused(&format!("ledger record used a.jsonl --run={run}"), "cannot be the name of a run");
    }
    for epochs in ["0", "1.5", "-1", "many"] {
        refused(&format!("ledger record used a.jsonl --run a --epochs {epochs}"), "write a whole number, 1 or above");
    }
    refused("ledger record used a.jsonl --run a --time soon", "write 2026-11-22T08:30:00Z or 2026-11-22");
    refused("ledger record used nothing --run a", "nothing: there is no such file or folder");
    refused("ledger runs used", "there is no ledger here; `trommel ledger record used --run NAME SHARDS` makes one");
    work.write("other/x.txt", "x");
    refused("ledger record other a.jsonl --run a", "this is no ledger, and the folder is not empty (it has x.txt)");
    refused("tag a.jsonl out --ledger other", "there is no ledger here");
    work.write("empty.jsonl", "");
    refused("ledger record used empty.jsonl --run a", "there are no documents to record");
    write_lines(&work.path("bad.jsonl"), ["{\"content_key\":\"xyz\",\"text\":\"a\"}".to_owned()]);
    refused("ledger record used bad.jsonl --run a", "bad.jsonl: row 0: its `content_key` is no key");
    write_lines(&work.path("n.jsonl"), ["{\"text\":\"a\",\"n\":-3}".to_owned()]);
    refused(
        "ledger record used n.jsonl --run a --uses-column n",
        "n.jsonl: row 0: its `uses` is -3, expected 0 or above",
    );
    assert!(!work.path("used/_runs").exists(), "nothing was recorded");
}

/// Every change to any file of a ledger is noticed by `verify`, none makes the program panic, and most stop a reader.
#[test]
fn damage_is_found() {
    let work = Work::new();
    shards(&work, "a.jsonl", &["one", "two", "three"]);
    let record = || work.run(&format!("ledger record used a.jsonl --run a {TIME}")).ends_with(0);
    record();
    let part = work.run("ledger files used").stdout.trim().to_owned();
    let whole = fs::read(work.path(&part)).expect("a part");
    let check = |bytes: Option<&[u8]>, said: &str| {
        match bytes {
            Some(bytes) => fs::write(work.path(&part), bytes).expect("written"),
            None => fs::remove_file(work.path(&part)).expect("removed"),
        }
        work.run("ledger verify used").ends_with(1).says(&part).says(said);
    };
    let mut turned = whole.clone();
    turned[40] ^= 1;
    check(Some(&turned), "the file is damaged: its checksum is");
    check(Some(&whole[..whole.len() / 2]), "the file is damaged or incomplete: it has");
    work.run("tag a.jsonl out --ledger used").ends_with(1).says(&part).says("the file is damaged or incomplete");
    check(Some(&vec![7; whole.len()]), "its checksum is");
    work.run("tag a.jsonl out --ledger used").ends_with(1).says(&part);
    check(None, "No such file");
    work.run("tag a.jsonl out --ledger used").ends_with(1).says(&part);
    fs::write(work.path(&part), &whole).expect("written");
    work.run("ledger verify used").ends_with(0);
    work.run("tag a.jsonl out --ledger used").ends_with(0);
    let manifest = fs::read_to_string(work.path("used/_runs/a.json")).expect("a manifest");
    for (text, said) in [
        (manifest.replace("\"uses\": 3", "\"uses\": 4"), "which is not what it says"),
        (manifest.replace("run=a/", "run=a/../run=a/"), "which is not of its run"),
        (manifest.replace("\"run\": \"a\"", "\"run\": \"b\""), "it says that it is of a run \"b\""),
        (manifest.replace("\"format\": 1", "\"format\": 2"), "its layout is number 2, this program reads 1"),
        (manifest[..40].to_owned(), "the file is damaged or incomplete"),
    ] {
        work.write("used/_runs/a.json", text);
        work.run("ledger verify used").ends_with(1).says("used/_runs/a.json").says(said);
    }
    work.write("used/_runs/a.json", &manifest);
    work.write("used/run=a/part-stray.parquet", "x");
    work.run("ledger verify used").ends_with(0).says("1 file of no run (like used/run=a/part-stray.parquet)");
}

/// Uses by id, as `tag` has left them.
fn counts(work: &Work, output: &str) -> BTreeMap<String, u32> {
    let kept = Rows::read(&work.path(output).join("kept"));
    let ids = kept.strings("id").into_iter().map(|id| id.expect("an id"));
    ids.zip(kept.numbers("reuse_count")).map(|(id, n)| (id, n.expect("a count") as u32)).collect()
}

#[test]
fn a_corpus_is_tagged() {
    let work = Work::new();
    shards(&work, "a.jsonl", &["one", "two"]);
    shards(&work, "b.jsonl", &["two", "three"]);
    shards(&work, "new.jsonl", &["two", "one", "four", "two"]);
    work.run(&format!("ledger record used a.jsonl --run a {TIME}")).ends_with(0);
    work.run("ledger record used b.jsonl --run b --epochs 3 --time 2026-11-24").ends_with(0);
    work.run("tag new.jsonl out --ledger used").ends_with(0);
    let expected = |counts: [u32; 4]| (0..).zip(counts).map(|(i, n)| (format!("d{i}"), n)).collect::<BTreeMap<_, _>>();
    assert_eq!(counts(&work, "out"), expected([4, 1, 0, 4]));
    let kept = work.left("out").kept();
    let weights: Vec<_> = kept.numbers("sampling_weight").into_iter().map(|n| n.expect("a weight")).collect();
    assert_eq!(weights.iter().map(|weight| (weight * 1e4).round()).collect::<Vec<_>>(), [0.0, 9371.0, 1e4, 0.0]);
    let last = kept.strings("last_used");
    assert!(last[0].as_ref().is_some_and(|time| time.starts_with("2026-11-24T00:00:00")), "{last:?}");
    assert_eq!(last[2], None);
    work.run("tag new.jsonl only --ledger used --only a --curve linear --cap 2").ends_with(0);
    assert_eq!(counts(&work, "only"), expected([1, 1, 0, 1]));
    assert_eq!(work.left("only").kept().numbers("sampling_weight")[0], Some(0.5));
    work.run("tag new.jsonl lost --ledger used --only c").ends_with(1).says("there is no run `c`; there is a, b");
    work.run("ledger withdraw used b").ends_with(0);
    work.run("tag new.jsonl lost --ledger used --only b").ends_with(1).says("the run `b` was withdrawn");
    work.run("tag new.jsonl lost --ledger used --cap 0").ends_with(1).says("`cap` must be at least 1");
    work.run("tag new.jsonl lost --ledger used --links a.jsonl").ends_with(1).says("not the output folder of a run");
}

#[test]
fn a_run_reads_what_was_recorded_when_it_began() {
    let work = Work::new();
    shards(&work, "a.jsonl", &["one", "two"]);
    work.run(&format!("ledger record used a.jsonl --run a {TIME}")).ends_with(0);
    // It is broken off before it reads the ledger, which is damaged.
    let part = work.run("ledger files used").stdout.trim().to_owned();
    fs::rename(work.path(&part), work.path("aside")).expect("moved");
    work.run("tag a.jsonl out --ledger used").ends_with(1);
    fs::rename(work.path("aside"), work.path(&part)).expect("moved back");
    work.run("ledger record used a.jsonl --run b --time 2026-12-01").ends_with(0);
    work.run("ledger withdraw used a").ends_with(0);
    work.run("tag a.jsonl out --ledger used").ends_with(0);
    assert!(counts(&work, "out").values().all(|n| *n == 1));
    assert_eq!(work.left("out").kept().strings("last_used")[0].as_deref().map(|time| &time[..10]), Some("2026-11-22"));
    work.run("tag a.jsonl again --ledger used").ends_with(0);
    assert!(counts(&work, "again").values().all(|n| *n == 1));
    assert_eq!(
        work.left("again").kept().strings("last_used")[0].as_deref().map(|time| &time[..10]),
        Some("2026-12-01")
    );
}

#[test]
fn origins_are_remembered() {
    let work = Work::new();
    work.write(
        "clean.toml",
        "[[stage]]\nuse = 'origin_key'\n[[stage]]\nuse = 'whitespace'\n[[stage]]\nuse = 'content_key'\n",
    );
    write_lines(&work.path("raw.jsonl"), ["{\"id\":\"d0\",\"text\":\"a\\n\\n\\n\\nb\\tc\\u00ad\"}".to_owned()]);
    work.write("other.toml", "[[stage]]\nuse = 'origin_key'\n[[stage]]\nuse = 'control_chars'\n");
    work.run("run clean.toml --input raw.jsonl --output clean").ends_with(0);
    work.run("run other.toml --input raw.jsonl --output other").ends_with(0);
    work.run(&format!("ledger record used clean/kept --run a {TIME}")).ends_with(0);
    for corpus in ["clean/kept", "raw.jsonl", "other/kept"] {
        let out = corpus.replace('/', "-") + "-tagged";
        work.run(&format!("tag {corpus} {out} --ledger used")).ends_with(0);
        assert_eq!(counts(&work, &out)["d0"], 1, "{corpus}");
    }
}

#[test]
fn a_recording_that_is_killed_does_not_count_by_half() {
    let work = Work::new();
    let mut random = Random(5);
    corpus::write_lines(&work.path("in"), &corpus::documents(5, 2_000), 2);
    work.run("ledger record used in --run whole --time 2026-11-22").ends_with(0);
    let mut n_killed = 0;
    for i in 0..12 {
        let record = format!("ledger record used in --run r{i} --time 2026-11-22");
        let mut child = work.spawn(&record);
        std::thread::sleep(Duration::from_millis(random.below(120) as u64));
        kill(&mut child);
        work.run("ledger verify used").ends_with(0);
        let again = work.run(&record);
        n_killed += usize::from(again.code == Some(0));
        assert!(again.code == Some(0) || again.stderr.contains("was recorded already"), "{again}");
    }
    assert!(n_killed > 0, "some were killed before the end");
    let shown = work.run("ledger runs used --json").stdout;
    let runs: Vec<serde_json::Value> = serde_json::from_str(&shown).expect("JSON");
    assert!(runs.len() == 13 && runs.iter().all(|run| run["uses"] == 2_000), "{shown}");
}

/// Eight processes record a run each, and four of them another one of the same name.
fn record_at_once(command: impl Fn(&str) -> Command, ledger: &str) -> (usize, String) {
    let spawn = |arguments: String| command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let own = (0..8).map(|i| spawn(format!("ledger record {ledger} a.jsonl --run r{i} --epochs {}", i + 1)));
    let same = (0..4).map(|i| spawn(format!("ledger record {ledger} b{i}.jsonl --run same")));
    let children: Vec<_> = own.chain(same).map(|child| child.expect("the built program")).collect();
    let outputs: Vec<_> = children.into_iter().map(|child| child.wait_with_output().expect("it ends")).collect();
    for output in &outputs[..8] {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let won = outputs[8..].iter().filter(|output| output.status.success()).count();
    for output in outputs[8..].iter().filter(|output| !output.status.success()) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("`same`"), "{said}");
    }
    let verified = command(&format!("ledger verify {ledger}")).output().expect("the built program");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    assert!(verified.stderr.is_empty(), "no file is left over: {}", String::from_utf8_lossy(&verified.stderr));
    let shown = command(&format!("ledger runs {ledger} --json")).output().expect("the built program");
    (won, String::from_utf8(shown.stdout).expect("JSON"))
}

fn check_all_are_there((won, shown): (usize, String)) {
    assert_eq!(won, 1, "one of those that record the same run");
    let runs: Vec<serde_json::Value> = serde_json::from_str(&shown).expect("JSON");
    let uses: BTreeMap<&str, u64> = runs
        .iter()
        .map(|run| (run["run"].as_str().expect("a name"), run["uses"].as_u64().expect("a number")))
        .collect();
    assert_eq!(uses.len(), 9, "{shown}");
    assert!((0..8).all(|i| uses[&*format!("r{i}")] == 2 * (i + 1)), "{shown}");
}

fn work_of_many() -> Work {
    let work = Work::new();
    shards(&work, "a.jsonl", &["one", "two"]);
    for i in 0..4 {
        shards(&work, &format!("b{i}.jsonl"), &[&format!("text {i}"), "the same"]);
    }
    work
}

#[test]
fn many_record_at_once_in_a_folder() {
    let work = work_of_many();
    for ledger in ["used", "more"] {
        check_all_are_there(record_at_once(|arguments| work.command(arguments), ledger));
    }
}

#[test]
fn many_record_at_once_in_a_bucket() {
    let (work, server) = (work_of_many(), S3Server::start());
    let command = |arguments: &str| {
        let mut command = work.command(arguments);
        command.envs(server.env());
        command
    };
    let ledger = format!("s3://{}/used", server.bucket);
    check_all_are_there(record_at_once(command, &ledger));
    let run = |arguments: &str| {
        let output = command(arguments).output().expect("the built program");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    run(&format!("ledger withdraw {ledger} same"));
    run(&format!("ledger record {ledger} a.jsonl --run r0 --again"));
    assert_eq!(run(&format!("ledger files {ledger}")).lines().count(), 9);
    run(&format!("tag a.jsonl out --ledger {ledger}"));
    assert_eq!(counts(&work, "out")["d0"], 37);
}

/// A page and a later revision of it, and another one that is like neither.
const PAGE: &str = "the river runs slowly past the village where children read under the trees and old men sit by the \
                    door in the sun while the boats go up and down all day with wood and salt and news from the town";

#[test]
fn near_copies_inherit_what_was_used() {
    let work = Work::new();
    let revised = PAGE.replace("news from the town", "news from the coast");
    let again = PAGE.replace("the river runs", "our river runs");
    shards(&work, "used.jsonl", &[PAGE]);
    work.run(&format!("ledger record used used.jsonl --run a {TIME}")).ends_with(0);
    let pipeline = |mode: &str| {
        format!(
            "[[stage]]\nuse = 'minhash'\nthreshold = 0.7\nmode = '{mode}'\n[[stage]]\nuse = 'reuse'\nledger = 'used'\n"
        )
    };
    work.write("drop.toml", pipeline("drop"));
    work.write("annotate.toml", pipeline("annotate"));
    let uses = |pipeline: &str, texts: &[&str]| {
        shards(&work, "new.jsonl", texts);
        let _ = fs::remove_dir_all(work.path("out"));
        work.run(&format!("run {pipeline} --input new.jsonl --output out")).ends_with(0);
        counts(&work, "out").into_iter().collect::<Vec<_>>()
    };
    let expected = |counts: &[(&str, u32)]| counts.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect::<Vec<_>>();
    // The used page is present, and dropped for its revision.
    assert_eq!(uses("drop.toml", &[&revised, PAGE, "something else"]), expected(&[("d0", 1), ("d2", 0)]));
    // It is kept, and so is everything.
    assert_eq!(
        uses("annotate.toml", &[PAGE, &revised, "something else"]),
        expected(&[("d0", 1), ("d1", 1), ("d2", 0)])
    );
    // It is like two pages that are not like each other enough, of which the first stands for it.
    let texts: [&str; 3] = [&revised, PAGE, &again];
    assert_eq!(uses("annotate.toml", &texts), expected(&[("d0", 1), ("d1", 1), ("d2", 1)]));
    // It went in an earlier run, and is not there any more.
    shards(&work, "new.jsonl", &[&revised, PAGE]);
    work.run("dedup --threshold 0.7 new.jsonl earlier").ends_with(0);
    shards(&work, "new.jsonl", &[&revised, "something else"]);
    work.run("tag new.jsonl alone --ledger used").ends_with(0);
    assert_eq!(counts(&work, "alone")["d0"], 0);
    work.run("tag new.jsonl linked --ledger used --links earlier").ends_with(0);
    assert_eq!((counts(&work, "linked")["d0"], counts(&work, "linked")["d1"]), (1, 0));
    // It is in an index of earlier corpora.
    work.run("index build seen --threshold 0.7 used.jsonl").ends_with(0);
    work.run("dedup --threshold 0.7 --mode annotate --against seen new.jsonl matched").ends_with(0);
    work.run("tag matched/kept tagged --ledger used").ends_with(0);
    assert_eq!((counts(&work, "tagged")["d0"], counts(&work, "tagged")["d1"]), (1, 0));
    work.write("against.toml", pipeline("annotate").replacen("mode", "against = 'seen'\nmode", 1));
    assert_eq!(uses("against.toml", &[&revised, "something else"]), expected(&[("d0", 1), ("d1", 0)]));
}

#[test]
fn every_pair_can_be_left_for_later() {
    let work = Work::new();
    let pages =
        [PAGE.replace("news from the town", "news from the coast"), PAGE.replace("the river runs", "our river runs")];
    shards(&work, "used.jsonl", &[&pages[1]]);
    work.run(&format!("ledger record used used.jsonl --run a {TIME}")).ends_with(0);
    // The last two go for the first, and it is the last that was used.
    shards(&work, "new.jsonl", &[PAGE, &pages[0], &pages[1]]);
    shards(&work, "later.jsonl", &[&pages[0]]);
    for (how, expected) in [("", 0), ("--all-links", 1)] {
        let out = format!("earlier{how}");
        work.run(&format!("dedup --threshold 0.6 {how} new.jsonl {out}")).ends_with(0);
        work.run(&format!("tag later.jsonl tagged{how} --ledger used --links {out}")).ends_with(0);
        assert_eq!(counts(&work, &format!("tagged{how}"))["d0"], expected, "{how}");
    }
}

#[test]
fn lists_of_other_trainers_are_imported() {
    let work = Work::new();
    shards(&work, "a.jsonl", &["one", "two", "three"]);
    work.write("list.tsv", "doc\tepochs\nd0\t2\nd2\t1\nd0\t1\n");
    let ran = work.run(&format!("ledger import used list.tsv --in a.jsonl --run other {TIME}")).ends_with(0);
    assert_eq!(ran.stdout, "recorded other: 2 documents, 2 texts, 4 uses, 5 tokens\n");
    work.run("tag a.jsonl out --ledger used").ends_with(0);
    assert_eq!(counts(&work, "out").into_values().collect::<Vec<_>>(), [3, 0, 1]);
    write_lines(
        &work.path("list.jsonl"),
        ["{\"id\":\"d1\",\"count\":7}".to_owned(), "{\"id\":\"d9\",\"count\":7}".to_owned()],
    );
    let more = "ledger import used list.jsonl --in a.jsonl --run more";
    work.run(more).ends_with(1).says("1 id of the list in none of the shards; --allow-missing records the others");
    work.run(&format!("{more} --allow-missing"))
        .ends_with(0)
        .says("1 id of the list in none of the shards, not recorded");
    let key = work.run("ledger show used d1 --in a.jsonl").stdout.split(':').next().expect("a key").to_owned();
    work.write("keys.csv", format!("{key},5\n"));
    work.run("ledger import used keys.csv --run keys").ends_with(0);
    assert!(work.run(&format!("ledger show used {key}")).stdout.contains(": 12 uses, "));
    work.write("bad.csv", "d0,1\nd1\n");
    work.run("ledger import used bad.csv --in a.jsonl --run bad")
        .ends_with(1)
        .says("bad.csv: line 2: expected an id and a");
    work.run("ledger import used list.tsv --run bad").ends_with(1).says("list.tsv: line 2: `d0` is no content key");
    work.run("ledger import used none.csv --run bad").ends_with(1).says("none.csv: there is no such file");
}

#[test]
fn runs_are_compacted() {
    let work = work_of_many();
    for i in 0..4 {
        work.run(&format!("ledger record used b{i}.jsonl --run r{i} --time 2026-11-2{i}")).ends_with(0);
    }
    shards(&work, "all.jsonl", &["text 1", "the same", "none"]);
    let tagged = |out: &str| {
        work.run(&format!("tag all.jsonl {out} --ledger used")).ends_with(0);
        work.left(out).files("kept").remove(0).1
    };
    let before = tagged("before");
    assert!(work.run("ledger compact used").ends_with(0).stdout.starts_with("compacted 4 runs, 5 texts, "));
    assert!(work.run("ledger compact used").ends_with(0).stdout.starts_with("compacted already: 4 runs, 5 texts, "));
    assert!(tagged("after") == before);
    assert_eq!(counts(&work, "after").into_values().collect::<Vec<_>>(), [1, 4, 0]);
    work.run("ledger verify used").ends_with(0);
}

/// With bands that propose every pair there is, a document that stays has uses if, and only if, it was used itself or is
/// like one that was.
#[test]
fn all_that_are_like_a_used_one_inherit_and_no_others() {
    let work = Work::new();
    let documents = corpus::documents(81, 600);
    let sets: Vec<_> = documents.iter().map(|document| corpus::shingles(&document.text)).collect();
    let is_used = |i: usize| i % 5 == 4;
    let expected = |i: usize| {
        let like = |other: usize| {
            is_used(other)
                && (documents[i].text == documents[other].text || corpus::jaccard(&sets[i], &sets[other]) >= THRESHOLD)
        };
        (0..documents.len()).any(like)
    };
    let uses: BTreeMap<&str, bool> =
        documents.iter().enumerate().map(|(i, document)| (&*document.id, expected(i))).collect();
    let lines = |part: &[&corpus::Document]| part.iter().map(|document| corpus::line(document)).collect::<Vec<_>>();
    let (used, others): (Vec<_>, Vec<_>) = documents.iter().enumerate().partition(|(i, _)| is_used(*i));
    let [used, others] = [used, others].map(|part| part.into_iter().map(|(_, document)| document).collect::<Vec<_>>());
    write_lines(&work.path("used.jsonl"), lines(&used));
    write_lines(&work.path("used-first.jsonl"), lines(&[&used[..], &others].concat()));
    write_lines(&work.path("used-last.jsonl"), lines(&[&others[..], &used].concat()));
    work.run(&format!("ledger record used used.jsonl --run a {TIME}")).ends_with(0);
    for (order, mode) in [("first", "annotate"), ("first", "drop"), ("last", "drop")] {
        let minhash = format!("threshold = {THRESHOLD}\nbands = 100\nrows = 1\nleaders = 1000\nmode = '{mode}'");
        let reuse = "[[stage]]\nuse = 'reuse'\nledger = 'used'\n";
        work.write("p.toml", format!("[[stage]]\nuse = 'minhash'\n{minhash}\n{reuse}"));
        let out = format!("{order}-{mode}");
        work.run(&format!("run p.toml --input used-{order}.jsonl --output {out}")).ends_with(0);
        let found = counts(&work, &out);
        assert!(found.len() > 100, "{}", found.len());
        for (id, n) in &found {
            assert_eq!(*n > 0, uses[&**id], "{id} has {n} uses in {out}");
        }
    }
}

#[test]
fn stages_between_do_not_cut_links() {
    let work = Work::new();
    let revised = PAGE.replace("news from the town", "news from the coast");
    shards(&work, "used.jsonl", &[PAGE]);
    shards(&work, "new.jsonl", &[&revised, PAGE, "something else"]);
    work.run(&format!("ledger record used used.jsonl --run a {TIME}")).ends_with(0);
    work.write(
        "p.toml",
        "[[stage]]\nuse = 'minhash'\nthreshold = 0.7\n[[stage]]\nuse = 'language'\n[[stage]]\nuse = 'reuse'\nledger = 'used'\n",
    );
    work.run("run p.toml --input new.jsonl --output out").ends_with(0);
    assert_eq!(counts(&work, "out").into_values().collect::<Vec<_>>(), [1, 0]);
}
