//! `credimg audit`: where secrets stand inline, and what to do instead.

use serde::Serialize;

use super::audit_inputs::{self as inputs, Input};
use super::print;
use crate::audit;
use crate::cli::Audit;
use crate::report::{self, Exit, Failure};

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

pub(super) fn run(options: &Audit) -> anyhow::Result<()> {
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
    let text = if options.json {
        format!("{}\n", serde_json::to_string(&report)?)
    } else {
        report.findings.iter().map(Finding::line).collect()
    };
    print(text.as_bytes())?;
    if report.ignored > 0 {
        let plural = if report.ignored == 1 { "" } else { "s" };
        report::note(&format!("{} finding{plural} ignored, as comments want it", report.ignored));
    }
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
