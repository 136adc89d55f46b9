//! The manifest: what the YAML says (`schema`) and what it means (`resolve`).
//!
//! Invariant: nothing here opens a source, runs a command or reads a variable,
//! and no error shows anything of the manifest but places and known keys.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use credimg_formats::Secret;
use credimg_formats::probe::probe;
use credimg_formats::squashfs::Compression;
use rustix::fs::{FileType, OFlags, fstat};
use zeroize::Zeroizing;

use crate::host::at_rest::Watched;
use crate::host::follow;
use crate::host::identity::size_bytes;
use crate::host::input;
use crate::report::{self, Exit, Failure, Problems, Subject};

mod channel;
mod conflicts;
mod credentials;
mod encrypt;
mod error;
pub mod fleet;
mod format_options;
mod fw_cfg;
pub mod keys;
mod mapping;
mod mount;
mod node;
mod pass_env;
mod resolve;
mod resolved;
mod schema;
mod source;
mod syntax;
pub(crate) mod time;
mod values;
pub(crate) mod verity;
mod xattrs;

pub use channel::Channel;
pub use credimg_formats::Format;
pub(crate) use error::manifest_name;
pub use fleet::Granted;
#[cfg(test)]
pub(crate) use fleet::PROTOCOL_LABELS;
pub use fleet::{Fleet, Loaded};
pub(crate) use fleet::{is_machine_name, no_fleet};
pub use format_options::FormatOptions;
pub(crate) use fw_cfg::is_name as is_fw_cfg_name;
pub use mapping::At;
pub use node::{DEPTH_MAX, MANIFEST_MAX_BYTES};
pub use resolved::{
    Attributes, Credential, Encrypt, Entry, FwCfg, Keep, KeySource, Label, MachineContext,
    Manifest, MountPoint, Pseudo, PseudoFile, PseudoText, TreePath,
};
pub use source::{Makes, Source, SourceKey};
pub(crate) use values::{MOUNT_CREDENTIAL, is_credential_name, label_max_bytes};
pub use verity::Verity;

/// Reads the manifest at `path`, `-` being standard input, and resolves it.
/// Host paths in it are relative to its directory, those of standard input to
/// the working directory. Every error is a [`Failure`] of exit code 3, but for a signal and
/// for a file that changes while it is read, which is of 4.
pub fn load(path: &Path) -> Result<Manifest, Failure> {
    load_any(path)?.one(None)
}

/// Reads a manifest of one machine or of many.
pub fn load_any(path: &Path) -> Result<Loaded, Failure> {
    let text = read(path).map_err(|error| {
        if let Some(failure) = Failure::inside(&error) {
            return failure.clone();
        }
        let file = manifest_name(path);
        let reason = report::reason(&error);
        let message = format!("{file}: cannot read the manifest: {reason}");
        let failure = Failure::new(Exit::Manifest, message);
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound {
            failure.hint(EXAMPLE_HINT)
        } else if kind == io::ErrorKind::IsADirectory {
            failure.hint("name the file itself")
        } else {
            failure
        }
    })?;
    require_no_image(&text, path)?;
    parse_any(&text, path)
}

/// An error where an image stands in the place of the manifest.
fn require_no_image(text: &[u8], path: &Path) -> Result<(), Failure> {
    if probe(&mut { text }).is_err() {
        return Ok(());
    }
    let message = format!("{}: an image where the manifest is expected", manifest_name(path));
    let word = report::shell_word(path);
    let hint = format!("`credimg inspect {word}` says what it is, `credimg ls {word}` lists it");
    Err(Failure::new(Exit::Manifest, message).hint(hint))
}

/// A whole manifest, for whoever has none.
const EXAMPLE_HINT: &str =
    "a file with the line `files: [{path: /greeting, text: hello}]` is a whole manifest";

/// Resolves a manifest that was read already; `path` is its path, for
/// messages and as the base of host paths. The failure has one line a problem, in the
/// manifest's order.
pub fn parse(text: &[u8], path: &Path) -> Result<Manifest, Failure> {
    parse_any(text, path)?.one(None)
}

/// Understands a manifest of one machine or of many.
pub fn parse_any(text: &[u8], path: &Path) -> Result<Loaded, Failure> {
    let file = Arc::from(manifest_name(path));
    let mut problems = Problems::new(Subject::Manifest, &file);
    let root = problems.keep(node::parse(text, &file));
    let typed = root.and_then(|root| schema::read(root, &file, &mut problems));
    let loaded = typed.and_then(|typed| meaning(typed, path, &mut problems));
    problems.sort();
    problems.finish()?;
    loaded.ok_or_else(|| Failure::bug(": a manifest is refused without a reason"))
}

fn meaning(typed: schema::Typed, path: &Path, problems: &mut Problems) -> Option<Loaded> {
    if typed.machines.is_some() {
        return Fleet::new(typed, path, problems).map(|fleet| Loaded::Many(Box::new(fleet)));
    }
    fleet::require_none(&typed, problems);
    resolve::resolve(typed, path, problems).map(|manifest| Loaded::One(Box::new(manifest)))
}

/// A volume label from the command line, by the manifest's rules.
pub(crate) fn label_option(text: &str) -> Result<String, Failure> {
    values::label(text).map_err(|fault| fault.in_option("--label"))
}

/// A compression from the command line.
pub(crate) fn compression_option(text: &str) -> Result<Compression, Failure> {
    values::compression(text).map_err(|fault| fault.in_option("--compression"))
}

/// An extended attribute's name of a pseudo definition, by the manifest's rules;
/// the error never holds it.
pub(crate) fn xattr_name(text: &str) -> Result<Box<[u8]>, String> {
    values::xattr_name(text).map_err(error::Fault::into_message)
}

/// An extended attribute's value of a pseudo definition, by the manifest's rules; the error
/// never holds it.
pub(crate) fn xattr_value(name: &[u8], value: Secret) -> Result<Secret, String> {
    values::xattr_value(name, value).map_err(error::Fault::into_message)
}

/// The manifest's bytes, somewhat more than are allowed where it is too large. An error that
/// holds a [`Failure`] is one of a signal or of a file that changes while it is read.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if path == Path::new("-") {
        return input::read(&stdin()?, MANIFEST_MAX_BYTES);
    }
    let file = open(path)?;
    let stat = fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        // A pipe gives its bytes once.
        return input::read(&file, MANIFEST_MAX_BYTES);
    }
    let watched = Watched::begin(&file, &stat, path)?;
    let text = input::read_regular(&file, size_bytes(&stat), MANIFEST_MAX_BYTES)?;
    if text.len() <= MANIFEST_MAX_BYTES {
        watched.end_at(text.len() as u64, &file, path)?;
    }
    Ok(text)
}

/// Standard input; where it is closed, that is a manifest that cannot be read.
fn stdin() -> io::Result<File> {
    input::stdin().map_err(|error| match Failure::inside(&error).cloned() {
        Some(failure) => Failure { exit: Exit::Manifest, ..failure }.into(),
        None => error,
    })
}

/// Opens the file of a manifest.
fn open(path: &Path) -> io::Result<File> {
    Ok(File::from(follow::open(path, OFlags::RDONLY | OFlags::CLOEXEC)?))
}
