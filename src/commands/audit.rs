//! `credimg audit`: where secrets stand inline, and what to do instead.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;

use super::print;
use crate::audit::{self, FILE_MAX_BYTES};
use crate::cli::Audit;
use crate::report::{self, Exit, Failure, reason, shown};
use crate::source;

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

pub(super) fn run(options: &Audit) -> anyhow::Result<()> {
    let mut report = Report::default();
    let mut unreadable = None;
    for path in &options.files {
        match read(path) {
            Ok(text) => report.add(path, &text),
            // The other files are looked at all the same.
            Err(failure) => {
                if let Some(earlier) = unreadable.replace(failure) {
                    report::warn(&earlier.message);
                }
            }
        }
    }
    let text = if options.json {
        format!("{}\n", serde_json::to_string(&report)?)
    } else {
        report.findings.iter().map(Finding::line).collect()
    };
    print(text.as_bytes())?;
    let count = report.findings.len() + report.left_off;
    if count == 0 {
        return unreadable.map_or(Ok(()), |failure| Err(failure.into()));
    }
    if let Some(failure) = unreadable {
        report::warn(&failure.message);
    }
    let plural = if count == 1 { "" } else { "s" };
    Err(Failure::new(Exit::Policy, format!("{count} inline secret{plural} found"))
        .hint("what stood there may be known by now: replace it as well")
        .into())
}

impl Report {
    fn add(&mut self, path: &Path, text: &[u8]) {
        self.files += 1;
        let found = audit::audit(text);
        let file = if path == Path::new("-") { "standard input".to_owned() } else { shown(path) };
        let left_off = found.len().saturating_sub(FINDINGS_MAX);
        if left_off > 0 {
            let verb =
                if left_off == 1 { "finding of {file} is" } else { "findings of {file} are" };
            report::warn(&format!("{left_off} {} not listed", verb.replace("{file}", &file)));
        }
        self.left_off += left_off;
        self.findings.extend(found.iter().take(FINDINGS_MAX).map(|found| Finding {
            file: file.clone(),
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

/// Reads a file, or standard input for `-`, up to the limit.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = shown(path);
    let mut text = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin().lock().take(FILE_MAX_BYTES + 1).read_to_end(&mut text)
    } else {
        // Its hints speak of manifests. A process's command line is a regular file of size 0.
        let (file, _): (File, _) = source::open_file(path)
            .map_err(|failure| Failure::new(Exit::Source, failure.message))?;
        file.take(FILE_MAX_BYTES + 1).read_to_end(&mut text)
    };
    result.map_err(|error| {
        Failure::new(Exit::Source, format!("cannot read {name}: {}", reason(&error)))
    })?;
    if text.len() as u64 > FILE_MAX_BYTES {
        let message = format!("{name} is too large: more than {FILE_MAX_BYTES} bytes");
        return Err(Failure::new(Exit::Source, message));
    }
    Ok(text)
}
