//! What is known of an image before a byte is written: that the format can hold
//! the tree, and in which order its inodes are numbered.

use super::format::{
    DOTS_BYTES, DirectoryEntry, DirectoryHeader, DirectoryIndex, ExtendedFile, IDS_MAX,
    InodeHeader, METADATA_BYTES,
};
use super::{write, xattr};
use crate::ahead::THREADS;
use crate::compress::Compression;
use crate::content::{Content, Sink};
use crate::duplicates::keep_repeated;
use crate::error::{Error, ErrorKind, Result, inconsistent};
use crate::tree::{Inode, InodeId, Kind, NAME_MAX_BYTES, Order, Timestamp, Tree};

/// Size of the blocks into which file data is cut: a power of two from 4 KiB to 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize(u32);

impl BlockSize {
    /// Checks `bytes`; what is no such size is [`ErrorKind::Unsupported`].
    pub fn new(bytes: u32) -> Result<Self> {
        if bytes.is_power_of_two() && (4 << 10..=1 << 20).contains(&bytes) {
            return Ok(Self(bytes));
        }
        let message = "the block size is a power of two from 4096 to 1048576";
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// The size in bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }

    /// log2 of the size: 12 to 20.
    pub(super) fn bits(self) -> u16 {
        // A u32 has at most 31 trailing zeros before its one.
        u16::try_from(self.0.trailing_zeros()).unwrap_or_default()
    }

    pub(super) fn in_memory(self) -> usize {
        // 1 MiB fits wherever this runs.
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl TryFrom<u32> for BlockSize {
    type Error = Error;

    fn try_from(bytes: u32) -> Result<Self> {
        Self::new(bytes)
    }
}

impl Default for BlockSize {
    /// 128 KiB, as of mksquashfs.
    fn default() -> Self {
        Self(128 << 10)
    }
}

/// How an image is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Block size of file data.
    pub block_size: BlockSize,
    /// How data, metadata and tables are compressed.
    pub compression: Compression,
    /// The image's own time.
    pub build_time: Timestamp,
    /// SquashFS holds whole seconds. Whether the fraction of a time is cut off;
    /// else a time that has one is refused.
    pub cut_fractions: bool,
    /// How many threads compress, or else read files, where there is enough to do; with 0
    /// or 1 the caller's does. Never more than 64 compress, or than there are blocks. The
    /// image's bytes do not depend on it.
    pub threads: usize,
}

impl Default for Options {
    /// Uncompressed, in blocks of 128 KiB, built in 1970, fractions refused, two threads.
    fn default() -> Self {
        Self {
            block_size: BlockSize::default(),
            compression: Compression::default(),
            build_time: Timestamp::default(),
            cut_fractions: false,
            threads: THREADS,
        }
    }
}

impl Options {
    /// Uncompressed, in blocks of 128 KiB, built in 1970, fractions refused, two threads.
    pub fn new() -> Self {
        Self::default()
    }

    /// With file data cut into blocks of this size.
    #[must_use]
    pub fn block_size(self, block_size: BlockSize) -> Self {
        Self { block_size, ..self }
    }

    /// With data, metadata and tables compressed in this way.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// With this time as the image's own.
    #[must_use]
    pub fn build_time(self, build_time: Timestamp) -> Self {
        Self { build_time, ..self }
    }

    /// With fractions of seconds cut off, or else refused.
    #[must_use]
    pub fn cut_fractions(self, cut_fractions: bool) -> Self {
        Self { cut_fractions, ..self }
    }

    /// With so many threads that compress or read; the image's bytes do not depend on it.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }
}

/// A tree that SquashFS can hold; writing fails only on I/O or on a source that changed.
#[derive(Debug)]
pub struct Plan<'t> {
    pub(super) tree: &'t Tree,
    pub(super) options: Options,
    pub(super) build_seconds: u32,
    /// The inodes as they are numbered and stored: what a directory holds comes before it.
    pub(super) order: Vec<InodeId>,
    /// The number of each inode: its place in `order`, from 1 on.
    pub(super) numbers: Vec<u32>,
    /// Owners and groups in rising order.
    pub(super) ids: Vec<u32>,
    /// Lengths that more than one file has, in rising order.
    pub(super) repeated_lengths: Vec<u64>,
    /// Length of all files in bytes.
    pub(super) content_bytes: u64,
}

impl<'t> Plan<'t> {
    /// Checks `tree`. What SquashFS cannot hold is [`ErrorKind::Unrepresentable`] or [`ErrorKind::Limit`].
    pub fn new(tree: &'t Tree, options: Options) -> Result<Self> {
        let build_seconds = whole_seconds(options.build_time, options.cut_fractions)?;
        let in_paths = Order::of(tree)?;
        for (id, inode) in in_paths.inodes(tree) {
            check_inode(inode, &options).map_err(|error| error.at_inode(tree, id))?;
        }
        check_table_sizes(tree, options.block_size)?;
        let (order, numbers) = number(tree)?;
        let ids = collect_ids(tree)?;
        let contents = tree.in_any_order().filter_map(|inode| inode.kind().content());
        let mut lengths: Vec<u64> = contents.map(Content::len).collect();
        let content_bytes = lengths.iter().fold(0, |sum: u64, length| sum.saturating_add(*length));
        let repeated_lengths = keep_repeated(&mut lengths);
        Ok(Self {
            tree,
            options,
            build_seconds,
            order,
            numbers,
            ids,
            repeated_lengths,
            content_bytes,
        })
    }

    /// Writes the image and returns its size in bytes, a multiple of 4096, which
    /// is not known before. `sink` must be able to [rewrite its
    /// start](Sink::rewrite); one that cannot is refused before the first byte.
    pub fn write(&self, sink: &mut dyn Sink) -> Result<u64> {
        write::write(self, sink)
    }

    /// The inode's number; 0, which no inode has, for an inode of another tree.
    pub(super) fn number(&self, id: InodeId) -> u32 {
        self.numbers.get(id.index()).copied().unwrap_or_default()
    }

    /// Where in the id table `id` stands.
    pub(super) fn id_index(&self, id: u32) -> Result<u16> {
        let index = self.ids.binary_search(&id).ok().and_then(|index| u16::try_from(index).ok());
        index.ok_or_else(inconsistent)
    }

    /// Whether a file is shorter than a block, and so goes into a fragment block.
    pub(super) fn is_small(&self, content: &Content) -> bool {
        content.len() < u64::from(self.options.block_size.bytes())
    }

    /// The time as an inode holds it; what [`Plan::new`] checked.
    pub(super) fn seconds(&self, time: Timestamp) -> Result<u32> {
        whole_seconds(time, self.options.cut_fractions)
    }
}

fn whole_seconds(time: Timestamp, cut_fractions: bool) -> Result<u32> {
    let refuse = |message: &str| Err(Error::new(ErrorKind::Unrepresentable, message));
    if time.nanoseconds() > 0 && !cut_fractions {
        return refuse("the time has a fraction of a second, SquashFS holds whole seconds");
    }
    match u32::try_from(time.seconds()) {
        Ok(seconds) => Ok(seconds),
        Err(_) => refuse("the time is out of range: SquashFS holds those from 1970 to 2106"),
    }
}

fn check_inode(inode: &Inode, options: &Options) -> Result<()> {
    let metadata = &inode.metadata;
    whole_seconds(metadata.mtime, options.cut_fractions)?;
    xattr::check(inode.kind(), &metadata.xattrs)
}

/// Refuses a tree whose inodes or directory listings could take 4 GiB: positions
/// in either table have 32 bits.
fn check_table_sizes(tree: &Tree, block_size: BlockSize) -> Result<()> {
    // A little less than 4 GiB, as every block of 8192 bytes may need 8194.
    const TABLE_MAX_BYTES: u64 = 4_290_000_000;
    let inode_bytes = (size_of::<InodeHeader>() + size_of::<ExtendedFile>()) as u64;
    let entry_bytes = (size_of::<DirectoryHeader>() + size_of::<DirectoryEntry>()) as u64;
    let index_bytes = (size_of::<DirectoryIndex>() + NAME_MAX_BYTES) as u64;
    let (mut inodes, mut listings) = (0_u64, 0_u64);
    for inode in tree.in_any_order() {
        let more = match inode.kind() {
            Kind::File(content) => 4 * content.len().div_ceil(block_size.bytes().into()),
            Kind::Symlink(target) => target.len() as u64,
            Kind::Directory(entries) => {
                let names = entries.keys().map(|name| entry_bytes + name.as_bytes().len() as u64);
                let listing = names.sum::<u64>() + u64::from(DOTS_BYTES);
                listings = listings.saturating_add(listing);
                (listing / METADATA_BYTES as u64) * index_bytes
            }
            Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo | Kind::Socket => 0,
        };
        inodes = inodes.saturating_add(inode_bytes).saturating_add(more);
    }
    for (what, bytes) in [("inodes", inodes), ("directories", listings)] {
        if bytes > TABLE_MAX_BYTES {
            let message = format!("the {what} take {bytes} bytes, SquashFS holds less than 4 GiB");
            return Err(Error::new(ErrorKind::Limit, message));
        }
    }
    Ok(())
}

/// Orders the inodes so that a directory comes behind all that it holds, and
/// the files of a directory one behind the other.
fn number(tree: &Tree) -> Result<(Vec<InodeId>, Vec<u32>)> {
    let mut directories = vec![Tree::ROOT];
    let mut next = 0;
    while let Some(directory) = directories.get(next) {
        if let Kind::Directory(entries) = tree.inode(*directory).kind() {
            let is_directory = |id: &InodeId| tree.inode(*id).kind().is_directory();
            directories.extend(entries.values().copied().filter(is_directory));
        }
        next += 1;
    }
    let mut order = Vec::with_capacity(tree.len());
    let mut numbers = vec![0; tree.len()];
    let mut take = |id: InodeId| -> Result<()> {
        let number = numbers.get_mut(id.index()).ok_or_else(inconsistent)?;
        if *number == 0 {
            order.push(id);
            *number = u32::try_from(order.len()).map_err(|_| inconsistent())?;
        }
        Ok(())
    };
    for directory in directories.into_iter().rev() {
        if let Kind::Directory(entries) = tree.inode(directory).kind() {
            // The directories among the entries have their numbers already.
            entries.values().copied().try_for_each(&mut take)?;
        }
        take(directory)?;
    }
    if order.len() == tree.len() { Ok((order, numbers)) } else { Err(inconsistent()) }
}

fn collect_ids(tree: &Tree) -> Result<Vec<u32>> {
    let owners = tree.in_any_order().flat_map(|inode| [inode.metadata.uid, inode.metadata.gid]);
    let mut ids: Vec<u32> = owners.collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > IDS_MAX {
        let message = format!(
            "the tree has {} different owners and groups, SquashFS holds at most {IDS_MAX}",
            ids.len()
        );
        return Err(Error::new(ErrorKind::Limit, message));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::{Content, Device, Metadata, Name, Secret};

    fn refusal(tree: &Tree, options: Options) -> (ErrorKind, String) {
        let error = Plan::new(tree, options).unwrap_err();
        (error.kind(), error.to_string())
    }

    fn root_at(seconds: i64, nanoseconds: u32) -> Tree {
        let mtime = Timestamp::new(seconds, nanoseconds).unwrap();
        Tree::new(Metadata { mtime, ..Metadata::default() })
    }

    #[test]
    fn block_sizes_are_powers_of_two_within_the_format() {
        for bytes in [4096, 8192, 131_072, 1 << 20] {
            assert_eq!(BlockSize::new(bytes).unwrap().bytes(), bytes);
            assert_eq!(1 << BlockSize::new(bytes).unwrap().bits(), bytes);
        }
        for bytes in [0, 1, 2048, 4095, 4097, 12_288, 1 << 21, u32::MAX] {
            let error = BlockSize::new(bytes).unwrap_err();
            assert_eq!(error.to_string(), "the block size is a power of two from 4096 to 1048576");
        }
    }

    #[test]
    fn times_that_the_format_cannot_hold_are_refused() {
        for seconds in [0, 1, i64::from(u32::MAX)] {
            assert!(Plan::new(&root_at(seconds, 0), Options::default()).is_ok());
        }
        for seconds in [-1, i64::from(u32::MAX) + 1] {
            let message = "/: the time is out of range: SquashFS holds those from 1970 to 2106";
            let expected = (ErrorKind::Unrepresentable, message.to_owned());
            assert_eq!(refusal(&root_at(seconds, 0), Options::default()), expected);
        }
        let message = "/: the time has a fraction of a second, SquashFS holds whole seconds";
        let expected = (ErrorKind::Unrepresentable, message.to_owned());
        assert_eq!(refusal(&root_at(1, 1), Options::default()), expected);
        let cutting = Options { cut_fractions: true, ..Options::default() };
        let tree = root_at(1, 999_999_999);
        let plan = Plan::new(&tree, cutting).unwrap();
        assert_eq!(plan.seconds(tree.inode(Tree::ROOT).metadata.mtime).unwrap(), 1);
    }

    #[test]
    fn a_hole_of_more_blocks_than_the_inodes_can_list_is_refused() {
        struct Hole;
        impl crate::Source for Hole {
            fn stream(&self, planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
                Ok(sink.write_zeros(planned_bytes)?)
            }
        }
        let mut tree = Tree::new(Metadata::default());
        let content = Content::Stream { length_bytes: 8 << 40, source: Box::new(Hole) };
        let name = Name::new(b"hole").unwrap();
        tree.insert(Tree::ROOT, name, Metadata::default(), Kind::File(content)).unwrap();
        let options = Options::new().block_size(BlockSize::new(4096).unwrap());
        let message = "the inodes take 8589934704 bytes, SquashFS holds less than 4 GiB";
        assert_eq!(refusal(&tree, options), (ErrorKind::Limit, message.to_owned()));
        assert!(Plan::new(&tree, Options::new()).is_ok());
    }

    #[test]
    fn xattrs_that_the_format_cannot_hold_are_refused() {
        let refused = |name: &[u8], value_bytes: usize| {
            let mut root = Metadata::default();
            root.xattrs.insert(name.into(), Secret::new(vec![1; value_bytes]));
            refusal(&Tree::new(root), Options::default())
        };
        let prefixes =
            "/: SquashFS holds extended attributes named user.*, trusted.* and security.* only";
        for name in [&b"system.posix_acl_access"[..], b"user.", b"user", b"other.x"] {
            assert_eq!(refused(name, 1), (ErrorKind::Unrepresentable, prefixes.to_owned()));
        }
        let long = [b"user.".as_slice(), &[b'x'; 251]].concat();
        let message = "/: an extended attribute's name is longer than 255 bytes";
        assert_eq!(refused(&long, 1), (ErrorKind::Unrepresentable, message.to_owned()));
        let message = "/: an extended attribute's value is longer than 65536 bytes";
        assert_eq!(refused(b"user.x", 65_537), (ErrorKind::Unrepresentable, message.to_owned()));
    }

    #[test]
    fn xattrs_that_linux_would_hide_are_refused() {
        let refused = |kind: Kind, name: &[u8]| {
            let mut tree = Tree::new(Metadata::default());
            let mut metadata = Metadata::default();
            metadata.xattrs.insert(name.into(), Secret::default());
            tree.insert(Tree::ROOT, Name::new(b"x").unwrap(), metadata, kind).unwrap();
            Plan::new(&tree, Options::default()).map(drop).map_err(|error| error.to_string())
        };
        let link = || Kind::Symlink(b"x".as_slice().into());
        let device = || Device::new(1, 3).unwrap();
        let file = Kind::File(Content::Memory(Secret::default()));
        assert_eq!(refused(file, b"user.a"), Ok(()));
        assert_eq!(refused(link(), b"trusted.a"), Ok(()));
        assert_eq!(refused(Kind::Fifo, b"security.a"), Ok(()));
        let fault = "/x: a symbolic link cannot have `user.` attributes";
        assert_eq!(refused(link(), b"user.a"), Err(fault.to_owned()));
        for special in
            [Kind::Fifo, Kind::Socket, Kind::CharDevice(device()), Kind::BlockDevice(device())]
        {
            let fault = "/x: only files and directories can have `user.` attributes";
            assert_eq!(refused(special, b"user.a"), Err(fault.to_owned()));
        }
        let mut root = Metadata::default();
        for index in 0..257 {
            let name = format!("user.{index:0>250}");
            root.xattrs.insert(name.into_bytes().into(), Secret::default());
        }
        let (_, message) = refusal(&Tree::new(root.clone()), Options::default());
        assert!(message.ends_with("more than 65536 bytes, Linux lists no more"), "{message}");
        root.xattrs.pop_first();
        assert!(Plan::new(&Tree::new(root), Options::default()).is_ok());
    }

    #[test]
    fn tables_of_4_gib_are_refused() {
        struct Nothing;
        impl crate::Source for Nothing {
            fn stream(&self, _planned_bytes: u64, _sink: &mut dyn Sink) -> Result<()> {
                Ok(())
            }
        }
        // Each block of 4 KiB takes four bytes of its inode.
        let tree_of = |length_bytes| {
            let mut tree = Tree::new(Metadata::default());
            let content = Content::Stream { length_bytes, source: Box::new(Nothing) };
            let name = Name::new(b"large").unwrap();
            tree.insert(Tree::ROOT, name, Metadata::default(), Kind::File(content)).unwrap();
            tree
        };
        let small_blocks = || Options { block_size: BlockSize(4096), ..Options::default() };
        assert!(Plan::new(&tree_of(4 << 40), small_blocks()).is_err());
        assert!(Plan::new(&tree_of(3 << 40), small_blocks()).is_ok());
        assert!(Plan::new(&tree_of(4 << 40), Options::default()).is_ok());
        let (kind, message) = refusal(&tree_of(u64::MAX), Options::default());
        assert_eq!(kind, ErrorKind::Limit);
        assert!(message.ends_with("SquashFS holds less than 4 GiB"), "{message}");
    }

    #[test]
    fn a_directory_is_numbered_behind_what_it_holds() {
        let mut tree = Tree::new(Metadata::default());
        let name = |text: &str| Name::new(text.as_bytes()).unwrap();
        let outer = tree.insert_directory(Tree::ROOT, name("b"), Metadata::default()).unwrap();
        let inner = tree.insert_directory(outer, name("a"), Metadata::default()).unwrap();
        let file = tree.insert(inner, name("f"), Metadata::default(), Kind::Fifo).unwrap();
        let other = tree.insert(Tree::ROOT, name("a"), Metadata::default(), Kind::Fifo).unwrap();
        tree.link(Tree::ROOT, name("c"), file).unwrap();
        let plan = Plan::new(&tree, Options::default()).unwrap();
        assert_eq!(plan.order, [file, inner, outer, other, Tree::ROOT]);
        let numbers = plan.order.iter().map(|id| plan.number(*id)).collect::<Vec<_>>();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
    }
}
