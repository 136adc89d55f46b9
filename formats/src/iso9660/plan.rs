//! The layout of one image: identifiers, sizes and addresses, known before a byte
//! is written.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::directory::{Area, Context, Directory, DirectoryTarget, Record, walk};
use super::emit::{Hierarchy, Target, emit};
use super::format::{ByteOrder, SECTION_MAX_BYTES, SECTOR_BYTES, VolumeTime};
use super::identifier::{Alphabet, Listing};
use super::loss::{self, Loss};
use super::system_use::Fields;
use super::time::{check_record_time, volume_time};
use super::write::Writer;
use crate::ahead::THREADS;
use crate::content::Sink;
use crate::error::{Error, ErrorKind, Result, inconsistent};
use crate::read_ahead::with_read_ahead;
use crate::tree::{Inode, InodeId, Kind, Order, Timestamp, Tree};

/// Most directories: a parent's number in the path table has 16 bits (ECMA-119 9.4.4).
const DIRECTORIES_MAX: usize = 65_535;
/// Most sections of a file that Linux reads (`isofs_read_level3_size`).
const SECTIONS_MAX: u64 = 100;

/// A volume identifier: at most 32 bytes of printable ASCII without space at either
/// end. ECMA-119 8.4.7 has capital letters, digits and underscores only; lower case
/// is what every reader takes and what cloud-init's `cidata` needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeId(Vec<u8>);

impl VolumeId {
    /// Longest identifier in bytes.
    pub const MAX_BYTES: usize = 32;
    /// Longest identifier where there is a Joliet tree, too: that has 16 characters,
    /// and readers differ in which of the two they show.
    pub const JOLIET_MAX_BYTES: usize = 16;

    /// Checks `identifier`; [`ErrorKind::Unrepresentable`] says what is wrong.
    pub fn new(identifier: &[u8]) -> Result<Self> {
        let fault = if identifier.len() > Self::MAX_BYTES {
            let (length, max) = (identifier.len(), Self::MAX_BYTES);
            format!("the label is {length} bytes long, ISO 9660 holds at most {max}")
        } else if !identifier.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            "the label holds something else than printable ASCII".to_owned()
        } else if identifier.trim_ascii().len() < identifier.len() {
            "the label begins or ends with a space, which readers cut off".to_owned()
        } else {
            return Ok(Self(identifier.to_vec()));
        };
        Err(Error::new(ErrorKind::Unrepresentable, fault))
    }

    /// The identifier's bytes, without padding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for VolumeId {
    type Error = Error;

    fn try_from(identifier: &[u8]) -> Result<Self> {
        Self::new(identifier)
    }
}

impl TryFrom<&str> for VolumeId {
    type Error = Error;

    fn try_from(identifier: &str) -> Result<Self> {
        Self::new(identifier.as_bytes())
    }
}

impl FromStr for VolumeId {
    type Err = Error;

    fn from_str(identifier: &str) -> Result<Self> {
        Self::new(identifier.as_bytes())
    }
}

/// What an image says of itself besides its tree.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Volume identifier; may be empty.
    pub volume_id: VolumeId,
    /// Time of the volume.
    pub build_time: Timestamp,
    /// Adds the Joliet tree, which has no modes, owners, links and special files.
    pub joliet: bool,
    /// ISO 9660 holds whole seconds. Whether the fraction of a time is cut off;
    /// else a time that has one is refused.
    pub cut_fractions: bool,
    /// Leaves out, and lists in [`Plan::losses`], what the format or Linux's
    /// reading of it cannot hold; an error otherwise.
    pub lossy: bool,
    /// How many threads read files where there are many; with 0 or 1 the caller's alone does.
    /// The image's bytes do not depend on it.
    pub threads: usize,
}

impl Default for Options {
    /// No identifier, built in 1970, without Joliet, fractions and losses refused, two threads.
    fn default() -> Self {
        Self {
            volume_id: VolumeId::default(),
            build_time: Timestamp::default(),
            joliet: false,
            cut_fractions: false,
            lossy: false,
            threads: THREADS,
        }
    }
}

impl Options {
    /// No identifier, built in 1970, without Joliet, fractions and losses refused, two threads.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this volume identifier.
    #[must_use]
    pub fn volume_id(self, volume_id: VolumeId) -> Self {
        Self { volume_id, ..self }
    }

    /// With this time as the volume's.
    #[must_use]
    pub fn build_time(self, build_time: Timestamp) -> Self {
        Self { build_time, ..self }
    }

    /// With the Joliet tree, or without.
    #[must_use]
    pub fn joliet(self, joliet: bool) -> Self {
        Self { joliet, ..self }
    }

    /// With fractions of seconds cut off, or else refused.
    #[must_use]
    pub fn cut_fractions(self, cut_fractions: bool) -> Self {
        Self { cut_fractions, ..self }
    }

    /// With what cannot be held left out, or else refused.
    #[must_use]
    pub fn lossy(self, lossy: bool) -> Self {
        Self { lossy, ..self }
    }

    /// With so many threads that read files; the image's bytes do not depend on it.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }
}

/// An image that is laid out and can be written; writing fails only on I/O or on a
/// source that changed.
#[derive(Debug)]
pub struct Plan<'t> {
    pub(super) tree: &'t Tree,
    pub(super) order: Order,
    pub(super) options: Options,
    pub(super) time: VolumeTime,
    /// The primary one, then Joliet's.
    pub(super) hierarchies: Vec<Hierarchy<'t>>,
    pub(super) addresses: Addresses,
    pub(super) sectors: u32,
    losses: Vec<Loss>,
}

impl<'t> Plan<'t> {
    /// Lays out `tree`. What ISO 9660 with Rock Ridge cannot hold, or Linux not read
    /// from it, is [`ErrorKind::Unrepresentable`] or [`ErrorKind::Limit`].
    pub fn new(tree: &'t Tree, options: Options) -> Result<Self> {
        let time = volume_time(options.build_time, options.cut_fractions)?;
        let label_bytes = options.volume_id.as_bytes().len();
        if options.joliet && label_bytes > VolumeId::JOLIET_MAX_BYTES {
            let max = VolumeId::JOLIET_MAX_BYTES;
            let message =
                format!("the label is {label_bytes} bytes long, Joliet holds at most {max}");
            return Err(Error::new(ErrorKind::Unrepresentable, message));
        }
        let order = Order::of(tree)?;
        for (id, inode) in order.inodes(tree) {
            check_inode(inode, &options).map_err(|error| error.at_inode(tree, id))?;
        }
        let losses = loss::losses(tree, options.joliet);
        if let Some(loss) = losses.first().filter(|_| !options.lossy) {
            return Err(loss.error().at(loss.path(tree)));
        }
        let alphabets = [Alphabet::Primary, Alphabet::Joliet];
        let alphabets = alphabets.into_iter().take(1 + usize::from(options.joliet));
        let cut_fractions = options.cut_fractions;
        let context = |alphabet| Context { tree, order: &order, alphabet, cut_fractions };
        let hierarchies =
            alphabets.map(|alphabet| hierarchy(context(alphabet))).collect::<Result<Vec<_>>>()?;
        let mut measure = Measure::new(tree, &hierarchies);
        let sectors = emit(tree, &order, &hierarchies, &mut measure)?;
        let addresses = measure.addresses;
        Ok(Self { tree, order, options, time, hierarchies, addresses, sectors, losses })
    }

    /// Size of the image in bytes, a multiple of 4096.
    pub fn size_bytes(&self) -> u64 {
        u64::from(self.sectors) * SECTOR_BYTES as u64
    }

    /// What is left out, in the tree's order; empty unless [lossy](Options::lossy).
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Writes the image front to back and returns its size in bytes.
    pub fn write(&self, sink: &mut dyn Sink) -> Result<u64> {
        let contents = self.order.inodes(self.tree).filter_map(|(_, inode)| inode.kind().content());
        let contents = contents.filter(|content| !content.is_empty());
        with_read_ahead(self.options.threads, contents, |reads| {
            let mut writer = Writer::new(self, sink, reads);
            let sectors = emit(self.tree, &self.order, &self.hierarchies, &mut writer)?;
            if sectors == self.sectors { Ok(self.size_bytes()) } else { Err(inconsistent()) }
        })
    }
}

/// Where things are: sectors by hierarchy and directory, or by inode.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Little and big-endian path table of each hierarchy.
    pub(super) path_tables: Vec<[Option<u32>; 2]>,
    /// Of each hierarchy, by [`InodeId::index`].
    pub(super) directories: Vec<BTreeMap<usize, DirectoryPlace>>,
    /// By [`InodeId::index`]; none but of files with content. No content is at sector 0.
    pub(super) contents: Vec<Option<NonZeroU32>>,
}

/// Where a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectoryPlace {
    pub(super) start: u32,
    /// Of its records.
    pub(super) sectors: u32,
}

impl Addresses {
    pub(super) fn path_table(&self, hierarchy: usize, order: ByteOrder) -> Option<u32> {
        let [little, big] = self.path_tables.get(hierarchy)?;
        match order {
            ByteOrder::Little => *little,
            ByteOrder::Big => *big,
        }
    }

    pub(super) fn directory(&self, hierarchy: usize, id: InodeId) -> Option<DirectoryPlace> {
        self.directories.get(hierarchy)?.get(&id.index()).copied()
    }

    pub(super) fn content(&self, id: InodeId) -> Option<u32> {
        self.contents.get(id.index()).copied().flatten().map(NonZeroU32::get)
    }
}

fn check_inode(inode: &Inode, options: &Options) -> Result<()> {
    if let Kind::File(content) = inode.kind()
        && content.len() > SECTIONS_MAX * SECTION_MAX_BYTES
    {
        let message =
            format!("a file is {} bytes long, Linux reads less than 400 GiB", content.len());
        return Err(Error::new(ErrorKind::Limit, message));
    }
    check_record_time(inode.metadata.mtime, options.cut_fractions)
}

/// Finds all directories from the root down, in the order of the path tables.
fn hierarchy<'t>(context: Context<'t, '_>) -> Result<Hierarchy<'t>> {
    let mut directories = vec![directory(context, Tree::ROOT, 0, Alphabet::ROOT.to_vec())?];
    let mut next = 0;
    while let Some(parent) = directories.get(next) {
        let mut found = Vec::new();
        let listing = &parent.listing;
        for entry in listing.entries().iter().filter(|entry| entry.is_directory) {
            let mut identifier = Vec::new();
            listing.append_identifier(entry, &mut identifier);
            found.push(directory(context, entry.id, next, identifier)?);
        }
        directories.extend(found);
        if directories.len() > DIRECTORIES_MAX {
            let message =
                format!("more than {DIRECTORIES_MAX} directories, ISO 9660 holds no more");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        next += 1;
    }
    let mut fields = Fields::default();
    let mut shape = |directory| walk(context, directory, &mut fields, &mut Nowhere);
    let shapes = directories.iter().map(&mut shape).collect::<Result<Vec<_>>>()?;
    Ok(Hierarchy { alphabet: context.alphabet, directories, shapes })
}

fn directory<'t>(
    context: Context<'t, '_>,
    id: InodeId,
    parent: usize,
    identifier: Vec<u8>,
) -> Result<Directory<'t>> {
    let Context { tree, alphabet, .. } = context;
    let is_held = |kind: &Kind| match alphabet {
        Alphabet::Primary => true,
        Alphabet::Joliet => kind.is_directory() || kind.content().is_some(),
    };
    let entries = tree.inode(id).kind().entries().ok_or_else(inconsistent)?;
    let held = entries.iter().filter(|(_, id)| is_held(tree.inode(**id).kind()));
    let held = held.map(|(name, id)| (name, *id, tree.inode(*id).kind().is_directory()));
    let listing = Listing::new(alphabet, entries.len(), held)?;
    Ok(Directory { id, listing, parent, identifier })
}

/// The target of a walk that only measures.
struct Nowhere;

impl DirectoryTarget for Nowhere {
    fn record(&mut self, _offset_bytes: usize, _record: &Record<'_>) -> Result<()> {
        Ok(())
    }

    fn area(&mut self, _area: Area, _fields: &[u8], _next: Option<Area>) -> Result<()> {
        Ok(())
    }
}

/// The target that notes addresses; none is known before it is emitted.
struct Measure<'h, 't> {
    hierarchies: &'h [Hierarchy<'t>],
    addresses: Addresses,
}

impl<'h, 't> Measure<'h, 't> {
    fn new(tree: &Tree, hierarchies: &'h [Hierarchy<'t>]) -> Self {
        let addresses = Addresses {
            path_tables: vec![[None; 2]; hierarchies.len()],
            directories: vec![BTreeMap::new(); hierarchies.len()],
            contents: vec![None; tree.len()],
        };
        Self { hierarchies, addresses }
    }
}

impl Target for Measure<'_, '_> {
    fn descriptors(&mut self, _start: u32) -> Result<()> {
        Ok(())
    }

    fn path_table(&mut self, hierarchy: usize, order: ByteOrder, start: u32) -> Result<()> {
        let tables = self.addresses.path_tables.get_mut(hierarchy).ok_or_else(inconsistent)?;
        let [little, big] = tables;
        match order {
            ByteOrder::Little => *little = Some(start),
            ByteOrder::Big => *big = Some(start),
        }
        Ok(())
    }

    fn directory(&mut self, hierarchy: usize, directory: usize, start: u32) -> Result<()> {
        let Hierarchy { directories, shapes, .. } =
            self.hierarchies.get(hierarchy).ok_or_else(inconsistent)?;
        let found = directories.get(directory).zip(shapes.get(directory));
        let (Directory { id, .. }, shape) = found.ok_or_else(inconsistent)?;
        let places = self.addresses.directories.get_mut(hierarchy).ok_or_else(inconsistent)?;
        places.insert(id.index(), DirectoryPlace { start, sectors: shape.record_sectors });
        Ok(())
    }

    fn content(&mut self, id: InodeId, start: u32) -> Result<()> {
        let place = self.addresses.contents.get_mut(id.index()).ok_or_else(inconsistent)?;
        *place = Some(NonZeroU32::new(start).ok_or_else(inconsistent)?);
        Ok(())
    }

    fn padding(&mut self, _start: u32, _sectors: u32) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::tree::{Metadata, Name};

    #[test]
    fn labels_are_printable_and_fit() {
        for good in ["", "cidata", "config-2", "a b", &"x".repeat(32)] {
            assert_eq!(VolumeId::new(good.as_bytes()).unwrap().as_bytes(), good.as_bytes());
        }
        for bad in [" a", "a ", "a\0", "a\nb", "\u{e9}", &"x".repeat(33)] {
            let error = VolumeId::new(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unrepresentable, "{bad:?}");
        }
        let volume_id = VolumeId::new(&[b'x'; 17]).unwrap();
        let options = Options { volume_id, joliet: true, ..Options::default() };
        let error = Plan::new(&Tree::new(Metadata::default()), options).unwrap_err();
        assert_eq!(error.to_string(), "the label is 17 bytes long, Joliet holds at most 16");
    }

    #[test]
    fn more_directories_than_the_path_table_numbers_are_refused() {
        let mut tree = Tree::new(Metadata::default());
        for index in 0..DIRECTORIES_MAX {
            let name = Name::new(index.to_string().as_bytes()).unwrap();
            tree.insert_directory(Tree::ROOT, name, Metadata::default()).unwrap();
        }
        let error = Plan::new(&tree, Options::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }
}
