//! Schedulers and what they say, for tests that begin a cluster of processes on this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long these schedulers wait for an executor.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(6);

/// Begins a scheduler.
pub(crate) fn scheduler(port: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_trommel"))
        .args(["scheduler", "--bind-host", "127.0.0.1", "--bind-port", &port.to_string()])
        .args(["--executor-timeout-seconds", &TIMEOUT.as_secs().to_string()])
        .stderr(Stdio::null())
        .spawn()
        .expect("the program is built")
}

/// Waits until a scheduler knows so many executors.
#[track_caller]
pub(crate) fn wait_until_ready(port: u16, n_executors: usize) {
    let says = format!("ready: {n_executors} executors registered");
    wait(Duration::from_secs(30), || readiness(port).is_some_and(|answer| answer.contains(&says)));
}

/// Ends processes, those that have ended already as well.
pub(crate) fn end<'c>(processes: impl IntoIterator<Item = &'c mut Child>) {
    for process in processes {
        let _ = process.kill();
        let _ = process.wait();
    }
}

#[track_caller]
pub(crate) fn wait(at_most: Duration, mut until: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !until() {
        assert!(begin.elapsed() < at_most, "it took more than {at_most:?}");
        sleep(Duration::from_millis(20));
    }
}

/// Sends a process a signal.
#[track_caller]
pub(crate) fn signal(process: &Child, which: &str) {
    let sent = Command::new("kill").args([which, &process.id().to_string()]).status();
    assert!(sent.expect("there is `kill`").success());
}

/// A port that was free a moment ago, and that no other test of this process is given. It is none of those that Linux
/// gives to connections that are begun, which would take it before it is used.
pub(crate) fn free_port() -> u16 {
    const PORTS: Range<u32> = 20_000..32_000;
    static N_TRIED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(97);
    loop {
        let tried = N_TRIED.fetch_add(1, Ordering::Relaxed);
        assert!(tried < PORTS.end - PORTS.start, "no port is free");
        let port = PORTS.start + first.wrapping_add(tried) % (PORTS.end - PORTS.start);
        let port = port.try_into().expect("below 65,536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What a scheduler says of its executors.
fn readiness(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
