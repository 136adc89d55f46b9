//! Reads ISO 9660 images, its own and those of other tools.
//!
//! An image may have three trees of names. [`Hierarchy`] says which one is read: by itself the
//! reader takes that of Rock Ridge where it is there, else that of Joliet, else the plain one,
//! as Linux does. Plain names are shown as Linux shows them (`map=normal`): in lower case,
//! without the version `;1` and a dot before it.
//!
//! A directory is known by the byte at which its own record stands, which is the first of its
//! extent; anything else by the byte of its first record in the directory that names it.

mod account;
mod content;
mod directory;
mod metadata;
mod name;
mod record;
mod rock_ridge;
mod system_use;
mod time;
mod volume;

use std::ops::ControlFlow;

use crate::content::Sink;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Format;
use crate::iso9660::format::ROCK_RIDGE_IDS;
use crate::read::{
    Account, Entry, Extent, Facts, InodeRef, Limits, NodeKind, Reader as Reads, Stat, Storage,
};
use crate::tree::Xattrs;
use metadata::Image;
use record::{Record, Room};
use rock_ridge::{Attributes, Posix};
use system_use::Sharing;
use volume::{Volume, Volumes};

/// Which tree of names is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// The primary one, with what Rock Ridge says.
    RockRidge,
    /// Joliet's, which has names of UCS-2, and neither modes nor owners.
    Joliet,
    /// The primary one as ECMA-119 alone has it.
    Plain,
}

/// An image of ISO 9660 that is read in place.
pub struct Reader {
    image: Image,
    volumes: Volumes,
    facts: Facts,
    hierarchy: Hierarchy,
    /// How much of each record's system use comes before the fields of Rock Ridge, where it is
    /// there, whatever is read.
    rock_ridge: Option<usize>,
    sharing: Sharing,
    root: InodeRef,
}

impl Reader {
    /// Opens the image in `storage`, by the first hierarchy that it has of Rock Ridge,
    /// Joliet and the plain one.
    pub fn open(storage: Box<dyn Storage>, limits: Limits) -> Result<Self> {
        Self::open_as(storage, limits, None)
    }

    /// Opens the image in `storage` by this hierarchy; one that it does not have is
    /// [`ErrorKind::Unsupported`].
    pub fn open_hierarchy(
        storage: Box<dyn Storage>,
        limits: Limits,
        hierarchy: Hierarchy,
    ) -> Result<Self> {
        Self::open_as(storage, limits, Some(hierarchy))
    }

    /// Which tree of names is read.
    pub fn hierarchy(&self) -> Hierarchy {
        self.hierarchy
    }

    fn open_as(
        storage: Box<dyn Storage>,
        limits: Limits,
        wanted: Option<Hierarchy>,
    ) -> Result<Self> {
        let image = Image::new(storage, limits)?;
        let volumes = volume::read(&image)?;
        let block_bytes = volumes.primary.block_bytes();
        let root = InodeRef(volumes.primary.root_bytes());
        let mut reader = Self {
            image,
            volumes,
            facts: Facts::new(Format::Iso9660),
            hierarchy: Hierarchy::Plain,
            rock_ridge: None,
            sharing: Sharing { skipped_bytes: 0, block_bytes },
            root,
        };
        reader.rock_ridge = reader.find_rock_ridge()?;
        reader.facts = reader.facts_of();
        reader.choose(wanted)?;
        reader.own_record(reader.root.0, &mut [0; 255])?;
        Ok(reader)
    }

    /// Whether Rock Ridge is there: system use sharing, and what announces Rock Ridge, or has
    /// a mode. How much of each record's system use is skipped then.
    fn find_rock_ridge(&self) -> Result<Option<usize>> {
        let mut room: Room = [0; 255];
        let own = self.own_record(self.root.0, &mut room)?;
        let Some([start, skipped_bytes]) = system_use::sharing_of(&own) else { return Ok(None) };
        let sharing = Sharing { skipped_bytes: start, ..self.sharing };
        let mut is_there = false;
        sharing.fields(&self.image, &own, &mut |field| {
            is_there |= match &field.signature {
                b"ER" => is_rock_ridge(field.payload),
                b"PX" | b"RR" => true,
                _ => false,
            };
            Ok(if is_there { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(is_there.then_some(skipped_bytes))
    }

    fn choose(&mut self, wanted: Option<Hierarchy>) -> Result<()> {
        let joliet = self.volumes.joliet.as_ref();
        let found = match (self.rock_ridge, joliet) {
            (Some(_), _) => Hierarchy::RockRidge,
            (None, Some(_)) => Hierarchy::Joliet,
            (None, None) => Hierarchy::Plain,
        };
        let missing = |name: &str| {
            let message = format!("the image has no tree of {name}");
            Error::new(ErrorKind::Unsupported, message)
        };
        self.hierarchy = wanted.unwrap_or(found);
        match self.hierarchy {
            Hierarchy::RockRidge => {
                let skipped_bytes = self.rock_ridge.ok_or_else(|| missing("Rock Ridge"))?;
                self.sharing.skipped_bytes = skipped_bytes;
            }
            Hierarchy::Joliet => {
                let joliet = joliet.ok_or_else(|| missing("Joliet"))?;
                self.sharing.block_bytes = joliet.block_bytes();
                self.root = InodeRef(joliet.root_bytes());
            }
            Hierarchy::Plain => {}
        }
        Ok(())
    }

    fn facts_of(&self) -> Facts {
        let Volumes { primary, joliet, is_bootable, .. } = &self.volumes;
        let Volume { record, .. } = primary;
        let features = [
            (self.rock_ridge.is_some(), "rock-ridge"),
            (joliet.is_some(), "joliet"),
            (*is_bootable, "el-torito"),
        ];
        let there = features.into_iter().filter(|(is_there, _)| *is_there);
        Facts {
            format: Format::Iso9660,
            label: record.volume_id.trim_ascii_end().to_vec(),
            uuid: record.modified.id().or_else(|| record.created.id()),
            build_time: time::of_volume(record.modified)
                .or_else(|| time::of_volume(record.created)),
            block_bytes: primary.block_bytes(),
            used_bytes: u64::from(record.volume_space_sectors.get())
                * u64::from(primary.block_bytes()),
            inodes: None,
            compression: None,
            features: there.map(|(_, name)| name.to_owned()).collect(),
        }
    }

    fn has_rock_ridge(&self) -> bool {
        self.hierarchy == Hierarchy::RockRidge
    }

    /// What Rock Ridge says in a record; nothing where it is not read.
    fn attributes(&self, record: &Record<'_>) -> Result<Attributes> {
        let mut attributes = Attributes::default();
        if self.has_rock_ridge() {
            self.sharing.fields(&self.image, record, &mut |field| {
                attributes.take(&field)?;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(attributes)
    }

    /// The record of an inode, and what Rock Ridge says in it.
    fn inode<'r>(&self, inode: InodeRef, room: &'r mut Room) -> Result<(Record<'r>, Attributes)> {
        let record = record::at(&self.image, inode.0, room)?;
        let attributes = self.attributes(&record)?;
        Ok((record, attributes))
    }

    fn stat_of(&self, record: &Record<'_>, attributes: &Attributes) -> Result<Stat> {
        let kind = kind_of(record, attributes)?;
        let size_bytes = match kind {
            NodeKind::Directory => record.header.data_bytes.get().into(),
            NodeKind::File => match attributes.plain_bytes {
                Some(plain_bytes) => plain_bytes.into(),
                None => self.sections(record)?.iter().map(|section| section.length_bytes).sum(),
            },
            NodeKind::Symlink => {
                attributes.target.as_ref().map_or(0, |target| target.bytes.len() as u64)
            }
            NodeKind::CharDevice(_)
            | NodeKind::BlockDevice(_)
            | NodeKind::Fifo
            | NodeKind::Socket => 0,
        };
        let mtime = attributes.mtime.unwrap_or_else(|| time::of_record(record.header.time));
        // As Linux shows what Rock Ridge says nothing of (`isofs_read_inode`).
        let plain = Posix { mode: 0o555, links: 1, uid: 0, gid: 0, serial: None };
        let posix = attributes.posix.unwrap_or(plain);
        let Posix { links, uid, gid, .. } = posix;
        let number = number_of(record, &posix, kind);
        let mode = posix.permissions();
        Ok(Stat { kind, mode, uid, gid, mtime, links, size_bytes, number })
    }
}

/// What a record is. Where Rock Ridge says nothing of it, its flags do.
fn kind_of(record: &Record<'_>, attributes: &Attributes) -> Result<NodeKind> {
    let is_directory = record.is_directory();
    let Some(posix) = attributes.posix else {
        return Ok(if is_directory { NodeKind::Directory } else { NodeKind::File });
    };
    let mode = posix.mode;
    let kind = posix.kind(attributes.device);
    let kind = kind.ok_or_else(|| record.corrupt(format!("mode {mode:#o} has no file type")))?;
    if (kind == NodeKind::Directory) != is_directory {
        let what = format!("its flags and mode {mode:#o} differ on whether it is a directory");
        return Err(record.corrupt(what));
    }
    Ok(kind)
}

/// Hard links are told by the serial number of `PX`. Whoever has the same one must have the
/// same content as well: nothing else keeps an image from giving it to two files.
fn number_of(record: &Record<'_>, posix: &Posix, kind: NodeKind) -> u64 {
    const SERIAL_BITS: u32 = 28;
    let kind = match kind {
        NodeKind::File => 0,
        NodeKind::Symlink => 1,
        NodeKind::CharDevice(_) => 2,
        NodeKind::BlockDevice(_) => 3,
        NodeKind::Fifo => 4,
        NodeKind::Socket => 5,
        NodeKind::Directory => return record.offset_bytes,
    };
    match posix.serial {
        Some(serial) if posix.links > 1 && serial < 1 << SERIAL_BITS => {
            let extent = u64::from(record.header.extent.get());
            1 << 63 | kind << 60 | u64::from(serial) << 32 | extent
        }
        _ => record.offset_bytes,
    }
}

fn is_rock_ridge(extension: &[u8]) -> bool {
    let [length, _, _, _, id @ ..] = extension else { return false };
    let id = id.get(..usize::from(*length)).unwrap_or_default();
    ROCK_RIDGE_IDS.contains(&id)
}

impl Reads for Reader {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn root(&self) -> InodeRef {
        self.root
    }

    fn stat(&self, inode: InodeRef) -> Result<Stat> {
        let mut room: Room = [0; 255];
        let (record, attributes) = self.inode(inode, &mut room)?;
        self.stat_of(&record, &attributes)
    }

    fn xattrs(&self, inode: InodeRef) -> Result<Xattrs> {
        // The fields `AL` of libisofs hold some; Linux does not show them.
        let _ = inode;
        Ok(Xattrs::new())
    }

    fn target(&self, symlink: InodeRef) -> Result<Box<[u8]>> {
        let mut room: Room = [0; 255];
        let (record, attributes) = self.inode(symlink, &mut room)?;
        let target = attributes.target.map(|target| target.bytes).unwrap_or_default();
        if kind_of(&record, &Attributes { target: None, ..attributes })? != NodeKind::Symlink {
            return Err(record.corrupt("expected a symbolic link"));
        }
        if target.is_empty() || target.contains(&0) {
            return Err(record.corrupt("expected a target of 1 byte or more without NUL"));
        }
        Ok(target.into())
    }

    fn entries(
        &self,
        directory: InodeRef,
        each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.shown(directory, each)
    }

    fn read_at(&self, file: InodeRef, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize> {
        self.read_sections(&self.readable(file.0)?, offset_bytes, buffer)
    }

    fn stream(&self, file: InodeRef, sink: &mut dyn Sink) -> Result<()> {
        self.stream_sections(&self.readable(file.0)?, sink)
    }

    fn extents(&self, file: InodeRef, each: &mut dyn FnMut(Extent) -> Result<()>) -> Result<()> {
        for section in self.readable(file.0)? {
            if section.length_bytes > 0 {
                each(Extent {
                    file_offset_bytes: section.file_offset_bytes,
                    length_bytes: section.length_bytes,
                    image_offset_bytes: Some(section.start_bytes),
                    stored_bytes: section.length_bytes,
                })?;
            }
        }
        Ok(())
    }

    fn account(&self, account: &mut dyn Account) -> Result<()> {
        account::account(self, account)
    }
}
