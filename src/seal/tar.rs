//! A tree as a tar stream: the interchange format of POSIX.1-2017 (pax, "ustar" and
//! "pax Extended Header"), in the tree's order and without a clock.
//!
//! What a ustar header cannot hold stands in an extended header, and once more in
//! the older form of GNU tar (long names as members `L` and `K`, large numbers in
//! base 256), because busybox passes over extended headers. Only fractions of
//! seconds, times before 1970 and extended attributes are in the extended header alone.

use std::collections::HashMap;
use std::io;

use ::tar::{EntryType, Header};
use credimg_formats::tree::{Entries, Iter};
use credimg_formats::{
    Content, Device, Error, ErrorKind, InodeId, Kind, Metadata, Result, Sink, Timestamp, Tree,
};
use zeroize::Zeroizing;

/// Headers and content come in blocks of so many bytes.
const BLOCK_BYTES: u64 = 512;
const ZEROS: [u8; 512] = [0; 512];
/// The name of every member begins so, like those of `tar -C DIR -c .`: no name then
/// looks like an option or an absolute path, and the root has one.
const ROOT: &[u8] = b"./";
/// Longest name of a member in bytes: nothing unpacks a longer one (`PATH_MAX` of Linux).
const PATH_MAX_BYTES: usize = 4095;
/// Fields of a ustar header in bytes.
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;
/// Largest numbers that the octal digits of a ustar header hold.
const ID_MAX: u32 = 0o777_7777;
const NUMBER_MAX: u64 = 0o777_7777_7777;
/// How star, GNU tar and bsdtar write an extended attribute.
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";
/// The name of extended headers and of GNU's long names, for readers that know neither.
const EXTENDED: &[u8] = b"././@PaxHeader";
const LONG: &[u8] = b"././@LongLink";

/// Refuses what tar cannot hold with [`ErrorKind::Unrepresentable`], so that nothing
/// is written in vain: sockets, paths that are too long, and extended attributes whose
/// name is not UTF-8 or is not the same to every unpacker: a keyword ends at its first
/// `=`, and GNU tar, but not bsdtar, takes `%3D` for it.
pub fn check(tree: &Tree) -> Result<()> {
    for (id, inode) in tree.inodes() {
        let refused =
            |fault: &str| Err(Error::new(ErrorKind::Unrepresentable, fault).at(tree.path_of(id)));
        match inode.kind() {
            Kind::Socket => return refused("tar has no sockets"),
            Kind::Directory(_)
            | Kind::File(_)
            | Kind::Symlink(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo => {}
        }
        for name in inode.metadata.xattrs.keys() {
            if std::str::from_utf8(name).is_err() {
                return refused("the name of an extended attribute is not UTF-8");
            }
            if name.iter().any(|byte| b"%=".contains(byte)) {
                return refused("the name of an extended attribute holds `%` or `=`");
            }
        }
    }
    walk(tree, |path, _| if path.len() > PATH_MAX_BYTES { Err(too_long(path)) } else { Ok(()) })
}

/// Writes the whole archive of a tree that [`check`] has passed: members in bytewise
/// order, each directory before what it holds, the first name of an inode as its
/// file and any other as a hard link to that. Errors are those of [`Content::stream`].
pub fn write(tree: &Tree, sink: &mut dyn Sink) -> Result<()> {
    let mut first_names = HashMap::new();
    walk(tree, |path, id| write_member(tree, path, id, &mut first_names, sink))?;
    // Two blocks of zeros end an archive.
    sink.write_all(&ZEROS)?;
    Ok(sink.write_all(&ZEROS)?)
}

/// Visits every entry with the name that it has as a member, the root first.
fn walk(tree: &Tree, mut visit: impl FnMut(&[u8], InodeId) -> Result<()>) -> Result<()> {
    let mut path = ROOT.to_vec();
    visit(&path, Tree::ROOT)?;
    // A stack of its own: a tree may be deeper than the thread's. Each level goes with
    // the length of its directory's name.
    let mut levels: Vec<(Iter<'_>, usize)> = Vec::new();
    levels.extend(entries(tree, Tree::ROOT).map(|entries| (entries.iter(), path.len())));
    while let Some((entries_left, length)) = levels.last_mut() {
        path.truncate(*length);
        let Some((name, id)) = entries_left.next() else {
            levels.pop();
            continue;
        };
        path.extend_from_slice(name.as_bytes());
        if let Some(entries) = entries(tree, *id) {
            path.push(b'/');
            levels.push((entries.iter(), path.len()));
        }
        visit(&path, *id)?;
    }
    Ok(())
}

fn entries(tree: &Tree, id: InodeId) -> Option<&Entries> {
    match tree.get(id)?.kind() {
        Kind::Directory(entries) => Some(entries),
        Kind::File(_)
        | Kind::Symlink(_)
        | Kind::CharDevice(_)
        | Kind::BlockDevice(_)
        | Kind::Fifo
        | Kind::Socket => None,
    }
}

fn too_long(path: &[u8]) -> Error {
    let message = format!(
        "its path is {} bytes long as a member's name, at most {PATH_MAX_BYTES} are possible",
        path.len()
    );
    Error::new(ErrorKind::Unrepresentable, message).at(shown(path))
}

/// The path in the tree of a member's name.
fn shown(member: &[u8]) -> Vec<u8> {
    let path = member.strip_prefix(b".").unwrap_or(member);
    path.strip_suffix(b"/").filter(|path| !path.is_empty()).unwrap_or(path).to_vec()
}

fn write_member(
    tree: &Tree,
    path: &[u8],
    id: InodeId,
    first_names: &mut HashMap<InodeId, Box<[u8]>>,
    sink: &mut dyn Sink,
) -> Result<()> {
    let Some(inode) = tree.get(id) else { return Ok(()) };
    let mut member = Member::new(path, &inode.metadata);
    if let Some(first) = first_names.get(&id) {
        member.header.set_entry_type(EntryType::Link);
        member.link = Some(first);
        return member.write_head(sink);
    }
    match inode.kind() {
        Kind::Directory(_) => member.header.set_entry_type(EntryType::Directory),
        Kind::File(content) => member.set_size(content.len()),
        Kind::Symlink(target) => {
            member.header.set_entry_type(EntryType::Symlink);
            member.link = Some(target);
        }
        Kind::CharDevice(device) => member.set_device(EntryType::Char, *device),
        Kind::BlockDevice(device) => member.set_device(EntryType::Block, *device),
        Kind::Fifo => member.header.set_entry_type(EntryType::Fifo),
        Kind::Socket => {
            let fault = Error::new(ErrorKind::Unrepresentable, "tar has no sockets");
            return Err(fault.at(shown(path)));
        }
    }
    member.add_xattrs(&inode.metadata);
    member.write_head(sink)?;
    if let Kind::File(content) = inode.kind() {
        write_content(content, path, sink)?;
    }
    if inode.links() > 1 && entries(tree, id).is_none() {
        first_names.insert(id, path.into());
    }
    Ok(())
}

fn write_content(content: &Content, path: &[u8], sink: &mut dyn Sink) -> Result<()> {
    content.stream(sink).map_err(|error| {
        // No file is to blame where the output fails.
        let is_output = error.kind() == ErrorKind::Io;
        if is_output { error } else { error.at(shown(path)) }
    })?;
    Ok(pad(content.len(), sink)?)
}

/// Fills the last block of so many bytes.
fn pad(length_bytes: u64, sink: &mut dyn Sink) -> io::Result<()> {
    let rest = usize::try_from(length_bytes % BLOCK_BYTES).unwrap_or(0);
    let padding = if rest == 0 { None } else { ZEROS.get(rest..) };
    sink.write_all(padding.unwrap_or_default())
}

/// The head of one member: its header, and the records of its extended header.
struct Member<'a> {
    header: Header,
    path: &'a [u8],
    /// A symbolic link's target or a hard link's first name.
    link: Option<&'a [u8]>,
    /// Extended attributes are in it: wiped.
    records: Zeroizing<Vec<u8>>,
}

impl<'a> Member<'a> {
    /// A member with these attributes; a regular file until it is made something else.
    fn new(path: &'a [u8], metadata: &Metadata) -> Self {
        let Metadata { mode, uid, gid, mtime, .. } = metadata;
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_mode(u32::from(*mode));
        header.set_uid(u64::from(*uid));
        header.set_gid(u64::from(*gid));
        let seconds = u64::try_from(mtime.seconds()).unwrap_or(0);
        header.set_mtime(seconds);
        let mut member = Self { header, path, link: None, records: Zeroizing::default() };
        for (keyword, number) in [("uid", uid), ("gid", gid)] {
            if *number > ID_MAX {
                member.add(keyword.as_bytes(), number.to_string().as_bytes());
            }
        }
        if mtime.nanoseconds() > 0 || mtime.seconds() < 0 || seconds > NUMBER_MAX {
            member.add(b"mtime", decimal(*mtime).as_bytes());
        }
        member
    }

    fn set_size(&mut self, length_bytes: u64) {
        self.header.set_size(length_bytes);
        if length_bytes > NUMBER_MAX {
            self.add(b"size", length_bytes.to_string().as_bytes());
        }
    }

    /// Both numbers fit into seven octal digits.
    fn set_device(&mut self, kind: EntryType, device: Device) {
        self.header.set_entry_type(kind);
        if let Some(ustar) = self.header.as_ustar_mut() {
            ustar.set_device_major(device.major());
            ustar.set_device_minor(device.minor());
        }
    }

    fn add_xattrs(&mut self, metadata: &Metadata) {
        for (name, value) in &metadata.xattrs {
            self.add(&[XATTR_PREFIX, name].concat(), value.expose());
        }
    }

    /// Adds a record, `LENGTH KEYWORD=VALUE\n`, whose length counts its own digits.
    fn add(&mut self, keyword: &[u8], value: &[u8]) {
        let rest = keyword.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length += 1;
        }
        self.records.reserve(length);
        self.records.extend_from_slice(format!("{length} ").as_bytes());
        self.records.extend_from_slice(keyword);
        self.records.push(b'=');
        self.records.extend_from_slice(value);
        self.records.push(b'\n');
    }

    /// Writes the extended header, where there is one, and the header itself.
    fn write_head(mut self, sink: &mut dyn Sink) -> Result<()> {
        let path = self.path;
        let split = split(path);
        let long_path = if split.is_some() { None } else { Some(path) };
        let long_link = self.link.filter(|link| link.len() > NAME_BYTES);
        // Names in records are UTF-8. Any other is in GNU's form alone: the record that
        // would say so, hdrcharset, is unknown to GNU tar.
        let is_text = |name: &&[u8]| std::str::from_utf8(name).is_ok();
        for (keyword, name) in [("path", long_path), ("linkpath", long_link)] {
            if let Some(name) = name.filter(is_text) {
                self.add(keyword.as_bytes(), name);
            }
        }
        if !self.records.is_empty() {
            write_special(EntryType::XHeader, EXTENDED, &[&self.records], sink)?;
        }
        for (kind, name) in
            [(EntryType::GNULongLink, long_link), (EntryType::GNULongName, long_path)]
        {
            if let Some(name) = name {
                write_special(kind, LONG, &[name, b"\0"], sink)?;
            }
        }
        let (prefix, name) = split.unwrap_or((b"", path));
        if let Some(ustar) = self.header.as_ustar_mut() {
            fill(&mut ustar.prefix, prefix);
            fill(&mut ustar.name, name);
            fill(&mut ustar.linkname, self.link.unwrap_or_default());
        }
        self.header.set_cksum();
        Ok(sink.write_all(self.header.as_bytes())?)
    }
}

/// Writes a member that says something of the next one.
fn write_special(
    kind: EntryType,
    name: &[u8],
    pieces: &[&[u8]],
    sink: &mut dyn Sink,
) -> Result<()> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let length_bytes = length as u64;
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(length_bytes);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    if let Some(ustar) = header.as_ustar_mut() {
        fill(&mut ustar.name, name);
    }
    header.set_cksum();
    sink.write_all(header.as_bytes())?;
    for piece in pieces {
        sink.write_all(piece)?;
    }
    Ok(pad(length_bytes, sink)?)
}

/// As much of `bytes` as the field holds.
fn fill(field: &mut [u8], bytes: &[u8]) {
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = *from;
    }
}

/// A member's name as prefix and name of a ustar header, which a slash parts; none
/// where it does not fit.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME_BYTES {
        return Some((b"", path));
    }
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let parts = slashes.map(|(at, _)| (path.get(..at).unwrap_or_default(), path.get(at + 1..)));
    let mut parts = parts.filter_map(|(prefix, name)| Some((prefix, name?)));
    parts.find(|(prefix, name)| {
        prefix.len() <= PREFIX_BYTES && (1..=NAME_BYTES).contains(&name.len())
    })
}

/// A time as an extended header has it: seconds with a decimal fraction, both
/// counted away from 1970.
fn decimal(time: Timestamp) -> String {
    let (seconds, nanoseconds) = (time.seconds(), time.nanoseconds());
    let (sign, whole, fraction) = match (seconds, nanoseconds) {
        (0.., _) => ("", seconds.unsigned_abs(), nanoseconds),
        (_, 0) => ("-", seconds.unsigned_abs(), 0),
        // Nanoseconds count forward from the second before.
        _ => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
    };
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{fraction:09}");
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn records_count_their_own_digits() {
        let metadata = Metadata::default();
        for length in 0..2000 {
            let mut member = Member::new(b"./", &metadata);
            member.add(b"path", &vec![b'n'; length]);
            let digits: Vec<u8> =
                member.records.iter().copied().take_while(u8::is_ascii_digit).collect();
            assert_eq!(digits, member.records.len().to_string().into_bytes());
        }
    }

    #[test]
    fn times_are_decimal() {
        for (seconds, nanoseconds, expected) in [
            (1, 500_000_000, "1.5"),
            (0, 1, "0.000000001"),
            (-1, 0, "-1"),
            (-2, 500_000_000, "-1.5"),
            (-1, 999_999_999, "-0.000000001"),
            (i64::MIN, 0, "-9223372036854775808"),
            (i64::MAX, 0, "9223372036854775807"),
        ] {
            assert_eq!(decimal(Timestamp::new(seconds, nanoseconds).unwrap()), expected);
        }
    }

    #[test]
    fn names_are_parted_at_a_slash() {
        let long = |length: usize| "n".repeat(length);
        assert_eq!(split(b"./a"), Some((&b""[..], &b"./a"[..])));
        let path = format!("./{}/{}", long(153), long(100));
        let expected = (format!("./{}", long(153)), long(100));
        assert_eq!(split(path.as_bytes()), Some((expected.0.as_bytes(), expected.1.as_bytes())));
        for path in [
            format!("./{}", long(101)),
            format!("./{}/", long(100)),
            format!("./{}/a", long(154)),
            format!("./a/{}", long(101)),
        ] {
            assert_eq!(split(path.as_bytes()), None, "{path}");
        }
    }
}
