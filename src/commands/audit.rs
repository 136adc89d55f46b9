//! `credimg audit`: where secrets stand inline, and what to do instead.

mod inputs;

use std::path::PathBuf;

use clap::{Args, ValueHint};
use serde::Serialize;

use self::inputs::Input;
use super::print;
use crate::audit;
use crate::report::verbose::Step;
use crate::report::{self, Exit, Failure, json, line};

#[derive(Args, Debug)]
#[command(after_help = "\
Each line of output is FILE:LINE:COLUMN: RULE: WHY; instead: SAFE FORM. What was found is not shown.
Of a directory every regular file is looked at, in the order of the names; links are not followed,
and files that are no text are passed over. A comment `credimg: ignore [RULE…] [-- WHY]` on a line,
or above it, lets what stands there pass.

Exit codes: 0 nothing found, 5 something found, 4 nothing found but a file is not readable.

Examples:
  credimg audit start-vm.sh
  credimg audit /etc/libvirt /etc/systemd/system
  # The arguments of the monitors that run now
  credimg audit --running
  credimg audit --pid $(pidof qemu-system-x86_64)
  virsh dumpxml chimera | credimg audit --json -")]
pub struct Audit {
    /// A shell or Python script, systemd unit, libvirt XML, JSON, YAML, cloud-config, Proxmox
    /// or mkosi configuration, kickstart, preseed, log, `ps` listing, journal export or
    /// /proc/PID/cmdline, at most 16 MiB; a directory of such; or - for standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["running", "pids"],
        value_hint = ValueHint::AnyPath)]
    pub files: Vec<PathBuf>,
    /// Look at the arguments of every virtual machine monitor that runs on this host, and of
    /// what started it, as far as the caller may see them
    #[arg(long)]
    pub running: bool,
    /// Look at the arguments of these processes
    #[arg(long = "pid", value_name = "PID", num_args = 1.., value_parser = process)]
    pub pids: Vec<u32>,
    /// Print a JSON object instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Findings of one file that are listed; a file that has more is beyond listing.
const FINDINGS_MAX: usize = 1000;

/// The JSON report. Its members and the names of the rules stay as they are;
/// others may be added.
#[derive(Default, Serialize)]
struct Report {
    /// Files that were looked at.
    files: usize,
    findings: Vec<Finding>,
    /// Findings that are not listed, because their file has too many.
    left_off: usize,
    /// Findings that comments let pass.
    ignored: usize,
    /// Files of directories that are no text.
    skipped: usize,
}

#[derive(Serialize)]
struct Finding {
    file: String,
    line: usize,
    column: usize,
    rule: &'static str,
    why: &'static str,
    instead: &'static str,
}

pub(super) fn run(options: &Audit) -> Result<(), Failure> {
    let (standing, step) = (line::begin(true), Step::begin());
    let mut report = Report::default();
    let mut unreadable: Option<Failure> = None;
    inputs::read(options, &mut |input| match input {
        Ok(Input::Text { name, text }) => report.add(&name, &text),
        Ok(Input::NoText) => report.skipped += 1,
        // The others are looked at all the same.
        Err(failure) => {
            if let Some(earlier) = unreadable.replace(failure) {
                report::warn(&earlier.message);
            }
        }
    });
    drop(standing);
    step.end(|| format!("looked at {} files, passed over {}", report.files, report.skipped));
    let text = if options.json {
        json::line(&report)?
    } else {
        report.findings.iter().map(Finding::line).collect::<String>().into_bytes()
    };
    print(&text)?;
    if report.ignored > 0 {
        let plural = if report.ignored == 1 { "" } else { "s" };
        report::note(&format!("{} finding{plural} ignored, as comments want it", report.ignored));
    }
    let count = report.findings.len() + report.left_off;
    if count == 0 {
        return unreadable.map_or(Ok(()), Err);
    }
    if let Some(failure) = unreadable {
        report::warn(&failure.message);
    }
    let plural = if count == 1 { "" } else { "s" };
    Err(Failure::new(Exit::Policy, format!("{count} inline secret{plural} found"))
        .hint("what stood there may be known by now: replace it as well"))
}

/// A process of `--pid`, which takes every word behind it.
fn process(text: &str) -> Result<u32, String> {
    let expected = "expected the number of a process; files stand in front of --pid";
    text.parse().map_err(|_| expected.to_owned())
}

impl Report {
    fn add(&mut self, file: &str, text: &[u8]) {
        self.files += 1;
        let judgement = audit::audit(text);
        let found = judgement.findings;
        self.ignored += judgement.ignored;
        for line in judgement.unknown_rules {
            report::warn(&format!("{file}:{line}: the comment holds what is no rule's name"));
        }
        let left_off = found.len().saturating_sub(FINDINGS_MAX);
        if left_off > 0 {
            let verb =
                if left_off == 1 { "finding of {file} is" } else { "findings of {file} are" };
            report::warn(&format!("{left_off} {} not listed", verb.replace("{file}", file)));
        }
        self.left_off += left_off;
        self.findings.extend(found.iter().take(FINDINGS_MAX).map(|found| Finding {
            file: file.to_owned(),
            line: found.line,
            column: found.column,
            rule: found.rule.name(),
            why: found.rule.why(),
            instead: found.rule.instead(),
        }));
    }
}

impl Finding {
    fn line(&self) -> String {
        let Self { file, line, column, rule, why, instead } = self;
        format!("{file}:{line}:{column}: {rule}: {why}; instead: {instead}\n")
    }
}
