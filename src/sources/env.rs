//! `env:` sources: a variable of the environment, whose value is the file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStringExt;

use credimg_formats::Secret;
use zeroize::Zeroizing;

use crate::report::{Exit, Failure};

/// The value of the environment variable `name`; `trim` drops one trailing newline. Unset
/// and empty are errors: an empty secret is a forgotten one. The messages leave the name out,
/// as it may be a secret that was written in the wrong place.
pub(super) fn variable(name: &OsStr, trim: bool) -> Result<Secret, Failure> {
    let Some(value) = std::env::var_os(name) else {
        return Err(Failure::new(Exit::Source, "its environment variable is not set")
            .hint("export the variable that `env` names before running credimg"));
    };
    let mut value = Zeroizing::new(value.into_vec());
    if trim {
        super::trim(&mut value);
    }
    if value.is_empty() {
        return Err(Failure::new(Exit::Source, "its environment variable is empty")
            .hint("for an empty file write `text: \"\"`"));
    }
    Ok(Secret::new(std::mem::take(&mut *value)))
}
