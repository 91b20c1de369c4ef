//! Files as they are found in the wild, through a pipeline and through deduplication: nothing is lost, nothing
//! panics, and what is wrong is said by file and place.

mod common;
#[allow(dead_code, reason = "not every test asks for all that is known of a file")]
mod odd;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

use common::{Left, Ran, Work, read_shard, write_parquet};

/// What should become of a file: exit code, rows in, rows rejected, rows failed (if the file tells), and what
/// is said about it.
struct Fate {
    code: i32,
    rows: u64,
    rejected: u64,
    failed: Option<u64>,
    says: &'static str,
}

const fn good(rows: u64) -> Fate {
    Fate { code: 0, rows, rejected: 0, failed: Some(0), says: "" }
}

const fn rejecting(rows: u64, rejected: u64) -> Fate {
    Fate { code: 0, rows, rejected, failed: Some(0), says: "" }
}

const fn refused(says: &'static str) -> Fate {
    Fate { code: 1, rows: 0, rejected: 0, failed: Some(0), says }
}

const fn broken(rows: u64, failed: Option<u64>, says: &'static str) -> Fate {
    Fate { code: 2, rows, rejected: 0, failed, says }
}

fn fates() -> BTreeMap<&'static str, Fate> {
    BTreeMap::from([
        ("large_utf8", good(5)),
        ("utf8_view", good(5)),
        ("dictionary", good(5)),
        ("nested", good(3)),
        ("null_text", rejecting(4, 2)),
        ("no_rows", good(0)),
        ("no_text_column", refused("there is no column `text`; the columns are id, content; name the one")),
        ("missing_column", good(4)),
        ("int_and_float", good(4)),
        ("int_and_string", refused("column `extra` is Int64 in")),
        ("sound", good(30)),
        ("cut_in_half", refused("cut_in_half.parquet: ")),
        ("wrong_magic", refused("wrong_magic.parquet: ")),
        ("garbage_page", broken(10, Some(20), "row group 1, after 10 rows: ")),
        ("invalid_utf8", rejecting(3, 1)),
        ("empty", good(0)),
        ("long_line", good(4)),
        ("invalid_utf8_line", rejecting(4, 1)),
        ("crlf", good(3)),
        ("bom", good(3)),
        ("blank_lines", good(3)),
        ("broken_line", rejecting(4, 1)),
        ("cut_line", rejecting(3, 1)),
        ("no_last_line_end", good(3)),
        ("array_line", rejecting(4, 1)),
        ("number_text", rejecting(4, 1)),
        ("missing_text", rejecting(4, 1)),
        ("numeric_ids", good(3)),
        ("gz", good(3)),
        ("gz_members", good(3)),
        ("zst", good(3)),
        ("zst_frames", good(3)),
        ("gz_cut", broken(0, None, "after line ")),
        ("parquet_inside", refused("the name says JSON Lines, the content is Parquet")),
        ("jsonl_inside", refused("the name says Parquet, the content is JSON Lines")),
    ])
}

const SMALL: &str = "[[stage]]\nuse = 'whitespace'\n[[stage]]\nuse = 'word_count'\nmin = 0\nmax = 10000000\n";

#[track_caller]
fn check(name: &str, fate: &Fate, ran: &Ran, left: &Left, dedup: bool) {
    assert_eq!(ran.code, Some(fate.code), "{name}: {ran}");
    assert!(ran.stderr.contains(fate.says), "{name}: no `{}` in {ran}", fate.says);
    if fate.code == 1 {
        assert!(!left.root().exists(), "{name}: a refused run leaves nothing");
        return;
    }
    let (rows_in, _, rejected) = left.adds_up();
    let report = left.report();
    if name == "gz_cut" {
        assert!((1000..20_000).contains(&rows_in), "{name}: whole lines before the cut are read, {rows_in}");
    } else {
        assert_eq!(rows_in, fate.rows, "{name}");
    }
    // Deduplication drops rows of its own: odd files of two shards hold the same documents twice.
    if !dedup {
        assert_eq!(rejected, fate.rejected, "{name}");
    }
    assert_eq!(report["rows_failed_known"], fate.failed.is_some(), "{name}");
    assert_eq!(report["rows_failed"], fate.failed.unwrap_or(0), "{name}");
    if fate.code == 2 {
        let failure = &report["failed"][0];
        assert!(failure["file"].as_str().expect("a name").contains(name), "{failure}");
        let message = failure["message"].as_str().expect("a message");
        assert!(message.contains(fate.says) && !message.contains(name), "{message}");
    }
    assert!(left.files("kept").iter().all(|(name, _)| !name.contains("partial")));
    assert!(!left.root().join("_trommel/spill").exists(), "{name}: temporary files are gone");
    assert_eq!(left.root().join("_trommel/0").exists(), fate.code == 2, "{name}: work stays only to be tried again");
}

#[test]
fn every_odd_file_alone() {
    let work = Work::new();
    let files = odd::all(&work.path("in"));
    work.write("small.toml", SMALL);
    let fates = fates();
    let mut done = std::collections::BTreeSet::new();
    for odd in &files {
        let fate = fates.get(odd.name).unwrap_or_else(|| panic!("{}: what should become of it?", odd.name));
        if !done.insert(odd.name) {
            continue;
        }
        let shards = files.iter().filter(|other| other.name == odd.name).count();
        let input = if shards > 1 { odd.path.parent().expect("a folder") } else { &odd.path };
        for (kind, command) in [("run", "run small.toml"), ("dedup", "dedup")] {
            let output = format!("{}-{kind}", odd.name);
            let input = input.display();
            let ran = match kind {
                "run" => work.run(&format!("{command} --input {input} --output {output}")),
                _ => work.run(&format!("{command} {input} {output}")),
            };
            check(odd.name, fate, &ran, &work.left(&output), kind == "dedup");
        }
    }
    assert_eq!(done.len(), fates.len(), "every fate is tested");
}

/// Files that can be read together, with those that are broken among them.
#[test]
fn odd_files_together() {
    let work = Work::new();
    let files = odd::all(&work.path("odd"));
    let fates = fates();
    let apart = ["missing_column", "int_and_float", "int_and_string"];
    let together: Vec<_> = files.iter().filter(|odd| !apart.contains(&odd.name)).collect();
    let inputs = together.iter().map(|odd| odd.path.display().to_string()).collect::<Vec<_>>().join(" ");
    work.write("small.toml", SMALL);
    let broken =
        ["no_text_column", "cut_in_half", "wrong_magic", "garbage_page", "gz_cut", "parquet_inside", "jsonl_inside"];
    for (output, command) in
        [("run", format!("run small.toml --output run --input {inputs}")), ("dedup", format!("dedup {inputs} dedup"))]
    {
        let ran = work.run(&command).ends_with(2);
        let left = work.left(output);
        let (rows_in, ..) = left.adds_up();
        let cut = rows_in - fates.values().map(|fate| fate.rows).sum::<u64>() + 8;
        assert!((1000..20_000).contains(&cut), "rows of the cut file: {cut}");
        let report = left.report();
        let failed: Vec<_> = report["failed"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|failure| failure["file"].as_str().expect("a name"))
            .collect();
        assert_eq!(failed.len(), broken.len(), "{failed:?}");
        for name in broken {
            assert!(failed.iter().any(|file| file.contains(name)), "{name} in {failed:?}");
            assert!(ran.stderr.contains(name) || ran.stdout.contains(name), "{name}: {ran}");
        }
        // The good rows of partly broken files are there.
        let texts = [left.kept_strings("text"), left.rejected().strings("text")].concat();
        let has = |text: &str| texts.iter().flatten().any(|known| known.contains(text));
        assert!(has("Document 9 holds") && has("Text number 100.") && has("twenty megabytes") && has("A third text."));
    }
}

#[test]
fn columns_that_nobody_touches_pass_through() {
    let work = Work::new();
    let files = odd::all(&work.path("in"));
    work.write("rewrite.toml", "[[stage]]\nuse = 'whitespace'\n[[stage]]\nuse = 'exact'\n");
    for name in ["large_utf8", "utf8_view", "nested", "sound", "dictionary"] {
        let path = &files.iter().find(|odd| odd.name == name).expect("a file").path;
        let before = read_shard(path);
        let before = concat_batches(&before[0].schema(), &before).expect("one schema");
        // Rewriting stages make strings of a dictionary of texts; others leave it.
        let commands = [
            format!("dedup --exact {} {name}-dedup", path.display()),
            format!("run rewrite.toml -i {} -o {name}-run", path.display()),
        ];
        for (i, command) in commands.iter().enumerate().filter(|(i, _)| *i == 0 || name != "dictionary") {
            work.run(command).ends_with(0);
            let left = work.left(&format!("{name}-{}", ["dedup", "run"][i]));
            let (_, kept, _) = left.adds_up();
            let after = left.kept().batch();
            assert_eq!(after.schema().fields(), before.schema().fields(), "{name}");
            if kept as usize == before.num_rows() {
                assert_eq!(after, before, "{name}");
            }
        }
    }
}

#[test]
fn types_of_all_kinds_pass_through() {
    let work = Work::new();
    let times =
        TimestampMicrosecondArray::from(vec![Some(1_700_000_000_123_456), None, Some(0)]).with_timezone("+08:00");
    let words = StringArray::from(vec![Some("a"), None, Some("b")]);
    let dictionary =
        arrow::compute::cast(&words, &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)))
            .expect("a dictionary");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("when", Arc::new(times)),
        ("text", Arc::new(StringArray::from(vec!["one text", "two texts", "three texts"]))),
        ("word", dictionary),
        ("view", arrow::compute::cast(&words, &DataType::Utf8View).expect("views")),
        ("large", arrow::compute::cast(&words, &DataType::LargeUtf8).expect("large strings")),
        ("day", arrow::compute::cast(&Int32Array::from(vec![1, 2, 3]), &DataType::Date32).expect("days")),
        (
            "money",
            arrow::compute::cast(&Int32Array::from(vec![1, 2, 3]), &DataType::Decimal128(10, 2)).expect("decimals"),
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, name != "text")),
    )
    .expect("columns");
    write_parquet(&work.path("in/a.parquet"), &batch, 2);
    work.run("dedup in out").ends_with(0).says("there is no column `id`");
    let left = work.left("out");
    left.adds_up();
    let after = left.kept().batch();
    assert_eq!(after.schema().fields(), batch.schema().fields());
    assert_eq!(after, batch);

    // And as JSON Lines, which has fewer types.
    work.run("dedup in lines --format jsonl").ends_with(0);
    let lines = work.left("lines").kept_strings("line");
    let first: Value = serde_json::from_str(lines[0].as_deref().expect("a line")).expect("JSON");
    assert_eq!(first["word"], "a");
    assert_eq!(first["day"], "1970-01-02");
}

#[test]
fn bytes_that_are_no_utf8_cost_only_their_row() {
    let work = Work::new();
    odd::all(&work.path("in"));
    for (file, id) in [("invalid_utf8.parquet", None), ("invalid_utf8_line.jsonl", Some("x"))] {
        let output = format!("out-{}", file.len());
        work.run(&format!("dedup in/{file} {output}")).ends_with(0);
        let left = work.left(&output);
        let rejected = left.rejected();
        assert_eq!(rejected.strings("reason"), [Some("invalid_utf8".into())]);
        assert_eq!(rejected.strings("rejected_by"), [Some("reader".into())]);
        let text = rejected.strings("text")[0].clone().expect("what could be saved");
        assert!(text.contains("Bytes \u{fffd}\u{fffd} of no character."), "{text}");
        assert!(left.kept_strings("text").contains(&Some("A third text.".into())), "{id:?}");
    }
}

/// A guess can be wrong, so it is told how many there were, each counted once though a run reads its input twice.
#[test]
fn guessed_encodings_are_told() {
    let work = Work::new();
    let mut bytes = b"{\"text\": \"It is plain to see.\"}\n".to_vec();
    for text in ["河水慢慢地流过村庄，孩子们在树下读书。", "老人坐在门口晒太阳，说起从前的事情。"]
    {
        bytes.extend_from_slice(&encoding_rs::GBK.encode(&format!("{{\"text\": \"{text}\"}}\n")).0);
    }
    fs::create_dir(work.path("in")).expect("a folder");
    fs::write(work.path("in/a.jsonl"), bytes).expect("a file");
    let ran = work.run("dedup in out --encoding detect").ends_with(0);
    assert!(ran.stdout.contains("guessed") && ran.stdout.contains("read as gbk"), "{}", ran.stdout);
    assert_eq!(work.left("out").report()["guessed"], json!({"gbk": 2}));
    work.run("dedup in labelled --encoding gbk").ends_with(0);
    let left = work.left("labelled");
    assert_eq!((left.adds_up(), &left.report()["guessed"]), ((3, 3, 0), &Value::Null));
}

#[test]
fn json_lines_travel_whole() {
    let work = Work::new();
    let lines = [
        json!({"id": "a", "text": "One text of its own.", "url": "http://x", "n": 1.5, "list": [1, {"b": null}], "none": null}),
        json!({"text": "Another text.", "id": 7, "extra": {"own": "field"}, "deep": {"er": {"": "\u{0}\"\\"}}}),
        json!({"id": {"no": "string"}, "text": "  A   third one.  ", "big": 9007199254740993_u64, "日本": "語"}),
        json!({"text": "A fourth."}),
        json!({"id": "lonely", "text": "A fifth.", "extra": "a string"}),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    work.write("in/a.jsonl", &text);
    work.write("in/b.jsonl", "{\"id\": \"twice\", \"text\": \"first\", \"text\": \"The last one counts.\"}\n");
    let expected = |line: &Value| {
        let mut line = line.clone();
        if line["id"] == 7 {
            // The one column that is text for certain.
            line["id"] = json!("7");
        }
        line
    };
    work.run("dedup in jsonl --format jsonl").ends_with(0);
    work.run("dedup in zst --format jsonl-zst").ends_with(0);
    work.run("dedup in parquet").ends_with(0);
    work.run("dedup parquet/kept again --format jsonl").ends_with(0);
    for output in ["jsonl", "zst", "again"] {
        let left = work.left(output);
        assert_eq!(left.adds_up(), (6, 6, 0));
        let got: Vec<Value> = left
            .kept_strings("line")
            .iter()
            .map(|line| serde_json::from_str(line.as_deref().expect("a line")).expect("JSON"))
            .collect();
        for (line, got) in lines.iter().zip(&got) {
            assert_eq!(got, &expected(line), "{output}");
        }
        assert_eq!(got[5], json!({"id": "twice", "text": "The last one counts."}));
    }
    let kept = work.left("parquet").kept();
    assert_eq!(kept.strings("id")[..4], [Some("a".into()), Some("7".into()), None, None]);
    assert!(kept.strings("extra")[3].is_none());
}

/// A document with the text that is at hand for its kind; two of a kind are duplicates.
fn line_of(id: &str, kind: &str) -> String {
    format!("{{\"id\":{id},\"text\":\"A text of the kind {kind}.\"}}")
}

#[test]
fn ids_that_are_numbers_stay_numbers() {
    let work = Work::new();
    for (name, ids, data_type) in [
        ("small", ["3", "1", "2"], DataType::Int64),
        ("negative", ["-3", "1", "9223372036854775807"], DataType::Int64),
        ("hashes", ["18446744073709551615", "1", "9007199254740993"], DataType::UInt64),
    ] {
        let lines = [line_of(ids[0], "a"), line_of(ids[1], "b"), line_of(ids[2], "a")];
        common::write_lines(&work.path(&format!("{name}.jsonl")), lines.clone());
        work.run(&format!("dedup {name}.jsonl {name}-lines --format jsonl")).ends_with(0);
        let kept = work.left(&format!("{name}-lines")).kept_strings("line");
        assert_eq!(kept, [Some(lines[0].clone()), Some(lines[1].clone())]);
        work.run(&format!("dedup {name}.jsonl {name}")).ends_with(0);
        // The same from Parquet, which has a schema: each document twice.
        fs::copy(work.path(&format!("{name}/kept/00000.parquet")), work.path(&format!("{name}.parquet")))
            .expect("copied");
        work.run(&format!("dedup --exact {name}/kept {name}.parquet {name}-again")).ends_with(0);
        for (output, dropped) in [(name.to_owned(), 1), (format!("{name}-again"), 2)] {
            let left = work.left(&output);
            assert_eq!(left.kept().schema().field_with_name("id").expect("a column").data_type(), &data_type);
            assert_eq!(left.kept_strings("id"), [Some(ids[0].into()), Some(ids[1].into())]);
            let rejected = left.rejected();
            assert_eq!(rejected.schema().field_with_name("id").expect("a column").data_type(), &data_type);
            let named = rejected.schema().field_with_name("duplicate_of").expect("a column").data_type().clone();
            let stand = ids[..dropped].iter().map(|&id| Some(id.into())).collect();
            assert_eq!((named, rejected.strings("duplicate_of")), (DataType::Utf8, stand));
        }
    }
}

#[test]
fn ids_of_both_kinds_are_text() {
    let work = Work::new();
    common::write_lines(&work.path("in/a.jsonl"), [line_of("1", "a"), line_of("2", "b")]);
    common::write_lines(&work.path("in/b.jsonl"), [line_of("\"x\"", "a"), line_of("3", "c")]);
    work.run("dedup in out").ends_with(0);
    let left = work.left("out");
    assert_eq!(left.kept().schema().field_with_name("id").expect("a column").data_type(), &DataType::Utf8);
    assert_eq!(left.kept_strings("id"), ["1", "2", "3"].map(|id| Some(id.into())));
    assert_eq!(left.rejected().strings("duplicate_of"), [Some("1".into())]);
    // A text far behind numbers is no number: it travels with the fields that have no column.
    let late = (0..3000).map(|i| line_of(&i.to_string(), &i.to_string())).chain([line_of("\"x\"", "late")]);
    let lines: Vec<String> = late.collect();
    common::write_lines(&work.path("late.jsonl"), lines.clone());
    work.run("dedup late.jsonl late --format jsonl").ends_with(0);
    let sorted = |mut line: Value| {
        line.sort_all_objects();
        line.to_string()
    };
    let kept = work.left("late").kept_strings("line");
    let parsed = |line: &str| sorted(serde_json::from_str(line).expect("JSON"));
    assert!(kept.iter().flatten().map(|line| parsed(line)).eq(lines.iter().map(|line| parsed(line))));
}

#[test]
fn what_a_stage_adds_stands_over_a_field_of_the_same_name() {
    let work = Work::new();
    work.write("in.jsonl", "{\"text\": \"Some words here\", \"n_words\": 99, \"token_count\": 99}\n");
    work.write("p.toml", "[output]\nformat = 'jsonl'\n[[stage]]\nuse = 'counts'\n");
    work.run("run p.toml -i in.jsonl -o out").ends_with(0);
    let line = work.left("out").kept_strings("line")[0].clone().expect("a line");
    assert_eq!(line.matches("\"token_count\"").count(), 1, "{line}");
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&line["n_words"], &line["word_count"]), (&json!(99), &json!(3)), "{line}");
    assert_ne!(line["token_count"], 99, "{line}");
}

#[test]
fn an_extra_column_of_another_type_is_refused_beside_json_lines() {
    let work = Work::new();
    odd::all(&work.path("in"));
    work.run("dedup in/missing_column in/crlf.jsonl out")
        .ends_with(1)
        .says("column `extra` is Int64, but JSON Lines files need it for fields that have no column");
    assert!(!work.path("out").exists());
    // A column of texts of that name, from Parquet alone, is a field like others in JSON Lines.
    let path = work.path("in/int_and_string/part-10.parquet");
    work.run(&format!("dedup {} text --format jsonl --exact", path.display())).ends_with(0);
    let line = work.left("text").kept_strings("line")[0].clone().expect("a line");
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["extra"], "one");
    work.run("dedup in/missing_column/part-2.parquet number --format jsonl --exact").ends_with(0);
    let line = work.left("number").kept_strings("line")[0].clone().expect("a line");
    assert!(line.contains("\"extra\":1"), "{line}");
}

#[test]
fn no_rows_leave_a_schema() {
    let work = Work::new();
    odd::all(&work.path("in"));
    work.write("p.toml", "[[stage]]\nuse = 'exact'\n[[stage]]\nuse = 'reuse'\n");
    for (input, output) in [
        ("in/no_rows.parquet", "a"),
        ("in/empty.jsonl", "b"),
        ("in/sound.parquet --limit 0", "c"),
        ("in/crlf.jsonl --limit 0", "d"),
    ] {
        work.run(&format!("run p.toml --output {output} --input {input}")).ends_with(0);
        let left = work.left(output);
        assert_eq!(left.adds_up(), (0, 0, 0));
        assert!(left.kept().schema().field_with_name("reuse_count").is_ok(), "{input}");
        work.run(&format!("run p.toml --output {output} --input {input}")).ends_with(0).says("done already");
    }
}

#[test]
fn two_columns_of_one_name_are_not_taken_for_one() {
    let work = Work::new();
    let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let field = || Field::new("text", DataType::Utf8, true);
    let schema = Arc::new(Schema::new(vec![field(), field()]));
    let batch = RecordBatch::try_new(schema, vec![texts("one"), texts("two")]).expect("columns");
    write_parquet(&work.path("twice.parquet"), &batch, 1);
    work.run("dedup twice.parquet out").ends_with(1).says("twice.parquet: there are two columns `text`; rename one");
}

#[test]
fn a_limit_is_kept_in_any_format() {
    let work = Work::new();
    let files = odd::all(&work.path("in"));
    let documents = common::corpus::documents(3, 500);
    common::corpus::write_lines(&work.path("lines"), &documents, 3);
    common::corpus::write_parquet(&work.path("parquet"), &documents, 3, 20);
    for limit in [1, 7, 170, 400, 9999] {
        for input in ["lines", "parquet"] {
            let output = format!("{input}-{limit}");
            work.run(&format!("dedup --exact {input} {output} --limit {limit} --task-size 64KB")).ends_with(0);
            let (rows_in, ..) = work.left(&output).adds_up();
            assert_eq!(rows_in, limit.min(500), "{output}");
        }
    }
    // A file that cannot be read is met, and said, also under a limit.
    let broken = &files.iter().find(|odd| odd.name == "cut_in_half").expect("a file").path;
    work.run(&format!("dedup --exact {} parquet broken --limit 10", broken.display())).ends_with(2);
    assert_eq!(work.left("broken").adds_up().0, 10);
}

/// A page of a column that only the last pass looks at.
#[test]
fn a_file_broken_where_only_the_last_pass_looks() {
    let work = Work::new();
    odd::all(&work.path("in"));
    let sound = work.path("in/sound.parquet");
    let urls: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..30).map(|i| format!("http://some.where/{i}/{}", "x".repeat(50)))));
    let batch = read_shard(&sound).remove(0);
    let batch =
        RecordBatch::try_from_iter([("id", batch.column(0).clone()), ("text", batch.column(1).clone()), ("url", urls)])
            .expect("columns");
    for name in ["a", "b"] {
        let path = work.path(&format!("broken/{name}.parquet"));
        write_parquet(&path, &batch, 10);
        let reader = SerializedFileReader::new(fs::File::open(&path).expect("a file")).expect("Parquet");
        let (start, length) = reader.metadata().row_group(2).column(2).byte_range();
        let mut bytes = fs::read(&path).expect("a file");
        bytes[start as usize..(start + length) as usize].fill(0xff);
        fs::write(&path, bytes).expect("written");
    }
    work.run("dedup broken out").ends_with(2).says("a.parquet").says("b.parquet");
    let left = work.left("out");
    assert_eq!(left.adds_up(), (40, 20, 20));
    let report = left.report();
    assert_eq!(report["rows_failed"], 20);
    // Nobody was dropped for a document that could not be read.
    let kept = left.kept_strings("id");
    assert!(left.rejected().strings("duplicate_of").iter().all(|id| kept.contains(id)));
}

#[test]
fn names_and_settings_that_are_wrong_are_refused_with_what_would_work() {
    let work = Work::new();
    odd::all(&work.path("in"));
    let sound = "in/sound.parquet";
    for (arguments, says) in [
        ("dedup nowhere out".to_owned(), "nowhere: there is no such file or folder"),
        ("dedup in/sound.parquet in".to_owned(), "in: the input is in the output folder; name another"),
        ("dedup in/sound.parquet in/missing_column".to_owned(), "the output folder is not empty (it has part-"),
        (format!("dedup {sound} out --text-column body"), "there is no column `body`; the columns are id, text"),
        (
            format!("dedup {sound} out --threshold 7"),
            "'--threshold <THRESHOLD>': it is above 0 and at most 1; 7 % is 0.07",
        ),
        (format!("dedup {sound} out --keep highest:score"), "stage minhash looks at the column `score`"),
        (format!("run nowhere.toml -i {sound} -o out"), "nowhere.toml"),
        (format!("dedup {sound} ftp://host/out"), "`ftp://` is not known"),
    ] {
        work.run(&arguments).ends_with(1).says(says);
        assert!(!work.path("out").exists(), "{arguments}");
    }
    let before = fs::read_dir(work.path("in")).expect("a folder").count();
    work.run("dedup in/sound.parquet in").ends_with(1);
    assert_eq!(fs::read_dir(work.path("in")).expect("a folder").count(), before, "a refused run leaves nothing");
    let ran = work.run("dedup in/sound.parquet");
    assert_eq!(ran.code, Some(1), "{ran}");
}

#[test]
fn a_run_does_not_read_its_own_output() {
    let work = Work::new();
    let documents = common::corpus::documents(5, 40);
    common::corpus::write_parquet(&work.path("."), &documents, 2, 10);
    for input in [".".to_owned(), work.dir().display().to_string()] {
        let output = format!("out-{}", input.len());
        work.run(&format!("dedup {input}/*.parquet {output}")).ends_with(0);
        fs::remove_dir_all(work.path(&output)).expect("removed");
        work.run(&format!("dedup {input} {output}")).ends_with(0);
        work.run(&format!("dedup {input} {output}")).ends_with(0).says("done already");
        fs::remove_dir_all(work.path(&output)).expect("removed");
    }
}

/// Texts in a dictionary, whose rows share values: row groups are cut by the values all the same.
#[test]
fn a_dictionary_of_texts_can_be_written() {
    let work = Work::new();
    let texts: Vec<String> =
        (0..3000).map(|i| format!("text {} of a dictionary {}", i % 100, "x".repeat(i % 50))).collect();
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let texts =
        arrow::compute::cast(&texts, &DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8)))
            .expect("a dictionary");
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..3000).map(|i| i.to_string())));
    let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).expect("columns");
    write_parquet(&work.path("in.parquet"), &batch, 500);
    work.write("p.toml", "[output]\nrow_group_bytes = 10000\n[[stage]]\nuse = 'word_count'\nmin = 0\n");
    work.run("run p.toml -i in.parquet -o out").ends_with(0);
    let after = work.left("out").kept().batch();
    assert_eq!(after.schema().fields(), batch.schema().fields());
    assert_eq!(after.column(1).as_any_dictionary().len(), 3000);
    assert_eq!(work.left("out").kept_strings("text").len(), 3000);
}
