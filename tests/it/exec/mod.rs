//! `credimg exec` from outside: what the program that takes its place inherits,
//! what it can do with it, and that no secret is anywhere else.

mod failures;
mod guest;
mod inherited;
mod qemu;
mod secrecy;
mod signals;

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::support::host::{Host, stderr, stdout};
use crate::support::wait::wait_for;
use rustix::process::{Pid, Signal};
use serde_json::Value;

const UUID: &str = "12345678-9abc-4def-8012-3456789abcde";
/// The stand-in for a monitor.
const PROBE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/exec/probe.py");
/// A machine that is built whole but never runs, with a monitor on standard input and output.
const MACHINE: &[&str] = &[
    "qemu-system-x86_64",
    "-machine",
    "pc",
    "-accel",
    "tcg",
    "-m",
    "16",
    "-nodefaults",
    "-S",
    "-display",
    "none",
    "-monitor",
    "none",
    "-qmp",
    "stdio",
];

impl Host {
    /// Becomes `program` with what the manifest makes.
    fn exec(&self, options: &[&str], program: &[impl AsRef<OsStr>]) -> Command {
        let mut command = self.credimg();
        command.args(["exec", "secrets.yaml"]).args(options).arg("--").args(program);
        command
    }
}

/// Runs it to its end.
fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// Runs the command, which must succeed without a word of its own.
fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    assert_eq!(stderr(&output), "");
    stdout(&output)
}

/// A program that is killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
