//! What is told of clusters of duplicates, beside dropping them.

mod common;

use std::collections::BTreeMap;

use common::{Left, Rows, Work, corpus};

/// A corpus of several files and tasks.
fn work(seed: u64, n: usize) -> Work {
    let work = Work::new();
    corpus::write_parquet(&work.path("in"), &corpus::documents(seed, n), 3, 40);
    work
}

/// For each id in a table, what these columns say.
fn by_id<const N: usize>(rows: &Rows, columns: [&str; N]) -> BTreeMap<String, [Option<String>; N]> {
    let columns = columns.map(|column| match column {
        "duplicate_key" | "dup_cluster" => {
            rows.keys(column).into_iter().map(|key| key.map(|key| format!("{key:02x?}"))).collect()
        }
        _ => rows.strings(column),
    });
    let ids = rows.strings("id").into_iter().map(|id| id.expect("an id"));
    ids.enumerate().map(|(row, id)| (id, columns.each_ref().map(|column| column[row].clone()))).collect()
}

/// A run that annotates says of every document what one that drops does with it.
#[track_caller]
fn check_annotated(annotated: &Left, dropped: &Left) {
    assert_eq!(annotated.adds_up().2, 0, "nothing is dropped");
    let all = by_id(&annotated.kept(), ["dup_count", "dup_cluster", "duplicate_of", "similarity"]);
    let kept = by_id(&dropped.kept(), ["dup_count", "dup_cluster"]);
    let gone = by_id(&dropped.rejected(), ["duplicate_of", "duplicate_key", "similarity"]);
    assert_eq!(all.len(), kept.len() + gone.len());
    assert!(gone.len() > 20);
    for (id, [count, cluster, of, similarity]) in &all {
        match gone.get(id) {
            None => {
                assert_eq!([count, cluster], kept[id].each_ref(), "{id}");
                assert_eq!([of, similarity], [&None, &None], "{id}");
            }
            Some(rejected) => {
                assert_eq!([of, cluster, similarity], rejected.each_ref(), "{id}");
                let [of_kept, _] = &kept[of.as_deref().expect("an id")];
                assert_eq!(count, of_kept, "{id}: one count for all of a cluster");
            }
        }
    }
    let marked = annotated.report()["stages"][0]["marked"].as_u64();
    assert_eq!(marked, Some(gone.len() as u64));
}

#[test]
fn to_annotate_is_to_say_what_would_be_dropped() {
    let work = work(51, 600);
    for (name, stage) in [("exact", "--exact"), ("near", "--threshold 0.6 --keep longest")] {
        let run = |mode: &str, more: &str| {
            let output = format!("{name}-{mode}-{}", more.len());
            work.run(&format!("dedup in {output} {stage} --mode {mode} --task-size 30KB {more}")).ends_with(0);
            work.left(&output)
        };
        let annotated = run("annotate", "--threads 1");
        check_annotated(&annotated, &run("drop", "--counts"));
        annotated.assert_same(&run("annotate", "--threads 4 --memory 1MB"));
    }
}

#[test]
fn what_is_annotated_goes_with_a_document_to_its_end() {
    let work = work(52, 400);
    work.write(
        "p.toml",
        "[[stage]]\nuse = 'minhash'\nmode = 'annotate'\n[[stage]]\nuse = 'reuse'\n[[stage]]\nuse = 'word_count'\nmin = 40\n\
         [[stage]]\nuse = 'exact'\nname = 'again'\n",
    );
    work.run("run p.toml -i in -o out --task-size 30KB").ends_with(0);
    work.run("dedup in alone --mode annotate").ends_with(0);
    let (left, alone) = (work.left("out"), by_id(&work.left("alone").kept(), ["duplicate_of", "similarity"]));
    left.adds_up();
    assert!(left.kept().numbers("reuse_count").iter().all(|uses| *uses == Some(0.0)), "stages after it see duplicates");
    let rejected = left.rejected();
    let reasons = by_id(&rejected, ["rejected_by", "duplicate_of", "similarity"]);
    for by in ["word_count", "again"] {
        let of = |stage: &Option<String>| stage.as_deref() == Some(by);
        let marked = reasons.iter().filter(|(_, [stage, of_doc, _])| of(stage) && of_doc.is_some()).count();
        assert!(marked > 0, "{by} drops some that were annotated");
    }
    for (id, [by, of, similarity]) in &reasons {
        // A drop for another document says more than the annotation.
        if by.as_deref() == Some("word_count") {
            assert_eq!([of, similarity], alone[id].each_ref(), "{id}");
        }
    }
}

#[test]
fn two_stages_do_not_rule_on_the_same_documents_where_one_leaves_them() {
    let work = work(53, 10);
    for (first, second) in [("", "mode = 'annotate'"), ("mode = 'annotate'", "")] {
        work.write("p.toml", format!("[[stage]]\nuse = 'exact'\n{first}\n[[stage]]\nuse = 'minhash'\n{second}\n"));
        work.run("run p.toml -i in -o out").ends_with(1).says("leaves duplicates in place");
    }
    // With another pass between them each has its own.
    work.write(
        "p.toml",
        "[[stage]]\nuse = 'exact'\n[[stage]]\nuse = 'word_count'\n[[stage]]\nuse = 'minhash'\nmode = 'annotate'\n",
    );
    work.run("run p.toml -i in -o out").ends_with(0);
}

#[test]
fn columns_that_are_there_already_are_not_replaced_unasked() {
    let work = work(54, 60);
    work.run("dedup in once --mode annotate").ends_with(0);
    work.run("dedup once/kept twice --mode annotate").ends_with(1).says("which the input has already; use --replace-columns");
    work.run("dedup once/kept twice --mode annotate --replace-columns").ends_with(0);
    work.left("once").assert_same(&work.left("twice"));
}
