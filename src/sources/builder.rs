//! The tree as it grows: gives every file and directory the attributes that
//! the manifest wants, makes missing parents, and finds entries that collide.

mod attributes;
pub(crate) mod budget;
mod collision;
mod inputs;
mod labels;
mod own_files;

use std::path::PathBuf;

use credimg_formats::xattrs::Holder;
use credimg_formats::{
    Content, Inode, InodeId, Kind, Metadata, Mode, Name, Timestamp, Tree, Xattrs, tree::DEPTH_MAX,
};

use self::budget::Budget;
use super::pseudo::Definitions;
use crate::host::signals;
use crate::host::trust::{Census, Exchangeable};
use crate::manifest::{Attributes, Entry, Manifest};
use crate::report::{Exit, Failure};
use crate::sources::assemble::{self, Settings};
pub(crate) use attributes::Own;
pub use own_files::OwnFiles;

/// Small files are kept in memory while all of them together stay below this.
const MEMORY_MAX_BYTES: u64 = 8 << 20;
/// A file larger than this is always streamed.
const FILE_IN_MEMORY_MAX_BYTES: u64 = 1 << 20;
/// How many inodes are made between two reports of progress.
const STEP_INODES: usize = 1024;

/// How far an assembly has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// 0-based index of the manifest's entry at hand; credentials and then
    /// pseudo definitions follow the entries.
    pub entry: usize,
    /// How many entries, credentials and definitions there are.
    pub entries: usize,
    /// How many files, directories and links the tree holds already.
    pub inodes: usize,
    /// Whether it waits until a file that was changed just now is at rest.
    pub is_waiting: bool,
}

/// Who made an inode, and how deep it lies.
struct Made {
    /// Index of the manifest's entry, or behind those of the pseudo definition;
    /// none for the root of a new tree.
    entry: Option<usize>,
    /// A directory that was only needed on the way to something else.
    is_implied: bool,
    /// Components of its path.
    depth: usize,
}

/// The tree as it grows, and the entry of the manifest or the pseudo definition
/// that adds to it now.
pub(crate) struct TreeBuilder<'a> {
    pub(super) manifest: &'a Manifest,
    definitions: &'a Definitions,
    build_time: Timestamp,
    output: OwnFiles,
    progress: &'a mut dyn FnMut(Step),
    /// Where the inputs are noted, if anybody wants to know.
    inputs: Option<&'a mut Vec<PathBuf>>,
    /// What another user can exchange, where that counts.
    exchangeable: Option<Exchangeable>,
    tree: Tree,
    /// One for each inode of `tree`.
    made: Vec<Made>,
    /// Index, path and attributes of the manifest's entry at hand. A pseudo
    /// definition has an index only.
    current: usize,
    path: &'a [Name],
    attributes: &'a Attributes,
    memory_left_bytes: u64,
    budget: Budget,
}

impl<'a> TreeBuilder<'a> {
    /// A tree with nothing but its root.
    pub(crate) fn new(
        manifest: &'a Manifest,
        definitions: &'a Definitions,
        settings: &Settings,
        progress: &'a mut dyn FnMut(Step),
    ) -> Self {
        let mut builder = Self {
            manifest,
            definitions,
            build_time: settings.build_time,
            output: settings.output.clone(),
            progress,
            inputs: None,
            exchangeable: match settings.exchangeable {
                assemble::Exchangeable::Taken => None,
                assemble::Exchangeable::Told | assemble::Exchangeable::Refused => {
                    Census::of_privileged().map(Exchangeable::new)
                }
            },
            tree: Tree::new(Metadata::default()),
            made: vec![Made { entry: None, is_implied: true, depth: 0 }],
            current: 0,
            path: &[],
            attributes: &manifest.parents,
            memory_left_bytes: MEMORY_MAX_BYTES,
            budget: Budget::new(settings.max_size_bytes),
        };
        builder.dress(Tree::ROOT, None, manifest.parents.xattrs.clone());
        builder.mark(Tree::ROOT, true);
        builder
    }

    /// What follows belongs to `entry`, the manifest's entry `index`.
    pub(crate) fn begin(&mut self, index: usize, entry: &'a Entry) {
        self.current = index;
        self.path = &entry.path.0;
        self.attributes = &entry.attributes;
        self.report();
    }

    /// What follows belongs to the manifest's value `index`: a credential, or behind
    /// those an item of `fw_cfg`.
    pub(crate) fn begin_value(&mut self, index: usize, entry: &'a Entry) {
        self.begin(self.manifest.entries.len() + index, entry);
    }

    /// What follows belongs to the pseudo definition `index`.
    pub(crate) fn begin_definition(&mut self, index: usize) {
        self.current = self.listed() + index;
        self.report();
    }

    /// The finished tree.
    pub(crate) fn finish(self) -> Tree {
        self.tree
    }

    /// Whether a file of this length is to be read into memory now; if so, it is counted.
    pub(crate) fn fits_in_memory(&mut self, length_bytes: u64) -> bool {
        if length_bytes > FILE_IN_MEMORY_MAX_BYTES {
            return false;
        }
        let left = self.memory_left_bytes.checked_sub(length_bytes);
        // The first file that does not fit ends it: from then on directories
        // need not open a file to learn its length.
        self.memory_left_bytes = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether nothing more than empty files fits in memory.
    pub(crate) fn memory_is_full(&self) -> bool {
        self.memory_left_bytes == 0
    }

    /// Counts content that has no other place than memory.
    pub(crate) fn count_in_memory(&mut self, length_bytes: usize) -> Result<(), Failure> {
        self.memory_left_bytes = self.memory_left_bytes.saturating_sub(length_bytes as u64);
        self.budget.count_memory(length_bytes as u64)
    }

    /// Counts a member of an archive, of which so many bytes of names and attributes are kept.
    pub(crate) fn count_member(&mut self, said_bytes: usize) -> Result<(), Failure> {
        self.budget.count_member(said_bytes)
    }

    /// The regular file of the entry at hand.
    pub(crate) fn top_file(&mut self, own: Option<Own>, content: Content) -> Result<(), Failure> {
        let (parent, name) = self.top()?;
        let xattrs = self.attributes.xattrs.clone();
        self.file(parent, &name, own, xattrs, content).map(drop)
    }

    /// The file of the credential at hand. A directory that is missing above it
    /// gets the credential's attributes, not the manifest's: it is as closed as the file.
    pub(crate) fn credential_file(&mut self, content: Content) -> Result<(), Failure> {
        let mut parent = Tree::ROOT;
        let mut names = self.path.iter().peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                return self.file(parent, name, None, Xattrs::new(), content).map(drop);
            }
            parent = self.implied_directory(parent, name)?;
        }
        Err(Failure::new(Exit::Manifest, "a credential cannot be the root directory"))
    }

    /// The symbolic link of the entry at hand.
    pub(crate) fn top_symlink(&mut self, target: &[u8]) -> Result<(), Failure> {
        let (parent, name) = self.top()?;
        let xattrs = self.attributes.xattrs.clone();
        self.symlink(parent, &name, None, xattrs, target).map(drop)
    }

    /// The directory of the entry at hand, which may exist already. The
    /// manifest's extended attributes win over `xattrs`.
    pub(crate) fn top_directory(
        &mut self,
        own: Option<Own>,
        mut xattrs: Xattrs,
    ) -> Result<InodeId, Failure> {
        xattrs.extend(self.attributes.xattrs.clone());
        if self.path.is_empty() {
            self.dress(Tree::ROOT, own, xattrs);
            return Ok(Tree::ROOT);
        }
        let (parent, name) = self.top()?;
        self.directory(parent, &name, own, xattrs)
    }

    /// Adds a regular file.
    pub(crate) fn file(
        &mut self,
        parent: InodeId,
        name: &Name,
        own: Option<Own>,
        xattrs: Xattrs,
        content: Content,
    ) -> Result<InodeId, Failure> {
        let metadata = self.file_metadata(own, xattrs);
        self.insert_dressed(parent, name, metadata, Kind::File(content))
    }

    /// Adds a symbolic link. Its mode is 0777, as on every Linux file system.
    pub(crate) fn symlink(
        &mut self,
        parent: InodeId,
        name: &Name,
        own: Option<Own>,
        xattrs: Xattrs,
        target: &[u8],
    ) -> Result<InodeId, Failure> {
        let metadata = self.metadata(self.attributes, Mode::SYMLINK, own, xattrs);
        self.insert_dressed(parent, name, metadata, Kind::Symlink(target.into()))
    }

    /// Adds a directory, or gives one that exists the attributes of this one.
    pub(crate) fn directory(
        &mut self,
        parent: InodeId,
        name: &Name,
        own: Option<Own>,
        xattrs: Xattrs,
    ) -> Result<InodeId, Failure> {
        let id = self.implied_directory(parent, name)?;
        self.dress(id, own, xattrs);
        Ok(id)
    }

    /// A directory that an archive's entry needs above it: the one that exists, else a new one.
    pub(crate) fn implied_directory(
        &mut self,
        parent: InodeId,
        name: &Name,
    ) -> Result<InodeId, Failure> {
        self.descend(parent, name, self.attributes)
    }

    /// Adds a further name for an inode that is no directory.
    pub(crate) fn link(
        &mut self,
        parent: InodeId,
        name: &Name,
        target: InodeId,
    ) -> Result<(), Failure> {
        let result = self.tree.link(parent, name.clone(), target);
        result.map_err(|error| self.refusal(&error, parent, name))
    }

    /// The entry `name` of directory `parent`.
    pub(crate) fn child(&self, parent: InodeId, name: &[u8]) -> Option<InodeId> {
        self.tree.child(parent, name)
    }

    /// Whether the entry at hand keeps an archive's extended attributes.
    pub(crate) fn keeps_archive_xattrs(&self) -> bool {
        self.attributes.archive_xattrs
    }

    /// Whether the inode comes from the entry at hand.
    pub(crate) fn is_of_this_entry(&self, id: InodeId) -> bool {
        self.made.get(id.index()).is_some_and(|made| made.entry == Some(self.current))
    }

    /// How many inodes the tree has.
    pub(crate) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Where the entry at hand goes; missing parents are made with the manifest's defaults.
    fn top(&mut self) -> Result<(InodeId, Name), Failure> {
        let Some((name, parents)) = self.path.split_last() else {
            let message = "only a `dir` or a `tar` can be the root directory";
            return Err(Failure::new(Exit::Manifest, message));
        };
        Ok((self.parent(Tree::ROOT, parents)?, name.clone()))
    }

    /// The directory of this path below `top`. Where it is missing it is made,
    /// and what is above it, with the manifest's defaults.
    pub(crate) fn parent(&mut self, top: InodeId, path: &[Name]) -> Result<InodeId, Failure> {
        let mut parent = top;
        for name in path {
            let before = self.len();
            parent = self.descend(parent, name, &self.manifest.parents)?;
            if self.len() > before {
                self.mark(parent, true);
            }
        }
        Ok(parent)
    }

    /// Gives a directory that was only implied to the entry at hand; false for any other inode.
    pub(crate) fn claim(&mut self, id: InodeId) -> bool {
        let current = self.current;
        match self.made.get_mut(id.index()) {
            Some(made) if made.is_implied => {
                (made.is_implied, made.entry) = (false, Some(current));
                true
            }
            _ => false,
        }
    }

    /// What an inode of the tree is.
    pub(crate) fn kind(&self, id: InodeId) -> Option<&Kind> {
        self.tree.get(id).map(Inode::kind)
    }

    /// The attributes of an inode of the tree, to be changed.
    pub(crate) fn metadata_mut(&mut self, id: InodeId) -> Option<&mut Metadata> {
        self.tree.metadata_mut(id)
    }

    fn mark(&mut self, id: InodeId, is_implied: bool) {
        if let Some(made) = self.made.get_mut(id.index()) {
            made.is_implied = is_implied;
        }
    }

    fn descend(
        &mut self,
        parent: InodeId,
        name: &Name,
        attributes: &Attributes,
    ) -> Result<InodeId, Failure> {
        if let Some(id) = self.child(parent, name.as_bytes()) {
            return match self.kind(id) {
                Some(Kind::Directory(_)) => Ok(id),
                _ => Err(self.collision(parent, name)),
            };
        }
        let mut metadata = self.directory_metadata(attributes, None);
        labels::add_recursive(attributes, Holder::Directory, &mut metadata.xattrs);
        self.insert(parent, name, metadata, Kind::directory())
    }

    /// Gives a directory the attributes of the entry at hand; extended ones add up.
    fn dress(&mut self, id: InodeId, own: Option<Own>, xattrs: Xattrs) {
        let mut dressed = self.directory_metadata(self.attributes, own);
        if let Some(metadata) = self.tree.metadata_mut(id) {
            dressed.xattrs = std::mem::take(&mut metadata.xattrs);
            dressed.xattrs.extend(xattrs);
            labels::add_recursive(self.attributes, Holder::Directory, &mut dressed.xattrs);
            *metadata = dressed;
        }
        self.mark(id, false);
    }

    /// Adds an inode of the entry at hand.
    fn insert_dressed(
        &mut self,
        parent: InodeId,
        name: &Name,
        mut metadata: Metadata,
        kind: Kind,
    ) -> Result<InodeId, Failure> {
        labels::add_recursive(self.attributes, Holder::of(&kind), &mut metadata.xattrs);
        self.insert(parent, name, metadata, kind)
    }

    /// Adds an inode, with what the manifest's defaults give to each.
    pub(crate) fn insert(
        &mut self,
        parent: InodeId,
        name: &Name,
        mut metadata: Metadata,
        kind: Kind,
    ) -> Result<InodeId, Failure> {
        labels::add_defaults(&self.manifest.parents, &kind, &mut metadata.xattrs);
        let depth = self.made.get(parent.index()).map_or(0, |made| made.depth) + 1;
        if depth > DEPTH_MAX {
            let message = format!("nested more than {DEPTH_MAX} directories deep");
            return Err(Failure::new(Exit::Source, message));
        }
        self.budget.count(&kind, self.made.len())?;
        let result = self.tree.insert(parent, name.clone(), metadata, kind);
        let id = result.map_err(|error| self.refusal(&error, parent, name))?;
        self.made.push(Made { entry: Some(self.current), is_implied: false, depth });
        if self.made.len().is_multiple_of(STEP_INODES) {
            self.report();
        }
        signals::check()?;
        Ok(id)
    }

    /// How many entries, credentials and items of `fw_cfg` the manifest has.
    fn listed(&self) -> usize {
        self.manifest.entries.len() + self.manifest.credentials.len() + self.manifest.fw_cfg.len()
    }

    /// Says how far the assembly has come.
    pub(crate) fn report(&mut self) {
        self.show(false);
    }

    /// Says that a file is not yet at rest.
    pub(crate) fn report_waiting(&mut self) {
        self.show(true);
    }

    fn show(&mut self, is_waiting: bool) {
        let (entry, entries) = (self.current, self.listed() + self.definitions.len());
        (self.progress)(Step { entry, entries, inodes: self.tree.len(), is_waiting });
    }
}
