//! The objects of QEMU that hold keys: what opens an encrypted image, and what is wrapped.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde_json::json;

use super::escaped;
use crate::keys::wrap::Wrapped;
use crate::monitors::{Drive, DriveId, DriveKey};
use crate::report::shell;

/// The option `-object` that holds `wrapped`, for any other option of QEMU that names a secret,
/// in the shell's words. `keyid` is the id of the master key's object.
pub fn wrapped_option(id: &DriveId, keyid: &DriveId, wrapped: &Wrapped) -> Vec<u8> {
    let keyid = Cow::Borrowed(keyid.as_str().as_bytes());
    let properties = wrapped_properties(keyid, wrapped);
    shell::line(&option(&SecretObject { id: id.as_str().to_owned(), properties }))
}

/// The JSON object that holds `wrapped`, as `-object` and QMP's `object-add` take it. `keyid` is
/// the id of the master key's object.
pub fn wrapped_json(id: &DriveId, keyid: &DriveId, Wrapped { iv, data }: &Wrapped) -> Vec<u8> {
    let object = json!({
        "qom-type": "secret",
        "id": id.as_str(),
        "keyid": keyid.as_str(),
        "iv": iv,
        "format": "base64",
        "data": data,
    });
    format!("{object}\n").into_bytes()
}

/// One `-object secret`: its id, then its properties in order. A value is a path or
/// printable ASCII.
pub(super) struct SecretObject<'a> {
    pub(super) id: String,
    pub(super) properties: Vec<(&'static str, Cow<'a, [u8]>)>,
}

/// The objects that hold the drive's key; the one that opens the image is the last.
pub(super) fn of_drive(drive: &Drive) -> Vec<SecretObject<'_>> {
    let text = |text: &'static str| Cow::Borrowed(text.as_bytes());
    let path = |path: &'_ PathBuf| Cow::Owned(path.as_os_str().as_bytes().to_vec());
    let own = key_id(drive);
    match &drive.key {
        None => Vec::new(),
        Some(DriveKey::File(file)) => {
            vec![SecretObject { id: own, properties: vec![("file", path(file))] }]
        }
        Some(DriveKey::Wrapped { master, key }) => {
            let master_id = format!("{}-master", drive.id.as_str());
            let properties = vec![("file", path(master)), ("format", text("base64"))];
            let keyid = Cow::Owned(master_id.clone().into_bytes());
            let own = SecretObject { id: own, properties: wrapped_properties(keyid, key) };
            vec![SecretObject { id: master_id, properties }, own]
        }
    }
}

/// The properties of a wrapped secret. `data=` without a vector would be in clear.
fn wrapped_properties<'a>(
    keyid: Cow<'a, [u8]>,
    Wrapped { iv, data }: &'a Wrapped,
) -> Vec<(&'static str, Cow<'a, [u8]>)> {
    let bytes = |text: &'a str| Cow::Borrowed(text.as_bytes());
    vec![("keyid", keyid), ("iv", bytes(iv)), ("format", bytes("base64")), ("data", bytes(data))]
}

/// The option of one object.
pub(super) fn option(SecretObject { id, properties }: &SecretObject<'_>) -> [Vec<u8>; 2] {
    let mut value = format!("secret,id={id}").into_bytes();
    for (key, text) in properties {
        value.extend([b",", key.as_bytes(), b"=", &escaped(text)[..]].concat());
    }
    [b"-object".to_vec(), value]
}

/// The id of the secret that holds the drive's key.
fn key_id(drive: &Drive) -> String {
    format!("{}-key", drive.id.as_str())
}

/// The driver of the image, and the id of the secret that opens it.
pub(super) fn driver(drive: &Drive) -> (&'static str, Option<String>) {
    if drive.key.is_some() { ("luks", Some(key_id(drive))) } else { ("raw", None) }
}
