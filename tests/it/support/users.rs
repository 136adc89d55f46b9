//! Real users of this host, for a test whose process has mounts of its own.

use std::path::Path;
use std::process::{Command, Output};

use rustix::mount::{MountFlags, mount};
use tempfile::TempDir;

use super::host::stdout;

/// Lets this process's mounts have users that the host does not keep: `/etc` is written to in
/// memory. The directory has to stay as long as they are needed.
pub(crate) fn temporary_users() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let layers = directory.path();
    mount("tmpfs", layers, "tmpfs", MountFlags::empty(), None).unwrap();
    for layer in ["upper", "work"] {
        std::fs::create_dir(layers.join(layer)).unwrap();
    }
    let shown = layers.display();
    let options = format!("lowerdir=/etc,upperdir={shown}/upper,workdir={shown}/work\0");
    let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).unwrap();
    mount("overlay", "/etc", "overlay", MountFlags::empty(), Some(options)).unwrap();
    directory
}

/// Runs a program of the host, which has to succeed.
#[track_caller]
pub(crate) fn done(program: &[&str]) -> Output {
    let output = Command::new(program[0]).args(&program[1..]).output().unwrap();
    assert!(output.status.success(), "{program:?}: {output:?}");
    output
}

/// Makes a user with a group of its own.
pub(crate) fn add_user(name: &str) {
    done(&["useradd", "--system", "--user-group", "--no-log-init", name]);
}

/// What id(1) says of a user.
pub(crate) fn id(option: &str, user: &str) -> u32 {
    stdout(&done(&["id", option, user])).trim().parse().unwrap()
}

/// Whether a user, with all of its groups, can do what a shell script does in `directory`.
pub(crate) fn can(user: &str, directory: &Path, script: &str) -> bool {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--init-groups", "sh", "-c", script]);
    command.current_dir(directory).output().unwrap().status.success()
}
