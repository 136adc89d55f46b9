//! The whole image, front to back: file data, then the tables, and at last the
//! superblock, which says where they are.

use std::io;

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use super::data::{self, Data};
use super::directory::{self, Listing, Target};
use super::format::{
    MAGIC, METADATA_BYTES, METADATA_RAW, NO_TABLE, PAD_BYTES, SuperBlock, VERSION, flags,
};
use super::inode::{self, Payload};
use super::metadata::{Position, Stream, block_list, lookup_blocks};
use super::plan::Plan;
use super::queue::Output;
use super::xattr;
use crate::compress::{Compression, Packer};
use crate::content::Sink;
use crate::error::{Error, ErrorKind, Result, inconsistent};
use crate::tree::{InodeId, Kind, Tree};

pub(super) fn write(plan: &Plan<'_>, sink: &mut dyn Sink) -> Result<u64> {
    // Better to learn it now than when all data is written.
    sink.rewrite(0, &[]).map_err(cannot_rewrite)?;
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
    sink.rewrite(size_bytes, super_block.as_bytes()).map_err(cannot_rewrite)?;
    Ok(size_bytes)
}

fn write_tables(plan: &Plan<'_>, data: &Data, output: &mut Output<'_>) -> Result<SuperBlock> {
    let mut packer = Packer::new(plan.options.compression, METADATA_BYTES);
    let packer = &mut packer;
    let tables = Tables::build(plan, data, packer)?;
    let root = tables.position(Tree::ROOT)?;

    let inode_table = output.position();
    write_blocks(&tables.inodes.finish(packer), output)?;
    let directory_table = output.position();
    write_blocks(&tables.directories.finish(packer), output)?;
    // Without fragments nothing is written, and the place is where the next table starts:
    // GRUB reads there, 7-Zip takes it for the end of the directories, unsquashfs 4.4 compares.
    let in_blocks = <[u8]>::chunks;
    let fragments = in_blocks(data.fragments.as_bytes(), METADATA_BYTES);
    let fragment_table = write_lookup_table(fragments, output, packer)?;
    let reference = |id: &InodeId| {
        let position = tables.positions.get(id.index()).copied().unwrap_or_default();
        position.reference().to_le_bytes()
    };
    // Block by block: there may be very many of them.
    let references = plan.order.chunks(METADATA_BYTES / size_of::<u64>());
    let references = references.map(|ids| ids.iter().flat_map(reference).collect::<Vec<u8>>());
    let export_table = write_lookup_table(references, output, packer)?;
    let ids: Vec<[u8; 4]> = plan.ids.iter().map(|id| id.to_le_bytes()).collect();
    let ids = in_blocks(ids.as_flattened(), METADATA_BYTES);
    let id_table = write_lookup_table(ids, output, packer)?;
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
        compressor: U16::new(options.compression.number().ok_or_else(inconsistent)?),
        block_bits: U16::new(options.block_size.bits()),
        flags: U16::new(image_flags(
            options.compression,
            !data.fragments.is_empty(),
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
        if tables.directories.position() == Position::default() {
            // A root without entries: 7-Zip refuses a directory table without a block.
            tables.directories.append(&[0], packer);
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
fn write_lookup_table<R: AsRef<[u8]>>(
    records: impl Iterator<Item = R>,
    output: &mut Output<'_>,
    packer: &mut Packer,
) -> Result<u64> {
    let blocks = lookup_blocks(records, packer);
    let (list, list_start) = block_list(&blocks, output.position());
    write_blocks(&blocks, output)?;
    output.write(&list)?;
    Ok(list_start)
}

fn write_blocks(blocks: &[Vec<u8>], output: &mut Output<'_>) -> io::Result<()> {
    blocks.iter().try_for_each(|block| output.write(block))
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

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a panic is how a test fails"
    )]

    use std::io::Write;

    use zerocopy::FromBytes;

    use super::super::{BlockSize, Options};
    use super::*;
    use crate::{Content, Metadata, Mode, Name, Secret};

    const COMPRESSIONS: [&str; 5] = ["none", "gzip", "lz4", "xz:0", "zstd:3"];

    fn insert(tree: &mut Tree, name: &str, content: Vec<u8>) {
        let name = Name::new(name.as_bytes()).unwrap();
        let mut metadata = Metadata { mode: Mode::of::<0o400>(), ..Metadata::default() };
        metadata.xattrs.insert(b"security.label".as_slice().into(), Secret::new(vec![b'l'; 20]));
        let kind = Kind::File(Content::Memory(Secret::new(content)));
        tree.insert(Tree::ROOT, name, metadata, kind).unwrap();
    }

    /// Megabytes that compress by half, so that threads have something to do.
    fn large_tree(names: impl IntoIterator<Item = usize>) -> Tree {
        let mut tree = Tree::new(Metadata::default());
        for index in names {
            let mut state = index as u64;
            let bytes = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                b'a' + (state >> 60).to_le_bytes()[0]
            });
            let content = bytes.take(100_000 + index * 7919).collect();
            insert(&mut tree, &format!("f{index:02}"), content);
        }
        tree
    }

    fn image_of(tree: &Tree, options: Options) -> Vec<u8> {
        let mut image = Vec::new();
        let size = Plan::new(tree, options).unwrap().write(&mut image).unwrap();
        assert_eq!(image.len() as u64, size);
        image
    }

    #[test]
    fn the_bytes_depend_on_neither_threads_nor_insertion_order() {
        let tree = large_tree(0..25);
        let reversed = large_tree((0..25).rev());
        for name in COMPRESSIONS {
            let options = |threads| {
                let compression = name.parse().unwrap();
                Options { compression, threads, ..Options::default() }
            };
            let one = image_of(&tree, options(1));
            for threads in [0, 2, 5, usize::MAX] {
                assert!(image_of(&tree, options(threads)) == one, "{name}: {threads} threads");
            }
            assert!(image_of(&reversed, options(2)) == one, "{name}: insertion order");
        }
    }

    #[test]
    fn the_superblock_says_what_is_stored_how() {
        let mut tree = Tree::new(Metadata::default());
        insert(&mut tree, "f", vec![1; 5000]);
        let raw = 0x0001 | 0x0002 | 0x0008 | 0x0100 | 0x0800;
        for (name, compressor, flags) in [
            ("none", 1, 0x00c0 | raw),
            ("gzip", 1, 0x00c0),
            ("gzip:5", 1, 0x04c0),
            ("xz", 4, 0x00c0),
            ("lz4", 5, 0x04c0),
            ("zstd", 6, 0x00c0),
            ("zstd:22", 6, 0x04c0),
        ] {
            let compression = name.parse().unwrap();
            let image = image_of(&tree, Options { compression, ..Options::default() });
            let (record, _) = SuperBlock::read_from_prefix(&image).unwrap();
            assert_eq!(record.magic.get(), 0x7371_7368, "{name}");
            assert_eq!(record.compressor.get(), compressor, "{name}");
            assert_eq!(record.flags.get(), flags, "{name}");
            let used = usize::try_from(record.used_bytes.get()).unwrap();
            assert_eq!(used.next_multiple_of(4096), image.len(), "{name}");
            assert!(image[used..].iter().all(|byte| *byte == 0), "{name}");
            // The list of the xattr table's one block ends the image, as Linux asks.
            assert_eq!(record.xattr_table.get() + 16 + 8, record.used_bytes.get(), "{name}");
        }
        let empty = image_of(&Tree::new(Metadata::default()), Options::default());
        let (record, _) = SuperBlock::read_from_prefix(&empty).unwrap();
        assert_eq!(record.flags.get(), 0x02d0 | raw);
        assert_eq!(record.xattr_table.get(), NO_TABLE);
        // Where the one block of the next table, the export table, starts.
        let next = record.export_table.get() - (2 + 8);
        assert_eq!(record.fragment_table.get(), next);
    }

    #[test]
    fn images_that_differ_in_content_differ_nowhere_else() {
        let image_of_byte = |byte: u8| {
            let mut tree = Tree::new(Metadata::default());
            for (index, size) in [1, 4095, 4096, 4097, 9000].into_iter().enumerate() {
                insert(&mut tree, &format!("f{index}"), vec![byte; size]);
            }
            let block_size = BlockSize::new(4096).unwrap();
            image_of(&tree, Options { block_size, ..Options::default() })
        };
        let (ones, twos) = (image_of_byte(0xaa), image_of_byte(0x55));
        assert_eq!(ones.len(), twos.len());
        let differing = ones.iter().zip(&twos).filter(|(one, two)| one != two);
        let differing: Vec<_> = differing.map(|(one, two)| (*one, *two)).collect();
        assert_eq!(differing, vec![(0xaa, 0x55); 1 + 4095 + 4096 + 4097 + 9000]);
    }

    #[test]
    fn zeros_are_not_stored() {
        for name in COMPRESSIONS {
            let mut tree = Tree::new(Metadata::default());
            insert(&mut tree, "small", vec![0; 5000]);
            insert(&mut tree, "large", vec![0; 10 << 20]);
            let compression = name.parse().unwrap();
            let image = image_of(&tree, Options { compression, ..Options::default() });
            assert_eq!(image.len(), 4096, "{name}");
        }
    }

    #[test]
    fn the_export_table_leads_to_every_inode() {
        let mut tree = large_tree(0..3);
        // More than a metadata block of inodes and of references.
        for index in 0..2000 {
            let name = Name::new(format!("e{index}").as_bytes()).unwrap();
            tree.insert(Tree::ROOT, name, Metadata::default(), Kind::Fifo).unwrap();
        }
        let image = image_of(&tree, Options::default());
        let (record, _) = SuperBlock::read_from_prefix(&image).unwrap();
        let number = |bytes: &[u8], at: usize, length: usize| {
            let field = &bytes[at..at + length];
            field.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
        };
        // Uncompressed blocks but for the last are all of the same length.
        let unpack = |start: usize, at: usize| {
            let block = start + at / METADATA_BYTES * (METADATA_BYTES + 2);
            block + 2 + at % METADATA_BYTES
        };
        let list = usize::try_from(record.export_table.get()).unwrap();
        let references = number(&image, list, 8);
        let inodes = usize::try_from(record.inode_table.get()).unwrap();
        for wanted in 1..=tree.len() {
            let reference = number(&image, unpack(references, (wanted - 1) * 8), 8);
            let (block, offset) = (reference >> 16, reference & 0xffff);
            // The number is in the last four of an inode header's 16 bytes.
            let at = block / (METADATA_BYTES + 2) * METADATA_BYTES + offset + 12;
            let bytes: Vec<u8> = (at..at + 4).map(|at| image[unpack(inodes, at)]).collect();
            assert_eq!(number(&bytes, 0, 4), wanted);
        }
    }

    /// A pipe, or a disk that fills up.
    struct Limited {
        can_rewrite: bool,
        left_bytes: usize,
        written_bytes: usize,
    }

    impl Write for Limited {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.left_bytes == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let length = bytes.len().min(self.left_bytes);
            self.left_bytes -= length;
            self.written_bytes += length;
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Limited {
        fn rewrite(&mut self, _back_bytes: u64, _bytes: &[u8]) -> io::Result<()> {
            if self.can_rewrite { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
        }
    }

    #[test]
    fn a_pipe_is_refused_before_the_first_byte() {
        let tree = Tree::new(Metadata::default());
        let mut pipe = Limited { can_rewrite: false, left_bytes: usize::MAX, written_bytes: 0 };
        let plan = Plan::new(&tree, Options::default()).unwrap();
        let error = plan.write(&mut pipe).unwrap_err();
        let message = "SquashFS needs an output whose start can be written last: a file, no pipe";
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Io, message));
        assert_eq!(pipe.written_bytes, 0);
    }

    #[test]
    fn a_full_disk_ends_the_threads_and_the_image_wherever_it_comes() {
        let tree = large_tree(0..12);
        let compression = "zstd:1".parse().unwrap();
        let plan = Plan::new(&tree, Options { compression, ..Options::default() }).unwrap();
        let mut image = Vec::new();
        plan.write(&mut image).unwrap();
        let whole = image.len();
        for left_bytes in [0, 95, 96, 5000, whole / 2, whole - 4096, whole - 1] {
            let mut disk = Limited { can_rewrite: true, left_bytes, written_bytes: 0 };
            let error = plan.write(&mut disk).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{left_bytes}");
            assert_eq!(error.path(), None, "{left_bytes}");
            let cause = error.io_error().map(io::Error::kind);
            assert_eq!(cause, Some(io::ErrorKind::StorageFull), "{left_bytes}");
        }
    }
}
