//! The program in a directory of its own, for tests from outside.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A directory with a manifest, in which the program runs.
pub(crate) struct Host(TempDir);

impl Host {
    pub(crate) fn new(manifest: &str) -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::write(host.path("secrets.yaml"), manifest).unwrap();
        host
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn credimg(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.current_dir(self.0.path()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    pub(crate) fn build(&self, options: &[&str]) -> Output {
        let arguments = ["build", "secrets.yaml", "-o", "out.erofs"];
        self.credimg().args(arguments).args(options).output().unwrap()
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
