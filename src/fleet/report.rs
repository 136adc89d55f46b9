//! What a run of a fleet tells at its end: a line for people or a JSON object for programs.

use serde::Serialize;

use super::run::Order;
use crate::job::summary::Summary;
use crate::monitors::Attachment;
use crate::report::{Exit, Failure, json};

/// What the report says of an image that is in place.
#[derive(Serialize)]
pub(super) struct Told {
    pub(super) size_bytes: u64,
    /// What stands for the whole image, where it has a hash tree, and where that begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    root_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_offset_bytes: Option<u64>,
    /// The paths of the private files beside the image.
    pub(super) sidecars: Vec<String>,
    #[serde(flatten)]
    attachment: Attachment,
    #[serde(skip)]
    is_kept: bool,
}

impl Told {
    pub(super) fn new(summary: Summary, attachment: Attachment) -> Self {
        let is_kept = summary.changed == Some(false);
        let Summary { size_bytes, root_hash, hash_offset_bytes, delivery, .. } = summary;
        let sidecars = delivery.sidecars;
        Self { size_bytes, root_hash, hash_offset_bytes, sidecars, attachment, is_kept }
    }
}

/// What came of a machine.
pub(super) enum Outcome {
    New(Option<Box<Told>>),
    Kept(Option<Box<Told>>),
    Failed(Box<Failure>),
    /// A signal came before its image was in place.
    Interrupted,
}

impl Outcome {
    /// Without a report nothing of an image is kept.
    pub(super) fn new(outcome: Result<Told, Failure>, is_reported: bool) -> Self {
        match outcome {
            Ok(told) => {
                let is_kept = told.is_kept;
                let told = is_reported.then(|| Box::new(told));
                if is_kept { Self::Kept(told) } else { Self::New(told) }
            }
            Err(failure) if failure.exit == Exit::Interrupted => Self::Interrupted,
            Err(failure) => Self::Failed(Box::new(failure)),
        }
    }
}

/// What came of a machine, and its warnings.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) warnings: Vec<String>,
}

/// What came of each machine of an order; none of machines that were not begun.
pub(crate) struct Report {
    all: Vec<Option<Ended>>,
    counts: Counts,
}

/// How many machines ended in each way.
#[derive(Default, Serialize)]
struct Counts {
    new: usize,
    kept: usize,
    failed: usize,
    interrupted: usize,
    not_begun: usize,
}

/// The report for programs. The field names are stable.
#[derive(Serialize)]
struct Printed<'a> {
    fleet: String,
    #[serde(flatten)]
    counts: &'a Counts,
    machines: Vec<OfMachine<'a>>,
}

#[derive(Serialize)]
struct OfMachine<'a> {
    name: &'a str,
    output: String,
    result: &'static str,
    #[serde(flatten)]
    told: Option<&'a Told>,
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
}

impl Report {
    pub(super) fn new(all: Vec<Option<Ended>>) -> Self {
        let mut counts = Counts::default();
        for ended in &all {
            let count = match ended.as_ref().map(|it| &it.outcome) {
                None => &mut counts.not_begun,
                Some(Outcome::New(_)) => &mut counts.new,
                Some(Outcome::Kept(_)) => &mut counts.kept,
                Some(Outcome::Failed(_)) => &mut counts.failed,
                Some(Outcome::Interrupted) => &mut counts.interrupted,
            };
            *count += 1;
        }
        Self { all, counts }
    }

    /// The line for people.
    pub(crate) fn line(&self) -> String {
        let Counts { new, kept, failed, interrupted, not_begun } = self.counts;
        let wrote = format!("wrote {new} image{}", if new == 1 { "" } else { "s" });
        let others = [
            (kept, "kept"),
            (failed, "failed"),
            (interrupted, "interrupted"),
            (not_begun, "not begun"),
        ];
        let others = others.into_iter().filter(|(count, _)| *count > 0);
        let others = others.map(|(count, what)| format!(", {count} {what}"));
        std::iter::once(wrote).chain(others).collect()
    }

    /// The exit code of the first machine that has failed; none where all are built.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let exit = |ended: &Option<Ended>| match ended.as_ref().map(|it| &it.outcome) {
            None | Some(Outcome::New(_) | Outcome::Kept(_) | Outcome::Interrupted) => None,
            Some(Outcome::Failed(failure)) => Some(failure.exit),
        };
        self.all.iter().find_map(exit)
    }

    /// The report for programs.
    pub(crate) fn json(&self, order: &Order) -> Result<Vec<u8>, Failure> {
        let mut machines = Vec::with_capacity(self.all.len());
        for (place, ended) in self.all.iter().enumerate() {
            let Some(machine) = order.machine(place) else { continue };
            let output = json::path(&order.output.of(machine)?);
            let mut of_machine = OfMachine {
                name: &machine.name,
                output,
                result: "not begun",
                told: None,
                warnings: ended.as_ref().map_or(&[], |ended| &ended.warnings),
                error: None,
                hint: None,
                exit_code: None,
            };
            match ended.as_ref().map(|it| &it.outcome) {
                None => {}
                Some(Outcome::New(told)) => {
                    (of_machine.result, of_machine.told) = ("new", told.as_deref());
                }
                Some(Outcome::Kept(told)) => {
                    (of_machine.result, of_machine.told) = ("kept", told.as_deref());
                }
                Some(Outcome::Interrupted) => of_machine.result = "interrupted",
                Some(Outcome::Failed(failure)) => {
                    of_machine.result = "failed";
                    of_machine.error = Some(&failure.message);
                    of_machine.hint = failure.hint.as_deref();
                    of_machine.exit_code = Some(failure.exit as u8);
                }
            }
            machines.push(of_machine);
        }
        let fleet = json::path(order.fleet.path());
        json::line(&Printed { fleet, counts: &self.counts, machines })
    }
}
