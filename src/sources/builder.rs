//! The tree as it grows: gives every file and directory the attributes that
//! the manifest wants, makes missing parents, and finds entries that collide.
//!
//! Nothing is added but in a [`Scope`], which knows for whom: for an entry or a value of the
//! manifest, or for a pseudo definition. What fails in a scope is told with their place.

mod attributes;
pub(crate) mod budget;
mod collision;
mod entry;
mod inputs;
mod labels;
mod own_files;
mod scope;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credimg_formats::chunked::Chunked;
use credimg_formats::{Metadata, Timestamp, Tree, Xattrs};

use self::budget::Budget;
use self::inputs::Inputs;
use super::pseudo::{Definition, Definitions};
use super::shared::Shared;
use crate::host::signals;
use crate::host::trust::{self, Census};
use crate::manifest::{Entry, Granted, Manifest};
use crate::report::{Exit, Failure, Position};
use crate::sources::assemble::{OnExchangeable, Settings};
pub(crate) use attributes::InodeAttributes;
pub(crate) use entry::EntryScope;
pub(crate) use own_files::directory_of;
pub use own_files::{OwnFiles, Replaced};
pub(crate) use scope::Scope;

/// How many inodes are made between two reports of progress.
const STEP_INODES: usize = 1024;

/// How far an assembly has come.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// 0-based index of the manifest's entry at hand; credentials and then
    /// pseudo definitions follow the entries.
    pub entry: usize,
    /// How many entries, credentials and definitions there are.
    pub entries: usize,
    /// How many files, directories and links the tree holds already.
    pub inodes: usize,
    /// The place in the image of what is at hand.
    pub path: &'a dyn fmt::Display,
    /// What is done for it.
    pub doing: Doing<'a>,
}

/// What an assembly does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing<'a> {
    /// It reads a source.
    Reading,
    /// It waits until a file that was changed just now is at rest.
    Waiting,
    /// It waits for a command.
    Running {
        /// The program's name, without its arguments.
        program: &'a str,
        /// For how many whole seconds.
        for_seconds: u64,
        /// How many commands run beside it.
        others: usize,
    },
}

/// For whom something is added to the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Adder {
    /// The manifest's entry of this index.
    Entry(usize),
    /// Its value of this index: the credentials, and behind those the items of `fw_cfg`.
    Value(usize),
    /// The pseudo definition of this index.
    Definition(usize),
}

/// Where an inode comes from.
struct Provenance {
    /// Who added it; nobody where it is the root of a new tree.
    adder: Option<Adder>,
    /// A directory that was only needed on the way to something else.
    is_implied: bool,
    /// Whether it has no time of its own, but the build's.
    is_undated: bool,
    /// Components of its path: no more than a tree may be deep.
    depth: u16,
}

/// The tree as it grows.
pub(crate) struct TreeBuilder<'a> {
    manifest: &'a Manifest,
    definitions: &'a Definitions,
    build_time: Timestamp,
    progress: &'a mut dyn FnMut(Step),
    shared: Option<Arc<Shared>>,
    pub(crate) inputs: Inputs,
    budget: Budget,
    tree: Tree,
    /// One for each inode of `tree`.
    provenances: Chunked<Provenance>,
}

/// What a builder has made.
pub(crate) struct Built {
    pub(crate) tree: Tree,
    /// Of each inode, whether its time is the build's.
    pub(crate) is_undated: Vec<bool>,
    /// Of each inode, by which item its machine got it, where the manifest is of a fleet.
    pub(crate) granted: Vec<Option<Granted>>,
    /// The files and directories of the host that were read, where they were to be noted.
    pub(crate) inputs: Vec<PathBuf>,
}

impl<'a> TreeBuilder<'a> {
    /// A tree with nothing but its root.
    pub(crate) fn new(
        manifest: &'a Manifest,
        definitions: &'a Definitions,
        settings: &Settings,
        progress: &'a mut dyn FnMut(Step),
    ) -> Self {
        let exchangeable = match settings.on_exchangeable {
            OnExchangeable::Taken => None,
            OnExchangeable::Told | OnExchangeable::Refused => {
                let shared = settings.shared.as_ref();
                let census = shared.map_or_else(Census::of_privileged, |it| it.take_census());
                census.map(trust::Exchangeable::new)
            }
        };
        let defaults = &manifest.parents;
        let root = InodeAttributes::of_directory(defaults, None, defaults);
        let xattrs = defaults.xattrs.clone();
        Self {
            manifest,
            definitions,
            build_time: settings.build_time,
            progress,
            shared: settings.shared.clone(),
            inputs: Inputs::new(settings.output.clone(), exchangeable, settings.notes_inputs),
            budget: Budget::new(settings.max_size_bytes),
            tree: Tree::new(metadata(root, settings.build_time, xattrs)),
            provenances: Chunked::from_iter([Provenance {
                adder: None,
                is_implied: true,
                is_undated: root.mtime.is_none(),
                depth: 0,
            }]),
        }
    }

    /// Adds what belongs to `entry`, the manifest's entry `index`.
    pub(crate) fn with_entry<T>(
        &mut self,
        index: usize,
        entry: &'a Entry,
        add: impl FnOnce(EntryScope<'_, 'a>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_listed(Adder::Entry(index), entry, add)
    }

    /// Adds what belongs to `entry`, the manifest's value `index`: a credential, or behind
    /// those an item of `fw_cfg`.
    pub(crate) fn with_value<T>(
        &mut self,
        index: usize,
        entry: &'a Entry,
        add: impl FnOnce(EntryScope<'_, 'a>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_listed(Adder::Value(index), entry, add)
    }

    fn with_listed<T>(
        &mut self,
        adder: Adder,
        entry: &'a Entry,
        add: impl FnOnce(EntryScope<'_, 'a>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let scope = self.scope(adder)?;
        add(EntryScope::new(scope, entry)).map_err(|failure| in_entry(failure, entry))
    }

    /// Adds what belongs to `definition`, the pseudo definition `index`.
    pub(crate) fn with_definition<T>(
        &mut self,
        index: usize,
        definition: &Definition,
        add: impl FnOnce(Scope<'_, 'a>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let scope = self.scope(Adder::Definition(index))?;
        add(scope).map_err(|failure| in_place(failure, &definition.position, &definition.path))
    }

    fn scope(&mut self, adder: Adder) -> Result<Scope<'_, 'a>, Failure> {
        signals::check()?;
        let mut scope = Scope::new(self, adder);
        scope.report();
        Ok(scope)
    }

    /// The manifest that the tree is made of.
    pub(crate) fn manifest(&self) -> &'a Manifest {
        self.manifest
    }

    /// What the build may still take.
    pub(crate) fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    /// Says that a program has run for so long on behalf of `adder`, and how many others run
    /// beside it.
    pub(crate) fn report_running(
        &mut self,
        adder: Adder,
        program: &str,
        elapsed: Duration,
        others: usize,
    ) {
        let doing = Doing::Running { program, for_seconds: elapsed.as_secs(), others };
        Scope::new(self, adder).show(doing);
    }

    /// The failure of what is done for `adder`, with its place.
    pub(crate) fn blame(&self, adder: Adder, failure: Failure) -> Failure {
        match self.place(adder) {
            Some((position, path)) => in_place(failure, position, path),
            None => failure,
        }
    }

    /// The place in the image of what `adder` makes.
    pub(crate) fn shown_path(&self, adder: Adder) -> String {
        self.place(adder).map(|(_, path)| path.to_string()).unwrap_or_default()
    }

    /// Where it is said what `adder` makes, and its place in the image.
    fn place(&self, adder: Adder) -> Option<(&'a Position, &'a dyn fmt::Display)> {
        let entry = match adder {
            Adder::Entry(index) => self.manifest.entries.get(index),
            Adder::Value(index) => self.manifest.values().nth(index),
            Adder::Definition(index) => {
                let Definition { position, path, .. } = self.definitions.get(index)?;
                return Some((position, path));
            }
        };
        let Entry { position, path, .. } = entry?;
        Some((position, path))
    }

    /// The tree as far as it has grown.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The finished tree.
    pub(crate) fn finish(self) -> Built {
        let is_undated = self.provenances.iter().map(|it| it.is_undated).collect();
        let of_fleet = self.provenances.iter().filter(|_| self.manifest.machine.is_some());
        let granted = of_fleet.map(|it| self.granted(it.adder?)).collect();
        let (inputs, exchangeable) = self.inputs.into_parts();
        if let Some((shared, exchangeable)) = self.shared.zip(exchangeable) {
            shared.keep_census(exchangeable.into_census());
        }
        Built { tree: self.tree, is_undated, granted, inputs }
    }

    /// How what `adder` adds came to the machine of a fleet.
    fn granted(&self, adder: Adder) -> Option<Granted> {
        match adder {
            Adder::Entry(index) => self.manifest.entries.get(index)?.granted,
            Adder::Value(index) => self.manifest.values().nth(index)?.granted,
            Adder::Definition(index) => self.definitions.get(index)?.granted,
        }
    }

    /// How many entries, credentials and items of `fw_cfg` the manifest has.
    fn listed(&self) -> usize {
        let Manifest { entries, credentials, fw_cfg, .. } = self.manifest;
        entries.len() + credentials.len() + fw_cfg.len()
    }
}

/// All attributes of an inode; one that has no time of its own has `build_time`.
fn metadata(attributes: InodeAttributes, build_time: Timestamp, xattrs: Xattrs) -> Metadata {
    let InodeAttributes { mode, owner: (uid, gid), mtime } = attributes;
    Metadata { mode, uid, gid, mtime: mtime.unwrap_or(build_time), xattrs }
}

/// Says which entry failed, and where the manifest is to be mended if that is
/// wrong. A signal is no entry's fault.
pub(crate) fn in_entry(failure: Failure, entry: &Entry) -> Failure {
    in_place(failure, &entry.position, &entry.path)
}

/// Says that the failure is about what stands at `position` and makes `path`.
fn in_place(mut failure: Failure, position: &Position, path: &dyn fmt::Display) -> Failure {
    let name = match failure.exit {
        Exit::Interrupted => return failure,
        Exit::Manifest => position.of_value(),
        Exit::Different
        | Exit::Usage
        | Exit::Source
        | Exit::Policy
        | Exit::Command
        | Exit::Output
        | Exit::Image => position.name(),
    };
    failure.message = format!("{name} ({path}): {}", failure.message);
    failure
}
