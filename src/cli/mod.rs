//! The command line: one file a command.
//!
//! Results go to stdout, everything else to stderr.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::report::table::count;

pub mod check;
pub mod dedup;
#[cfg(feature = "cluster")]
pub mod executor;
pub mod index;
pub mod ledger;
pub mod plan;
pub mod progress;
pub mod report;
pub mod run;
pub mod sample;
#[cfg(feature = "cluster")]
pub mod scheduler;
pub mod stages;
pub mod tag;
pub mod train;
pub mod r#try;

/// Cleans text corpora for language-model pretraining.
///
/// A pipeline file lists stages: normalizers, filters, annotators, deduplication, reuse counts. `trommel run`
/// takes Parquet or JSON Lines shards through them and leaves clean shards, the rejects with a reason for each,
/// and a report.
#[derive(Parser)]
#[command(name = "trommel", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How messages are written to stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT", display_order = 900)]
    log: LogFormat,
}

/// How messages are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line, for machines.
    Json,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Dedup(dedup::Dedup),
    Index(index::Index),
    Ledger(ledger::Ledger),
    Tag(tag::Tag),
    Report(report::Report),
    Plan(plan::Plan),
    Sample(sample::Sample),
    Check(check::Check),
    Stages(stages::Stages),
    Try(r#try::Try),
    Train(train::Train),
    #[cfg(feature = "cluster")]
    Scheduler(scheduler::Scheduler),
    #[cfg(feature = "cluster")]
    Executor(executor::Executor),
}

/// Parses, calls, and turns the outcome into an exit code: 0 done; 1 refused or failed; 2 finished, but some
/// files could not be read to the end; 130 interrupted, the run can be continued.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors. A reader that has gone away is none either.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    begin_log(cli.log);
    let outcome = match &cli.command {
        Command::Run(command) => command.run(cli.log),
        Command::Dedup(command) => command.run(cli.log),
        Command::Index(command) => command.run(cli.log),
        Command::Ledger(command) => command.run(),
        Command::Tag(command) => command.run(cli.log),
        Command::Report(command) => command.run(),
        Command::Plan(command) => command.run(),
        Command::Sample(command) => command.run(cli.log),
        Command::Check(command) => command.run(),
        Command::Stages(command) => command.run(),
        Command::Try(command) => command.run(),
        Command::Train(command) => command.run(),
        #[cfg(feature = "cluster")]
        Command::Scheduler(command) => command.run(),
        #[cfg(feature = "cluster")]
        Command::Executor(command) => command.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            let interrupted = matches!(error.downcast_ref(), Some(crate::error::Error::Interrupted));
            ExitCode::from(if interrupted { 130 } else { 1 })
        }
    }
}

/// Writes a result to stdout.
pub fn out(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// So many of them.
fn several(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A text in lines of at most 100 characters, each behind `indent`. Blank lines stay; lines that begin with a
/// dash begin an item, other line ends count as spaces.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    let mut hanging = "";
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with("- ") {
            if width > 0 {
                out.push('\n');
            }
            if line.is_empty() && !out.is_empty() {
                out.push('\n');
            }
            width = 0;
            hanging = "";
        }
        for word in line.split_whitespace() {
            let n_chars = word.chars().count();
            if width > 0 && width + 1 + n_chars > 100 {
                out.push('\n');
                width = 0;
            }
            if width == 0 {
                out.push_str(indent);
                out.push_str(hanging);
                width = indent.len() + hanging.len();
            } else {
                out.push(' ');
                width += 1;
            }
            out.push_str(word);
            width += n_chars;
            if word == "-" {
                hanging = "  ";
            }
        }
    }
    if width > 0 {
        out.push('\n');
    }
    out
}

/// Whether colours are welcome: on a terminal that can, unless `NO_COLOR` is set.
fn has_colours(stream: &impl IsTerminal) -> bool {
    is_capable(stream) && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether a stream is a terminal that can move its cursor.
fn is_capable(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether whoever read our output has gone away, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// What is written unless `TROMMEL_LOG` says otherwise.
#[cfg(not(feature = "cluster"))]
const LEVELS: &str = "trommel=info";

/// What is written unless `TROMMEL_LOG` says otherwise. That an executor asks for tasks in vain we say ourselves,
/// once.
#[cfg(feature = "cluster")]
const LEVELS: &str = "trommel=info,ballista_core=warn,ballista_scheduler=warn,ballista_executor=warn,\
                      ballista_executor::execution_loop=error,datafusion=warn";

fn begin_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("TROMMEL_LOG").unwrap_or_else(|_| EnvFilter::new(LEVELS));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(progress::Stderr);
    match format {
        LogFormat::Text => subscriber.without_time().with_ansi(has_colours(&std::io::stderr())).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn texts_are_wrapped_by_paragraph() {
        let long = "word ".repeat(25);
        let text = format!("one\ntwo\n\n- {long}\n- b");
        let wrapped = super::wrapped(&text, "  ");
        assert!(wrapped.starts_with("  one two\n\n  - word word"), "{wrapped}");
        assert!(wrapped.ends_with("\n    word word word word word word\n  - b\n"), "{wrapped}");
        assert!(wrapped.lines().all(|line| line.len() <= 100), "{wrapped}");
        assert_eq!(super::wrapped("", ""), "");
    }

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
