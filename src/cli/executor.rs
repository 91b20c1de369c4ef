//! `trommel executor`: an executor of a cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::run::{memory_or_default, parse_memory, parse_threads, parse_whole};
use crate::cluster::executor::{self, Settings};
use crate::engine::worker::TaskWorker;
use crate::error::Result;
use crate::sample::afar::DrawWorker;
use crate::store::{Folder, Lock};

/// Runs an executor of a cluster.
///
/// It asks the scheduler for tasks and waits for one that is not there yet. All executors and clients of a cluster
/// must reach the same input and output folders under the same names. There is no login: let nobody but the
/// scheduler reach the ports.
///
/// When it is ended it tells its tasks to stop; the scheduler cancels their jobs, and the clients submit again what
/// is not done.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel executor
  trommel executor --scheduler-host 10.0.0.1 --vcores 8 --memory 16GB --work-dir /scratch

Exit codes: 0 ended by SIGTERM or SIGINT; 1 it could not begin.")]
pub struct Executor {
    /// The machine of the scheduler.
    #[arg(long, value_name = "HOST", default_value = "localhost", value_parser = NonEmptyStringValueParser::new())]
    scheduler_host: String,
    /// Its port.
    #[arg(long, value_name = "PORT", default_value_t = 50050)]
    scheduler_port: u16,
    /// The local address to listen at.
    #[arg(long, value_name = "HOST", default_value = "0.0.0.0", value_parser = NonEmptyStringValueParser::new())]
    bind_host: String,
    /// The port that the scheduler fetches results from.
    #[arg(long, value_name = "PORT", default_value_t = 50051)]
    bind_port: u16,
    /// The port that the scheduler ends tasks at.
    #[arg(long, value_name = "PORT", default_value_t = 50052)]
    bind_grpc_port: u16,
    /// The name that the scheduler knows this machine by, if not by the address that the executor calls from.
    #[arg(long, value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    external_host: Option<String>,
    /// The tasks that may be at work at once; as many as there are cores by default.
    #[arg(long, value_name = "N", value_parser = parse_threads, alias = "concurrent-tasks")]
    vcores: Option<usize>,
    /// Memory for all tasks of this executor together, at least 1MB; a quarter of the machine by default.
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,
    /// The folder for temporary files; one in the system's by default.
    #[arg(long, value_name = "FOLDER")]
    work_dir: Option<PathBuf>,
    /// How often to ask for tasks when there are none, in milliseconds.
    #[arg(long, value_name = "MS", default_value = "100", value_parser = parse_whole::<u32>)]
    poll_interval_ms: u32,
}

/// How long tasks may take to stop. Kubernetes ends a process by force after 30 seconds.
const GRACE: Duration = Duration::from_secs(20);

impl Executor {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (work_dir, _lock) = own_folder(&self.work_dir.clone().unwrap_or_else(std::env::temp_dir))?;
        let settings = Settings {
            bind_host: self.bind_host.clone(),
            bind_port: self.bind_port,
            bind_grpc_port: self.bind_grpc_port,
            external_host: self.external_host.clone(),
            scheduler_host: self.scheduler_host.clone(),
            scheduler_port: self.scheduler_port,
            vcores: self.vcores.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            work_dir,
            poll_interval: Duration::from_millis(self.poll_interval_ms.max(1).into()),
            grace: GRACE,
        };
        let vcores = settings.vcores;
        let spill = settings.work_dir.join("spill");
        let worker = TaskWorker::new(vcores, vcores, memory_or_default(self.memory), &spill)?;
        executor::serve(&settings, Arc::new(DrawWorker::new(worker)))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A folder below `folder` that no other executor has, and the lock that says so: executors of one machine, or in
/// containers that share a disk, must not take each other's files for leftovers. One that was killed leaves its lock
/// and its files to the next.
fn own_folder(folder: &Path) -> Result<(PathBuf, Lock)> {
    let parent = Folder::local(folder)?;
    for number in 0.. {
        if let Some(lock) = parent.lock(&format!("trommel-executor-{number}.lock"))? {
            let name = format!("trommel-executor-{number}");
            parent.remove_all(&name)?;
            return Ok((folder.join(name), lock));
        }
    }
    unreachable!("there are fewer executors than numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executors_do_not_share_a_folder() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (first, first_lock) = own_folder(dir.path()).expect("a folder");
        let (second, _second_lock) = own_folder(dir.path()).expect("a folder");
        assert_ne!(first, second);
        std::fs::create_dir_all(first.join("spill")).expect("made");
        drop(first_lock);
        let (third, _third_lock) = own_folder(dir.path()).expect("a folder");
        assert_eq!(third, first);
        assert!(!third.exists(), "what a killed one left goes");
    }
}
