//! The program in a directory of its own, for tests from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The program under test.
pub(crate) const CREDIMG: &str = env!("CARGO_BIN_EXE_credimg");

/// Copies the program. Another process does so: a file that a test itself has open for writing is
/// busy in every process that another test starts at that moment, and none can run it then.
pub(crate) fn copy_program(to: impl AsRef<Path>) {
    let copied = Command::new("cp").arg(CREDIMG).arg(to.as_ref()).status().unwrap();
    assert!(copied.success(), "{copied}");
}

/// A directory that goes away with the test, in which the program runs.
pub(crate) struct Host(TempDir);

impl Host {
    /// With the manifest `secrets.yaml`.
    pub(crate) fn new(manifest: &str) -> Self {
        let host = Self::empty();
        host.write("secrets.yaml", manifest);
        host
    }

    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// On the file system of `directory`.
    pub(crate) fn within(directory: impl AsRef<Path>) -> Self {
        Self(tempfile::tempdir_in(directory).unwrap())
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and what is missing above it.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a file that only its owner reads.
    pub(crate) fn private(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::set_permissions(self.write(name, content), PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// Makes a device, a FIFO or a socket.
    pub(crate) fn node(&self, name: &str, kind: rustix::fs::FileType) -> PathBuf {
        let path = self.path(name);
        let device = rustix::fs::makedev(1, 5);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, 0o600.into(), device).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// A program, about to run in the directory.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(self.0.path()).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    pub(crate) fn credimg(&self) -> Command {
        self.command(CREDIMG)
    }

    /// Runs the program with these arguments, which no white space is in.
    pub(crate) fn run(&self, arguments: &str) -> Output {
        self.credimg().args(arguments.split(' ')).output().unwrap()
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

#[track_caller]
pub(crate) fn assert_done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}
