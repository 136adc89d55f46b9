//! `command:` and `shell:` sources, and pseudo definitions with a command: a program whose output
//! is the file.
//!
//! The program runs in the manifest's directory with little of credimg's environment, no
//! input and a process group of its own. When it is done, or has failed, every
//! process left in that group is killed, and by a guard when this process dies before: nothing
//! that handles secrets outlives the build. Only a daemon that leaves the group is not followed.
//!
//! `queue` decides which programs run and when, `running` is one of them.

mod queue;
mod running;

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

pub(crate) use self::queue::Commands;
use crate::report::{Exit, Failure, shown};
use crate::sources::environment;

/// What commands are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one command may run.
    pub timeout: Duration,
    /// How much it may print, in bytes.
    pub output_max_bytes: usize,
    /// Whether its standard error is shown. It is hidden by default, as it may hold secrets.
    pub show_stderr: bool,
    /// How many commands may run at a time. Where it is one, each runs at its turn; else all of
    /// them are run when the first has its turn.
    pub jobs: usize,
    /// The program `credimg`, which stands guard over each command: [`crate::host::guard`].
    pub guard: &'static Path,
}

impl Limits {
    /// How long a command may run unless told otherwise, in seconds.
    pub const TIMEOUT_SECONDS: u32 = 30;
    /// How much any command may print, in bytes.
    pub const OUTPUT_MAX_BYTES: usize = 16 << 20;
    /// How many commands run at a time unless told otherwise.
    pub const JOBS: u8 = 4;
    /// How many commands can run at a time at most: each takes two processes and two pipes.
    pub const JOBS_MAX: u8 = 64;

    /// What a command is granted unless told otherwise, under this guard.
    pub fn new(guard: &'static Path) -> Self {
        let timeout = Duration::from_secs(Self::TIMEOUT_SECONDS.into());
        Self {
            timeout,
            output_max_bytes: Self::OUTPUT_MAX_BYTES,
            show_stderr: false,
            jobs: usize::from(Self::JOBS),
            guard,
        }
    }
}

/// What is run.
struct Program<'a> {
    /// The program and its arguments.
    argv: Cow<'a, [OsString]>,
    /// The working directory.
    directory: &'a Path,
    /// Whether it was written for a shell.
    is_shell: bool,
    /// Whether one trailing newline of its output is dropped.
    trim: bool,
}

impl Program<'_> {
    /// A failure that names the program and never its arguments, not even
    /// where they stand in one word with it by mistake.
    fn failure(&self, what: &str) -> Failure {
        Failure::new(Exit::Command, format!("{} {what}", self.name())).hint(format!(
            "`--command-stderr` shows what it says on standard error; {}",
            environment::HINT
        ))
    }

    /// The program's name.
    fn name(&self) -> String {
        let is_word = |name: &OsString| !name.as_bytes().iter().any(u8::is_ascii_whitespace);
        match self.argv.first().filter(|name| is_word(name)) {
            _ if self.is_shell => "the shell command".to_owned(),
            Some(program) => shown(Path::new(program)),
            None => "the command".to_owned(),
        }
    }
}

/// The failure of a command's file where nothing has asked for its output: never an empty file.
pub(super) fn not_run() -> Failure {
    Failure::new(Exit::Command, "its command was not run")
}
