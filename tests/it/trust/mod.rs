//! Root, and what other users of the host own or can write: by real owners, groups and users.

mod fleets;
mod links;
mod manifests;
mod readers;
mod sources;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

use crate::support::host::{Host, stderr, stdout};

/// A user without rights, and a group.
const OTHER: u32 = 4242;

/// Every command that takes a manifest.
const COMMANDS: [&[&str]; 5] = [
    &["build", "secrets.yaml", "-o", "out.erofs"],
    &["check", "secrets.yaml"],
    &["guest-unit", "secrets.yaml"],
    &["exec", "secrets.yaml", "--", "true"],
    &["seal", "secrets.yaml", "-o", "share/out.age", "--key-out", "key"],
];

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn own(path: &Path, uid: u32, gid: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
}

/// Runs a shell script as another user, in the directory of `host`.
fn as_other(host: &Host, script: &str) -> Output {
    let id = OTHER.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "sh", "-ec", script]);
    command.current_dir(host.path("")).output().unwrap()
}

/// Exit code and standard error, in which the directory of `host` is called `@`.
fn said(host: &Host, output: &Output) -> (Option<i32>, String) {
    let directory = host.path("");
    let directory = directory.to_str().unwrap().trim_end_matches('/');
    (output.status.code(), stderr(output).replace(directory, "@"))
}
