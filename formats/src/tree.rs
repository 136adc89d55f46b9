//! The tree of files that every format writes: names as bytes, sorted and
//! checked once, here, so that no writer has to check them again.

use std::collections::{BTreeMap, btree_map::Entry};
use std::fmt;

use crate::content::{Content, Secret};
use crate::error::{Error, ErrorKind, Result};

/// Longest file name in bytes (`NAME_MAX` of Linux).
pub const NAME_MAX_BYTES: usize = 255;
/// Longest symbolic link target in bytes (`PATH_MAX` of Linux less its NUL).
pub const SYMLINK_MAX_BYTES: usize = 4095;
/// Deepest directory nesting: as deep as `PATH_MAX` lets a path reach.
pub const DEPTH_MAX: usize = 2048;

/// One component of a path: 1 to 255 bytes, no slash, no NUL, neither `.` nor `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Checks `bytes` and takes them as a name; [`ErrorKind::Unrepresentable`] says what is wrong.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let fault = if bytes.is_empty() {
            "a name is empty".to_owned()
        } else if bytes == b"." || bytes == b".." {
            "`.` and `..` are not allowed as names".to_owned()
        } else if bytes.contains(&0) {
            "a name holds a NUL byte".to_owned()
        } else if bytes.contains(&b'/') {
            "a name holds a slash".to_owned()
        } else if bytes.len() > NAME_MAX_BYTES {
            format!("a name is {} bytes long, at most {NAME_MAX_BYTES} are possible", bytes.len())
        } else {
            return Ok(Self(bytes.into()));
        };
        Err(Error::new(ErrorKind::Unrepresentable, fault))
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::borrow::Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// A point in time: seconds since 1970-01-01 00:00:00 UTC, negative before, and nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds since the epoch.
    pub seconds: i64,
    /// 0 to 999,999,999, always counted forward.
    pub nanoseconds: u32,
}

/// Extended attributes: full names (`security.selinux`) and values.
pub type Xattrs = BTreeMap<Box<[u8]>, Secret>;

/// What an inode has besides its kind.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// Permission bits, set-id and sticky bits: 0 to 0o7777.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

/// Index of an inode in its [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(u32);

impl InodeId {
    /// Position in [`Tree::inodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// A number from 1 on, for formats whose inodes carry one.
    pub fn number(self) -> u32 {
        self.0 + 1
    }
}

/// A device number as Linux packs it into 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    major: u32,
    minor: u32,
}

impl Device {
    /// Largest major number: 12 bits.
    pub const MAJOR_MAX: u32 = 0xfff;
    /// Largest minor number: 20 bits.
    pub const MINOR_MAX: u32 = 0xf_ffff;

    /// Checks the two numbers; [`ErrorKind::Unrepresentable`] says which is too large.
    pub fn new(major: u32, minor: u32) -> Result<Self> {
        let fault = if major > Self::MAJOR_MAX {
            format!("major number {major} is out of range: at most {}", Self::MAJOR_MAX)
        } else if minor > Self::MINOR_MAX {
            format!("minor number {minor} is out of range: at most {}", Self::MINOR_MAX)
        } else {
            return Ok(Self { major, minor });
        };
        Err(Error::new(ErrorKind::Unrepresentable, fault))
    }

    /// Major number: 0 to 4095.
    pub fn major(self) -> u32 {
        self.major
    }

    /// Minor number: 0 to 1,048,575.
    pub fn minor(self) -> u32 {
        self.minor
    }

    /// The number as file systems store it (`new_encode_dev` of Linux): the
    /// major number stands between the low 8 and the high 12 bits of the minor one.
    pub(crate) fn encode(self) -> u32 {
        let low = self.minor & 0xff;
        (self.minor - low) << 12 | self.major << 8 | low
    }
}

/// What an inode is.
#[derive(Debug)]
pub enum Kind {
    /// A directory and its entries, sorted bytewise.
    Directory(BTreeMap<Name, InodeId>),
    /// A regular file.
    File(Content),
    /// A symbolic link: 1 to 4095 bytes without NUL.
    Symlink(Box<[u8]>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// One inode of a tree.
#[derive(Debug)]
pub struct Inode {
    /// Mode, owner, time, extended attributes.
    pub metadata: Metadata,
    kind: Kind,
    parent: InodeId,
    links: u32,
}

impl Inode {
    /// What the inode is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Link count as `stat` shows it: for a directory 2 and one for each subdirectory.
    pub fn links(&self) -> u32 {
        self.links
    }

    /// The directory that holds this inode's first entry; the root is its own parent.
    pub fn parent(&self) -> InodeId {
        self.parent
    }
}

/// A file tree with one root directory.
#[derive(Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
}

impl Tree {
    /// The root directory's id.
    pub const ROOT: InodeId = InodeId(0);

    /// A tree that holds only its root directory.
    pub fn new(root: Metadata) -> Self {
        let kind = Kind::Directory(BTreeMap::new());
        Self { inodes: vec![Inode { metadata: root, kind, parent: Self::ROOT, links: 2 }] }
    }

    /// Adds an inode as entry `name` of directory `parent`. A taken name is a
    /// [`ErrorKind::Conflict`], a bad link target [`ErrorKind::Unrepresentable`].
    pub fn insert(
        &mut self,
        parent: InodeId,
        name: Name,
        metadata: Metadata,
        kind: Kind,
    ) -> Result<InodeId> {
        if let Kind::Symlink(target) = &kind {
            check_symlink(target)?;
        }
        let id = u32::try_from(self.inodes.len())
            .ok()
            .filter(|id| *id < u32::MAX)
            .map(InodeId)
            .ok_or_else(|| Error::new(ErrorKind::Limit, "more than 2^32 inodes"))?;
        let is_directory = matches!(kind, Kind::Directory(_));
        self.add_entry(parent, name, id)?;
        if is_directory {
            self.inode_mut(parent).links += 1;
        }
        let links = if is_directory { 2 } else { 1 };
        self.inodes.push(Inode { metadata, kind, parent, links });
        Ok(id)
    }

    /// Adds an empty directory.
    pub fn insert_directory(
        &mut self,
        parent: InodeId,
        name: Name,
        metadata: Metadata,
    ) -> Result<InodeId> {
        self.insert(parent, name, metadata, Kind::Directory(BTreeMap::new()))
    }

    /// Adds `name` in `parent` as a further hard link to `target`, which is no directory.
    pub fn link(&mut self, parent: InodeId, name: Name, target: InodeId) -> Result<()> {
        if matches!(self.inode(target).kind, Kind::Directory(_)) {
            return Err(Error::new(ErrorKind::Conflict, "a hard link to a directory"));
        }
        self.add_entry(parent, name, target)?;
        self.inode_mut(target).links += 1;
        Ok(())
    }

    /// The entry `name` of directory `parent`; none where it is no directory.
    pub fn child(&self, parent: InodeId, name: &[u8]) -> Option<InodeId> {
        match &self.inode(parent).kind {
            Kind::Directory(entries) => entries.get(name).copied(),
            _ => None,
        }
    }

    /// The inode of an id that this tree gave out.
    #[expect(clippy::indexing_slicing, reason = "ids come from this tree, which never shrinks")]
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.index()]
    }

    /// The inode of an id that this tree gave out, to change its metadata.
    #[expect(clippy::indexing_slicing, reason = "ids come from this tree, which never shrinks")]
    pub fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.index()]
    }

    /// All inodes in the order in which they were added, the root first.
    pub fn inodes(&self) -> impl Iterator<Item = (InodeId, &Inode)> {
        (0..).map(InodeId).zip(&self.inodes)
    }

    /// How many inodes there are, the root counted: at least 1.
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    /// Never: a tree has its root.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The path of the inode's first entry, with a leading slash, for messages.
    pub fn path_of(&self, id: InodeId) -> Vec<u8> {
        let mut components = Vec::new();
        let mut current = id;
        while current != Self::ROOT {
            let parent = self.inode(current).parent;
            if let Kind::Directory(entries) = &self.inode(parent).kind {
                components
                    .extend(entries.iter().find(|(_, child)| **child == current).map(|e| e.0));
            }
            current = parent;
        }
        if components.is_empty() {
            return b"/".to_vec();
        }
        components
            .iter()
            .rev()
            .flat_map(|name| [b"/".as_slice(), name.as_bytes()].concat())
            .collect()
    }

    fn add_entry(&mut self, parent: InodeId, name: Name, id: InodeId) -> Result<()> {
        match &mut self.inode_mut(parent).kind {
            Kind::Directory(entries) => {
                let Entry::Vacant(free) = entries.entry(name) else {
                    return Err(Error::new(ErrorKind::Conflict, "the path is taken already"));
                };
                free.insert(id);
                Ok(())
            }
            _ => Err(Error::new(ErrorKind::Conflict, "the parent is not a directory")),
        }
    }
}

fn check_symlink(target: &[u8]) -> Result<()> {
    let fault = if target.is_empty() {
        "a symbolic link has an empty target".to_owned()
    } else if target.contains(&0) {
        "a symbolic link's target holds a NUL byte".to_owned()
    } else if target.len() > SYMLINK_MAX_BYTES {
        format!(
            "a symbolic link's target is {} bytes long, at most {SYMLINK_MAX_BYTES} are possible",
            target.len()
        )
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Unrepresentable, fault))
}
