//! What an entry of the manifest adds: at its path, below it, and with its attributes.

use credimg_formats::xattrs::Holder;
use credimg_formats::{Content, InodeId, Kind, Name, Tree, Xattrs};

use super::attributes::InodeAttributes;
use super::labels;
use super::scope::Scope;
use crate::manifest::Entry;
use crate::report::{Exit, Failure};

/// One entry or value of the manifest, and the tree that it adds to.
///
/// `own` is always what something has at its source: where the manifest says `keep` it counts.
pub(crate) struct EntryScope<'b, 'a> {
    /// What does not depend on the entry's path and attributes.
    pub(crate) scope: Scope<'b, 'a>,
    entry: &'a Entry,
}

impl<'b, 'a> EntryScope<'b, 'a> {
    pub(super) fn new(scope: Scope<'b, 'a>, entry: &'a Entry) -> Self {
        Self { scope, entry }
    }

    /// The regular file at the entry's path.
    pub(crate) fn top_file(
        &mut self,
        own: Option<InodeAttributes>,
        content: Content,
    ) -> Result<InodeId, Failure> {
        let (parent, name) = self.top()?;
        let xattrs = self.entry.attributes.xattrs.clone();
        self.file(parent, &name, own, xattrs, content)
    }

    /// The file at a credential's path. A directory that is missing above it
    /// gets the credential's attributes, not the manifest's: it is as closed as the file.
    pub(crate) fn credential_file(&mut self, content: Content) -> Result<InodeId, Failure> {
        let Some((name, parents)) = self.entry.path.0.split_last() else {
            let message = "a credential cannot be the root directory";
            return Err(Failure::new(Exit::Manifest, message));
        };
        let mut parent = Tree::ROOT;
        for name in parents {
            parent = self.implied_directory(parent, name)?;
        }
        self.file(parent, name, None, Xattrs::new(), content)
    }

    /// The symbolic link at the entry's path.
    pub(crate) fn top_symlink(&mut self, target: &[u8]) -> Result<InodeId, Failure> {
        let (parent, name) = self.top()?;
        let xattrs = self.entry.attributes.xattrs.clone();
        self.symlink(parent, &name, None, xattrs, target)
    }

    /// The directory at the entry's path, which may exist already. The
    /// manifest's extended attributes win over `xattrs`.
    pub(crate) fn top_directory(
        &mut self,
        own: Option<InodeAttributes>,
        mut xattrs: Xattrs,
    ) -> Result<InodeId, Failure> {
        xattrs.extend(self.entry.attributes.xattrs.clone());
        if self.entry.path.0.is_empty() {
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
        own: Option<InodeAttributes>,
        xattrs: Xattrs,
        content: Content,
    ) -> Result<InodeId, Failure> {
        let defaults = &self.scope.manifest().parents;
        let attributes = InodeAttributes::of_file(&self.entry.attributes, own, defaults);
        self.insert(parent, name, attributes, xattrs, Kind::File(content))
    }

    /// Adds a symbolic link.
    pub(crate) fn symlink(
        &mut self,
        parent: InodeId,
        name: &Name,
        own: Option<InodeAttributes>,
        xattrs: Xattrs,
        target: &[u8],
    ) -> Result<InodeId, Failure> {
        let defaults = &self.scope.manifest().parents;
        let attributes = InodeAttributes::of_symlink(&self.entry.attributes, own, defaults);
        self.insert(parent, name, attributes, xattrs, Kind::Symlink(target.into()))
    }

    /// Adds a directory, or gives one that exists the attributes of this one.
    pub(crate) fn directory(
        &mut self,
        parent: InodeId,
        name: &Name,
        own: Option<InodeAttributes>,
        xattrs: Xattrs,
    ) -> Result<InodeId, Failure> {
        let id = self.implied_directory(parent, name)?;
        self.dress(id, own, xattrs);
        Ok(id)
    }

    /// A directory that is needed above something: the one that exists, else a new one.
    pub(crate) fn implied_directory(
        &mut self,
        parent: InodeId,
        name: &Name,
    ) -> Result<InodeId, Failure> {
        self.scope.descend(parent, name, &self.entry.attributes)
    }

    /// Whether an archive's extended attributes are kept.
    pub(crate) fn keeps_archive_xattrs(&self) -> bool {
        self.entry.attributes.archive_xattrs
    }

    /// Where the entry goes; missing parents are made with the manifest's defaults.
    fn top(&mut self) -> Result<(InodeId, Name), Failure> {
        let Some((name, parents)) = self.entry.path.0.split_last() else {
            let message = "only a `dir` or a `tar` can be the root directory";
            return Err(Failure::new(Exit::Manifest, message));
        };
        Ok((self.scope.parent(Tree::ROOT, parents)?, name.clone()))
    }

    /// Adds an inode with what the entry gives to everything below it.
    fn insert(
        &mut self,
        parent: InodeId,
        name: &Name,
        attributes: InodeAttributes,
        mut xattrs: Xattrs,
        kind: Kind,
    ) -> Result<InodeId, Failure> {
        labels::add_recursive(&self.entry.attributes, Holder::of(&kind), &mut xattrs);
        self.scope.insert(parent, name, attributes, xattrs, kind)
    }

    /// Gives a directory the entry's attributes; extended ones add up.
    fn dress(&mut self, id: InodeId, own: Option<InodeAttributes>, xattrs: Xattrs) {
        let wanted = &self.entry.attributes;
        let defaults = &self.scope.manifest().parents;
        self.scope.dress(id, InodeAttributes::of_directory(wanted, own, defaults));
        if let Some(metadata) = self.scope.builder.tree.metadata_mut(id) {
            metadata.xattrs.extend(xattrs);
            labels::add_recursive(wanted, Holder::Directory, &mut metadata.xattrs);
        }
        if let Some(provenance) = self.scope.provenance_mut(id) {
            provenance.is_implied = false;
        }
    }
}
