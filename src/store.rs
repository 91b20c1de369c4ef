//! Where bytes live: folders and buckets behind one door.
//!
//! Everything goes through `object_store`, except that local files are read with positioned reads and
//! written with an fsync before the rename, which `object_store` leaves out. Files appear whole or not at all.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, S3CopyIfNotExists};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::buffered::BufWriter;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::{Path as ObjectPath, PathPart};
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Runtime;
use url::Url;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};

/// The endings of files that are being written. They are passed over by readers and swept by the next run.
pub const PARTIAL: &str = ".partial";

/// The runtime that all reading ahead and uploading happens on. It never runs stages.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("trommel-io")
            .enable_all()
            .build()
            .expect("a runtime needs only threads and a poll descriptor")
    });
    &RUNTIME
}

/// A file that is read here and there, from many threads.
pub trait ReadAt: Send + Sync {
    /// The number of bytes.
    fn size(&self) -> u64;
    /// Fills `buffer` from `offset` on. Reading past the end is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;
    /// How many bytes are enough for one read, of many in a row: with more, what is read has left the processor's
    /// caches before it is used.
    fn read_size(&self) -> usize {
        256 << 10
    }
}

/// A file on a local disk.
pub struct LocalFile {
    file: File,
    size: u64,
    path: String,
}

impl LocalFile {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(path.display(), error);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(Self { file, size, path: path.display().to_string() })
    }
}

impl ReadAt for LocalFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(|error| Error::io(&self.path, error))
    }
}

/// A file on a local disk that is opened for each read. For files of which there may be more than a program
/// may have open.
pub struct ClosedFile {
    size: u64,
    path: PathBuf,
}

impl ClosedFile {
    /// The file at `path`.
    pub fn new(path: &Path) -> Result<Self> {
        let size = fs::metadata(path).map_err(|error| Error::io(path.display(), error))?.len();
        Ok(Self { size, path: path.to_owned() })
    }
}

impl ReadAt for ClosedFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        LocalFile::open(&self.path)?.read_at(offset, buffer)
    }
}

/// An object in a bucket.
struct RemoteFile {
    store: Arc<dyn ObjectStore>,
    path: ObjectPath,
    size: u64,
    name: String,
}

impl ReadAt for RemoteFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let range = offset..offset + buffer.len() as u64;
        let bytes = runtime()
            .block_on(self.store.get_range(&self.path, range))
            .map_err(|error| remote_error(&self.name, &error))?;
        if bytes.len() != buffer.len() {
            return Err(Error::io(&self.name, "the file is shorter than its listing says"));
        }
        buffer.copy_from_slice(&bytes);
        Ok(())
    }

    /// A request costs more than what caches save.
    fn read_size(&self) -> usize {
        4 << 20
    }
}

/// A folder, local or in a bucket. Paths below it are relative, with `/`.
#[derive(Clone)]
pub struct Folder {
    store: Arc<dyn ObjectStore>,
    /// The folder inside the store.
    root: ObjectPath,
    /// The folder as the user names it, without a slash at the end.
    name: String,
    /// Where it is on the local disk, if it is.
    local: Option<PathBuf>,
}

/// Keeps others out of a folder until it is dropped, or the process ends in whatever way.
pub struct Lock {
    _file: Option<File>,
}

/// Which state of a file was read.
pub struct Version(Option<UpdateVersion>);

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The path below the folder.
    pub path: String,
    /// The number of bytes.
    pub size: u64,
    /// What changes when the content does: the store's etag, or the time of the last change.
    pub etag: String,
}

impl Folder {
    /// The folder that a path or URL (`s3://`, `gs://`, `az://`, `https://`, `file://`) names. Nothing is
    /// read or made. Credentials and endpoints come from the environment, as each cloud's own tools have it.
    pub fn parse(name: &str) -> Result<Self> {
        match Url::parse(name) {
            Ok(url) if url.scheme() == "file" => {
                let path = url.to_file_path().map_err(|()| Error::refused(format!("{name}: not a local path")))?;
                Self::local(&path)
            }
            Ok(url) if url.has_host() => Self::remote(name, &url),
            _ => Self::local(Path::new(name)),
        }
    }

    /// A folder on the local disk.
    pub fn local(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let absolute = without_parents(path).map_err(|error| Error::io(&name, error))?;
        let store = object_store::local::LocalFileSystem::new();
        // Local files are reached by their paths, which may have characters that the paths of a store may not.
        let root = ObjectPath::default();
        let name = if name.len() > 1 { name.trim_end_matches('/').to_owned() } else { name };
        Ok(Self { store: Arc::new(store), root, name, local: Some(absolute) })
    }

    fn remote(name: &str, url: &Url) -> Result<Self> {
        let refused = |error: object_store::Error| Error::refused(format!("{name}: {error}"));
        let allows_http = match url.scheme() {
            "s3" | "s3a" => "AWS_ALLOW_HTTP",
            "gs" => "GOOGLE_ALLOW_HTTP",
            _ => "AZURE_ALLOW_HTTP",
        };
        let client = ClientOptions::new()
            .with_timeout(Duration::from_secs(120))
            .with_connect_timeout(Duration::from_secs(10))
            .with_allow_http(url.scheme() == "http" || std::env::var(allows_http).is_ok_and(|value| value == "true"));
        let bucket = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        let store: Arc<dyn ObjectStore> = match url.scheme() {
            "s3" | "s3a" => Arc::new(
                AmazonS3Builder::from_env()
                    .with_url(bucket)
                    .with_client_options(client)
                    .with_copy_if_not_exists(S3CopyIfNotExists::Multipart)
                    .build()
                    .map_err(refused)?,
            ),
            "gs" => Arc::new(
                GoogleCloudStorageBuilder::from_env()
                    .with_url(bucket)
                    .with_client_options(client)
                    .build()
                    .map_err(refused)?,
            ),
            "az" | "azure" | "abfs" | "abfss" => Arc::new(
                MicrosoftAzureBuilder::from_env()
                    .with_url(bucket)
                    .with_client_options(client)
                    .build()
                    .map_err(refused)?,
            ),
            "http" | "https" => {
                let origin = &url[..url::Position::BeforePath];
                Arc::new(HttpBuilder::new().with_url(origin).with_client_options(client).build().map_err(refused)?)
            }
            other => {
                return Err(Error::refused(format!(
                    "{name}: `{other}://` is not known; local paths, s3://, gs://, az:// and https:// are"
                )));
            }
        };
        let root = ObjectPath::from_url_path(url.path()).map_err(|error| Error::refused(format!("{name}: {error}")))?;
        Ok(Self { store, root, name: name.trim_end_matches('/').to_owned(), local: None })
    }

    /// The folder as the user names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is on the local disk, if it is.
    pub fn local_path(&self) -> Option<&Path> {
        self.local.as_deref()
    }

    /// Where a file below it is, however the folder is named.
    pub fn location_of(&self, path: &str) -> PathBuf {
        self.local_of(path).unwrap_or_else(|| self.name_of(path).into())
    }

    /// As [`Folder::location_of`], with links and `..` followed.
    pub fn real_location_of(&self, path: &str) -> PathBuf {
        let location = self.location_of(path);
        self.local.as_ref().and_then(|_| fs::canonicalize(&location).ok()).unwrap_or(location)
    }

    /// The name of a file below it, for people.
    pub fn name_of(&self, path: &str) -> String {
        if path.is_empty() { self.name.clone() } else { format!("{}/{path}", self.name) }
    }

    /// A folder below this one.
    pub fn child(&self, path: &str) -> Self {
        Self {
            store: self.store.clone(),
            root: self.object(path),
            name: self.name_of(path),
            local: self.local.as_ref().map(|local| local.join(path)),
        }
    }

    /// Every file below, sorted by path. A folder that does not exist is empty.
    pub fn list(&self) -> Result<Vec<Found>> {
        if let Some(local) = &self.local {
            let mut found = Vec::new();
            list_local(local, "", &mut Vec::new(), &mut found)?;
            found.sort_by(|a, b| a.path.cmp(&b.path));
            return Ok(found);
        }
        let objects: Vec<_> = runtime()
            .block_on(self.store.list(Some(&self.root)).try_collect())
            .map_err(|error| remote_error(&self.name, &error))?;
        let mut found: Vec<_> = objects
            .into_iter()
            .filter_map(|meta| {
                let below = meta.location.prefix_match(&self.root)?;
                let path = below.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
                Some(Found { path, size: meta.size, etag: etag_of(&meta) })
            })
            .collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// The file at `path`, or `None` if there is none.
    pub fn find(&self, path: &str) -> Result<Option<Found>> {
        if let Some(local) = self.local_of(path) {
            return match fs::metadata(&local) {
                Ok(meta) if meta.is_file() => Ok(Some(found_local(path.to_owned(), &meta))),
                Ok(_) => Ok(None),
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::NotADirectory =>
                {
                    Ok(None)
                }
                Err(error) => Err(Error::io(local.display(), error)),
            };
        }
        match runtime().block_on(self.store.head(&self.object(path))) {
            Ok(meta) => Ok(Some(Found { path: path.to_owned(), size: meta.size, etag: etag_of(&meta) })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(remote_error(self.name_of(path), &error)),
        }
    }

    /// Opens the file at `path` for positioned reads.
    pub fn open(&self, path: &str) -> Result<Arc<dyn ReadAt>> {
        if let Some(local) = self.local_of(path) {
            return Ok(Arc::new(LocalFile::open(&local)?));
        }
        let found = self.find(path)?.ok_or_else(|| Error::io(self.name_of(path), "no such file"))?;
        Ok(Arc::new(RemoteFile {
            store: self.store.clone(),
            path: self.object(path),
            size: found.size,
            name: self.name_of(path),
        }))
    }

    /// As [`Folder::open`], but no local file stays open between reads.
    pub fn open_closed(&self, path: &str) -> Result<Arc<dyn ReadAt>> {
        match self.local_of(path) {
            Some(local) => Ok(Arc::new(ClosedFile::new(&local)?)),
            None => self.open(path),
        }
    }

    /// The whole of a small file, or `None` if there is none.
    pub fn read(&self, path: &str) -> Result<Option<Bytes>> {
        if let Some(local) = self.local_of(path) {
            return match fs::read(&local) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(Error::io(local.display(), error)),
            };
        }
        let failed = |error| remote_error(self.name_of(path), &error);
        runtime().block_on(async {
            match self.store.get(&self.object(path)).await {
                Ok(object) => object.bytes().await.map(Some).map_err(failed),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(failed(error)),
            }
        })
    }

    /// The whole of a small file, if there is one, and which state of it that is.
    pub fn read_version(&self, path: &str) -> Result<(Option<Bytes>, Version)> {
        if self.local.is_some() {
            return Ok((self.read(path)?, Version(None)));
        }
        let failed = |error| remote_error(self.name_of(path), &error);
        runtime().block_on(async {
            match self.store.get(&self.object(path)).await {
                Ok(object) => {
                    let (e_tag, version) = (object.meta.e_tag.clone(), object.meta.version.clone());
                    let bytes = object.bytes().await.map_err(failed)?;
                    Ok((Some(bytes), Version(Some(UpdateVersion { e_tag, version }))))
                }
                Err(object_store::Error::NotFound { .. }) => Ok((None, Version(None))),
                Err(error) => Err(failed(error)),
            }
        })
    }

    /// Writes a small file, whole or not at all, in place of the state of it that was read; says whether that is
    /// still there. On a local disk it is for a [lock](Folder::lock) to see to that.
    pub fn replace(&self, path: &str, bytes: impl Into<Bytes>, version: Version) -> Result<bool> {
        if self.local.is_some() {
            return self.write(path, bytes).map(|()| true);
        }
        let mode = version.0.map_or(PutMode::Create, PutMode::Update);
        match runtime().block_on(self.store.put_opts(&self.object(path), bytes.into().into(), mode.into())) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(remote_error(self.name_of(path), &error)),
        }
    }

    /// Writes a small file, whole or not at all, replacing what was there.
    pub fn write(&self, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let bytes = bytes.into();
        let mut upload = self.create(path)?;
        upload.write_all(&bytes).map_err(|error| Error::io(self.name_of(path), error))?;
        upload.finish().map(|_| ())
    }

    /// Writes a small file, whole or not at all, unless there is one already. Says whether it is now the one that was to be
    /// written: of many who try at once one succeeds, and those who would have written the same bytes to a bucket.
    pub fn write_new(&self, path: &str, bytes: impl Into<Bytes>) -> Result<bool> {
        let bytes = bytes.into();
        if let Some(target) = self.local_of(path) {
            let mut sink = LocalSink::create(target)?;
            let written = sink.file.write_all(&bytes).and_then(|()| sink.finish_new());
            let removed = fs::remove_file(&sink.partial);
            return match written.and_then(|new| removed.map(|()| new)) {
                Ok(new) => Ok(new),
                Err(error) => Err(Error::io(self.name_of(path), error)),
            };
        }
        let object = self.object(path);
        let put = self.store.put_opts(&object, bytes.clone().into(), PutMode::Create.into());
        match runtime().block_on(put) {
            Ok(_) => Ok(true),
            // Perhaps by us: an answer that got lost is asked for again.
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(self.read(path)?.is_some_and(|there| there == bytes))
            }
            Err(error) => Err(remote_error(self.name_of(path), &error)),
        }
    }

    /// Begins a file that becomes visible, whole, when it is finished; dropped before, it leaves nothing.
    pub fn create(&self, path: &str) -> Result<Upload> {
        let name = self.name_of(path);
        let sink = match self.local_of(path) {
            Some(target) => Sink::Local(LocalSink::create(target)?),
            None => Sink::Remote(Box::new(BufWriter::with_capacity(self.store.clone(), self.object(path), 8 << 20))),
        };
        Ok(Upload { name, sink: Some(sink), n_bytes: 0 })
    }

    /// Removes a file. One that is not there is no error.
    pub fn remove(&self, path: &str) -> Result<()> {
        if let Some(local) = self.local_of(path) {
            return match fs::remove_file(&local) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(local.display(), error)),
                _ => Ok(()),
            };
        }
        match runtime().block_on(self.store.delete(&self.object(path))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(remote_error(self.name_of(path), &error)),
        }
    }

    /// Removes everything below `path`, and the folders themselves on a local disk.
    pub fn remove_all(&self, path: &str) -> Result<()> {
        if let Some(local) = self.local_of(path) {
            return match fs::remove_dir_all(&local) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(local.display(), error)),
                _ => Ok(()),
            };
        }
        let child = self.child(path);
        child.list()?.iter().try_for_each(|found| child.remove(&found.path))
    }

    /// Keeps other processes out of the folder by a lock on the file at `path`, which is made and stays. `None`
    /// if another one is at work there. Nobody is kept out of a folder in a bucket, or on a disk without locks.
    pub fn lock(&self, path: &str) -> Result<Option<Lock>> {
        let Some(local) = self.local_of(path) else { return Ok(Some(Lock { _file: None })) };
        let failed = |error| Error::io(local.display(), error);
        fs::create_dir_all(local.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        let file = File::options().create(true).append(true).open(&local).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                tracing::warn!("{}: {error}; nothing keeps a second run out of this folder", local.display());
                Ok(Some(Lock { _file: None }))
            }
        }
    }

    /// Removes what a killed program left half written below `path`.
    pub fn sweep(&self, path: &str) -> Result<()> {
        let Some(local) = self.local_of(path) else { return Ok(()) };
        let mut found = Vec::new();
        list_local(&local, "", &mut Vec::new(), &mut found)?;
        for file in found.iter().filter(|file| is_partial(&file.path)) {
            match fs::remove_file(local.join(&file.path)) {
                // Whoever was writing it has just finished, or given up.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|error| Error::io(local.display(), error))?,
            }
        }
        Ok(())
    }

    fn local_of(&self, path: &str) -> Option<PathBuf> {
        self.local.as_ref().map(|local| if path.is_empty() { local.clone() } else { local.join(path) })
    }

    fn object(&self, path: &str) -> ObjectPath {
        // As they are listed: what may stand in a name is not written in another way.
        let part = |part| PathPart::parse(part).unwrap_or_else(|_| PathPart::from(part));
        path.split('/').filter(|part| !part.is_empty()).map(part).fold(self.root.clone(), ObjectPath::join)
    }
}

/// What a store said, with what can be done about it in front.
fn remote_error(place: impl std::fmt::Display, error: &dyn std::fmt::Display) -> Error {
    let said = error.to_string();
    let is = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
    let hint = if is(&["NoSuchBucket", "ContainerNotFound", "bucket does not exist"]) {
        "there is no such bucket"
    } else if is(&["403 Forbidden", "401 Unauthorized", "AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"])
    {
        "access is denied; check the credentials in the environment"
    } else {
        return Error::io(place, said);
    };
    Error::io(place, format!("{hint} ({said})"))
}

fn etag_of(meta: &object_store::ObjectMeta) -> String {
    meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.timestamp_micros().to_string())
}

fn found_local(path: String, meta: &fs::Metadata) -> Found {
    let changed = meta.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Found { path, size: meta.len(), etag: changed.map_or(0, |since| since.as_micros()).to_string() }
}

/// Whether a file is one that was being written.
fn is_partial(path: &str) -> bool {
    path.ends_with(PARTIAL) && path.rsplit('/').next().is_some_and(|name| name.starts_with('.'))
}

/// Every file below `root`/`below`, links followed; `above` are the folders on the way there.
fn list_local(root: &Path, below: &str, above: &mut Vec<(u64, u64)>, found: &mut Vec<Found>) -> Result<()> {
    let folder = root.join(below);
    let failed = |error: io::Error| Error::io(folder.display(), error);
    let (entries, this) = match fs::read_dir(&folder).and_then(|entries| Ok((entries, fs::metadata(&folder)?))) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let this = (this.dev(), this.ino());
    if above.contains(&this) {
        tracing::warn!("{}: a link to a folder above it; not followed", folder.display());
        return Ok(());
    }
    above.push(this);
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(Error::io(entry.path().display(), "the file name is not UTF-8; rename the file"));
        };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        match fs::metadata(entry.path()) {
            Ok(meta) if meta.is_dir() => list_local(root, &path, above, found)?,
            Ok(meta) if meta.is_file() => found.push(found_local(path, &meta)),
            // A pipe or a device, which would be waited for.
            Ok(_) => {}
            // Removed since it was listed, or a link to nowhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(entry.path().display(), error)),
        }
    }
    above.pop();
    Ok(())
}

/// A file being written.
pub struct Upload {
    name: String,
    sink: Option<Sink>,
    n_bytes: u64,
}

enum Sink {
    Local(LocalSink),
    Remote(Box<BufWriter>),
}

struct LocalSink {
    file: io::BufWriter<File>,
    partial: PathBuf,
    target: PathBuf,
}

/// What tells the files that this process is writing from those of others, on other machines too: processes in
/// containers often have the same number.
static OWN: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

impl LocalSink {
    fn create(target: PathBuf) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = target.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(|error| Error::io(folder.display(), error))?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let partial = folder.join(format!(".{name}.{:016x}-{number}{PARTIAL}", *OWN));
        let file = File::create(&partial).map_err(|error| Error::io(partial.display(), error))?;
        Ok(Self { file: io::BufWriter::with_capacity(256 << 10, file), partial, target })
    }

    /// The file's bytes and its name are on the disk when this returns.
    fn finish(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.partial, &self.target)?;
        File::open(self.target.parent().unwrap_or(Path::new("/")))?.sync_all()
    }

    /// Likewise, but leaves a file alone that is there already, and says whether there was none.
    fn finish_new(&mut self) -> io::Result<bool> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        match fs::hard_link(&self.partial, &self.target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            linked => linked?,
        }
        File::open(self.target.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        Ok(true)
    }
}

impl Upload {
    /// The number of bytes written so far.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Makes the file visible under its name and returns its size.
    pub fn finish(mut self) -> Result<u64> {
        let done = match self.sink.take().expect("an upload is finished once") {
            Sink::Local(mut sink) => {
                let done = sink.finish();
                if done.is_err() {
                    self.sink = Some(Sink::Local(sink));
                }
                done
            }
            // One that cannot be completed has already been aborted.
            Sink::Remote(mut writer) => runtime().block_on(writer.shutdown()),
        };
        done.map_err(|error| remote_error(&self.name, &error))?;
        Ok(self.n_bytes)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.sink.as_mut().expect("an upload is not written to after its end") {
            Sink::Local(sink) => sink.file.write_all(bytes)?,
            Sink::Remote(writer) => runtime().block_on(writer.write_all(bytes))?,
        }
        self.n_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        match self.sink.take() {
            // Nothing can be done about a failure here; the next run sweeps what is left.
            Some(Sink::Local(sink)) => drop(fs::remove_file(&sink.partial)),
            Some(Sink::Remote(mut writer)) => drop(runtime().block_on(writer.abort())),
            None => {}
        }
    }
}

/// A file being written, and the hash of what was written so far.
pub struct Summed {
    upload: Upload,
    hash: Xxh3,
}

impl Summed {
    /// A file that nothing was written to yet.
    pub fn new(upload: Upload) -> Self {
        Self { upload, hash: Xxh3::new() }
    }

    /// Makes the file visible and returns its size and the xxh3-128 of its bytes.
    pub fn finish(self) -> Result<(u64, u128)> {
        Ok((self.upload.finish()?, self.hash.digest128()))
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.upload.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

/// The absolute path with every `..` followed as the system would, through links as well, so that one
/// folder has one name. What comes after the last of them need not exist.
fn without_parents(path: &Path) -> io::Result<PathBuf> {
    let parts: Vec<_> = path.components().collect();
    let Some(last) = parts.iter().rposition(|part| *part == Component::ParentDir) else {
        return std::path::absolute(path);
    };
    let (parents, rest) = parts.split_at(last + 1);
    let mut path = parents.iter().collect::<PathBuf>().canonicalize()?;
    path.extend(rest);
    Ok(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    /// A file in memory.
    pub(crate) struct Memory(pub(crate) Vec<u8>);

    impl ReadAt for Memory {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
            buffer.copy_from_slice(&self.0[offset as usize..][..buffer.len()]);
            Ok(())
        }
    }

    #[test]
    fn a_refused_upload_is_an_error() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = server.local_addr().expect("bound");
        std::thread::spawn(move || {
            for stream in server.incoming() {
                let mut stream = stream.expect("a connection");
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        let folder = Folder::parse(&format!("http://{address}/corpus")).expect("an address");
        let error = folder.write("a", "text").expect_err("refused").to_string();
        assert!(error.contains("/corpus/a: access is denied"), "{error}");
    }

    #[test]
    fn parent_folders_are_followed_through_links() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let inside = |path: &str| dir.path().join(path);
        fs::create_dir_all(inside("a/b")).expect("made");
        fs::write(inside("a/x.txt"), b"x").expect("written");
        std::os::unix::fs::symlink(inside("a/b"), inside("link")).expect("linked");
        let read = |path: &str| Folder::local(&inside(path)).and_then(|folder| folder.read("x.txt")).map_err(drop);
        assert_eq!(read("a/b/.."), Ok(Some(Bytes::from_static(b"x"))));
        assert_eq!(read("link/.."), Ok(Some(Bytes::from_static(b"x"))));
        assert_eq!(read("link/../b/new"), Ok(None));
        assert!(read("none/..").is_err());
    }

    #[test]
    fn a_file_appears_when_it_is_finished() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::local(dir.path()).expect("a folder");
        let mut upload = folder.create("a/b.txt").expect("created");
        upload.write_all(b"half").expect("written");
        assert_eq!(folder.find("a/b.txt").expect("looked"), None);
        upload.write_all(b" whole").expect("written");
        assert_eq!(upload.finish().expect("finished"), 10);
        assert_eq!(folder.read("a/b.txt").expect("read").as_deref(), Some(&b"half whole"[..]));
        let paths: Vec<_> = folder.list().expect("listed").into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["a/b.txt"]);
    }

    #[test]
    fn a_new_file_is_written_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::local(dir.path()).expect("a folder");
        let done: Vec<_> = std::thread::scope(|threads| {
            let write = |n: usize| folder.write_new("a/x", n.to_string()).expect("a disk with links");
            let threads: Vec<_> = (0..8).map(|n| threads.spawn(move || write(n))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let winner = done.iter().position(|new| *new).expect("one is the first");
        assert_eq!(done.iter().filter(|new| **new).count(), 1);
        assert_eq!(folder.read("a/x").expect("read").as_deref(), Some(winner.to_string().as_bytes()));
        assert_eq!(folder.list().expect("listed").len(), 1, "nothing half-written stays");
    }

    #[test]
    fn an_upload_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::local(dir.path()).expect("a folder");
        drop(folder.create("x").expect("created"));
        assert_eq!(folder.list().expect("listed"), []);
    }

    #[test]
    fn what_a_killed_program_left_is_swept() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join(".x.1-0.partial"), b"half").expect("written");
        fs::write(dir.path().join("y.partial"), b"whole, and not ours").expect("written");
        let folder = Folder::local(dir.path()).expect("a folder");
        folder.sweep("").expect("swept");
        let paths: Vec<_> = folder.list().expect("listed").into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["y.partial"]);
    }

    #[test]
    fn links_are_followed_but_not_in_circles() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(dir.path().join("a/b")).expect("made");
        fs::write(dir.path().join("a/b/file"), b"x").expect("written");
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, dir.path().join(at)).expect("linked");
        link("..", "a/b/up");
        link(".", "a/self");
        link("a/b", "aside");
        link("nowhere", "lost");
        let folder = Folder::local(dir.path()).expect("a folder");
        let paths: Vec<_> = folder.list().expect("listed").into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["a/b/file", "aside/file"]);
    }

    #[test]
    fn a_folder_is_locked_until_the_lock_is_dropped() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::local(dir.path()).expect("a folder");
        let lock = folder.lock("own/lock").expect("a disk with locks").expect("nobody is there");
        assert!(folder.lock("own/lock").expect("a disk with locks").is_none());
        drop(lock);
        assert!(folder.lock("own/lock").expect("a disk with locks").is_some());
    }

    #[test]
    fn unknown_schemes_are_refused() {
        let error = Folder::parse("ftp://host/x").map(|_| ()).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "ftp://host/x: `ftp://` is not known; local paths, s3://, gs://, az:// and https:// are"
        );
    }
}
