//! What an error tells of the old image, or blob, that a failed run has left in place.

use std::path::Path;

use super::files;
use crate::report::{Exit, Failure};

/// Completes an error that came before `path` was replaced; messages call it `what`. If the
/// error is about the output, and an old file is there, its hint says that this is unchanged.
pub(crate) fn early(path: &Path, what: &str, failure: Failure) -> Failure {
    let has_old = || {
        let old = std::fs::symlink_metadata(path);
        !files::is_streamed(path) && old.is_ok_and(|old| old.is_file())
    };
    if failure.exit == Exit::Output && has_old() { unchanged(what, failure) } else { failure }
}

/// Adds to an error's hint that the old file, which messages call `what`, is unchanged.
pub(crate) fn unchanged(what: &str, failure: Failure) -> Failure {
    let note = format!("the old {what} is unchanged");
    let hint = match failure.hint {
        Some(hint) if hint.contains(&note) => hint,
        Some(hint) => format!("{hint}; {note}"),
        None => note,
    };
    Failure { hint: Some(hint), ..failure }
}

#[cfg(feature = "seal")]
/// Puts `what` in place of the word "image" in an error's hint, for outputs that are no images.
pub(crate) fn of(what: &str, failure: Failure) -> Failure {
    Failure { hint: failure.hint.map(|hint| hint.replace("image", what)), ..failure }
}
