//! The `credimg` program: parse, run, exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;
use credimg::commands;
use credimg::commands::{Cli, usage};
use credimg::host::guard;
use credimg::host::hardening;
use credimg::host::memory;
use credimg::host::panics;
use credimg::host::signals;
use credimg::report;
use credimg::report::{Exit, terminal};

/// Clears every block of the heap that is freed, whoever freed it: the YAML
/// parser's and the tar reader's copies of a secret are wiped like our own.
#[cfg(not(credimg_without_promises))]
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<Heap> = zeroizing_alloc::ZeroAlloc(HEAP);

#[cfg(not(target_env = "musl"))]
type Heap = std::alloc::System;
#[cfg(not(target_env = "musl"))]
const HEAP: Heap = std::alloc::System;

#[cfg(target_env = "musl")]
type Heap = dlmalloc::GlobalDlmalloc;
#[cfg(target_env = "musl")]
const HEAP: Heap = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    if let Some(exit) = guard::stand() {
        return exit;
    }
    panics::catch(run).unwrap_or_else(|exit| ExitCode::from(exit as u8))
}

fn run() -> ExitCode {
    if !credimg::host::KEEPS_PROMISES {
        report::warn("this program is for measurements: it keeps no promise, use it for no secret");
    }
    let words: Vec<_> = std::env::args_os().collect();
    terminal::set_colour(usage::colour(&words));
    let outcome = match Cli::try_parse_from(&words) {
        Ok(cli) => {
            memory::without_traces_of_all(|| hardening::harden().and_then(|()| commands::run(&cli)))
        }
        Err(answer) => usage::answer(answer, &words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let exit = report::print_error(&error);
            if exit == Exit::Interrupted { signals::die() } else { ExitCode::from(exit as u8) }
        }
    }
}
