//! The counts of a campaign.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::judge::Finding;
use super::scenarios::Scenario;
use crate::tracer::Outcome;

/// How many examples of a finding are told.
const EXAMPLES: usize = 3;

/// Counts of runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    runs: usize,
    /// Exit code 0.
    done: usize,
    /// Another exit code.
    failed: usize,
    /// Ended by a signal.
    signalled: usize,
    /// Those that left a temporary.
    temporaries: usize,
    /// Those that did not come to the call.
    missed: usize,
    findings: usize,
}

impl Row {
    pub(super) fn new(outcome: &Outcome, is_hit: bool, temporaries: usize) -> Self {
        Self {
            runs: 1,
            done: usize::from(outcome.code() == Some(0)),
            failed: usize::from(outcome.code().is_some_and(|code| code != 0)),
            signalled: usize::from(outcome.signal().is_some()),
            temporaries: usize::from(temporaries > 0),
            missed: usize::from(!is_hit),
            findings: 0,
        }
    }

    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.done += other.done;
        self.failed += other.failed;
        self.signalled += other.signalled;
        self.temporaries += other.temporaries;
        self.missed += other.missed;
        self.findings += other.findings;
    }

    fn cells(&self) -> [usize; 7] {
        let Self { runs, done, failed, signalled, temporaries, missed, findings } = *self;
        [runs, done, failed, signalled, temporaries, missed, findings]
    }
}

/// The counts of each scenario, and what was found.
pub(super) struct Table {
    rows: Vec<(String, Row)>,
    /// By rule and what was wrong: how often, and the first examples.
    found: BTreeMap<(&'static str, String), (usize, Vec<String>)>,
}

impl Table {
    pub(super) fn new(scenarios: &[Scenario]) -> Self {
        let rows = scenarios.iter().map(|scenario| (scenario.name.clone(), Row::default()));
        Self { rows: rows.collect(), found: BTreeMap::new() }
    }

    pub(super) fn add(
        &mut self,
        scenario: usize,
        row: Row,
        findings: Vec<Finding>,
        id: &str,
        stderr: &str,
    ) {
        let row = Row { findings: usize::from(!findings.is_empty()), ..row };
        self.rows[scenario].1.add(row);
        for Finding { rule, what } in findings {
            // Names of temporaries are random.
            let what = what.split(".credimg-").next().unwrap_or_default().to_owned();
            let (count, examples) = self.found.entry((rule, what)).or_default();
            *count += 1;
            if examples.len() < EXAMPLES {
                examples.push(format!(
                    "CREDIMG_FAULT='{id}'\n      {}",
                    stderr.trim_end().replace('\n', "\n      ")
                ));
            }
        }
    }

    pub(super) fn findings(&self) -> usize {
        self.found.values().map(|(count, _)| count).sum()
    }

    /// What was found, with examples.
    pub(super) fn told(&self) -> String {
        let mut text = String::new();
        for ((rule, what), (count, examples)) in &self.found {
            let examples = examples.join("\n  ");
            writeln!(text, "{rule}: {what} ({count} times)\n  {examples}").unwrap();
        }
        text
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["runs", "exit 0", "errors", "signals", "leftovers", "missed", "found"];
        write!(f, "{:26}", "scenario")?;
        heads.iter().try_for_each(|head| write!(f, "{head:>10}"))?;
        let mut total = Row::default();
        let rows = self.rows.iter().filter(|(_, row)| row.runs > 0);
        for (name, row) in rows.inspect(|(_, row)| total.add(*row)) {
            write!(f, "\n{name:26}")?;
            row.cells().iter().try_for_each(|cell| write!(f, "{cell:>10}"))?;
        }
        write!(f, "\n{:26}", "all")?;
        total.cells().iter().try_for_each(|cell| write!(f, "{cell:>10}"))
    }
}
