//! `dir:` sources: a whole tree of the host.
//!
//! Every name is opened relative to its open directory and never followed, so
//! that no symbolic link, even one that is put there during the walk, leads out
//! of the tree, unless links are to be followed: `links.rs` does that. Entries are taken in
//! bytewise order, whatever order the file system lists them in. Hard links within the tree
//! stay hard links; mount points are crossed. Extended attributes of the host are not taken:
//! labels and capabilities of a secrets disk are the guest's business and stand in the
//! manifest, or in an archive.

mod links;
mod met;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credimg_formats::{Content, InodeId, Name, Xattrs};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, Stat, fstat, openat, readlinkat, statat,
};
use rustix::io::Errno;

use self::links::Followed;
pub(super) use self::links::Links;
use self::met::{Batch, Met, with_files_met};
use crate::host::at_rest::{self, wait_for_rest};
use crate::host::follow;
use crate::host::identity::{self, FileId, Identity};
use crate::host::open::{self, OPEN};
use crate::report::{Exit, Failure, shown};
use crate::sources::builder::{EntryScope, InodeAttributes, Scope};
use crate::sources::files::{self, Directory, Latest, Location};

/// How much of a directory the kernel lists at a time: at first, and of one that is larger.
const LISTING_BYTES: usize = 4 << 10;
const LONG_LISTING_BYTES: usize = 64 << 10;
/// What an entry takes there besides its name: `struct linux_dirent64` of linux/dirent.h.
const RECORD_BYTES: usize = 19;

/// Collects the directory at `path`, which may be a symbolic link to one.
///
/// A FIFO, socket or device in the tree fails the walk before a file of its
/// directory is read.
pub(super) fn collect(path: &Path, links: Links, to: EntryScope) -> Result<(), Failure> {
    let descriptor = follow::open(path, OPEN | OFlags::DIRECTORY)
        .map_err(|refusal| refusal.into_failure(|errno| cannot_open_top(path, errno)))?;
    let latest = Latest::default();
    let followed = Followed::new(links);
    let mut walk = Walk { to, latest, links: HashMap::new(), listing: Vec::new(), followed };
    let stat = fstat(&descriptor).map_err(|errno| open::cannot_read(path, errno))?;
    let id = walk.to.top_directory(Some(InodeAttributes::of_host(&stat)), Xattrs::new())?;
    walk.to.scope.inputs().take(path, &stat)?;
    let top = walk.level(path.into(), None, Opened { descriptor, stat, listed: None }, id)?;
    walk.descend(top, Ahead::WherePossible)?;
    walk.followed.require_unchanged()
}

/// Whether threads meet subdirectories ahead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ahead {
    /// Where there are many of them.
    WherePossible,
    /// Not here: they do so further up.
    No,
}

/// A directory whose files are collected and whose subdirectories wait.
struct Level {
    directory: Arc<Directory>,
    descriptor: Arc<OwnedFd>,
    id: InodeId,
    /// In descending order, so that the first is popped first.
    subdirectories: Vec<Subdirectory>,
}

/// A directory whose files are not collected yet.
struct Subdirectory {
    name: Name,
    /// Whether the name is that of a symbolic link, which is followed.
    is_link: bool,
}

/// A directory that is open, and what may be known of it already.
struct Opened {
    descriptor: OwnedFd,
    /// Its attributes before anything was listed.
    stat: Stat,
    listed: Option<Listed>,
}

/// What was met ahead in a directory that was at rest.
struct Listed {
    /// As [`list`] returns them.
    entries: Vec<(Name, FileType)>,
    /// Its files, where they are not many.
    met: Option<Batch>,
}

impl Level {
    fn path(&self, name: &Name) -> PathBuf {
        files::child_path(&self.directory.path, name)
    }
}

struct Walk<'b, 'a> {
    to: EntryScope<'b, 'a>,
    latest: Latest,
    /// Files with several names, by where their first name was met.
    links: HashMap<FileId, InodeId>,
    /// The kernel's listing, kept for the next directory.
    listing: Vec<u8>,
    /// What became of links so far, where they are followed.
    followed: Followed,
}

impl Walk<'_, '_> {
    /// Collects the subdirectories of a directory, and theirs.
    fn descend(&mut self, top: Level, ahead: Ahead) -> Result<(), Failure> {
        let mut levels = vec![top];
        // A list, not recursion: the depth of the tree is not ours to choose.
        while let Some(mut level) = levels.pop() {
            let is_met = ahead == Ahead::WherePossible
                && self.followed.links != Links::Follow
                && level.subdirectories.len() >= met::FEWEST_DIRECTORIES;
            if is_met {
                self.descend_ahead(level)?;
                continue;
            }
            let Some(subdirectory) = level.subdirectories.pop() else { continue };
            let opened = open_subdirectory(&level, &subdirectory)?;
            let entered = self.enter(&level, &subdirectory, opened)?;
            // Where its last subdirectory is open a directory is not needed any more: a deep
            // chain needs no descriptor a level.
            if !level.subdirectories.is_empty() {
                levels.push(level);
            }
            levels.push(entered);
        }
        Ok(())
    }

    /// Collects many subdirectories, the next of which are met ahead.
    fn descend_ahead(&mut self, mut level: Level) -> Result<(), Failure> {
        let mut subdirectories = std::mem::take(&mut level.subdirectories);
        subdirectories.reverse();
        met::with_directories_met(&level, &subdirectories, |next_met| {
            subdirectories.iter().try_for_each(|subdirectory| {
                let opened = match next_met() {
                    Some(opened) => opened,
                    None => open_subdirectory(&level, subdirectory)?,
                };
                let entered = self.enter(&level, subdirectory, opened)?;
                self.descend(entered, Ahead::No)
            })
        })
    }

    /// Adds a subdirectory, and everything in it but what lies in its own subdirectories.
    fn enter(
        &mut self,
        level: &Level,
        Subdirectory { name, is_link }: &Subdirectory,
        opened: Opened,
    ) -> Result<Level, Failure> {
        let path = level.path(name);
        if *is_link {
            self.followed.enter(&path, &opened.stat, &level.directory)?;
        }
        let own = Some(InodeAttributes::of_host(&opened.stat));
        let id = self.to.directory(level.id, name, own, Xattrs::new())?;
        let inputs = self.to.scope.inputs();
        if *is_link {
            inputs.take(&path, &opened.stat)?;
        } else {
            inputs.take_directory(&path, &opened.stat)?;
        }
        self.level(path, Some(Arc::clone(&level.directory)), opened, id)
    }

    /// Collects everything in a directory but what lies in its subdirectories.
    fn level(
        &mut self,
        path: PathBuf,
        parent: Option<Arc<Directory>>,
        opened: Opened,
        id: InodeId,
    ) -> Result<Level, Failure> {
        let Opened { descriptor, stat, listed } = opened;
        wait_for_rest(&stat, &mut || self.to.scope.report_waiting())?;
        let latest = Arc::clone(&self.latest);
        let directory = Directory { path, id: identity::file_id(&stat), parent, latest };
        let directory = Arc::new(directory);
        let descriptor = Arc::new(descriptor);
        let mut level = Level { directory, descriptor, id, subdirectories: Vec::new() };
        let (mut entries, met) = match listed {
            Some(Listed { entries, met }) => (entries, met),
            None => (list(&level.directory.path, &level.descriptor, &mut self.listing)?, None),
        };
        if self.followed.links == Links::Follow {
            links::drop_generations(&level, &mut entries)?;
        }
        let (directory, descriptor) = (Arc::clone(&level.directory), Arc::clone(&level.descriptor));
        let mut add = |next_met: &mut dyn FnMut() -> Option<Met>| {
            entries
                .iter()
                .try_for_each(|(name, kind)| self.entry(&mut level, name, *kind, next_met()))
        };
        match met {
            Some(mut met) => add(&mut || met.next()),
            None => with_files_met(&entries, &directory.path, &descriptor, add),
        }?;
        level.subdirectories.reverse();
        if !crate::host::KEEPS_PROMISES {
            return Ok(level);
        }
        let path = &level.directory.path;
        let after = fstat(&level.descriptor).map_err(|errno| open::cannot_read(path, errno))?;
        if Identity::of(&after) != Identity::of(&stat) {
            return Err(at_rest::changed(path));
        }
        Ok(level)
    }

    /// Adds an entry, but for a directory, which waits.
    fn entry(
        &mut self,
        level: &mut Level,
        name: &Name,
        kind: FileType,
        met: Option<Met>,
    ) -> Result<(), Failure> {
        match kind {
            FileType::Directory => {
                let name = name.clone();
                level.subdirectories.push(Subdirectory { name, is_link: false });
                Ok(())
            }
            FileType::Symlink if self.followed.links == Links::Follow => {
                self.follow(level, name.clone())
            }
            FileType::Symlink => self.symlink(level, name),
            FileType::RegularFile
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => self.file(level, name, met),
        }
    }

    /// Adds a file, of which it may be known already what was met.
    fn file(&mut self, level: &Level, name: &Name, met: Option<Met>) -> Result<(), Failure> {
        let location = || Location::Entry(Arc::clone(&level.directory), name.clone());
        let met = met.filter(|met| {
            met.content.is_some() || self.to.scope.budget().streams(identity::size_bytes(&met.stat))
        });
        if let Some(Met { stat, content }) = met {
            return self.add(level, name, &stat, |to| match content {
                Some(content) if to.budget().takes_small_file(identity::size_bytes(&stat)) => {
                    content.map(Content::Memory)
                }
                Some(_) | None => files::later(&stat, location(), to),
            });
        }
        if self.to.scope.budget().streams_all_but_tiny_files() {
            let stat = status(level, name)?;
            let length_bytes = identity::size_bytes(&stat);
            // An empty file is read all the same: those of /proc only look empty.
            if length_bytes > 0 && self.to.scope.budget().streams(length_bytes) {
                open::require_regular(&level.path(name), &stat)?;
                return self.add(level, name, &stat, |to| files::later(&stat, location(), to));
            }
        }
        let flags = OPEN | OFlags::NOFOLLOW;
        let file = openat(&level.descriptor, name.as_bytes(), flags, Mode::empty())
            .map_err(|errno| open::cannot_read(&level.path(name), errno))?;
        let stat = fstat(&file).map_err(|errno| open::cannot_read(&level.path(name), errno))?;
        if open::file_type(&stat) != FileType::RegularFile {
            open::require_regular(&level.path(name), &stat)?;
        }
        self.add(level, name, &stat, |to| {
            files::content(&file, &stat, to, || level.path(name), location)
        })
    }

    /// Adds a file, or a hard link where it was met under another name.
    fn add(
        &mut self,
        level: &Level,
        name: &Name,
        stat: &Stat,
        content: impl FnOnce(&mut Scope) -> Result<Content, Failure>,
    ) -> Result<(), Failure> {
        self.to.scope.inputs().take_file(|| level.path(name), stat)?;
        if let Some(first) = self.links.get(&identity::file_id(stat)) {
            return self.to.scope.link(level.id, name, *first);
        }
        let content = content(&mut self.to.scope)?;
        let own = Some(InodeAttributes::of_host(stat));
        let id = self.to.file(level.id, name, own, Xattrs::new(), content)?;
        self.remember(stat, id);
        Ok(())
    }

    fn symlink(&mut self, level: &Level, name: &Name) -> Result<(), Failure> {
        let stat = status(level, name)?;
        if let Some(first) = self.links.get(&identity::file_id(&stat)) {
            return self.to.scope.link(level.id, name, *first);
        }
        let target = readlinkat(&level.descriptor, name.as_bytes(), Vec::new())
            .map_err(|errno| open::cannot_read(&level.path(name), errno))?;
        let own = Some(InodeAttributes::of_host(&stat));
        let id = self.to.symlink(level.id, name, own, Xattrs::new(), target.as_bytes())?;
        self.remember(&stat, id);
        Ok(())
    }

    fn remember(&mut self, stat: &Stat, id: InodeId) {
        if stat.st_nlink > 1 {
            self.links.insert(identity::file_id(stat), id);
        }
    }
}

/// Opens a subdirectory.
fn open_subdirectory(
    level: &Level,
    Subdirectory { name, is_link }: &Subdirectory,
) -> Result<Opened, Failure> {
    let cannot_read = |errno| open::cannot_read(&level.path(name), errno);
    let descriptor = if *is_link {
        links::open(level, name, OPEN | OFlags::DIRECTORY)?
    } else {
        let flags = OPEN | OFlags::NOFOLLOW | OFlags::DIRECTORY;
        openat(&level.descriptor, name.as_bytes(), flags, Mode::empty()).map_err(cannot_read)?
    };
    let stat = fstat(&descriptor).map_err(cannot_read)?;
    Ok(Opened { descriptor, stat, listed: None })
}

/// The entries of a directory in bytewise order: regular files, directories and symbolic links.
/// `listing` is room for what the kernel says.
fn list(
    path: &Path,
    descriptor: &OwnedFd,
    listing: &mut Vec<u8>,
) -> Result<Vec<(Name, FileType)>, Failure> {
    let mut entries = Vec::new();
    listing.reserve(LISTING_BYTES);
    let mut listed_bytes = 0;
    let mut directory = RawDir::new(descriptor, listing.spare_capacity_mut());
    while let Some(entry) = directory.next() {
        let entry = entry.map_err(|errno| open::cannot_read(path, errno))?;
        let name = entry.file_name().to_bytes();
        listed_bytes += name.len() + RECORD_BYTES;
        if name != b"." && name != b".." {
            let name = Name::new(name).map_err(|error| {
                Failure::new(Exit::Source, format!("an entry of {}: {error}", shown(path)))
            })?;
            entries.push((name, entry.file_type()));
        }
        // The rest of a directory that is not as small as most.
        if listed_bytes > LISTING_BYTES / 2 && directory.is_buffer_empty() {
            listing.reserve(LONG_LISTING_BYTES);
            directory = RawDir::new(descriptor, listing.spare_capacity_mut());
        }
    }
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (name, kind) in &mut entries {
        let place = || files::child_path(path, name);
        if *kind == FileType::Unknown {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let stat = statat(descriptor, name.as_bytes(), flags)
                .map_err(|errno| open::cannot_read(&place(), errno))?;
            *kind = open::file_type(&stat);
        }
        if !matches!(kind, FileType::RegularFile | FileType::Directory | FileType::Symlink) {
            return Err(special(&place(), *kind));
        }
    }
    Ok(entries)
}

fn status(level: &Level, name: &Name) -> Result<Stat, Failure> {
    statat(&level.descriptor, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| open::cannot_read(&level.path(name), errno))
}

fn special(path: &Path, kind: FileType) -> Failure {
    let message = format!(
        "{} is {}: only regular files, directories and symbolic links can be stored",
        shown(path),
        open::kind_name(kind)
    );
    Failure::new(Exit::Source, message)
        .hint("take it out of the directory, or name the wanted files one by one with `file:`")
}

fn cannot_open_top(path: &Path, errno: Errno) -> Failure {
    let failure = open::cannot_read(path, errno);
    if errno == Errno::NOTDIR { failure.hint("for a single file write `file:`") } else { failure }
}
