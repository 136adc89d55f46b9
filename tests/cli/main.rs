//! The program from outside: what it prints, what it leaves, how it ends.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod commands;
#[path = "../support/host.rs"]
mod host;
mod iso9660;
mod promises;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use host::{Host, stderr, stdout};

const CANARY: &str = "c4n4ry-7f1e-do-not-show";
const UUID: &str = "12345678-9abc-4def-8012-3456789abcde";

impl Host {
    /// How many temporaries there are.
    fn leftovers(&self) -> usize {
        let is_ours = |path: &Path| path.to_string_lossy().contains(".credimg-");
        fs::read_dir(self.path(""))
            .unwrap()
            .filter(|e| is_ours(&e.as_ref().unwrap().path()))
            .count()
    }
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
