//! The library behind the `credimg` program: one manifest in, one read-only
//! secrets disk and the virtual machine's arguments out. ARCHITECTURE.md says
//! how the modules fit together.

#![warn(clippy::disallowed_methods)]

pub mod assemble;
pub mod audit;
pub mod channels;
pub mod cli;
pub mod commands;
pub mod depfile;
#[doc(hidden)]
pub mod fuzzing;
pub mod hardening;
pub mod host;
pub mod input;
pub mod keys;
pub mod manifest;
pub mod output;
pub mod panics;
pub mod progress;
mod rehearsal;
pub mod report;
pub mod seal;
pub mod signals;
pub mod source;
pub mod vm;

/// Whether the program keeps its promises about the disk, other users and what is left in
/// memory: always, but in a build with `--cfg credimg_without_promises`, by which `make bench`
/// learns what they cost.
pub const KEEPS_PROMISES: bool = !cfg!(credimg_without_promises);
