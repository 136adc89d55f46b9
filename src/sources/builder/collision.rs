//! Entries that the tree does not take, above all two that want one path.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use credimg_formats::{Error, ErrorKind, InodeId, Name};

use super::TreeBuilder;
use crate::report::{Exit, Failure, shown};

impl TreeBuilder<'_> {
    /// Why the tree did not take `name`.
    pub(super) fn refusal(&self, error: &Error, parent: InodeId, name: &Name) -> Failure {
        if error.kind() == ErrorKind::Conflict && self.child(parent, name.as_bytes()).is_some() {
            return self.collision(parent, name);
        }
        let path = self.path(parent, name);
        Failure::new(Exit::Source, format!("{path}: {error}"))
    }

    /// Two entries that want one path.
    pub(crate) fn collision(&self, parent: InodeId, name: &Name) -> Failure {
        let path = self.path(parent, name);
        let child = self.child(parent, name.as_bytes());
        let made = child.and_then(|id| self.made.get(id.index()));
        let other = made.and_then(|made| made.entry).filter(|entry| *entry != self.current);
        let Some(other) = other else {
            let message = format!("{path} is there twice, and not both times as a directory");
            return Failure::new(Exit::Source, message);
        };
        let (_, line) = self.origin(self.current);
        let (other, _) = self.origin(other);
        let message = format!("{path} ({line}) is taken already by {other}");
        Failure::new(Exit::Manifest, message)
            .hint("directories of several entries merge, everything else needs a path of its own")
    }

    /// An entry of the manifest or a pseudo definition for messages, and where it stands.
    fn origin(&self, index: usize) -> (String, String) {
        match index.checked_sub(self.listed()) {
            None => {
                let entry = self.manifest.sources().nth(index);
                entry.map_or_else(Default::default, |entry| {
                    (entry.position.name_and_line(), entry.position.line())
                })
            }
            Some(index) => {
                self.definitions.get(index).map_or_else(Default::default, |definition| {
                    (definition.position.name_and_line(), definition.position.line())
                })
            }
        }
    }

    /// The path of an entry for messages, odd bytes escaped.
    pub(crate) fn path(&self, parent: InodeId, name: &Name) -> String {
        let mut path = self.tree.path_of(parent);
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        path.extend(name.as_bytes());
        shown(Path::new(OsStr::from_bytes(&path)))
    }
}
