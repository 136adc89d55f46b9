//! `file:` sources: one regular file, or a symbolic link to one.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use credimg_formats::Content;
use rustix::fs::Stat;

use super::Delivered;
use super::builder::{InodeAttributes, Scope};
use super::files::{self, Location};
use crate::host::open;
use crate::report::Failure;

/// The file at `path`. It is opened at once even where its content
/// is streamed later, so that a missing permission is found before anything is written.
pub(super) fn content(path: &Path, to: &mut Scope) -> Result<Delivered, Failure> {
    let (file, stat) = open::open_file(path)?;
    content_of(path, &file, &stat, to)
}

/// The file at `path`, which several machines of a fleet may have: a small one is read for the
/// first of them alone.
pub(super) fn shared_content(path: &Path, to: &mut Scope) -> Result<Delivered, Failure> {
    let Some(shared) = to.shared() else { return content(path, to) };
    let slot = shared.file(path);
    let mut kept = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((secret, stat)) = &*kept
        && to.budget().takes_small_file(secret.len() as u64)
    {
        to.inputs().take(path, stat)?;
        let own = Some(InodeAttributes::of_host(stat));
        return Ok(Delivered { content: Content::Memory(secret.clone()), own });
    }
    let (file, stat) = open::open_file(path)?;
    let delivered = content_of(path, &file, &stat, to)?;
    if let Content::Memory(secret) = &delivered.content
        && kept.is_none()
        && shared.takes_file(secret.len())
    {
        *kept = Some((secret.clone(), stat));
    }
    Ok(delivered)
}

fn content_of(path: &Path, file: &File, stat: &Stat, to: &mut Scope) -> Result<Delivered, Failure> {
    to.inputs().take(path, stat)?;
    let content =
        files::content(file, stat, to, || path.into(), || Location::Path(Arc::from(path)))?;
    Ok(Delivered { content, own: Some(InodeAttributes::of_host(stat)) })
}
