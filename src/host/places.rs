//! Finds out which paths of the host lead to the same place. Every symbolic link on the way is
//! followed, and no file is opened. What does not exist keeps the path that it would have.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, lstat, open, statat};
use rustix::io::Errno;

use super::identity::{FileId, file_id};

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The absolute path without symbolic links.
    pub(crate) path: PathBuf,
    /// What identifies the file, if it exists. Several hard links of one file have the same.
    pub(crate) id: Option<FileId>,
}

/// Finds places, and remembers directories.
#[derive(Default)]
pub(crate) struct Places {
    directories: HashMap<PathBuf, PathBuf>,
    /// The first path by which each directory was found. A directory that is mounted at a second
    /// place has several.
    known: HashMap<FileId, PathBuf>,
    /// The directory of the last place, as the next place is often in the same one.
    last: Option<Directory>,
}

/// A directory in which files are looked at.
struct Directory {
    /// The directory's path as it was given.
    named: PathBuf,
    /// The path without links.
    path: PathBuf,
    /// None where it cannot be opened.
    opened: Option<OwnedFd>,
}

impl Directory {
    fn look_at(&self, name: &OsStr, whole: &Path) -> Result<Stat, Errno> {
        match &self.opened {
            Some(directory) => statat(directory, name, AtFlags::SYMLINK_NOFOLLOW),
            None => lstat(whole),
        }
    }
}

impl Places {
    /// Where `path` itself is. If it ends in a link, that link is not followed: what takes the name
    /// replaces the link.
    pub(crate) fn name(&mut self, path: &Path) -> PathBuf {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.directory(parent).join(name),
            _ => self.place(path).path,
        }
    }

    /// Where `path` leads.
    pub(crate) fn place(&mut self, path: &Path) -> Place {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return self.known_as(followed(path));
        };
        let last = self.last.take().filter(|last| last.named == parent);
        let directory = last.unwrap_or_else(|| self.open(parent));
        let whole = directory.path.join(name);
        let found = directory.look_at(name, &whole);
        self.last = Some(directory);
        self.known_as(place(whole, found))
    }

    /// The place under the first path that was found for its directory.
    fn known_as(&mut self, found: Found) -> Place {
        let Found { place: Place { path, id }, is_directory } = found;
        let path = match id.filter(|_| is_directory) {
            Some(id) => self.known.entry(id).or_insert(path).clone(),
            None => path,
        };
        Place { path, id }
    }

    fn open(&mut self, directory: &Path) -> Directory {
        let path = self.directory(directory).to_owned();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = open(&path, flags, Mode::empty()).ok();
        Directory { named: directory.to_owned(), path, opened }
    }

    fn directory(&mut self, path: &Path) -> &Path {
        if !self.directories.contains_key(path) {
            let found = match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => {
                    let whole = self.directory(parent).join(name);
                    let found = lstat(&whole);
                    place(whole, found)
                }
                _ if path.as_os_str().is_empty() => followed(Path::new(".")),
                _ => followed(path),
            };
            let place = self.known_as(found);
            self.directories.insert(path.to_owned(), place.path);
        }
        self.directories.get(path).map_or(Path::new("/"), PathBuf::as_path)
    }
}

/// A place, and whether it is a directory.
struct Found {
    place: Place,
    is_directory: bool,
}

impl Found {
    fn new(path: PathBuf, found: Result<Stat, Errno>) -> Self {
        let Ok(stat) = found else {
            return Self { place: Place { path, id: None }, is_directory: false };
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        Self { place: Place { path, id: Some(file_id(&stat)) }, is_directory }
    }
}

/// The place at a path whose directory has no link. `found` is what is there.
fn place(path: PathBuf, found: Result<Stat, Errno>) -> Found {
    match found {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => followed(&path),
        found => Found::new(path, found),
    }
}

/// Where a path leads that ends in a link or in `..`.
fn followed(path: &Path) -> Found {
    match fs::canonicalize(path) {
        Ok(path) => {
            let found = lstat(&path);
            Found::new(path, found)
        }
        Err(error) => Found::new(
            without_dots(path),
            Err(Errno::from_io_error(&error).unwrap_or(Errno::NOENT)),
        ),
    }
}

/// The absolute path, by its names alone, without `.` and `..`.
fn without_dots(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                plain.push(component);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn names_of_one_place_are_one() {
        let directory = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(directory.path()).unwrap();
        fs::create_dir(top.join("real")).unwrap();
        fs::write(top.join("real/key"), "x").unwrap();
        fs::hard_link(top.join("real/key"), top.join("hard")).unwrap();
        symlink("real", top.join("link")).unwrap();
        symlink("real/key", top.join("key")).unwrap();
        symlink("nowhere", top.join("lost")).unwrap();
        let mut places = Places::default();
        let expected = places.place(&top.join("real/key"));
        assert_eq!(expected.path, top.join("real/key"));
        assert!(expected.id.is_some());
        for name in ["link/key", "key", "real/./key", "real/../real/key", "link/../real/key"] {
            assert_eq!(places.place(&top.join(name)), expected, "{name}");
        }
        let hard = places.place(&top.join("hard"));
        assert_eq!((hard.path, hard.id), (top.join("hard"), expected.id));
        for (name, path) in [
            ("link/new", "real/new"),
            ("no/such/file", "no/such/file"),
            ("no/such/..", "no"),
            ("lost", "lost"),
        ] {
            let expected = Place { path: top.join(path), id: None };
            assert_eq!(places.place(&top.join(name)), expected, "{name}");
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(places.place(Path::new("Cargo.toml")).path, here.join("Cargo.toml"));
        assert_eq!(places.place(Path::new(".")).path, here);
    }
}
