//! Files as they are found in the wild: written into a folder, each with what is odd about it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, LargeStringArray, ListArray, MapBuilder, RecordBatch,
    StringArray, StringBuilder, StringViewArray, StructArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression as PageCompression;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// One odd file.
#[derive(Debug)]
pub(crate) struct Odd {
    /// What the test calls it: the file's name without its ending.
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    /// How many rows are really in it; where the file is broken, how many were written.
    pub(crate) rows: u64,
    /// What is odd.
    pub(crate) about: &'static str,
}

/// Writes every odd file into `dir`, one folder each for those that are odd only together.
pub(crate) fn all(dir: &Path) -> Vec<Odd> {
    let mut odd = Vec::new();
    for write in [text_types, columns_beside_the_text, missing_texts, shards_that_differ, broken_parquet] {
        write(dir, &mut odd);
    }
    for write in [json_lines, compressed, wrong_endings] {
        write(dir, &mut odd);
    }
    odd
}

/// The texts of most files: `rows` of them, all different.
fn texts(rows: usize) -> Vec<String> {
    (0..rows)
        .map(|i| format!("Document {i} holds a few plain words, and no other document holds number {i}."))
        .collect()
}

fn ids(rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("doc-{i}"))))
}

/// A Parquet file of one batch, in row groups of `group` rows, without compression or dictionaries, so that
/// each value stands in the file as it is.
fn write_parquet(path: &Path, batch: &RecordBatch, group: usize) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_compression(PageCompression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
    let file = File::create(path).expect("a new file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a schema Parquet has");
    writer.write(batch).expect("a batch of the schema");
    writer.close().expect("a footer");
}

fn parquet(dir: &Path, name: &'static str, about: &'static str, columns: Vec<(&str, ArrayRef)>) -> Odd {
    parquet_at(dir.join(format!("{name}.parquet")), name, about, columns)
}

fn parquet_at(path: PathBuf, name: &'static str, about: &'static str, columns: Vec<(&str, ArrayRef)>) -> Odd {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.expect("columns of one length");
    write_parquet(&path, &batch, 1000);
    Odd { name, path, rows: batch.num_rows() as u64, about }
}

fn file(dir: &Path, file_name: &str, name: &'static str, about: &'static str, rows: u64, bytes: &[u8]) -> Odd {
    let path = dir.join(file_name);
    fs::write(&path, bytes).expect("a new file");
    Odd { name, path, rows, about }
}

fn text_types(dir: &Path, odd: &mut Vec<Odd>) {
    let texts = texts(5);
    let large = Arc::new(LargeStringArray::from_iter_values(&texts));
    odd.push(parquet(dir, "large_utf8", "text is LargeUtf8", vec![("id", ids(5)), ("text", large)]));
    let view = Arc::new(StringViewArray::from_iter_values(&texts));
    odd.push(parquet(dir, "utf8_view", "text is Utf8View", vec![("id", ids(5)), ("text", view)]));
    let dictionary: DictionaryArray<Int32Type> =
        [&texts[0], &texts[1], &texts[0], &texts[2], &texts[0]].iter().map(|text| text.as_str()).collect();
    let columns = vec![("id", ids(5)), ("text", Arc::new(dictionary) as ArrayRef)];
    odd.push(parquet(dir, "dictionary", "text is a dictionary, three rows share one entry", columns));
}

fn columns_beside_the_text(dir: &Path, odd: &mut Vec<Odd>) {
    let text: ArrayRef = Arc::new(StringArray::from(texts(3)));
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let fields = [("depth", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef), ("tags", Arc::new(list.clone()))];
    let nested = StructArray::try_from(fields.to_vec()).expect("fields of one length");
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in 0..3 {
        for key in 0..row {
            map.keys().append_value(format!("key-{key}"));
            map.values().append_option((key > 0).then_some("value"));
        }
        map.append(true).expect("as many keys as values");
    }
    let columns: Vec<(&str, ArrayRef)> =
        vec![("text", text), ("list", Arc::new(list)), ("struct", Arc::new(nested)), ("map", Arc::new(map.finish()))];
    odd.push(parquet(dir, "nested", "a list, a struct with a list in it and a map beside the text", columns));
}

fn missing_texts(dir: &Path, odd: &mut Vec<Odd>) {
    let some: ArrayRef = Arc::new(StringArray::from(vec![Some("A first text."), None, Some(""), None]));
    odd.push(parquet(
        dir,
        "null_text",
        "two of four texts are null, one is empty",
        vec![("id", ids(4)), ("text", some)],
    ));
    let none: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
    odd.push(parquet(dir, "no_rows", "a schema and no rows", vec![("id", ids(0)), ("text", none)]));
    let content: ArrayRef = Arc::new(StringArray::from(texts(3)));
    let columns = vec![("id", ids(3)), ("content", content)];
    odd.push(parquet(dir, "no_text_column", "the text is in a column called content", columns));
}

/// Folders of two shards each.
fn shards_that_differ(dir: &Path, odd: &mut Vec<Odd>) {
    let mut pair = |name: &'static str, about, first: Option<ArrayRef>, second: Option<ArrayRef>| {
        for (shard, extra) in [("part-2.parquet", first), ("part-10.parquet", second)] {
            let mut columns = vec![("id", ids(2)), ("text", Arc::new(StringArray::from(texts(2))) as ArrayRef)];
            columns.extend(extra.map(|array| ("extra", array)));
            odd.push(parquet_at(dir.join(name).join(shard), name, about, columns));
        }
    };
    let int: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let float: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 1.5]));
    let string: ArrayRef = Arc::new(StringArray::from(vec!["one", "two"]));
    pair("missing_column", "the second shard has no column extra", Some(Arc::clone(&int)), None);
    pair("int_and_float", "extra is int in one shard and float in the other", Some(Arc::clone(&int)), Some(float));
    pair("int_and_string", "extra is int in one shard and string in the other", Some(int), Some(string));
}

fn broken_parquet(dir: &Path, odd: &mut Vec<Odd>) {
    let sound = dir.join("sound.parquet");
    let columns = [("id", ids(30)), ("text", Arc::new(StringArray::from(texts(30))) as ArrayRef)];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    write_parquet(&sound, &batch, 10);
    let bytes = fs::read(&sound).expect("what was just written");
    odd.push(Odd { name: "sound", path: sound.clone(), rows: 30, about: "nothing: three row groups of ten rows" });

    let half = &bytes[..bytes.len() / 2];
    odd.push(file(dir, "cut_in_half.parquet", "cut_in_half", "the second half, footer included, is gone", 30, half));

    let mut magic = bytes.clone();
    let end = magic.len();
    magic[..4].copy_from_slice(b"PK\x03\x04");
    magic[end - 4..].copy_from_slice(b"\0\0\0\0");
    odd.push(file(dir, "wrong_magic.parquet", "wrong_magic", "it begins and ends like no Parquet file", 30, &magic));

    let mut page = bytes;
    let reader = SerializedFileReader::new(File::open(&sound).expect("what was just written")).expect("a sound file");
    let (start, length) = reader.metadata().row_group(1).column(1).byte_range();
    let (start, length) = (start as usize, length as usize);
    page[start..start + length].fill(0xff);
    let about = "the text page of the second of three row groups is garbage, footer and other groups are sound";
    odd.push(file(dir, "garbage_page.parquet", "garbage_page", about, 30, &page));

    odd.push(invalid_utf8(dir));
}

/// A string column by its logical type, with bytes that are no UTF-8 in the second of three values.
fn invalid_utf8(dir: &Path) -> Odd {
    let path = dir.join("invalid_utf8.parquet");
    let schema = parse_message_type("message schema { required binary text (STRING); }").expect("a valid schema");
    let out = File::create(&path).expect("a new file");
    let mut writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let mut column = group.next_column().expect("no error").expect("one column");
    let values = [&b"A first text."[..], b"Bytes \xff\xfe of no character.", b"A third text."];
    let values = values.map(|value| ByteArray::from(value.to_vec()));
    column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("required values");
    column.close().expect("a page");
    group.close().expect("a row group");
    writer.close().expect("a footer");
    Odd {
        name: "invalid_utf8",
        path,
        rows: 3,
        about: "the second of three texts is no UTF-8, though the schema says so",
    }
}

/// Three sound lines.
const LINES: &str = "{\"id\": \"a\", \"text\": \"A first text.\"}\n{\"id\": \"b\", \"text\": \"A second text.\"}\n{\"id\": \"c\", \"text\": \"A third text.\"}\n";

fn json_lines(dir: &Path, odd: &mut Vec<Odd>) {
    let mut add = |name: &'static str, about, rows, bytes: &[u8]| {
        odd.push(file(dir, &format!("{name}.jsonl"), name, about, rows, bytes));
    };
    add("empty", "no bytes at all", 0, b"");
    let long = format!("{{\"id\": \"long\", \"text\": \"{}\"}}\n{LINES}", "twenty megabytes ".repeat(20_000_000 / 17));
    add("long_line", "a line of 20 MB before three short ones", 4, long.as_bytes());
    let invalid = [&b"{\"id\": \"x\", \"text\": \"Bytes \xff\xfe of no character.\"}\n"[..], LINES.as_bytes()].concat();
    add("invalid_utf8_line", "the first of four lines is no UTF-8", 4, &invalid);
    add("crlf", "lines end in CR LF", 3, LINES.replace('\n', "\r\n").as_bytes());
    add("bom", "a byte order mark stands before the first line", 3, format!("\u{feff}{LINES}").as_bytes());
    add(
        "blank_lines",
        "blank lines before, between and after three lines",
        3,
        format!("\n{}\n \n", LINES.replace('\n', "\n\n")).as_bytes(),
    );
    add(
        "broken_line",
        "the second of four lines is no JSON",
        4,
        LINES.replacen('\n', "\n{\"id\": \"x\", \"text\": oops}\n", 1).as_bytes(),
    );
    add("cut_line", "the last of three lines is cut in its text", 3, &LINES.as_bytes()[..LINES.len() - 10]);
    add("no_last_line_end", "the last of three lines is whole and has no line end", 3, LINES.trim_end().as_bytes());
    add(
        "array_line",
        "the second of four lines is an array",
        4,
        LINES.replacen('\n', "\n[\"id\", \"text\"]\n", 1).as_bytes(),
    );
    add(
        "number_text",
        "the text of the last of four lines is a number",
        4,
        format!("{LINES}{{\"id\": \"x\", \"text\": 5}}\n").as_bytes(),
    );
    add("missing_text", "the last of four lines has no text", 4, format!("{LINES}{{\"id\": \"x\"}}\n").as_bytes());
    let numbers = LINES.replace("\"a\"", "1").replace("\"b\"", "2").replace("\"c\"", "9007199254740993");
    add("numeric_ids", "ids are numbers, one of them beyond 2^53", 3, numbers.as_bytes());
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn compressed(dir: &Path, odd: &mut Vec<Odd>) {
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 3).expect("memory takes all");
    let (first, rest) = LINES.split_at(LINES.find('\n').expect("three lines") + 5);
    let mut add = |file_name, name, about, bytes: &[u8]| odd.push(file(dir, file_name, name, about, 3, bytes));
    add("gz.jsonl.gz", "gz", "gzip, which is common", &gzip(LINES));
    let members = [gzip(first), gzip(rest)].concat();
    add("gz_members.jsonl.gz", "gz_members", "two gzip members, cut inside the second line", &members);
    add("zst.jsonl.zst", "zst", "zstd, which is common", &zstd(LINES));
    let frames = [zstd(first), zstd(rest)].concat();
    add("zst_frames.jsonl.zst", "zst_frames", "two zstd frames, cut inside the second line", &frames);

    let rows = 20_000;
    let long: String = (0..rows).map(|i| format!("{{\"id\": \"{i}\", \"text\": \"Text number {i}.\"}}\n")).collect();
    let long = gzip(&long);
    let about = "gzip that ends in the middle";
    odd.push(file(dir, "gz_cut.jsonl.gz", "gz_cut", about, rows, &long[..long.len() / 2]));
}

fn wrong_endings(dir: &Path, odd: &mut Vec<Odd>) {
    let parquet = fs::read(dir.join("sound.parquet")).expect("written among the broken ones");
    let about = "a Parquet file called .jsonl";
    odd.push(file(dir, "parquet_inside.jsonl", "parquet_inside", about, 30, &parquet));
    let about = "JSON Lines called .parquet";
    odd.push(file(dir, "jsonl_inside.parquet", "jsonl_inside", about, 3, LINES.as_bytes()));
}
