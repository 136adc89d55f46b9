//! The whole image, front to back: file data, then the tables, and at last the
//! superblock, which says where they are.

use std::io;

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::compress::{Compression, Packer};
use super::data::{self, Data};
use super::directory::{self, Listing, Target};
use super::format::{
    MAGIC, METADATA_BYTES, METADATA_RAW, NO_TABLE, PAD_BYTES, SuperBlock, VERSION, flags,
};
use super::inode::{self, Payload};
use super::metadata::{Position, Stream, lookup_table};
use super::plan::{Plan, inconsistent};
use super::queue::Output;
use super::xattr;
use crate::content::Sink;
use crate::error::{Error, ErrorKind, Result};
use crate::tree::{InodeId, Kind, Tree};

pub(super) fn write(plan: &Plan<'_>, sink: &mut dyn Sink) -> Result<u64> {
    // Better to learn it now than when all data is written.
    sink.rewrite_start(&[]).map_err(cannot_rewrite)?;
    let mut output = Output::new(sink);
    let compressor_options = plan.options.compression.options_record();
    output.write(&[0; size_of::<SuperBlock>()])?;
    if !compressor_options.is_empty() {
        // A metadata block that is never compressed; it has at most 8 bytes.
        let length = u16::try_from(compressor_options.len()).map_err(|_| inconsistent())?;
        output.write(&(length | METADATA_RAW).to_le_bytes())?;
        output.write(&compressor_options)?;
    }
    let data = data::write(plan, &mut output)?;
    let super_block = write_tables(plan, &data, &mut output)?;
    let used_bytes = output.position();
    let size_bytes = used_bytes.next_multiple_of(PAD_BYTES);
    let padding = usize::try_from(size_bytes - used_bytes).map_err(|_| inconsistent())?;
    output.write(&vec![0; padding])?;
    sink.rewrite_start(super_block.as_bytes()).map_err(cannot_rewrite)?;
    Ok(size_bytes)
}

fn write_tables(plan: &Plan<'_>, data: &Data, output: &mut Output<'_>) -> Result<SuperBlock> {
    let mut packer = Packer::new(plan.options.compression, METADATA_BYTES);
    let packer = &mut packer;
    let tables = Tables::build(plan, data, packer)?;
    let root = tables.position(Tree::ROOT)?;

    let inode_table = output.position();
    output.write(&tables.inodes.finish(packer))?;
    let directory_table = output.position();
    output.write(&tables.directories.finish(packer))?;
    let fragment_table = if data.fragments.is_empty() {
        NO_TABLE
    } else {
        write_lookup_table(data.fragments.as_bytes(), output, packer)?
    };
    let references = plan.order.iter().map(|id| {
        let position = tables.positions.get(id.index()).copied().unwrap_or_default();
        position.reference().to_le_bytes()
    });
    let references: Vec<[u8; 8]> = references.collect();
    let export_table = write_lookup_table(references.as_flattened(), output, packer)?;
    let ids: Vec<[u8; 4]> = plan.ids.iter().map(|id| id.to_le_bytes()).collect();
    let id_table = write_lookup_table(ids.as_flattened(), output, packer)?;
    let xattr_table = match tables.xattrs.finish(output.position(), packer)? {
        None => NO_TABLE,
        Some((table, head)) => {
            output.write(&table)?;
            head
        }
    };

    let options = &plan.options;
    let count = |length: usize| u32::try_from(length).map_err(|_| inconsistent());
    Ok(SuperBlock {
        magic: U32::new(MAGIC),
        inodes: U32::new(count(plan.order.len())?),
        build_time_seconds: U32::new(plan.build_seconds),
        block_bytes: U32::new(options.block_size.bytes()),
        fragments: U32::new(count(data.fragments.len())?),
        compressor: U16::new(options.compression.id()),
        block_bits: U16::new(options.block_size.bits()),
        flags: U16::new(image_flags(
            options.compression,
            fragment_table != NO_TABLE,
            xattr_table != NO_TABLE,
        )),
        ids: U16::new(u16::try_from(plan.ids.len()).map_err(|_| inconsistent())?),
        version_major: U16::new(VERSION.0),
        version_minor: U16::new(VERSION.1),
        root: U64::new(root.reference()),
        used_bytes: U64::new(output.position()),
        id_table: U64::new(id_table),
        xattr_table: U64::new(xattr_table),
        inode_table: U64::new(inode_table),
        directory_table: U64::new(directory_table),
        fragment_table: U64::new(fragment_table),
        export_table: U64::new(export_table),
    })
}

/// The tables that grow together, inode by inode.
struct Tables {
    inodes: Stream,
    directories: Stream,
    xattrs: xattr::Table,
    /// Where each inode is.
    positions: Vec<Position>,
}

impl Tables {
    fn build(plan: &Plan<'_>, data: &Data, packer: &mut Packer) -> Result<Self> {
        let mut tables = Self {
            inodes: Stream::default(),
            directories: Stream::default(),
            xattrs: xattr::Table::default(),
            positions: vec![Position::default(); plan.tree.len()],
        };
        let mut record = Vec::new();
        for id in &plan.order {
            record.clear();
            tables.append_record(plan, data, *id, packer, &mut record)?;
            let position = tables.positions.get_mut(id.index()).ok_or_else(inconsistent)?;
            *position = tables.inodes.position();
            tables.inodes.append(&record, packer);
        }
        Ok(tables)
    }

    fn append_record(
        &mut self,
        plan: &Plan<'_>,
        data: &Data,
        id: InodeId,
        packer: &mut Packer,
        record: &mut Vec<u8>,
    ) -> Result<()> {
        let inode = plan.tree.inode(id);
        let xattrs = self.xattrs.add(&inode.metadata.xattrs, packer)?;
        let listing: Listing;
        let payload = match inode.kind() {
            Kind::File(content) => Payload::File(data.file(id)?, content.len()),
            Kind::Directory(entries) => {
                let positions = &self.positions;
                let target = |id: InodeId| {
                    Ok(Target {
                        position: *positions.get(id.index()).ok_or_else(inconsistent)?,
                        number: plan.number(id),
                        inode_type: inode::inode_type(plan.tree.inode(id)),
                    })
                };
                listing = directory::append(entries, target, &mut self.directories, packer)?;
                Payload::Directory(&listing)
            }
            Kind::Symlink(target) => Payload::Symlink(target),
            Kind::CharDevice(device) | Kind::BlockDevice(device) => Payload::Device(*device),
            Kind::Fifo | Kind::Socket => Payload::Nothing,
        };
        inode::append(plan, id, xattrs, &payload, record)
    }

    fn position(&self, id: InodeId) -> Result<Position> {
        self.positions.get(id.index()).copied().ok_or_else(inconsistent)
    }
}

/// Writes the table and returns where the list of its blocks starts.
fn write_lookup_table(records: &[u8], output: &mut Output<'_>, packer: &mut Packer) -> Result<u64> {
    let (table, list_start) = lookup_table(records, output.position(), packer);
    output.write(&table)?;
    Ok(list_start)
}

fn image_flags(compression: Compression, has_fragments: bool, has_xattrs: bool) -> u16 {
    let raw = flags::RAW_INODES
        | flags::RAW_DATA
        | flags::RAW_FRAGMENTS
        | flags::RAW_XATTRS
        | flags::RAW_IDS;
    let chosen = [
        (true, flags::DUPLICATES_SHARED | flags::EXPORTABLE),
        (compression.is_none(), raw),
        (!compression.options_record().is_empty(), flags::COMPRESSOR_OPTIONS),
        (!has_fragments, flags::NO_FRAGMENTS),
        (!has_xattrs, flags::NO_XATTRS),
    ];
    chosen.into_iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, flag)| all | flag)
}

fn cannot_rewrite(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::Unsupported {
        let message = "SquashFS needs an output whose start can be written last: a file, no pipe";
        return Error::new(ErrorKind::Io, message).caused_by(error);
    }
    error.into()
}
