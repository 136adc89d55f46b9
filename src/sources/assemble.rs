//! From the manifest to the tree: runs every source in the manifest's order and
//! puts what it delivers into one [`Tree`], but for the credentials that go by
//! the firmware.
//!
//! Where several entries make one directory it gets the attributes of the
//! last; nothing else may be made twice.

use std::path::PathBuf;
use std::sync::Arc;

use credimg_formats::{Content, InodeId, Secret, Timestamp, Tree};

use crate::delivery::means::Means;
use crate::delivery::route::{Routes, plan_routes};
use crate::delivery::sidecar::Value;
use crate::host::steady::Steady;
use crate::manifest::{Channel, Credential, Entry, FwCfg, Granted, Manifest};
use crate::report::{Exit, Failure};
use crate::sources;
use crate::sources::builder::{Adder, Built, EntryScope, TreeBuilder};
use crate::sources::command::{self, Commands};
use crate::sources::pseudo::{self, Policy, Purpose};
use crate::sources::rehearsal::rehearse;
use crate::sources::shared::Shared;

pub use crate::sources::builder::{Doing, OwnFiles, Replaced, Step};
pub(crate) use crate::sources::builder::{directory_of, in_entry};

/// What an assembly depends on besides the manifest.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The time of everything whose time is not given.
    pub build_time: Timestamp,
    /// What commands are granted.
    pub commands: command::Limits,
    /// What is allowed at all.
    pub policy: Policy,
    /// What the run writes, which is no source of it.
    pub output: OwnFiles,
    /// By which channels credentials can go.
    pub means: Means,
    /// What becomes of sources that another user of the host can exchange.
    pub on_exchangeable: OnExchangeable,
    /// Most bytes of the image, and of the content of all its files together.
    pub max_size_bytes: u64,
    /// Whether [`Assembly::inputs`] is wanted.
    pub notes_inputs: bool,
    /// The guest's own initrd, which is an input besides the sources.
    pub initrd: Option<Arc<Steady>>,
    /// What other machines of a fleet have read and this one may have, where there are any.
    pub shared: Option<Arc<Shared>>,
}

/// Most bytes of an image where nobody says otherwise.
pub const MAX_SIZE_BYTES: u64 = 64 << 30;

/// What becomes of sources that another user of the host can exchange, where the caller is
/// root; of other callers they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExchangeable {
    /// They are taken.
    Taken,
    /// They are taken, and [`Assembly::warning`] tells of them.
    Told,
    /// They are an error of exit code 5.
    Refused,
}

/// What all sources deliver.
#[derive(Debug)]
pub struct Assembly {
    /// What is on the disk.
    pub tree: Tree,
    /// Of each inode of the tree, whether it has no time of its own, but that of the build.
    is_undated: Vec<bool>,
    /// Of each inode of the tree, by which item its machine got it; empty where there is no fleet.
    granted: Vec<Option<Granted>>,
    /// How each credential goes.
    pub routes: Routes,
    /// The values that go by the firmware, in the manifest's order.
    pub values: Vec<Value>,
    /// The files and directories of the host that were read, in the order in which they were
    /// met: not the manifest, nor what a command reads.
    pub inputs: Vec<PathBuf>,
    /// What people should know of sources that another user of the host can exchange.
    pub warning: Option<String>,
}

impl Assembly {
    /// By which item a machine of a fleet got an inode; none where it was only needed on the way.
    pub(crate) fn granted(&self, id: InodeId) -> Option<Granted> {
        self.granted.get(id.index()).copied().flatten()
    }

    /// The values that go by the firmware, each with its entry of `manifest`.
    pub(crate) fn firmware_values<'a>(
        &'a self,
        manifest: &'a Manifest,
    ) -> impl Iterator<Item = (&'a Entry, &'a Value)> {
        let credentials = manifest.credentials.iter().zip(&self.routes.routes);
        let off_disk = credentials.filter(|(_, route)| !is_on_disk(route.channel));
        let off_disk = off_disk.map(|(credential, _)| &credential.entry);
        off_disk.chain(manifest.fw_cfg.iter().map(|item| &item.entry)).zip(&self.values)
    }

    /// Gives what has no time of its own this one, in place of that of the build.
    pub fn date(&mut self, time: Timestamp) {
        let ids: Vec<InodeId> = self.tree.inodes().map(|(id, _)| id).collect();
        for id in ids {
            if self.is_undated.get(id.index()) == Some(&true)
                && let Some(metadata) = self.tree.metadata_mut(id)
            {
                metadata.mtime = time;
            }
        }
    }
}

/// Reads and runs the sources of `manifest`. Files that are not tiny are only looked at, but for
/// the first ones, as `builder/budget.rs` says: they are streamed when the image is written, and an
/// error then if they changed. `progress` hears of every entry and of every 1,024 inodes, and now
/// and then while a command runs.
///
/// The credentials of `manifest` follow its entries; once all are read, each goes
/// to the channel that is planned for it. Then come the pseudo definitions. They
/// and what the settings allow are checked before any source is read.
///
/// Each error begins with the entry's key path and its
/// path in the image, those of the manifest itself with file, line and column:
/// exit code 3 for entries that collide, for wrong pseudo definitions and for
/// credentials that cannot go, 4 for a source that cannot be read, 5 for what the
/// policy forbids, 6 for a command, 130 for a signal. After an error no command
/// is left running.
pub fn assemble(
    manifest: &Manifest,
    settings: &Settings,
    progress: &mut dyn FnMut(Step),
) -> Result<Assembly, Failure> {
    let definitions = pseudo::load(manifest)?;
    pseudo::require_allowed(settings.policy, manifest, &definitions)?;
    if !definitions.is_empty() {
        // So that no command runs for a definition that can do nothing.
        rehearse(manifest, &definitions, settings.max_size_bytes)?;
    }
    let mut builder = TreeBuilder::new(manifest, &definitions, settings, progress);
    let mut commands =
        Commands::new(manifest, &definitions, &settings.commands, settings.shared.as_deref());
    for (index, entry) in manifest.entries.iter().enumerate() {
        sources::tell(entry);
        let output = commands.output(Adder::Entry(index), &mut builder)?;
        builder.with_entry(index, entry, |to| sources::collect(entry, output, to))?;
    }
    let contents = values(manifest, &mut commands, &mut builder)?;
    let lengths: Vec<_> = contents.iter().map(|content| Some(content.len())).collect();
    let routes = plan_routes(manifest, &lengths, &settings.means)?;
    let values = distribute(manifest, contents, &routes, &mut builder)?;
    pseudo::collect(&definitions, Purpose::Build(&mut commands), &mut builder)?;
    if let Some(initrd) = &settings.initrd {
        builder.inputs.take(initrd.path(), initrd.stat())?;
    }
    let warning = builder.inputs.warning();
    if let (Some(message), OnExchangeable::Refused) = (&warning, settings.on_exchangeable) {
        return Err(Failure::new(Exit::Policy, format!("--strict: {message}"))
            .hint("--trust takes them as they are"));
    }
    let Built { tree, is_undated, granted, inputs } = builder.finish();
    require_single(manifest, &routes, &tree)?;
    Ok(Assembly { tree, is_undated, granted, routes, values, inputs, warning })
}

/// Reads every credential and every item of `fw_cfg`.
fn values<'a>(
    manifest: &'a Manifest,
    commands: &mut Commands,
    builder: &mut TreeBuilder<'a>,
) -> Result<Vec<Content>, Failure> {
    let mut contents = Vec::with_capacity(manifest.credentials.len() + manifest.fw_cfg.len());
    for (index, entry) in manifest.values().enumerate() {
        sources::tell(entry);
        let output = commands.output(Adder::Value(index), builder)?;
        let read = |mut to: EntryScope| {
            sources::content(&entry.source, entry.is_shared(), output, &mut to.scope)
        };
        contents.push(builder.with_value(index, entry, read)?.content);
    }
    Ok(contents)
}

/// Puts the credentials of the disk into the tree; returns the others.
fn distribute<'a>(
    manifest: &'a Manifest,
    contents: Vec<Content>,
    routes: &Routes,
    builder: &mut TreeBuilder<'a>,
) -> Result<Vec<Value>, Failure> {
    let mut values = Vec::new();
    let mut contents = contents.into_iter();
    let planned = manifest.credentials.iter().zip(&routes.routes).zip(contents.by_ref());
    for (index, ((credential, route), content)) in planned.enumerate() {
        let Credential { name, entry, .. } = credential;
        match route.channel {
            None | Some(Channel::Disk) => {
                builder.with_value(index, entry, |mut to| to.credential_file(content))?;
            }
            Some(channel @ (Channel::Smbios | Channel::FwCfg | Channel::Initrd)) => {
                let secret = in_memory(content, entry)?;
                values.push(Value { name: name.clone(), channel, secret });
            }
        }
    }
    for (FwCfg { name, entry }, content) in manifest.fw_cfg.iter().zip(contents) {
        let secret = in_memory(content, entry)?;
        values.push(Value { name: name.clone(), channel: Channel::FwCfg, secret });
    }
    Ok(values)
}

/// Whether a credential whose route is this one becomes a file of the image.
fn is_on_disk(channel: Option<Channel>) -> bool {
    match channel {
        None | Some(Channel::Disk) => true,
        Some(Channel::Smbios | Channel::FwCfg | Channel::Initrd) => false,
    }
}

/// The content of `entry` itself; it has been planned to be small.
fn in_memory(content: Content, entry: &Entry) -> Result<Secret, Failure> {
    if let Content::Memory(secret) = content {
        return Ok(secret);
    }
    // As large as it gets, so that no shorter copy of it is left in the heap.
    let mut bytes = Vec::with_capacity(usize::try_from(content.len()).unwrap_or(0));
    content
        .stream(&mut bytes)
        .map_err(|error| in_entry(Failure::new(Exit::Source, error.to_string()), entry))?;
    Ok(Secret::new(bytes))
}

/// An error where a `dir`, a `tar` or a pseudo definition has put a file into
/// the guest's store whose name is that of a credential of the firmware.
fn require_single(manifest: &Manifest, routes: &Routes, tree: &Tree) -> Result<(), Failure> {
    for (credential, route) in manifest.credentials.iter().zip(&routes.routes) {
        let entry = &credential.entry;
        let names = &entry.path.0;
        let found =
            names.iter().try_fold(Tree::ROOT, |parent, name| tree.child(parent, name.as_bytes()));
        if route.channel.is_none_or(Channel::is_off_disk) && found.is_some() {
            let message = "the disk holds a credential of this name as well";
            let failure = Failure::new(Exit::Manifest, message);
            return Err(in_entry(failure, entry).hint(
                "of two credentials of one name a guest ignores one in silence: name one of them \
                 otherwise",
            ));
        }
    }
    Ok(())
}
