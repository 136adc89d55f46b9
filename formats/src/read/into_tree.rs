//! An image as a tree again, so that it can be written in any format.

use std::collections::HashMap;
use std::sync::Arc;

use super::{InodeRef, Limits, NodeKind, Order, Reader, Step, Walk};
use crate::content::{Content, Sink, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::tree::{InodeId, Kind, Metadata, Name, Tree};

/// The tree of an image, with hard links, extended attributes, times and devices. What files
/// hold is read from the image when the tree is written; nothing of it is kept in memory.
pub fn into_tree(reader: &Arc<dyn Reader>, limits: Limits) -> Result<Tree> {
    let mut walk = Walk::new(&**reader, limits, Order::Path);
    let Some(root) = walk.step()? else { return Err(lost()) };
    let mut tree = Tree::new(metadata(&**reader, &root).map_err(|error| error.at("/"))?);
    // The directories that the walk is in, by their depth.
    let mut directories = vec![Tree::ROOT];
    let mut known = HashMap::new();
    while let Some(step) = walk.step()? {
        let parent = step.depth.checked_sub(1).and_then(|above| directories.get(above));
        let parent = *parent.ok_or_else(lost)?;
        let path = walk.path();
        let id = add(&mut tree, reader, parent, path, &step, &mut known)
            .map_err(|error| error.at(path))?;
        directories.truncate(step.depth);
        directories.push(id);
    }
    Ok(tree)
}

/// Adds what the walk has come to.
fn add(
    tree: &mut Tree,
    reader: &Arc<dyn Reader>,
    parent: InodeId,
    path: &[u8],
    step: &Step,
    known: &mut HashMap<u64, InodeId>,
) -> Result<InodeId> {
    let name = Name::new(path.rsplit(|byte| *byte == b'/').next().unwrap_or_default())?;
    if let Some(id) = known.get(&step.stat.number) {
        tree.link(parent, name, *id)?;
        return Ok(*id);
    }
    let kind = match step.stat.kind {
        NodeKind::Directory => Kind::directory(),
        NodeKind::File => {
            let source = Old { reader: Arc::clone(reader), inode: step.inode };
            let length_bytes = step.stat.size_bytes;
            Kind::File(Content::Stream { length_bytes, source: Box::new(source) })
        }
        NodeKind::Symlink => Kind::Symlink(reader.target(step.inode)?),
        NodeKind::CharDevice(device) => Kind::CharDevice(device),
        NodeKind::BlockDevice(device) => Kind::BlockDevice(device),
        NodeKind::Fifo => Kind::Fifo,
        NodeKind::Socket => Kind::Socket,
    };
    let is_directory = step.stat.kind == NodeKind::Directory;
    let id = tree.insert(parent, name, metadata(&**reader, step)?, kind)?;
    if !is_directory {
        known.insert(step.stat.number, id);
    }
    Ok(id)
}

fn metadata(reader: &dyn Reader, step: &Step) -> Result<Metadata> {
    let stat = step.stat;
    let xattrs = reader.xattrs(step.inode)?;
    Ok(Metadata { mode: stat.mode, uid: stat.uid, gid: stat.gid, mtime: stat.mtime, xattrs })
}

/// A file of the image that the tree is of.
struct Old {
    reader: Arc<dyn Reader>,
    inode: InodeRef,
}

impl Source for Old {
    fn stream(&self, _planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
        // An image does not change; what it says of the length is what was planned.
        self.reader.stream(self.inode, sink)
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Bug, "the walk is not in the directory that it came through")
}
