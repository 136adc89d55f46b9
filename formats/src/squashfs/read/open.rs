//! Opens an image: the superblock, and where the tables are.

use std::sync::Mutex;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromZeros, IntoBytes};

use super::cache::State;
use super::metadata::{Area, Cursor, Table};
use super::{Reader, corrupt, in_memory};
use crate::compress::Compressor;
use crate::error::{Error, ErrorKind, Result, unreadable};
use crate::image::Format;
use crate::read::{Facts, Limits, Meter, Storage};
use crate::squashfs::format::{
    BLOCK_BYTES, FragmentEntry, MAGIC, METADATA_BYTES, METADATA_RAW, NO_TABLE, SuperBlock, VERSION,
    XattrId, XattrTable, flags,
};
use crate::tree::Timestamp;

/// The one format of lz4 that Linux knows (`LZ4_LEGACY`).
const LZ4_VERSION: u32 = 1;

/// Where everything is. The tables follow one another without a gap, which Linux demands.
#[derive(Debug)]
pub(super) struct Layout {
    /// Where content may be: behind the superblock and the compressor's options.
    pub(super) data_start: u64,
    pub(super) inodes: Area,
    pub(super) directories: Area,
    pub(super) fragments: Option<Table>,
    pub(super) exports: Option<Table>,
    pub(super) ids: Table,
    pub(super) xattrs: Option<XattrTables>,
}

/// The tables of extended attributes.
#[derive(Debug)]
pub(super) struct XattrTables {
    /// Names and values.
    pub(super) pairs: Area,
    /// Which of them belong together.
    pub(super) ids: Table,
    /// Where the head is.
    pub(super) head: u64,
}

impl Reader {
    /// Opens the image in `storage`.
    pub fn open(storage: Box<dyn Storage>, limits: Limits) -> Result<Self> {
        let mut superblock = SuperBlock::new_zeroed();
        storage.read_exact_at(0, superblock.as_mut_bytes())?;
        let compressor = check(&superblock, &*storage)?;
        let data_start = options_end(&superblock, compressor, &*storage)?;
        let layout = Finder { storage: &*storage, superblock: &superblock }.layout(data_start)?;
        let block_bytes = in_memory(superblock.block_bytes.get().into());
        let mut reader = Self {
            facts: facts(&superblock, compressor),
            meter: Meter::new(limits.work_bytes),
            state: Mutex::new(State::new(limits, block_bytes)),
            ids: Vec::new(),
            storage,
            limits,
            superblock,
            compressor,
            layout,
        };
        if reader.facts.compression.is_some() {
            reader.compressor.unpacker(reader.superblock.block_bytes.get())?;
        }
        reader.ids = reader.read_ids()?;
        Ok(reader)
    }

    /// All owners and groups: 65,535 at most.
    fn read_ids(&self) -> Result<Vec<u32>> {
        let table = self.layout.ids;
        let mut ids = Vec::new();
        for block in 0..table.block_count() {
            let mut cursor = Cursor::at(table.blocks, self.listed(&table, block)?, 0);
            let left = table.records - ids.len() as u64;
            for _ in 0..left.min(METADATA_BYTES as u64 / table.record_bytes) {
                ids.push(cursor.record::<U32>(self)?.get());
            }
        }
        Ok(ids)
    }
}

/// Checks what the superblock says by itself, as `squashfs_fill_super` of Linux does.
fn check(superblock: &SuperBlock, storage: &dyn Storage) -> Result<Compressor> {
    let magic = superblock.magic.get();
    if magic != MAGIC {
        return Err(corrupt(format!("bad magic: expected {MAGIC:#x}, got {magic:#x}")));
    }
    let version = (superblock.version_major.get(), superblock.version_minor.get());
    if version != VERSION {
        let message = format!("SquashFS {}.{} is not read: expected 4.0", version.0, version.1);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let (block_bytes, bits) = (superblock.block_bytes.get(), superblock.block_bits.get());
    if !BLOCK_BYTES.contains(&block_bytes) || !block_bytes.is_power_of_two() {
        let message = "expected a power of two from 4096 to 1048576";
        return Err(corrupt(format!("bad block size: {message}, got {block_bytes}")));
    }
    if u32::from(bits) != block_bytes.trailing_zeros() {
        let expected = block_bytes.trailing_zeros();
        return Err(corrupt(format!(
            "bad logarithm of the block size: expected {expected}, got {bits}"
        )));
    }
    let size_bytes = storage.size_bytes().map_err(unreadable)?;
    let used_bytes = superblock.used_bytes.get();
    if used_bytes > size_bytes {
        return Err(corrupt(format!(
            "the image is cut off: expected {used_bytes} bytes or more, got {size_bytes}"
        )));
    }
    let offset = superblock.root.get() & 0xffff;
    if offset >= METADATA_BYTES as u64 {
        return Err(corrupt(format!("bad offset of the root: expected 0 to 8191, got {offset}")));
    }
    if superblock.inodes.get() == 0 {
        return Err(corrupt("bad count of inodes: expected 1 or more, got 0"));
    }
    if superblock.ids.get() == 0 {
        return Err(corrupt("bad count of owners: expected 1 or more, got 0"));
    }
    let compressor = superblock.compressor.get();
    let found = Compressor::of(compressor).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, format!("unknown compressor {compressor}"))
    })?;
    match found {
        // Their names are told, even where nothing is packed by them.
        Compressor::Deflate | Compressor::Lzma | Compressor::Lzo => {
            found.unpacker(block_bytes).map(|_| found)
        }
        Compressor::Gzip | Compressor::Xz | Compressor::Lz4 | Compressor::Zstd => Ok(found),
    }
}

/// Checks the compressor's options as far as reading needs it, and returns where they end.
fn options_end(
    superblock: &SuperBlock,
    compressor: Compressor,
    storage: &dyn Storage,
) -> Result<u64> {
    let start = size_of::<SuperBlock>() as u64;
    if superblock.flags.get() & flags::COMPRESSOR_OPTIONS == 0 {
        return Ok(start);
    }
    let name = compressor.name();
    let Some(length) = compressor.options_bytes() else {
        return Err(corrupt(format!("there are options of {name}, which has none")));
    };
    let mut header = U16::ZERO;
    storage.read_exact_at(start, header.as_mut_bytes())?;
    let expected = METADATA_RAW | u16::try_from(length).unwrap_or_default();
    if header.get() != expected {
        let got = header.get();
        return Err(corrupt(format!(
            "bad header of the options of {name}: expected {expected:#x}, got {got:#x}"
        )));
    }
    if compressor == Compressor::Lz4 {
        let mut version = U32::ZERO;
        storage.read_exact_at(start + 2, version.as_mut_bytes())?;
        if version.get() != LZ4_VERSION {
            let message = format!("version {version} of lz4 is not read");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    }
    Ok(start + 2 + length as u64)
}

/// Finds the tables from the last one to the first, as Linux does.
struct Finder<'a> {
    storage: &'a dyn Storage,
    superblock: &'a SuperBlock,
}

impl Finder<'_> {
    fn layout(&self, data_start: u64) -> Result<Layout> {
        let record = self.superblock;
        let mut end = record.used_bytes.get();
        let xattrs = self.xattrs(end)?;
        end = xattrs.as_ref().map_or(end, |xattrs| xattrs.pairs.start);
        let ids =
            self.table("owners", record.id_table.get(), end, u64::from(record.ids.get()), 4)?;
        end = ids.blocks.start;
        let exports = match record.export_table.get() {
            NO_TABLE => None,
            list => {
                let inodes = u64::from(record.inodes.get());
                Some(self.table("exported inodes", list, end, inodes, 8)?)
            }
        };
        end = exports.map_or(end, |table| table.blocks.start);
        let fragments = match u64::from(record.fragments.get()) {
            0 => None,
            count => {
                let record_bytes = size_of::<FragmentEntry>() as u64;
                let list = record.fragment_table.get();
                Some(self.table("fragments", list, end, count, record_bytes)?)
            }
        };
        end = fragments.map_or(end, |table| table.blocks.start);
        let (inodes, directories) = (record.inode_table.get(), record.directory_table.get());
        if directories > end {
            return Err(corrupt(format!(
                "bad place of the directories: expected at most {end}, got {directories}"
            )));
        }
        if inodes >= directories {
            return Err(corrupt(format!(
                "bad place of the inodes: expected less than {directories}, got {inodes}"
            )));
        }
        if inodes < data_start {
            return Err(corrupt(format!(
                "bad place of the inodes: expected at least {data_start}, got {inodes}"
            )));
        }
        let area = |name, start, end| Area { name, start, end };
        Ok(Layout {
            data_start,
            inodes: area("inodes", inodes, directories),
            directories: area("directories", directories, end),
            fragments,
            exports,
            ids,
            xattrs,
        })
    }

    /// A table whose list of places begins at `list` and ends at `end`, which is all that Linux
    /// lets pass.
    fn table(
        &self,
        name: &'static str,
        list: u64,
        end: u64,
        records: u64,
        record_bytes: u64,
    ) -> Result<Table> {
        let blocks = Area { name, start: 0, end: list };
        let mut table = Table { blocks, list, records, record_bytes };
        let expected = end.checked_sub(table.list_bytes());
        if expected != Some(list) {
            let expected = expected.map_or_else(|| "less".to_owned(), |byte| byte.to_string());
            return Err(corrupt(format!(
                "bad place of the list of {name}: expected {expected}, got {list}"
            )));
        }
        let mut first = [0; 8];
        self.storage.read_exact_at(list, &mut first)?;
        table.blocks.start = u64::from_le_bytes(first);
        if table.blocks.start >= list {
            let start = table.blocks.start;
            return Err(corrupt(format!(
                "bad place of the {name}: expected less than {list}, got {start}"
            )));
        }
        Ok(table)
    }

    fn xattrs(&self, end: u64) -> Result<Option<XattrTables>> {
        let head = self.superblock.xattr_table.get();
        if head == NO_TABLE {
            return Ok(None);
        }
        let head_bytes = size_of::<XattrTable>() as u64;
        let list = head.checked_add(head_bytes).filter(|list| *list <= end).ok_or_else(|| {
            corrupt(format!(
                "bad place of the extended attributes: expected less than {end}, got {head}"
            ))
        })?;
        let mut record = XattrTable::new_zeroed();
        self.storage.read_exact_at(head, record.as_mut_bytes())?;
        if record.ids.get() == 0 {
            return Err(corrupt(
                "bad count of sets of extended attributes: expected 1 or more, got 0",
            ));
        }
        let name = "sets of extended attributes";
        let count = u64::from(record.ids.get());
        let mut ids = self.table(name, list, end, count, size_of::<XattrId>() as u64)?;
        ids.blocks.end = head;
        let (start, first) = (record.start.get(), ids.blocks.start);
        if first >= head || start >= first {
            return Err(corrupt(format!(
                "bad place of the extended attributes: expected less than {}, got {start}",
                first.min(head)
            )));
        }
        let pairs = Area { name: "extended attributes", start, end: first };
        Ok(Some(XattrTables { pairs, ids, head }))
    }
}

fn facts(superblock: &SuperBlock, compressor: Compressor) -> Facts {
    let flags = superblock.flags.get();
    let is_set = |bits: u16| flags & bits == bits;
    let has_fragments = superblock.fragments.get() > 0;
    let has_xattrs = superblock.xattr_table.get() != NO_TABLE;
    let is_raw = is_set(flags::RAW_INODES | flags::RAW_DATA)
        && (!has_fragments || is_set(flags::RAW_FRAGMENTS))
        && (!has_xattrs || is_set(flags::RAW_XATTRS));
    let features = [
        (has_fragments, "fragments"),
        (is_set(flags::ALWAYS_FRAGMENTS), "always-use-fragments"),
        (has_xattrs, "xattrs"),
        (is_set(flags::DUPLICATES_SHARED), "duplicates"),
        (superblock.export_table.get() != NO_TABLE, "exportable"),
        (is_set(flags::COMPRESSOR_OPTIONS), "compressor-options"),
        (is_set(flags::RAW_INODES), "uncompressed-inodes"),
        (is_set(flags::RAW_DATA), "uncompressed-data"),
        (is_set(flags::RAW_FRAGMENTS), "uncompressed-fragments"),
        (is_set(flags::RAW_XATTRS), "uncompressed-xattrs"),
        (is_set(flags::RAW_IDS), "uncompressed-ids"),
    ];
    let features = features.into_iter().filter(|(is_there, _)| *is_there);
    Facts {
        format: Format::Squashfs,
        build_time: Some(Timestamp::from_seconds(superblock.build_time_seconds.get().into())),
        block_bytes: superblock.block_bytes.get(),
        used_bytes: superblock.used_bytes.get(),
        inodes: Some(superblock.inodes.get().into()),
        compression: (!is_raw).then(|| compressor.name()),
        features: features.map(|(_, name)| name.to_owned()).collect(),
        ..Facts::new(Format::Squashfs)
    }
}
