//! What takes over a minute: campaigns over many machines, kernels and sizes. `make
//! test-long` runs them; `make test` has a small part of each.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod libvirt;
mod machines;
#[path = "../support/systemd.rs"]
mod systemd;
