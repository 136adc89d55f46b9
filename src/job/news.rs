//! What an error says of the old image, or blob, which is still in place.

use std::path::Path;

use super::files;
use crate::report::{Exit, Failure};

/// An error that came before anything of `path`, which messages call `what`, was replaced.
/// One of the output says that the old one is as it was, if there is one.
pub(crate) fn early(path: &Path, what: &str, failure: Failure) -> Failure {
    let has_old = || {
        let old = std::fs::symlink_metadata(path);
        !files::is_streamed(path) && old.is_ok_and(|old| old.is_file())
    };
    if failure.exit == Exit::Output && has_old() { unchanged(what, failure) } else { failure }
}

/// Adds to an error's hint that the old one is as it was.
pub(crate) fn unchanged(what: &str, failure: Failure) -> Failure {
    let news = format!("the old {what} is unchanged");
    let hint = match failure.hint {
        Some(hint) if hint.contains(&news) => hint,
        Some(hint) => format!("{hint}; {news}"),
        None => news,
    };
    Failure { hint: Some(hint), ..failure }
}

#[cfg(feature = "seal")]
/// The hints of an output speak of images: this one's, of what else it is.
pub(crate) fn of(what: &str, failure: Failure) -> Failure {
    Failure { hint: failure.hint.map(|hint| hint.replace("image", what)), ..failure }
}
