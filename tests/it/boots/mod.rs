//! Boots of real guests: a bare Linux, Debian with systemd, and cloud-init. They are one
//! program, so that two of them run at a time: a guest has one processor.

mod cloud_init;
mod firmware;
mod fleet;
mod guest;
mod machines;
mod placement;
mod systemd_guest;
