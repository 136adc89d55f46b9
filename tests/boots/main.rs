//! Boots of real guests: a bare Linux, Debian with systemd, and cloud-init. They are one
//! program, so that two of them run at a time: a guest has one processor.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod cloud_init;
mod firmware;
mod guest;
#[path = "../support/host.rs"]
mod host;
mod machines;
mod placement;
#[path = "../support/places.rs"]
mod places;
#[path = "../support/systemd.rs"]
mod systemd;
mod systemd_guest;
