//! Files that hold a key: read and checked, or made where there is none.

use std::io;
use std::path::Path;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credimg_formats::{Buffer, Mode, Secret};

use super::wrap::MasterKey;
use super::{Key, MAX_BYTES, hold, without_traces};
use crate::host::output;
use crate::host::private::{self, Owners};
use crate::report::{Exit, Failure, reason, shown};

/// How to come by a master key.
const GENKEY: &str = "`credimg genkey FILE` makes one";

/// Reads the key of an image from `path`. What QEMU, cryptsetup and systemd would read
/// differently, or refuse later without a reason, is an error: of exit code 5 where
/// every user can read or change the file, or another one owns it, else of 4.
pub fn read(path: &Path, owners: Owners) -> Result<Key, Failure> {
    let secret = small(path, owners, "--key-out FILE makes one where there is none")?;
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
    let secret = small(path, Owners::Trusted(None), GENKEY)?;
    let text = secret.expose();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let decode = || {
        let mut key = Buffer::zeroed(MAX_BYTES);
        hold(&key);
        // The library's error is dropped: it quotes the byte that it stumbled over.
        let length = STANDARD.decode_slice(text, &mut key).ok()?;
        MasterKey::new(key.into_secret(length))
    };
    without_traces(decode).ok_or_else(|| {
        let message = format!("the master key file {} is not 32 bytes in base64", shown(path));
        Failure::new(Exit::Source, message).hint(GENKEY)
    })
}

/// The key of an image in the file at `path`, which is made where there is none, with the
/// owner and mode of `permissions`, and never replaced: whatever fails, it opens the old
/// image and the new one. Returns whether it was made here. Beyond the errors of
/// [`read`] there are those of exit code 7.
pub fn read_or_make(path: &Path, permissions: output::Permissions) -> Result<(Key, bool), Failure> {
    let owners = Owners::Trusted(permissions.owner.map(|(uid, _)| uid));
    let read = |path: &Path| read(path, owners);
    read_or_make_as(path, permissions, read, Key::generate, |key| Rc::clone(&key.0))
}

/// Reads or makes a key of any kind, given how it is read and generated, and what its file
/// holds. Returns whether it was made here.
pub(super) fn read_or_make_as<K>(
    path: &Path,
    permissions: output::Permissions,
    read: impl Fn(&Path) -> Result<K, Failure>,
    generate: impl Fn() -> Result<K, Failure>,
    text: impl Fn(&K) -> Rc<Secret>,
) -> Result<(K, bool), Failure> {
    if is_there(path)? {
        output::finish_once(path)?;
        return Ok((read(path)?, false));
    }
    let key = generate()?;
    // Whoever writes it chooses what opens the next image: that is refused when it is read.
    let permissions = output::Permissions {
        mode: permissions.mode.map(|mode| mode.without(Mode::of::<0o020>())),
        ..permissions
    };
    if output::create_once(path, text(&key).expose(), permissions)? {
        return Ok((key, true));
    }
    // Another build was faster.
    Ok((read(path)?, false))
}

/// Whether there is anything at `path`. A link that leads nowhere is an error of exit
/// code 4: neither is a key there nor a place for one.
pub(super) fn is_there(path: &Path) -> Result<bool, Failure> {
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let named = match std::fs::symlink_metadata(path) {
        Err(error) if is_missing(&error) => return Ok(false),
        named => named.map_err(|error| {
            let message = format!("cannot read the key file {}: {}", shown(path), reason(&error));
            Failure::new(Exit::Source, message)
        })?,
    };
    if named.is_symlink() && std::fs::metadata(path).is_err_and(|error| is_missing(&error)) {
        let message = format!("the key file {} is a symbolic link that leads nowhere", shown(path));
        return Err(Failure::new(Exit::Source, message).hint("remove it, or name another file"));
    }
    Ok(true)
}

/// The file's bytes, 1 to 512; `missing` is the hint where there is none.
fn small(path: &Path, owners: Owners, missing: &str) -> Result<Secret, Failure> {
    let fault = match private::read(path, "the key file", MAX_BYTES, owners, missing)? {
        Some(bytes) if !bytes.is_empty() => return Ok(bytes),
        Some(_) => "is empty".to_owned(),
        None => format!("has over {MAX_BYTES} bytes"),
    };
    let message = format!("the key file {} {fault}", shown(path));
    let hint = "remove it, and `credimg genkey --luks FILE` or --key-out makes a good one";
    Err(Failure::new(Exit::Source, message).hint(hint))
}
