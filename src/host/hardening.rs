//! What the process does about itself before it touches a secret.

use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

use crate::host::signals;
use crate::report::{self, Exit, Failure};

/// Turns core dumps off, also those of the commands that are run, keeps other
/// processes of the user from attaching, and prepares for signals.
pub fn harden() -> Result<(), Failure> {
    if !crate::host::KEEPS_PROMISES {
        return Ok(());
    }
    let forbidden = |error: Errno| {
        let message = format!("cannot turn core dumps off: {}", report::reason(&error.into()));
        Failure::new(Exit::Policy, message)
    };
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(forbidden)?;
    // Not zero: a dump that goes to a program by a pipe is bound by no limit but this one,
    // at which the kernel gives it up (core(5), `do_coredump`); a file has no room in it.
    match setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) }) {
        // The caller's limit is zero, and only root could lift it to one byte.
        Err(Errno::PERM) if getrlimit(Resource::Core).maximum == Some(0) => {}
        set => set.map_err(forbidden)?,
    }
    signals::install().map_err(|error| {
        let message = format!("cannot listen to signals: {}", report::reason(&error));
        Failure::new(Exit::Policy, message)
    })
}
