//! Definitions to inodes: makes what is missing, changes what is there, and
//! refuses what is neither.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::iter;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use credimg_formats::xattrs::Holder;
use credimg_formats::{Content, InodeId, Kind, Metadata, Mode, Name, Secret, Tree, Xattrs};
use rustix::fs::{AtFlags, CWD, FileType, readlinkat, statat};

use super::Definitions;
use super::definition::{Action, Attributes, DataSection, Definition, HostFile, ImagePath, New};
use crate::host::follow;
use crate::host::signals;
use crate::manifest::TreePath;
use crate::report::{Exit, Failure};
use crate::sources::builder::{Own, TreeBuilder};
use crate::sources::command::{self, Program};
use crate::sources::files::{self, FileId, LaterFile, Location};
use crate::sources::output;

/// Most inodes that the definitions may make, those on the way to others
/// counted: all of them stay in memory.
const INODES_MAX: usize = 3 << 16;

/// Whether definitions read and run what they name.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// They do; each command is granted this.
    Build(&'a command::Limits),
    /// They do not, and files are empty.
    Rehearsal(Unknown<'a>),
}

/// What a rehearsal does not know of the tree before the definitions.
#[derive(Clone, Copy)]
pub(crate) struct Unknown<'a> {
    /// Directories that may hold more than they do here.
    pub(crate) opaque: &'a HashSet<InodeId>,
    /// What may be there, with the directories above it.
    pub(crate) uncertain: &'a [&'a TreePath],
}

impl Unknown<'_> {
    /// Whether there may be something at `path`, where there is nothing.
    fn may_hold(self, path: &ImagePath, tree: &TreeBuilder) -> bool {
        let mut id = Some(Tree::ROOT);
        let mut ids = path.names().map_while(|name| {
            id = id.and_then(|id| tree.child(id, name));
            id
        });
        let is_above = |other: &TreePath| {
            let mut names = other.0.iter().map(Name::as_bytes);
            path.names().all(|name| names.next() == Some(name))
        };
        self.opaque.contains(&Tree::ROOT)
            || ids.any(|id| self.opaque.contains(&id))
            || self.uncertain.iter().any(|other| is_above(other))
    }
}

/// Adds every definition to the tree that the manifest's entries made. Extended
/// attributes come last, so that they may stand before what they are for.
pub(crate) fn collect(
    definitions: &Definitions,
    purpose: Purpose,
    to: &mut TreeBuilder,
) -> Result<(), Failure> {
    if let Purpose::Build(_) = purpose {
        for (path, stat) in &definitions.files {
            to.input(path, stat)?;
        }
    }
    let inodes_before = to.len();
    let mut collector = Collector { definitions, purpose, to, links: HashMap::new() };
    for is_late in [false, true] {
        for (index, definition) in definitions.iter().enumerate() {
            if is_late != matches!(definition.action, Action::Xattr { .. }) {
                continue;
            }
            signals::check()?;
            collector.to.begin_definition(index);
            if collector.to.len() - inodes_before > INODES_MAX {
                let message =
                    format!("the definitions make more than {INODES_MAX} files and directories");
                return Err(in_definition(Failure::new(Exit::Manifest, message), definition));
            }
            collector.add(definition).map_err(|failure| in_definition(failure, definition))?;
        }
    }
    Ok(())
}

/// Says which definition failed, and where it is to be mended if that is wrong.
/// A signal is no definition's fault.
fn in_definition(mut failure: Failure, definition: &Definition) -> Failure {
    let Definition { path, position, .. } = definition;
    let name = match failure.exit {
        Exit::Interrupted => return failure,
        Exit::Manifest => position.of_value(),
        _ => position.name(),
    };
    failure.message = format!("{name} ({path}): {}", failure.message);
    failure
}

struct Collector<'a, 'b> {
    definitions: &'a Definitions,
    purpose: Purpose<'a>,
    to: &'a mut TreeBuilder<'b>,
    /// Files of the host that a definition named already: a second name is a hard link.
    links: HashMap<FileId, InodeId>,
}

impl Collector<'_, '_> {
    fn add(&mut self, definition: &Definition) -> Result<(), Failure> {
        match &definition.action {
            Action::Make(attributes, new) => self.make(&definition.path, attributes, new),
            Action::Modify(attributes) => self.modify(&definition.path, attributes),
            Action::Xattr { name, value } => self.xattr(&definition.path, name, value),
            Action::HostFile(file) => self.host_file(&definition.path, file),
            Action::Link(target) => match self.find(target)? {
                Some(target) => self.link(&definition.path, target),
                None => Ok(()),
            },
        }
    }

    fn make(
        &mut self,
        path: &ImagePath,
        attributes: &Attributes,
        new: &New,
    ) -> Result<(), Failure> {
        if let New::Directory = new {
            return self.directory(path, attributes);
        }
        // Asked before a command runs for nothing.
        let (parent, name) = self.free_place(path)?;
        let kind = match new {
            New::Directory => Kind::directory(),
            New::Command(script) => Kind::File(self.output(script)?),
            New::Symlink(target) => Kind::Symlink(target.clone()),
            New::BlockDevice(device) => Kind::BlockDevice(*device),
            New::CharDevice(device) => Kind::CharDevice(*device),
            New::Fifo => Kind::Fifo,
            New::Socket => Kind::Socket,
            New::Data(section) => Kind::File(self.data(section)?),
        };
        let mut metadata = self.metadata(attributes);
        if let Kind::Symlink(_) = kind {
            metadata.mode = Mode::SYMLINK;
        }
        self.to.insert(parent, &name, metadata, kind).map(drop)
    }

    fn output(&mut self, script: &OsString) -> Result<Content, Failure> {
        let Purpose::Build(limits) = self.purpose else { return Ok(nothing()) };
        let argv: [OsString; 3] = ["/bin/sh".into(), "-c".into(), script.clone()];
        let program =
            Program { argv: &argv, directory: &self.definitions.directory, is_shell: true };
        let output = output(&program, false, limits, self.to)?;
        self.to.count_in_memory(output.len())?;
        Ok(Content::Memory(output))
    }

    /// A new directory, or one that was made on the way to something else.
    fn directory(&mut self, path: &ImagePath, attributes: &Attributes) -> Result<(), Failure> {
        let metadata = self.metadata(attributes);
        let Some((parent, name)) = self.place(path)? else {
            return self.claim(Tree::ROOT, metadata, || {
                let message = "the root directory has its attributes already from a `dir` or `tar`";
                Failure::new(Exit::Manifest, message)
            });
        };
        match self.to.child(parent, name.as_bytes()) {
            None => {
                let kind = Kind::directory();
                self.to.insert(parent, &name, metadata, kind).map(drop)
            }
            Some(id) => {
                let collision = self.to.collision(parent, &name);
                self.claim(id, metadata, || collision)
            }
        }
    }

    fn claim(
        &mut self,
        id: InodeId,
        mut metadata: Metadata,
        refusal: impl FnOnce() -> Failure,
    ) -> Result<(), Failure> {
        if !self.to.claim(id) {
            let hint = "to change what a source of the manifest made write m or M";
            return Err(refusal().hint(hint));
        }
        // Extended attributes of the manifest's defaults stay.
        if let Some(existing) = self.to.metadata_mut(id) {
            metadata.xattrs = std::mem::take(&mut existing.xattrs);
            *existing = metadata;
        }
        Ok(())
    }

    fn modify(&mut self, path: &ImagePath, attributes: &Attributes) -> Result<(), Failure> {
        let Some(id) = self.find(path)? else { return Ok(()) };
        // A link has no mode of its own; Linux and the formats know 0777 only.
        let is_symlink = matches!(self.to.kind(id), Some(Kind::Symlink(_)));
        let Some(metadata) = self.to.metadata_mut(id) else { return Ok(()) };
        metadata.mode = if is_symlink { Mode::SYMLINK } else { attributes.mode };
        (metadata.uid, metadata.gid) = attributes.owner;
        metadata.mtime = attributes.mtime.unwrap_or(metadata.mtime);
        Ok(())
    }

    fn xattr(&mut self, path: &ImagePath, name: &[u8], value: &Secret) -> Result<(), Failure> {
        let Some(id) = self.find(path)? else { return Ok(()) };
        let holder = self.to.kind(id).map(Holder::of);
        if let Some(fault) = holder.and_then(|holder| holder.fault(name)) {
            return Err(Failure::new(Exit::Manifest, fault));
        }
        if let Some(metadata) = self.to.metadata_mut(id) {
            metadata.xattrs.insert(name.into(), value.clone());
        }
        Ok(())
    }

    /// A file of the host with its own attributes: a regular file, or for `l` a symbolic link.
    fn host_file(&mut self, path: &ImagePath, file: &HostFile) -> Result<(), Failure> {
        let host_path = self.definitions.host_path(&file.path);
        let (parent, name) = self.free_place(path)?;
        if let Purpose::Rehearsal(_) = self.purpose {
            let metadata = Metadata::default();
            return self.to.insert(parent, &name, metadata, Kind::File(nothing())).map(drop);
        }
        let flags = if file.is_followed { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        let failure = |errno| files::cannot_read(&host_path, errno);
        let stat = statat(CWD, &host_path, flags)
            .map_err(|errno| follow::explain(&host_path, errno, failure))?;
        let is_symlink = files::file_type(&stat) == FileType::Symlink;
        self.to.note_input(|| match host_path.parent() {
            // Another link in its place shows in the directory's time only.
            Some(directory) if is_symlink => directory.join("."),
            _ => host_path.clone(),
        });
        if let Some(first) = self.links.get(&files::file_id(&stat)) {
            return self.to.link(parent, &name, *first);
        }
        let kind = if is_symlink {
            let target = readlinkat(CWD, &host_path, Vec::new())
                .map_err(|errno| files::cannot_read(&host_path, errno))?;
            Kind::Symlink(target.as_bytes().into())
        } else {
            let (opened, opened_stat) = files::open_file(&host_path)?;
            self.to.input(&host_path, &opened_stat)?;
            if files::file_id(&opened_stat) != files::file_id(&stat) {
                return Err(files::has_changed(&host_path));
            }
            let location = || Location::Path(Arc::from(host_path.as_path()));
            let content =
                files::content(opened, &opened_stat, self.to, || host_path.clone(), location)?;
            Kind::File(content)
        };
        let Own { mode, owner: (uid, gid), mtime } = Own::of(&stat);
        let metadata = Metadata { mode, uid, gid, mtime, xattrs: Xattrs::new() };
        let id = self.to.insert(parent, &name, metadata, kind)?;
        self.links.insert(files::file_id(&stat), id);
        Ok(())
    }

    fn link(&mut self, path: &ImagePath, target: InodeId) -> Result<(), Failure> {
        let (parent, name) = self.free_place(path)?;
        self.to.link(parent, &name, target)
    }

    /// The content of a range of a data section, read now while memory lasts.
    fn data(&mut self, section: &DataSection) -> Result<Content, Failure> {
        let DataSection { file, length_bytes, offset_bytes } = section;
        let offset_bytes = file.start_bytes + offset_bytes;
        // In a rehearsal only its length counts.
        let is_rehearsed = matches!(self.purpose, Purpose::Rehearsal(_));
        if is_rehearsed || !self.to.fits_in_memory(*length_bytes) {
            let location = Location::Path(Arc::clone(&file.path));
            let planned = file.planned;
            let source = LaterFile { location, planned, offset_bytes, first: None };
            return Ok(Content::Stream { length_bytes: *length_bytes, source: Box::new(source) });
        }
        let length = usize::try_from(*length_bytes).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(length)
            .map_err(|_| files::cannot_read(&file.path, rustix::io::Errno::NOMEM))?;
        bytes.resize(length, 0);
        let outcome = file.file.read_exact_at(&mut bytes, offset_bytes);
        // A change of the file explains whatever seemed wrong with it.
        files::require_unchanged(&file.file, &file.planned, &file.path)?;
        outcome.map_err(|_| files::has_changed(&file.path))?;
        Ok(Content::Memory(Secret::new(bytes)))
    }

    fn metadata(&self, attributes: &Attributes) -> Metadata {
        let Attributes { mode, owner: (uid, gid), mtime } = *attributes;
        let mtime = mtime.unwrap_or_else(|| self.to.default_mtime());
        Metadata { mode, uid, gid, mtime, xattrs: Xattrs::new() }
    }

    /// Where `path` goes, its parents made; none for the root.
    fn place(&mut self, path: &ImagePath) -> Result<Option<(InodeId, Name)>, Failure> {
        // What exists is passed by without a copy of its name: a file may name
        // the same deep directory very often.
        let mut parent = Tree::ROOT;
        let mut components = path.names().peekable();
        let mut missing = Vec::new();
        while let Some(component) = components.next() {
            let existing = self.to.child(parent, component).filter(|id| {
                components.peek().is_some() && matches!(self.to.kind(*id), Some(Kind::Directory(_)))
            });
            let Some(id) = existing else {
                let rest = iter::once(component).chain(components);
                missing = rest.map(name).collect::<Result<_, _>>()?;
                break;
            };
            parent = id;
        }
        let Some(name) = missing.pop() else { return Ok(None) };
        Ok(Some((self.to.parent(parent, &missing)?, name)))
    }

    /// Where something goes that can neither be the root nor be there already.
    fn free_place(&mut self, path: &ImagePath) -> Result<(InodeId, Name), Failure> {
        let Some((parent, name)) = self.place(path)? else {
            return Err(Failure::new(Exit::Manifest, "only a directory can be the root directory"));
        };
        match self.to.child(parent, name.as_bytes()) {
            None => Ok((parent, name)),
            Some(_) => Err(self.to.collision(parent, &name)),
        }
    }

    /// What stands at `path`; none where a rehearsal does not know.
    fn find(&self, path: &ImagePath) -> Result<Option<InodeId>, Failure> {
        let id = path.names().try_fold(Tree::ROOT, |id, name| self.to.child(id, name));
        match self.purpose {
            Purpose::Rehearsal(unknown) if id.is_none() && unknown.may_hold(path, self.to) => {
                Ok(None)
            }
            _ if id.is_some() => Ok(id),
            _ => Err(Failure::new(Exit::Manifest, "there is nothing of this path to change")),
        }
    }
}

/// What a file holds in a rehearsal.
fn nothing() -> Content {
    Content::Memory(Secret::new(Vec::new()))
}

fn name(component: &[u8]) -> Result<Name, Failure> {
    Name::new(component).map_err(|error| Failure::new(Exit::Manifest, error.to_string()))
}
