//! The same input makes the same files: whatever the threads, the memory, and how the rows are spread over files.

mod common;

use common::{EVERYTHING, Left, Work, corpus};

fn left(work: &Work, input: &str, output: &str, more: &str) -> Left {
    work.run(&format!("run p.toml --input {input} --output {output} {more}")).ends_with(0);
    let left = work.left(output);
    let (rows_in, kept, rejected) = left.adds_up();
    assert!(rows_in > 0 && kept > 0 && rejected > 0, "the pipeline has something to do");
    left
}

/// Some columns of a table, or some of its rows.
type Strings = Vec<Vec<Option<String>>>;

/// The ids and texts that are kept, and what is said of each that is not.
fn content(left: &Left) -> (Strings, Strings) {
    let (kept, rejected) = (left.kept(), left.rejected());
    let kept = ["id", "text"].map(|column| kept.strings(column)).to_vec();
    let columns = ["id", "rejected_by", "reason", "value", "duplicate_of"].map(|column| rejected.strings(column));
    let mut rows: Vec<Vec<_>> =
        (0..columns[0].len()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect();
    rows.sort();
    (kept, rows)
}

#[test]
fn threads_and_memory_do_not_show() {
    let work = Work::new();
    work.write("p.toml", EVERYTHING);
    let documents = corpus::documents(11, 1200);
    corpus::write_parquet(&work.path("parquet"), &documents, 3, 100);
    corpus::write_lines(&work.path("lines"), &documents, 3);
    for input in ["parquet", "lines"] {
        let first = left(&work, input, &format!("{input}-1"), "--threads 1 --memory 2GB --task-size 100KB");
        assert!(first.files("kept").len() > 3, "several tasks");
        for (i, more) in [
            "--threads 2 --memory 64MB",
            "--threads 8 --memory 64MB",
            "--threads 8 --memory 2GB",
            "--threads 2 --memory 1MB",
        ]
        .into_iter()
        .enumerate()
        {
            let other = left(&work, input, &format!("{input}-more-{i}"), &format!("{more} --task-size 100KB"));
            first.assert_same(&other);
        }
    }
    for format in ["jsonl", "jsonl-zst"] {
        let one = left(&work, "lines", &format!("{format}-1"), &format!("--threads 1 --format {format}"));
        let eight =
            left(&work, "lines", &format!("{format}-8"), &format!("--threads 8 --memory 64MB --format {format}"));
        one.assert_same(&eight);
    }
}

#[test]
fn how_rows_are_spread_over_files_does_not_show() {
    let work = Work::new();
    work.write("p.toml", EVERYTHING);
    let documents = corpus::documents(12, 1000);
    let mut expected = None;
    for n_files in [1, 3, 40] {
        corpus::write_parquet(&work.path(&format!("parquet-{n_files}")), &documents, n_files, 64);
        corpus::write_lines(&work.path(&format!("lines-{n_files}")), &documents, n_files);
        for kind in ["parquet", "lines"] {
            for task_size in ["64KB", "256MiB"] {
                let input = format!("{kind}-{n_files}");
                let left = left(&work, &input, &format!("{input}-{task_size}"), &format!("--task-size {task_size}"));
                let got = content(&left);
                let expected = expected.get_or_insert_with(|| got.clone());
                assert!(got == *expected, "{input} in tasks of {task_size}");
            }
        }
    }
}

/// More tasks than a program may have files open.
#[test]
fn many_tasks_need_few_open_files() {
    let work = Work::new();
    let mut documents = corpus::documents(13, 300);
    // Each is as long as the least that a task can be.
    for document in &mut documents {
        let times = 64_000 / document.text.len() + 1;
        document.text = document.text.repeat(times);
    }
    corpus::write_parquet(&work.path("in"), &documents, 300, 1);
    let script =
        format!("ulimit -n 100; exec {} dedup in many --task-size 64KB --threads 2", env!("CARGO_BIN_EXE_trommel"));
    let output =
        std::process::Command::new("sh").args(["-c", &script]).current_dir(work.dir()).output().expect("a shell");
    common::Ran::new(output, &script).ends_with(0);
    work.run("dedup in few").ends_with(0);
    let (many, few) = (work.left("many"), work.left("few"));
    assert_eq!(many.files("kept").len(), 300);
    assert_eq!(many.adds_up(), few.adds_up());
    assert_eq!(many.kept_strings("id"), few.kept_strings("id"));
}
