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
    let secret = bytes(path, MAX_BYTES)?;
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
    let secret = bytes(path, MAX_BYTES)?;
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

/// The file's bytes, 1 to `max_bytes`.
fn bytes(path: &Path, max_bytes: usize) -> Result<Secret, Failure> {
    let shown = shown(path);
    let (file, stat) = source::open_file(path).map_err(|failure| {
        // Its hints speak of sources in a manifest.
        Failure::new(failure.exit, failure.message)
    })?;
    if stat.st_mode & 0o007 != 0 {
        let message = format!("every user of the host has access to the key file {shown}");
        return Err(Failure::new(Exit::Policy, message).hint(format!(
            "chmod 600 {shown}, and make a new key if others may have read this one"
        )));
    }
    let mut bytes = vec![0; max_bytes + 1];
    hold(&bytes);
    let length = read_full(&file, &mut bytes);
    bytes.truncate(*length.as_ref().unwrap_or(&0));
    let bytes = Secret::new(bytes);
    let length = length.map_err(|error| {
        let message = format!("cannot read the key file {shown}: {}", reason(&error));
        Failure::new(Exit::Source, message)
    })?;
    if (1..=max_bytes).contains(&length) {
        return Ok(bytes);
    }
    let fault =
        if length == 0 { "is empty".to_owned() } else { format!("has over {max_bytes} bytes") };
    let message = format!("the key file {shown} {fault}");
    Err(Failure::new(Exit::Source, message).hint("`credimg genkey --luks FILE` makes a good one"))
}
