//! One file a subcommand: load, call, print.

pub mod check;
