//! Where content comes from: one file a kind of source. Each reads its entry
//! of the manifest and hands files, directories and links to the `builder`.
//!
//! Sources are read in the manifest's order; commands are started in it, several at a time, once
//! the first has its turn. Sources never block on what they open, and say what is wrong as a
//! [`crate::report::Failure`] without the entry's position: the scope in which they run adds that.

pub(crate) mod archive;
pub mod assemble;
pub(crate) mod builder;
pub mod command;
mod dir;
mod env;
pub(crate) mod environment;
mod file;
mod files;
pub mod pseudo;
pub(crate) mod rehearsal;
pub mod shared;

use credimg_formats::{Content, Secret};

pub use self::archive::UNPACKED_MAX_BYTES;
pub use self::builder::budget::{INODES_MAX, MEMORY_MAX_BYTES};
use self::builder::{EntryScope, InodeAttributes, Scope};
use self::dir::Links;
use crate::manifest::{Entry, Source};
use crate::report::{Exit, Failure, shown, verbose};

/// Collects one entry of the manifest; `output` is what its command has printed.
pub(crate) fn collect(
    entry: &Entry,
    output: Option<Secret>,
    mut to: EntryScope,
) -> Result<(), Failure> {
    match &entry.source {
        Source::Dir(path) => dir::collect(path, Links::Keep, to),
        Source::FollowedDir(path) => dir::collect(path, Links::Follow, to),
        Source::Tar(path) => archive::collect(path, to),
        Source::Symlink(target) => to.top_symlink(target).map(drop),
        source @ (Source::File(_)
        | Source::Inline(_)
        | Source::Command { .. }
        | Source::Env { .. }) => {
            let is_shared = entry.is_shared();
            let Delivered { content, own } = content(source, is_shared, output, &mut to.scope)?;
            to.top_file(own, content).map(drop)
        }
    }
}

/// Tells where the content of `entry` comes from.
pub(crate) fn tell(entry: &Entry) {
    let Entry { path, source, .. } = entry;
    verbose::tell(|| {
        let from = match (source.host_path(), source.variable()) {
            (Some(host_path), _) => format!(" {}", shown(host_path)),
            (None, Some(name)) => format!(" {}", shown(name.as_ref())),
            (None, None) => String::new(),
        };
        format!("{path}: {}{from}", source.kind())
    });
}

/// What the source of one file delivers.
pub(crate) struct Delivered {
    pub(crate) content: Content,
    /// What the file has at its source, where that is a file of the host.
    pub(crate) own: Option<InodeAttributes>,
}

/// Reads the source of one file, once in a run where it is shared among machines; `output` is
/// what its command has printed, which is counted.
pub(crate) fn content(
    source: &Source,
    is_shared: bool,
    output: Option<Secret>,
    to: &mut Scope,
) -> Result<Delivered, Failure> {
    let secret = match source {
        Source::File(path) if is_shared => return file::shared_content(path, to),
        Source::File(path) => return file::content(path, to),
        Source::Inline(secret) => secret.clone(),
        Source::Env { name, trim } => env::variable(name, *trim)?,
        Source::Command { .. } => {
            let content = Content::Memory(output.ok_or_else(command::not_run)?);
            return Ok(Delivered { content, own: None });
        }
        Source::Dir(_) | Source::FollowedDir(_) | Source::Tar(_) | Source::Symlink(_) => {
            let message = format!("a `{}` source is not one file's content", source.kind());
            return Err(Failure::new(Exit::Manifest, message));
        }
    };
    to.budget().count_content(secret.len())?;
    Ok(Delivered { content: Content::Memory(secret), own: None })
}

/// Drops one trailing newline.
fn trim(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
}
