//! Tells what an image is from its first bytes, as blkid does.

use std::io::Read;

use zerocopy::FromBytes;

use crate::erofs::format::{MAGIC, SUPER_OFFSET_BYTES, SuperBlock};
use crate::error::{Error, ErrorKind, Result};
use crate::squashfs::format as squashfs;

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

/// Reads the start of `image`. What is no image that this crate knows is
/// [`ErrorKind::Corrupt`]; a failing read is [`ErrorKind::Source`].
pub fn probe(image: &mut dyn Read) -> Result<Probe> {
    let mut start = Vec::new();
    let wanted = SUPER_OFFSET_BYTES + size_of::<SuperBlock>();
    image
        .take(wanted as u64)
        .read_to_end(&mut start)
        .map_err(|error| Error::new(ErrorKind::Source, "cannot read the image").caused_by(error))?;
    if is_squashfs(&start) {
        return Ok(Probe::Squashfs {});
    }
    let unknown =
        || Error::new(ErrorKind::Corrupt, "not an image: no superblock of EROFS or SquashFS");
    let record = start.get(SUPER_OFFSET_BYTES..).ok_or_else(unknown)?;
    let record = SuperBlock::read_from_bytes(record).map_err(|_| unknown())?;
    if record.magic.get() != MAGIC {
        return Err(unknown());
    }
    let label = record.volume_name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    Ok(Probe::Erofs { label, uuid: record.uuid })
}

fn is_squashfs(start: &[u8]) -> bool {
    squashfs::SuperBlock::read_from_prefix(start).is_ok_and(|(record, _)| {
        let version = (record.version_major.get(), record.version_minor.get());
        record.magic.get() == squashfs::MAGIC && version == squashfs::VERSION
    })
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
