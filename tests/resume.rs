//! A run that was cut short and continued is a run that was not cut.

mod common;
#[allow(dead_code, reason = "not every test asks for all that is known of a file")]
mod odd;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::corpus::{self, Random};
use common::{Left, Ran, Work, kill};

/// Three passes and two exchanges: the first pass leaves documents, and so does every other.
const PIPELINE: &str = r#"
[[stage]]
use = "whitespace"
[[stage]]
use = "exact"
[[stage]]
use = "gopher_repetition"
[[stage]]
use = "minhash"
threshold = 0.7
counts = true
[[stage]]
use = "content_key"
"#;

const RUN: &str = "run p.toml --input in --task-size 64KB --threads 2 --output";

/// How far a run has come, by what it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Looking,
    Pass(usize),
    Exchange(usize),
    Finishing,
    Done,
}

fn phase(output: &Path, n_tasks: usize) -> Phase {
    let there = |path: &str| output.join(path).exists();
    if there("report.json") {
        return Phase::Done;
    }
    if !there("_trommel/run.json") {
        return Phase::Looking;
    }
    for pass in 0..3 {
        let reports = fs::read_dir(output.join(format!("_trommel/{pass}/reports"))).map_or(0, |reports| {
            reports
                .filter(|entry| !entry.as_ref().expect("an entry").file_name().to_string_lossy().starts_with('.'))
                .count()
        });
        if reports < n_tasks {
            return Phase::Pass(pass);
        }
        if pass < 2 && !there(&format!("_trommel/{pass}/exchange.json")) {
            return Phase::Exchange(pass);
        }
    }
    Phase::Finishing
}

/// Whatever stands under its final name is whole: it is what the run that was not cut has left there.
#[track_caller]
fn check_whole(output: &Path, reference: &BTreeMap<String, Vec<u8>>) {
    common::walk(output, &mut |path| {
        let name = path.strip_prefix(output).expect("below").display().to_string();
        let own = path.file_name().expect("a name").to_string_lossy();
        // Killed while it was written, or for this machine only.
        if own.starts_with('.') || name.starts_with("_trommel/spill") {
            return;
        }
        let bytes = fs::read(path).expect("a file");
        if name.ends_with(".json") {
            // These tell times.
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        } else if name.ends_with(".html") {
            assert!(bytes.ends_with(b"</html>\n"), "{name} is not whole");
        } else {
            assert!(reference.get(&name) == Some(&bytes), "{name} is not whole");
        }
    });
}

#[test]
fn a_run_killed_at_any_instant_can_be_continued() {
    let work = Work::new();
    work.write("p.toml", PIPELINE);
    corpus::write_parquet(&work.path("in"), &corpus::documents(21, 2000), 3, 20);
    // Everything it leaves on the way, to compare with.
    work.run(&format!("{RUN} work --keep-work")).ends_with(0);
    let reference: BTreeMap<_, _> = work.left("work").files("").into_iter().collect();
    let start = Instant::now();
    work.run(&format!("{RUN} whole")).ends_with(0);
    let time = start.elapsed();
    let whole = work.left("whole");
    let n_tasks = whole.files("kept").len();
    assert!(n_tasks > 15, "{n_tasks} tasks");
    whole.assert_same(&work.left("work"));
    assert!(!whole.root().join("_trommel/0").exists() && !whole.root().join("_trommel/spill").exists());

    // Killed again and again after a random time, until it is done.
    let mut random = Random(7);
    let mut met: BTreeMap<Phase, usize> = BTreeMap::new();
    for round in 0..6 {
        let output = format!("random-{round}");
        work.kill_until_done(RUN, &output, time, &mut random, |left| {
            *met.entry(phase(left, n_tasks)).or_default() += 1;
            check_whole(left, &reference);
        });
        work.run(&format!("{RUN} {output}")).ends_with(0).says("done already");
        work.left(&output).assert_same(&whole);
        assert_eq!(work.left(&output).adds_up(), whole.adds_up());
        assert!(!work.path(&output).join("_trommel/0").exists(), "what stands between passes is gone");
    }

    // Killed in a phase of choice: when it is seen to have begun, and a little later.
    let phases = [
        Phase::Looking,
        Phase::Pass(0),
        Phase::Exchange(0),
        Phase::Pass(1),
        Phase::Exchange(1),
        Phase::Pass(2),
        Phase::Finishing,
    ];
    // In the order of a run, which is not that of the variants.
    let place = |phase: Phase| phases.iter().position(|&known| known == phase).unwrap_or(phases.len());
    let mut killed = met;
    let enough = |killed: &BTreeMap<Phase, usize>| {
        let tried = phases.iter().filter(|phase| matches!(phase, Phase::Pass(_) | Phase::Exchange(_)));
        tried.clone().all(|phase| killed.get(phase).is_some_and(|&n| n >= 3))
    };
    for round in 0..8 {
        if round >= 2 && enough(&killed) {
            break;
        }
        let output = format!("chosen-{round}");
        for wanted in phases {
            let mut child = work.spawn(&format!("{RUN} {output}"));
            while place(phase(&work.path(&output), n_tasks)) < place(wanted)
                && child.try_wait().expect("a child").is_none()
            {
                std::hint::spin_loop();
            }
            std::thread::sleep(Duration::from_micros(random.below(4000) as u64 * (round % 3)));
            kill(&mut child);
            *killed.entry(phase(&work.path(&output), n_tasks)).or_default() += 1;
            check_whole(&work.path(&output), &reference);
        }
        work.run(&format!("{RUN} {output}")).ends_with(0);
        work.left(&output).assert_same(&whole);
    }
    // Which instants are met depends on the machine; that many are inside the run does not.
    let inside: usize =
        killed.iter().filter(|(phase, _)| matches!(phase, Phase::Pass(_) | Phase::Exchange(_))).map(|(_, n)| n).sum();
    assert!(inside >= 10, "too few kills inside the run: {killed:?}");
}

/// What deduplication can be asked for beside dropping, and what it leaves in the report of that.
#[test]
fn whatever_deduplication_is_asked_for_is_there_after_kills() {
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(32, 900), 3, 20);
    let mut random = Random(8);
    let mut n_kills = 0;
    for (name, asked) in [
        ("annotate", "--mode annotate --keep longest"),
        ("guards", "--counts --max-cluster 2 --max-source-loss 0.01"),
        ("annotate-guards", "--mode annotate --max-cluster 2 --max-source-loss 0.01"),
        ("components", "--clusters components --counts"),
        ("datatrove", "--profile datatrove-0.10 --verify none"),
    ] {
        let run = format!("dedup in --threshold 0.6 --task-size 64KB --threads 2 {asked}");
        let start = Instant::now();
        work.run(&format!("{run} {name}")).ends_with(0);
        let time = start.elapsed();
        let whole = work.left(name);
        for round in 0..3 {
            let output = format!("{name}-{round}");
            n_kills += work.kill_until_done(&run, &output, time, &mut random, |_| {});
            work.run(&format!("{run} {output}")).ends_with(0).says("done already");
            work.left(&output).assert_same(&whole);
            assert_eq!(work.left(&output).adds_up(), whole.adds_up());
            assert_eq!(counted(&work.left(&output)), counted(&whole), "{name}");
        }
    }
    assert!(n_kills >= 10, "{n_kills} kills before the end");
}

/// All that a report counts. What it measures differs from run to run.
fn counted(left: &Left) -> serde_json::Value {
    let mut report = left.report();
    for name in ["core_seconds", "seconds", "continued"] {
        report[name].take();
    }
    for (list, measured) in
        [("stages", &["nanos", "time_share"][..]), ("exchanges", &["seconds", "core_seconds", "spilled_bytes"])]
    {
        for part in report[list].as_array_mut().expect("a list") {
            measured.iter().for_each(|name| drop(part[name].take()));
        }
    }
    report
}

#[test]
fn a_signal_stops_a_run_that_can_be_continued() {
    let work = Work::new();
    work.write("p.toml", PIPELINE);
    corpus::write_parquet(&work.path("in"), &corpus::documents(22, 1500), 3, 20);
    work.run(&format!("{RUN} whole")).ends_with(0);
    for (signal, output) in [("INT", "int"), ("TERM", "term")] {
        let child = work
            .command(&format!("{RUN} {output}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built program");
        while !work.path(output).join("_trommel/0/reports").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let ran = Ran::new(child.wait_with_output().expect("it was started here"), signal);
        ran.ends_with(130).says("interrupted; run the same command again to continue");
        let spilled = work.path(output).join("_trommel/spill");
        assert!(!spilled.exists(), "an orderly end leaves no temporary files");
        work.run(&format!("{RUN} {output}")).ends_with(0);
        work.left(output).assert_same(&work.left("whole"));
    }
}

/// Two processes on one folder would remove each other's files.
#[test]
fn a_folder_has_one_process() {
    let work = Work::new();
    work.write("p.toml", PIPELINE);
    corpus::write_parquet(&work.path("in"), &corpus::documents(30, 900), 3, 20);
    work.run(&format!("{RUN} whole")).ends_with(0);
    let mut first = work.spawn(&format!("{RUN} out"));
    while !work.path("out/_trommel/0/reports").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // It is at work as long as we look.
    let signal = |name: &str| Command::new("kill").args([name, &first.id().to_string()]).status().expect("kill");
    assert!(signal("-STOP").success());
    // What its threads had begun comes to its end first.
    let mut before = work.left("out").files("");
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let now = work.left("out").files("");
        if std::mem::replace(&mut before, now) == before {
            break;
        }
    }
    for other in [RUN.to_owned(), RUN.replace("--threads 2", "--work-dir spill")] {
        work.run(&format!("{other} out"))
            .ends_with(1)
            .says("out: another process is at work in this output folder; wait until it ends, or name a new one");
        assert!(work.left("out").files("") == before, "a refused run changes nothing");
    }
    // However it ends, the folder is free.
    kill(&mut first);
    work.run(&format!("{RUN} out")).ends_with(0);
    work.left("out").assert_same(&work.left("whole"));
}

#[test]
fn a_limit_is_not_passed_when_a_file_is_mended() {
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(31, 300), 3, 20);
    let sound = fs::read(work.path("in/part-0.parquet")).expect("a file");
    fs::write(work.path("in/part-0.parquet"), &sound[..sound.len() / 2]).expect("written");
    let run = "dedup --exact --limit 150 --task-size 64KB in";
    work.run(&format!("{run} out")).ends_with(2).says("part-0.parquet");
    // Still broken: tried again.
    work.run(&format!("{run} out")).ends_with(2).says("part-0.parquet");
    assert_eq!(work.left("out").adds_up().0, 150);
    fs::write(work.path("in/part-0.parquet"), &sound).expect("written");
    work.run(&format!("{run} out"))
        .ends_with(1)
        .says("a file that was broken has been mended, so the first rows of --limit are others now; name a new");
    assert_eq!(work.left("out").adds_up().0, 150);
    work.run(&format!("{run} other")).ends_with(0);
    assert_eq!(work.left("other").adds_up().0, 150);
}

#[test]
fn another_run_is_refused_with_the_difference() {
    let work = Work::new();
    work.write("p.toml", PIPELINE);
    work.write("q.toml", PIPELINE.replace("0.7", "0.8"));
    corpus::write_parquet(&work.path("in"), &corpus::documents(23, 100), 2, 20);
    corpus::write_parquet(&work.path("other"), &corpus::documents(24, 100), 3, 20);
    work.run(&format!("{RUN} out")).ends_with(0);
    let before = work.left("out").files("");
    let started = RUN.replace("--output", "");
    for (arguments, says) in [
        (started.replace("p.toml", "q.toml"), "another run is kept here: in its pipeline, "),
        (started.replace("--input in", "--input other"), "its input has in/part-0.parquet, this one does not"),
        (started.replace("--input in", "--input in other"), "its input does not have other/part-0.parquet"),
        (started.replace("64KB", "80KB"), "--limit or --task-size differs"),
        (format!("{started} --limit 3"), "--limit or --task-size differs"),
        (
            format!("{started} --id-column text"),
            "in its pipeline, input was not set, now it is {\"id_column\":\"text\"}",
        ),
    ] {
        work.run(&format!("{arguments} --output out")).ends_with(1).says(says).says("name a new output folder");
        assert!(work.left("out").files("") == before, "{arguments}: a refused run changes nothing");
    }
    // The same, done by another version.
    let identity = work.path("out/_trommel/run.json");
    let known = fs::read_to_string(&identity).expect("what makes it this run");
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    fs::write(&identity, known.replacen(&version, "\"version\": \"0.0.1\"", 1)).expect("written");
    work.run(&format!("{RUN} out")).ends_with(1).says("it was begun by trommel 0.0.1, this is");
    fs::write(&identity, known).expect("written");
    // An input file that has changed since.
    corpus::write_parquet(&work.path("in"), &corpus::documents(25, 100), 2, 20);
    work.run(&format!("{RUN} out")).ends_with(1).says("in/part-0.parquet has changed since");
}

#[test]
fn a_finished_run_does_nothing_and_says_so() {
    let work = Work::new();
    work.write("p.toml", PIPELINE);
    corpus::write_parquet(&work.path("in"), &corpus::documents(26, 100), 2, 20);
    let first = work.run(&format!("{RUN} out")).ends_with(0);
    let times = |output: &str| {
        let mut times = BTreeSet::new();
        common::walk(&work.path(output), &mut |path| {
            times.insert((path.to_owned(), fs::metadata(path).expect("a file").modified().expect("a time")));
        });
        times
    };
    let before = times("out");
    let second = work.run(&format!("{RUN} out")).ends_with(0).says("this run is done already");
    assert_eq!(times("out"), before);
    // Its speed is that of the first run and not repeated.
    let sums = |stdout: &str| stdout.split("\nin ").next().unwrap_or_default().trim_end().to_owned();
    assert_eq!(sums(&first.stdout), sums(&second.stdout), "the same report");
}

/// Files broken in all ways, then mended: the result is that of a run on the mended files.
#[test]
fn a_mended_file_is_read_again_with_all_that_depends_on_it() {
    let work = Work::new();
    let documents = corpus::documents(27, 600);
    for pipeline in
        ["[[stage]]\nuse = 'exact'\n[[stage]]\nuse = 'minhash'\n", "[[stage]]\nuse = 'word_count'\n", PIPELINE]
    {
        let work_name = format!("p{}", pipeline.len());
        work.write(&format!("{work_name}.toml"), pipeline);
        corpus::write_parquet(&work.path(&format!("{work_name}/in")), &documents[..400], 4, 20);
        corpus::write_lines(&work.path(&format!("{work_name}/in/lines")), &documents[400..], 2);
        let input = |name: &str| work.path(&format!("{work_name}/in/{name}"));
        let run = |output: &str, code: i32| {
            work.run(&format!("run {work_name}.toml -i {work_name}/in -o {work_name}-{output} --task-size 64KB"))
                .ends_with(code)
        };
        run("whole", 0);
        let sound = |name: &str| fs::read(input(name)).expect("a file");
        // A footer that is gone, a page in the middle, and lines that a program has garbled.
        let (first, third, lines) = (sound("part-0.parquet"), sound("part-2.parquet"), sound("lines/part-1.jsonl"));
        fs::write(input("part-0.parquet"), &first[..first.len() / 2]).expect("written");
        let mut garbled = third.clone();
        let middle = third.len() / 2;
        garbled[middle..middle + 2000].fill(0xff);
        fs::write(input("part-2.parquet"), garbled).expect("written");
        fs::write(input("lines/part-1.jsonl"), b"\x00 no lines at all").expect("written");
        run("out", 2).says("part-0.parquet").says("part-2.parquet").says("part-1.jsonl");
        work.left(&format!("{work_name}-out")).adds_up();
        // Still broken: tried again, and said again.
        run("out", 2).says("part-0.parquet");
        fs::write(input("part-0.parquet"), &first).expect("written");
        run("out", 2).says("part-2.parquet");
        fs::write(input("part-2.parquet"), &third).expect("written");
        fs::write(input("lines/part-1.jsonl"), &lines).expect("written");
        // Killed while it is at it.
        let mut child =
            work.spawn(&format!("run {work_name}.toml -i {work_name}/in -o {work_name}-out --task-size 64KB"));
        std::thread::sleep(Duration::from_millis(60));
        kill(&mut child);
        run("out", 0);
        run("out", 0).says("done already");
        let (out, whole) = (work.left(&format!("{work_name}-out")), work.left(&format!("{work_name}-whole")));
        assert_eq!(out.adds_up(), whole.adds_up());
        for column in ["id", "text"] {
            assert!(out.kept_strings(column) == whole.kept_strings(column), "{pipeline}");
        }
        let rejected = |left: &Left| {
            let columns = ["id", "reason", "duplicate_of"].map(|column| left.rejected().strings(column));
            (0..columns[0].len()).map(|row| columns.clone().map(|column| column[row].clone())).collect::<BTreeSet<_>>()
        };
        assert!(rejected(&out) == rejected(&whole), "{pipeline}");
        assert_eq!(out.links().n_rows(), whole.links().n_rows());
    }
}

#[test]
fn an_output_that_cannot_be_written_is_said() {
    let work = Work::new();
    work.write("file", "no folder");
    corpus::write_parquet(&work.path("in"), &corpus::documents(28, 50), 1, 20);
    work.run("dedup in file/out").ends_with(1).says("file/out");
    work.run("dedup in /proc/out").ends_with(1).says("/proc/out");
    work.run("dedup in out --work-dir file/spill").ends_with(1).says("file/spill");
}

/// A file system of little room, if this machine lets us have one.
struct Small<'w>(&'w Path);

impl<'w> Small<'w> {
    fn mount(folder: &'w Path, size: &str) -> Option<Self> {
        fs::create_dir_all(folder).expect("a folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
fn a_full_disk_is_said_and_leaves_nothing_wrong() {
    let work = Work::new();
    work.write("p.toml", PIPELINE);
    corpus::write_parquet(&work.path("in"), &corpus::documents(29, 900), 3, 20);
    work.run(&format!("{RUN} whole")).ends_with(0);
    let reference: BTreeMap<_, _> = work.left("whole").files("").into_iter().collect();
    let small = work.path("small");
    let Some(mounted) = Small::mount(&small, "700k") else {
        eprintln!("skipped: this machine does not let us mount a small file system");
        return;
    };
    // Temporary files have room; the output has not.
    work.run(&format!("{RUN} small/out --work-dir spill"))
        .ends_with(1)
        .says("No space left on device")
        .says("small/out/");
    assert!(!small.join("out/report.json").exists());
    for folder in ["kept", "rejected"] {
        common::walk(&small.join("out").join(folder), &mut |path| {
            let name = path.strip_prefix(small.join("out")).expect("below").display().to_string();
            assert!(reference.get(&name) == Some(&fs::read(path).expect("a file")), "{name} is whole");
        });
    }
    // With room again it goes on.
    let more = Command::new("mount").args(["-o", "remount,size=200m"]).arg(&small).status().expect("mount");
    assert!(more.success());
    work.run(&format!("{RUN} small/out --work-dir spill")).ends_with(0);
    work.left("small/out").assert_same(&work.left("whole"));
    // No room for temporary files.
    let tight = work.path("tight");
    if let Some(_tight) = Small::mount(&tight, "100k") {
        work.run("dedup in out --work-dir tight --memory 1MB").ends_with(1).says("`--work-dir` chooses another folder");
    }
    drop(mounted);
}
