//! The tree of a build as far as the manifest and its pseudo files tell, without
//! running a command or reading a source: files are empty, and of a `dir` or a `tar`
//! there is the top directory alone.
//!
//! Invariant: a rehearsal refuses nothing that a build could take.

use std::collections::HashSet;
use std::path::Path;

use credimg_formats::{Content, InodeId, Secret, Timestamp, Tree, Xattrs};

use crate::delivery::means::Means;
use crate::manifest::{Channel, Credential, Entry, Keep, Makes, Manifest};
use crate::report::Failure;
use crate::sources::assemble::{MAX_SIZE_BYTES, OnExchangeable, OwnFiles, Settings, Step};
use crate::sources::builder::{EntryScope, TreeBuilder};
use crate::sources::command::Limits;
use crate::sources::pseudo::{self, Definitions, Policy, Purpose, Unknown};

/// What a build will make, as far as that is known.
pub(crate) struct Rehearsal {
    /// What the entries, the credentials that go onto the disk for certain, and the
    /// definitions make.
    pub(crate) tree: Tree,
    /// Directories that a source fills.
    pub(crate) opaque: HashSet<InodeId>,
    /// Inodes whose owner or mode is that of their source, which is not read.
    pub(crate) kept: HashSet<InodeId>,
}

/// Goes through the entries, the credentials and the definitions as a build does. A build
/// would end with the same error: of exit code 3, or 4 where the definitions make more than
/// `max_size_bytes`.
pub(crate) fn rehearse(
    manifest: &Manifest,
    definitions: &Definitions,
    max_size_bytes: u64,
) -> Result<Rehearsal, Failure> {
    let settings = Settings { max_size_bytes, ..settings() };
    let mut progress = |_: Step| {};
    let mut builder = TreeBuilder::new(manifest, definitions, &settings, &mut progress);
    let (mut opaque, mut kept) = (HashSet::new(), HashSet::new());
    for (index, entry) in manifest.entries.iter().enumerate() {
        let made = builder.with_entry(index, entry, |mut to| add(entry, &mut to))?;
        if entry.source.makes().is_tree() {
            opaque.insert(made);
        }
        if keeps(entry) {
            kept.insert(made);
        } else {
            // Of several entries for one directory the last one gives it its attributes.
            kept.remove(&made);
        }
    }
    let mut uncertain = Vec::new();
    for (index, Credential { via, entry, .. }) in manifest.credentials.iter().enumerate() {
        match via {
            Some(Channel::Disk) => {
                builder.with_value(index, entry, |mut to| to.credential_file(nothing()))?;
            }
            Some(Channel::Smbios | Channel::FwCfg | Channel::Initrd) => {}
            None => uncertain.push(&entry.path),
        }
    }
    let unknown = Unknown { opaque: &opaque, uncertain: &uncertain };
    pseudo::collect(definitions, Purpose::Rehearsal(unknown), &mut builder)?;
    Ok(Rehearsal { tree: builder.finish().tree, opaque, kept })
}

/// The settings of a build that reads and runs nothing.
pub(crate) fn settings() -> Settings {
    Settings {
        initrd: None,
        build_time: Timestamp::default(),
        // Nothing is run.
        commands: Limits::new(Path::new("")),
        policy: Policy::default(),
        output: OwnFiles::default(),
        means: Means::default(),
        on_exchangeable: OnExchangeable::Taken,
        max_size_bytes: MAX_SIZE_BYTES,
        notes_inputs: false,
        shared: None,
    }
}

/// Adds what the entry makes at its own path.
fn add(entry: &Entry, to: &mut EntryScope) -> Result<InodeId, Failure> {
    match entry.source.makes() {
        Makes::HostTree(_) | Makes::FollowedTree(_) | Makes::UnknownTree => {
            to.top_directory(None, Xattrs::new())
        }
        Makes::Symlink(target) => to.top_symlink(target),
        Makes::File => to.top_file(None, nothing()),
    }
}

/// Whether the inode at the entry's path has the owner or the mode that it has at its source.
fn keeps(entry: &Entry) -> bool {
    let attributes = &entry.attributes;
    let mode = if entry.source.makes().is_tree() { attributes.dir_mode } else { attributes.mode };
    mode == Keep::Keep || attributes.owner == Keep::Keep
}

fn nothing() -> Content {
    Content::Memory(Secret::new(Vec::new()))
}
