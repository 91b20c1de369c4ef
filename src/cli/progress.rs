//! What the user sees while a run goes on: a bar on a terminal, a line every few seconds elsewhere.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{LogFormat, is_capable};
use crate::budget::Progress;
use crate::report::table::{bytes, count, rate};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How often the run is looked at, so that a phase's time begins when it does.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a phase must have gone on before its speed says something of the rest.
const TRUST_AFTER: Duration = Duration::from_secs(2);

/// The bar on the terminal, so that messages go above it.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Shows a run's progress until it is dropped, and turns Ctrl-C into a request to stop.
pub struct Shown {
    end: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Shown {
    /// Begins to show.
    pub fn begin(progress: Arc<Progress>, log: LogFormat) -> Self {
        stop_on_signal(progress.clone());
        let end = Arc::new((Mutex::new(false), Condvar::new()));
        let ended = end.clone();
        let bar = is_capable(&io::stderr()) && log == LogFormat::Text;
        let show = if bar { show_bar } else { show_lines };
        let thread = std::thread::spawn(move || show(&progress, &ended));
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        *self.end.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.end.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed; the run itself is not touched by it.
            let _ = thread.join();
        }
    }
}

/// Waits for the end or the time, whichever is first; says whether it is the end.
fn wait(end: &(Mutex<bool>, Condvar), time: Duration) -> bool {
    let ended = end.0.lock().unwrap_or_else(PoisonError::into_inner);
    let (ended, _) = end.1.wait_timeout_while(ended, time, |ended| !*ended).unwrap_or_else(PoisonError::into_inner);
    *ended
}

fn show_bar(progress: &Progress, end: &(Mutex<bool>, Condvar)) {
    // One line, whatever the width: what does not fit is cut off at the end.
    let style = ProgressStyle::with_template("{spinner} {prefix} {bar:10} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = BAR.get_or_init(|| ProgressBar::new(1000)).clone();
    bar.set_style(style);
    let mut phase = Phase::new(progress);
    while !wait(end, LOOK_EVERY) {
        phase.look(progress);
        bar.set_position((phase.share.unwrap_or(0.0) * 1000.0) as u64);
        bar.set_prefix(phase.short_name().to_owned());
        bar.set_message(phase.figures(phase.begin.elapsed()));
        bar.tick();
    }
    bar.finish_and_clear();
}

fn show_lines(progress: &Progress, end: &(Mutex<bool>, Condvar)) {
    let mut phase = Phase::new(progress);
    let mut last_line = Instant::now();
    let mut explained = String::new();
    while !wait(end, LOOK_EVERY) {
        phase.look(progress);
        if last_line.elapsed() < LINE_EVERY {
            continue;
        }
        last_line = Instant::now();
        // What a phase does is said once, however long it takes.
        let name = if explained == phase.name { phase.short_name() } else { &phase.name };
        tracing::info!("{name}: {}", phase.figures(phase.begin.elapsed()));
        explained.clone_from(&phase.name);
    }
}

/// A phase of a run as it was last seen.
struct Phase {
    name: String,
    begin: Instant,
    share: Option<f64>,
    rows: u64,
    kept: u64,
    bytes: u64,
}

impl Phase {
    fn new(progress: &Progress) -> Self {
        Self { name: progress.phase(), begin: Instant::now(), share: None, rows: 0, kept: 0, bytes: 0 }
    }

    fn look(&mut self, progress: &Progress) {
        let name = progress.phase();
        if name != self.name {
            *self = Self::new(progress);
        }
        self.share = progress.share();
        self.rows = progress.rows.load(Ordering::Relaxed);
        self.kept = progress.kept.load(Ordering::Relaxed);
        self.bytes = progress.bytes.load(Ordering::Relaxed);
    }

    /// The name without its list of stages, if it has one.
    fn short_name(&self) -> &str {
        match self.name.split_once(": ") {
            Some((pass, _)) if pass.starts_with("pass ") => pass,
            _ => &self.name,
        }
    }

    /// The time left, documents, speed, and what is kept: what matters most comes first.
    fn figures(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64().max(0.001);
        if self.rows == 0 {
            return format!("{seconds:.0} s");
        }
        let mut figures = Vec::new();
        // The first moments tell little. Of what comes after this phase nothing is known, and so nothing promised.
        if let Some(share) = self.share.filter(|&share| share > 0.0 && elapsed >= TRUST_AFTER) {
            let what = if self.name.starts_with("pass ") { "pass" } else { "step" };
            figures.push(format!("{} left of this {what}", time(seconds * (1.0 - share) / share)));
        }
        figures.push(format!("{} documents", count(self.rows)));
        if self.kept > 0 {
            figures.push(format!("{:.0} % kept", self.kept as f64 / self.rows as f64 * 100.0));
        }
        figures.push(format!("{}/s", rate(self.rows as f64 / seconds)));
        if self.bytes > 0 {
            figures.push(format!("{}/s", bytes((self.bytes as f64 / seconds) as u64)));
        }
        figures.join(", ")
    }
}

fn time(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Asks the run to stop at the first Ctrl-C or SIGTERM; at the second, the program ends where it is, which is safe too.
fn stop_on_signal(progress: Arc<Progress>) {
    static ASKED: AtomicBool = AtomicBool::new(false);
    crate::store::runtime().spawn(async move {
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            return;
        };
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            if ASKED.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            progress.stop();
        }
    });
}

/// Stderr, with the progress bar out of the way.
#[derive(Clone, Copy)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().write_all(bytes);
        match BAR.get().filter(|bar| !bar.is_finished()) {
            Some(bar) => bar.suspend(write)?,
            None => write()?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, share: Option<f64>, seconds: u64, expected: &str) {
        let phase =
            Phase { name: name.into(), begin: Instant::now(), share, rows: 12_000, kept: 9_000, bytes: 48_000_000 };
        assert_eq!(phase.figures(Duration::from_secs(seconds)), expected);
    }

    #[test]
    fn an_estimate_says_of_what() {
        check(
            "pass 1 of 2: counts",
            Some(0.25),
            60,
            "3 min left of this pass, 12,000 documents, 75 % kept, 200/s, 800.0 kB/s",
        );
        check(
            "minhash: sets",
            Some(0.999),
            6,
            "1 s left of this step, 12,000 documents, 75 % kept, 2,000/s, 8.00 MB/s",
        );
    }

    #[test]
    fn nothing_is_estimated_from_nothing() {
        let expected = "12,000 documents, 75 % kept, 12,000/s, 48.0 MB/s";
        check("pass 1 of 2: counts", Some(0.99), 1, expected);
        check("pass 1 of 2: counts", None, 4000, "12,000 documents, 75 % kept, 3.0/s, 12.0 kB/s");
    }
}
