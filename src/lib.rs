//! The library behind the `credimg` program: one manifest in, one read-only
//! secrets disk and the virtual machine's arguments out. ARCHITECTURE.md says
//! how the modules fit together.

#![warn(clippy::disallowed_methods)]

pub mod audit;
pub mod commands;
pub mod delivery;
pub mod fleet;
#[doc(hidden)]
pub mod fuzzing;
pub mod host;
pub mod job;
pub mod keys;
mod look;
pub mod manifest;
mod manual;
pub mod monitors;
pub mod probe;
pub mod report;
#[cfg(feature = "seal")]
pub mod seal;
pub mod sources;
