//! `file:` sources: one regular file, or a symbolic link to one.

use std::path::Path;
use std::sync::Arc;

use credimg_formats::Content;

use super::builder::{Own, TreeBuilder};
use super::files::{self, Location};
use crate::report::Failure;

/// The file at `path`. It is opened at once even where its content
/// is streamed later, so that a missing permission is found before anything is written.
pub(super) fn content(path: &Path, to: &mut TreeBuilder) -> Result<(Own, Content), Failure> {
    let (file, stat) = files::open_file(path)?;
    to.input(path, &stat)?;
    let content =
        files::content(&file, &stat, to, || path.into(), || Location::Path(Arc::from(path)))?;
    Ok((Own::of(&stat), content))
}
