//! The index of an image's sidecars, `IMAGE.sidecars`: what follows the image's name and a dot
//! in their names, one a line, sorted. By it a build knows the sidecars of the old image, however
//! many other files lie in the directory.
//!
//! Invariant: no sidecar has its name before the index holds it, and none keeps it after the
//! index has lost it. So a kill at any instant leaves no sidecar that the next build does not
//! know.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::IsSidecar;

/// What follows the image's name and a dot in the index's own name.
pub const INDEX_SUFFIX: &str = "sidecars";
/// Far more than the names of all that a firmware carries.
const MAX_BYTES: u64 = 1 << 20;

/// What the index holds.
pub fn index_text(suffixes: &[String]) -> String {
    suffixes.iter().flat_map(|suffix| [suffix, "\n"]).collect()
}

/// An index as it was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The suffixes in it, sorted. Lines that are no sidecar's suffix are left out.
    pub suffixes: Vec<String>,
    /// Whether it holds these alone, as an index that a build has written does.
    pub is_pure: bool,
}

/// The index of the image at `path`; none where there is none. What lies there and is no regular
/// file holds nothing: the caller sees that it is there.
pub fn read_index(image: &Path, is_sidecar: IsSidecar<'_>) -> io::Result<Option<Index>> {
    let mut path = image.as_os_str().to_owned();
    path.push(".");
    path.push(INDEX_SUFFIX);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    listed(openat(CWD, path, flags, Mode::empty()).map(File::from), is_sidecar)
}

/// The index that was opened; see [`read_index`].
pub(super) fn listed(
    opened: Result<File, Errno>,
    is_sidecar: IsSidecar<'_>,
) -> io::Result<Option<Index>> {
    let file = match opened {
        Ok(file) => file,
        // With a longer name it cannot be: an image of such a name has no sidecars either.
        Err(Errno::NOENT | Errno::NAMETOOLONG) => return Ok(None),
        // A link, and a socket.
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Some(Index::default())),
        Err(error) => return Err(error.into()),
    };
    let found = file.metadata()?;
    if !found.is_file() || found.size() > MAX_BYTES {
        return Ok(Some(Index::default()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    let lines = bytes.split(|byte| *byte == b'\n');
    let suffixes = lines.filter(|line| !line.contains(&b'/') && is_sidecar(line));
    let suffixes = suffixes.filter_map(|line| str::from_utf8(line).ok().map(str::to_owned));
    let mut suffixes: Vec<_> = suffixes.collect();
    suffixes.sort_unstable();
    suffixes.dedup();
    let is_pure = index_text(&suffixes).as_bytes() == bytes;
    Ok(Some(Index { suffixes, is_pure }))
}
