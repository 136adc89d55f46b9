//! What commands see of the environment: little, as it may hold the secrets of others.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::manifest::{MachineContext, Manifest};

/// What every command sees where it is set.
const SEEN: [&str; 8] =
    ["PATH", "HOME", "LANG", "TZ", "USER", "SHELL", "TERM", "SOURCE_DATE_EPOCH"];
/// Every command also sees the variables whose names begin with this.
const PREFIX: &[u8] = b"CREDIMG_";

/// A part of the hint where a command failed: a variable may be missing that it needs.
pub(super) const HINT: &str = "a command sees PATH, HOME, LANG, TZ, USER, SHELL, TERM, \
                               SOURCE_DATE_EPOCH, CREDIMG_* and what `pass_env` names";

/// How the environment of commands differs from that of credimg.
pub(super) struct Changes<'a> {
    /// The variables that they do not see: those that nobody asked for, and those that are
    /// sources, whatever their names, of a fleet those of any machine.
    pub(super) hidden: Vec<OsString>,
    /// What tells them for which machine of a fleet they run.
    pub(super) added: Vec<(OsString, &'a OsStr)>,
}

impl<'a> Changes<'a> {
    /// The changes for the commands of `manifest`.
    pub(super) fn of(manifest: &'a Manifest) -> Self {
        Self { hidden: hidden(manifest), added: of_machine(manifest).collect() }
    }
}

fn hidden(manifest: &Manifest) -> Vec<OsString> {
    let is_seen = |name: &OsStr| {
        if manifest.machine.is_some() && is_of_machine(name) {
            return false;
        }
        let is_asked_for = SEEN.iter().any(|seen| name == *seen)
            || name.as_bytes().starts_with(PREFIX)
            || manifest.pass_env.iter().any(|passed| name == passed);
        let is_of_fleet = manifest.machine.as_ref().is_some_and(|it| it.sources.contains(name));
        is_asked_for && !is_of_fleet && !own_sources(manifest).any(|source| name == source)
    };
    std::env::vars_os().map(|(name, _)| name).filter(|name| !is_seen(name)).collect()
}

fn of_machine(manifest: &Manifest) -> impl Iterator<Item = (OsString, &OsStr)> {
    manifest.machine.iter().flat_map(|MachineContext { name, variables, .. }| {
        let name = (OsString::from(MachineContext::NAME_VARIABLE), OsStr::new(name));
        let variables = variables.iter().map(|(name, value)| {
            let name = MachineContext::variable(name);
            (OsString::from(name), OsStr::from_bytes(value.expose()))
        });
        std::iter::once(name).chain(variables)
    })
}

/// Whether a variable is one of those that tell about a machine: the caller's own are of none.
fn is_of_machine(name: &OsStr) -> bool {
    name == MachineContext::NAME_VARIABLE
        || name.as_bytes().starts_with(MachineContext::VARIABLE_PREFIX.as_bytes())
}

/// The variables that are sources of `manifest`, and of a fleet those of all its machines.
pub(crate) fn sources(manifest: &Manifest) -> impl Iterator<Item = &OsString> {
    let of_fleet = manifest.machine.iter().flat_map(|machine| machine.sources.iter());
    own_sources(manifest).chain(of_fleet)
}

fn own_sources(manifest: &Manifest) -> impl Iterator<Item = &OsString> {
    manifest.sources().filter_map(|entry| entry.source.variable())
}
