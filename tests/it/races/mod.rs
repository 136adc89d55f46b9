//! Races at real speed: sources that are rewritten, links that are swapped, builders of one
//! output and directories that go away, while the program builds. Whatever it does, what it
//! calls done is whole, and what it could not do has a reason.
//!
//! `make test-races` runs the whole campaign, `make test` a hundredth of it: `CREDIMG_RACES`
//! is how many in a hundred. `CREDIMG_SEED` repeats the choices of the writers, not the race.

mod builders;
mod chance;
mod directories;
mod extract;
mod links;
mod sources;
mod turns;
mod versions;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// How many of the whole campaign's `whole` runs are made now; a few at least.
pub(crate) fn share(whole: usize) -> usize {
    let percent = std::env::var("CREDIMG_RACES").ok().and_then(|text| text.parse().ok());
    (whole * percent.unwrap_or(1) / 100).max(4)
}

/// The program, about to build in a directory.
pub(crate) fn build(directory: &Path, manifest: &str, output: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.current_dir(directory).args(["build", manifest, "-o", output, "--args", "none"]);
    command.env_remove("SOURCE_DATE_EPOCH").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the reference tool finds at `path` in an EROFS image.
pub(crate) fn content(image: &Path, path: &str) -> Vec<u8> {
    let to = tempfile::tempdir().unwrap();
    let extract = format!("--extract={}", to.path().join("tree").display());
    let output = Command::new("fsck.erofs").arg(extract).arg(image).output().unwrap();
    assert!(output.status.success(), "{}: {}", image.display(), stderr(&output));
    std::fs::read(to.path().join("tree").join(path)).unwrap()
}
