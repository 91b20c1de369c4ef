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
            work.run(&format!("dedup in {output} {stage} --mode {mode} --task-size 64KB {more}")).ends_with(0);
            work.left(&output)
        };
        let annotated = run("annotate", "--threads 1");
        check_annotated(&annotated, &run("drop", "--counts"));
        annotated.assert_same(&run("annotate", "--threads 4 --memory 1MB"));
    }
}

#[test]
fn rejects_can_go_without_their_text() {
    let work = work(54, 400);
    let run = |output: &str, more: &str| {
        work.run(&format!("dedup in {output} --counts {more}")).ends_with(0);
        work.left(output)
    };
    let (whole, bare) = (run("whole", ""), run("bare", "--rejects without-text"));
    assert_eq!(bare.adds_up(), whole.adds_up());
    assert_eq!(bare.files("kept"), whole.files("kept"));
    let (whole, bare) = (whole.rejected().batch(), bare.rejected().batch());
    assert!(bare.num_rows() > 50);
    let columns = (0..whole.num_columns()).filter(|&at| whole.schema().field(at).name() != "text");
    assert_eq!(bare, whole.project(&columns.collect::<Vec<_>>()).expect("columns of its own"));
    assert_eq!(bare.num_columns() + 1, whole.num_columns());
}

#[test]
fn what_is_annotated_goes_with_a_document_to_its_end() {
    let work = work(52, 400);
    work.write(
        "p.toml",
        "[[stage]]\nuse = 'minhash'\nmode = 'annotate'\n[[stage]]\nuse = 'reuse'\n[[stage]]\nuse = 'word_count'\nmin = 40\n\
         [[stage]]\nuse = 'exact'\nname = 'again'\n",
    );
    work.run("run p.toml -i in -o out --task-size 64KB").ends_with(0);
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
    work.run("dedup once/kept twice --mode annotate")
        .ends_with(1)
        .says("which the input has already; use --replace-columns");
    work.run("dedup once/kept twice --mode annotate --replace-columns").ends_with(0);
    work.left("once").assert_same(&work.left("twice"));
}

/// The sizes of clusters, the largest first, each with the id of the document that stands for it.
fn sizes(left: &Left) -> Vec<(u64, String)> {
    let kept = left.kept();
    let counts = kept.numbers("dup_count").into_iter().map(|count| count.expect("a count") as u64);
    let mut sizes: Vec<_> = counts.zip(kept.strings("id").into_iter().map(|id| id.expect("an id"))).collect();
    // Of the same size the first comes first, as ids do here.
    sizes.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    sizes
}

#[test]
fn large_clusters_are_called_out() {
    let work = work(55, 600);
    for stage in ["--exact", "--threshold 0.5"] {
        let output = format!("out-{}", stage.len());
        let ran =
            work.run(&format!("dedup in {output} {stage} --counts --max-cluster 2 --task-size 64KB")).ends_with(0);
        let left = work.left(&output);
        let above: Vec<_> = sizes(&left).into_iter().filter(|(size, _)| *size > 2).collect();
        assert!(above.len() > 1, "{stage}: {above:?}");
        let name = if stage == "--exact" { "exact" } else { "minhash" };
        let report = left.report();
        let clusters = &report["exchanges"][0]["clusters"][name];
        assert_eq!(clusters["above"].as_u64(), Some(above.len() as u64));
        let largest = clusters["largest"].as_array().expect("a list");
        assert_eq!(largest.len(), above.len().min(10));
        let keys = by_id(&left.kept(), ["dup_cluster"]);
        for (cluster, (size, id)) in largest.iter().zip(&above) {
            assert_eq!((cluster["documents"].as_u64(), cluster["id"].as_str()), (Some(*size), Some(id.as_str())));
            let digits: String =
                keys[id][0].as_deref().expect("a key").chars().filter(char::is_ascii_hexdigit).collect();
            assert_eq!(cluster["key"].as_str(), Some(digits.as_str()));
        }
        let (size, id) = &above[0];
        let line = format!("called out:\n    {name}: `{id}` stands for {size} documents, over 2\n");
        assert!(ran.stdout.contains(&line), "{ran}");
        let more = format!("{name}: {} more clusters of over 2 documents\n", above.len().saturating_sub(10));
        assert_eq!(ran.stdout.contains(&more), above.len() > 10, "{ran}");
        assert_eq!(report["alarms"].as_array().expect("a list").len(), above.len().min(11));
    }
    // What no document exceeds is not mentioned.
    let ran = work.run("dedup in calm --max-cluster 1000 --guards fail").ends_with(0);
    assert!(!ran.stdout.contains("called out"), "{ran}");
    assert!(work.left("calm").report().get("alarms").is_none());
}

#[test]
fn sources_that_lose_much_are_called_out() {
    let work = work(56, 600);
    let mut counted = Vec::new();
    for (mode, more) in
        [("drop", "--task-size 100KB --threads 1"), ("drop", "--task-size 64KB --threads 4"), ("annotate", "")]
    {
        let output = format!("out-{}", counted.len());
        let ran = work.run(&format!("dedup in {output} {more} --mode {mode} --max-source-loss 0.01")).ends_with(0);
        let report = work.left(&output).report();
        counted.push(report["stages"][0]["sources"].clone());
        for source in ["web", "books", "forum"] {
            assert!(ran.stdout.contains(&format!("minhash: source `{source}`: ")), "{ran}");
        }
    }
    assert!(counted.iter().all(|sources| *sources == counted[0]), "{counted:?}");
    let left = work.left("out-0");
    let (mut seen, mut gone) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    let (kept, rejected) = (left.kept().strings("source"), left.rejected().strings("source"));
    rejected.iter().flatten().for_each(|source| *gone.entry(source).or_default() += 1);
    kept.iter().chain(&rejected).flatten().for_each(|source| *seen.entry(source).or_default() += 1);
    for (source, seen) in seen {
        let tally = &counted[0]["named"][source];
        assert_eq!((tally["seen"].as_u64(), tally["duplicates"].as_u64()), (Some(seen), gone.get(source).copied()));
    }
}

#[test]
fn a_run_can_end_as_failed_for_what_was_called_out() {
    let work = work(57, 300);
    let arguments = "dedup in out --max-source-loss 0.01 --guards fail";
    for _ in 0..2 {
        // Also when there is nothing left to do.
        work.run(arguments)
            .ends_with(2)
            .says("the run is complete, but guards = \"fail\" and 3 things were called out");
    }
    work.run("dedup in same").ends_with(0);
    work.left("out").assert_same(&work.left("same"));
    // A share that nothing can exceed only counts.
    work.run("dedup in counted --max-source-loss 1 --guards fail --source-column source").ends_with(0);
    assert!(work.left("counted").report()["stages"][0]["sources"]["named"]["web"]["seen"].as_u64() > Some(0));
}

#[test]
fn guards_are_checked_before_data_is_read() {
    let work = work(58, 10);
    let refused = |arguments: &str, message: &str| {
        work.run(&format!("dedup in out {arguments}")).ends_with(1).says(message);
        assert!(!work.path("out").exists());
    };
    refused("--max-source-loss 0.5 --source-column origin", "`origin`");
    refused("--max-source-loss 40", "40 % is 0.4");
    refused("--source-column source", "--max-source-loss");
    refused("--guards fail", "`guards` has nothing to guard");
    refused("--max-cluster 1", "`max_cluster` must be at least 2");
}

#[test]
fn chains_are_closed_if_asked_for() {
    let work = work(59, 600);
    let run = |output: &str, more: &str| {
        work.run(&format!("dedup in {output} --threshold 0.6 --counts --keep longest {more}")).ends_with(0);
        let left = work.left(output);
        left.adds_up();
        left
    };
    let anchors = run("anchors", "--task-size 64KB");
    let chains = run("chains", "--clusters components --task-size 64KB --threads 1");
    chains.assert_same(&run("again", "--clusters components --task-size 64KB --threads 4 --memory 1MB"));
    let [of_anchors, of_chains] =
        [&anchors, &chains].map(|left| by_id(&left.rejected(), ["duplicate_of", "similarity"]));
    // What goes for one that it is like goes by way of it as well.
    assert!(of_anchors.keys().all(|id| of_chains.contains_key(id)));
    assert!(of_chains.len() > of_anchors.len());
    assert!(of_chains.values().any(|[_, similarity]| similarity.is_none()), "some were never compared with the first");
    let kept = by_id(&chains.kept(), []);
    assert!(of_chains.values().all(|[of, _]| kept.contains_key(of.as_deref().expect("an id"))));
    let counted: f64 = chains.kept().numbers("dup_count").into_iter().flatten().sum();
    assert_eq!(counted, 600.0);
}
