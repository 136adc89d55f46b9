//! What runs before a virtual machine boots: the unit, the hook, the Makefile
//! fragment, and the options of a build that they use, all run for real.

mod apparmor;
mod depfile;
mod environment;
mod fleet;
pub(crate) mod hooks;
mod if_changed;
mod install;
mod machine;
mod makefile;
mod memory;
mod order;
mod restore;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::host::{CREDIMG, Host, assert_done, stderr};

const UUID: &str = "12345678-9abc-4def-8012-3456789abcde";

/// The file that a script or a unit of this repository is.
fn preboot(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/preboot").join(name)
}
