//! Tests that have a process for themselves, as they change it or measure it.

use std::process::{Command, Stdio};

/// Tells the process of such a test that it is one.
const VARIABLE: &str = "CREDIMG_TEST_ALONE";

/// Runs the test of this path (`module_path!()` and its name) once more, in a process of its
/// own. True in that process.
pub(crate) fn alone(test: &str) -> bool {
    alone_by(Command::new(std::env::current_exe().unwrap()), test, VARIABLE, "1")
}

/// Runs the test of this path in a process of its own, in which `variable` has this value.
/// True in that process.
pub(crate) fn alone_with(test: &str, variable: &str, value: &str) -> bool {
    alone_by(Command::new(std::env::current_exe().unwrap()), test, variable, value)
}

/// Runs the test of this path in a process of its own, which may mount, and whose mounts go
/// with it. True in that process.
pub(crate) fn alone_with_mounts(test: &str) -> bool {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg(std::env::current_exe().unwrap());
    alone_by(command, test, VARIABLE, "1")
}

fn alone_by(mut program: Command, test: &str, variable: &str, value: &str) -> bool {
    if std::env::var_os(variable).is_some() {
        return true;
    }
    let (_, name) = test.split_once("::").unwrap();
    program.args(["--exact", name, "--nocapture"]).env(variable, value).stdin(Stdio::piped());
    let output = program.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let is_done = output.status.success() && told.contains("1 passed");
    assert!(is_done, "{test}: {}\n{told}\n{errors}", output.status);
    eprint!("{errors}");
    false
}
