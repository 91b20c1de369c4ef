//! The S3 server of the tests as a program, for `docker/compose.yaml`: buckets are folders.
//!
//!     cargo run --release --example s3 -- ADDRESS FOLDER
//!
//! FOLDER gets a bucket called `corpus`. The keys are those in `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. It is
//! for trying things out: one process, no replicas, and its speed is that of one disk.

use std::path::PathBuf;

#[path = "../tests/s3/mod.rs"]
mod s3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, folder] = &arguments[..] else { return Err("s3 ADDRESS FOLDER, like s3 0.0.0.0:9000 /data".into()) };
    let key = |name: &str| std::env::var(name).map_err(|error| format!("{name}: {error}"));
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(folder.join("corpus"))?;
    let service = s3::service(&folder, &key("AWS_ACCESS_KEY_ID")?, &key("AWS_SECRET_ACCESS_KEY")?);
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let (_never, stopped) = tokio::sync::oneshot::channel();
    s3::serve(listener, &service, stopped);
    Ok(())
}
