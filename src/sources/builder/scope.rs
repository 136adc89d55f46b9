//! What adds to the tree on behalf of one entry, value or definition.

use std::fmt;
use std::sync::Arc;

use credimg_formats::tree::DEPTH_MAX;
use credimg_formats::xattrs::Holder;
use credimg_formats::{Inode, InodeId, Kind, Name, Secret, Tree, Xattrs};

use super::attributes::InodeAttributes;
use super::budget::Budget;
use super::inputs::Inputs;
use super::{Adder, Doing, Provenance, STEP_INODES, Step, TreeBuilder, labels, metadata};
use crate::host::signals;
use crate::manifest::{Attributes, Manifest};
use crate::report::{Exit, Failure};
use crate::sources::shared::Shared;

/// One entry, value or definition, and the tree that it adds to.
pub(crate) struct Scope<'b, 'a> {
    pub(super) builder: &'b mut TreeBuilder<'a>,
    pub(super) adder: Adder,
}

impl<'b, 'a> Scope<'b, 'a> {
    pub(super) fn new(builder: &'b mut TreeBuilder<'a>, adder: Adder) -> Self {
        Self { builder, adder }
    }

    /// The manifest that the tree is made of.
    pub(crate) fn manifest(&self) -> &'a Manifest {
        self.builder.manifest
    }

    /// The tree as far as it has grown.
    pub(crate) fn tree(&self) -> &Tree {
        &self.builder.tree
    }

    /// What an inode of the tree is.
    pub(crate) fn kind(&self, id: InodeId) -> Option<&Kind> {
        self.builder.tree.get(id).map(Inode::kind)
    }

    /// What the build may still take.
    pub(crate) fn budget(&mut self) -> &mut Budget {
        &mut self.builder.budget
    }

    /// What other machines of a fleet have read and this one may have, where there are any.
    pub(crate) fn shared(&self) -> Option<Arc<Shared>> {
        self.builder.shared.clone()
    }

    /// What the image is made of.
    pub(crate) fn inputs(&mut self) -> &mut Inputs {
        &mut self.builder.inputs
    }

    /// Says how far the assembly has come.
    pub(crate) fn report(&mut self) {
        self.show(Doing::Reading);
    }

    /// Says that a file is not yet at rest.
    pub(crate) fn report_waiting(&mut self) {
        self.show(Doing::Waiting);
    }

    pub(super) fn show(&mut self, doing: Doing<'_>) {
        let builder = &mut *self.builder;
        let entries = builder.listed() + builder.definitions.len();
        let entry = match self.adder {
            Adder::Entry(index) => index,
            Adder::Value(index) => builder.manifest.entries.len() + index,
            Adder::Definition(index) => builder.listed() + index,
        };
        let path = builder.place(self.adder).map_or(&"/" as &dyn fmt::Display, |(_, path)| path);
        (builder.progress)(Step { entry, entries, inodes: builder.tree.len(), path, doing });
    }

    /// Adds an inode, with the extended attributes that the manifest's defaults give to each.
    pub(crate) fn insert(
        &mut self,
        parent: InodeId,
        name: &Name,
        attributes: InodeAttributes,
        mut xattrs: Xattrs,
        kind: Kind,
    ) -> Result<InodeId, Failure> {
        let builder = &mut *self.builder;
        labels::add_defaults(&builder.manifest.parents, &kind, &mut xattrs);
        let above = builder.provenances.get(parent.index());
        let depth = above.map_or(0, |above| above.depth).saturating_add(1);
        if usize::from(depth) > DEPTH_MAX {
            let message = format!("nested more than {DEPTH_MAX} directories deep");
            return Err(Failure::new(Exit::Source, message));
        }
        builder.budget.count_inode(&kind, builder.tree.len())?;
        let metadata = metadata(attributes, builder.build_time, xattrs);
        let result = builder.tree.insert(parent, name.clone(), metadata, kind);
        let id = result.map_err(|error| self.refusal(&error, parent, name))?;
        self.builder.provenances.push(Provenance {
            adder: Some(self.adder),
            is_implied: false,
            is_undated: attributes.mtime.is_none(),
            depth,
        });
        if self.tree().len().is_multiple_of(STEP_INODES) {
            self.report();
        }
        signals::check()?;
        Ok(id)
    }

    /// Adds a further name for an inode that is no directory.
    pub(crate) fn link(
        &mut self,
        parent: InodeId,
        name: &Name,
        target: InodeId,
    ) -> Result<(), Failure> {
        let result = self.builder.tree.link(parent, name.clone(), target);
        result.map_err(|error| self.refusal(&error, parent, name))
    }

    /// The directory of this path below `top`. Where it is missing it is made,
    /// and what is above it, with the manifest's defaults.
    pub(crate) fn parent(&mut self, top: InodeId, path: &[Name]) -> Result<InodeId, Failure> {
        let mut parent = top;
        for name in path {
            let inodes_before = self.tree().len();
            parent = self.descend(parent, name, &self.manifest().parents)?;
            if self.tree().len() > inodes_before
                && let Some(provenance) = self.provenance_mut(parent)
            {
                provenance.is_implied = true;
            }
        }
        Ok(parent)
    }

    /// The directory `name` of `parent`; a new one gets `wanted`.
    pub(super) fn descend(
        &mut self,
        parent: InodeId,
        name: &Name,
        wanted: &Attributes,
    ) -> Result<InodeId, Failure> {
        match self.tree().child(parent, name.as_bytes()) {
            Some(id) if matches!(self.kind(id), Some(Kind::Directory(_))) => Ok(id),
            Some(_) => Err(self.collision(parent, name)),
            None => {
                let attributes =
                    InodeAttributes::of_directory(wanted, None, &self.manifest().parents);
                let mut xattrs = Xattrs::new();
                labels::add_recursive(wanted, Holder::Directory, &mut xattrs);
                self.insert(parent, name, attributes, xattrs, Kind::directory())
            }
        }
    }

    /// Gives a directory that was only implied to this adder, with these attributes; false
    /// for any other inode. Extended attributes stay.
    pub(crate) fn claim(&mut self, id: InodeId, attributes: InodeAttributes) -> bool {
        let adder = self.adder;
        match self.provenance_mut(id) {
            Some(provenance) if provenance.is_implied => {
                (provenance.is_implied, provenance.adder) = (false, Some(adder));
            }
            Some(_) | None => return false,
        }
        self.dress(id, attributes);
        true
    }

    /// Gives an inode other attributes; where they have no time it keeps its own.
    pub(crate) fn change(&mut self, id: InodeId, attributes: InodeAttributes) {
        let is_undated = self.builder.provenances.get(id.index()).is_none_or(|it| it.is_undated);
        let own = self.tree().get(id).map(|inode| inode.metadata.mtime).filter(|_| !is_undated);
        let mtime = attributes.mtime.or(own);
        self.dress(id, InodeAttributes { mtime, ..attributes });
    }

    /// Gives an inode these attributes; extended ones stay.
    pub(super) fn dress(&mut self, id: InodeId, attributes: InodeAttributes) {
        let build_time = self.builder.build_time;
        if let Some(existing) = self.builder.tree.metadata_mut(id) {
            let xattrs = std::mem::take(&mut existing.xattrs);
            *existing = metadata(attributes, build_time, xattrs);
        }
        if let Some(provenance) = self.provenance_mut(id) {
            provenance.is_undated = attributes.mtime.is_none();
        }
    }

    /// Gives an inode an extended attribute, or another value of one.
    pub(crate) fn set_xattr(&mut self, id: InodeId, name: &[u8], value: Secret) {
        if let Some(metadata) = self.builder.tree.metadata_mut(id) {
            metadata.xattrs.insert(name.into(), value);
        }
    }

    /// Whether this adder has added the inode.
    pub(crate) fn has_added(&self, id: InodeId) -> bool {
        let provenance = self.builder.provenances.get(id.index());
        provenance.is_some_and(|provenance| provenance.adder == Some(self.adder))
    }

    pub(super) fn provenance_mut(&mut self, id: InodeId) -> Option<&mut Provenance> {
        self.builder.provenances.get_mut(id.index())
    }
}
