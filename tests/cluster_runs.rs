//! Runs on a cluster of real processes leave what they leave on one machine, byte for byte, whatever is killed on the
//! way.

mod common;
mod processes;
mod s3;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::corpus::Random;
use common::{EVERYTHING, Ran, Work, corpus};
use object_store::ObjectStoreExt;
use processes::{free_port, scheduler, signal, wait};
use s3::S3Server;

#[test]
fn a_cluster_leaves_what_one_machine_leaves() {
    let work = world(81, 1500);
    let machines = Machines::begin(&work, 2, &[]);
    work.run("run p.toml -i in -o alone --task-size 64KB").ends_with(0);
    machines.run(&work, "run p.toml -i in -o together --task-size 64KB").ends_with(0);
    work.left("together").adds_up();
    work.left("together").assert_same(&work.left("alone"));
    machines.assert_ran(&["pass 1", "minhash: keys meet", "minhash: pairs", "minhash: verification", "pass 3"]);
    // What was done is not done again.
    let again = machines.run(&work, "run p.toml -i in -o together --task-size 64KB").ends_with(0);
    again.says("this run is done already");
}

#[test]
fn every_pipeline_leaves_the_same_on_its_fixture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let work = Work::new();
    let machines = Machines::begin(&work, 2, &[]);
    for (pipeline, fixture) in [("web", "web"), ("quickstart", "web"), ("fineweb", "web"), ("dedup", "dedup")] {
        let input = root.join(format!("fixtures/{fixture}.jsonl"));
        let settings = root.join(format!("pipelines/{pipeline}.toml"));
        let command =
            |output: &str| format!("run {} -i {} -o {pipeline}-{output}", settings.display(), input.display());
        work.run(&command("alone")).ends_with(0);
        machines.run(&work, &command("together")).ends_with(0);
        let left = |which: &str| work.left(&format!("{pipeline}-{which}"));
        left("together").assert_same(&left("alone"));
    }
}

#[test]
fn a_draw_is_read_and_written_by_executors() {
    let work = world(86, 1500);
    let machines = Machines::begin(&work, 2, &[]);
    let sample = |name: &str| {
        format!("sample --tokens 20k --ledger used-{name} --record a --task-size 64KB --shard-size 64KB in {name}")
    };
    work.run(&sample("alone")).ends_with(0);
    machines.run(&work, &sample("together")).ends_with(0);
    work.left("together").assert_same(&work.left("alone"));
    let key = |name: &str| {
        let shown = work.run(&format!("ledger runs used-{name} --json")).ends_with(0).stdout;
        serde_json::from_str::<serde_json::Value>(&shown).expect("JSON")[0]["files"].clone()
    };
    assert_eq!(key("together"), key("alone"));
    machines.assert_ran(&["reading", "spreading", "gathering"]);
}

#[test]
fn everything_can_be_in_a_bucket() {
    let server = S3Server::start();
    let work = world(82, 900);
    let machines = Machines::begin(&work, 2, &server.env());
    let store = server.client();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (name, bytes) in work.left("in").files("") {
        let path = object_store::path::Path::from(format!("in/{name}"));
        runtime.block_on(store.put(&path, bytes.into())).expect("a put");
    }
    work.run("run p.toml -i in -o alone --task-size 64KB").ends_with(0);
    let mut command = machines.command(&work, "run p.toml -i s3://corpus/in -o s3://corpus/out --task-size 64KB");
    command.envs(server.env()).args(["--work-dir", "desk"]);
    Ran::new(command.output().expect("the built program"), "run … on a bucket").ends_with(0);
    let alone = work.left("alone").data();
    assert!(alone.len() > 5);
    for (name, bytes) in alone {
        let path = object_store::path::Path::from(format!("out/{name}"));
        let got = runtime.block_on(async { store.get(&path).await?.bytes().await }).expect("an object");
        assert!(got == bytes, "{name} differs");
    }
}

#[test]
fn an_index_in_a_bucket_is_read_by_executors() {
    let server = S3Server::start();
    let work = Work::new();
    let machines = Machines::begin(&work, 2, &server.env());
    let documents = corpus::documents(87, 1200);
    let (first, second) = documents.split_at(700);
    corpus::write_parquet(&work.path("in-a"), first, 2, 100);
    corpus::write_parquet(&work.path("in-b"), second, 2, 100);
    for (name, against) in [("a", ""), ("b", " --against INDEX")] {
        let command = |place: &str, index: &str| {
            let against = against.replace("INDEX", index);
            format!("dedup in-{name} {place}-{name} --index {index} --run-name {name} --task-size 64KB{against}")
        };
        work.run(&command("alone", "seen")).ends_with(0);
        let arguments = command("together", "s3://corpus/seen");
        let mut command = machines.command(&work, &arguments);
        Ran::new(command.envs(server.env()).output().expect("the built program"), &arguments).ends_with(0);
        let [alone, together] = ["alone", "together"].map(|place| work.left(&format!("{place}-{name}")));
        together.adds_up();
        together.assert_same(&alone);
        let known = &together.report()["exchanges"][0]["notes"]["minhash"]["known_near"];
        assert!(name == "a" || known.as_u64() > Some(0), "{known}");
    }
    let (store, runtime) = (server.client(), tokio::runtime::Runtime::new().expect("a runtime"));
    for (name, bytes) in work.left("seen/parts").files("") {
        let path = object_store::path::Path::from(format!("seen/parts/{name}"));
        let got = runtime.block_on(async { store.get(&path).await?.bytes().await }).expect("an object");
        assert!(got == bytes, "{name} differs");
    }
}

#[test]
fn executors_may_be_killed_at_any_time() {
    let work = world(83, 2500);
    work.run("run p.toml -i in -o alone --task-size 64KB").ends_with(0);
    let mut machines = Machines::begin(&work, 2, &[]);
    let mut n_killed = 0;
    for seed in 0..3 {
        let mut random = Random(seed);
        let output = format!("killed-{seed}");
        let arguments = format!("run p.toml -i in -o {output} --task-size 64KB");
        let begin = Instant::now();
        let mut run = machines.command(&work, &arguments).stdout(Stdio::null()).spawn().expect("the built program");
        let mut next = Duration::from_millis(random.below(3000) as u64);
        let status = loop {
            if let Some(status) = run.try_wait().expect("it was begun") {
                break status;
            }
            assert!(begin.elapsed() < Duration::from_secs(300), "it does not end");
            if begin.elapsed() > next && n_killed < 3 * (seed + 1) {
                let victim = random.below(2);
                machines.replace_executor(victim);
                n_killed += 1;
                next = begin.elapsed() + Duration::from_millis(3000 + random.below(6000) as u64);
            }
            sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
        work.left(&output).adds_up();
        work.left(&output).assert_same(&work.left("alone"));
    }
    assert!(n_killed >= 3, "{n_killed}");
}

#[test]
fn when_the_scheduler_is_killed_the_run_can_be_continued() {
    let work = world(84, 1500);
    work.run("run p.toml -i in -o alone --task-size 64KB").ends_with(0);
    let mut machines = Machines::begin(&work, 2, &[]);
    let arguments = "run p.toml -i in -o out --task-size 64KB";
    let mut run = machines.command(&work, arguments).stderr(Stdio::piped()).spawn().expect("the built program");
    wait(Duration::from_secs(60), || work.path("out/_trommel/0/reports").exists());
    machines.scheduler.kill().expect("it runs");
    machines.scheduler.wait().expect("it was killed");
    wait(Duration::from_secs(200), || run.try_wait().expect("it was begun").is_some());
    let ended = Ran::new(run.wait_with_output().expect("it has ended"), arguments).ends_with(1);
    ended.says("run the same command again to continue");
    machines.scheduler = scheduler(machines.port);
    machines.wait_until_ready(2);
    machines.run(&work, arguments).ends_with(0);
    work.left("out").adds_up();
    work.left("out").assert_same(&work.left("alone"));
}

#[test]
fn a_run_that_is_interrupted_stops_its_tasks_and_can_be_continued() {
    let work = world(85, 2500);
    work.run("run p.toml -i in -o alone --task-size 64KB").ends_with(0);
    let machines = Machines::begin(&work, 2, &[]);
    let arguments = "run p.toml -i in -o out --task-size 64KB";
    let run = machines.command(&work, arguments).stderr(Stdio::piped()).spawn().expect("the built program");
    wait(Duration::from_secs(60), || work.path("out/_trommel/0/reports").exists());
    signal(&run, "-INT");
    Ran::new(run.wait_with_output().expect("it ends"), arguments).ends_with(130).says("interrupted");
    machines.run(&work, arguments).ends_with(0);
    work.left("out").assert_same(&work.left("alone"));
}

#[test]
fn what_a_cluster_cannot_do_is_refused() {
    let work = world(86, 20);
    let refused = |arguments: &str, message: &str| {
        work.run(arguments).ends_with(1).says(message);
    };
    refused("dedup in out --on ballista://localhost:1", "no scheduler answers");
    refused("dedup in out --on http://localhost:1", "the address of a scheduler is like ballista://host:50050");
}

/// A folder with a corpus and a pipeline.
fn world(seed: u64, n: usize) -> Work {
    let work = Work::new();
    work.write("p.toml", EVERYTHING);
    corpus::write_parquet(&work.path("in"), &corpus::documents(seed, n), 3, 100);
    work
}

/// A scheduler and executors with a task at a time each.
struct Machines {
    port: u16,
    scheduler: Child,
    executors: Vec<Child>,
    folder: std::path::PathBuf,
    env: Vec<(&'static str, String)>,
}

impl Machines {
    fn begin(work: &Work, n_executors: usize, env: &[(&'static str, String)]) -> Self {
        let port = free_port();
        let (scheduler, folder) = (scheduler(port), work.path("machines"));
        fs::create_dir_all(&folder).expect("a folder");
        let mut machines = Self { port, scheduler, executors: Vec::new(), folder, env: env.to_vec() };
        for number in 0..n_executors {
            let executor = machines.executor(number);
            machines.executors.push(executor);
        }
        machines.wait_until_ready(n_executors);
        machines
    }

    fn executor(&self, number: usize) -> Child {
        let log = File::options().create(true).append(true).open(self.folder.join(format!("{number}.log")));
        let [results, control] = [free_port(), free_port()].map(|port| port.to_string());
        Command::new(env!("CARGO_BIN_EXE_trommel"))
            .args(["executor", "--scheduler-host", "127.0.0.1", "--scheduler-port", &self.port.to_string()])
            .args(["--bind-host", "127.0.0.1", "--bind-port", &results, "--bind-grpc-port", &control])
            .args(["--vcores", "1", "--memory", "64MB", "--work-dir"])
            .arg(self.folder.join(format!("work-{number}")))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stderr(log.expect("a log"))
            .spawn()
            .expect("the program is built")
    }

    /// Kills an executor, and begins another.
    fn replace_executor(&mut self, number: usize) {
        self.executors[number].kill().expect("it runs");
        self.executors[number].wait().expect("it was killed");
        self.executors[number] = self.executor(number);
    }

    fn log(&self, executor: usize) -> String {
        fs::read_to_string(self.folder.join(format!("{executor}.log"))).expect("a log")
    }

    /// Every executor had tasks, and together they ran those of each of these steps, from the first on without a gap:
    /// which of them ran which is up to the scheduler, who may give the few tasks of a short step to one.
    #[track_caller]
    fn assert_ran(&self, steps: &[&str]) {
        let logs: Vec<String> = (0..self.executors.len()).map(|executor| self.log(executor)).collect();
        for (executor, log) in logs.iter().enumerate() {
            assert!(log.contains(" done "), "executor {executor} had no task:\n{log}");
        }
        for step in steps {
            let tasks: BTreeSet<usize> = logs.iter().flat_map(|log| done(log, step)).collect();
            assert!(!tasks.is_empty() && tasks.iter().copied().eq(0..tasks.len()), "{step}: {tasks:?}\n{logs:#?}");
        }
    }

    /// The program, to be run on these machines.
    fn command(&self, work: &Work, arguments: &str) -> Command {
        let mut command = work.command(arguments);
        command.args(["--on", &format!("ballista://localhost:{}", self.port)]);
        command
    }

    fn run(&self, work: &Work, arguments: &str) -> Ran {
        Ran::new(self.command(work, arguments).output().expect("the built program"), arguments)
    }

    #[track_caller]
    fn wait_until_ready(&self, n_executors: usize) {
        processes::wait_until_ready(self.port, n_executors);
    }
}

/// The tasks of a step that ended well, by the log of an executor.
fn done<'a>(log: &'a str, step: &str) -> impl Iterator<Item = usize> + use<'a> {
    let step = format!("wave=\"{step}\" task=");
    log.lines().filter(|line| line.contains(" done ")).filter_map(move |line| {
        let (_, task) = line.split_once(&step)?;
        Some(task.split(' ').next()?.parse().expect("a number"))
    })
}

impl Drop for Machines {
    fn drop(&mut self) {
        processes::end(self.executors.iter_mut().chain([&mut self.scheduler]));
    }
}
