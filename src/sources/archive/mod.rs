//! `tar:` sources: an archive, plain or packed with gzip, xz or zstd, told by its content.
//!
//! Members of a plain archive are ranges of its file and are streamed from it.
//! A packed archive is unpacked into memory, as plaintext never goes to a
//! temporary file, and is limited for that reason. Hard links, times with
//! fractions and extended attributes come along. What an image or credimg cannot
//! hold (devices, FIFOs, sparse files, access control lists) is an error, and so
//! is everything that two readers of the archive could understand differently.

mod input;
mod member;
mod packed;
mod pax;
mod stream;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use credimg_formats::{Content, InodeId, Kind, Name, Secret, Xattrs};

use self::member::{Member, MemberKind, Members};
use self::packed::Packed;
use self::stream::Stream;
pub use self::stream::UNPACKED_MAX_BYTES;
use super::builder::EntryScope;
use super::files::{self, LaterFile, Location};
use crate::host::at_rest::Watched;
use crate::host::identity::{self, Identity};
use crate::host::open;
use crate::report::{Exit, Failure};

/// Most members that one archive may have, and most inodes that it may make:
/// all of them stay in memory.
const MEMBERS_MAX: usize = 1 << 17;
/// Longest path of a member or of a hard link's target in bytes (`PATH_MAX` of Linux).
const PATH_MAX_BYTES: usize = 4096;

/// What a file holds: unpacked, where it is packed by gzip, xz or zstd.
pub(crate) fn unpacked(file: File) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::new(file);
    file.fill_buf()?;
    Ok(match Packed::open(file) {
        Ok(packed) => Box::new(packed),
        Err(file) => Box::new(file),
    })
}

/// Collects the archive at `path`, which may be a symbolic link to one.
pub(super) fn collect(path: &Path, mut to: EntryScope) -> Result<(), Failure> {
    let (file, stat) = open::open_file(path)?;
    to.scope.inputs().take(path, &stat)?;
    let watched = Watched::begin(&file, &stat, path)?;
    let descriptor = file.try_clone().map_err(|error| files::unreadable_file(path, &error))?;
    let watch = Some(Watch { watched: &watched, file: &descriptor });
    let origin = Origin { path, planned: Identity::of(&stat), watch };
    let outcome = unpack(file, identity::size_bytes(&stat), origin, to);
    // A change of the file explains whatever seemed wrong with it.
    watched.end(&descriptor, path)?;
    outcome
}

/// What is known of an archive's file.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) path: &'a Path,
    /// What it was when it was opened.
    pub(crate) planned: Identity,
    /// How a change of it is found, unless it is no file of the host.
    pub(crate) watch: Option<Watch<'a>>,
}

/// An open file that is watched.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    watched: &'a Watched,
    file: &'a File,
}

/// Adds what is in `file`, which is `size_bytes` long.
pub(crate) fn unpack(
    file: File,
    size_bytes: u64,
    origin: Origin,
    mut to: EntryScope,
) -> Result<(), Failure> {
    let mut archive = Archive {
        path: origin.path.into(),
        planned: origin.planned,
        watch: origin.watch,
        top: to.top_directory(None, Xattrs::new())?,
        inodes_before: to.scope.tree().len(),
        members: 0,
        to,
    };
    let stream = Stream::open(file, size_bytes, origin.path)?;
    let members = Members::new(stream, archive.to.keeps_archive_xattrs());
    archive.add_all(members)
}

struct Archive<'o, 'b, 'a> {
    path: Arc<Path>,
    planned: Identity,
    watch: Option<Watch<'o>>,
    /// The directory of the image that the archive is unpacked into.
    top: InodeId,
    inodes_before: usize,
    members: usize,
    to: EntryScope<'b, 'a>,
}

impl Archive<'_, '_, '_> {
    fn add_all(&mut self, mut members: Members) -> Result<(), Failure> {
        while let Some(member) = members.next()? {
            let stream = members.stream();
            self.add(&member, stream).map_err(|failure| stream.in_member(&member.path, failure))?;
        }
        members.finish()
    }

    fn add(&mut self, member: &Member, stream: &mut Stream) -> Result<(), Failure> {
        self.members += 1;
        if self.members.max(self.to.scope.tree().len() - self.inodes_before) > MEMBERS_MAX {
            return Err(refused(format!("an archive may hold at most {MEMBERS_MAX} files")));
        }
        let attributes = member.xattrs.iter().map(|(name, value)| name.len() + value.len());
        self.to.scope.budget().count_member(member.path.len() + attributes.sum::<usize>())?;
        let (own, xattrs) = (Some(member.attributes), member.xattrs.clone());
        let components = components(&member.path)?;
        let Some((name, parents)) = components.split_last() else {
            return match member.kind {
                MemberKind::Directory => self.to.top_directory(own, xattrs).map(drop),
                MemberKind::Symlink(_) | MemberKind::HardLink(_) | MemberKind::File { .. } => {
                    Err(refused("only a directory can stand at the archive's root"))
                }
            };
        };
        let mut parent = self.top;
        for name in parents {
            self.require_directory(parent, name)?;
            parent = self.to.implied_directory(parent, name)?;
        }
        match &member.kind {
            MemberKind::Directory => self.to.directory(parent, name, own, xattrs).map(drop),
            MemberKind::Symlink(target) => {
                self.to.symlink(parent, name, own, xattrs, target).map(drop)
            }
            MemberKind::HardLink(target) => {
                let target = self.find(target)?;
                // A link to itself, as some archivers write it, is the file.
                if self.to.scope.tree().child(parent, name.as_bytes()) == Some(target) {
                    return Ok(());
                }
                self.to.scope.link(parent, name, target)
            }
            MemberKind::File { length_bytes } => {
                let content = self.content(*length_bytes, stream)?;
                self.to.file(parent, name, own, xattrs, content).map(drop)
            }
        }
    }

    /// An error where this archive has made something else than a directory of `name`, below
    /// which a member lies.
    fn require_directory(&self, parent: InodeId, name: &Name) -> Result<(), Failure> {
        let scope = &self.to.scope;
        let existing = scope.tree().child(parent, name.as_bytes());
        let Some(id) = existing.filter(|id| scope.has_added(*id)) else { return Ok(()) };
        let path = || scope.path(parent, name);
        let Some(kind) = scope.kind(id) else { return Ok(()) };
        match kind {
            Kind::Directory(_) => Ok(()),
            Kind::Symlink(_) => {
                let message = format!("it lies below {}, which is a symbolic link", path());
                Err(refused(message).hint(
                    "credimg follows no link: unpack the archive and pack it again, which puts \
                     the member below the directory that the link leads to",
                ))
            }
            Kind::File(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo
            | Kind::Socket => {
                Err(refused(format!("it lies below {}, which is not a directory", path())))
            }
        }
    }

    /// The content of a member, read now or found again by its place in the archive.
    fn content(&mut self, length_bytes: u64, stream: &mut Stream) -> Result<Content, Failure> {
        let is_plain = stream.is_plain();
        if is_plain && !self.to.scope.budget().takes_small_file(length_bytes) {
            let location = Location::Path(Arc::clone(&self.path));
            let offset_bytes = stream.position();
            stream.skip(length_bytes)?;
            let bytes = offset_bytes..offset_bytes.saturating_add(length_bytes);
            let first = match self.watch {
                Some(Watch { watched, file }) => watched.range(bytes, file, &self.path)?,
                None => None,
            };
            let planned = self.planned;
            let first = first.map(Box::new);
            let source = LaterFile { location, planned, offset_bytes, first };
            return Ok(Content::Stream { length_bytes, source: Box::new(source) });
        }
        if !is_plain {
            // Counted before it is unpacked.
            stream.require(length_bytes)?;
            let length = usize::try_from(length_bytes).unwrap_or(usize::MAX);
            self.to.scope.budget().count_content(length)?;
        }
        let content = stream.read(length_bytes)?;
        Ok(Content::Memory(Secret::new(content)))
    }

    /// The inode that a hard link names: one that this archive has added before.
    fn find(&self, path: &[u8]) -> Result<InodeId, Failure> {
        let mut id = Some(self.top);
        for name in components(path)? {
            id = id.and_then(|id| self.to.scope.tree().child(id, name.as_bytes()));
        }
        id.filter(|id| self.to.scope.has_added(*id)).ok_or_else(|| {
            refused("a hard link to a file that does not stand before it in the archive")
        })
    }
}

/// The checked components of a path in an archive; leading slashes and `.` are dropped.
fn components(path: &[u8]) -> Result<Vec<Name>, Failure> {
    if path.len() > PATH_MAX_BYTES {
        return Err(refused(format!("its path is longer than {PATH_MAX_BYTES} bytes")));
    }
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(|name| Name::new(name).map_err(|error| refused(error.to_string())))
        .collect()
}

/// The failure of an archive that is wrong or not supported.
fn refused(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Source, message)
}

/// A member's path for messages: odd bytes are escaped, and a long path is cut.
fn printable(path: &[u8]) -> String {
    let shown = path.get(..path.len().min(256)).unwrap_or_default();
    let rest = if shown.len() < path.len() { "..." } else { "" };
    format!("{}{rest}", shown.escape_ascii())
}
