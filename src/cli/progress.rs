//! What the user sees while a run goes on: a bar on a terminal, a line every few seconds elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::LogFormat;
use crate::budget::Progress;
use crate::report::table::{bytes, count};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How often the run is looked at, so that a phase's time begins when it does.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
        let terminal = io::stderr().is_terminal() && log == LogFormat::Text;
        let thread =
            std::thread::spawn(
                move || if terminal { show_bar(&progress, &ended) } else { show_lines(&progress, &ended) },
            );
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
    let style = ProgressStyle::with_template("{spinner} {prefix} {wide_bar} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = BAR.get_or_init(|| ProgressBar::new(0)).clone();
    bar.set_style(style);
    let mut phase = Phase::new(progress);
    while !wait(end, LOOK_EVERY) {
        phase.look(progress);
        bar.set_length(phase.total.max(1));
        bar.set_position(phase.done.min(phase.total));
        bar.set_prefix(phase.name.clone());
        bar.set_message(phase.figures());
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
        tracing::info!("{name}: {}", phase.figures());
        explained.clone_from(&phase.name);
    }
}

/// A phase of a run as it was last seen.
struct Phase {
    name: String,
    begin: Instant,
    total: u64,
    done: u64,
    rows: u64,
    kept: u64,
    bytes: u64,
}

impl Phase {
    fn new(progress: &Progress) -> Self {
        Self { name: progress.phase(), begin: Instant::now(), total: 0, done: 0, rows: 0, kept: 0, bytes: 0 }
    }

    fn look(&mut self, progress: &Progress) {
        let name = progress.phase();
        if name != self.name {
            *self = Self::new(progress);
        }
        self.total = progress.total.load(Ordering::Relaxed);
        self.done = progress.done.load(Ordering::Relaxed);
        self.rows = progress.rows.load(Ordering::Relaxed);
        self.kept = progress.kept.load(Ordering::Relaxed);
        self.bytes = progress.bytes.load(Ordering::Relaxed);
    }

    /// The name without its list of stages, if it has one.
    fn short_name(&self) -> &str {
        match self.name.split_once(": ") {
            Some((short, stages)) if stages.contains(", ") => short,
            _ => &self.name,
        }
    }

    /// Documents, speed, what is kept, and the time left.
    fn figures(&self) -> String {
        let seconds = self.begin.elapsed().as_secs_f64().max(0.001);
        if self.rows == 0 {
            return format!("{seconds:.0} s");
        }
        let mut text = format!(
            "{} documents, {}/s, {}/s",
            count(self.rows),
            count((self.rows as f64 / seconds) as u64),
            bytes((self.bytes as f64 / seconds) as u64),
        );
        if self.kept > 0 {
            text += &format!(", {:.0} % kept", self.kept as f64 / self.rows as f64 * 100.0);
        }
        if self.total > 0 && self.done > 0 {
            let left = seconds * (self.total.saturating_sub(self.done)) as f64 / self.done as f64;
            text += &format!(", {} left", time(left));
        }
        text
    }
}

fn time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
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
