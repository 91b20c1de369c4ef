//! A cluster of real processes on this machine: what a wave comes to when all goes well, and when it does not.
//!
//! The scheduler is the program itself. Executors are this test, run again in the role of [`as_an_executor`], so that
//! they know the tasks below.

mod processes;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use processes::{TIMEOUT, free_port, scheduler, signal, wait};
use tempfile::TempDir;
use trommel::cluster::executor::{self, Settings};
use trommel::cluster::wave::Cluster;
use trommel::error::{Error, Trouble};
use trommel::fleet::{Ended, Wave, Worker};

#[test]
fn every_task_runs_once_and_failures_are_rows() {
    let machines = Machines::begin(2);
    let cluster = machines.connect();
    let folder = machines.folder();

    let tasks: Vec<u32> = (100..140).rev().collect();
    let done = cluster.run(&Wave { name: "sign", order: folder, tasks: &tasks }, &never).expect("nothing fails");
    assert_eq!(done.iter().map(|done| done.task).collect::<Vec<_>>(), tasks, "in the order asked for");
    for done in &done {
        let signed = fs::read_to_string(format!("{folder}/{}", done.task)).expect("each task leaves a file");
        assert_eq!(done.outcome, Ok(signed), "each task ran once");
    }
    let executors: BTreeSet<_> = done.iter().map(|done| done.outcome.clone()).collect();
    assert_eq!(executors.len(), 2, "both executors took part: {executors:?}");

    let done = cluster.run(&Wave { name: "odd", order: "", tasks: &[1, 2, 3, 4] }, &never).expect("failures are rows");
    let row =
        |task, outcome: Result<&str, &str>| Ended { task, outcome: outcome.map(str::to_owned).map_err(str::to_owned) };
    let panic = Err("a panic in task 3 of odd: three is too many");
    assert_eq!(done, [row(1, Err("1 is odd")), row(2, Ok("even")), row(3, panic), row(4, Ok("even"))]);

    assert_eq!(cluster.run(&Wave { name: "odd", order: "", tasks: &[] }, &never).expect("nothing to do"), []);

    // Several at once, from one connection and from others.
    std::thread::scope(|scope| {
        let one = || {
            let other = machines.connect();
            let tasks: Vec<u32> = (0..20).map(|i| 2 * i).collect();
            for cluster in [&cluster, &other] {
                let done = cluster.run(&Wave { name: "odd", order: "", tasks: &tasks }, &never).expect("nothing fails");
                assert!(done.iter().all(|done| done.outcome == Ok("even".to_owned())));
            }
        };
        let all: Vec<_> = (0..6).map(|_| scope.spawn(one)).collect();
        for one in all {
            one.join().expect("no panic");
        }
    });
}

#[test]
fn stopping_cancels_and_tasks_hear_of_it() {
    let machines = Machines::begin(2);
    let cluster = machines.connect();
    let wave = Wave { name: "wait", order: machines.folder(), tasks: &[0, 1, 2, 3, 4, 5] };
    let stop = || machines.has("began-", 4);
    let error = cluster.run(&wave, &stop).expect_err("it was stopped");
    assert!(matches!(error, Error::Interrupted), "{error}");
    machines.wait_for("stopped-", 4, Duration::from_secs(3));
    assert!(machines.has("began-", 4), "the others were not begun");
    // And the slots are free again.
    let done = cluster.run(&Wave { name: "odd", order: "", tasks: &[0, 2, 4, 6] }, &never).expect("nothing fails");
    assert_eq!(done.len(), 4);
}

#[test]
fn a_killed_executor_fails_the_wave_and_the_other_does_the_rest() {
    let mut machines = Machines::begin(2);
    let cluster = machines.connect();
    let begin = Instant::now();
    let error = machines.while_waiting(&cluster, |machines| machines.executors[0].kill().expect("it runs"));
    assert!(matches!(error, Error::Cluster { trouble: Trouble::Lost, .. }), "{error}");
    assert!(begin.elapsed() < TIMEOUT + Duration::from_secs(15), "{:?}", begin.elapsed());
    machines.wait_for("stopped-", 2, Duration::from_secs(5));
    // There is one left, and it has its slots.
    let wave = Wave { name: "sign", order: machines.folder(), tasks: &[10, 11, 12] };
    assert_eq!(machines.connect().run(&wave, &never).expect("one executor is enough").len(), 3);
}

#[test]
fn an_executor_that_is_ended_says_so() {
    let mut machines = Machines::begin(2);
    let cluster = machines.connect();
    let begin = Instant::now();
    let error = machines.while_waiting(&cluster, |machines| signal(&machines.executors[0], "-TERM"));
    assert!(matches!(error, Error::Cluster { trouble: Trouble::Lost, .. }), "{error}");
    assert!(begin.elapsed() < TIMEOUT, "nobody waited for it: {:?}", begin.elapsed());
    machines.wait_for("stopped-", 4, Duration::from_secs(5));
    assert!(machines.executors[0].wait().expect("it was begun").success());
}

#[test]
fn a_frozen_executor_is_given_up_and_comes_back() {
    let mut machines = Machines::begin(2);
    let cluster = machines.connect();
    let error = machines.while_waiting(&cluster, |machines| signal(&machines.executors[0], "-STOP"));
    assert!(matches!(error, Error::Cluster { trouble: Trouble::Lost, .. }), "{error}");
    machines.wait_for("stopped-", 2, Duration::from_secs(5));
    signal(&machines.executors[0], "-CONT");
    machines.wait_for("stopped-", 4, Duration::from_secs(10));
    machines.wait_until_ready(2);
}

#[test]
fn a_killed_scheduler_is_an_error_and_another_takes_its_place() {
    let mut machines = Machines::begin(2);
    let cluster = machines.connect().with_patience(Duration::from_secs(3));
    let error = machines.while_waiting(&cluster, |machines| machines.scheduler.kill().expect("it runs"));
    assert!(matches!(error, Error::Cluster { trouble: Trouble::Unreachable, .. }), "{error}");
    machines.scheduler.wait().expect("it was killed");
    machines.scheduler = scheduler(machines.port);
    machines.wait_until_ready(2);
    machines.wait_for("stopped-", 4, Duration::from_secs(10));
    let wave = Wave { name: "sign", order: machines.folder(), tasks: &[10, 11, 12] };
    assert_eq!(machines.connect().run(&wave, &never).expect("all is well again").len(), 3);
}

#[test]
fn without_executors_a_wave_fails_in_time() {
    let machines = Machines::begin(0);
    let wave = Wave { name: "sign", order: machines.folder(), tasks: &[1] };
    let error = machines.connect().run(&wave, &never).expect_err("there is no executor");
    assert!(matches!(error, Error::Cluster { trouble: Trouble::Lost, .. }), "{error}");
}

#[test]
fn an_unreachable_scheduler_is_named() {
    let port = free_port();
    let error = Cluster::connect(&format!("localhost:{port}")).err().expect("there is none").to_string();
    let says = format!("ballista://localhost:{port}: no scheduler answers");
    assert!(error.starts_with(&says) && error.contains("`trommel scheduler`"), "{error}");
}

/// A scheduler and executors with two slots each.
struct Machines {
    port: u16,
    scheduler: Child,
    executors: Vec<Child>,
    shared: TempDir,
    _work: TempDir,
}

impl Machines {
    fn begin(n_executors: usize) -> Self {
        let port = free_port();
        let (shared, work) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
        let executors = (0..n_executors).map(|_| executor(port, work.path())).collect();
        let machines = Self { port, scheduler: scheduler(port), executors, shared, _work: work };
        if n_executors > 0 {
            machines.wait_until_ready(n_executors);
        }
        machines
    }

    fn connect(&self) -> Cluster {
        Cluster::connect(&format!("ballista://localhost:{}", self.port)).expect("the scheduler is there")
    }

    /// Runs a wave that fills all slots and does not end by itself, does something once it is at work, and returns
    /// how the wave fails.
    #[track_caller]
    fn while_waiting(&mut self, cluster: &Cluster, act: impl FnOnce(&mut Self)) -> Error {
        let folder = self.folder().to_owned();
        let wave = Wave { name: "wait", order: &folder, tasks: &[0, 1, 2, 3] };
        std::thread::scope(|scope| {
            let running = scope.spawn(|| cluster.run(&wave, &never));
            self.wait_for("began-", 4, Duration::from_secs(20));
            act(self);
            running.join().expect("no panic").expect_err("nothing ends this wave well")
        })
    }

    /// Where tasks leave files.
    fn folder(&self) -> &str {
        self.shared.path().to_str().expect("a plain name")
    }

    /// Whether there are so many files of a kind, and no more.
    fn has(&self, kind: &str, n: usize) -> bool {
        let files = fs::read_dir(self.shared.path()).expect("a folder").map(|file| file.expect("a file").file_name());
        files.filter(|name| name.to_string_lossy().starts_with(kind)).count() == n
    }

    #[track_caller]
    fn wait_for(&self, kind: &str, n: usize, at_most: Duration) {
        wait(at_most, || self.has(kind, n));
    }

    #[track_caller]
    fn wait_until_ready(&self, n_executors: usize) {
        processes::wait_until_ready(self.port, n_executors);
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        processes::end(self.executors.iter_mut().chain([&mut self.scheduler]));
    }
}

/// What an executor is to know, in the environment of its process.
const ROLE: &str = "TROMMEL_TEST_EXECUTOR";

fn executor(port: u16, work: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["as_an_executor", "--exact"])
        .env(ROLE, format!("{port} {} {} {}", free_port(), free_port(), work.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test can be run again")
}

/// An executor, in a process that is told to be one; otherwise, nothing.
#[test]
fn as_an_executor() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let [scheduler_port, bind_port, bind_grpc_port, work] = *role.splitn(4, ' ').collect::<Vec<_>>() else {
        panic!("{role}");
    };
    let port = |text: &str| text.parse().expect("a port");
    let settings = Settings {
        bind_host: "127.0.0.1".into(),
        bind_port: port(bind_port),
        bind_grpc_port: port(bind_grpc_port),
        external_host: None,
        scheduler_host: "127.0.0.1".into(),
        scheduler_port: port(scheduler_port),
        vcores: 2,
        work_dir: Path::new(work).join(bind_port),
        poll_interval: Duration::from_millis(50),
        grace: Duration::from_secs(5),
    };
    executor::serve(&settings, Arc::new(Demonstration)).expect("it serves until it is ended");
}

/// Tasks whose work can be seen.
struct Demonstration;

impl Worker for Demonstration {
    fn run(&self, wave: &str, order: &str, task: u32, stop: &Arc<AtomicBool>) -> Result<String, String> {
        match wave {
            // Leaves its process in a file, once more if it runs once more.
            "sign" => {
                sleep(Duration::from_millis(30));
                let me = std::process::id().to_string();
                let mut file = fs::OpenOptions::new().create(true).append(true).open(format!("{order}/{task}"));
                let file = file.as_mut().map_err(|error| error.to_string())?;
                file.write_all(me.as_bytes()).map_err(|error| error.to_string())?;
                Ok(me)
            }
            // Waits until it is told to stop.
            "wait" => {
                fs::write(format!("{order}/began-{task}"), "").map_err(|error| error.to_string())?;
                while !stop.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(10));
                }
                fs::write(format!("{order}/stopped-{task}"), "").map_err(|error| error.to_string())?;
                Err("stopped".to_owned())
            }
            "odd" if task == 3 => panic!("three is too many"),
            "odd" if task % 2 == 1 => Err(format!("{task} is odd")),
            "odd" => Ok("even".to_owned()),
            _ => Err(format!("unknown wave {wave}")),
        }
    }
}

fn never() -> bool {
    false
}
