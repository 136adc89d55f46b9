//! What every byte of an image is: descriptors, path tables, directories record by record,
//! content, and what fills up sectors.

mod claims;
mod directory;
mod fields;
mod order;
mod path_table;
mod record;
mod sheet;
mod tree;
mod volume;

use std::collections::{BTreeMap, HashMap};

use super::Reader;
use super::rock_ridge::Posix;
use super::volume::Volume;
use crate::error::Result;
use crate::iso9660::format::SECTOR_BYTES;
use crate::read::{Account, Problem, Region, RegionKind};
use claims::Claims;
use sheet::Sheet;
use tree::Kind;

/// What the sector behind the descriptors begins with where mkisofs wrote its version there.
const MKISOFS: &[u8] = b"MKI ";

/// Goes through the image once and tells of it.
struct Ledger<'a> {
    reader: &'a Reader,
    account: &'a mut dyn Account,
    claims: Claims,
    /// Sector of El Torito's catalog.
    catalog: Option<u32>,
    /// Number, start and length of what it boots.
    boot_images: Vec<(u32, u64, u64)>,
    /// Where the directories so far begin and end.
    directories: BTreeMap<u64, u64>,
    /// Where the path tables so far begin.
    path_tables: Vec<u64>,
    /// By serial number of `PX`.
    links: HashMap<u32, Links>,
}

/// The records of one serial number.
struct Links {
    /// Of the first of them.
    offset_bytes: u64,
    posix: Posix,
    /// Where its content begins, and its length.
    extent: (u32, u32),
    found: u32,
}

pub(super) fn account(reader: &Reader, account: &mut dyn Account) -> Result<()> {
    let mut ledger = Ledger {
        reader,
        account,
        claims: Claims::default(),
        catalog: None,
        boot_images: Vec::new(),
        directories: BTreeMap::new(),
        path_tables: Vec::new(),
        links: HashMap::new(),
    };
    ledger.system_area()?;
    ledger.descriptors()?;
    ledger.version()?;
    ledger.session()?;
    ledger.catalog()?;
    let volumes = &reader.volumes;
    let kind = if reader.rock_ridge.is_some() { Kind::RockRidge } else { Kind::Plain };
    ledger.tree(&volumes.primary, kind)?;
    ledger.check_links()?;
    if let Some(joliet) = &volumes.joliet {
        ledger.tree(joliet, Kind::Joliet)?;
    }
    if let Some(enhanced) = &volumes.enhanced {
        ledger.enhanced(enhanced)?;
    }
    ledger.boot_images()?;
    let Ledger { claims, account, .. } = ledger;
    claims.settle(&reader.image, account)
}

impl Ledger<'_> {
    /// An enhanced descriptor leads to the primary tree, or to one of its own.
    fn enhanced(&mut self, volume: &Volume) -> Result<()> {
        if self.directories.contains_key(&volume.root_bytes()) {
            return Ok(());
        }
        self.tree(volume, Kind::Enhanced)
    }

    fn version(&mut self) -> Result<()> {
        let offset_bytes = u64::from(self.reader.volumes.end_sector) * SECTOR_BYTES as u64;
        if offset_bytes + SECTOR_BYTES as u64 > self.reader.image.size_bytes() {
            return Ok(());
        }
        let mut sector = [0; SECTOR_BYTES];
        self.reader.image.read(offset_bytes, &mut sector)?;
        if !sector.starts_with(MKISOFS) {
            return Ok(());
        }
        let length = sector.iter().position(|byte| *byte == 0).unwrap_or(SECTOR_BYTES);
        let mut sheet = Sheet::new(offset_bytes, &sector, self.account.wants_text());
        sheet.text("version and arguments", length);
        sheet.hidden("unused", SECTOR_BYTES);
        self.record(sheet, "version of mkisofs".to_owned())
    }

    fn problem(&mut self, offset_bytes: u64, message: impl Into<String>) -> Result<()> {
        let message = message.into();
        self.account.problem(Problem { offset_bytes: Some(offset_bytes), message })
    }

    fn record(&mut self, sheet: Sheet<'_>, title: String) -> Result<()> {
        let (start, length) = sheet.extent();
        self.claims.record(start, length);
        sheet.tell(title, self.account)
    }

    fn padding(&mut self, start: u64, length: u64, title: &str) -> Result<()> {
        let length = length.min(self.reader.image.size_bytes().saturating_sub(start));
        if length == 0 {
            return Ok(());
        }
        self.claims.record(start, length);
        self.region(RegionKind::Padding, start, length, title.to_owned())
    }

    /// Content that is told once, whoever shares it, with what fills up its last sector.
    fn content(&mut self, start: u64, length: u64, title: &str) -> Result<()> {
        if !self.claims.content(start, length) {
            return Ok(());
        }
        self.region(RegionKind::Content, start, length, title.to_owned())?;
        let end = start.saturating_add(length);
        let slack = end.next_multiple_of(SECTOR_BYTES as u64) - end;
        self.padding(end, slack, &format!("padding behind {title}"))
    }

    fn region(&mut self, kind: RegionKind, start: u64, length: u64, title: String) -> Result<()> {
        self.account.region(Region {
            offset_bytes: start,
            length_bytes: length,
            kind,
            title,
            fields: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// As many records have a serial number as it has links (RRIP 1.12 4.1.1).
    fn check_links(&mut self) -> Result<()> {
        let mut faults: Vec<_> = self
            .links
            .drain()
            .map(|(_, links)| links)
            .filter(|links| links.found != links.posix.links)
            .collect();
        faults.sort_unstable_by_key(|links| links.offset_bytes);
        for Links { offset_bytes, posix: Posix { links: expected, .. }, found, .. } in faults {
            let message =
                format!("PX links: expected {found} as the serial number has, got {expected}");
            self.problem(offset_bytes, message)?;
        }
        Ok(())
    }
}
