//! What commands see of the environment: little, as it may hold the secrets of others.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::manifest::Manifest;

/// What every command sees where it is set.
const SEEN: [&str; 8] =
    ["PATH", "HOME", "LANG", "TZ", "USER", "SHELL", "TERM", "SOURCE_DATE_EPOCH"];
/// Every command also sees the variables whose names begin with this.
const PREFIX: &[u8] = b"CREDIMG_";

/// A part of the hint where a command failed: a variable may be missing that it needs.
pub(super) const HINT: &str = "a command sees PATH, HOME, LANG, TZ, USER, SHELL, TERM, \
                               SOURCE_DATE_EPOCH, CREDIMG_* and what `pass_env` names";

/// The variables that the commands of `manifest` do not see: those that nobody asked for, and
/// those that are sources, whatever their names.
pub(super) fn hidden(manifest: &Manifest) -> Vec<OsString> {
    let is_seen = |name: &OsStr| {
        let is_asked_for = SEEN.iter().any(|seen| name == *seen)
            || name.as_bytes().starts_with(PREFIX)
            || manifest.pass_env.iter().any(|passed| name == passed);
        is_asked_for && !sources(manifest).any(|source| name == source)
    };
    std::env::vars_os().map(|(name, _)| name).filter(|name| !is_seen(name)).collect()
}

/// The variables that are sources of `manifest`.
pub(crate) fn sources(manifest: &Manifest) -> impl Iterator<Item = &OsString> {
    manifest.sources().filter_map(|entry| entry.source.variable())
}
