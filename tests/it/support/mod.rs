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
pub(crate) mod users;
pub(crate) mod wait;

pub(crate) use crate::formats::host::cache;
