//! Entries that the tree does not take, above all two that want one path.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use credimg_formats::{Error, ErrorKind, InodeId, Name};

use super::Adder;
use super::scope::Scope;
use crate::report::{Exit, Failure, Position, shown};

impl Scope<'_, '_> {
    /// Why the tree did not take `name`.
    pub(super) fn refusal(&self, error: &Error, parent: InodeId, name: &Name) -> Failure {
        if error.kind() == ErrorKind::Conflict
            && self.tree().child(parent, name.as_bytes()).is_some()
        {
            return self.collision(parent, name);
        }
        let path = self.path(parent, name);
        Failure::new(Exit::Source, format!("{path}: {error}"))
    }

    /// Two entries that want one path.
    pub(crate) fn collision(&self, parent: InodeId, name: &Name) -> Failure {
        let path = self.path(parent, name);
        let child = self.tree().child(parent, name.as_bytes());
        let provenance = child.and_then(|id| self.builder.provenances.get(id.index()));
        let other = provenance.and_then(|provenance| provenance.adder);
        let Some(other) = other.filter(|other| *other != self.adder) else {
            let message = format!("{path} is there twice, and not both times as a directory");
            return Failure::new(Exit::Source, message);
        };
        let line = self.position(self.adder).map_or_else(String::new, Position::line);
        let other = self.position(other).map_or_else(String::new, Position::name_and_line);
        let message = format!("{path} ({line}) is taken already by {other}");
        Failure::new(Exit::Manifest, message)
            .hint("directories of several entries merge, everything else needs a path of its own")
    }

    /// Where an adder stands.
    fn position(&self, adder: Adder) -> Option<&Position> {
        let manifest = self.manifest();
        match adder {
            Adder::Entry(index) => Some(&manifest.entries.get(index)?.position),
            Adder::Value(index) => Some(&manifest.values().nth(index)?.position),
            Adder::Definition(index) => Some(&self.builder.definitions.get(index)?.position),
        }
    }

    /// The path of an entry for messages, odd bytes escaped.
    pub(crate) fn path(&self, parent: InodeId, name: &Name) -> String {
        let mut path = self.tree().path_of(parent);
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        path.extend(name.as_bytes());
        shown(Path::new(OsStr::from_bytes(&path)))
    }
}
