//! Many machines leave what one leaves, byte for byte: whichever of them does a task, how often, and whatever is lost
//! on the way.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::corpus::Random;
use common::{EVERYTHING, Left, Work, corpus};
use trommel::budget::Progress;
use trommel::engine::cluster::Cluster;
use trommel::engine::local::Local;
use trommel::engine::worker::TaskWorker;
use trommel::engine::{self, Engine};
use trommel::error::Error;
use trommel::exchange::sort::SpillDir;
use trommel::fleet::{Ended, Fleet, Lost, Threads, Wave, Worker};
use trommel::pipeline::Pipeline;
use trommel::report::Report;
use trommel::sample::afar::DrawWorker;
use trommel::sample::{self, Machine, Order, Policy, Settings};

/// Workers in folders of their own.
fn workers(work: &Work, n: usize) -> Vec<Arc<dyn Worker>> {
    let worker = |i: usize| -> Arc<dyn Worker> {
        let memory = (64 << 20) >> (2 * i);
        let tasks = TaskWorker::new(1 + i % 2, 2, memory, &work.path(&format!("spill-{i}"))).expect("a folder");
        Arc::new(DrawWorker::new(tasks))
    };
    (0..n).map(worker).collect()
}

/// Takes a folder of documents through a pipeline on a fleet.
fn on_fleet(
    work: &Work,
    pipeline: &str,
    input: &Path,
    output: &str,
    task_size: u64,
    fleet: impl Fleet,
) -> Result<Report, Error> {
    on_engine(work, pipeline, input, output, task_size, &Cluster::new(desk(work, output), fleet))
}

/// The threads of this process.
fn desk(work: &Work, output: &str) -> Local {
    Local::new(2, 64 << 20, &work.path(&format!("{output}-desk"))).expect("threads")
}

fn on_engine(
    work: &Work,
    pipeline: &str,
    input: &Path,
    output: &str,
    task_size: u64,
    engine: &dyn Engine,
) -> Result<Report, Error> {
    let pipeline = Pipeline::parse(pipeline, "a test").expect("a sound pipeline");
    let run = engine::Run {
        pipeline: Arc::new(pipeline),
        inputs: vec![input.display().to_string()],
        output: work.path(output).display().to_string(),
        limit: None,
        task_size,
        keep_work: false,
        recut: None,
    };
    engine::run(&run, engine, &Progress::default())
}

/// A run on a fleet of two workers leaves what a run on threads leaves.
fn check(work: &Work, pipeline: &str, input: &Path, task_size: u64) -> Left {
    on_engine(work, pipeline, input, "alone", task_size, &desk(work, "alone")).expect("a run");
    let fleet = Threads::new(workers(work, 2));
    let report = on_fleet(work, pipeline, input, "together", task_size, fleet).expect("a run");
    assert!(report.failed.is_empty());
    let (alone, together) = (work.left("alone"), work.left("together"));
    together.adds_up();
    together.assert_same(&alone);
    let notes = |left: &Left| {
        let exchanges = left.report()["exchanges"].clone();
        let exchanges = exchanges.as_array().expect("a list").clone();
        let mut notes: Vec<_> = exchanges.iter().map(|exchange| exchange["notes"].clone()).collect();
        // How many comparisons are spared is not the same: a worker knows only its own task's documents.
        for of_stage in notes.iter_mut().filter_map(|notes| notes.as_object_mut()).flat_map(|map| map.values_mut()) {
            let of_stage = of_stage.as_object_mut().expect("numbers by their names");
            ["pairs_spared", "pairs_alike", "pairs_out_of_bound"]
                .into_iter()
                .for_each(|name| drop(of_stage.remove(name)));
        }
        notes
    };
    assert_eq!(notes(&together), notes(&alone));
    together
}

#[test]
fn many_workers_leave_what_one_program_leaves() {
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(71, 1500), 3, 100);
    let left = check(&work, EVERYTHING, &work.path("in"), 64 << 10);
    assert!(left.files("kept").len() > 5, "several tasks");
    assert!(!work.path("together/_trommel/0/exchange").exists(), "what stands between passes goes");
}

#[test]
fn every_pipeline_leaves_the_same_on_its_fixture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (pipeline, fixture) in [("web", "web"), ("quickstart", "web"), ("fineweb", "web"), ("dedup", "dedup")] {
        let work = Work::new();
        let pipeline = std::fs::read_to_string(root.join(format!("pipelines/{pipeline}.toml"))).expect("a pipeline");
        let lines = std::fs::read_to_string(root.join(format!("fixtures/{fixture}.jsonl"))).expect("a fixture");
        // In two files, so that there are two tasks.
        let middle = lines.lines().count() / 2;
        let part = |lines: Vec<&str>| lines.join("\n") + "\n";
        work.write("in/a.jsonl", part(lines.lines().take(middle).collect()));
        work.write("in/b.jsonl", part(lines.lines().skip(middle).collect()));
        check(&work, &pipeline, &work.path("in"), 1 << 10);
    }
}

#[test]
fn every_way_to_deduplicate_leaves_the_same() {
    let work = Work::new();
    corpus::write_lines(&work.path("in"), &corpus::documents(76, 600), 2);
    for settings in [
        "mode = 'annotate'\naudit = 100\nmax_cluster = 3",
        "verify = 'none'\nclusters = 'components'",
        "verify = 'signature'\nkeep = { highest = 'score' }",
        "profile = 'datatrove-0.10'\nn = 2\nfloor = 0.5\ntarget_docs = 250",
    ] {
        let work_here = Work::new();
        let left = check(&work_here, &format!("[[stage]]\nuse = 'minhash'\n{settings}\n"), &work.path("in"), 32 << 10);
        assert!(left.files("kept").len() > 3, "several tasks");
    }
}

#[test]
fn uses_are_inherited_on_workers_too() {
    let work = Work::new();
    let documents = corpus::documents(72, 600);
    corpus::write_lines(&work.path("in"), &documents, 2);
    let used: Vec<_> = documents.into_iter().step_by(5).collect();
    corpus::write_lines(&work.path("used"), &used, 1);
    work.run("ledger record ledger used --run a --time 2026-11-22").ends_with(0);
    for mode in ["drop", "annotate"] {
        let work_here = Work::new();
        let (minhash, ledger) = (format!("use = 'minhash'\nthreshold = 0.7\nmode = '{mode}'"), work.path("ledger"));
        let pipeline = format!("[[stage]]\n{minhash}\n[[stage]]\nuse = 'reuse'\nledger = '{}'\n", ledger.display());
        let left = check(&work_here, &pipeline, &work.path("in"), 16 << 10);
        let counted = left.kept().numbers("reuse_count").into_iter().flatten().filter(|uses| *uses > 0.0).count();
        assert!(counted > 0 && left.links().n_rows() > 0, "{counted}");
    }
}

/// A fleet on which much goes wrong, by chance: tasks are done twice at once, or not at all, waves are lost before
/// their end, and what a task says is not always heard.
struct Unlucky {
    workers: Vec<Arc<dyn Worker>>,
    random: Mutex<Random>,
    n_lost: AtomicUsize,
}

impl Fleet for Unlucky {
    fn run(&self, wave: &Wave<'_>, _: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Ended>, Lost> {
        let draw = |n: usize| self.random.lock().expect("no panic").below(n);
        let lost = draw(2) == 0;
        let n_done = if lost { draw(wave.tasks.len() + 1) } else { wave.tasks.len() };
        let mut tasks: Vec<u32> = wave.tasks[..n_done].to_vec();
        tasks.extend(wave.tasks[..n_done].iter().filter(|_| draw(4) == 0).copied().collect::<Vec<_>>());
        let (next, ended) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        std::thread::scope(|threads| {
            for worker in &self.workers {
                threads.spawn(|| {
                    while let Some(&task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let outcome = worker.run(wave.name, wave.order, task, &Arc::new(AtomicBool::new(false)));
                        ended.lock().expect("no panic").insert(task, outcome);
                    }
                });
            }
        });
        if lost {
            self.n_lost.fetch_add(1, Ordering::Relaxed);
            return Err(Lost::Broken("an executor was lost".into()));
        }
        let ended = ended.into_inner().expect("no panic").into_iter();
        Ok(ended.map(|(task, outcome)| Ended { task, outcome }).collect())
    }
}

/// Does something on fleets on which much goes wrong, until it is done: what gives up is begun again, as a user would.
/// Returns how many waves were lost.
fn on_unlucky_fleets(work: &Work, seed: u64, mut run: impl FnMut(Arc<Unlucky>) -> Result<(), Error>) -> usize {
    let mut n_lost = 0;
    for attempt in 0..20 {
        let random = Mutex::new(Random(seed * 100 + attempt));
        let fleet = Arc::new(Unlucky { workers: workers(work, 3), random, n_lost: AtomicUsize::new(0) });
        let done = run(fleet.clone());
        n_lost += fleet.n_lost.load(Ordering::Relaxed);
        match done {
            Ok(()) => return n_lost,
            Err(error) => assert!(error.to_string().contains("given up after 3 attempts"), "{error}"),
        }
    }
    panic!("it gets further each time");
}

#[test]
fn what_is_lost_is_done_again() {
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(73, 900), 2, 100);
    on_engine(&work, EVERYTHING, &work.path("in"), "alone", 64_000, &desk(&work, "alone")).expect("a run");
    let alone = work.left("alone");
    let mut n_lost = 0;
    for seed in 0..6 {
        let output = format!("unlucky-{seed}");
        n_lost += on_unlucky_fleets(&work, seed, |fleet| {
            on_fleet(&work, EVERYTHING, &work.path("in"), &output, 64_000, fleet).map(drop)
        });
        work.left(&output).adds_up();
        work.left(&output).assert_same(&alone);
    }
    assert!(n_lost > 20, "{n_lost}");
}

#[test]
fn an_index_is_read_and_written_on_workers_too() {
    let work = Work::new();
    let documents = corpus::documents(78, 900);
    let (first, second) = documents.split_at(500);
    corpus::write_parquet(&work.path("in-a"), first, 2, 100);
    corpus::write_parquet(&work.path("in-b"), second, 2, 100);
    for (n, how) in ["threshold = 0.7", "threshold = 0.7\nverify = 'none'", "mode = 'annotate'"].into_iter().enumerate()
    {
        let index = |place: &str| work.path(&format!("{place}-{n}")).display().to_string();
        let pipeline = |place: &str, against: &str| {
            let index = index(place);
            format!("[[stage]]\nuse = 'minhash'\n{how}\nindex = '{index}'\n{}", against.replace("INDEX", &index))
        };
        let mut n_lost = 0;
        for (corpus, against) in [("a", ""), ("b", "against = 'INDEX'\n")] {
            let (input, output) =
                (work.path(&format!("in-{corpus}")), |place: &str| format!("{place}-{n}-out/{corpus}"));
            let (alone, together) = (output("alone"), output("together"));
            on_engine(&work, &pipeline("alone", against), &input, &alone, 32_000, &desk(&work, &alone)).expect("a run");
            n_lost += on_unlucky_fleets(&work, 40 + n as u64, |fleet| {
                on_fleet(&work, &pipeline("together", against), &input, &together, 32_000, fleet).map(drop)
            });
            let left = work.left(&together);
            left.adds_up();
            left.assert_same(&work.left(&alone));
            assert!(left.files("kept").len() > 2, "several tasks");
            let known = left.report()["exchanges"][0]["notes"]["minhash"]["known_near"].as_u64();
            assert!(corpus == "a" || how.contains("none") || known > Some(0), "{known:?}");
        }
        assert!(n_lost > 3, "{n_lost}");
        let files = |place: &str| work.left(&format!("{place}-{n}")).files("");
        assert_eq!(files("together"), files("alone"), "the index");
    }
}

/// Draws from a folder of documents, on a fleet if there is one.
fn draw(work: &Work, settings: &Settings, output: &str, fleet: Option<&dyn Fleet>) -> Result<(), Error> {
    let table = toml::from_str("[output]\nformat = 'parquet'").expect("a table");
    let sample = sample::Sample {
        pipeline: &Pipeline::from_table(table, "a test").expect("a sound pipeline"),
        settings: settings.clone(),
        inputs: vec![work.path("in").display().to_string()],
        output: work.path(output).display().to_string(),
        limit: None,
        task_size: 64_000,
        time: Some("2026-11-22".parse().expect("a time")),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let spill = SpillDir::new(work.path(&format!("{output}-spill")));
    let machine = Machine { pool: &pool, memory: 64 << 20, spill: &spill, fleet };
    let report = sample::sample(&sample, &machine, &Progress::default())?;
    assert!(report.failed.is_empty() && report.rows_drawn > 0, "{report:?}");
    Ok(())
}

#[test]
fn a_draw_by_many_machines_is_that_of_one() {
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(77, 900), 3, 50);
    let ledger = |name: &str| Some(work.path(name).display().to_string());
    for (n, tokens, policy, order) in [
        (0, 40_000, Policy::FreshFirst, Order::Shuffled),
        (1, 300_000, Policy::FreshFirst, Order::Grouped),
        (2, 50_000, Policy::Weighted, Order::Shuffled),
    ] {
        let settings = |place: &str| Settings {
            tokens,
            policy,
            seed: n,
            name: "a draw".to_owned(),
            mix: Default::default(),
            ledger: ledger(place),
            links: Vec::new(),
            record: Some(format!("run-{n}")),
            curve: Default::default(),
            r_star: 15.39,
            cap: 9,
            quality_column: None,
            token_column: None,
            source_column: "source".to_owned(),
            order,
            shard_size: 64_000,
        };
        let (alone, together) = (format!("alone-{n}"), format!("together-{n}"));
        draw(&work, &settings("used-alone"), &alone, None).expect("a draw");
        on_unlucky_fleets(&work, n, |fleet| draw(&work, &settings("used-together"), &together, Some(&*fleet)));
        let left = work.left(&together);
        assert!(left.files("kept").len() > 1, "several files");
        left.assert_same(&work.left(&alone));
        for what in ["_trommel/0", "_trommel/2", "_trommel/brief.json", "_trommel/draw.json"] {
            assert!(!work.path(&format!("{together}/{what}")).exists(), "{what} goes");
        }
    }
    let runs = ["used-alone", "used-together"].map(|used| work.run(&format!("ledger runs {used}")).ends_with(0).stdout);
    assert_eq!(runs[0], runs[1]);
}

/// A worker that fails at one task, so many times.
struct Stumbling {
    worker: Arc<dyn Worker>,
    left: AtomicU32,
}

impl Worker for Stumbling {
    fn run(&self, wave: &str, order: &str, task: u32, stop: &Arc<AtomicBool>) -> Result<String, String> {
        let stumbles = |left: u32| left.checked_sub(1);
        if task == 1 && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, stumbles).is_ok() {
            return Err("the network is down".into());
        }
        self.worker.run(wave, order, task, stop)
    }
}

#[test]
fn a_task_that_fails_is_tried_again_and_then_says_why() {
    let work = Work::new();
    corpus::write_lines(&work.path("in"), &corpus::documents(74, 200), 2);
    let pipeline = "[[stage]]\nuse = 'minhash'\n";
    let run = |output: &str, left: u32| {
        let worker = workers(&work, 1).remove(0);
        let fleet = Threads::new(vec![Arc::new(Stumbling { worker, left: left.into() })]);
        on_fleet(&work, pipeline, &work.path("in"), output, 16 << 10, fleet)
    };
    run("two", 2).expect("the third time goes well");
    let error = run("many", 100).expect_err("it fails for good").to_string();
    assert_eq!(error, "pass 1, task 1: the network is down");
    run("many", 0).expect("and is continued");
    work.left("many").assert_same(&work.left("two"));
}

#[test]
fn a_broken_file_ends_a_run_as_it_does_on_one_machine() {
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(75, 300), 2, 50);
    let broken = work.path("in").join("part-1.parquet");
    let mut bytes = std::fs::read(&broken).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2000].fill(0x55);
    std::fs::write(&broken, bytes).expect("written");
    for pipeline in ["[[stage]]\nuse = 'word_count'\n", "[[stage]]\nuse = 'exact'\n"] {
        let work_here = Work::new();
        let desk = desk(&work_here, "alone");
        let alone = on_engine(&work_here, pipeline, &work.path("in"), "alone", 64_000, &desk).expect("a run");
        let fleet = Threads::new(workers(&work_here, 2));
        let report = on_fleet(&work_here, pipeline, &work.path("in"), "together", 64_000, fleet).expect("a run");
        assert_eq!((report.failed.len(), &report.failed), (1, &alone.failed));
        work_here.left("together").assert_same(&work_here.left("alone"));
    }
}
