//! Symbolic links that are followed: what they lead to is collected in their place.
//!
//! When everything is collected, each link is asked again where it leads: an image never
//! holds one half from before a swap and the other from after it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use credimg_formats::{Name, Xattrs};
use rustix::fs::{AtFlags, CWD, FileType, OFlags, Stat, fstat, readlinkat, statat};
use rustix::io::Errno;

use super::{Level, Subdirectory, Walk};
use crate::host::at_rest;
use crate::host::follow;
use crate::host::identity::{self, Identity};
use crate::host::open::{self, OPEN};
use crate::report::{Exit, Failure, shown};
use crate::sources::builder::InodeAttributes;
use crate::sources::files::{self, Directory, Location};

/// Most directories that links may lead to: links to directories of links multiply, so that
/// a few of them seem endless.
const DIRECTORIES_MAX: usize = 1 << 14;
/// The link by which Kubernetes swaps all files of a volume at once (its `AtomicWriter`).
const GENERATION_LINK: &[u8] = b"..data";

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sources) enum Links {
    /// They are stored.
    Keep,
    /// What they lead to is stored in their place.
    Follow,
}

/// The links that were followed.
pub(super) struct Followed {
    pub(super) links: Links,
    /// Each with what it led to.
    seen: Vec<(PathBuf, Identity)>,
    directories: usize,
}

impl Followed {
    pub(super) fn new(links: Links) -> Self {
        Self { links, seen: Vec::new(), directories: 0 }
    }

    /// Notes the directory that was opened by the link at `path`, which lies in `above`; an
    /// error where the link lies in that directory itself.
    pub(super) fn enter(
        &mut self,
        path: &Path,
        stat: &Stat,
        above: &Arc<Directory>,
    ) -> Result<(), Failure> {
        let mut upper = Some(above);
        while let Some(directory) = upper {
            if directory.id == identity::file_id(stat) {
                let (path, directory) = (shown(path), shown(&directory.path));
                let message = format!("{path} leads back to {directory}, which it lies in");
                return Err(Failure::new(Exit::Source, message)
                    .hint("take the link away, or let `links: keep` store it as it is"));
            }
            upper = directory.parent.as_ref();
        }
        // As it was opened: the link may have led elsewhere when it was met.
        self.seen.push((path.to_owned(), Identity::of(stat)));
        self.directories += 1;
        if self.directories > DIRECTORIES_MAX {
            let path = shown(path);
            let message = format!("{path}: links lead to more than {DIRECTORIES_MAX} directories");
            return Err(Failure::new(Exit::Source, message)
                .hint("links that lead to directories of links multiply: name what is wanted"));
        }
        Ok(())
    }

    /// An error unless each link still leads to what was collected.
    pub(super) fn require_unchanged(&self) -> Result<(), Failure> {
        for (path, planned) in &self.seen {
            let stat = statat(CWD, path, AtFlags::empty());
            let stat = stat.map_err(|errno| open::cannot_read(path, errno))?;
            if Identity::of(&stat) != *planned {
                return Err(at_rest::changed(path));
            }
        }
        Ok(())
    }
}

impl Walk<'_, '_> {
    /// Collects the file that a link leads to; a directory waits as others do.
    pub(super) fn follow(&mut self, level: &mut Level, name: Name) -> Result<(), Failure> {
        let stat =
            statat(&level.descriptor, name.as_bytes(), AtFlags::empty()).map_err(|errno| {
                follow::explain(&level.path(&name), errno, |errno| nowhere(level, &name, errno))
            })?;
        match open::file_type(&stat) {
            FileType::Directory => {
                level.subdirectories.push(Subdirectory { name, is_link: true });
                Ok(())
            }
            FileType::RegularFile => {
                self.followed.seen.push((level.path(&name), Identity::of(&stat)));
                self.followed_file(level, &name, &stat)
            }
            kind @ (FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown) => {
                let (path, kind) = (shown(&level.path(&name)), open::kind_name(kind));
                let message = format!(
                    "{path} leads to {kind}: only regular files and directories can be stored in \
                     place of a link"
                );
                Err(Failure::new(Exit::Source, message)
                    .hint("take the link out of the directory, or store it by `links: keep`"))
            }
        }
    }

    /// Adds the file that a link leads to, or a hard link where it was met under another name.
    fn followed_file(&mut self, level: &Level, name: &Name, stat: &Stat) -> Result<(), Failure> {
        let path: Arc<Path> = level.path(name).into();
        self.to.scope.inputs().take(&path, stat)?;
        if let Some(first) = self.links.get(&identity::file_id(stat)) {
            return self.to.scope.link(level.id, name, *first);
        }
        let location = || Location::Path(Arc::clone(&path));
        // An empty file is read all the same: those of /proc only look empty.
        let streams = self.to.scope.budget().streams(identity::size_bytes(stat));
        let content = if streams && identity::size_bytes(stat) > 0 {
            files::later(stat, location(), &mut self.to.scope)?
        } else {
            let file = open(level, name, OPEN)?;
            let opened = fstat(&file).map_err(|errno| open::cannot_read(&path, errno))?;
            if Identity::of(&opened) != Identity::of(stat) {
                return Err(at_rest::changed(&path));
            }
            files::content(&file, stat, &mut self.to.scope, || path.to_path_buf(), location)?
        };
        let own = Some(InodeAttributes::of_host(stat));
        let id = self.to.file(level.id, name, own, Xattrs::new(), content)?;
        self.remember(stat, id);
        Ok(())
    }
}

/// Opens what a link leads to, unless another user has planted the link.
pub(super) fn open(level: &Level, name: &Name, flags: OFlags) -> Result<OwnedFd, Failure> {
    let base = (level.descriptor.as_fd(), level.directory.path.as_path());
    let path = Path::new(OsStr::from_bytes(name.as_bytes()));
    follow::open_at(base, path, flags).map_err(|refusal| {
        refusal.into_failure(|errno| open::cannot_read(&level.path(name), errno))
    })
}

/// Leaves out what Kubernetes keeps beside the links of a mounted volume: `..data`, a link,
/// and the directories that it has led to and leads to. Names that begin with two dots are
/// its own there, and what they hold comes by the links beside them.
pub(super) fn drop_generations(
    level: &Level,
    entries: &mut Vec<(Name, FileType)>,
) -> Result<(), Failure> {
    let is_link = |(name, kind): &(Name, FileType)| {
        name.as_bytes() == GENERATION_LINK && *kind == FileType::Symlink
    };
    let Some((name, _)) = entries.iter().find(|entry| is_link(entry)) else { return Ok(()) };
    let target = readlinkat(&level.descriptor, name.as_bytes(), Vec::new())
        .map_err(|errno| open::cannot_read(&level.path(name), errno))?;
    let target = target.as_bytes();
    if target.starts_with(b"..") && target != b".." && !target.contains(&b'/') {
        entries.retain(|(name, _)| !name.as_bytes().starts_with(b".."));
    }
    Ok(())
}

/// The failure to follow a link. Its target is a path of the host like others.
fn nowhere(level: &Level, name: &Name, errno: Errno) -> Failure {
    let path = level.path(name);
    let target = readlinkat(&level.descriptor, name.as_bytes(), Vec::new());
    let (Errno::NOENT | Errno::NOTDIR | Errno::LOOP, Ok(target)) = (errno, target) else {
        return open::cannot_read(&path, errno);
    };
    let target = shown(Path::new(OsStr::from_bytes(target.as_bytes())));
    let reason = if errno == Errno::LOOP { "in a circle" } else { "nowhere" };
    let message = format!("{} leads {reason}: its target is {target}", shown(&path));
    Failure::new(Exit::Source, message)
        .hint("mend the link or take it away, or let `links: keep` store it as it is")
}
