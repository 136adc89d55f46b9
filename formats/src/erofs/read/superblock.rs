//! The superblock, and what of it is refused (`erofs_read_superblock` of Linux).

use super::metadata::Metadata;
use super::{corrupt, unsupported};
use crate::content::Buffer;
use crate::erofs::format::{
    COMPAT_NAMES, COMPAT_SB_CHKSUM, COMPRESSORS, EXTENSION_SLOT_BYTES, INCOMPAT_48BIT,
    INCOMPAT_COMPRESSION_RECORDS, INCOMPAT_DEVICE_TABLE, INCOMPAT_METABOX, INCOMPAT_NAMES,
    INCOMPAT_ZERO_PADDING, MAGIC, SUPER_OFFSET_BYTES, SuperBlock, checksum,
};
use crate::error::Result;
use crate::image::Format;
use crate::read::Facts;
use crate::tree::Timestamp;
use crate::uuid_text;

/// Where the superblock is.
pub(super) const OFFSET_BYTES: u64 = SUPER_OFFSET_BYTES as u64;
/// Block sizes that there are, as their log2 (`blkszbits`).
const BLOCK_BITS: std::ops::RangeInclusive<u8> = 9..=16;
/// The superblock with its extensions lies in the first 4 KiB of an image, the page that Linux
/// reads it from.
const END_MAX_BYTES: usize = 4096;

/// What the superblock says that reading needs.
pub(super) struct Volume {
    pub(super) record: SuperBlock,
    pub(super) block_bits: u8,
    pub(super) root_nid: u64,
    /// The time of compact inodes.
    pub(super) epoch: Timestamp,
}

impl Volume {
    pub(super) fn block_bytes(&self) -> u64 {
        1 << self.block_bits
    }

    /// Where a block begins: 48 bits at most.
    pub(super) fn block_offset(&self, block: u32) -> u64 {
        u64::from(block) << self.block_bits
    }

    pub(super) fn feature_compat(&self) -> u32 {
        self.record.feature_compat.get()
    }

    pub(super) fn feature_incompat(&self) -> u32 {
        self.record.feature_incompat.get()
    }

    /// Length of the superblock with its extensions.
    pub(super) fn superblock_bytes(&self) -> usize {
        superblock_bytes(&self.record)
    }
}

fn superblock_bytes(record: &SuperBlock) -> usize {
    size_of::<SuperBlock>() + usize::from(record.extension_slots) * EXTENSION_SLOT_BYTES
}

/// Reads the superblock and refuses what cannot be read behind it.
pub(super) fn open(metadata: &Metadata) -> Result<(Facts, Volume)> {
    let record: SuperBlock = metadata.record(OFFSET_BYTES)?;
    let magic = record.magic.get();
    if magic != MAGIC {
        return Err(corrupt(format!("bad magic: expected {MAGIC:#x}, got {magic:#x}")));
    }
    let block_bits = record.block_bits;
    if !BLOCK_BITS.contains(&block_bits) {
        let message = format!("a block of 2^{block_bits} bytes: expected 2^9 to 2^16");
        return Err(corrupt(message));
    }
    check_checksum(metadata, &record)?;
    check_features(&record)?;
    let length = superblock_bytes(&record);
    if length > END_MAX_BYTES - SUPER_OFFSET_BYTES {
        let slots = record.extension_slots;
        return Err(corrupt(format!("{slots} extensions of the superblock: expected 184 at most")));
    }
    let seconds = record.build_time_seconds.get().cast_signed();
    let nanoseconds = record.build_time_nanoseconds.get();
    let epoch = time(seconds, nanoseconds, "the superblock")?;
    let root_nid = record.root_nid.get().into();
    let volume = Volume { record, block_bits, root_nid, epoch };
    Ok((facts(&volume), volume))
}

/// Refuses a second or more of nanoseconds.
pub(super) fn time(seconds: i64, nanoseconds: u32, of: &str) -> Result<Timestamp> {
    Timestamp::new(seconds, nanoseconds).map_err(|_| {
        corrupt(format!("{of}: a time of {nanoseconds} nanoseconds: expected less than a second"))
    })
}

/// The checksum is that of the superblock up to the end of its block; where blocks end at or
/// before it, of a block's length (`erofs_superblock_csum_verify`).
fn check_checksum(metadata: &Metadata, record: &SuperBlock) -> Result<()> {
    if record.feature_compat.get() & COMPAT_SB_CHKSUM == 0 {
        return Ok(());
    }
    let block_bytes = 1_usize << record.block_bits;
    let covered_bytes = if block_bytes > SUPER_OFFSET_BYTES {
        block_bytes - SUPER_OFFSET_BYTES
    } else {
        block_bytes
    };
    let mut covered = Buffer::zeroed(covered_bytes);
    metadata.read(OFFSET_BYTES, &mut covered)?;
    if let Some(field) = covered.get_mut(4..8) {
        field.fill(0);
    }
    let (expected, got) = (checksum(&covered), record.checksum.get());
    if expected != got {
        let message =
            format!("bad checksum of the superblock: expected {expected:#x}, got {got:#x}");
        return Err(corrupt(message));
    }
    Ok(())
}

fn check_features(record: &SuperBlock) -> Result<()> {
    let features = record.feature_incompat.get();
    let known = INCOMPAT_NAMES.iter().fold(0, |all, (bit, _)| all | bit);
    if features & !known != 0 {
        let unknown = features & !known;
        return Err(unsupported(format!("the image uses the unknown features {unknown:#x}")));
    }
    for (bit, name) in INCOMPAT_NAMES {
        if features & bit & (INCOMPAT_48BIT | INCOMPAT_METABOX) != 0 {
            return Err(unsupported(format!(
                "the image uses the feature {name}, which is not read"
            )));
        }
    }
    let devices = record.extra_devices.get();
    if features & INCOMPAT_DEVICE_TABLE != 0 && devices > 0 {
        let message = format!(
            "the image uses the feature device_table, which is not read: further devices: {devices}"
        );
        return Err(unsupported(message));
    }
    let bits = record.directory_block_bits;
    if bits > 0 {
        let message = format!("directory blocks are 2^{bits} times a block, which is not read");
        return Err(unsupported(message));
    }
    Ok(())
}

/// The numbers of the compressors that the image says it uses.
pub(super) fn compressors(record: &SuperBlock) -> impl Iterator<Item = usize> + use<> {
    let features = record.feature_incompat.get();
    let algorithms = if features & INCOMPAT_COMPRESSION_RECORDS != 0 {
        record.compression.get()
    } else {
        u16::from(features & INCOMPAT_ZERO_PADDING != 0)
    };
    (0..16).filter(move |number| algorithms >> number & 1 == 1)
}

fn facts(volume: &Volume) -> Facts {
    let record = &volume.record;
    let label = record.volume_name.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut features = Vec::new();
    for (names, bits) in [
        (COMPAT_NAMES.as_slice(), volume.feature_compat()),
        (INCOMPAT_NAMES.as_slice(), volume.feature_incompat()),
    ] {
        features.extend(
            names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned()),
        );
    }
    let unknown = volume.feature_compat() & !COMPAT_NAMES.iter().fold(0, |all, (bit, _)| all | bit);
    if unknown != 0 {
        features.push(format!("{unknown:#x}"));
    }
    let build_time = volume.epoch.later_by(record.build_time_offset_seconds.get());
    Facts {
        format: Format::Erofs,
        label: label.to_vec(),
        uuid: (record.uuid != [0; 16]).then(|| uuid_text(record.uuid)),
        build_time: Some(build_time),
        block_bytes: 1 << volume.block_bits,
        used_bytes: volume.block_offset(record.blocks.get()),
        inodes: Some(record.inodes.get()),
        compression: compressors(record)
            .next()
            .map(|number| COMPRESSORS.get(number).copied().unwrap_or("unknown")),
        features,
    }
}
