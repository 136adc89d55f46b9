//! The program from outside: what it prints, what it leaves, how it ends.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod commands;
mod iso9660;
mod promises;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const CANARY: &str = "c4n4ry-7f1e-do-not-show";
const UUID: &str = "12345678-9abc-4def-8012-3456789abcde";

/// A directory with a manifest, in which the program runs.
struct Host(TempDir);

impl Host {
    fn new(manifest: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::write(host.path("secrets.yaml"), manifest).unwrap();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn credimg(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.current_dir(self.0.path()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    fn build(&self, options: &[&str]) -> Output {
        let arguments = ["build", "secrets.yaml", "-o", "out.erofs"];
        self.credimg().args(arguments).args(options).output().unwrap()
    }

    /// How many temporaries there are.
    fn leftovers(&self) -> usize {
        let is_ours = |path: &Path| path.to_string_lossy().contains(".credimg-");
        fs::read_dir(self.0.path())
            .unwrap()
            .filter(|e| is_ours(&e.as_ref().unwrap().path()))
            .count()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asks until there is an answer; a minute is more than any answer takes.
fn wait_for<T>(ask: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no answer within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}
