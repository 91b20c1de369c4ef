//! The same runs with the input, the output, or both in a bucket.

mod common;
mod s3;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Ran, Work, corpus};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use s3::S3Server;

use futures::TryStreamExt;

const PIPELINE: &str = r#"
[[stage]]
use = "whitespace"
[[stage]]
use = "exact"
[[stage]]
use = "gopher_repetition"
[[stage]]
use = "minhash"
threshold = 0.7
"#;

struct Bucket {
    work: Work,
    server: S3Server,
    store: AmazonS3,
    runtime: tokio::runtime::Runtime,
}

impl Bucket {
    fn new() -> Self {
        let server = S3Server::start();
        let store = server.client();
        let work = Work::new();
        work.write("p.toml", PIPELINE);
        Self { work, server, store, runtime: tokio::runtime::Runtime::new().expect("a runtime") }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.work.command(arguments);
        command.envs(self.server.env());
        command
    }

    fn run(&self, arguments: &str) -> Ran {
        Ran::new(self.command(arguments).output().expect("the built program"), arguments)
    }

    /// Copies a local folder into the bucket.
    fn upload(&self, folder: &str, to: &str) {
        for (name, bytes) in self.work.left(folder).files("") {
            let path = Path::from(format!("{to}/{name}"));
            self.runtime.block_on(self.store.put(&path, bytes.into())).expect("a put");
        }
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let listed = self.store.list(Some(&Path::from(folder))).map_ok(|meta| meta.location.to_string());
        let mut names: Vec<String> = self.runtime.block_on(listed.try_collect()).expect("a listing");
        names.sort();
        names
    }

    fn download(&self, name: &str) -> Vec<u8> {
        let got = async { self.store.get(&Path::from(name)).await?.bytes().await };
        self.runtime.block_on(got).expect("an object").to_vec()
    }

    /// The data files in the bucket are those of a local run.
    #[track_caller]
    fn check_same(&self, remote: &str, local: &str) {
        let data = self.work.left(local).data();
        let mut there: Vec<_> = ["kept", "rejected", "_trommel/links"]
            .iter()
            .flat_map(|folder| self.names(&format!("{remote}/{folder}")))
            .collect();
        let mut expected: Vec<_> = data.iter().map(|(name, _)| format!("{remote}/{name}")).collect();
        there.sort();
        expected.sort();
        assert_eq!(there, expected);
        for (name, bytes) in data {
            assert!(self.download(&format!("{remote}/{name}")) == bytes, "{name} differs");
        }
    }
}

#[test]
fn a_bucket_is_like_a_folder() {
    let bucket = Bucket::new();
    corpus::write_parquet(&bucket.work.path("in"), &corpus::documents(41, 600), 11, 40);
    corpus::write_lines(&bucket.work.path("in/lines"), &corpus::documents(42, 100), 2);
    bucket.upload("in", "raw");
    let run = "run p.toml --task-size 64KB";
    bucket.run(&format!("{run} -i in -o local")).ends_with(0);
    // From and to: a folder, globs in the order of the folder, and each file by its name.
    bucket.run(&format!("{run} -i s3://corpus/raw -o remote")).ends_with(0);
    assert!(bucket.work.left("remote").data() == bucket.work.left("local").data());
    bucket.run(&format!("{run} -i s3://corpus/raw/ -o s3://corpus/out/a")).ends_with(0);
    bucket.check_same("out/a", "local");
    bucket.run(&format!("{run} -i in -o s3://corpus/out/b")).ends_with(0);
    bucket.check_same("out/b", "local");
    bucket.run(&format!("{run} -i s3://corpus/raw/lines/*.jsonl s3://corpus/raw/part-*.parquet -o globs")).ends_with(0);
    bucket.run(&format!("{run} -i in/lines/*.jsonl in/part-*.parquet -o local-globs")).ends_with(0);
    assert!(bucket.work.left("globs").data() == bucket.work.left("local-globs").data());
    bucket.run(&format!("{run} -i s3://corpus/raw/part-3.parquet -o one")).ends_with(0);
    assert_eq!(bucket.work.left("one").adds_up().0, 55);
    // Nothing is left between passes, and a finished run does nothing.
    assert!(bucket.names("out/a/_trommel").iter().all(|name| name.contains("links") || name.ends_with("run.json")));
    bucket.run(&format!("{run} -i s3://corpus/raw/ -o s3://corpus/out/a")).ends_with(0).says("done already");
    bucket.run(&format!("{run} -i in -o s3://corpus/out/a")).ends_with(1).says("another run is kept here");
    bucket.run(&format!("{run} -i in -o s3://corpus/raw")).ends_with(1).says("the output folder is not empty");
}

#[test]
fn names_in_a_bucket_may_have_any_characters() {
    let bucket = Bucket::new();
    let names = ["a b ~1.jsonl", "c#[2].jsonl", "d%41{x}.jsonl"];
    for name in names {
        let path = Path::parse(format!("raw/{name}")).expect("a key");
        let line = format!("{{\"text\":\"The text of {name}.\"}}\n");
        bucket.runtime.block_on(bucket.store.put(&path, line.into())).expect("a put");
    }
    bucket.run("dedup s3://corpus/raw out").ends_with(0);
    assert_eq!(bucket.work.left("out").kept_strings("text"), names.map(|name| Some(format!("The text of {name}."))));
}

/// Shards larger than a part of an upload.
#[test]
fn large_shards_are_uploaded_in_parts() {
    let bucket = Bucket::new();
    let mut random = corpus::Random(43);
    let lines = (0..300).map(|i| {
        let text: String = (0..9000).map(|_| format!("{:x} ", random.next() >> 32)).collect();
        format!("{{\"id\":\"{i}\",\"text\":\"{text}\"}}")
    });
    common::write_lines(&bucket.work.path("in.jsonl"), lines);
    bucket.run("dedup --exact in.jsonl local --format jsonl").ends_with(0);
    assert!(bucket.work.left("local").files("kept")[0].1.len() > 20 << 20);
    bucket.run("dedup --exact in.jsonl s3://corpus/big --format jsonl").ends_with(0);
    bucket.check_same("big", "local");
    bucket.run("dedup --exact s3://corpus/big/kept again --format jsonl --memory 64MB").ends_with(0);
    assert!(bucket.work.left("again").files("kept") == bucket.work.left("local").files("kept"));
}

#[test]
fn a_killed_run_goes_on_in_the_bucket() {
    let bucket = Bucket::new();
    corpus::write_parquet(&bucket.work.path("in"), &corpus::documents(44, 200), 3, 20);
    let run = "run p.toml --input in --task-size 64KB --threads 2 --output";
    bucket.run(&format!("{run} local")).ends_with(0);
    let start = Instant::now();
    bucket.run(&format!("{run} s3://corpus/whole")).ends_with(0);
    let time = start.elapsed();
    let mut random = corpus::Random(8);
    let mut kills = 0;
    for output in ["a", "b", "c"] {
        for _ in 0..4 {
            let mut child = bucket
                .command(&format!("{run} s3://corpus/{output}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the built program");
            std::thread::sleep(time.mul_f64(0.03 + random.below(1000) as f64 / 3000.0));
            kills += usize::from(child.try_wait().expect("a child").is_none());
            // It may have come to its end just now.
            let _ = child.kill();
            child.wait().expect("it was started here");
        }
        bucket.run(&format!("{run} s3://corpus/{output}")).ends_with(0);
        bucket.check_same(output, "local");
    }
    assert!(kills >= 3, "{kills} kills");
}

#[test]
fn an_index_may_be_in_a_bucket() {
    let bucket = Bucket::new();
    let documents = corpus::documents(46, 300);
    corpus::write_parquet(&bucket.work.path("old"), &documents[..150], 2, 40);
    corpus::write_parquet(&bucket.work.path("new"), &documents[150..], 2, 40);
    for index in ["s3://corpus/seen", "seen"] {
        bucket.run(&format!("index build {index} old")).ends_with(0);
        let output = format!("out-{}", index.len());
        let add = format!("dedup new {output} --against {index} --index {index} --run-name new");
        bucket.run(&add).ends_with(0);
        bucket.run(&add).ends_with(0).says("done already");
    }
    bucket.work.left("out-16").assert_same(&bucket.work.left("out-4"));
    let local = bucket.work.left("seen").files("");
    let local: Vec<_> = local.iter().filter(|(name, _)| name != "lock").collect();
    let names: Vec<_> = local.iter().map(|(name, _)| format!("seen/{name}")).collect();
    assert_eq!(bucket.names("seen"), names);
    for (name, bytes) in &local {
        assert!(bucket.download(&format!("seen/{name}")) == *bytes, "{name} differs");
    }
    // Nothing locks a bucket; but of those that saw the same index only one is added.
    let add = |name: &str| {
        let mut command = bucket.command(&format!("index add s3://corpus/seen new --run-name {name} --threads 1"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the built program")
    };
    let added = ["a", "b", "c"].map(add).into_iter().map(|child| {
        let ran = Ran::new(child.wait_with_output().expect("it ends"), "index add");
        assert!(
            ran.code == Some(0)
                || ["it has changed while", "has just added"].iter().any(|said| ran.stderr.contains(said)),
            "{ran}"
        );
        u64::from(ran.code == Some(0))
    });
    let added: u64 = added.sum();
    let index: serde_json::Value = serde_json::from_slice(&bucket.download("seen/index.json")).expect("JSON");
    assert_eq!(index["parts"].as_array().expect("a list").len() as u64, 2 + added);
    assert!(added > 0);
}

#[test]
fn what_is_wrong_is_said_at_once() {
    let mut bucket = Bucket::new();
    corpus::write_parquet(&bucket.work.path("in"), &corpus::documents(45, 30), 1, 20);
    let quick = |bucket: &Bucket, arguments: &str, says: &str| {
        let start = Instant::now();
        bucket.run(arguments).ends_with(1).says(says);
        assert!(start.elapsed() < Duration::from_secs(10), "{arguments} took {:?}", start.elapsed());
    };
    quick(&bucket, "dedup s3://nowhere/x out", "s3://nowhere/x: there is no such bucket");
    quick(&bucket, "dedup in s3://nowhere/x", "s3://nowhere/x: there is no such bucket");
    quick(&bucket, "dedup s3://corpus/none.parquet out", "s3://corpus/none.parquet: no input files");
    quick(&bucket, "dedup s3://corpus out", "s3://corpus: no input files");
    bucket.server.secret_key = "wrong".to_owned();
    quick(&bucket, "dedup s3://corpus/none.parquet out", "access is denied; check the credentials");
    quick(&bucket, "dedup in s3://corpus/out", "access is denied; check the credentials");
    // Nobody answers.
    bucket.server.endpoint = "http://127.0.0.1:1".to_owned();
    let start = Instant::now();
    bucket.run("dedup in s3://corpus/out").ends_with(1).says("s3://corpus/out");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn a_draw_and_its_ledger_can_be_in_a_bucket() {
    let bucket = Bucket::new();
    corpus::write_parquet(&bucket.work.path("in"), &corpus::documents(44, 600), 3, 40);
    bucket.upload("in", "raw");
    let sample = "sample --tokens 100k --record a --time 2026-11-22 --task-size 64KB --shard-size 64KB";
    bucket.run(&format!("{sample} --ledger used in local")).ends_with(0);
    bucket.run(&format!("{sample} --ledger s3://corpus/used s3://corpus/raw s3://corpus/draw")).ends_with(0);
    bucket.check_same("draw", "local");
    for (name, bytes) in bucket.work.left("used").files("run=a") {
        assert!(bucket.download(&format!("used/{name}")) == bytes, "{name} differs");
    }
    bucket.run(&format!("{sample} --ledger s3://corpus/used s3://corpus/raw s3://corpus/draw")).says("done already");
    let other =
        bucket.run(&format!("{sample} --ledger s3://corpus/used s3://corpus/raw s3://corpus/other")).ends_with(1);
    other.says("the run `a` was recorded already");
    assert!(bucket.names("other").is_empty(), "nothing is made");
}
