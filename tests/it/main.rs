//! The tests of the program from outside, and of the crate where only it can be asked. Each
//! module is a topic.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a panic is how a test fails, its numbers are small, and campaigns print their counts"
)]

mod audit;
mod automation;
mod boots;
mod channels;
mod cli;
mod documents;
mod encryption;
mod examples;
mod exec;
mod fleet;
#[expect(dead_code, reason = "image writers need more of it")]
#[path = "../../formats/tests/it/support/mod.rs"]
mod formats;
mod initrd;
mod leaks;
#[cfg(feature = "long")]
mod long;
mod look;
mod manifest;
mod manual;
#[cfg(target_arch = "x86_64")]
mod memory;
mod output;
mod probe;
mod pseudo;
mod qemu_args;
mod races;
mod seal;
mod setup;
mod signature;
mod sources;
mod support;
mod targets;
mod tidy;
mod trust;
mod verity;
