//! Which names of the host lead to one place: every symbolic link on the way is followed, and
//! nothing is opened. What does not exist keeps the name that it would have.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, lstat};

use super::identity::{FileId, file_id};

/// Where a name leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The path without links, absolute.
    pub(crate) path: PathBuf,
    /// Which file it is, where it exists: of several hard links it is the same.
    pub(crate) id: Option<FileId>,
}

/// Finds places; of directories it keeps what it found.
#[derive(Default)]
pub(crate) struct Places {
    directories: HashMap<PathBuf, PathBuf>,
}

impl Places {
    /// Where `path` leads.
    pub(crate) fn place(&mut self, path: &Path) -> Place {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return followed(path);
        };
        let whole = self.directory(parent).join(name);
        match lstat(&whole) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                followed(&whole)
            }
            Ok(stat) => Place { path: whole, id: Some(file_id(&stat)) },
            Err(_) => Place { path: whole, id: None },
        }
    }

    fn directory(&mut self, path: &Path) -> &Path {
        if !self.directories.contains_key(path) {
            let found = if path.as_os_str().is_empty() {
                followed(Path::new(".")).path
            } else {
                self.place(path).path
            };
            self.directories.insert(path.to_owned(), found);
        }
        self.directories.get(path).map_or(Path::new("/"), PathBuf::as_path)
    }
}

/// Where a path leads that ends in a link or in `..`.
fn followed(path: &Path) -> Place {
    match fs::canonicalize(path) {
        Ok(path) => {
            let id = lstat(&path).ok().map(|stat| file_id(&stat));
            Place { path, id }
        }
        Err(_) => Place { path: without_dots(path), id: None },
    }
}

/// The absolute path by its names alone, without `.` and `..`.
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
