//! The S3 server of the tests keeps the promises that the storage tests build on.

mod s3;

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};

use s3::S3Server;

fn key(name: &str) -> Path {
    Path::parse(name).expect("a valid key")
}

async fn names(store: &AmazonS3, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(key);
    let mut names: Vec<_> =
        store.list(prefix.as_ref()).map_ok(|meta| meta.location.to_string()).try_collect().await.expect("a listing");
    names.sort();
    names
}

fn create() -> PutOptions {
    PutOptions { mode: PutMode::Create, ..PutOptions::default() }
}

#[tokio::test]
async fn what_is_put_is_found() {
    let server = S3Server::start();
    let store = server.client();
    for name in ["a/1.txt", "a/b/2.txt", "c.txt"] {
        store.put(&key(name), name.to_owned().into()).await.expect("a put");
    }
    let bytes = store.get(&key("a/b/2.txt")).await.expect("a get").bytes().await.expect("a body");
    assert_eq!(bytes, "a/b/2.txt");
    assert_eq!(names(&store, None).await, ["a/1.txt", "a/b/2.txt", "c.txt"]);
    assert_eq!(names(&store, Some("a")).await, ["a/1.txt", "a/b/2.txt"]);
    let top = store.list_with_delimiter(None).await.expect("a listing");
    assert_eq!(top.common_prefixes, [key("a")]);
    assert_eq!(top.objects[0].location, key("c.txt"));

    assert_eq!(store.get_range(&key("a/1.txt"), 2..5).await.expect("a ranged get"), "1.t");
    assert_eq!(store.head(&key("c.txt")).await.expect("a head").size, 5);
    assert!(matches!(store.head(&key("a")).await, Err(Error::NotFound { .. })), "a folder is no object");
    assert!(matches!(store.get(&key("d")).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn what_is_deleted_is_gone_with_its_folder() {
    let server = S3Server::start();
    let store = server.client();
    store.put(&key("a/b/1.txt"), "x".into()).await.expect("a put");
    store.delete(&key("a/b/1.txt")).await.expect("a delete");
    assert_eq!(names(&store, None).await, [""; 0]);
    assert!(store.list_with_delimiter(None).await.expect("a listing").common_prefixes.is_empty());
    store.put_opts(&key("a/b/1.txt"), "y".into(), create()).await.expect("a put where nothing is left");
}

#[tokio::test]
async fn many_objects_are_listed_over_pages() {
    let server = S3Server::start();
    let store = server.client();
    let puts = (0..1100).map(|i| {
        let store = &store;
        async move { store.put(&key(&format!("many/{i:04}")), "x".into()).await }
    });
    for put in join_all(puts).await {
        put.expect("a put");
    }
    assert_eq!(names(&store, Some("many")).await.len(), 1100);
}

#[tokio::test]
async fn parts_become_one_object() {
    let server = S3Server::start();
    let store = server.client();
    let part = |byte: u8| PutPayload::from(vec![byte; 5 << 20]);
    let mut upload = store.put_multipart(&key("big")).await.expect("an upload");
    upload.put_part(part(1)).await.expect("a part");
    upload.put_part(part(2)).await.expect("a part");
    upload.put_part(Bytes::from_static(b"end").into()).await.expect("a part");
    assert!(matches!(store.head(&key("big")).await, Err(Error::NotFound { .. })), "nothing is seen before the end");
    upload.complete().await.expect("an end");
    let seam = (5 << 20) - 1..(5 << 20) + 1;
    assert_eq!(store.get_range(&key("big"), seam).await.expect("a ranged get"), [1u8, 2].as_slice());
    assert_eq!(store.head(&key("big")).await.expect("a head").size, (10 << 20) + 3);

    let mut left = store.put_multipart(&key("left")).await.expect("an upload");
    left.put_part(part(1)).await.expect("a part");
    left.abort().await.expect("an abort");
    assert_eq!(names(&store, None).await, ["big"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_racing_creators_wins() {
    let server = S3Server::start();
    let store = Arc::new(server.client());
    for round in 0..10 {
        let racers = (0..32).map(|racer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let text = format!("racer {racer} {}", "x".repeat(100_000));
                match store.put_opts(&key(&format!("race/{round}")), text.into(), create()).await {
                    Ok(_) => Some(racer),
                    Err(Error::AlreadyExists { .. }) => None,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let won: Vec<i32> = join_all(racers).await.into_iter().filter_map(|racer| racer.expect("no panic")).collect();
        let [winner] = won[..] else { panic!("{} winners in round {round}", won.len()) };
        let bytes = store.get(&key(&format!("race/{round}"))).await.expect("a get").bytes().await.expect("a body");
        assert!(bytes.starts_with(format!("racer {winner} ").as_bytes()), "the winner's bytes stay");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost() {
    let server = S3Server::start();
    let store = Arc::new(server.client());
    store.put(&key("sum"), "0".into()).await.expect("a put");
    let adders = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..10 {
                loop {
                    let got = store.get(&key("sum")).await.expect("a get");
                    let version = UpdateVersion { e_tag: got.meta.e_tag.clone(), version: None };
                    let bytes = got.bytes().await.expect("a body");
                    let sum: u32 = std::str::from_utf8(&bytes).expect("digits").parse().expect("a number");
                    let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
                    match store.put_opts(&key("sum"), (sum + 1).to_string().into(), options).await {
                        Ok(_) => break,
                        Err(Error::Precondition { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        })
    });
    for adder in join_all(adders).await {
        adder.expect("no panic");
    }
    assert_eq!(store.get(&key("sum")).await.expect("a get").bytes().await.expect("a body"), "80");
}

#[tokio::test]
async fn a_read_can_have_conditions() {
    let server = S3Server::start();
    let store = server.client();
    let tag = store.put(&key("a"), "x".into()).await.expect("a put").e_tag;
    let get = async |options: GetOptions| store.get_opts(&key("a"), options).await.map(|got| got.meta.e_tag);

    let same = GetOptions { if_match: tag.clone(), ..GetOptions::default() };
    assert_eq!(get(same).await.expect("the same version"), tag);
    let other = GetOptions { if_match: Some("\"other\"".to_owned()), ..GetOptions::default() };
    assert!(matches!(get(other).await, Err(Error::Precondition { .. })));
    let newer = GetOptions { if_none_match: tag.clone(), ..GetOptions::default() };
    assert!(matches!(get(newer).await, Err(Error::NotModified { .. })));
    let modified = store.head(&key("a")).await.expect("a head").last_modified;
    let later = GetOptions { if_modified_since: Some(modified), ..GetOptions::default() };
    assert!(matches!(get(later).await, Err(Error::NotModified { .. })));
    let earlier = GetOptions { if_unmodified_since: Some(modified), ..GetOptions::default() };
    assert_eq!(get(earlier).await.expect("not modified since"), tag);
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let mut server = S3Server::start();
    server.secret_key = "wrong".to_owned();
    let refused = server.client().put(&key("a"), "x".into()).await;
    assert!(matches!(refused, Err(Error::PermissionDenied { .. })), "{refused:?}");
}
