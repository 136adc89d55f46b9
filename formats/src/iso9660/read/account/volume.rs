//! The system area, the volume descriptors, and what boots.

use zerocopy::FromBytes;

use super::Ledger;
use super::sheet::Sheet;
use crate::error::Result;
use crate::iso9660::format::{
    EL_TORITO, SECTOR_BYTES, STANDARD_ID, SYSTEM_AREA_SECTORS, TYPE_BOOT, TYPE_PARTITION,
    TYPE_PRIMARY, TYPE_SUPPLEMENTARY, TYPE_TERMINATOR, VolumeDescriptor,
};

/// Where the first session of an image of xorriso begins, which could get more of them.
const SESSION_SECTOR: u32 = 32;

/// How texts are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Narrow,
    Wide,
}

impl Ledger<'_> {
    /// Zeros, or what boots from the image as from a hard disk.
    pub(super) fn system_area(&mut self) -> Result<()> {
        let mut bytes = vec![0; SYSTEM_AREA_SECTORS as usize * SECTOR_BYTES];
        self.reader.image.read(0, &mut bytes)?;
        let length = bytes.len() as u64;
        if bytes.iter().all(|byte| *byte == 0) {
            return self.padding(0, length, "system area");
        }
        self.content(0, length, "system area")
    }

    pub(super) fn descriptors(&mut self) -> Result<()> {
        for number in SYSTEM_AREA_SECTORS..self.reader.volumes.end_sector {
            self.descriptor(number, "")?;
        }
        Ok(())
    }

    /// xorriso writes the descriptors of a first session once more, 32 sectors on: that is
    /// where the session begins when others follow it.
    pub(super) fn session(&mut self) -> Result<()> {
        let start = SESSION_SECTOR + SYSTEM_AREA_SECTORS;
        let count = self.reader.volumes.end_sector - SYSTEM_AREA_SECTORS;
        let volume = &self.reader.volumes.primary.record;
        let mut sector = [0; SECTOR_BYTES];
        let offset_bytes = u64::from(start) * SECTOR_BYTES as u64;
        let end_bytes = offset_bytes + u64::from(count) * SECTOR_BYTES as u64;
        if end_bytes > self.reader.image.size_bytes() {
            return Ok(());
        }
        self.reader.image.read(offset_bytes, &mut sector)?;
        let copy = VolumeDescriptor::read_from_bytes(&sector).ok().filter(|copy| {
            (copy.kind, copy.standard_id) == (TYPE_PRIMARY, STANDARD_ID)
                && copy.root.extent.get() == volume.root.extent.get()
        });
        if copy.is_some() {
            for number in start..start + count {
                self.descriptor(number, "session's ")?;
            }
        }
        Ok(())
    }

    fn descriptor(&mut self, number: u32, prefix: &str) -> Result<()> {
        let mut sector = [0; SECTOR_BYTES];
        let offset_bytes = u64::from(number) * SECTOR_BYTES as u64;
        self.reader.image.read(offset_bytes, &mut sector)?;
        let mut sheet = Sheet::new(offset_bytes, &sector, self.account.wants_text());
        let [kind, _, _, _, _, _, version] = *sector.first_chunk().unwrap_or(&[0; 7]);
        sheet.byte("type");
        sheet.text("standard identifier", 5);
        sheet.byte("version");
        let title = match kind {
            TYPE_PRIMARY => {
                volume(&mut sheet, Alphabet::Narrow, self.reader.image.size_bytes());
                "primary volume descriptor"
            }
            TYPE_SUPPLEMENTARY if version == 2 => {
                volume(&mut sheet, Alphabet::Narrow, self.reader.image.size_bytes());
                "enhanced volume descriptor"
            }
            TYPE_SUPPLEMENTARY => {
                volume(&mut sheet, Alphabet::Wide, self.reader.image.size_bytes());
                "Joliet volume descriptor"
            }
            TYPE_BOOT => {
                self.boot_record(&mut sheet, &sector);
                "boot record"
            }
            TYPE_TERMINATOR => {
                sheet.zeros("reserved", SECTOR_BYTES);
                "volume descriptor set terminator"
            }
            TYPE_PARTITION => {
                sheet.hidden("partition", SECTOR_BYTES);
                "volume partition descriptor"
            }
            _ => {
                sheet.hidden("unknown", SECTOR_BYTES);
                "unknown volume descriptor"
            }
        };
        self.record(sheet, format!("{prefix}{title}"))
    }

    fn boot_record(&mut self, sheet: &mut Sheet<'_>, sector: &[u8]) {
        let is_el_torito = sector.get(7..).is_some_and(|id| id.starts_with(EL_TORITO));
        sheet.text("boot system identifier", 32);
        sheet.text("boot identifier", 32);
        if is_el_torito {
            self.catalog = Some(sheet.little32("boot catalog"));
            sheet.zeros("unused", SECTOR_BYTES);
        } else {
            sheet.hidden("boot system use", SECTOR_BYTES);
        }
    }

    /// The catalog of El Torito, and the images that it boots.
    pub(super) fn catalog(&mut self) -> Result<()> {
        let Some(catalog) = self.catalog else { return Ok(()) };
        let offset_bytes = u64::from(catalog) * SECTOR_BYTES as u64;
        let mut sector = [0; SECTOR_BYTES];
        self.reader.image.read(offset_bytes, &mut sector)?;
        let mut sheet = Sheet::new(offset_bytes, &sector, self.account.wants_text());
        sheet.flags("header");
        sheet.byte("platform");
        sheet.zeros("reserved", 2);
        sheet.text("manufacturer", 24);
        sheet.hidden("checksum", 2);
        sheet.hidden("key bytes", 2);
        let sum = sector.chunks_exact(2).take(16).fold(0_u16, |sum, word| match word {
            [low, high] => sum.wrapping_add(u16::from_le_bytes([*low, *high])),
            _ => sum,
        });
        if sum != 0 {
            sheet.problem(offset_bytes + 28, "checksum of the boot catalog: expected another one");
        }
        let mut images = Vec::new();
        while sheet.left() >= 32 {
            let at = usize::try_from(sheet.at() - offset_bytes).unwrap_or_default();
            let entry = sector.get(at..).and_then(|rest| rest.first_chunk::<32>());
            let Some(entry) = entry.filter(|entry| entry.iter().any(|byte| *byte != 0)) else {
                break;
            };
            images.extend(boot_entry(&mut sheet, entry));
        }
        sheet.zeros("unused", SECTOR_BYTES);
        self.record(sheet, "boot catalog".to_owned())?;
        for (number, (sector, length)) in (1..).zip(images) {
            self.boot_images.push((number, u64::from(sector) * SECTOR_BYTES as u64, length));
        }
        Ok(())
    }

    /// Boot images that no file holds: as many bytes as are loaded, in whole sectors.
    pub(super) fn boot_images(&mut self) -> Result<()> {
        for (number, start, length) in std::mem::take(&mut self.boot_images) {
            if !self.claims.begins_content(start) {
                let length = length.next_multiple_of(SECTOR_BYTES as u64);
                self.content(start, length, &format!("boot image {number}"))?;
            }
        }
        Ok(())
    }
}

/// Tells of one entry behind the first; returns the sector and length of its image.
fn boot_entry(sheet: &mut Sheet<'_>, entry: &[u8; 32]) -> Option<(u32, u64)> {
    match entry.first() {
        // A section header, the last one or not.
        Some(0x90 | 0x91) => {
            sheet.flags("section");
            sheet.byte("section platform");
            sheet.hidden("section entries", 2);
            sheet.text("section identifier", 28);
            None
        }
        Some(0x44) => {
            sheet.hidden("extension", 32);
            None
        }
        _ => {
            sheet.flags("boot indicator");
            sheet.flags("media type");
            sheet.hidden("load segment", 2);
            sheet.flags("system type");
            sheet.zeros("unused", 1);
            let count = entry.get(6..8).map_or(0, |count| match count {
                [low, high] => u16::from_le_bytes([*low, *high]),
                _ => 0,
            });
            sheet.shown("sector count", 2, count.to_string());
            let sector = sheet.little32("image");
            sheet.hidden("selection criteria", 20);
            Some((sector, u64::from(count.max(1)) * 512))
        }
    }
}

/// What follows the version of a primary or supplementary descriptor (ECMA-119 8.4, 8.5).
fn volume(sheet: &mut Sheet<'_>, alphabet: Alphabet, size_bytes: u64) {
    let text = |sheet: &mut Sheet<'_>, name, length| match alphabet {
        Alphabet::Narrow => drop(sheet.text(name, length)),
        Alphabet::Wide => drop(sheet.wide_text(name, length)),
    };
    sheet.flags("volume flags");
    text(sheet, "system identifier", 32);
    text(sheet, "volume identifier", 32);
    sheet.zeros("unused", 8);
    let at = sheet.at();
    let sectors = sheet.both32("volume space size");
    if u64::from(sectors) * SECTOR_BYTES as u64 > size_bytes {
        let there = size_bytes / SECTOR_BYTES as u64;
        let message = format!("volume space size: expected at most {there} sectors, got {sectors}");
        sheet.problem(at, message);
    }
    match alphabet {
        Alphabet::Narrow => sheet.zeros("escape sequences", 32),
        Alphabet::Wide => {
            sheet.text("escape sequences", 32);
        }
    }
    sheet.both16("volume set size");
    sheet.both16("volume sequence number");
    sheet.both16("logical block size");
    sheet.both32("path table size");
    sheet.little32("L path table");
    sheet.little32("optional L path table");
    sheet.big32("M path table");
    sheet.big32("optional M path table");
    super::record::header(sheet);
    sheet.shown("root identifier", 1, ".".to_owned());
    for (name, length) in [
        ("volume set identifier", 128),
        ("publisher identifier", 128),
        ("data preparer identifier", 128),
        ("application identifier", 128),
        ("copyright file identifier", 37),
        ("abstract file identifier", 37),
        ("bibliographic file identifier", 37),
    ] {
        text(sheet, name, length);
    }
    sheet.volume_time("creation time");
    sheet.volume_time("modification time");
    sheet.volume_time("expiration time");
    sheet.volume_time("effective time");
    let at = sheet.at();
    let version = sheet.byte("file structure version");
    if !matches!(version, 1 | 2) {
        sheet.problem(at, format!("file structure version: expected 1, got {version}"));
    }
    sheet.zeros("reserved", 1);
    sheet.hidden("application use", 512);
    sheet.zeros("reserved", size_of::<VolumeDescriptor>());
}
