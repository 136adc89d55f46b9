//! How temporaries are called.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::io::retry_on_intr;
use rustix::rand::GetRandomFlags;

/// Between the output's name and what ends a temporary's name.
const MARK: &[u8] = b".credimg-";
/// What ends random names and the name of the turn.
const LETTERS: usize = 10;
/// 32 letters: five bits of a random byte choose one without a bias.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// The letters of the one name that is not random (see `turn`).
const TURN: &[u8; LETTERS] = b"commitlock";
/// Longest file name in bytes (`NAME_MAX` of Linux).
const NAME_MAX_BYTES: usize = 255;

/// Whether a build of `target` may replace or remove what has this name, both names without
/// a directory.
pub fn is_temporary_name(name: &OsStr, target: &OsStr) -> bool {
    // Other files are called so by chance alone.
    name.as_bytes().starts_with(b".")
        && [turn(target), private_directory(target)].iter().any(|own| own == name)
}

/// The temporary name that all builders of the target know.
pub(super) fn turn(target: &OsStr) -> OsString {
    with_end(target, TURN)
}

/// The private directory of this user's builders of the target.
pub(super) fn private_directory(target: &OsStr) -> OsString {
    let user = rustix::process::geteuid().as_raw();
    // Ten digits at most.
    with_end(target, user.to_string().as_bytes())
}

/// A name that nobody else can guess or draw, for a directory in which nobody else makes files.
pub(super) fn random() -> rustix::io::Result<OsString> {
    Ok(OsString::from_vec(letters()?))
}

/// A name that nobody else can guess or draw, for a file that will be called `name`.
pub(super) fn random_beside(name: &OsStr) -> rustix::io::Result<OsString> {
    Ok(with_end(name, &letters()?))
}

fn letters() -> rustix::io::Result<Vec<u8>> {
    let mut random = [0; LETTERS];
    retry_on_intr(|| rustix::rand::getrandom(&mut random, GetRandomFlags::empty()))?;
    Ok(random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 31))).copied().collect())
}

/// `.NAME.credimg-END`, where a long name is cut so that the end has room.
fn with_end(name: &OsStr, end: &[u8]) -> OsString {
    let room = NAME_MAX_BYTES - 1 - MARK.len() - LETTERS;
    let name = name.as_bytes();
    OsString::from_vec([b".", name.get(..room).unwrap_or(name), MARK, end].concat())
}
