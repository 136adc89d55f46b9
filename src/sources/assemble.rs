//! From the manifest to the tree: runs every source in the manifest's order and
//! puts what it delivers into one [`Tree`], but for the credentials that go by
//! the firmware.
//!
//! Where several entries make one directory it gets the attributes of the
//! last; nothing else may be made twice.

use std::path::PathBuf;

use anyhow::Result;
use credimg_formats::{Content, Secret, Timestamp, Tree};

use crate::delivery::route::{Means, Routes, plan_routes};
use crate::delivery::sidecar::Value;
use crate::host::signals;
use crate::manifest::{Channel, Credential, Entry, FwCfg, Manifest};
use crate::report::{Exit, Failure};
use crate::sources::builder::TreeBuilder;
use crate::sources::pseudo::{self, Policy, Purpose};
use crate::sources::rehearsal::rehearse;
use crate::sources::{self, command};

pub use crate::sources::builder::{OwnFiles, Step};

/// What an assembly depends on besides the manifest.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The time of everything whose time is not given.
    pub build_time: Timestamp,
    /// What each command is granted.
    pub commands: command::Limits,
    /// What is allowed at all.
    pub policy: Policy,
    /// Where the image will lie: no source of its own.
    pub output: OwnFiles,
    /// By which channels credentials can go.
    pub means: Means,
    /// What becomes of sources that another user of the host can exchange.
    pub exchangeable: Exchangeable,
    /// Most bytes of the image, and of the content of all its files together.
    pub max_size_bytes: u64,
}

/// Most bytes of an image where nobody says otherwise.
pub const MAX_SIZE_BYTES: u64 = 64 << 30;

/// What becomes of sources that another user of the host can exchange, where the caller is
/// root; of other callers they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchangeable {
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
    /// How each credential goes.
    pub routes: Routes,
    /// The values that go by the firmware, in the manifest's order.
    pub values: Vec<Value>,
    /// What people should know of sources that another user of the host can exchange.
    pub warning: Option<String>,
}

/// Reads and runs the sources of `plan`. Large files, and small ones once 8 MiB
/// are in memory, are only looked at: they are streamed when the image is
/// written, and an error then if they changed. `progress` hears of every entry
/// and of every 1,024 inodes, and now and then while a command runs.
///
/// The credentials of `plan` follow its entries; once all are read, each goes
/// to the channel that is planned for it. Then come the pseudo definitions. They
/// and `policy` are checked before any source is read.
///
/// Each error holds a [`Failure`] that begins with the entry's key path and its
/// path in the image, those of the manifest itself with file, line and column:
/// exit code 3 for entries that collide, for wrong pseudo definitions and for
/// credentials that cannot go, 4 for a source that cannot be read, 5 for what the
/// policy forbids, 6 for a command, 130 for a signal. After an error no command
/// is left running.
pub fn assemble(
    manifest: &Manifest,
    settings: &Settings,
    progress: &mut dyn FnMut(Step),
) -> Result<Assembly> {
    assemble_noting(manifest, settings, None, progress)
}

/// The same, which adds to `inputs` the files and directories of the host that it reads, in
/// the order in which it comes upon them: not the manifest, nor what a command reads.
pub fn assemble_noting(
    manifest: &Manifest,
    settings: &Settings,
    inputs: Option<&mut Vec<PathBuf>>,
    progress: &mut dyn FnMut(Step),
) -> Result<Assembly> {
    let definitions = pseudo::load(manifest)?;
    pseudo::require_allowed(settings.policy, manifest, &definitions)?;
    if !definitions.is_empty() {
        // So that no command runs for a definition that can do nothing.
        rehearse(manifest, &definitions, settings.max_size_bytes)?;
    }
    let mut builder = TreeBuilder::new(manifest, &definitions, settings, progress);
    if let Some(inputs) = inputs {
        builder.note_inputs(inputs);
    }
    for (index, entry) in manifest.entries.iter().enumerate() {
        signals::check()?;
        builder.begin(index, entry);
        sources::collect(entry, &settings.commands, &mut builder)
            .map_err(|failure| in_entry(failure, entry))?;
    }
    let contents = values(manifest, settings, &mut builder)?;
    let lengths: Vec<_> = contents.iter().map(|content| Some(content.len())).collect();
    let routes = plan_routes(manifest, &lengths, &settings.means)?;
    let values = distribute(manifest, contents, &routes, &mut builder)?;
    pseudo::collect(&definitions, Purpose::Build(&settings.commands), &mut builder)?;
    let warning = builder.exchangeable();
    if let (Some(message), Exchangeable::Refused) = (&warning, settings.exchangeable) {
        return Err(Failure::new(Exit::Policy, format!("--strict: {message}"))
            .hint("--trust takes them as they are")
            .into());
    }
    let tree = builder.finish();
    require_single(manifest, &routes, &tree)?;
    Ok(Assembly { tree, routes, values, warning })
}

/// Reads every credential and every item of `fw_cfg`.
fn values<'a>(
    manifest: &'a Manifest,
    settings: &Settings,
    builder: &mut TreeBuilder<'a>,
) -> Result<Vec<Content>> {
    let mut contents = Vec::with_capacity(manifest.credentials.len() + manifest.fw_cfg.len());
    for (index, entry) in manifest.values().enumerate() {
        signals::check()?;
        builder.begin_value(index, entry);
        let (_, content) = sources::content(&entry.source, &settings.commands, builder)
            .map_err(|failure| in_entry(failure, entry))?;
        contents.push(content);
    }
    Ok(contents)
}

/// Puts the credentials of the disk into the tree; returns the others.
fn distribute<'a>(
    manifest: &'a Manifest,
    contents: Vec<Content>,
    routes: &Routes,
    builder: &mut TreeBuilder<'a>,
) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    let mut contents = contents.into_iter();
    let planned = manifest.credentials.iter().zip(&routes.routes).zip(contents.by_ref());
    for (index, ((credential, route), content)) in planned.enumerate() {
        let Credential { name, entry, .. } = credential;
        match route.channel.unwrap_or(Channel::Disk) {
            Channel::Disk => {
                builder.begin_value(index, entry);
                builder.credential_file(content).map_err(|failure| in_entry(failure, entry))?;
            }
            channel => {
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
        if route.channel != Some(Channel::Disk) && found.is_some() {
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

/// Says which entry failed, and where the manifest is to be mended if that is
/// wrong. A signal is no entry's fault.
pub(crate) fn in_entry(mut failure: Failure, entry: &Entry) -> Failure {
    let name = match failure.exit {
        Exit::Interrupted => return failure,
        Exit::Manifest => entry.position.to_string(),
        _ => entry.position.name(),
    };
    failure.message = format!("{name} ({}): {}", entry.path, failure.message);
    failure
}
