//! Definitions to inodes: makes what is missing and changes what is there.

use std::collections::{HashMap, HashSet};
use std::iter;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use credimg_formats::xattrs::Holder;
use credimg_formats::{Content, InodeId, Kind, Mode, Name, Secret, Tree, Xattrs};
use rustix::fs::{AtFlags, CWD, FileType, readlinkat, statat};

use super::Definitions;
use super::definition::{Action, DataSection, Definition, HostFile, ImagePath, New};
use crate::host::at_rest;
use crate::host::follow;
use crate::host::identity::{self, FileId};
use crate::host::open;
use crate::manifest::TreePath;
use crate::report::{Exit, Failure};
use crate::sources::builder::{Adder, InodeAttributes, Scope, TreeBuilder};
use crate::sources::command::{self, Commands};
use crate::sources::files::{self, LaterFile, Location};

/// Most inodes that the definitions may make, those on the way to others
/// counted: all of them stay in memory.
const INODES_MAX: usize = 3 << 16;

/// Whether definitions read and run what they name.
pub(crate) enum Purpose<'a, 'b> {
    /// They do; their commands are among these.
    Build(&'a mut Commands<'b>),
    /// They do not; files are empty.
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
    fn may_hold(self, path: &ImagePath, tree: &Tree) -> bool {
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
    match &purpose {
        Purpose::Build(_) => {
            for (path, stat) in &definitions.files {
                to.inputs.take(path, stat)?;
            }
        }
        Purpose::Rehearsal(_) => {}
    }
    let inodes_before = to.tree().len();
    let mut collector = Collector { definitions, purpose, inodes_before, links: HashMap::new() };
    for is_late in [false, true] {
        for (index, definition) in definitions.iter().enumerate() {
            if definition.action.is_xattr() == is_late {
                let output = collector.run(index, definition, to)?;
                let add = |mut to: Scope| collector.add(definition, output, &mut to);
                to.with_definition(index, definition, add)?;
            }
        }
    }
    Ok(())
}

struct Collector<'a, 'b> {
    definitions: &'a Definitions,
    purpose: Purpose<'a, 'b>,
    inodes_before: usize,
    /// Files of the host that a definition named already: a second name is a hard link.
    links: HashMap<FileId, InodeId>,
}

impl Collector<'_, '_> {
    /// What the command of `definition`, if it has one and it is not only rehearsed, prints.
    fn run(
        &mut self,
        index: usize,
        definition: &Definition,
        to: &mut TreeBuilder,
    ) -> Result<Option<Secret>, Failure> {
        let Purpose::Build(commands) = &mut self.purpose else { return Ok(None) };
        let Action::Make(_, New::Command(_)) = &definition.action else { return Ok(None) };
        // So that no command runs for a path that is taken.
        let require_free = |mut to: Scope| free_place(&definition.path, &mut to).map(drop);
        to.with_definition(index, definition, require_free)?;
        let output = commands.output(Adder::Definition(index), to)?;
        output.map(Some).ok_or_else(command::not_run)
    }

    /// Adds what `definition` makes; `output` is what its command has printed.
    fn add(
        &mut self,
        definition: &Definition,
        output: Option<Secret>,
        to: &mut Scope,
    ) -> Result<(), Failure> {
        if to.tree().len() - self.inodes_before > INODES_MAX {
            let message =
                format!("the definitions make more than {INODES_MAX} files and directories");
            return Err(Failure::new(Exit::Manifest, message));
        }
        let path = &definition.path;
        match &definition.action {
            Action::Make(attributes, new) => {
                let attributes = attributes.dated_by(&to.manifest().parents);
                self.make(path, attributes, new, output, to)
            }
            Action::Modify(attributes) => self.modify(path, *attributes, to),
            Action::Xattr { name, value } => self.xattr(path, name, value, to),
            Action::HostFile(file) => self.host_file(path, file, to),
            Action::Link(target) => match self.find(target, to.tree())? {
                Some(target) => {
                    let (parent, name) = free_place(path, to)?;
                    to.link(parent, &name, target)
                }
                None => Ok(()),
            },
        }
    }

    fn make(
        &self,
        path: &ImagePath,
        attributes: InodeAttributes,
        new: &New,
        output: Option<Secret>,
        to: &mut Scope,
    ) -> Result<(), Failure> {
        if let New::Directory = new {
            return directory(path, attributes, to);
        }
        let (parent, name) = free_place(path, to)?;
        let kind = match new {
            New::Directory => Kind::directory(),
            New::Command(_) => Kind::File(output.map_or_else(nothing, Content::Memory)),
            New::Symlink(target) => Kind::Symlink(target.clone()),
            New::BlockDevice(device) => Kind::BlockDevice(*device),
            New::CharDevice(device) => Kind::CharDevice(*device),
            New::Fifo => Kind::Fifo,
            New::Socket => Kind::Socket,
            New::Data(section) => Kind::File(self.data(section, to)?),
        };
        to.insert(parent, &name, attributes, Xattrs::new(), kind).map(drop)
    }

    fn modify(
        &self,
        path: &ImagePath,
        mut attributes: InodeAttributes,
        to: &mut Scope,
    ) -> Result<(), Failure> {
        let Some(id) = self.find(path, to.tree())? else { return Ok(()) };
        if let Some(Kind::Symlink(_)) = to.kind(id) {
            attributes.mode = Mode::SYMLINK;
        }
        to.change(id, attributes);
        Ok(())
    }

    fn xattr(
        &self,
        path: &ImagePath,
        name: &[u8],
        value: &Secret,
        to: &mut Scope,
    ) -> Result<(), Failure> {
        let Some(id) = self.find(path, to.tree())? else { return Ok(()) };
        let holder = to.kind(id).map(Holder::of);
        if let Some(fault) = holder.and_then(|holder| holder.fault(name)) {
            return Err(Failure::new(Exit::Manifest, fault));
        }
        to.set_xattr(id, name, value.clone());
        Ok(())
    }

    /// A file of the host with its own attributes: a regular file, or for `l` a symbolic link.
    fn host_file(
        &mut self,
        path: &ImagePath,
        file: &HostFile,
        to: &mut Scope,
    ) -> Result<(), Failure> {
        let host_path = self.definitions.host_path(&file.path);
        let (parent, name) = free_place(path, to)?;
        match self.purpose {
            Purpose::Build(_) => {}
            Purpose::Rehearsal(_) => {
                let unknown = InodeAttributes { mode: Mode::default(), owner: (0, 0), mtime: None };
                let kind = Kind::File(nothing());
                return to.insert(parent, &name, unknown, Xattrs::new(), kind).map(drop);
            }
        }
        let flags = if file.is_followed { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        let failure = |errno| open::cannot_read(&host_path, errno);
        let stat = statat(CWD, &host_path, flags)
            .map_err(|errno| follow::explain(&host_path, errno, failure))?;
        let is_symlink = open::file_type(&stat) == FileType::Symlink;
        to.inputs().note(|| match host_path.parent() {
            // If another link takes its place, only the directory's time tells.
            Some(directory) if is_symlink => directory.join("."),
            _ => host_path.clone(),
        });
        if let Some(first) = self.links.get(&identity::file_id(&stat)) {
            return to.link(parent, &name, *first);
        }
        let kind = if is_symlink {
            let target = readlinkat(CWD, &host_path, Vec::new())
                .map_err(|errno| open::cannot_read(&host_path, errno))?;
            Kind::Symlink(target.as_bytes().into())
        } else {
            let (opened, opened_stat) = open::open_file(&host_path)?;
            to.inputs().take(&host_path, &opened_stat)?;
            if identity::file_id(&opened_stat) != identity::file_id(&stat) {
                return Err(at_rest::changed(&host_path));
            }
            let location = || Location::Path(Arc::from(host_path.as_path()));
            let content = files::content(opened, &opened_stat, to, || host_path.clone(), location)?;
            Kind::File(content)
        };
        let attributes = InodeAttributes::of_host(&stat);
        let id = to.insert(parent, &name, attributes, Xattrs::new(), kind)?;
        self.links.insert(identity::file_id(&stat), id);
        Ok(())
    }

    /// The content of a range of a data section, read now while memory lasts.
    fn data(&self, section: &DataSection, to: &mut Scope) -> Result<Content, Failure> {
        let DataSection { file, length_bytes, offset_bytes } = section;
        let offset_bytes = file.start_bytes + offset_bytes;
        // In a rehearsal only its length counts.
        let is_read = match self.purpose {
            Purpose::Build(_) => to.budget().takes_small_file(*length_bytes),
            Purpose::Rehearsal(_) => false,
        };
        if !is_read {
            let location = Location::Path(Arc::clone(&file.path));
            let planned = file.planned;
            let source = LaterFile { location, planned, offset_bytes, first: None };
            return Ok(Content::Stream { length_bytes: *length_bytes, source: Box::new(source) });
        }
        let length = usize::try_from(*length_bytes).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(length)
            .map_err(|_| open::cannot_read(&file.path, rustix::io::Errno::NOMEM))?;
        bytes.resize(length, 0);
        let outcome = file.file.read_exact_at(&mut bytes, offset_bytes);
        // A change of the file explains whatever seemed wrong with it.
        open::require_unchanged(&file.file, &file.planned, &file.path)?;
        outcome.map_err(|_| at_rest::changed(&file.path))?;
        Ok(Content::Memory(Secret::new(bytes)))
    }

    /// What stands at `path`; none where a rehearsal does not know.
    fn find(&self, path: &ImagePath, tree: &Tree) -> Result<Option<InodeId>, Failure> {
        let found = path.names().try_fold(Tree::ROOT, |id, name| tree.child(id, name));
        let may_be_there = match self.purpose {
            Purpose::Build(_) => false,
            Purpose::Rehearsal(unknown) => found.is_none() && unknown.may_hold(path, tree),
        };
        if found.is_some() || may_be_there {
            return Ok(found);
        }
        Err(Failure::new(Exit::Manifest, "no entry exists at this path"))
    }
}

/// A new directory, or one that was made on the way to something else.
fn directory(path: &ImagePath, attributes: InodeAttributes, to: &mut Scope) -> Result<(), Failure> {
    let refusal = match place(path, to)? {
        None => {
            if to.claim(Tree::ROOT, attributes) {
                return Ok(());
            }
            let message = "the root directory has its attributes already from a `dir` or `tar`";
            Failure::new(Exit::Manifest, message)
        }
        Some((parent, name)) => {
            let Some(id) = to.tree().child(parent, name.as_bytes()) else {
                let kind = Kind::directory();
                return to.insert(parent, &name, attributes, Xattrs::new(), kind).map(drop);
            };
            if to.claim(id, attributes) {
                return Ok(());
            }
            to.collision(parent, &name)
        }
    };
    Err(refusal.hint("to change what a source of the manifest made write m or M"))
}

/// Where `path` goes, its parents made; none for the root.
fn place(path: &ImagePath, to: &mut Scope) -> Result<Option<(InodeId, Name)>, Failure> {
    // What exists is passed by without a copy of its name: a file may name
    // the same deep directory very often.
    let mut parent = Tree::ROOT;
    let mut components = path.names().peekable();
    let mut missing = Vec::new();
    while let Some(component) = components.next() {
        let existing = to.tree().child(parent, component).filter(|id| {
            components.peek().is_some() && matches!(to.kind(*id), Some(Kind::Directory(_)))
        });
        let Some(id) = existing else {
            let rest = iter::once(component).chain(components);
            missing = rest.map(name).collect::<Result<_, _>>()?;
            break;
        };
        parent = id;
    }
    let Some(name) = missing.pop() else { return Ok(None) };
    Ok(Some((to.parent(parent, &missing)?, name)))
}

/// Where something goes that can neither be the root nor be there already.
fn free_place(path: &ImagePath, to: &mut Scope) -> Result<(InodeId, Name), Failure> {
    let Some((parent, name)) = place(path, to)? else {
        return Err(Failure::new(Exit::Manifest, "only a directory can be the root directory"));
    };
    match to.tree().child(parent, name.as_bytes()) {
        None => Ok((parent, name)),
        Some(_) => Err(to.collision(parent, &name)),
    }
}

/// What a file holds in a rehearsal.
fn nothing() -> Content {
    Content::Memory(Secret::new(Vec::new()))
}

fn name(component: &[u8]) -> Result<Name, Failure> {
    Name::new(component).map_err(|error| Failure::new(Exit::Manifest, error.to_string()))
}
