//! The tree that a build would make, as far as names go: a rehearsal with what is in the
//! directories that its sources fill.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind::PermissionDenied;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use credimg_formats::{Content, InodeId, Kind, Metadata, Name, Secret, Tree};

use crate::host::listing;
use crate::manifest::{Makes, Manifest};
use crate::sources::pseudo::{Action, Definitions};
use crate::sources::rehearsal::Rehearsal;

/// The tree with names, links and directories. All files are empty.
pub(super) struct Sketch {
    pub(super) tree: Tree,
    /// Directories of which not everything is known.
    pub(super) unknown: HashSet<InodeId>,
    /// Links of the host that should be followed but lead nowhere.
    pub(super) broken: Vec<PathBuf>,
}

/// The sketch of what `manifest` and `definitions` make, of which `rehearsal` is the beginning.
/// What is wrong with a source the build will say: here it is passed over.
pub(super) fn sketch(
    manifest: &Manifest,
    definitions: &Definitions,
    rehearsal: Rehearsal,
) -> Sketch {
    let mut sketch = Sketch { tree: rehearsal.tree, unknown: HashSet::new(), broken: Vec::new() };
    for entry in &manifest.entries {
        let path: Vec<_> = entry.path.0.iter().map(Name::as_bytes).collect();
        match entry.source.makes() {
            Makes::HostTree(host) => {
                if let Some(id) = sketch.directory(&path) {
                    sketch.walk(id, host);
                }
            }
            // It holds no link itself, but links may lead into it.
            Makes::FollowedTree(host) => {
                let id = sketch.directory(&path);
                sketch.unknown.extend(id);
                sketch.try_links(host);
            }
            Makes::UnknownTree => {
                let id = sketch.directory(&path);
                sketch.unknown.extend(id);
            }
            Makes::Symlink(_) | Makes::File => {}
        }
    }
    // Any credential may end on the disk.
    for credential in &manifest.credentials {
        let path: Vec<_> = credential.entry.path.0.iter().map(Name::as_bytes).collect();
        sketch.add(&path, file());
    }
    for definition in definitions {
        match &definition.action {
            // What it is a name of may be in one of those directories.
            Action::Link(target) => {
                let path: Vec<_> = definition.path.names().collect();
                sketch.link(&path, &target.names().collect::<Vec<_>>());
            }
            Action::Make(..) | Action::HostFile(_) | Action::Modify(_) | Action::Xattr { .. } => {}
        }
    }
    sketch
}

fn file() -> Kind {
    Kind::File(Content::Memory(Secret::new(Vec::new())))
}

impl Sketch {
    /// The names below a directory of the host. What cannot be read is not known.
    fn walk(&mut self, top: InodeId, host: &Path) {
        let mut directories: Vec<(InodeId, PathBuf)> = vec![(top, host.into())];
        while let Some((id, host)) = directories.pop() {
            let Ok(entries) = listing::kinds(&host) else {
                self.unknown.insert(id);
                continue;
            };
            for (name, kind) in entries {
                let path = host.join(&name);
                let kind = if kind.is_dir() {
                    directories.extend(self.child(id, &name).map(|child| (child, path)));
                    continue;
                } else if kind.is_symlink() {
                    let Ok(target) = fs::read_link(&path) else { continue };
                    Kind::Symlink(target.as_os_str().as_bytes().into())
                } else {
                    file()
                };
                self.insert(id, name.as_bytes(), kind);
            }
        }
    }

    /// Notes the links below a directory of the host that cannot be followed; those that lead
    /// to directories are not walked.
    fn try_links(&mut self, host: &Path) {
        let mut directories = vec![host.to_owned()];
        while let Some(host) = directories.pop() {
            let Ok(entries) = listing::kinds(&host) else { continue };
            for (name, kind) in entries {
                let path = host.join(&name);
                // Kubernetes' own entries are not followed.
                let is_own = name.as_bytes().starts_with(b"..");
                if kind.is_dir() {
                    directories.push(path);
                } else if kind.is_symlink()
                    && !is_own
                    && fs::metadata(&path).is_err_and(|error| error.kind() != PermissionDenied)
                {
                    self.broken.push(path);
                }
            }
        }
        self.broken.sort();
    }

    fn child(&mut self, parent: InodeId, name: &OsStr) -> Option<InodeId> {
        self.descend(parent, name.as_bytes())
    }

    /// The directory of this path, made where it is missing; none where something else is there.
    fn directory(&mut self, path: &[&[u8]]) -> Option<InodeId> {
        path.iter().try_fold(Tree::ROOT, |parent, name| self.descend(parent, name))
    }

    fn descend(&mut self, parent: InodeId, name: &[u8]) -> Option<InodeId> {
        match self.tree.child(parent, name) {
            Some(id) => Some(id),
            None => self.insert(parent, name, Kind::directory()),
        }
    }

    fn add(&mut self, path: &[&[u8]], kind: Kind) {
        if let Some((name, parents)) = path.split_last()
            && let Some(parent) = self.directory(parents)
        {
            self.insert(parent, name, kind);
        }
    }

    fn link(&mut self, path: &[&[u8]], target: &[&[u8]]) {
        let target =
            target.iter().try_fold(Tree::ROOT, |parent, name| self.tree.child(parent, name));
        if let (Some((name, parents)), Some(target)) = (path.split_last(), target)
            && let (Some(parent), Ok(name)) = (self.directory(parents), Name::new(name))
        {
            // The build tells what is wrong with it.
            let _ = self.tree.link(parent, name, target);
        }
    }

    fn insert(&mut self, parent: InodeId, name: &[u8], kind: Kind) -> Option<InodeId> {
        self.tree.insert(parent, Name::new(name).ok()?, Metadata::default(), kind).ok()
    }
}
