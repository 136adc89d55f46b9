//! `credimg probe`: starts the machine that arguments describe, and says what arrives in it of all
//! that is sent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use serde::Serialize;

use super::exec::{InMemory, Invocation, make_machine};
use super::options::{Attach, Recipe};
use super::print;
use crate::probe::{self, Judged, Setup, Verdict};
use crate::report::{self, Exit, Failure, json, line};

#[derive(Args, Debug)]
#[command(override_usage = "credimg probe [MANIFEST] [OPTIONS] -- <QEMU> [ARG]...")]
#[command(after_help = "\
The machine starts as its arguments say, but with a kernel and a program of credimg's: its own disks
stay away, and a machine that runs is not disturbed. Exit code 1 says that something is lost.

Without MANIFEST the arguments name what is sent; options of an image count with one alone.

Examples:
  # What arrives of an image that is built, by the arguments that attach it
  credimg probe --kernel vmlinuz -- qemu-system-x86_64 -m 1G $(credimg args chimera.erofs)")]
pub struct Probe {
    /// The manifest of what is sent; without it the arguments name everything
    #[arg(value_name = "MANIFEST", value_hint = ValueHint::FilePath)]
    pub manifest: Option<PathBuf>,
    /// Kernel that the machine starts, a bzImage or for Arm an Image [default: that of this host]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kernel: Option<PathBuf>,
    /// Directory of the kernel's modules, as /lib/modules/6.1.0-57-amd64 [default: beside the
    /// kernel, or among those of this host]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub modules: Option<PathBuf>,
    /// Program that the machine starts, for a guest of another processor [default: what is
    /// installed with credimg]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub init: Option<PathBuf>,
    /// Seconds that the machine may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub timeout: u32,
    /// Print a JSON report
    #[arg(long)]
    pub json: bool,
    /// Print no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// QEMU and the machine's own arguments
    #[arg(value_name = "QEMU", last = true, required = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
    /// What is made, and of what.
    #[command(flatten)]
    pub recipe: Recipe,
    /// How the image is attached.
    #[command(flatten)]
    pub attach: Attach,
}

/// The report for programs. The field names are stable.
#[derive(Serialize)]
struct Report {
    sent: usize,
    arrived: usize,
    things: Vec<Thing>,
    warnings: Vec<String>,
}

/// One thing that was sent.
#[derive(Serialize)]
struct Thing {
    name: String,
    channel: &'static str,
    /// None where the probe's kernel could not look for it.
    arrived: Option<bool>,
    reason: Option<String>,
}

pub(super) fn run(options: &Probe) -> Result<(), Failure> {
    let Probe { command, recipe, attach, quiet, .. } = options;
    let invocation = Invocation::new(command)?;
    let made = match &options.manifest {
        Some(manifest) => {
            let wanted = InMemory { manifest, quiet: *quiet, command, recipe, attach };
            Some(make_machine(&wanted, &invocation)?)
        }
        None => None,
    };
    let mut words = command.clone();
    if let Some(made) = &made {
        words.truncate(1);
        words.extend(made.words.iter().cloned());
        made.pass_on()?;
    }
    let standing = line::begin(!quiet);
    let judged = probe::run(&Setup {
        words: &words,
        hidden: made.as_ref().map(|made| made.variables.as_slice()).unwrap_or_default(),
        kernel: options.kernel.clone(),
        modules: options.modules.clone(),
        init: options.init.clone(),
        timeout: Duration::from_secs(options.timeout.into()),
    })?;
    drop(standing);
    let arrived = judged.iter().filter(|one| one.verdict == Verdict::Arrived).count();
    if options.json {
        print(&json::line(&Report {
            sent: judged.len(),
            arrived,
            things: judged.iter().map(thing).collect(),
            warnings: report::warnings(),
        })?)?;
    } else {
        print(text(&judged, arrived).as_bytes())?;
    }
    if arrived == judged.len() { Ok(()) } else { Err(Failure::silent(Exit::Different)) }
}

/// One thing that was sent, for the report.
fn thing(judged: &Judged) -> Thing {
    let (arrived, reason) = match &judged.verdict {
        Verdict::Arrived => (Some(true), None),
        Verdict::Lost(reason) => (Some(false), Some(reason.clone())),
        Verdict::Unseen(reason) => (None, Some(reason.clone())),
    };
    Thing { name: judged.name.clone(), channel: judged.carrier.name(), arrived, reason }
}

/// The text for people: how many things have arrived, then a line for each that has not.
fn text(judged: &[Judged], arrived: usize) -> String {
    let first = format!("{} sent, {arrived} arrived\n", judged.len());
    let lines = judged.iter().filter_map(|Judged { name, carrier, verdict }| {
        let (fate, reason) = match verdict {
            Verdict::Arrived => return None,
            Verdict::Lost(reason) => ("lost", reason),
            Verdict::Unseen(reason) => ("not looked at", reason),
        };
        Some(format!("{fate}: {name}, by {} ({reason})\n", carrier.name()))
    });
    std::iter::once(first).chain(lines).collect()
}
