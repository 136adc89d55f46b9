//! Whether the records of an image are valid, and what is told where they are not.

use credimg_formats::Error;
use credimg_formats::read::{Limits, Problem, Reader, Storage, verify, verify_volume};
use serde::Serialize;

/// Something that is wrong with an image. The field names are stable: programs read them.
#[derive(Serialize)]
pub(crate) struct Fault {
    /// Where, as a byte of the image or of what is inside an encrypted one.
    pub(crate) offset_bytes: Option<u64>,
    pub(crate) message: String,
}

impl Fault {
    /// For people.
    pub(crate) fn text(&self) -> String {
        match self.offset_bytes {
            Some(offset_bytes) => format!("byte {offset_bytes}: {}", self.message),
            None => self.message.clone(),
        }
    }
}

impl From<Problem> for Fault {
    fn from(Problem { offset_bytes, message }: Problem) -> Self {
        Self { offset_bytes, message }
    }
}

/// Goes through the whole image of `reader`, which is in `storage`, and gives the first faults
/// to `each`; returns how many more there are. An error is what ends that.
pub(crate) fn check(
    reader: &dyn Reader,
    storage: &dyn Storage,
    limits: Limits,
    each: &mut dyn FnMut(Fault),
) -> Result<u64, Error> {
    let report = verify(reader, storage, limits)?;
    report.problems.kept.into_iter().for_each(|problem| each(problem.into()));
    Ok(report.problems.more)
}

/// Goes through what is around the encrypted image in `storage`, as far as that goes without
/// its key. As [`check`] otherwise.
pub(crate) fn check_volume(
    storage: &dyn Storage,
    each: &mut dyn FnMut(Fault),
) -> Result<u64, Error> {
    let problems = verify_volume(storage)?;
    problems.kept.into_iter().for_each(|problem| each(problem.into()));
    Ok(problems.more)
}
