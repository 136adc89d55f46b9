//! The tree of files that every format writes: names as bytes, sorted and
//! checked once, here, so that no writer has to check them again.

mod device;
mod entries;
mod metadata;
mod mode;
mod name;
mod timestamp;
mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::chunked::Chunked;
use crate::content::Content;
use crate::error::{Error, ErrorKind, Result};
pub use device::Device;
pub use entries::{Entries, Iter};
pub use metadata::{Metadata, Xattrs};
pub use mode::Mode;
pub use name::{NAME_MAX_BYTES, Name};
pub use timestamp::Timestamp;
use walk::Walk;
pub(crate) use walk::{Order, Visit};

/// Longest symbolic link target in bytes (`PATH_MAX` of Linux less its NUL).
pub const SYMLINK_MAX_BYTES: usize = 4095;
/// Deepest nesting of directories that a path can reach (`PATH_MAX` of Linux). A tree takes deeper
/// ones, which a guest reaches from one directory to the next only.
pub const DEPTH_MAX: usize = 2048;

/// An inode of one [`Tree`], which alone takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InodeId {
    index: u32,
    /// Which tree gave it out; 0 for a root, which every tree has.
    tree: u32,
}

impl InodeId {
    /// Place in the order of insertion, from 0, the root, on: for tables beside the tree.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// What an inode is.
#[derive(Debug)]
pub enum Kind {
    /// A directory; a new one has no [`Entries`].
    Directory(Entries),
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

impl Kind {
    /// A directory that holds nothing yet.
    pub fn directory() -> Self {
        Self::Directory(Entries::default())
    }

    /// A regular file that holds these bytes or this [`Content`].
    pub fn file(content: impl Into<Content>) -> Self {
        Self::File(content.into())
    }

    /// A symbolic link to `target`.
    pub fn symlink(target: impl AsRef<[u8]>) -> Self {
        Self::Symlink(target.as_ref().into())
    }

    /// The content of a regular file; none of anything else.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::File(content) => Some(content),
            Self::Directory(_)
            | Self::Symlink(_)
            | Self::CharDevice(_)
            | Self::BlockDevice(_)
            | Self::Fifo
            | Self::Socket => None,
        }
    }

    /// What a directory holds; none of anything else.
    pub fn entries(&self) -> Option<&Entries> {
        match self {
            Self::Directory(entries) => Some(entries),
            Self::File(_)
            | Self::Symlink(_)
            | Self::CharDevice(_)
            | Self::BlockDevice(_)
            | Self::Fifo
            | Self::Socket => None,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.entries().is_some()
    }

    /// Refuses a link target that Linux does not take.
    fn check(&self) -> Result<()> {
        match self {
            Self::Symlink(target) => check_symlink(target),
            Self::Directory(_)
            | Self::File(_)
            | Self::CharDevice(_)
            | Self::BlockDevice(_)
            | Self::Fifo
            | Self::Socket => Ok(()),
        }
    }
}

/// One inode of a tree.
#[derive(Debug)]
pub struct Inode {
    /// Mode, owner, time, extended attributes. Nearly all inodes of a tree have the same ones,
    /// which they share.
    pub metadata: Arc<Metadata>,
    kind: Kind,
    /// Directory and name of the first path; the root has no name.
    parent: InodeId,
    name: Option<Name>,
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

    /// The directory that holds this inode by the first of its paths; the root is its own
    /// parent.
    pub fn parent(&self) -> InodeId {
        self.parent
    }

    fn has_first_path(&self, (directory, name): (InodeId, &Name)) -> bool {
        self.parent == directory && self.name.as_ref() == Some(name)
    }
}

/// A file tree with one root directory.
///
/// ```
/// use credimg_formats::{Content, Kind, Metadata, Mode, Secret, Tree};
///
/// let directory = Metadata { mode: Mode::of::<0o500>(), ..Metadata::default() };
/// let file = Metadata { mode: Mode::of::<0o400>(), ..Metadata::default() };
/// let mut tree = Tree::new(directory.clone());
/// let key = Kind::File(Content::Memory(Secret::from(b"a key".as_slice())));
/// let id = tree.insert_at("etc/ssh/key", file, key, &directory)?;
/// assert_eq!(tree.find("/etc/ssh/key"), Some(id));
/// # Ok::<(), credimg_formats::Error>(())
/// ```
#[derive(Debug)]
pub struct Tree {
    inodes: Chunked<Inode>,
    /// What the inode has that was inserted last: the next one will be given the same.
    latest: Arc<Metadata>,
    /// Tells its ids from those of other trees. It is compared only: no byte of an image
    /// depends on it.
    number: u32,
}

impl Tree {
    /// The root directory's id, the same of every tree.
    pub const ROOT: InodeId = InodeId { index: 0, tree: 0 };

    /// A tree that holds only its root directory. What is wrong with `root` says the plan of
    /// an image.
    pub fn new(root: Metadata) -> Self {
        static TREES: AtomicU32 = AtomicU32::new(0);
        let number = TREES.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let kind = Kind::directory();
        let latest = Arc::new(root);
        let metadata = Arc::clone(&latest);
        let root = Inode { metadata, kind, parent: Self::ROOT, name: None, links: 2 };
        Self { inodes: Chunked::from_iter([root]), latest, number }
    }

    /// Adds an inode as entry `name` of directory `parent`. A taken name is a
    /// [`ErrorKind::Conflict`], and so is a parent that is no directory of this tree;
    /// metadata out of its range and a bad link target are [`ErrorKind::Unrepresentable`].
    pub fn insert(
        &mut self,
        parent: InodeId,
        name: Name,
        metadata: Metadata,
        kind: Kind,
    ) -> Result<InodeId> {
        metadata.check()?;
        kind.check()?;
        let index = u32::try_from(self.inodes.len()).ok().filter(|index| *index < u32::MAX);
        let index = index.ok_or_else(|| Error::new(ErrorKind::Limit, "more than 2^32 inodes"))?;
        let id = InodeId { index, tree: self.number };
        let is_directory = kind.is_directory();
        let (entries, links) = self.directory_mut(parent)?;
        entries.add(name.clone(), id)?;
        *links += u32::from(is_directory);
        let links = if is_directory { 2 } else { 1 };
        if metadata != *self.latest {
            self.latest = Arc::new(metadata);
        }
        let metadata = Arc::clone(&self.latest);
        self.inodes.push(Inode { metadata, kind, parent, name: Some(name), links });
        Ok(id)
    }

    /// Adds an empty directory.
    pub fn insert_directory(
        &mut self,
        parent: InodeId,
        name: Name,
        metadata: Metadata,
    ) -> Result<InodeId> {
        self.insert(parent, name, metadata, Kind::directory())
    }

    /// Adds an inode at `path`, such as `etc/ssh/key`, with or without a slash before it.
    /// Directories that are missing above it are made with the metadata `parents`. After an
    /// error, which is one of [`Tree::insert`] or of [`Name::new`], the tree is as it was.
    pub fn insert_at(
        &mut self,
        path: impl AsRef<[u8]>,
        metadata: Metadata,
        kind: Kind,
        parents: &Metadata,
    ) -> Result<InodeId> {
        let path = path.as_ref();
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let insert = || {
            let names = path.split(|byte| *byte == b'/').map(Name::new);
            let names = names.collect::<Result<Vec<_>>>()?;
            // Before a directory is made for nothing.
            [&metadata, parents].into_iter().try_for_each(Metadata::check)?;
            kind.check()?;
            let mut names = names.into_iter().peekable();
            let mut parent = Self::ROOT;
            while let Some(name) = names.next() {
                if names.peek().is_none() {
                    return self.insert(parent, name, metadata, kind);
                }
                parent = match self.child(parent, name.as_bytes()) {
                    Some(existing) => existing,
                    None => self.insert_directory(parent, name, parents.clone())?,
                };
            }
            Err(conflict("the path is taken already"))
        };
        insert().map_err(|error| error.at([b"/", path].concat()))
    }

    /// Adds `name` in `parent` as a further hard link to `target`, which is no directory. A
    /// directory or an inode of another tree is a [`ErrorKind::Conflict`].
    pub fn link(&mut self, parent: InodeId, name: Name, target: InodeId) -> Result<()> {
        match self.get(target).map(Inode::kind) {
            None => return Err(foreign()),
            Some(Kind::Directory(_)) => return Err(conflict("a hard link to a directory")),
            Some(_) => {}
        }
        let (entries, _) = self.directory_mut(parent)?;
        entries.add(name.clone(), target)?;
        let is_first = self.is_before(parent, &name, target);
        if let Some(inode) = self.get_mut(target) {
            inode.links += 1;
            if is_first {
                (inode.parent, inode.name) = (parent, Some(name));
            }
        }
        Ok(())
    }

    /// The entry `name` of directory `parent`; none where it is no directory.
    pub fn child(&self, parent: InodeId, name: &[u8]) -> Option<InodeId> {
        self.get(parent)?.kind().entries()?.get(name)
    }

    /// What stands at `path`, such as `etc/ssh/key`, with or without a slash before it; the
    /// empty path is the root's.
    pub fn find(&self, path: impl AsRef<[u8]>) -> Option<InodeId> {
        let path = path.as_ref();
        let path = path.strip_prefix(b"/").unwrap_or(path);
        if path.is_empty() {
            return Some(Self::ROOT);
        }
        let mut names = path.split(|byte| *byte == b'/');
        names.try_fold(Self::ROOT, |parent, name| self.child(parent, name))
    }

    /// The inode; none for one of another tree.
    pub fn get(&self, id: InodeId) -> Option<&Inode> {
        self.inodes.get(id.index()).filter(|_| self.is_own(id))
    }

    /// What an inode has besides its kind, to be changed; none for one of another tree.
    pub fn metadata_mut(&mut self, id: InodeId) -> Option<&mut Metadata> {
        self.get_mut(id).map(|inode| Arc::make_mut(&mut inode.metadata))
    }

    /// The inode of this [`InodeId::index`].
    pub(crate) fn id_at(&self, index: u64) -> Option<InodeId> {
        let index = u32::try_from(index).ok()?;
        let id = match index {
            0 => Self::ROOT,
            _ => InodeId { index, tree: self.number },
        };
        self.get(id).map(|_| id)
    }

    /// The inode of an id that this tree holds.
    #[expect(clippy::indexing_slicing, reason = "ids in a tree are its own, and it never shrinks")]
    pub(crate) fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.index()]
    }

    /// All inodes in path order: the root, and behind each directory what it holds, bytewise
    /// by name. Each comes once, at the first of its paths.
    pub fn inodes(&self) -> impl Iterator<Item = (InodeId, &Inode)> {
        self.walk().filter(|visit| visit.is_first).map(|visit| (visit.id, visit.inode))
    }

    /// All inodes, each once, where it does not matter in which order.
    pub(crate) fn in_any_order(&self) -> impl Iterator<Item = &Inode> {
        self.inodes.iter()
    }

    /// All paths in path order.
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk::new(self)
    }

    /// How many inodes there are, the root counted: at least 1.
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    /// Never: a tree has its root.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The first of the inode's paths in path order, with a leading slash, for messages;
    /// empty for an inode of another tree.
    pub fn path_of(&self, id: InodeId) -> Vec<u8> {
        if self.get(id).is_none() {
            return Vec::new();
        }
        let names = self.names(id);
        if names.is_empty() {
            return b"/".to_vec();
        }
        names.iter().flat_map(|name| [b"/", name.as_bytes()].concat()).collect()
    }

    /// The names on the first path of one of this tree's inodes, from the root down.
    fn names(&self, id: InodeId) -> Vec<&Name> {
        let mut names = Vec::new();
        let mut inode = self.inode(id);
        while let Some(name) = &inode.name {
            names.push(name);
            inode = self.inode(inode.parent);
        }
        names.reverse();
        names
    }

    /// Whether `name` in `directory` stands before the first path of `id` so far.
    fn is_before(&self, directory: InodeId, name: &Name, id: InodeId) -> bool {
        let inode = self.inode(id);
        if inode.parent == directory {
            return Some(name) < inode.name.as_ref();
        }
        let mut names = self.names(directory);
        names.push(name);
        names < self.names(id)
    }

    /// Whether this tree gave the id out, or it is a root's.
    fn is_own(&self, id: InodeId) -> bool {
        id.tree == self.number || id == Self::ROOT
    }

    fn get_mut(&mut self, id: InodeId) -> Option<&mut Inode> {
        let is_own = self.is_own(id);
        self.inodes.get_mut(id.index()).filter(|_| is_own)
    }

    /// Entries and link count of a directory.
    fn directory_mut(&mut self, id: InodeId) -> Result<(&mut Entries, &mut u32)> {
        match self.get_mut(id) {
            Some(Inode { kind: Kind::Directory(entries), links, .. }) => Ok((entries, links)),
            Some(_) => Err(conflict("the parent is not a directory")),
            None => Err(foreign()),
        }
    }
}

fn foreign() -> Error {
    conflict("the inode is of another tree")
}

fn conflict(message: &str) -> Error {
    Error::new(ErrorKind::Conflict, message)
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
