//! Files that a build writes besides its image and sidecars, such as a report. They are private,
//! replaced as a whole, and never written through a link.

use std::io::Write;
use std::path::Path;

use crate::host::output::{self, OutputFile};
use crate::report::{Exit, Failure, reason};

/// Refuses a file that [`replace`] would refuse, before anything is read or run; `hint` says
/// what to do where a link stands for a descriptor, or there is a device or a FIFO.
pub(crate) fn check(path: &Path, hint: &str) -> Result<(), Failure> {
    OutputFile::check(path).map(drop).map_err(|error| with_hint(error, Some(hint)))
}

/// Replaces the content of the file by `text`.
pub(crate) fn replace(path: &Path, text: &[u8]) -> Result<(), Failure> {
    write(path, text)?.commit().map_err(|error| with_hint(error, None))
}

/// A file with this text, complete and not yet in place.
pub(crate) fn write(path: &Path, text: &[u8]) -> Result<OutputFile, Failure> {
    let write = || -> Result<OutputFile, Failure> {
        let mut file = OutputFile::create(path, output::Permissions::default())?;
        file.write_all(text).map_err(|error| {
            let failure = Failure::inside(&error).cloned();
            failure.unwrap_or_else(|| Failure::new(Exit::Output, reason(&error)))
        })?;
        Ok(file)
    };
    write().map_err(|error| with_hint(error, None))
}

/// Replaces the failure's hint, which speaks of images, unless it is about the directory.
fn with_hint(failure: Failure, hint: Option<&str>) -> Failure {
    let own = failure.hint.filter(|hint| hint.starts_with("the directory"));
    Failure { hint: own.or_else(|| hint.map(str::to_owned)), ..failure }
}
