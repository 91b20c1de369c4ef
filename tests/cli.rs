//! The command line, from outside: what is printed where, and with which exit code.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A fresh folder to run the program in, with a few files.
struct World {
    dir: TempDir,
}

/// What a run of the program left.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

const PAGE: &str = "The last keeper of the lighthouse  left in the autumn of the year.\u{200b} He had lived there \
    for nineteen winters, and he knew every sound that the tower could make. When the wind came from the west, the \
    stairs hummed like a cello; when it came from the east, the door of the oil room knocked twice and was still.\n";

const PIPELINE: &str = r#"
[[stage]]
use = "origin_key"
[[stage]]
use = "control_chars"
[[stage]]
use = "whitespace"
[[stage]]
use = "language"
[[stage]]
use = "word_count"
min = 20
[[stage]]
use = "gopher_quality"
name = "mandarin_quality"
when = { language = ["zh", "yue"] }
unless = { source = "books" }
[[stage]]
use = "gopher_repetition"
[[stage]]
use = "minhash"
[[stage]]
use = "reuse"
"#;

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().expect("a temporary folder") };
        world.write("page.txt", PAGE);
        world.write("spam.txt", &"buy now ".repeat(30));
        world.write("web.toml", PIPELINE);
        world.write("words.toml", "[[stage]]\nuse = 'word_count'\nmin = 2\n");
        world.write("in.jsonl", "{\"id\":\"a\",\"text\":\"one two\"}\n{\"id\":\"b\",\"text\":\"one\"}\n");
        world
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path().join(name), content).expect("a file that can be written");
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trommel"));
        command.args(args).current_dir(self.path()).env_remove("TROMMEL_LOG").env_remove("RUST_BACKTRACE");
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).stdin(Stdio::null()).output().expect("the program starts"))
    }

    fn run_on(&self, stdin: &str, args: &[&str]) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut pipe = child.stdin.take().expect("a pipe was asked for");
        pipe.write_all(stdin.as_bytes()).expect("the program reads all of it");
        drop(pipe);
        Ran::of(&child.wait_with_output().expect("the program ends"))
    }
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("what is printed is UTF-8");
        Self {
            code: output.status.code().expect("the program was not killed"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Everything, for snapshots.
    fn all(&self) -> String {
        format!("exit code: {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Holds what a command prints against its snapshot in `tests/snapshots/`.
#[track_caller]
fn check(name: &str, ran: &Ran) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, ran.all());
    });
}

/// A command that is refused: one error on stderr, nothing on stdout, exit code 1.
#[track_caller]
fn check_refused(world: &World, args: &[&str], expected: &str) {
    let ran = world.run(args);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.all());
    assert_eq!(ran.stderr, format!("ERROR {expected}\n"));
}

#[test]
fn help() {
    let world = World::new();
    for command in ["", "run", "dedup", "index", "report", "check", "stages", "try"] {
        let args: Vec<&str> = [command, "--help"].into_iter().filter(|arg| !arg.is_empty()).collect();
        let name = format!("help_{command}");
        check(name.trim_end_matches('_'), &world.run(&args));
    }
}

#[test]
fn help_fits_a_page() {
    let world = World::new();
    for command in ["run", "dedup", "index", "report", "check", "stages", "try"] {
        let help = world.run(&[command, "--help"]).stdout;
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[test]
fn stages() {
    check("stages", &World::new().run(&["stages"]));
}

#[test]
fn stages_explained() {
    check("stages_gopher_quality", &World::new().run(&["stages", "gopher_quality"]));
    check("stages_minhash", &World::new().run(&["stages", "minhash"]));
    check("stages_language_control_chars", &World::new().run(&["stages", "language", "control_chars"]));
}

#[test]
fn stages_for_machines() {
    let world = World::new();
    let all: serde_json::Value = serde_json::from_str(&world.run(&["stages", "--json"]).stdout).expect("JSON");
    let names = |all: &serde_json::Value| {
        all.as_array().into_iter().flatten().map(|stage| stage["name"].to_string()).collect::<Vec<_>>().len()
    };
    assert_eq!(names(&all), trommel::pipeline::entries().count());
    let one: serde_json::Value =
        serde_json::from_str(&world.run(&["stages", "--json", "counts"]).stdout).expect("JSON");
    assert_eq!(one[0]["columns"][0], serde_json::json!({ "name": "char_count", "type": "UInt32" }));
    assert_eq!(one[0]["family"], "annotate");
    serde_json::from_str::<serde_json::Value>(&world.run(&["stages", "--schema"]).stdout).expect("JSON");
}

#[test]
fn an_unknown_stage_is_refused() {
    let world = World::new();
    check_refused(
        &world,
        &["stages", "gopher_qualty"],
        "there is no stage `gopher_qualty`; did you mean `gopher_quality`? `trommel stages` lists all",
    );
    check_refused(&world, &["stages", "xyzzy"], "there is no stage `xyzzy`; `trommel stages` lists all");
}

#[test]
fn bad_pipelines_are_refused_by_every_command() {
    let world = World::new();
    world.write("syntax.toml", "[[stage]]\nuse = 'word_count'\nmin = = 3\n");
    world.write("unknown_stage.toml", "[[stage]]\nuse = 'word_cuont'\n");
    world.write("unknown_setting.toml", "[[stage]]\nuse = 'whitespace'\n[[stage]]\nuse = 'word_count'\nmn = 3\n");
    world.write("unknown_section.toml", "[inputs]\ntext_column = 'body'\n");
    world.write("wrong_type.toml", "[[stage]]\nuse = 'word_count'\nmin = 'many'\n");
    world.write("when.toml", "[[stage]]\nuse = 'word_count'\nwhen = 'en'\n");
    world.write("order.toml", "[[stage]]\nuse = 'exact'\n[[stage]]\nuse = 'whitespace'\n");
    let cases = [
        ("gone.toml", "gone.toml: No such file or directory (os error 2)"),
        ("syntax.toml", "syntax.toml: line 3: extra `=`, expected nothing"),
        (
            "unknown_stage.toml",
            "unknown_stage.toml: stage 1: there is no stage `word_cuont`; did you mean `word_count`? `trommel stages` lists all",
        ),
        (
            "unknown_setting.toml",
            "unknown_setting.toml: stage 2 (word_count): unknown field `mn`, expected `min` or `max`",
        ),
        (
            "unknown_section.toml",
            "unknown_section.toml: unknown field `inputs`, expected one of `input`, `output`, `stage`; did you mean `input`?",
        ),
        (
            "wrong_type.toml",
            "wrong_type.toml: stage 1 (word_count): `min`: invalid type: string \"many\", expected a whole number, 0 or above",
        ),
        (
            "when.toml",
            "when.toml: stage 1 (word_count): `when`: expected a table like { language = [\"en\"] }, not string",
        ),
        (
            "order.toml",
            "order.toml: stage 2 (whitespace): it rewrites the text after exact has named or compared it; move it before exact",
        ),
    ];
    for (file, expected) in cases {
        check_refused(&world, &["check", file], expected);
        check_refused(&world, &["run", file, "--input", "in.jsonl", "--output", "out"], expected);
        check_refused(&world, &["try", file, "page.txt"], expected);
    }
    assert!(!world.path().join("out").exists(), "nothing is written");
}

#[test]
fn check_goes_on_after_a_bad_file() {
    let world = World::new();
    world.write("bad.toml", "[[stage]]\n");
    let ran = world.run(&["check", "bad.toml", "words.toml", "gone.toml"]);
    check("check_several", &ran);
}

#[test]
fn check_shows_passes() {
    check("check", &World::new().run(&["check", "web.toml"]));
}

#[test]
fn check_looks_at_the_input() {
    let world = World::new();
    world.write("book.jsonl", "{\"text\":\"one\"}\n");
    world.write("odd.parquet", "no Parquet\n");
    check("check_input", &world.run(&["check", "web.toml", "--input", "in.jsonl", "book.jsonl"]));
    check("check_input_unreadable", &world.run(&["check", "words.toml", "--input", "in.jsonl", "odd.parquet"]));
    // What the pipeline names itself, unless --input names another.
    world.write("own.toml", "[input]\nfiles = [\"book.jsonl\"]\n[[stage]]\nuse = \"word_count\"\n");
    let looked = |args: &[&str]| world.run(&[&["check", "own.toml"], args].concat()).stdout;
    assert!(looked(&[]).contains("input: 1 file, 15 B, 1 task"), "{}", looked(&[]));
    assert!(looked(&["-i", "book.jsonl", "in.jsonl"]).contains("input: 2 files"));
    let files = fs::read_dir(world.path()).expect("a folder").count();
    assert_eq!(files, 8, "nothing is written");
    fs::remove_file(world.path().join("book.jsonl")).expect("removed");
    check_refused(&world, &["check", "own.toml"], "own.toml: book.jsonl: there is no such file or folder");
}

#[test]
fn bad_input_is_refused() {
    let world = World::new();
    let run = |args: &[&str], expected: &str| {
        let args = [&["run", "words.toml", "--output", "out"], args].concat();
        check_refused(&world, &args, expected);
    };
    run(&[], "no input; name files or folders with --input");
    check_refused(
        &world,
        &["dedup", "in.jsonl", "page.txt"],
        "page.txt: it is a file; the output is a folder, a new one",
    );
    run(&["--input", "gone"], "gone: there is no such file or folder");
    run(&["--input", "gone/*.parquet"], "gone: there is no such file or folder");
    run(&["--input", "*.parquet"], "*.parquet: no input files; looked for .parquet, .jsonl, .jsonl.gz and .jsonl.zst");
    run(
        &["--input", "gopher://corpus/shards"],
        "gopher://corpus: `gopher://` is not known; local paths, s3://, gs://, az:// and https:// are",
    );
    run(
        &["--input", "page.txt"],
        "page.txt: the name does not tell the format; .parquet, .jsonl, .jsonl.gz and .jsonl.zst are known",
    );
    assert!(!world.path().join("out").exists(), "nothing is written");
}

#[test]
fn columns_are_checked_before_anything_is_written() {
    let world = World::new();
    parquet(&world, "in.parquet");
    world.write("counts.toml", "[[stage]]\nuse = 'counts'\n");
    world.write("when.toml", "[[stage]]\nuse = 'word_count'\nwhen = { source = 'web' }\n");
    let run = |pipeline: &str, more: &[&str], expected: &str| {
        let input = [&["--input", "in.parquet"], more].concat();
        check_refused(&world, &[&["run", pipeline, "--output", "out"], &input[..]].concat(), expected);
        check_refused(&world, &[&["check", pipeline], &input[..]].concat(), &format!("{pipeline}: {expected}"));
    };
    run(
        "words.toml",
        &[],
        "in.parquet: there is no column `text`; the columns are body, stars, char_count; name the one with the text with --text-column",
    );
    run("words.toml", &["--text-column", "stars"], "in.parquet: column `stars` is Int64, not text");
    run(
        "counts.toml",
        &["--text-column", "body"],
        "stage counts adds the column `char_count`, which the input has already; use --replace-columns to replace it",
    );
    run(
        "when.toml",
        &["--text-column", "body"],
        "stage word_count looks at the column `source`, which neither the input nor an earlier stage has; the input has body, stars, char_count",
    );
    assert!(!world.path().join("out").exists(), "nothing is written");
    let replaced = ["check", "counts.toml", "--input", "in.parquet", "--text-column", "body", "--replace-columns"];
    assert_eq!(world.run(&replaced).code, 0);
}

/// A Parquet file of columns that are in the way.
fn parquet(world: &World, name: &str) {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use std::sync::Arc;
    let body: ArrayRef = Arc::new(StringArray::from(vec!["one two", "three"]));
    let stars: ArrayRef = Arc::new(Int64Array::from(vec![3, 4]));
    let batch = RecordBatch::try_from_iter([("body", body), ("stars", stars.clone()), ("char_count", stars)]);
    let batch = batch.expect("columns of one length");
    let file = fs::File::create(world.path().join(name)).expect("a file that can be written");
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).expect("a plain schema");
    writer.write(&batch).expect("a batch of its schema");
    writer.close().expect("a file that can be written");
}

#[test]
fn a_taken_output_is_refused() {
    let world = World::new();
    fs::create_dir(world.path().join("out")).expect("a new folder");
    world.write("out/precious.txt", "mine");
    check_refused(
        &world,
        &["run", "words.toml", "--input", "in.jsonl", "--output", "out"],
        "out: the output folder is not empty (it has precious.txt); name a new one",
    );
    assert_eq!(fs::read_to_string(world.path().join("out/precious.txt")).expect("it is there"), "mine");
}

#[test]
fn a_run_of_another_pipeline_is_refused() {
    let world = World::new();
    let run = |pipeline: &'static str| ["run", pipeline, "--input", "in.jsonl", "--output", "out"];
    assert_eq!(world.run(&run("words.toml")).code, 0);
    assert_eq!(world.run(&run("words.toml")).code, 0, "the same run again is no error");
    world.write("more.toml", "[[stage]]\nuse = 'word_count'\nmin = 3\n");
    check_refused(
        &world,
        &run("more.toml"),
        "out: another run is kept here: in its pipeline, stage 1 (word_count).min was 2, now it is 3; name a new output folder",
    );
}

#[test]
fn wrong_arguments_are_refused() {
    let world = World::new();
    for args in [
        &["run", "words.toml"][..],
        &["run", "words.toml", "--output", "out", "--memory", "many"],
        &["run", "words.toml", "--output", "out", "--memory", "8"],
        &["run", "words.toml", "--output", "out", "--limit", "-1"],
        &["run", "words.toml", "--output", "", "--input", "in.jsonl"],
        &["dedup", "--threshold", "80", "in.jsonl", "out"],
        &["dedup", "--threshold", "high", "in.jsonl", "out"],
        &["dedup", "--exact", "--threshold", "0.7", "in.jsonl", "out"],
        &["dedup", "--from", "out", "new"],
        &["dedup", "--from", "out", "--threshold", "0.7", "--keep", "longest", "new"],
        &["dedup", "--from", "out", "--threshold", "0.7", "--limit", "7", "new"],
        &["dedup", "--exact", "--profile", "datatrove-0.10", "in.jsonl", "out"],
        &["dedup", "--profile", "datatrove", "in.jsonl", "out"],
        &["try", "words.toml", "--column", "language"],
        &["stages", "--schema", "--json"],
        &["clean"],
    ] {
        let ran = world.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{args:?}: {}", ran.all());
        assert!(ran.stderr.starts_with("error: "), "{args:?}: {}", ran.all());
    }
}

#[test]
fn the_report_alone_goes_to_stdout() {
    let world = World::new();
    let ran = world.run(&["run", "words.toml", "--input", "in.jsonl", "--output", "out"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    assert!(ran.stdout.starts_with("stage"), "{}", ran.all());
    assert!(ran.stdout.contains("too_few_words"), "{}", ran.all());
    assert!(!ran.stderr.contains("too_few_words"), "{}", ran.all());
}

#[test]
fn a_text_column_that_no_line_has_is_called_out() {
    let world = World::new();
    let args = ["run", "words.toml", "--input", "in.jsonl", "--text-column", "body", "--output", "out"];
    let ran = world.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let warning = " WARN no row has a text in the column `body`; --text-column names another\n";
    assert_eq!(ran.stderr, warning, "{}", ran.all());
}

#[test]
fn a_column_that_no_line_has_is_called_out_where_a_stage_looks_at_it() {
    let world = World::new();
    let stages = "[[stage]]\nuse = 'word_count'\nwhen.source = 'books'\n\
        [[stage]]\nuse = 'column_range'\ncolumn = 'score'\nmin = 0\n\
        [[stage]]\nuse = 'gopher_quality'\nprofile = 'datatrove-0.10'\n";
    world.write("words.toml", stages);
    let run = |beside: &str, out: &str| {
        let line = |beside: &str| format!("{{\"id\":\"a\",{beside}\"text\":\"one two\"}}\n");
        world.write("in.jsonl", &(line("") + &line(beside)));
        let ran = world.run(&["run", "words.toml", "--input", "in.jsonl", "--output", out]);
        assert_eq!(ran.code, 0, "{}", ran.all());
        ran.stderr
    };
    let warnings = " WARN word_count: no document has a value in the column `source`; is it spelled as in the input?\n \
        WARN column_range: no document has a value in the column `score`; is it spelled as in the input?\n \
        WARN gopher_quality: no document has a value in the column `language`; let the stage `language` come before, or say it in the stage's settings\n";
    assert_eq!(run("", "out"), warnings);
    assert_eq!(run("\"language\":\"en\",\"source\":\"web\",\"score\":1,", "out2"), "");
}

#[test]
fn tasks_that_would_be_too_small_are_raised() {
    let world = World::new();
    let args = ["run", "words.toml", "--input", "in.jsonl", "--output", "out", "--task-size", "1"];
    let ran = world.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let warning = " WARN --task-size is 1 B, raised to 64.0 kB, the least there is\n";
    assert_eq!(ran.stderr, warning, "{}", ran.all());
}

#[test]
fn a_file_that_breaks_is_told_by_the_exit_code() {
    let world = World::new();
    world.write("odd.parquet", "no Parquet\n");
    let ran = world.run(&["run", "words.toml", "--input", "in.jsonl", "odd.parquet", "--output", "out"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.stdout.contains("odd.parquet"), "{}", ran.all());
}

#[test]
fn messages_for_machines_are_json() {
    let world = World::new();
    let commands: [&[&str]; 3] = [
        &["run", "words.toml", "--input", "in.jsonl", "in.jsonl", "--output", "out", "--log", "json"],
        &["check", "gone.toml", "--log", "json"],
        &["--log", "json", "stages", "xyzzy"],
    ];
    for args in commands {
        let ran = world.run(args);
        assert!(!ran.stderr.is_empty(), "{args:?}");
        for line in ran.stderr.lines() {
            let message: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(message["level"].is_string() && message["fields"]["message"].is_string(), "{line}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let world = World::new();
    let lines = "{\"id\":\"a\",\"text\":\"one two\"}\n".repeat(20_000);
    world.write("many.jsonl", &lines);
    for args in [&["stages", "--schema"][..], &["try", "words.toml", "--jsonl", "many.jsonl"], &["run", "--help"]] {
        let mut command = world.command(args);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut first = String::new();
        let mut stdout = BufReader::with_capacity(16, child.stdout.take().expect("a pipe was asked for"));
        stdout.read_line(&mut first).expect("a first line");
        drop(stdout);
        let ran = Ran::of(&child.wait_with_output().expect("the program ends"));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn try_shows_each_stage() {
    let world = World::new();
    check("try_kept", &world.run(&["try", "web.toml", "page.txt"]));
    check("try_dropped", &world.run(&["try", "web.toml", "spam.txt"]));
    check("try_all", &world.run(&["try", "web.toml", "spam.txt", "--all"]));
    check("try_diff", &world.run(&["try", "web.toml", "page.txt", "--diff"]));
    check("try_column", &world.run_on("三言两语", &["try", "web.toml", "--all", "--column", "source=books"]));
}

#[test]
fn try_prints_the_text_and_nothing_else() {
    let world = World::new();
    let ran = world.run_on("one\u{200b}  two", &["try", "web.toml", "--show", "text", "--all"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "one two"));
    assert_eq!(ran.stderr, " WARN this text is dropped: word_count too_few_words 2 (threshold 20)\n");
}

#[test]
fn try_takes_json_lines() {
    let world = World::new();
    let lines = "{\"id\":\"a\",\"text\":\"one two\"}\n\n{\"text\":\"one\",\"id\":7}\n{\"text\":null}\n{\"text\":3}\n{\"body\":\"x\"}\n{\n";
    check("try_jsonl", &world.run_on(lines, &["try", "words.toml", "--jsonl"]));
}

#[test]
fn try_refuses_what_is_no_text() {
    let world = World::new();
    fs::write(world.path().join("latin1.txt"), b"caf\xe9").expect("a file that can be written");
    check_refused(&world, &["try", "words.toml", "latin1.txt"], "latin1.txt: the text is not UTF-8 from byte 3 on");
    check_refused(&world, &["try", "words.toml", "gone.txt"], "gone.txt: No such file or directory (os error 2)");
}
