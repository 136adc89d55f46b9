//! What tests of several topics need: the program in a directory of its own, machines that
//! boot, file systems that hang, and a tracer of system calls.

pub(crate) mod alone;
pub(crate) mod clock;
pub(crate) mod fuse;
pub(crate) mod host;
pub(crate) mod monitor;
pub(crate) mod places;
pub(crate) mod systemd;
#[cfg(target_arch = "x86_64")]
pub(crate) mod tracer;
pub(crate) mod wait;

use std::path::{Path, PathBuf};

/// Where `make setup` has put what is unpacked and not installed.
pub(crate) fn cache() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache");
    std::env::var_os("CREDIMG_CACHE").map_or_else(default, PathBuf::from)
}
