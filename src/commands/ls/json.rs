//! The listing for programs. The field names are stable.

use std::io::Write;

use credimg_formats::read::{NodeKind, Stat};
use serde::Serialize;

use super::Row;
use crate::look::contents::Contents;
use crate::look::differences::hex;
use crate::report::{Failure, json};

/// An entry. Bytes of paths and names that are not UTF-8 are replaced, and a field `*_hex` then
/// has all of them.
#[derive(Serialize)]
struct Entry<'a> {
    path: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kind: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    links: u32,
    /// Paths of one inode have the same one.
    inode: u64,
    mtime_seconds: i64,
    mtime_nanoseconds: u32,
    /// Of files and symbolic links.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<[u32; 2]>,
    xattrs: Vec<Xattr>,
}

type Text<'a> = std::borrow::Cow<'a, str>;

/// An extended attribute: never its value.
#[derive(Serialize)]
struct Xattr {
    name: String,
    size_bytes: usize,
}

/// Begins the object; the entries follow, and `]}`.
pub(super) fn begin(contents: &Contents, to: &mut Vec<u8>) -> Result<(), Failure> {
    let image = json::text(&contents.path().to_string_lossy())?;
    let (start, format) = (json::start(), contents.reader.facts().format);
    // Memory takes all that is written.
    let _ = write!(to, "{start},\"image\":{image},\"format\":\"{format}\",\"entries\":[");
    Ok(())
}

/// Appends an entry.
pub(super) fn write(
    contents: &Contents,
    path: &[u8],
    row: &Row,
    to: &mut Vec<u8>,
) -> Result<(), Failure> {
    let Row { inode, stat, .. } = row;
    let reader = &contents.reader;
    let failure = |error| contents.failure_at(path, &error);
    let target = match stat.kind {
        NodeKind::Symlink => Some(reader.target(*inode).map_err(failure)?),
        NodeKind::Directory
        | NodeKind::File
        | NodeKind::CharDevice(_)
        | NodeKind::BlockDevice(_)
        | NodeKind::Fifo
        | NodeKind::Socket => None,
    };
    let xattrs = reader.xattrs(*inode).map_err(failure)?;
    let (kind, device) = kind(stat);
    let has_size = matches!(stat.kind, NodeKind::File | NodeKind::Symlink);
    let entry = Entry {
        path: String::from_utf8_lossy(path),
        path_hex: hex(path),
        kind,
        mode: format!("{:04o}", stat.mode),
        uid: stat.uid,
        gid: stat.gid,
        links: stat.links,
        inode: stat.number,
        mtime_seconds: stat.mtime.seconds(),
        mtime_nanoseconds: stat.mtime.nanoseconds(),
        size_bytes: has_size.then_some(stat.size_bytes),
        target: target.as_deref().map(String::from_utf8_lossy),
        target_hex: target.as_deref().and_then(hex),
        device,
        xattrs: xattrs
            .iter()
            .map(|(name, value)| Xattr {
                name: String::from_utf8_lossy(name).into_owned(),
                size_bytes: value.len(),
            })
            .collect(),
    };
    to.extend(json::text(&entry)?.bytes());
    Ok(())
}

fn kind(stat: &Stat) -> (&'static str, Option<[u32; 2]>) {
    match stat.kind {
        NodeKind::Directory => ("directory", None),
        NodeKind::File => ("file", None),
        NodeKind::Symlink => ("symlink", None),
        NodeKind::CharDevice(device) => ("char-device", Some([device.major(), device.minor()])),
        NodeKind::BlockDevice(device) => ("block-device", Some([device.major(), device.minor()])),
        NodeKind::Fifo => ("fifo", None),
        NodeKind::Socket => ("socket", None),
    }
}
