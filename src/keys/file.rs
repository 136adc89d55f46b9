//! Files that hold a key: read and checked, or made where there is none.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credimg_formats::Secret;
use credimg_formats::content::read_full;

use super::wrap::MasterKey;
use super::{Key, MAX_BYTES, hold};
use crate::output;
use crate::report::{Exit, Failure, reason, shown};
use crate::source;

/// Reads the key of an image from `path`. What QEMU, cryptsetup and systemd would read
/// differently, or refuse later without a reason, is an error: of exit code 5 where
/// every user can read or change the file, else of 4.
pub fn read(path: &Path) -> Result<Key, Failure> {
    let secret = small(path)?;
    let bytes = secret.expose();
    let hint = "`credimg genkey --luks FILE` makes a good one";
    let fault = |fault: &str| {
        let message = format!("the key file {} {fault}", shown(path));
        Failure::new(Exit::Source, message).hint(hint)
    };
    if bytes.contains(&0) {
        return Err(fault("holds a NUL byte, at which QEMU would end the key"));
    }
    if std::str::from_utf8(bytes).is_err() {
        return Err(fault("is not UTF-8, which QEMU demands of a key"));
    }
    if bytes.ends_with(b"\n") {
        let hint = "write it without one: printf %s instead of echo";
        return Err(fault("ends in a newline, which would be a part of the key").hint(hint));
    }
    Ok(Key::held(secret))
}

/// Reads the key of QEMU's secret objects from `path`: 32 bytes in base64, perhaps with
/// a newline behind. Errors as of [`read`].
pub fn read_master(path: &Path) -> Result<MasterKey, Failure> {
    let secret = small(path)?;
    let text = secret.expose();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    // As large as it gets, so that no shorter copy of it is left in the heap.
    let mut key = Vec::with_capacity(MAX_BYTES);
    // The library's error is dropped: it quotes the byte that it stumbled over.
    let is_base64 = STANDARD.decode_vec(text, &mut key).is_ok();
    let key = Secret::new(key);
    hold(key.expose());
    MasterKey::new(&key).filter(|_| is_base64).ok_or_else(|| {
        let message = format!("the master key file {} is not 32 bytes in base64", shown(path));
        Failure::new(Exit::Source, message).hint("`credimg genkey FILE` makes one")
    })
}

/// Makes the file `path` of mode 0600 that holds `secret`, whole and on the disk when
/// this returns. False where there is one already, which is left as it is.
pub fn make(path: &Path, secret: &Secret) -> Result<bool, Failure> {
    output::create_once(path, secret.expose())
}

/// Does for a key that is there already what a killed build may have left undone when
/// it was to [`make`] it.
pub fn settle(path: &Path) {
    output::settle(path);
}

/// The file's bytes, 1 to 512.
fn small(path: &Path) -> Result<Secret, Failure> {
    let bytes = private_bytes(path, MAX_BYTES)?;
    let fault = match bytes.len() {
        1..=MAX_BYTES => return Ok(bytes),
        0 => "is empty".to_owned(),
        _ => format!("has over {MAX_BYTES} bytes"),
    };
    let message = format!("the key file {} {fault}", shown(path));
    Err(Failure::new(Exit::Source, message).hint("`credimg genkey --luks FILE` makes a good one"))
}

/// The bytes of a key file, or one more than `max_bytes` where it is larger. One that every
/// user can read or change is an error of exit code 5, all others are of 4.
pub(super) fn private_bytes(path: &Path, max_bytes: usize) -> Result<Secret, Failure> {
    let shown = shown(path);
    // Its hints speak of sources in a manifest.
    let unhinted = |failure: Failure| Failure::new(failure.exit, failure.message);
    let (file, stat) = source::open_file(path).map_err(unhinted)?;
    let mode = stat.st_mode & 0o7777;
    if mode & 0o007 != 0 {
        let message = format!("the key file {shown} is open to every user of the host");
        let hint =
            format!("chmod 600 {shown}, and make a new key if others may have read this one");
        return Err(Failure::new(Exit::Policy, format!("{message} (mode {mode:04o})")).hint(hint));
    }
    // No larger than the file: what is reserved is locked and wiped, read or not.
    let size_bytes = usize::try_from(stat.st_size).unwrap_or(max_bytes);
    let mut bytes = vec![0; size_bytes.min(max_bytes) + 1];
    hold(&bytes);
    let length = read_full(&file, &mut bytes);
    bytes.truncate(*length.as_ref().unwrap_or(&0));
    let bytes = Secret::new(bytes);
    length.map_err(|error| {
        let message = format!("cannot read the key file {shown}: {}", reason(&error));
        Failure::new(Exit::Source, message)
    })?;
    Ok(bytes)
}
