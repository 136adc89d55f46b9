//! Paths inside an image, as the command line gives them.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use credimg_formats::read::{InodeRef, NodeKind, Stat};
use credimg_formats::{Error, ErrorKind};

use super::contents::Contents;
use crate::report::{Exit, Failure, shell_word, shown_bytes};

/// Most links on the way to a file, as for Linux (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// What is at a path of an image.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// The names that lead there from the root, each with its inode.
    pub(crate) way: Vec<(Box<[u8]>, InodeRef)>,
    pub(crate) inode: InodeRef,
    pub(crate) stat: Stat,
}

impl Located {
    /// The root directory.
    pub(crate) fn root(contents: &Contents) -> Result<Self, Failure> {
        Way { contents, asked: b"/", taken: Vec::new(), rest: Vec::new(), links: 0 }.arrive()
    }

    /// The path from the root on, with a leading slash.
    pub(crate) fn path(&self) -> Vec<u8> {
        joined(self.way.iter().map(|(name, _)| &**name))
    }
}

/// How symbolic links of the image are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// They are not followed. Only the last name of a path may be one.
    Kept,
    /// They are followed, but never out of the image: its root is their root, as it is for whoever
    /// mounts it.
    Followed,
}

/// What is at `path` in the image. Relative paths begin at the root. Errors are of exit code 4 if
/// there is nothing, and of 8.
pub(crate) fn find(contents: &Contents, path: &Path, links: Links) -> Result<Located, Failure> {
    let asked = path.as_os_str().as_bytes();
    let mut way = Way { contents, asked, taken: Vec::new(), rest: Vec::new(), links: 0 };
    way.push(asked);
    way.go(links)
}

/// What is at these paths, or at the root if there are none. All are found before any is used.
pub(crate) fn find_all(
    contents: &Contents,
    paths: &[impl AsRef<Path>],
    links: Links,
) -> Result<Vec<Located>, Failure> {
    if paths.is_empty() {
        return Ok(vec![Located::root(contents)?]);
    }
    paths.iter().map(|path| find(contents, path.as_ref(), links)).collect()
}

/// The path of these names, with a leading slash.
pub(crate) fn joined<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut path = Vec::new();
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// The directories that a walk has entered. An image in which a directory has two names, or is
/// inside itself, is not valid, and a walk through it would not end.
#[derive(Default)]
pub(crate) struct Visited(BTreeSet<InodeRef>);

impl Visited {
    /// An error of exit code 8 at the second visit of a directory, or where it is nested too
    /// deep.
    pub(crate) fn enter(
        &mut self,
        contents: &Contents,
        directory: InodeRef,
        depth: usize,
        path: impl Fn() -> Vec<u8>,
    ) -> Result<(), Failure> {
        let error = if depth > contents.limits().depth {
            let message = format!("directories are nested deeper than {}", contents.limits().depth);
            Error::new(ErrorKind::Limit, message)
        } else if self.0.insert(directory) {
            return Ok(());
        } else {
            Error::new(ErrorKind::Corrupt, "expected a directory of one name, got one of two")
        };
        Err(contents.failure_at(&path(), &error))
    }
}

/// How far a path has been followed.
struct Way<'a> {
    contents: &'a Contents,
    asked: &'a [u8],
    taken: Vec<(Box<[u8]>, InodeRef)>,
    /// The names that are still to be followed, the next one last.
    rest: Vec<Box<[u8]>>,
    links: usize,
}

impl Way<'_> {
    fn push(&mut self, path: &[u8]) {
        if path.starts_with(b"/") {
            self.taken.clear();
        }
        let names = path.split(|byte| *byte == b'/').rev();
        self.rest.extend(names.filter(|name| !matches!(*name, b"" | b".")).map(Box::from));
    }

    fn here(&self) -> InodeRef {
        self.taken.last().map_or_else(|| self.contents.reader.root(), |(_, inode)| *inode)
    }

    fn stat(&self, inode: InodeRef) -> Result<Stat, Failure> {
        let stat = self.contents.reader.stat(inode);
        stat.map_err(|error| self.contents.failure_at(&self.path(), &error))
    }

    fn path(&self) -> Vec<u8> {
        joined(self.taken.iter().map(|(name, _)| &**name))
    }

    fn go(mut self, links: Links) -> Result<Located, Failure> {
        let reader = &self.contents.reader;
        while let Some(name) = self.rest.pop() {
            let here = self.here();
            if self.stat(here)?.kind != NodeKind::Directory {
                return Err(self.refuse(&format!("{} is no directory", self.shown_here())));
            }
            if &*name == b".." {
                self.taken.pop();
                continue;
            }
            let found = reader.lookup(here, &name);
            let found = found.map_err(|error| self.contents.failure_at(&self.path(), &error))?;
            let Some(inode) = found else {
                return Err(self.missing());
            };
            let is_last = self.rest.is_empty();
            let is_link = self.stat(inode)?.kind == NodeKind::Symlink;
            match links {
                Links::Followed if is_link => self.follow(inode)?,
                Links::Kept if is_link && !is_last => {
                    self.taken.push((name, inode));
                    let what = format!("{} is a symbolic link", self.shown_here());
                    return Err(self.refuse(&what).hint("name the file by the way without links"));
                }
                Links::Followed | Links::Kept => self.taken.push((name, inode)),
            }
        }
        self.arrive()
    }

    fn follow(&mut self, link: InodeRef) -> Result<(), Failure> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(
                self.refuse(&format!("more than {LINKS_MAX} symbolic links are on the way"))
            );
        }
        let target = self.contents.reader.target(link);
        let target = target.map_err(|error| self.contents.failure_at(&self.path(), &error))?;
        self.push(&target);
        Ok(())
    }

    fn arrive(self) -> Result<Located, Failure> {
        let inode = self.here();
        let stat = self.stat(inode)?;
        Ok(Located { way: self.taken, inode, stat })
    }

    fn shown_here(&self) -> String {
        shown_bytes(&self.path())
    }

    fn missing(&self) -> Failure {
        let image = shell_word(self.contents.path());
        let failure = self.refuse("there is no such file or directory in the image");
        failure.hint(format!("`credimg ls -R {image}` lists what there is"))
    }

    fn refuse(&self, reason: &str) -> Failure {
        let (image, asked) = (self.contents.shown(), shown_bytes(self.asked));
        Failure::new(Exit::Source, format!("{image}: {asked}: {reason}"))
    }
}
