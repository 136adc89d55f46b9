//! Checks whether the records of an image are valid, and tells what is wrong.

use credimg_formats::Error;
use credimg_formats::read::{Limits, Problem, Reader, Storage, verify, verify_volume};
use serde::Serialize;

/// Something that is wrong with an image. The field names are stable: programs read them.
#[derive(Serialize)]
pub(crate) struct Fault {
    /// The byte at which it is, counted in the image, or in what is inside an encrypted one.
    pub(crate) offset_bytes: Option<u64>,
    pub(crate) message: String,
}

impl Fault {
    /// The text for people.
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

/// Checks the whole image in `storage`, which `reader` reads. The first faults go to `each`;
/// returns how many more there are. An error ends the check.
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

/// Checks what is around the encrypted image in `storage`, as far as that is possible without its
/// key. Faults and errors are as those of [`check`].
pub(crate) fn check_volume(
    storage: &dyn Storage,
    each: &mut dyn FnMut(Fault),
) -> Result<u64, Error> {
    let problems = verify_volume(storage)?;
    problems.kept.into_iter().for_each(|problem| each(problem.into()));
    Ok(problems.more)
}
