//! Chooses the block size of the disk that an image is. It is larger than the 512 bytes that
//! SeaBIOS takes, so that SeaBIOS leaves the disk alone, and small enough for Linux to mount what
//! is on it.

use credimg_formats::luks::Version;
use credimg_formats::probe::Probe;
use credimg_formats::verity::Found;

use super::encryption::{Encryption, SMALL_SECTOR_BYTES};
use super::verity;
use crate::look::opened::Opened;
use crate::manifest::Format;
use crate::monitors::Block;

/// The block size for an image that is built. All formats are padded to 4096 bytes.
pub(crate) fn of_build(format: Format, encryption: Option<&Encryption>) -> Block {
    match encryption {
        Some(Encryption { luks: Version::Luks2, sector_bytes, .. }) => of_sectors(*sector_bytes),
        Some(Encryption { luks: Version::Luks1, .. }) | None => match format {
            Format::Erofs | Format::Squashfs => Block::Page,
            Format::Iso9660 => Block::Cd,
        },
    }
}

/// The block size for an image that exists, perhaps made by another tool, with this hash tree.
/// `inside` is what QEMU opens.
pub(crate) fn of_existing(image: &Opened, inside: Option<&Probe>, tree: Option<&Found>) -> Block {
    let header = image.header.as_ref();
    let (seen, start_bytes) = match (inside, header) {
        (Some(inside), Some(header)) => (inside, header.payload_offset_bytes()),
        _ => (&image.probe, 0),
    };
    let block = match seen {
        Probe::Erofs { block_bytes, .. } if *block_bytes < u32::from(Block::Page.bytes()) => {
            Block::Small
        }
        Probe::Erofs { .. } | Probe::Squashfs {} => Block::Page,
        Probe::Iso9660 { .. } => Block::Cd,
        Probe::Luks { .. } => header.map_or(Block::Small, |it| of_sectors(it.sector_bytes())),
    };
    let block = match tree {
        Some(Found { options, .. }) => {
            verity::fitting(block, options.data_block_bytes, options.hash_block_bytes)
        }
        None => block,
    };
    block.dividing(image.size_bytes.saturating_sub(start_bytes))
}

/// The block size for a volume that the guest opens. With small sectors there may be ISO 9660
/// inside.
fn of_sectors(sector_bytes: usize) -> Block {
    if sector_bytes == SMALL_SECTOR_BYTES { Block::Cd } else { Block::Page }
}
