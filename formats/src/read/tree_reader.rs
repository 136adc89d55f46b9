//! A tree that is not written yet, seen as an image, so that the two can be compared.

use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;

use super::{Account, Entry, Extent, Facts, InodeRef, NodeKind, Reader, Stat};
use crate::content::Sink;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Format;
use crate::tree::{Inode, InodeId, Kind, Mode, Tree, Xattrs};

/// Reads a [`Tree`] as if it were an image. Nothing of it lies anywhere: asking for
/// extents is an error, and accounting tells nothing. Content is streamed well; reading it at a place streams
/// all that stands before.
pub struct TreeReader<'t> {
    tree: &'t Tree,
    facts: Facts,
}

impl<'t> TreeReader<'t> {
    /// A reader of `tree` as an image of this format would hold it.
    pub fn new(tree: &'t Tree, format: Format) -> Self {
        let inodes = Some(tree.len() as u64);
        Self { tree, facts: Facts { inodes, ..Facts::new(format) } }
    }

    fn inode(&self, inode: InodeRef) -> Result<(InodeId, &'t Inode)> {
        let id = self.tree.id_at(inode.0);
        id.map(|id| (id, self.tree.inode(id))).ok_or_else(|| is_not("an inode of the tree"))
    }
}

impl Reader for TreeReader<'_> {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn root(&self) -> InodeRef {
        InodeRef(0)
    }

    fn stat(&self, inode: InodeRef) -> Result<Stat> {
        let (_, found) = self.inode(inode)?;
        let metadata = &found.metadata;
        let (kind, size_bytes) = match found.kind() {
            Kind::Directory(_) => (NodeKind::Directory, 0),
            Kind::File(content) => (NodeKind::File, content.len()),
            Kind::Symlink(target) => (NodeKind::Symlink, target.len() as u64),
            Kind::CharDevice(device) => (NodeKind::CharDevice(*device), 0),
            Kind::BlockDevice(device) => (NodeKind::BlockDevice(*device), 0),
            Kind::Fifo => (NodeKind::Fifo, 0),
            Kind::Socket => (NodeKind::Socket, 0),
        };
        let mode = if kind == NodeKind::Symlink { Mode::SYMLINK } else { metadata.mode };
        Ok(Stat {
            kind,
            mode,
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: metadata.mtime,
            links: found.links(),
            size_bytes,
            number: inode.0,
        })
    }

    fn xattrs(&self, inode: InodeRef) -> Result<Xattrs> {
        Ok(self.inode(inode)?.1.metadata.xattrs.clone())
    }

    fn target(&self, symlink: InodeRef) -> Result<Box<[u8]>> {
        match self.inode(symlink)?.1.kind() {
            Kind::Symlink(target) => Ok(target.clone()),
            Kind::Directory(_)
            | Kind::File(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo
            | Kind::Socket => Err(is_not("a symbolic link")),
        }
    }

    fn entries(
        &self,
        directory: InodeRef,
        each: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let Kind::Directory(entries) = self.inode(directory)?.1.kind() else {
            return Err(is_not("a directory"));
        };
        for (name, id) in entries {
            let entry = Entry { name: name.as_bytes(), inode: InodeRef(id.index() as u64) };
            if each(entry)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn lookup(&self, directory: InodeRef, name: &[u8]) -> Result<Option<InodeRef>> {
        let (id, _) = self.inode(directory)?;
        Ok(self.tree.child(id, name).map(|id| InodeRef(id.index() as u64)))
    }

    fn read_at(&self, file: InodeRef, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize> {
        let wanted = buffer.len();
        let mut window = Window { before: offset_bytes, rest: buffer };
        let outcome = self.stream(file, &mut window);
        let filled = wanted - window.rest.len();
        if window.rest.is_empty() { Ok(filled) } else { outcome.map(|()| filled) }
    }

    fn stream(&self, file: InodeRef, sink: &mut dyn Sink) -> Result<()> {
        let (id, found) = self.inode(file)?;
        match found.kind() {
            Kind::File(content) => {
                content.stream(sink).map_err(|error| error.at_inode(self.tree, id))
            }
            Kind::Directory(_)
            | Kind::Symlink(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo
            | Kind::Socket => Err(is_not("a file")),
        }
    }

    fn extents(&self, _file: InodeRef, _each: &mut dyn FnMut(Extent) -> Result<()>) -> Result<()> {
        Err(Error::new(ErrorKind::Conflict, "what a tree holds lies nowhere"))
    }

    fn account(&self, _account: &mut dyn Account) -> Result<()> {
        Ok(())
    }
}

fn is_not(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the inode is not {what}"))
}

/// Keeps a stretch of what passes by, and refuses what comes behind it.
struct Window<'b> {
    /// What is left out before the stretch.
    before: u64,
    rest: &'b mut [u8],
}

impl Window<'_> {
    /// How much of the next `length_bytes` bytes is kept, behind what is left out of them.
    fn take(&mut self, length_bytes: u64) -> io::Result<(u64, &mut [u8])> {
        if self.rest.is_empty() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let skipped = self.before.min(length_bytes);
        self.before -= skipped;
        let kept = usize::try_from(length_bytes - skipped).unwrap_or(usize::MAX);
        let rest = std::mem::take(&mut self.rest);
        let (taken, rest) = rest.split_at_mut(kept.min(rest.len()));
        self.rest = rest;
        Ok((skipped, taken))
    }
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (skipped, taken) = self.take(bytes.len() as u64)?;
        let bytes_kept = bytes.get(usize::try_from(skipped).unwrap_or(usize::MAX)..);
        for (to, from) in taken.iter_mut().zip(bytes_kept.unwrap_or_default()) {
            *to = *from;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Window<'_> {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        crate::content::copy_buffered(file, self, length_bytes)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        let (_, taken) = self.take(length_bytes)?;
        taken.fill(0);
        Ok(())
    }
}
