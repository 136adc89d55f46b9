//! Reads images of all formats in place: one trait over the readers, and what is built on it.
//!
//! ```
//! use credimg_formats::read::{self, Limits};
//! # use credimg_formats::{Kind, Metadata, Tree, erofs};
//! # let mut tree = Tree::new(Metadata::default());
//! # tree.insert_at("/token", Metadata::default(), Kind::file("hunter2"), &Metadata::default())?;
//! # let mut image = Vec::new();
//! # erofs::Plan::new(&tree, erofs::Options::new())?.write(&mut image)?;
//!
//! let limits = Limits::for_image(image.len() as u64);
//! let reader = read::open(Box::new(image), limits)?;
//! let token = reader.lookup(reader.root(), b"token")?.expect("it is there");
//! let mut content = [0; 7];
//! assert_eq!(reader.read_at(token, 0, &mut content)?, 7);
//! assert_eq!(&content, b"hunter2");
//! # Ok::<(), credimg_formats::Error>(())
//! ```
//!
//! Nothing that an image says is trusted. What is not valid is [`ErrorKind::Corrupt`], what
//! another tool wrote and this crate does not read is [`ErrorKind::Unsupported`] and names the
//! feature, what goes beyond the [`Limits`] is [`ErrorKind::Limit`] or, for work,
//! [`ErrorKind::Cost`], and a failing read is [`ErrorKind::Source`].
//!
//! [`ErrorKind::Corrupt`]: crate::ErrorKind::Corrupt
//! [`ErrorKind::Unsupported`]: crate::ErrorKind::Unsupported
//! [`ErrorKind::Limit`]: crate::ErrorKind::Limit
//! [`ErrorKind::Cost`]: crate::ErrorKind::Cost
//! [`ErrorKind::Source`]: crate::ErrorKind::Source

mod account;
mod diff;
#[cfg(any(feature = "erofs", feature = "luks", feature = "squashfs"))]
mod dump;
#[cfg(feature = "luks")]
pub(crate) mod fields;
mod hash_tree;
mod into_tree;
mod limits;
mod links;
pub(crate) mod names;
#[cfg(feature = "luks")]
mod place;
mod regions;
mod same;
mod storage;
mod sweep;
mod tree_reader;
mod verify;
#[cfg(feature = "luks")]
mod volume;
mod walk;

use std::ops::ControlFlow;

pub use account::{Account, Field, Problem, Region, RegionKind};
pub use diff::{Aspect, Change, Comparison, Difference, Side, diff};
#[cfg(feature = "luks")]
pub use dump::dump_volume;
#[cfg(any(feature = "erofs", feature = "luks", feature = "squashfs"))]
pub use dump::{Digests, dump};
pub use into_tree::into_tree;
pub use limits::{Limits, Meter};
#[cfg(feature = "luks")]
pub(crate) use place::start;
pub use regions::Problems;
pub use storage::{Seekable, Storage};
pub use tree_reader::TreeReader;
pub use verify::{Report, verify};
#[cfg(feature = "luks")]
pub use volume::verify_volume;
pub use walk::{Order, Step, Walk};

use crate::content::Sink;
use crate::error::Result;
use crate::image::Format;
#[cfg(all(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs"))]
use crate::probe::{Probe, probe};
use crate::tree::{Device, Mode, Timestamp, Xattrs};
#[cfg(all(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs"))]
use crate::{erofs, iso9660, squashfs};

/// An inode of one image, which alone takes it: the nid of EROFS, the inode reference of
/// SquashFS, the byte at which the directory record of ISO 9660 stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeRef(pub u64);

/// What an inode is, as a reader finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// What an inode says of itself, but for its extended attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits, set-id and sticky bits.
    pub mode: Mode,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Link count as it is stored; 1 where the format stores none.
    pub links: u32,
    /// Length of a file's content or of a link's target; of a directory what the image says.
    pub size_bytes: u64,
    /// One number for all paths of an inode, and for no other inode of the image. It need not
    /// be the number that is stored: hard links are told by it.
    pub number: u64,
}

/// An entry of a directory. `.` and `..` are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name: 1 to 255 bytes, neither `.` nor `..`, without NUL and `/`.
    pub name: &'a [u8],
    /// What it names.
    pub inode: InodeRef,
}

/// A stretch of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins in the file.
    pub file_offset_bytes: u64,
    /// How much of the file it is.
    pub length_bytes: u64,
    /// Where it begins in the image; none for a hole.
    pub image_offset_bytes: Option<u64>,
    /// How much of the image it takes: less than its length where it is compressed.
    pub stored_bytes: u64,
}

/// What an image says of itself as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The format.
    pub format: Format,
    /// Volume label without its padding; empty where there is none.
    pub label: Vec<u8>,
    /// Volume UUID as blkid shows it; none where there is none.
    pub uuid: Option<String>,
    /// The image's own time; none where it is not given.
    pub build_time: Option<Timestamp>,
    /// Size of a block in bytes.
    pub block_bytes: u32,
    /// How much of the storage the image says that it takes.
    pub used_bytes: u64,
    /// How many inodes it says that there are; none where the format does not say it.
    pub inodes: Option<u64>,
    /// Name of the compressor, such as `zstd`; none where nothing is compressed.
    pub compression: Option<&'static str>,
    /// Features in use, by the names of the format's own tools, such as `sb_csum`,
    /// `fragments`, `rock-ridge`.
    pub features: Vec<String>,
}

impl Facts {
    /// Facts of an image of which nothing but its format is known.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            label: Vec::new(),
            uuid: None,
            build_time: None,
            block_bytes: 0,
            used_bytes: 0,
            inodes: None,
            compression: None,
            features: Vec::new(),
        }
    }
}

/// An image that is read in place. It is blind to what reads it: nothing is printed, no path of
/// the host is known, and what one call costs is bounded by the image's [`Limits`].
pub trait Reader: Send + Sync {
    /// What the image says of itself.
    fn facts(&self) -> &Facts;

    /// The root directory.
    fn root(&self) -> InodeRef;

    /// What an inode says of itself.
    fn stat(&self, inode: InodeRef) -> Result<Stat>;

    /// Extended attributes with their full names.
    fn xattrs(&self, inode: InodeRef) -> Result<Xattrs>;

    /// Target of a symbolic link: 1 to 4095 bytes.
    fn target(&self, symlink: InodeRef) -> Result<Box<[u8]>>;

    /// Gives the entries of a directory to `each` in the order of the image, without `.` and
    /// `..`, until it breaks. Nothing of the directory is kept. Each name has been through
    /// `names::check`.
    fn entries(
        &self,
        directory: InodeRef,
        each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()>;

    /// What `name` is in a directory; none where there is no such entry.
    fn lookup(&self, directory: InodeRef, name: &[u8]) -> Result<Option<InodeRef>> {
        let mut found = None;
        self.entries(directory, &mut |entry| {
            if entry.name != name {
                return Ok(ControlFlow::Continue(()));
            }
            found = Some(entry.inode);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Reads a file's content from `offset_bytes` on and returns how much it was: all that
    /// `buffer` takes unless the file ends.
    fn read_at(&self, file: InodeRef, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Streams a file's whole content; holes come as [`Sink::write_zeros`]. What `sink`
    /// refuses is [`ErrorKind::Io`](crate::ErrorKind::Io).
    fn stream(&self, file: InodeRef, sink: &mut dyn Sink) -> Result<()>;

    /// Where a file's content lies, from its start on.
    fn extents(&self, file: InodeRef, each: &mut dyn FnMut(Extent) -> Result<()>) -> Result<()>;

    /// Goes through the whole image and tells each record, content and padding that it finds,
    /// and what is wrong with them. An error is what ends that: a failing read, a limit, or a
    /// fault behind which nothing can be found.
    fn account(&self, account: &mut dyn Account) -> Result<()>;
}

/// Opens the file system in `storage`, whatever its format. A format that is not read here is an
/// error, and so is an encrypted volume, which [`crate::luks::Header`] opens.
#[cfg(all(feature = "erofs", feature = "iso9660", feature = "luks", feature = "squashfs"))]
pub fn open(storage: Box<dyn Storage>, limits: Limits) -> Result<Box<dyn Reader>> {
    let found = probe(&mut start(&*storage))?;
    Ok(match found {
        Probe::Erofs { .. } => Box::new(erofs::Reader::open(storage, limits)?),
        Probe::Squashfs {} => Box::new(squashfs::Reader::open(storage, limits)?),
        Probe::Iso9660 { .. } => Box::new(iso9660::Reader::open(storage, limits)?),
        Probe::Luks { .. } => return Err(storage::encrypted()),
    })
}
