//! An image that is in place: what is told of it, and of what has gone wrong since.

use rustix::io::Errno;

use super::output_name::OutputName;
use crate::report::{self, Exit, Failure};

/// An image that is in place, with what has gone wrong since.
pub(super) struct Finished {
    failures: Vec<Failure>,
    /// Files of the old image that stay.
    not_removed: Vec<Failure>,
    /// The image as messages call it.
    shown: String,
    /// What messages say of it.
    hint: &'static str,
}

impl Finished {
    pub(super) fn new(
        target: &OutputName,
        failures: Vec<Failure>,
        not_removed: Vec<Failure>,
    ) -> Self {
        let hint = "the new image is in place, but a crash of the machine may undo that";
        Self { failures, not_removed, shown: target.subject.shown.clone(), hint }
    }

    /// An old image that stays in place.
    pub(super) fn of_kept(target: &OutputName) -> Self {
        let hint = target.subject.hint.unwrap_or("the image is in place");
        Self { hint, ..Self::new(target, Vec::new(), Vec::new()) }
    }

    /// Notes whether the names of the image's directory are on the disk.
    pub(super) fn synced(&mut self, outcome: Result<(), Errno>) {
        if let Err(error) = outcome {
            let message = format!(
                "cannot write the directory of {} to the disk: {}",
                self.shown,
                report::reason(&error.into())
            );
            self.failures.push(Failure::new(Exit::Output, message).hint(self.hint));
        }
    }

    /// Of several failures the first is returned; the others are printed as warnings.
    pub(super) fn outcome(self) -> Result<(), Failure> {
        let mut failures = self.failures.into_iter().chain(self.not_removed);
        let first = failures.next();
        for other in failures {
            // None of them is dropped: each may name a file with secrets that was not removed.
            report::warn(&other.message);
        }
        first.map_or(Ok(()), Err)
    }
}
