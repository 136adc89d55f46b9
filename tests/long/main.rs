//! What takes over a minute: campaigns over many machines, kernels and sizes. `make
//! test-long` runs them; `make test` has a small part of each.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../support/host.rs"]
#[expect(dead_code, reason = "other programs use more of it")]
mod host;
mod kernels;
mod libvirt;
mod machines;
mod placement;
#[path = "../support/places.rs"]
mod places;
#[path = "../support/systemd.rs"]
mod systemd;
