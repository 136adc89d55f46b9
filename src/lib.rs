//! The library behind the `credimg` program: one manifest in, one read-only
//! secrets disk and the virtual machine's arguments out. ARCHITECTURE.md says
//! how the modules fit together.

pub mod commands;
pub mod manifest;
pub mod output;
pub mod report;
pub mod signals;
pub mod vm;
