//! Tells what an image is from its first bytes, as blkid does.

use std::io::Read;

use zerocopy::FromBytes;

use crate::erofs::format::{MAGIC, SUPER_OFFSET_BYTES, SuperBlock};
use crate::error::{Error, ErrorKind, Result};
use crate::squashfs::format as squashfs;
use crate::tree::Timestamp;

/// What an image says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// An EROFS image.
    Erofs {
        /// Volume label without its padding; may be empty.
        label: Vec<u8>,
        /// Volume UUID, bytes in the order of its text form.
        uuid: [u8; 16],
    },
    /// A SquashFS image, which has neither label nor UUID.
    Squashfs {},
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
pub fn stamp(image: &mut dyn Read) -> Result<Option<Stamp>> {
    let start = start_of(image)?;
    if let Some(record) = squashfs_record(&start) {
        let seconds = i64::from(record.build_time_seconds.get());
        let build_time = Timestamp { seconds, nanoseconds: 0 };
        return Ok(Some(Stamp { uuid: None, build_time }));
    }
    Ok(erofs_record(&start).map(|record| {
        let build_time = Timestamp {
            seconds: record.build_time_seconds.get().cast_signed(),
            nanoseconds: record.build_time_nanoseconds.get(),
        };
        Stamp { uuid: Some(record.uuid), build_time }
    }))
}

/// Reads the start of `image`. What is no image that this crate knows is
/// [`ErrorKind::Corrupt`]; a failing read is [`ErrorKind::Source`].
pub fn probe(image: &mut dyn Read) -> Result<Probe> {
    let start = start_of(image)?;
    if squashfs_record(&start).is_some() {
        return Ok(Probe::Squashfs {});
    }
    let record = erofs_record(&start).ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, "not an image: no superblock of EROFS or SquashFS")
    })?;
    let label = record.volume_name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    Ok(Probe::Erofs { label, uuid: record.uuid })
}

fn start_of(image: &mut dyn Read) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let wanted = SUPER_OFFSET_BYTES + size_of::<SuperBlock>();
    image
        .take(wanted as u64)
        .read_to_end(&mut start)
        .map_err(|error| Error::new(ErrorKind::Source, "cannot read the image").caused_by(error))?;
    Ok(start)
}

fn erofs_record(start: &[u8]) -> Option<SuperBlock> {
    let record = SuperBlock::read_from_bytes(start.get(SUPER_OFFSET_BYTES..)?).ok()?;
    (record.magic.get() == MAGIC).then_some(record)
}

fn squashfs_record(start: &[u8]) -> Option<squashfs::SuperBlock> {
    let (record, _) = squashfs::SuperBlock::read_from_prefix(start).ok()?;
    let version = (record.version_major.get(), record.version_minor.get());
    (record.magic.get() == squashfs::MAGIC && version == squashfs::VERSION).then_some(record)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::erofs::{Label, Options, Plan};
    use crate::tree::{Metadata, Tree};

    #[test]
    fn finds_label_and_uuid_of_an_image() {
        let tree = Tree::new(Metadata::default());
        let label = Label::new(b"CHIMERA").unwrap();
        let options = Options { label, uuid: [7; 16], ..Options::default() };
        let mut image = Vec::new();
        Plan::new(&tree, options).unwrap().write(&mut image).unwrap();
        let expected = Probe::Erofs { label: b"CHIMERA".to_vec(), uuid: [7; 16] };
        assert_eq!(probe(&mut image.as_slice()).unwrap(), expected);
    }

    #[test]
    fn finds_the_stamp_that_was_given() {
        let tree = Tree::new(Metadata::default());
        let build_time = Timestamp { seconds: -5, nanoseconds: 7 };
        let options = Options { uuid: [7; 16], build_time, ..Options::default() };
        let mut image = Vec::new();
        Plan::new(&tree, options).unwrap().write(&mut image).unwrap();
        let expected = Stamp { uuid: Some([7; 16]), build_time };
        assert_eq!(stamp(&mut image.as_slice()).unwrap(), Some(expected));

        let build_time = Timestamp { seconds: 5, nanoseconds: 0 };
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
    fn refuses_what_is_no_image() {
        for bytes in [vec![], vec![0; 1000], vec![0; 4096]] {
            let error = probe(&mut bytes.as_slice()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}
