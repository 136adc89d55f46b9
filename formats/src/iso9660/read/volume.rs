//! The volume descriptors: ECMA-119 8, Joliet's escape sequences, El Torito's boot record.

use zerocopy::FromBytes;

use super::metadata::Image;
use crate::error::{Result, corrupt, unsupported};
use crate::iso9660::format::{
    DirectoryRecord, EL_TORITO, JOLIET_ESCAPES, SECTOR_BYTES, STANDARD_ID, SYSTEM_AREA_SECTORS,
    TYPE_BOOT, TYPE_PRIMARY, TYPE_SUPPLEMENTARY, TYPE_TERMINATOR, VolumeDescriptor,
};

/// Most descriptors that are looked at, as many as Linux does (`isofs_fill_super`).
const DESCRIPTORS_MAX: u32 = 84;

/// What the descriptors say.
pub(super) struct Volumes {
    pub(super) primary: Volume,
    pub(super) joliet: Option<Volume>,
    /// The version 2 of a supplementary descriptor (ECMA-119 8.5), which names a tree of its own.
    pub(super) enhanced: Option<Volume>,
    /// Whether there is a boot record of El Torito.
    pub(super) is_bootable: bool,
    /// The first sector behind the terminator.
    pub(super) end_sector: u32,
}

/// One primary or supplementary descriptor.
pub(super) struct Volume {
    pub(super) sector: u32,
    pub(super) record: VolumeDescriptor,
}

impl Volume {
    /// Size of a logical block, which all addresses count in.
    pub(super) fn block_bytes(&self) -> u32 {
        u32::from(self.record.block_bytes.get())
    }

    /// First byte of the root directory.
    pub(super) fn root_bytes(&self) -> u64 {
        start_of(&self.record.root, self.block_bytes())
    }

    fn checked(sector: u32, bytes: &[u8; SECTOR_BYTES]) -> Result<Self> {
        let record = VolumeDescriptor::read_from_bytes(bytes)
            .map_err(|_| corrupt("a volume descriptor is not as long as a sector"))?;
        let volume = Self { sector, record };
        let block_bytes = volume.block_bytes();
        if ![512, 1024, 2048].contains(&block_bytes) {
            let message = format!(
                "volume descriptor {sector}: expected blocks of 512, 1024 or 2048 bytes, got {block_bytes}"
            );
            return Err(corrupt(message));
        }
        let volumes = volume.record.volume_set_size.get();
        if volumes > 1 {
            let message = format!("a volume of a set of {volumes} is not read");
            return Err(unsupported(message));
        }
        Ok(volume)
    }
}

/// Where the content of a record begins: behind its extended attribute record.
pub(super) fn start_of(record: &DirectoryRecord, block_bytes: u32) -> u64 {
    let block = u64::from(record.extent.get()) + u64::from(record.attribute_sectors);
    block * u64::from(block_bytes)
}

/// Reads all descriptors up to the terminator.
pub(super) fn read(image: &Image) -> Result<Volumes> {
    let (mut primary, mut joliet, mut enhanced, mut is_bootable) = (None, None, None, false);
    let mut end_sector = None;
    for sector in (SYSTEM_AREA_SECTORS..).take(DESCRIPTORS_MAX as usize) {
        let mut bytes = [0; SECTOR_BYTES];
        image.read(u64::from(sector) * SECTOR_BYTES as u64, &mut bytes)?;
        let [kind, id @ .., version] = *bytes.first_chunk::<7>().unwrap_or(&[0; 7]);
        if id != STANDARD_ID {
            let message =
                format!("volume descriptor {sector}: expected the standard identifier CD001");
            return Err(corrupt(message));
        }
        match kind {
            TYPE_TERMINATOR => {
                end_sector = Some(sector + 1);
                break;
            }
            TYPE_PRIMARY if primary.is_none() => primary = Some(Volume::checked(sector, &bytes)?),
            TYPE_SUPPLEMENTARY => {
                let volume = Volume::checked(sector, &bytes)?;
                if version == 2 {
                    enhanced.get_or_insert(volume);
                } else if is_joliet(&volume.record) {
                    joliet.get_or_insert(volume);
                }
            }
            TYPE_BOOT => is_bootable |= bytes.get(7..).is_some_and(|id| id.starts_with(EL_TORITO)),
            // A partition, a second primary descriptor, or what nobody knows.
            _ => {}
        }
    }
    let missing = |what: &str| {
        let message = format!("expected {what} among the volume descriptors, got none");
        corrupt(message)
    };
    let primary = primary.ok_or_else(|| missing("a primary one"))?;
    let end_sector = end_sector.ok_or_else(|| missing("a terminator"))?;
    Ok(Volumes { primary, joliet, enhanced, is_bootable, end_sector })
}

fn is_joliet(record: &VolumeDescriptor) -> bool {
    JOLIET_ESCAPES.iter().any(|escape| record.escape_sequences.starts_with(escape))
}
