//! The sources that need no file: `text:`, `base64:`, `env:` and `symlink:`,
//! and what commands printed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStringExt;

use credimg_formats::{Content, Secret};
use zeroize::Zeroizing;

use super::builder::TreeBuilder;
use crate::report::{Exit, Failure};

/// A file that holds `bytes`.
pub(super) fn collect_bytes(bytes: Secret, to: &mut TreeBuilder) -> Result<(), Failure> {
    to.count_in_memory(bytes.len());
    to.top_file(None, Content::Memory(bytes))
}

/// A file that holds the value of the environment variable `name`; `trim`
/// drops one trailing newline. Unset and empty are errors: an empty secret is
/// a forgotten one. The messages leave the name out, as it may be a secret
/// that was written in the wrong place.
pub(super) fn collect_variable(
    name: &OsStr,
    trim: bool,
    to: &mut TreeBuilder,
) -> Result<(), Failure> {
    let Some(value) = std::env::var_os(name) else {
        return Err(Failure::new(Exit::Source, "its environment variable is not set")
            .hint("export the variable that `env` names before running credimg"));
    };
    let mut value = Zeroizing::new(value.into_vec());
    if trim {
        self::trim(&mut value);
    }
    if value.is_empty() {
        return Err(Failure::new(Exit::Source, "its environment variable is empty")
            .hint("for an empty file write `text: \"\"`"));
    }
    collect_bytes(Secret::new(std::mem::take(&mut *value)), to)
}

/// A symbolic link to `target`, stored as it is.
pub(super) fn collect_symlink(target: &[u8], to: &mut TreeBuilder) -> Result<(), Failure> {
    to.top_symlink(target)
}

/// Drops one trailing newline.
pub(super) fn trim(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
}
