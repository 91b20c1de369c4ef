//! `trommel report`: what happened in a run, and what other thresholds would have kept.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::out;
use crate::error::Error;
use crate::pairs::Pairs;
use crate::report::curve::Curve;
use crate::run_dir::RunDir;
use crate::sample::report::SampleReport;
use crate::store::Folder;

/// Prints the table of a finished run again, or what other thresholds would keep.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel report out                                # the table that the run has printed
  trommel report out --json                         # the same for programs: report.json
  trommel dedup --floor 0.5 shards/ out             # keep pairs from 0.5 up on record
  trommel report out --curve                        # what is kept at 0.5, 0.55, … 1
  trommel report out --curve --step 0.01 --svg curve.svg")]
pub struct Report {
    /// The output folder of the run.
    #[arg(value_name = "RUN", value_parser = NonEmptyStringValueParser::new())]
    run: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write the page of the run into this file, as the run has left it in report.html.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the documents, bytes of text and estimated tokens that a run at each threshold from the floor to 1
    /// keeps. For runs of `trommel dedup --floor`.
    #[arg(long)]
    curve: bool,
    /// How far apart the thresholds are.
    #[arg(long, requires = "curve", value_enum, default_value_t = Step::Coarse)]
    step: Step,
    /// Draw the curve into this file as well.
    #[arg(long, requires = "curve", value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// How far apart thresholds are.
#[derive(Clone, Copy, ValueEnum)]
enum Step {
    #[value(name = "0.01")]
    Fine,
    #[value(name = "0.05")]
    Coarse,
}

impl Report {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let run_dir = RunDir::new(Folder::parse(&self.run)?);
        if let Some(Value::String(command)) =
            run_dir.read_json::<Value>("report.json")?.map(|mut report| report["command"].take())
            && command == "sample"
        {
            return self.print_draw(&run_dir);
        }
        let Some(report) = run_dir.read_json::<crate::report::Report>("report.json")? else {
            let begun = run_dir.folder().find("_trommel/run.json")?.is_some();
            let what = if begun {
                "this run is not finished; give its command again to continue it"
            } else {
                "there is no run; name the output folder of one"
            };
            return Err(Error::refused(format!("{}: {what}", self.run)).into());
        };
        if let Some(file) = &self.html {
            std::fs::write(file, report.html()).map_err(|error| Error::io(file.display(), error))?;
        }
        if self.curve {
            self.print_curve(&run_dir)?;
        } else if self.json {
            out(&(serde_json::to_string_pretty(&report)? + "\n"))?;
        } else {
            out(&report.table())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What `trommel sample` has printed.
    fn print_draw(&self, run_dir: &RunDir) -> anyhow::Result<ExitCode> {
        let Some(report) = run_dir.read_json::<SampleReport>("report.json")? else { return Ok(ExitCode::SUCCESS) };
        if self.curve {
            let message = format!("{}: this is a draw; --curve is for runs of `trommel dedup`", self.run);
            return Err(Error::refused(message).into());
        }
        if self.html.is_some() {
            let message = format!("{}: this is a draw, of which there is no page; leave out --html", self.run);
            return Err(Error::refused(message).into());
        }
        out(&if self.json { serde_json::to_string_pretty(&report)? + "\n" } else { report.table() })?;
        Ok(ExitCode::SUCCESS)
    }

    fn print_curve(&self, run_dir: &RunDir) -> anyhow::Result<()> {
        let parts = match self.step {
            Step::Fine => 100,
            Step::Coarse => 20,
        };
        let curve = Curve::new(&Pairs::find(run_dir)?, parts)?;
        if let Some(file) = &self.svg {
            std::fs::write(file, curve.svg()).map_err(|error| Error::io(file.display(), error))?;
        }
        if self.json {
            return out(&(serde_json::to_string_pretty(&curve)? + "\n"));
        }
        out(&format!("{}\n{}", curve.table(), curve.plot()))
    }
}
