//! What runs before a virtual machine boots: the unit, the hook, the Makefile
//! fragment, and the options of a build that they use, all run for real.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod apparmor;
mod depfile;
mod environment;
mod hooks;
mod if_changed;
mod machine;
mod makefile;
mod memory;
mod order;
mod restore;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const CREDIMG: &str = env!("CARGO_BIN_EXE_credimg");
const UUID: &str = "12345678-9abc-4def-8012-3456789abcde";

/// A directory of its own, in which everything runs.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and what is missing above it.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.0.path()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    /// Runs the program with these arguments, which no white space is in.
    fn credimg(&self, arguments: &str) -> Output {
        self.command(CREDIMG).args(arguments.split(' ')).output().unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn assert_done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// The file that a script or a unit of this repository is.
fn preboot(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/preboot").join(name)
}
