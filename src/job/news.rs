//! What an error says of the old image, or blob, which is still in place.

use std::path::Path;

use super::settings;
use crate::report::{Exit, Failure};

/// An error that came before anything of `path`, which messages call `what`, was replaced.
/// One of the output says that the old one is as it was, if there is one.
pub(crate) fn early(path: &Path, what: &str, error: anyhow::Error) -> anyhow::Error {
    let is_of_output =
        error.downcast_ref::<Failure>().is_some_and(|failure| failure.exit == Exit::Output);
    let has_old = || {
        let old = std::fs::symlink_metadata(path);
        !settings::is_streamed(path) && old.is_ok_and(|old| old.is_file())
    };
    if is_of_output && has_old() { unchanged(what, error) } else { error }
}

/// Adds to an error's hint that the old one is as it was.
pub(crate) fn unchanged(what: &str, mut error: anyhow::Error) -> anyhow::Error {
    let news = format!("the old {what} is unchanged");
    if let Some(failure) = error.downcast_mut::<Failure>() {
        failure.hint = Some(match failure.hint.take() {
            Some(hint) if hint.contains(&news) => hint,
            Some(hint) => format!("{hint}; {news}"),
            None => news,
        });
    }
    error
}

#[cfg(feature = "seal")]
/// The hints of an output speak of images: this one's, of what else it is.
pub(crate) fn of(what: &str, mut error: anyhow::Error) -> anyhow::Error {
    if let Some(failure) = error.downcast_mut::<Failure>() {
        failure.hint = failure.hint.take().map(|hint| hint.replace("image", what));
    }
    error
}
