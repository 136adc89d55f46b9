//! What fails, is interrupted or is killed leaves whole files, and says what is true.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod campaign;
mod disks;
mod done;
mod memory;
mod orphans;
mod output;
mod panics;
mod tracing;

#[path = "../it/support/tracer.rs"]
mod tracer;
