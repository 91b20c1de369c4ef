//! The folder where a run keeps its results and its state.
//!
//! ```text
//! kept/00000.parquet …           the documents that stay; shard i is task i
//! rejected/0-00000.parquet …     those that go, with reasons; by pass and task
//! report.json                    what happened
//! report.html                    the same as a page
//! _trommel/run.json              pipeline, inputs (path, size, etag), tasks, version: what makes a run this run
//! _trommel/lock                  locked by the process that works here
//! _trommel/links/…               dropped key → kept key, for whoever counts uses of near copies
//! _trommel/0/kept/00000.parquet  documents between two passes
//! _trommel/0/keys/00000          keys for the exchange after the pass
//! _trommel/0/names/00000         ids and content keys of those that sent keys
//! _trommel/0/reports/00000.json  written last: a task with a report is done
//! _trommel/0/rulings/00000       what the exchange ruled, and exchange.json when it is done
//! ```
//!
//! Every file appears whole or not at all, so a run can be killed at any instant and continued.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::plan::{Layout, Shard, Task};
use crate::store::{Folder, Lock, PARTIAL, runtime};

/// Where links are, below the output folder.
pub const LINKS: &str = "_trommel/links";

/// What makes a run this run. A run is only continued by the same program on the same pipeline and input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The version of this program.
    pub version: String,
    /// The pipeline.
    pub pipeline: String,
    /// The input columns, as they were unified.
    pub schema: String,
    /// The most rows to read.
    pub limit: Option<u64>,
    /// The size of tasks.
    pub task_size: u64,
    /// The input files, in order.
    pub shards: Vec<Shard>,
    /// What is read together.
    pub tasks: Vec<Task>,
    /// The run that this one cuts anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it reads of an index of earlier corpora.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Vec<EarlierPart>>,
}

/// A part of an index that a run reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierPart {
    /// What its run is called.
    pub run: String,
    /// The checksums of its files.
    pub checksums: Vec<String>,
}

/// How a run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// In a folder of its own.
    New,
    /// Where it was left.
    Continued {
        /// Shards that could not be read to the end, and have changed since.
        mended: Vec<usize>,
    },
}

/// A run directory.
#[derive(Clone)]
pub struct RunDir {
    folder: Folder,
}

impl RunDir {
    /// The run directory at `folder`.
    pub fn new(folder: Folder) -> Self {
        Self { folder }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The path of a task's documents: the final ones, or those between two passes.
    pub fn kept_stem(pass: usize, last: bool, task: u32) -> String {
        if last { format!("kept/{task:05}") } else { format!("_trommel/{pass}/kept/{task:05}") }
    }

    /// The path of a task's rejects.
    pub fn rejected_stem(pass: usize, task: u32) -> String {
        format!("rejected/{pass}-{task:05}")
    }

    /// The path of the links from the documents that a task drops to those that stand for them.
    pub fn links_stem(pass: usize, task: u32) -> String {
        format!("{LINKS}/{pass}-{task:05}")
    }

    /// The path of what a pass leaves for a task: `keys`, `names` or `rulings`.
    pub fn part(pass: usize, what: &str, task: u32) -> String {
        format!("_trommel/{pass}/{what}/{task:05}")
    }

    /// The path of a task's report.
    pub fn report(pass: usize, task: u32) -> String {
        format!("_trommel/{pass}/reports/{task:05}.json")
    }

    /// The path of the file that says an exchange is done.
    pub fn exchange_done(pass: usize) -> String {
        format!("_trommel/{pass}/exchange.json")
    }

    /// Takes the folder for this process: two would remove each other's files. A folder with other files is
    /// refused, and so is one where another process is at work.
    pub fn take(&self) -> Result<Lock> {
        let name = self.folder.name();
        // Before anything is made in it. A run that was killed while it began leaves what it was writing.
        if self.folder.find("_trommel/run.json")?.is_none()
            && let Some(found) = self.folder.list()?.iter().find(|found| !is_half_begun(&found.path))
        {
            return Err(Error::refused(format!(
                "{name}: the output folder is not empty (it has {}); name a new one",
                found.path
            )));
        }
        self.folder.lock("_trommel/lock")?.ok_or_else(|| {
            Error::refused(format!(
                "{name}: another process is at work in this output folder; wait until it ends, or name a new one"
            ))
        })
    }

    /// Begins a run in a folder that is [taken](RunDir::take), or continues one, whose tasks `identity` then
    /// gets. A folder with another run is refused.
    pub fn begin(
        &self,
        identity: &mut Identity,
        failed_before: impl FnOnce(&Identity) -> Result<Vec<String>>,
    ) -> Result<Begun> {
        let Some(known) = self.read_json::<Identity>("_trommel/run.json")? else {
            self.folder.sweep("_trommel")?;
            self.write_identity(identity)?;
            return Ok(Begun::New);
        };
        self.folder.sweep("")?;
        let refuse = |what: String| {
            Err(Error::refused(format!(
                "{}: another run is kept here: {what}; name a new output folder",
                self.folder.name()
            )))
        };
        if known.version != identity.version {
            return refuse(format!("it was begun by trommel {}, this is {}", known.version, identity.version));
        }
        if known.from != identity.from {
            let from =
                |from: &Option<String>| from.as_ref().map_or("no other".into(), |from| format!("`--from {from}`"));
            return refuse(format!("it was cut from {}, this one from {}", from(&known.from), from(&identity.from)));
        }
        if known.pipeline != identity.pipeline {
            let table = |text: &str| serde_json::from_str(text).unwrap_or_default();
            let what = of_tables("", &table(&known.pipeline), &table(&identity.pipeline));
            return refuse(format!("in its pipeline, {what}"));
        }
        if known.earlier != identity.earlier {
            return refuse(of_parts(known.earlier.as_deref(), identity.earlier.as_deref()));
        }
        if known.limit != identity.limit || known.task_size != identity.task_size {
            return refuse("its --limit or --task-size differs".into());
        }
        let names = |identity: &Identity| identity.shards.iter().map(|shard| shard.name.clone()).collect::<Vec<_>>();
        if names(&known) != names(identity) {
            let (known, new) = (names(&known), names(identity));
            let missing = known.iter().find(|name| !new.contains(name));
            let added = new.iter().find(|name| !known.contains(name));
            return refuse(match (missing, added) {
                (Some(name), _) => format!("its input has {name}, this one does not"),
                (None, Some(name)) => format!("its input does not have {name}"),
                (None, None) => "its input files are in another order".into(),
            });
        }
        let failed = failed_before(&known)?;
        let mut changed_shards = Vec::new();
        for (i, (old, new)) in known.shards.iter().zip(&identity.shards).enumerate() {
            let changed = old.size != new.size || old.etag != new.etag;
            let mended = failed.contains(&old.name) && fits(&old.layout, &new.layout);
            if changed && !mended {
                return refuse(format!("{} has changed since ({} bytes then, {} now)", old.name, old.size, new.size));
            }
            if changed {
                changed_shards.push(i);
            }
        }
        if known.schema != identity.schema {
            return refuse(difference("its input columns", &known.schema, &identity.schema));
        }
        if known.limit.is_some() && known.tasks != identity.tasks {
            return refuse(
                "a file that was broken has been mended, so the first rows of --limit are others now".into(),
            );
        }
        identity.tasks = known.tasks;
        Ok(Begun::Continued { mended: changed_shards })
    }

    /// Writes down what makes this run this run.
    pub fn write_identity(&self, identity: &Identity) -> Result<()> {
        self.write_json("_trommel/run.json", identity)
    }

    /// Reads a JSON file; `None` if there is none.
    pub fn read_json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let Some(bytes) = self.folder.read(path)? else { return Ok(None) };
        let value = serde_json::from_slice(&bytes).map_err(|error| Error::io(self.folder.name_of(path), error))?;
        Ok(Some(value))
    }

    /// Reads many JSON files, several at once, in the order of `paths`; `None` for those that are not there.
    pub fn read_all_json<T: DeserializeOwned + Send + 'static>(
        &self,
        paths: impl IntoIterator<Item = String>,
    ) -> Result<Vec<Option<T>>> {
        let reads = paths.into_iter().map(|path| {
            let run_dir = self.clone();
            runtime().spawn_blocking(move || run_dir.read_json(&path))
        });
        let reads = runtime().block_on(futures::stream::iter(reads).buffered(32).collect::<Vec<_>>());
        reads.into_iter().map(|read| read.map_err(|error| Error::io(self.folder.name(), error))?).collect()
    }

    /// Writes a JSON file, whole or not at all.
    pub fn write_json<T: Serialize>(&self, path: &str, value: &T) -> Result<()> {
        let mut bytes =
            serde_json::to_vec_pretty(value).map_err(|error| Error::io(self.folder.name_of(path), error))?;
        bytes.push(b'\n');
        self.folder.write(path, Bytes::from(bytes))
    }
}

/// Whether a file is what a run leaves that was killed before it had written down what it is.
fn is_half_begun(path: &str) -> bool {
    path == "_trommel/lock" || path.starts_with("_trommel/.run.json.") && path.ends_with(PARTIAL)
}

/// Whether a file that was broken can be read by the tasks that were planned for it.
fn fits(old: &Layout, new: &Layout) -> bool {
    matches!(old, Layout::Unreadable(_)) || old == new || matches!(old, Layout::Lines | Layout::Stream)
}

/// The first setting in which two tables differ.
fn of_tables(place: &str, old: &Value, new: &Value) -> String {
    let inside = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let part = |table: &Map<String, Value>, name: &String| table.get(name).cloned().unwrap_or_default();
            let mut parts = names.into_iter().map(|name| (name, part(old, name), part(new, name)));
            parts.find(|(_, a, b)| a != b).map_or(String::new(), |(name, a, b)| of_tables(&inside(name), &a, &b))
        }
        (Value::Array(old), Value::Array(new)) if place == "stage" => {
            let part = |list: &[Value], i: usize| list.get(i).cloned().unwrap_or_default();
            let mut parts = (0..old.len().max(new.len())).map(|i| (i, part(old, i), part(new, i)));
            parts.find(|(_, a, b)| a != b).map_or(String::new(), |(i, a, b)| match (&a["use"], &b["use"]) {
                (Value::String(a_use), Value::String(b_use)) if a_use == b_use => {
                    of_tables(&format!("stage {} ({a_use})", i + 1), &a, &b)
                }
                (a, b) => format!("stage {} was {}, now it is {}", i + 1, shown(a), shown(b)),
            })
        }
        (old, new) => format!("{place} was {}, now it is {}", shown(old), shown(new)),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        value => value.to_string().chars().take(80).collect(),
    }
}

/// What has become of the index that a run read.
fn of_parts(old: Option<&[EarlierPart]>, new: Option<&[EarlierPart]>) -> String {
    let [old, new] = [old, new].map(Option::unwrap_or_default);
    let runs = |parts: &[EarlierPart]| match parts {
        [] => "nothing".to_owned(),
        parts => parts.iter().map(|part| part.run.as_str()).collect::<Vec<_>>().join(", "),
    };
    match old.iter().zip(new).find(|(old, new)| old.run == new.run && old != new) {
        Some((part, _)) => format!("in its index, the part `{}` was another one", part.run),
        None => format!("its index had {}, now it has {}", runs(old), runs(new)),
    }
}

/// Where two texts part, for people.
fn difference(what: &str, old: &str, new: &str) -> String {
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text.chars().skip(same.saturating_sub(20)).take(60).collect::<String>();
    format!("{what} differs: `…{}…` then, `…{}…` now", around(old), around(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(pipeline: &str, shards: &[(&str, u64)]) -> Identity {
        let shard =
            |&(name, size): &(&str, u64)| Shard { name: name.into(), size, etag: "e".into(), layout: Layout::Lines };
        Identity {
            version: "1".into(),
            pipeline: pipeline.into(),
            schema: String::new(),
            limit: None,
            task_size: 1,
            shards: shards.iter().map(shard).collect(),
            tasks: Vec::new(),
            from: None,
            earlier: None,
        }
    }

    #[track_caller]
    fn check_second(mut second: Identity, failed: &[&str], expected: Result<&[usize], &str>) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let run = RunDir::new(Folder::local(dir.path()).expect("a folder"));
        let mut first = identity("p", &[("a", 1), ("b", 2)]);
        assert_eq!(run.begin(&mut first, |_| Ok(vec![])).expect("begun"), Begun::New);
        let failed = failed.iter().map(ToString::to_string).collect();
        let got = run.begin(&mut second, |_| Ok(failed)).map_err(|error| error.to_string());
        let name = dir.path().display().to_string();
        let expected = expected
            .map(|mended| Begun::Continued { mended: mended.to_vec() })
            .map_err(|message| format!("{name}: another run is kept here: {message}; name a new output folder"));
        assert_eq!(got, expected);
    }

    #[test]
    fn the_same_run_is_continued() {
        check_second(identity("p", &[("a", 1), ("b", 2)]), &[], Ok(&[]));
    }

    #[test]
    fn another_run_is_refused_with_the_difference() {
        check_second(identity("p", &[("a", 1)]), &[], Err("its input has b, this one does not"));
        check_second(identity("p", &[("a", 1), ("b", 3)]), &[], Err("b has changed since (2 bytes then, 3 now)"));
    }

    #[test]
    fn another_pipeline_is_refused_with_the_setting() {
        let check = |old: &str, new: &str, expected: &str| {
            let parse = |text: &str| serde_json::from_str(text).expect("JSON");
            assert_eq!(of_tables("", &parse(old), &parse(new)), expected);
        };
        let exact = r#"{"stage":[{"use":"exact"}]}"#;
        check(exact, r#"{"stage":[{"use":"minhash"}]}"#, "stage 1 was \"exact\", now it is \"minhash\"");
        check(
            exact,
            r#"{"stage":[{"use":"exact","keep":"longest"}]}"#,
            "stage 1 (exact).keep was not set, now it is \"longest\"",
        );
        check(exact, r#"{"stage":[]}"#, "stage 1 was \"exact\", now it is not set");
        check(r#"{"output":{"format":"jsonl"}}"#, "{}", "output was {\"format\":\"jsonl\"}, now it is not set");
    }

    #[test]
    fn another_index_is_refused_with_the_difference() {
        let part = |run: &str, checksum: &str| EarlierPart { run: run.into(), checksums: vec![checksum.into()] };
        let check = |old: &[EarlierPart], new: &[EarlierPart], expected: &str| {
            assert_eq!(of_parts(Some(old), Some(new)), expected);
        };
        let both = [part("a", "1"), part("b", "2")];
        check(&both[..1], &both, "its index had a, now it has a, b");
        check(&both, &both[..1], "its index had a, b, now it has a");
        check(&[], &both[..1], "its index had nothing, now it has a");
        check(&both[..1], &[part("a", "3")], "in its index, the part `a` was another one");
    }

    #[test]
    fn a_file_that_had_failed_may_change() {
        check_second(identity("p", &[("a", 1), ("b", 3)]), &["b"], Ok(&[1]));
    }

    #[test]
    fn a_run_killed_while_it_began_begins_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(dir.path().join("_trommel")).expect("made");
        std::fs::write(dir.path().join("_trommel/.run.json.7-0.partial"), b"{").expect("written");
        let run = RunDir::new(Folder::local(dir.path()).expect("a folder"));
        for _ in 0..2 {
            run.take().expect("nobody is there");
        }
        assert_eq!(run.begin(&mut identity("p", &[]), |_| Ok(vec![])).expect("begun"), Begun::New);
        let files: Vec<_> = run.folder().list().expect("listed").into_iter().map(|found| found.path).collect();
        assert_eq!(files, ["_trommel/lock", "_trommel/run.json"]);
    }

    #[test]
    fn a_folder_with_other_files_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("x"), b"").expect("written");
        let run = RunDir::new(Folder::local(dir.path()).expect("a folder"));
        let error = run.take().map(drop).expect_err("refused").to_string();
        assert!(error.ends_with("the output folder is not empty (it has x); name a new one"), "{error}");
    }

    #[test]
    fn a_folder_has_one_process() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let run = RunDir::new(Folder::local(dir.path()).expect("a folder"));
        let _taken = run.take().expect("nobody is there");
        let error = run.take().map(drop).expect_err("refused").to_string();
        assert!(error.contains("another process is at work in this output folder; wait until it ends"), "{error}");
    }
}
