//! Running the built program from outside: a fresh folder, a command, and what it left.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use serde_json::Value;
use tempfile::TempDir;

use corpus::Random;

pub(crate) mod corpus;

/// A pipeline with stages of every family, and all corpus stages in two exchanges.
pub(crate) const EVERYTHING: &str = r#"
[output]
row_group_rows = 150
[[stage]]
use = "origin_key"
[[stage]]
use = "unicode"
[[stage]]
use = "whitespace"
[[stage]]
use = "word_count"
min = 3
[[stage]]
use = "exact"
[[stage]]
use = "gopher_repetition"
[[stage]]
use = "minhash"
threshold = 0.7
floor = 0.5
keep = "longest"
counts = true
[[stage]]
use = "content_key"
[[stage]]
name = "as_published"
use = "minhash"
profile = "datatrove-0.10"
n = 2
verify = "none"
[[stage]]
use = "reuse"
"#;

/// A folder of a test's own, and the program run in it.
pub(crate) struct Work {
    dir: TempDir,
}

impl Work {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// The program, to be run in the folder with these arguments, separated by spaces.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trommel"));
        command.args(arguments.split_whitespace()).current_dir(self.dir()).env_remove("TROMMEL_LOG");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        Ran::new(self.command(arguments).output().expect("the built program"), arguments)
    }

    /// Begins a run, and says nothing of it.
    pub(crate) fn spawn(&self, arguments: &str) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the built program")
    }

    /// Runs the program on a folder, the last of its arguments, again and again, each time killed after a random part
    /// of `time`, until it is done. Every time `look` sees the folder. Returns how often it was killed before the end.
    pub(crate) fn kill_until_done(
        &self,
        arguments: &str,
        output: &str,
        time: Duration,
        random: &mut Random,
        mut look: impl FnMut(&Path),
    ) -> usize {
        for n_kills in 0.. {
            let mut child = self.spawn(&format!("{arguments} {output}"));
            std::thread::sleep(time.mul_f64(0.1 + random.below(1000) as f64 / 1250.0));
            kill(&mut child);
            look(&self.path(output));
            if self.path(output).join("report.json").exists() {
                return n_kills;
            }
        }
        unreachable!("it is done at some time")
    }

    /// What a run left in a folder.
    pub(crate) fn left(&self, output: &str) -> Left {
        Left { root: self.path(output) }
    }
}

/// Ends a run at once, whatever it is at.
pub(crate) fn kill(child: &mut Child) {
    // It may have come to its end just now.
    let _ = child.kill();
    child.wait().expect("it was started here");
}

/// How a run of the program ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    arguments: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn new(output: Output, arguments: &str) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        let ran = Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            arguments: arguments.to_owned(),
        };
        assert!(!ran.stderr.contains("panicked"), "{ran}");
        ran
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Some of what it wrote to stderr.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no `{text}` in\n{self}");
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr, arguments } = self;
        write!(f, "trommel {arguments}\nended with {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// What a run left.
pub(crate) struct Left {
    root: PathBuf,
}

impl Left {
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn report(&self) -> Value {
        serde_json::from_slice(&fs::read(self.root.join("report.json")).expect("a report")).expect("JSON")
    }

    /// The files below a folder of it, sorted by name, with their bytes.
    pub(crate) fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        walk(&self.root.join(folder), &mut |path| {
            let name = path.strip_prefix(&self.root).expect("it is below").display().to_string();
            files.push((name, fs::read(path).expect("a file that is there")));
        });
        files.sort();
        files
    }

    /// The data files, of kept and of rejected documents and of links.
    pub(crate) fn data(&self) -> Vec<(String, Vec<u8>)> {
        ["kept", "rejected", "_trommel/links"].into_iter().flat_map(|folder| self.files(folder)).collect()
    }

    /// Its data files are those of another run, byte for byte.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self) {
        let (a, b) = (self.data(), other.data());
        let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&a), names(&b));
        for ((name, a), (_, b)) in a.iter().zip(&b) {
            assert!(a == b, "{name} differs: {} bytes and {}", a.len(), b.len());
        }
    }

    pub(crate) fn kept(&self) -> Rows {
        Rows::read(&self.root.join("kept"))
    }

    pub(crate) fn rejected(&self) -> Rows {
        Rows::read(&self.root.join("rejected"))
    }

    pub(crate) fn links(&self) -> Rows {
        Rows::read(&self.root.join("_trommel/links"))
    }

    /// The text of every kept document, in order.
    pub(crate) fn kept_strings(&self, column: &str) -> Vec<Option<String>> {
        self.kept().strings(column)
    }

    /// Rows in = kept + rejected, by the report and by the files; returns (in, kept, rejected).
    #[track_caller]
    pub(crate) fn adds_up(&self) -> (u64, u64, u64) {
        let report = self.report();
        let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report:#}"));
        let (rows_in, kept, rejected) = (number("rows_in"), number("rows_kept"), number("rows_rejected"));
        assert_eq!(rows_in, kept + rejected, "the report adds up: {report:#}");
        assert_eq!(kept, self.kept().n_rows(), "kept/ holds what the report says");
        assert_eq!(rejected, self.rejected().n_rows(), "rejected/ holds what the report says");
        let listed =
            |name: &str| -> Vec<String> { serde_json::from_value(report[name].clone()).expect("a list of names") };
        let names = |folder| self.files(folder).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(listed("kept_files"), names("kept"));
        let mut rejected_files = listed("rejected_files");
        rejected_files.sort();
        assert_eq!(rejected_files, names("rejected"));
        (rows_in, kept, rejected)
    }
}

/// Rows read back from shards of any format.
pub(crate) struct Rows {
    pub(crate) batches: Vec<RecordBatch>,
}

impl Rows {
    /// All shards below a folder, in the order of their names.
    #[track_caller]
    pub(crate) fn read(folder: &Path) -> Self {
        let mut paths = Vec::new();
        walk(folder, &mut |path| paths.push(path.to_owned()));
        paths.sort();
        Self { batches: paths.iter().flat_map(|path| read_shard(path)).collect() }
    }

    pub(crate) fn n_rows(&self) -> u64 {
        self.batches.iter().map(|batch| batch.num_rows() as u64).sum()
    }

    /// The schema, which is that of all shards.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.batches.first().expect("a shard").schema()
    }

    /// All rows as one batch.
    pub(crate) fn batch(&self) -> RecordBatch {
        concat_batches(&self.schema(), &self.batches).expect("shards of one schema")
    }

    /// A column as strings, also where it holds something else.
    #[track_caller]
    pub(crate) fn strings(&self, column: &str) -> Vec<Option<String>> {
        let strings = |batch: &RecordBatch| {
            let array = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
            let array = cast(array, &DataType::LargeUtf8).expect("something that can be written as text");
            array.as_string::<i64>().iter().map(|value| value.map(str::to_owned)).collect::<Vec<_>>()
        };
        self.batches.iter().flat_map(strings).collect()
    }

    #[track_caller]
    pub(crate) fn numbers(&self, column: &str) -> Vec<Option<f64>> {
        let numbers = |batch: &RecordBatch| {
            let array = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
            let array = cast(array, &DataType::Float64).expect("numbers");
            array.as_primitive::<Float64Type>().iter().collect::<Vec<_>>()
        };
        self.batches.iter().flat_map(numbers).collect()
    }

    #[track_caller]
    pub(crate) fn keys(&self, column: &str) -> Vec<Option<Vec<u8>>> {
        let keys = |batch: &RecordBatch| {
            let array = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
            array.as_fixed_size_binary().iter().map(|key| key.map(<[u8]>::to_vec)).collect::<Vec<_>>()
        };
        self.batches.iter().flat_map(keys).collect()
    }
}

/// The batches of a shard; at least one, also if it has no rows. JSON Lines become a column `line`.
#[track_caller]
pub(crate) fn read_shard(path: &Path) -> Vec<RecordBatch> {
    let name = path.display().to_string();
    let lines = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).expect("JSON Lines are UTF-8");
        let lines: ArrayRef = Arc::new(StringArray::from(text.lines().collect::<Vec<_>>()));
        vec![RecordBatch::try_from_iter([("line", lines)]).expect("one column")]
    };
    if name.ends_with(".jsonl") {
        return lines(&fs::read(path).expect("a file"));
    }
    if name.ends_with(".jsonl.zst") {
        return lines(&zstd::decode_all(File::open(path).expect("a file")).expect("zstd"));
    }
    let file = File::open(path).expect("a file");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let schema = builder.schema().clone();
    let mut batches: Vec<_> = builder
        .build()
        .expect("a reader")
        .map(|batch| batch.unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect();
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    batches
}

/// Every file below a folder.
pub(crate) fn walk(folder: &Path, seen: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, seen);
        } else {
            seen(&path);
        }
    }
}

/// Writes a Parquet file in row groups of `group` rows.
pub(crate) fn write_parquet(path: &Path, batch: &RecordBatch, group: usize) {
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let file = File::create(path).expect("a new file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a schema Parquet has");
    writer.write(batch).expect("a batch of the schema");
    writer.close().expect("a footer");
}

/// Writes lines.
pub(crate) fn write_lines(path: &Path, lines: impl IntoIterator<Item = String>) {
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
    let mut file = std::io::BufWriter::new(File::create(path).expect("a new file"));
    lines.into_iter().for_each(|line| writeln!(file, "{line}").expect("written"));
    file.flush().expect("written");
}
