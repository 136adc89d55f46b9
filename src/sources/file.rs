//! `file:` sources: one regular file, or a symbolic link to one.

use std::path::Path;
use std::sync::Arc;

use super::Delivered;
use super::builder::{InodeAttributes, Scope};
use super::files::{self, Location};
use crate::host::open;
use crate::report::Failure;

/// The file at `path`. It is opened at once even where its content
/// is streamed later, so that a missing permission is found before anything is written.
pub(super) fn content(path: &Path, to: &mut Scope) -> Result<Delivered, Failure> {
    let (file, stat) = open::open_file(path)?;
    to.inputs().take(path, &stat)?;
    let content =
        files::content(&file, &stat, to, || path.into(), || Location::Path(Arc::from(path)))?;
    Ok(Delivered { content, own: Some(InodeAttributes::of_host(&stat)) })
}
