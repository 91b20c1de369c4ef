//! A small S3 server for tests: an object store in a temporary folder, behind the real protocol.
//!
//! It is the file-system backend of `s3s`, with what that lacks and S3 promises:
//!
//! - of racing conditional writes (`If-None-Match: *`, `If-Match`) exactly one wins: every object has a lock;
//! - conditional reads are honoured;
//! - a request body is read to its end before the answer, so a refused upload does not break the connection;
//! - a listing is one moment of the bucket, and folders are not objects.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::sync::{OwnedMutexGuard, RwLock, oneshot};

/// A running server. It ends, and its objects go, when it is dropped.
pub(crate) struct S3Server {
    /// For example `http://127.0.0.1:40123`.
    pub(crate) endpoint: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// The one bucket, empty at first.
    pub(crate) bucket: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    // Goes last, when nothing serves from it any more.
    _folder: TempDir,
}

impl S3Server {
    /// Starts a server on a free port of this machine.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bucket = "corpus".to_owned();
        std::fs::create_dir(folder.path().join(&bucket)).expect("an empty folder");
        let (access_key, secret_key) = ("test-access-key".to_owned(), "test-secret-key".to_owned());

        let service = service(folder.path(), &access_key, &secret_key);

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket that can wait");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound port"));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || serve(listener, &service, stopped));
        Self { endpoint, access_key, secret_key, bucket, stop: Some(stop), thread: Some(thread), _folder: folder }
    }

    /// The environment in which `object_store::aws::AmazonS3Builder::from_env` finds this server.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT", self.endpoint.clone()),
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "false".to_owned()),
        ]
    }

    /// A client of the bucket, as `AmazonS3Builder::from_env` would make it in the server's environment.
    pub(crate) fn client(&self) -> AmazonS3 {
        let builder = self.env().into_iter().fold(AmazonS3Builder::new(), |builder, (name, value)| {
            builder.with_config(name.to_ascii_lowercase().parse().expect("a name that the client knows"), value)
        });
        builder.with_bucket_name(&self.bucket).build().expect("complete settings")
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // Failures here mean that the server has ended already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// What answers for the buckets in a folder.
pub(crate) fn service(folder: &Path, access_key: &str, secret_key: &str) -> S3Service {
    let mut service = S3ServiceBuilder::new(Objects {
        files: FileSystem::new(folder).expect("the folder exists"),
        root: folder.to_owned(),
        locks: Mutex::default(),
        bucket: RwLock::default(),
    });
    service.set_auth(SimpleAuth::from_single(access_key, secret_key));
    service.build()
}

/// Answers those who come to `listener`, until it is stopped.
pub(crate) fn serve(listener: std::net::TcpListener, service: &S3Service, mut stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        loop {
            let socket = tokio::select! {
                socket = listener.accept() => socket,
                _ = &mut stopped => return,
            };
            // A client that went away while connecting is its own problem.
            let Ok((socket, _)) = socket else { continue };
            let connection = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
            tokio::spawn(async move { drop(connection.await) });
        }
    });
}

/// The objects, as files, with locks around what must be seen or done as one.
struct Objects {
    files: FileSystem,
    root: PathBuf,
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Held for reading by what touches one object, for writing by what looks at all or removes folders.
    bucket: RwLock<()>,
}

impl Objects {
    /// Waits for the sole right to an object.
    async fn lock(&self, bucket: &str, key: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().expect("no holder panics");
            Arc::clone(locks.entry(format!("{bucket}/{key}")).or_default())
        };
        lock.lock_owned().await
    }

    /// Refuses a key that names a folder of the file system, which is no object.
    fn check_is_object(&self, bucket: &str, key: &str) -> S3Result<()> {
        if self.root.join(bucket).join(key).is_dir() { Err(s3_error!(NoSuchKey)) } else { Ok(()) }
    }

    /// Removes the folders that a removed object leaves empty.
    fn remove_empty_folders(&self, bucket: &str, key: &str) {
        let bucket = self.root.join(bucket);
        let mut folder = bucket.join(key);
        // A folder that is not empty cannot be removed, which ends the walk.
        while folder.pop() && folder != bucket && std::fs::remove_dir(&folder).is_ok() {}
    }
}

/// Reads a body to its end.
async fn read(body: Option<StreamingBlob>) -> S3Result<Option<StreamingBlob>> {
    let Some(body) = body else { return Ok(None) };
    let chunks: Vec<Bytes> = body.try_collect().await.map_err(|_| s3_error!(IncompleteBody))?;
    Ok(Some(StreamingBlob::from(Body::from(Bytes::from(chunks.concat())))))
}

/// A moment as HTTP headers tell it: without parts of a second.
fn to_the_second(time: &Timestamp) -> Timestamp {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).expect("a date can be written");
    let text = std::str::from_utf8(&text).expect("a date is ASCII");
    Timestamp::parse(TimestampFormat::HttpDate, text).expect("what was written can be read")
}

fn matches(condition: &ETagCondition, tag: &ETag) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == tag.value(),
    }
}

#[async_trait]
impl S3 for Objects {
    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let GetObjectInput { bucket, key, if_match, if_none_match, if_modified_since, if_unmodified_since, .. } =
            req.input.clone();
        let _all = self.bucket.read().await;
        let _one = self.lock(&bucket, &key).await;
        self.check_is_object(&bucket, &key)?;
        let answer = self.files.get_object(req).await?;
        let tag = answer.output.e_tag.as_ref().ok_or_else(|| s3_error!(InternalError))?;
        let modified = to_the_second(answer.output.last_modified.as_ref().ok_or_else(|| s3_error!(InternalError))?);
        // Tags go before times, and the conditions for any answer before those for a new one (RFC 9110, 13.2.2).
        let holds = match (&if_match, &if_unmodified_since) {
            (Some(condition), _) => matches(condition, tag),
            (None, Some(time)) => modified <= *time,
            (None, None) => true,
        };
        if !holds {
            return Err(s3_error!(PreconditionFailed));
        }
        let is_new = match (&if_none_match, &if_modified_since) {
            (Some(condition), _) => !matches(condition, tag),
            (None, Some(time)) => modified > *time,
            (None, None) => true,
        };
        if is_new { Ok(answer) } else { Err(s3_error!(NotModified)) }
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let _all = self.bucket.read().await;
        let _one = self.lock(&req.input.bucket, &req.input.key).await;
        self.check_is_object(&req.input.bucket, &req.input.key)?;
        self.files.head_object(req).await
    }

    async fn put_object(&self, mut req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        req.input.body = read(req.input.body.take()).await?;
        let _all = self.bucket.read().await;
        let _one = self.lock(&req.input.bucket, &req.input.key).await;
        self.files.put_object(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.files.create_multipart_upload(req).await
    }

    async fn upload_part(&self, mut req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        req.input.body = read(req.input.body.take()).await?;
        self.files.upload_part(req).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.files.upload_part_copy(req).await
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.files.list_parts(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _all = self.bucket.read().await;
        let _one = self.lock(&req.input.bucket, &req.input.key).await;
        self.files.complete_multipart_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.files.abort_multipart_upload(req).await
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let CopySource::Bucket { bucket, key, .. } = &req.input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        // In one order, so that two copies in opposite directions do not wait for each other.
        let ends = BTreeSet::from([(&**bucket, &**key), (&*req.input.bucket, &*req.input.key)]);
        let _all = self.bucket.read().await;
        let mut _each = Vec::new();
        for (bucket, key) in ends {
            _each.push(self.lock(bucket, key).await);
        }
        self.files.copy_object(req).await
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _all = self.bucket.write().await;
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        let answer = self.files.delete_object(req).await?;
        self.remove_empty_folders(&bucket, &key);
        Ok(answer)
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let _all = self.bucket.write().await;
        let bucket = req.input.bucket.clone();
        let keys: Vec<_> = req.input.delete.objects.iter().map(|object| object.key.clone()).collect();
        let answer = self.files.delete_objects(req).await?;
        for key in keys {
            self.remove_empty_folders(&bucket, &key);
        }
        Ok(answer)
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(req).await
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _all = self.bucket.write().await;
        self.files.list_objects_v2(req).await
    }
}
