//! The `credimg` program: parse, run, exit code; nothing else.

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser;
use credimg::cli::Cli;
use credimg::report::Exit;
use credimg::{commands, hardening, report, signals};
use zeroizing_alloc::ZeroAlloc;

/// Clears every block of the heap that is freed, whoever freed it: the YAML
/// parser's and the tar reader's copies of a secret are wiped like our own.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = hardening::harden().and_then(|()| commands::run(&cli));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match report::print_error(&error) {
            Exit::Interrupted => signals::die(),
            exit => ExitCode::from(exit as u8),
        },
    }
}
