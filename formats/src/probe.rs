//! Tells what an image is from its first bytes, as blkid does.

use std::io::Read;

use zerocopy::FromBytes;

use crate::erofs::format::{MAGIC, SUPER_OFFSET_BYTES, SuperBlock};
use crate::error::{Result, corrupt, unreadable};
use crate::iso9660::format::{
    SECTOR_BYTES, STANDARD_ID, SYSTEM_AREA_SECTORS, TYPE_PRIMARY, VolumeDescriptor,
};
use crate::luks::Version;
use crate::luks::format::{
    HEADER_BYTES, Luks1, Luks2, MAGIC as LUKS_MAGIC, MAGIC_SECONDARY as LUKS_MAGIC_SECONDARY,
    text_of,
};
use crate::squashfs::format as squashfs;
use crate::tree::Timestamp;

/// Where the volume descriptors of ISO 9660 begin.
const DESCRIPTOR_OFFSET_BYTES: usize = SYSTEM_AREA_SECTORS as usize * SECTOR_BYTES;

/// What an image says of itself. Who decides by it thinks of every format: a new one is a
/// breaking change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// An EROFS image.
    Erofs {
        /// Volume label without its padding; may be empty.
        label: Vec<u8>,
        /// Volume UUID, bytes in the order of its text form.
        uuid: [u8; 16],
        /// Size of a block: a disk with larger ones cannot be mounted.
        block_bytes: u32,
    },
    /// A SquashFS image, which has neither label nor UUID.
    Squashfs {},
    /// An ISO 9660 image.
    Iso9660 {
        /// Volume identifier without its padding; may be empty.
        label: Vec<u8>,
        /// What blkid shows as its UUID, such as `2024-02-29-12-00-00-00`: the time
        /// of the volume's modification, else of its creation, where either is given.
        uuid: Option<String>,
    },
    /// An encrypted volume, whatever it holds.
    Luks {
        /// Which of the two formats.
        version: Version,
        /// Label without its padding; empty where there is none, as in LUKS1.
        label: Vec<u8>,
        /// The UUID as it is written.
        uuid: String,
    },
}

/// What a writer was told besides the tree: the same again makes the same image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Volume UUID, bytes in the order of its text form; none where the format has none.
    pub uuid: Option<[u8; 16]>,
    /// The image's own time.
    pub build_time: Timestamp,
}

/// Reads the stamp from the start of `image`; none where it is of no format
/// whose stamp is known here. A failing read is [`ErrorKind::Source`].
///
/// [`ErrorKind::Source`]: crate::ErrorKind::Source
pub fn stamp(image: &mut dyn Read) -> Result<Option<Stamp>> {
    let start = start_of(image)?;
    if let Some(record) = squashfs_record(&start) {
        let seconds = i64::from(record.build_time_seconds.get());
        let build_time = Timestamp::from_seconds(seconds);
        return Ok(Some(Stamp { uuid: None, build_time }));
    }
    if let Some(record) = erofs_record(&start) {
        let seconds = record.build_time_seconds.get().cast_signed();
        let build_time = Timestamp::new(seconds, record.build_time_nanoseconds.get());
        return Ok(build_time.ok().map(|build_time| Stamp { uuid: Some(record.uuid), build_time }));
    }
    let record = iso9660_record(&start);
    let seconds = record.and_then(|record| record.modified.seconds());
    let build_time = seconds.map(Timestamp::from_seconds);
    Ok(build_time.map(|build_time| Stamp { uuid: None, build_time }))
}

/// Reads the start of `image`. What is no image that this crate knows is
/// [`ErrorKind::Corrupt`]; a failing read is [`ErrorKind::Source`].
///
/// [`ErrorKind::Corrupt`]: crate::ErrorKind::Corrupt
/// [`ErrorKind::Source`]: crate::ErrorKind::Source
pub fn probe(image: &mut dyn Read) -> Result<Probe> {
    let start = start_of(image)?;
    // What is behind a header is as good as random.
    if let Some(found) = luks(&start) {
        return Ok(found);
    }
    if squashfs_record(&start).is_some() {
        return Ok(Probe::Squashfs {});
    }
    if let Some(record) = erofs_record(&start) {
        let label = record.volume_name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        let block_bytes = 1_u32.checked_shl(record.block_bits.into()).unwrap_or(u32::MAX);
        return Ok(Probe::Erofs { label, uuid: record.uuid, block_bytes });
    }
    if let Some(record) = iso9660_record(&start) {
        let label = record.volume_id.trim_ascii_end().to_vec();
        let uuid = record.modified.id().or_else(|| record.created.id());
        return Ok(Probe::Iso9660 { label, uuid });
    }
    if let Some(found) = luks2_secondary(&start) {
        return Ok(found);
    }
    let message =
        "not an image: neither a superblock of EROFS or SquashFS nor a volume of ISO 9660 or LUKS";
    Err(corrupt(message))
}

/// How much of `image` the file system in it takes, by its own word; none where it is of no format
/// that says so, such as an encrypted volume. A failing read is [`ErrorKind::Source`].
///
/// [`ErrorKind::Source`]: crate::ErrorKind::Source
pub fn extent_bytes(image: &mut dyn Read) -> Result<Option<u64>> {
    let start = start_of(image)?;
    if luks(&start).is_some() {
        return Ok(None);
    }
    if let Some(record) = squashfs_record(&start) {
        return Ok(Some(record.used_bytes.get()));
    }
    if let Some(record) = erofs_record(&start) {
        let block_bytes = 1_u64.checked_shl(record.block_bits.into()).unwrap_or(u64::MAX);
        return Ok(Some(u64::from(record.blocks.get()).saturating_mul(block_bytes)));
    }
    let record = iso9660_record(&start);
    let sectors = record.map(|record| record.volume_space_sectors.get());
    Ok(sectors.map(|sectors| u64::from(sectors).saturating_mul(SECTOR_BYTES as u64)))
}

fn start_of(image: &mut dyn Read) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    image
        .take((DESCRIPTOR_OFFSET_BYTES + SECTOR_BYTES) as u64)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    Ok(start)
}

fn luks(start: &[u8]) -> Option<Probe> {
    let (record, _) = Luks1::read_from_prefix(start).ok()?;
    if record.magic != LUKS_MAGIC {
        return None;
    }
    match record.version.get() {
        1 => {
            let uuid = text_of(&record.uuid);
            Some(Probe::Luks { version: Version::Luks1, label: Vec::new(), uuid })
        }
        2 => luks2(start, LUKS_MAGIC),
        _ => None,
    }
}

fn luks2(copy: &[u8], magic: [u8; 6]) -> Option<Probe> {
    let (record, _) = Luks2::read_from_prefix(copy).ok()?;
    if record.magic != magic || record.version.get() != 2 {
        return None;
    }
    let label = record.label.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    Some(Probe::Luks { version: Version::Luks2, label, uuid: text_of(&record.uuid) })
}

/// The second copy of a header whose first is damaged, where it is at its usual place.
fn luks2_secondary(start: &[u8]) -> Option<Probe> {
    let [offset_bytes, ..] = HEADER_BYTES;
    luks2(start.get(usize::try_from(offset_bytes).ok()?..)?, LUKS_MAGIC_SECONDARY)
}

fn erofs_record(start: &[u8]) -> Option<SuperBlock> {
    let (record, _) = SuperBlock::read_from_prefix(start.get(SUPER_OFFSET_BYTES..)?).ok()?;
    (record.magic.get() == MAGIC).then_some(record)
}

fn squashfs_record(start: &[u8]) -> Option<squashfs::SuperBlock> {
    let (record, _) = squashfs::SuperBlock::read_from_prefix(start).ok()?;
    let version = (record.version_major.get(), record.version_minor.get());
    (record.magic.get() == squashfs::MAGIC && version == squashfs::VERSION).then_some(record)
}

/// The primary volume descriptor comes first: a boot record, which alone could
/// come before it, has the sector behind it (El Torito 2.0).
fn iso9660_record(start: &[u8]) -> Option<VolumeDescriptor> {
    let sector = start.get(DESCRIPTOR_OFFSET_BYTES..)?;
    let (record, _) = VolumeDescriptor::read_from_prefix(sector).ok()?;
    let head = (record.kind, record.standard_id, record.version);
    (head == (TYPE_PRIMARY, STANDARD_ID, 1)).then_some(record)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::erofs::{Label, Options, Plan};
    use crate::error::ErrorKind;
    use crate::iso9660::VolumeId;
    use crate::tree::{Metadata, Timestamp, Tree};

    #[test]
    fn finds_label_and_uuid_of_an_image() {
        let tree = Tree::new(Metadata::default());
        let label = Label::new(b"CHIMERA").unwrap();
        let options = Options { label, uuid: [7; 16], ..Options::default() };
        let mut image = Vec::new();
        Plan::new(&tree, options).unwrap().write(&mut image).unwrap();
        let expected =
            Probe::Erofs { label: b"CHIMERA".to_vec(), uuid: [7; 16], block_bytes: 4096 };
        assert_eq!(probe(&mut image.as_slice()).unwrap(), expected);
    }

    #[test]
    fn finds_the_stamp_that_was_given() {
        let tree = Tree::new(Metadata::default());
        let build_time = Timestamp::new(-5, 7).unwrap();
        let options = Options { uuid: [7; 16], build_time, ..Options::default() };
        let mut image = Vec::new();
        Plan::new(&tree, options).unwrap().write(&mut image).unwrap();
        let expected = Stamp { uuid: Some([7; 16]), build_time };
        assert_eq!(stamp(&mut image.as_slice()).unwrap(), Some(expected));

        let build_time = Timestamp::from_seconds(5);
        let options = crate::squashfs::Options { build_time, ..Default::default() };
        image.clear();
        crate::squashfs::Plan::new(&tree, options).unwrap().write(&mut image).unwrap();
        let expected = Stamp { uuid: None, build_time };
        assert_eq!(stamp(&mut image.as_slice()).unwrap(), Some(expected));
        assert_eq!(stamp(&mut &[0; 4096][..]).unwrap(), None);
    }

    #[test]
    fn finds_squashfs_of_its_version_only() {
        let tree = Tree::new(Metadata::default());
        let plan = crate::squashfs::Plan::new(&tree, crate::squashfs::Options::default()).unwrap();
        let mut image = Vec::new();
        plan.write(&mut image).unwrap();
        assert_eq!(probe(&mut image.as_slice()).unwrap(), Probe::Squashfs {});
        // The major version.
        *image.get_mut(28).unwrap() = 3;
        assert_eq!(probe(&mut image.as_slice()).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn finds_label_and_time_of_an_iso_9660_image() {
        let tree = Tree::new(Metadata::default());
        let options = crate::iso9660::Options {
            volume_id: VolumeId::new(b"cidata").unwrap(),
            build_time: Timestamp::from_seconds(1_709_207_999),
            joliet: true,
            ..crate::iso9660::Options::default()
        };
        let plan = crate::iso9660::Plan::new(&tree, options).unwrap();
        let mut image = Vec::new();
        plan.write(&mut image).unwrap();
        let expected = |uuid: Option<&str>| Probe::Iso9660 {
            label: b"cidata".to_vec(),
            uuid: uuid.map(str::to_owned),
        };
        let found = probe(&mut image.as_slice()).unwrap();
        assert_eq!(found, expected(Some("2024-02-29-11-59-59-00")));
        // The modification's time, then the creation's; text that is no time.
        let created = DESCRIPTOR_OFFSET_BYTES + std::mem::offset_of!(VolumeDescriptor, created);
        let modified = DESCRIPTOR_OFFSET_BYTES + std::mem::offset_of!(VolumeDescriptor, modified);
        image.get_mut(modified..modified + 16).unwrap().copy_from_slice(b"0000000000000000");
        image.get_mut(created..created + 16).unwrap().copy_from_slice(b"1999123123595901");
        let found = probe(&mut image.as_slice()).unwrap();
        assert_eq!(found, expected(Some("1999-12-31-23-59-59-01")));
        *image.get_mut(created).unwrap() = 0xff;
        assert_eq!(probe(&mut image.as_slice()).unwrap(), expected(None));
        // A supplementary descriptor is none of its own.
        *image.get_mut(DESCRIPTOR_OFFSET_BYTES).unwrap() = 2;
        assert_eq!(probe(&mut image.as_slice()).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn refuses_what_is_no_image() {
        for bytes in [vec![], vec![0; 1000], vec![0; 4096], vec![0; 34_000], vec![0; 40_000]] {
            let error = probe(&mut bytes.as_slice()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}
