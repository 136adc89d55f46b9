//! A process that stands guard over a command: it kills the command's process group when the
//! builder has died without doing so, as by SIGKILL.
//!
//! The guard is this program once more, under the name `credimg-guard`. It is the leader of a
//! process group, which the command joins before it becomes its program, and waits for the end
//! of a pipe that the builder alone holds. The end comes when nobody is left who holds it: not
//! the builder, nor a child of it that is not yet its program, as only that closes the pipe.
//! So no instant is left at which a command can be missed.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{
    Pid, Signal, getpgrp, getpid, kill_current_process_group, kill_process_group,
};
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};

/// What the running program itself is called.
pub const OWN_PROGRAM: &str = "/proc/self/exe";
/// By this name the program is a guard and nothing else.
const NAME: &str = "credimg-guard";
/// What a command may send to its whole group, or a terminal to one that reads from it.
const NOT_HEEDED: [i32; 10] =
    [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2];

/// The builder's side. Dropped, it kills the group and the guard with it.
#[derive(Debug)]
pub(crate) struct Guard {
    /// The leader. It is reaped last: until then the group's number belongs to nobody else.
    /// It holds the pipe as well.
    leader: Child,
}

impl Guard {
    /// Starts a guard, which is `program`: this one, by whatever path.
    pub(crate) fn start(program: &Path) -> io::Result<Self> {
        let leader = Command::new(program)
            .arg0(NAME)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { leader })
    }

    /// The process group that commands join.
    pub(crate) fn group(&self) -> Pid {
        Pid::from_child(&self.leader)
    }

    /// Kills everything in the group.
    pub(crate) fn kill(&self) {
        // No error of it matters: the group is gone, or belongs to another user.
        let _ = kill_process_group(self.group(), Signal::KILL);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill();
        // It runs as this user, so that it is gone at once.
        let _ = self.leader.wait();
    }
}

/// Is the guard, and returns when there is nothing to guard any more, where this process was
/// started as one. To be asked before anything else.
pub fn stand() -> Option<ExitCode> {
    if std::env::args_os().next().as_deref() != Some(OsStr::new(NAME)) {
        return None;
    }
    // Whoever starts it by hand shall not lose the group that he is in.
    if getpgrp() != getpid() {
        return Some(ExitCode::FAILURE);
    }
    for signal in NOT_HEEDED {
        // Where the system refuses, the guard just falls to such a signal.
        let _ = signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    // Nothing is ever written to the pipe, so that this is its end.
    let _ = io::stdin().read(&mut [0]);
    let _ = kill_current_process_group(Signal::KILL);
    Some(ExitCode::FAILURE)
}
