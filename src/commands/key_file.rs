//! The key file of a sealed blob: read where there is one, made where there is none,
//! never replaced. So whatever crashes, the key opens the old blob and the new one.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::settings;
use crate::output;
use crate::report::{self, Exit, Failure, shown};
use crate::seal::identity::{FILE_MAX_BYTES, Identity};
use crate::source;

/// The identity in the file at `path`, none where there is no file. A file that is no
/// identity is an error of [`Exit::Source`], one that every user may read or write is
/// of [`Exit::Policy`].
pub(super) fn read(path: &Path) -> Result<Option<Identity>, Failure> {
    let unreadable = |error: io::Error| {
        let message = format!("cannot read the key file {}", shown(path));
        Failure::new(Exit::Source, format!("{message}: {}", report::reason(&error)))
    };
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let named = match std::fs::symlink_metadata(path) {
        Err(error) if is_missing(&error) => return Ok(None),
        named => named.map_err(unreadable)?,
    };
    if named.is_symlink() && std::fs::metadata(path).is_err_and(|error| is_missing(&error)) {
        return Err(failure(path, "is a symbolic link that leads nowhere"));
    }
    let (file, _) = source::open_file(path)
        // Its hints speak of manifests.
        .map_err(|failure| Failure::new(Exit::Source, failure.message))?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    if mode & 0o007 != 0 {
        let open = format!("is open to every user of the host (mode {:04o})", mode & 0o7777);
        let hint = "who has read it opens the blob: remove it and its blobs, or `chmod 600` it";
        return Err(Failure { exit: Exit::Policy, ..failure(path, &open) }.hint(hint));
    }
    // As large as it gets, so that no shorter copy of it is left in the heap.
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_MAX_BYTES + 1));
    file.take(FILE_MAX_BYTES as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > FILE_MAX_BYTES {
        return Err(failure(path, "is too large to be an identity file"));
    }
    Identity::parse(&text).map(Some).map_err(|fault| failure(path, fault.message()))
}

/// Makes the file with a new identity; the one of a builder that was faster is used.
/// Returns whether it was made here. Beyond the errors of [`read`] there are those of
/// [`Exit::Output`].
pub(super) fn create(path: &Path) -> anyhow::Result<(Identity, bool)> {
    let identity = Identity::generate();
    if output::create_once(path, identity.file_text().expose())? {
        return Ok((identity, true));
    }
    let other = read(path)?.ok_or_else(|| {
        let message = format!("the key file {} comes and goes", shown(path));
        Failure::new(Exit::Output, message)
    })?;
    Ok((other, false))
}

/// An error of [`Exit::Policy`] where the file at `path`, which messages call `name`,
/// lies in the directory `share` or below it. `path` need not exist; where it is
/// a symbolic link, what it leads to counts too.
pub(super) fn require_outside(share: &Path, name: &str, path: &Path) -> Result<(), Failure> {
    let Some(share_id) = settings::id(std::fs::metadata(share)) else { return Ok(()) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let places = [parent.unwrap_or(Path::new(".")), path].map(std::fs::canonicalize);
    let is_inside = |place: &Path| {
        place.ancestors().any(|above| settings::id(std::fs::metadata(above)) == Some(share_id))
    };
    // What cannot be resolved is not there, and its directory is no place to make it in.
    if !places.iter().flatten().any(|place| is_inside(place)) {
        return Ok(());
    }
    let message = format!(
        "the {name} {} lies in the share {}, where the guest reads and writes",
        shown(path),
        shown(share)
    );
    Err(Failure::new(Exit::Policy, message).hint("put it into a directory outside the share"))
}

fn failure(path: &Path, fault: &str) -> Failure {
    let message = format!("the key file {} {fault}", shown(path));
    let hint = "name a file that is not there yet, and one is made; this one is left as it is";
    Failure::new(Exit::Source, message).hint(hint)
}
