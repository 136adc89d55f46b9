//! What stands at the start of an image: the boot area, the superblock, what it refers to.

use super::super::superblock::{OFFSET_BYTES, compressors};
use super::Accounting;
use super::record::Column::{Hex, Number, Signed, Text, Uuid, Zero};
use super::record::{Column, Record};
use crate::content::Buffer;
use crate::erofs::format::{
    COMPAT_PLAIN_PREFIXES, COMPAT_SB_CHKSUM, COMPRESSORS, INCOMPAT_COMPRESSION_RECORDS,
    INCOMPAT_FRAGMENTS, SuperBlock,
};
use crate::error::Result;

/// Fields of [`SuperBlock`], by the kernel's names.
const SUPERBLOCK: [(&str, u8, Column); 29] = [
    ("magic", 4, Hex),
    ("checksum", 4, Hex),
    ("feature_compat", 4, Hex),
    ("blkszbits", 1, Number),
    ("sb_extslots", 1, Number),
    ("root_nid", 2, Number),
    ("inos", 8, Number),
    ("epoch", 8, Signed),
    ("fixed_nsec", 4, Number),
    ("blocks", 4, Number),
    ("meta_blkaddr", 4, Number),
    ("xattr_blkaddr", 4, Number),
    ("uuid", 16, Uuid),
    ("volume_name", 16, Text),
    ("feature_incompat", 4, Hex),
    ("compression", 2, Hex),
    ("extra_devices", 2, Zero),
    ("devt_slotoff", 2, Zero),
    ("dirblkbits", 1, Zero),
    ("xattr_prefix_count", 1, Number),
    ("xattr_prefix_start", 4, Number),
    ("packed_nid", 8, Number),
    ("xattr_filter_reserved", 1, Zero),
    ("ishare_xattr_prefix_id", 1, Number),
    ("reserved", 2, Zero),
    ("build_time", 4, Number),
    ("rootnid_8b", 8, Zero),
    ("reserved2", 8, Zero),
    ("extension", 0, Zero),
];

impl Accounting<'_, '_> {
    /// Tells all that no directory leads to.
    pub(super) fn start(&mut self) -> Result<()> {
        self.padding(0, OFFSET_BYTES)?;
        self.superblock()?;
        let place = OFFSET_BYTES + self.reader.volume.superblock_bytes() as u64;
        let outcome = self.compression_records(place);
        self.go_on(outcome, || Some(place))?;
        let outcome = self.prefixes();
        self.go_on(outcome, || Some(OFFSET_BYTES))
    }

    fn superblock(&mut self) -> Result<()> {
        let volume = &self.reader.volume;
        let mut record = Record::new(OFFSET_BYTES, "superblock".to_owned());
        record.read(&self.reader.metadata, &SUPERBLOCK)?;
        let extension = volume.superblock_bytes() - size_of::<SuperBlock>();
        let mut bytes = Buffer::zeroed(extension);
        self.reader.metadata.read(record.end_bytes(), &mut bytes)?;
        record.add("extension", &bytes, Zero);
        record.notes.push(format!("features: {}", self.reader.facts.features.join(" ")));

        let fields = &volume.record;
        let label = fields.volume_name.split(|byte| *byte == 0).skip(1);
        if label.flatten().next().is_some() {
            record.fault("volume_name", "the label goes on behind a NUL");
        }
        if volume.feature_compat() & COMPAT_SB_CHKSUM == 0 && fields.checksum.get() != 0 {
            record.fault("checksum", "expected 0 in an image without checksum");
        }
        let has_fragments = volume.feature_incompat() & INCOMPAT_FRAGMENTS != 0;
        if !has_fragments && fields.packed_nid.get() != 0 {
            record.fault("packed_nid", "expected 0 in an image without fragments");
        }
        if volume.feature_incompat() == 0 && fields.compression.get() != 0 {
            record.fault("compression", "expected 0 in an image without compression");
        }
        if fields.xattr_prefix_count == 0 && fields.xattr_prefix_start.get() != 0 {
            record.fault("xattr_prefix_start", "expected 0 in an image without prefixes");
        }
        if fields.xattr_prefix_count == 0 && fields.ishare_prefix != 0 {
            record.fault("ishare_xattr_prefix_id", "expected 0 in an image without prefixes");
        }
        let (said, there) = (self.reader.facts.used_bytes, self.reader.metadata.size_bytes());
        if said > there {
            record.fault(
                "blocks",
                &format!("{said} bytes: expected at most {there}, the image's length"),
            );
        }
        self.record(record)
    }

    /// A record for each compressor, at a multiple of 4 bytes: a length and so many bytes
    /// (`z_erofs_parse_cfgs`).
    fn compression_records(&mut self, place: u64) -> Result<()> {
        let volume = &self.reader.volume;
        if volume.feature_incompat() & INCOMPAT_COMPRESSION_RECORDS == 0 {
            return Ok(());
        }
        let mut offset_bytes = place;
        for number in compressors(&volume.record) {
            let name = COMPRESSORS.get(number).copied().unwrap_or("an unknown compressor");
            let aligned = offset_bytes.next_multiple_of(4);
            self.padding(offset_bytes, aligned - offset_bytes)?;
            let mut record = Record::new(aligned, format!("configuration of {name}"));
            record.read(&self.reader.metadata, &[("length", 2, Number)])?;
            let mut length = [0; 2];
            self.reader.metadata.read(aligned, &mut length)?;
            let mut bytes = Buffer::zeroed(u16::from_le_bytes(length).into());
            self.reader.metadata.read(record.end_bytes(), &mut bytes)?;
            record.add("configuration", &bytes, Hex);
            offset_bytes = record.end_bytes();
            self.record(record)?;
        }
        Ok(())
    }

    /// Long prefixes that stand in the image itself; those in the packed inode are its content.
    fn prefixes(&mut self) -> Result<()> {
        let volume = &self.reader.volume;
        let is_plain = volume.feature_compat() & COMPAT_PLAIN_PREFIXES != 0;
        let has_packed = volume.feature_incompat() & INCOMPAT_FRAGMENTS != 0
            && volume.record.packed_nid.get() > 0;
        if has_packed && !is_plain {
            return Ok(());
        }
        for (number, item) in self.reader.prefixes.items().iter().enumerate() {
            let title = format!("prefix {number} of extended attributes");
            let mut record = Record::new(item.offset_bytes, title);
            let columns = [("length", 2, Number), ("base_index", 1, Number)];
            record.read(&self.reader.metadata, &columns)?;
            record.add("infix", &item.infix, Text);
            let end_bytes = record.end_bytes();
            self.record(record)?;
            self.padding(end_bytes, end_bytes.next_multiple_of(4) - end_bytes)?;
        }
        Ok(())
    }
}
