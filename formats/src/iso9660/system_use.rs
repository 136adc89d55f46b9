//! The system use fields of a directory record: what Rock Ridge says of an inode,
//! and how fields that do not fit into the record go on elsewhere.

use zerocopy::IntoBytes;

use super::format::{
    BothU32, COMPONENT_CURRENT, COMPONENT_PARENT, COMPONENT_ROOT, CONTINUES, Continuation,
    DeviceNumber, ER_DESCRIPTOR, ER_ID, ER_SOURCE, FIELD_MAX_BYTES, FieldHeader, PosixAttributes,
    RecordTime, SECTOR_BYTES, SP, TF_MODIFY, TimeStamps,
};
use crate::tree::{Device, Inode, Kind, Mode};

/// Bytes of a name in one `NM` field, or of components in one `SL` field.
const TEXT_MAX_BYTES: usize = FIELD_MAX_BYTES - size_of::<FieldHeader>() - 1;
/// Length and flags of a component of `SL`.
const COMPONENT_HEADER_BYTES: usize = 2;
/// Longest name that Linux shows (`get_rock_ridge_filename`); a field of a longer
/// one that would lead past it is passed over.
pub(super) const LINUX_NAME_MAX_BYTES: usize = 253;

/// The fields of one record, in order.
#[derive(Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
}

/// Which record of an inode the fields are for.
#[derive(Clone, Copy)]
pub(super) enum Role<'t> {
    /// `.` of the root, which also says which extensions are in use.
    Root,
    /// `.` of another directory, or `..`.
    Dot,
    /// The entry of this name.
    Entry(&'t [u8]),
}

impl Fields {
    /// Puts the fields of `inode`, whose number in the image is `serial`, in the place of those before.
    pub(super) fn fill(&mut self, serial: u32, inode: &Inode, time: RecordTime, role: Role<'_>) {
        self.clear();
        if let Role::Root = role {
            self.bytes.extend(SP);
            self.ends.push(self.bytes.len());
        }
        self.posix_attributes(serial, inode);
        let stamps = TimeStamps { flags: TF_MODIFY, modify: time };
        self.push(*b"TF", &[stamps.as_bytes()]);
        match role {
            Role::Root => {
                let text = |text: &[u8]| u8::try_from(text.len()).unwrap_or(u8::MAX);
                let lengths = [text(ER_ID), text(ER_DESCRIPTOR), text(ER_SOURCE), 1];
                self.push(*b"ER", &[&lengths, ER_ID, ER_DESCRIPTOR, ER_SOURCE]);
            }
            Role::Dot => {}
            Role::Entry(name) => {
                self.name(name);
                if let Kind::Symlink(target) = inode.kind() {
                    self.symlink(target);
                }
            }
        }
    }

    /// Leaves no field.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Cuts the fields into what stands in the record, with `room_bytes` for it, and
    /// what goes to the areas that each continue the one before. Where one follows,
    /// there is room for the `CE` that leads to it.
    pub(super) fn parts(&self, room_bytes: usize) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        let mut room_bytes = room_bytes;
        let mut is_done = false;
        std::iter::from_fn(move || {
            if is_done {
                return None;
            }
            let rest_bytes = self.bytes.len() - start;
            is_done = rest_bytes <= room_bytes;
            let limit = start + if is_done { rest_bytes } else { room_bytes - Continuation::BYTES };
            let fitting = self.ends.partition_point(|end| *end <= limit);
            let end = fitting.checked_sub(1).and_then(|last| self.ends.get(last));
            let part = self.bytes.get(start..*end.unwrap_or(&start))?;
            start += part.len();
            room_bytes = SECTOR_BYTES;
            Some(part)
        })
    }

    fn push(&mut self, signature: [u8; 2], parts: &[&[u8]]) {
        let parts_bytes: usize = parts.iter().map(|part| part.len()).sum();
        let field_bytes = size_of::<FieldHeader>() + parts_bytes;
        // The callers' texts are at most TEXT_MAX_BYTES long.
        let field_bytes = u8::try_from(field_bytes).unwrap_or(u8::MAX);
        let header = FieldHeader { signature, field_bytes, version: 1 };
        self.bytes.extend_from_slice(header.as_bytes());
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push(self.bytes.len());
    }

    fn posix_attributes(&mut self, serial: u32, inode: &Inode) {
        let metadata = &inode.metadata;
        let (file_type, device) = match inode.kind() {
            Kind::Directory(_) => (0o040_000, None),
            Kind::File(_) => (0o100_000, None),
            Kind::Symlink(_) => (0o120_000, None),
            Kind::CharDevice(device) => (0o020_000, Some(device)),
            Kind::BlockDevice(device) => (0o060_000, Some(device)),
            Kind::Fifo => (0o010_000, None),
            Kind::Socket => (0o140_000, None),
        };
        let mode = match inode.kind() {
            Kind::Symlink(_) => Mode::SYMLINK,
            Kind::Directory(_)
            | Kind::File(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo
            | Kind::Socket => metadata.mode,
        };
        let attributes = PosixAttributes {
            mode: BothU32::new(file_type | u32::from(mode)),
            links: BothU32::new(inode.links()),
            uid: BothU32::new(metadata.uid),
            gid: BothU32::new(metadata.gid),
            serial: BothU32::new(serial),
        };
        self.push(*b"PX", &[attributes.as_bytes()]);
        if let Some(device) = device {
            self.push(*b"PN", &[device_number(*device).as_bytes()]);
        }
    }

    /// `NM` fields (RRIP 4.1.4), cut where Linux, too, shows as much as it can.
    fn name(&mut self, name: &[u8]) {
        let (shown, rest) = name.split_at(name.len().min(LINUX_NAME_MAX_BYTES));
        let mut parts = shown.chunks(TEXT_MAX_BYTES).chain(rest.chunks(TEXT_MAX_BYTES)).peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_some() { CONTINUES } else { 0 };
            self.push(*b"NM", &[&[flags], part]);
        }
    }

    /// `SL` fields (RRIP 4.1.3). Slashes side by side, and one at the end, make
    /// components without a byte.
    ///
    /// Where a field is full the component goes on in the next one, if need be one
    /// without a byte yet: between components libarchive forgets the slash there.
    fn symlink(&mut self, target: &[u8]) {
        let mut text = Vec::with_capacity(target.len().min(TEXT_MAX_BYTES));
        let relative = target.strip_prefix(b"/");
        if relative.is_some() {
            text.extend([COMPONENT_ROOT, 0]);
        }
        let relative = relative.unwrap_or(target);
        let components = relative.split(|byte| *byte == b'/').filter(|_| !relative.is_empty());
        let mut components = components.peekable();
        while let Some(component) = components.next() {
            // There must be room for the header of the one behind it.
            let behind_bytes = components.peek().map_or(0, |_| COMPONENT_HEADER_BYTES);
            let (mut flags, mut rest) = match component {
                b"." => (COMPONENT_CURRENT, [].as_slice()),
                b".." => (COMPONENT_PARENT, [].as_slice()),
                _ => (0, component),
            };
            loop {
                let room = TEXT_MAX_BYTES.saturating_sub(text.len() + COMPONENT_HEADER_BYTES);
                if rest.len() + behind_bytes <= room {
                    break;
                }
                if flags != 0 {
                    // What goes on is text.
                    (flags, rest) = (0, component);
                }
                let (part, behind) = rest.split_at(rest.len().min(room));
                rest = behind;
                push_component(&mut text, CONTINUES, part);
                self.push(*b"SL", &[&[CONTINUES], &text]);
                text.clear();
            }
            push_component(&mut text, flags, rest);
        }
        self.push(*b"SL", &[&[0], &text]);
    }
}

fn push_component(text: &mut Vec<u8>, flags: u8, part: &[u8]) {
    text.extend([flags, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
    text.extend(part);
}

/// A device's number as everybody reads it, where that is possible: packed into the
/// low half with 8 bits for the minor number. A larger one goes by halves, which
/// Linux alone understands (`parse_rock_ridge_inode`).
fn device_number(device: Device) -> DeviceNumber {
    let (major, minor) = (device.major(), device.minor());
    let (high, low) = if minor <= 0xff { (0, major << 8 | minor) } else { (major, minor) };
    DeviceNumber { high: BothU32::new(high), low: BothU32::new(low) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::error::Result;
    use crate::iso9660::time::record_time;
    use crate::tree::{Metadata, Name, Timestamp, Tree};

    /// The fields of a symbolic link to `target` with this name, as signature and payload.
    fn fields_of(name: &[u8], target: &[u8]) -> (Fields, Vec<(String, Vec<u8>)>) {
        let mut tree = Tree::new(Metadata::default());
        let kind = Kind::Symlink(target.into());
        let id =
            tree.insert(Tree::ROOT, Name::new(b"l").unwrap(), Metadata::default(), kind).unwrap();
        let time = record_time(Timestamp::default(), false).unwrap();
        let mut fields = Fields::default();
        fields.fill(1, tree.inode(id), time, Role::Entry(name));
        let split = split(&fields.bytes);
        (fields, split)
    }

    fn split(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut fields = Vec::new();
        while let [first, second, length, 1, ..] = bytes {
            let (field, rest) = bytes.split_at(usize::from(*length));
            let signature = String::from_utf8(vec![*first, *second]).unwrap();
            fields.push((signature, field.get(4..).unwrap().to_vec()));
            bytes = rest;
        }
        assert!(bytes.is_empty());
        fields
    }

    fn payloads(fields: &[(String, Vec<u8>)], signature: &str) -> Vec<Vec<u8>> {
        fields
            .iter()
            .filter(|(found, _)| found == signature)
            .map(|(_, bytes)| bytes.clone())
            .collect()
    }

    /// What `get_symlink_chunk` of Linux makes of the fields.
    fn target_of(fields: &[(String, Vec<u8>)]) -> Result<Vec<u8>, std::num::TryFromIntError> {
        let mut target = Vec::new();
        let chunks = payloads(fields, "SL");
        for (index, chunk) in chunks.iter().enumerate() {
            let (flags, mut rest) = chunk.split_first().unwrap();
            assert_eq!(*flags & CONTINUES != 0, index + 1 < chunks.len());
            while let [kind, length, behind @ ..] = rest {
                let (text, next) = behind.split_at(usize::try_from(u32::from(*length))?);
                match kind & !CONTINUES {
                    COMPONENT_CURRENT => target.push(b'.'),
                    COMPONENT_PARENT => target.extend(b".."),
                    COMPONENT_ROOT => target.push(b'/'),
                    _ => target.extend(text),
                }
                let goes_on = !next.is_empty() || index + 1 < chunks.len();
                if goes_on && kind & (CONTINUES | COMPONENT_ROOT) == 0 {
                    target.push(b'/');
                }
                rest = next;
            }
        }
        Ok(target)
    }

    /// What `parse_rockridge_SL1` of libarchive makes of the fields: no slash where
    /// one ends.
    fn target_of_libarchive(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut target = Vec::new();
        for chunk in payloads(fields, "SL") {
            let mut rest = chunk.get(1..).unwrap();
            let mut separator: &[u8] = b"";
            while let [kind, length, behind @ ..] = rest {
                let (text, next) = behind.split_at(usize::from(*length));
                target.extend(separator);
                separator = if *kind & (CONTINUES | COMPONENT_ROOT) == 0 { b"/" } else { b"" };
                match *kind {
                    COMPONENT_CURRENT => target.push(b'.'),
                    COMPONENT_PARENT => target.extend(b".."),
                    COMPONENT_ROOT => target.push(b'/'),
                    _ => target.extend(text),
                }
                rest = next;
            }
        }
        target
    }

    #[test]
    fn link_targets_come_back_slash_by_slash() {
        let long = "x".repeat(255);
        let odd =
            ["a", "/", "//", "///", "a/", "a//b", ".", "..", "./..//.", "/a/../b/", "...", "/."];
        let mut targets: Vec<Vec<u8>> =
            odd.iter().map(|target| target.as_bytes().to_vec()).collect();
        for length in 240..260 {
            targets.push(vec![b'/'; length]);
            targets.push(format!("/{}", "y".repeat(length)).into_bytes());
            targets.push("../".repeat(length).into_bytes());
            targets.push(format!("{}/./x", "y".repeat(length)).into_bytes());
            targets.push(format!("{}/..", "y".repeat(length)).into_bytes());
            targets.push(format!("{}/../{long}", "y/".repeat(length)).into_bytes());
        }
        targets.push("ab/".repeat(1365).into_bytes());
        for target in targets {
            let (_, fields) = fields_of(b"l", &target);
            assert_eq!(target_of(&fields).unwrap(), target, "{}", target.escape_ascii());
            assert_eq!(target_of_libarchive(&fields), target, "{}", target.escape_ascii());
        }
    }

    #[test]
    fn long_names_are_cut_where_linux_shows_most_of_them() {
        for (length, expected) in [(250, vec![250]), (253, vec![250, 3]), (255, vec![250, 3, 2])] {
            let (_, fields) = fields_of(&vec![b'n'; length], b"t");
            let parts = payloads(&fields, "NM");
            let lengths: Vec<usize> = parts.iter().map(|part| part.len() - 1).collect();
            assert_eq!(lengths, expected);
            for (index, part) in parts.iter().enumerate() {
                let flags = u8::from(index + 1 < parts.len());
                assert_eq!(part.first(), Some(&flags), "{length}");
            }
        }
    }

    #[test]
    fn parts_fit_with_the_continuation_that_follows() {
        for target_bytes in [1, 100, 1000, 2000, 4095] {
            let (fields, all) = fields_of(&[b'n'; 255], &vec![b'/'; target_bytes]);
            for room_bytes in [187, 200, 219] {
                let parts: Vec<&[u8]> = fields.parts(room_bytes).collect();
                assert_eq!(parts.concat(), fields.bytes);
                assert_eq!(parts.iter().flat_map(|part| split(part)).collect::<Vec<_>>(), all);
                let (last, others) = parts.split_last().unwrap();
                assert!(last.len() <= SECTOR_BYTES);
                for (index, part) in others.iter().enumerate() {
                    let room = if index == 0 { room_bytes } else { SECTOR_BYTES };
                    assert!(part.len() + Continuation::BYTES <= room);
                }
            }
        }
    }
}
