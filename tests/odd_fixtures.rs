//! The odd files are what they say they are: a test that reads them tests something.

mod odd;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use odd::Odd;

struct Files {
    odd: Vec<Odd>,
    _dir: TempDir,
}

fn files() -> Files {
    let dir = tempfile::tempdir().expect("a temporary folder");
    Files { odd: odd::all(dir.path()), _dir: dir }
}

impl Files {
    #[track_caller]
    fn get(&self, name: &str) -> &Odd {
        self.odd.iter().find(|odd| odd.name == name).expect("a file of this name")
    }

    #[track_caller]
    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(&self.get(name).path).expect("a file that was written")
    }
}

/// The rows that Arrow's own reader gets out of a Parquet file, and what stopped it.
fn read_parquet(path: &Path) -> Result<usize, (usize, String)> {
    let failed = |rows, error: &dyn std::fmt::Display| (rows, error.to_string());
    let file = File::open(path).map_err(|error| failed(0, &error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(0, &error))?;
    let reader = reader.with_batch_size(10).build().map_err(|error| failed(0, &error))?;
    let mut rows = 0;
    for batch in reader {
        let batch: RecordBatch = batch.map_err(|error| failed(rows, &error))?;
        rows += batch.num_rows();
    }
    Ok(rows)
}

/// The type of a column as a Parquet file declares it.
fn declared_type(path: &Path, column: &str) -> Option<DataType> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).ok()?).ok()?;
    reader.schema().field_with_name(column).map(Field::data_type).cloned().ok()
}

#[test]
fn names_are_unique_and_files_are_there() {
    let files = files();
    let mut shards: HashMap<&str, usize> = HashMap::new();
    for Odd { name, path, about, .. } in &files.odd {
        assert!(path.is_file(), "{name}");
        assert!(!about.is_empty(), "{name}");
        *shards.entry(name).or_default() += 1;
    }
    let pairs = ["missing_column", "int_and_float", "int_and_string"];
    for odd in &files.odd {
        assert_eq!(shards[odd.name], if pairs.contains(&odd.name) { 2 } else { 1 }, "{}", odd.name);
    }
}

#[test]
fn whole_parquet_files_hold_their_rows() {
    let broken = ["cut_in_half", "wrong_magic", "garbage_page", "invalid_utf8", "jsonl_inside"];
    for odd in files().odd.iter().filter(|odd| !broken.contains(&odd.name)) {
        if odd.path.extension().is_some_and(|ending| ending == "parquet") {
            assert_eq!(read_parquet(&odd.path), Ok(odd.rows as usize), "{}", odd.name);
        }
    }
}

#[test]
fn texts_have_the_types_they_are_named_for() {
    let files = files();
    let declared = |name| declared_type(&files.get(name).path, "text");
    assert_eq!(declared("large_utf8"), Some(DataType::LargeUtf8));
    assert_eq!(declared("utf8_view"), Some(DataType::Utf8View));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    assert_eq!(declared("dictionary"), Some(dictionary));
    assert_eq!(declared("no_text_column"), None);
}

#[test]
fn broken_parquet_files_are_broken_where_they_say() {
    let files = files();
    let read = |name| read_parquet(&files.get(name).path).expect_err("a broken file");
    assert_eq!(read("cut_in_half").0, 0);
    assert_eq!(read("wrong_magic").0, 0);
    assert_eq!(read("garbage_page").0, 10, "the first row group is sound");
    let (rows, error) = read("invalid_utf8");
    assert_eq!(rows, 0);
    assert!(error.to_lowercase().contains("utf8") || error.to_lowercase().contains("utf-8"), "{error}");
}

#[test]
fn json_lines_are_odd_as_they_say() {
    let files = files();
    let valid = |name: &str| {
        let bytes = files.bytes(name);
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        lines.filter(|line| serde_json::from_slice::<serde_json::Value>(line).is_ok()).count() as u64
    };
    for name in ["long_line", "crlf", "blank_lines", "array_line", "number_text", "missing_text", "numeric_ids"] {
        assert_eq!(valid(name), files.get(name).rows, "{name}");
    }
    for name in ["bom", "broken_line", "cut_line", "invalid_utf8_line"] {
        assert_eq!(valid(name), files.get(name).rows - 1, "{name}");
    }
    assert!(files.bytes("long_line").len() > 19_900_000);
    assert!(files.bytes("bom").starts_with(b"\xef\xbb\xbf"));
    assert!(files.bytes("empty").is_empty());
    assert!(!files.bytes("no_last_line_end").ends_with(b"\n"));
}

#[test]
fn compressed_files_hold_their_lines() {
    let files = files();
    let unzip = |name: &str| {
        let mut text = String::new();
        let result = flate2::read::MultiGzDecoder::new(&files.bytes(name)[..]).read_to_string(&mut text);
        result.map(|_| text)
    };
    for name in ["gz", "gz_members"] {
        assert_eq!(unzip(name).expect("whole gzip").lines().count() as u64, files.get(name).rows, "{name}");
    }
    assert!(unzip("gz_cut").is_err());
    for name in ["zst", "zst_frames"] {
        let text = zstd::decode_all(&files.bytes(name)[..]).expect("whole zstd");
        assert_eq!(text.split(|&byte| byte == b'\n').count() as u64 - 1, files.get(name).rows, "{name}");
    }
}

#[test]
fn endings_lie_where_they_say() {
    let files = files();
    assert!(files.bytes("parquet_inside").starts_with(b"PAR1"));
    assert!(files.bytes("jsonl_inside").starts_with(b"{"));
}
