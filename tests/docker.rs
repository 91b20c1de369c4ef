//! The image runs a whole pipeline, as another user than root.

#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const IMAGE: &str = "trommel-test";

/// What a command printed, if it went well.
#[track_caller]
fn stdout(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the command can be started");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?} {status}\n{stdout}{stderr}");
    stdout.trim().to_owned()
}

fn has_docker() -> bool {
    Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success())
}

/// The release binary, unless there is none or it is older than the one built for this test.
fn binary(root: &Path) -> PathBuf {
    let built = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    let own = PathBuf::from(env!("CARGO_BIN_EXE_trommel"));
    let release = root.join("target/release/trommel");
    if built(&release) > built(&own) { release } else { own }
}

/// A container that goes when the test ends, however it ends.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        let removed = Command::new("docker").args(["rm", "--force", "--volumes", &self.0]).output();
        drop(removed);
    }
}

#[test]
fn the_quickstart_runs_in_the_image() {
    if !has_docker() {
        eprintln!("skipped: `docker info` fails, so there is no Docker to test with");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    stdout(Command::new(root.join("docker/build.sh")).arg(binary(root)).env("IMAGE", IMAGE));

    let id = stdout(Command::new("docker").args(["create", IMAGE]).args([
        "run",
        "pipelines/quickstart.toml",
        "--output",
        "/out",
    ]));
    let container = Container(id);
    stdout(Command::new("docker").args(["start", "--attach", &container.0]));

    let out = tempfile::tempdir().expect("a temporary folder");
    stdout(Command::new("docker").args(["cp", &format!("{}:/out/.", container.0)]).arg(out.path()));
    for file in ["kept/00000.parquet", "rejected/0-00000.parquet", "report.json"] {
        let size = out.path().join(file).metadata().map_or(0, |meta| meta.len());
        assert!(size > 0, "{file} is missing or empty");
    }
}
