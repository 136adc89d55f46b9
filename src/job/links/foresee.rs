//! The tree that a build would make, as far as names go: what `check` judges.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind::PermissionDenied;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use credimg_formats::{Content, InodeId, Kind, Metadata, Name, Secret, Tree};

use crate::host::listing;
use crate::manifest::{Entry, Makes, Manifest};
use crate::sources::pseudo::{Action, Definitions, New};

/// Names, links and directories; every other file is an empty one.
pub(super) struct Sketch {
    pub(super) tree: Tree,
    /// Directories of which not everything is known.
    pub(super) unknown: Vec<InodeId>,
    /// Links of the host that are to be followed and lead nowhere.
    pub(super) broken: Vec<PathBuf>,
}

/// The sketch of what `plan` and `definitions` make. What is wrong with a source the build
/// will say: here it is passed over.
pub(super) fn sketch(manifest: &Manifest, definitions: &Definitions) -> Sketch {
    let tree = Tree::new(Metadata::default());
    let mut sketch = Sketch { tree, unknown: Vec::new(), broken: Vec::new() };
    for entry in &manifest.entries {
        sketch.entry(entry);
    }
    for credential in &manifest.credentials {
        sketch.entry(&credential.entry);
    }
    for definition in definitions {
        let path: Vec<_> = definition.path.names().collect();
        let kind = match &definition.action {
            Action::Make(_, New::Directory) => {
                sketch.directory(&path);
                continue;
            }
            Action::Make(_, New::Symlink(target)) => Kind::Symlink(target.clone()),
            Action::Link(target) => {
                let target: Vec<_> = target.names().collect();
                sketch.link(&path, &target);
                continue;
            }
            Action::Make(
                _,
                New::Command(_)
                | New::BlockDevice(_)
                | New::CharDevice(_)
                | New::Fifo
                | New::Socket
                | New::Data(_),
            )
            | Action::HostFile(_) => file(),
            Action::Modify(_) | Action::Xattr { .. } => continue,
        };
        sketch.add(&path, kind);
    }
    sketch
}

fn file() -> Kind {
    Kind::File(Content::Memory(Secret::new(Vec::new())))
}

impl Sketch {
    fn entry(&mut self, Entry { path, source, .. }: &Entry) {
        let path: Vec<_> = path.0.iter().map(Name::as_bytes).collect();
        match source.makes() {
            Makes::HostTree(host) => {
                if let Some(id) = self.directory(&path) {
                    self.walk(id, host);
                }
            }
            // It holds no link, but perhaps what others lead to.
            Makes::FollowedTree(host) => {
                let id = self.directory(&path);
                self.unknown.extend(id);
                self.try_links(host);
            }
            Makes::UnknownTree => {
                let id = self.directory(&path);
                self.unknown.extend(id);
            }
            Makes::Symlink(target) => self.add(&path, Kind::Symlink(target.into())),
            Makes::File => self.add(&path, file()),
        }
    }

    /// The names below a directory of the host. What cannot be read is not known.
    fn walk(&mut self, top: InodeId, host: &Path) {
        let mut directories: Vec<(InodeId, PathBuf)> = vec![(top, host.into())];
        while let Some((id, host)) = directories.pop() {
            let Ok(entries) = listing::kinds(&host) else {
                self.unknown.push(id);
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
                // What Kubernetes has for itself is not followed.
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
            // What is wrong with it the build says.
            let _ = self.tree.link(parent, name, target);
        }
    }

    fn insert(&mut self, parent: InodeId, name: &[u8], kind: Kind) -> Option<InodeId> {
        self.tree.insert(parent, Name::new(name).ok()?, Metadata::default(), kind).ok()
    }
}
