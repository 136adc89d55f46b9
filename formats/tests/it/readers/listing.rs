//! The listing of an image, by its reader.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use credimg_formats::read::{InodeRef, NodeKind, Reader, Stat};

use crate::support::{
    Expected, ExpectedKind, Listing, S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK, join, special,
};

/// Reads all of an image, as [`crate::support::walk`] reads a mounted one.
pub(crate) fn listing(reader: &dyn Reader) -> Listing {
    listing_by(reader, &mut |inode, size_bytes| content(reader, inode, size_bytes))
}

/// Reads all of an image but the content of files, which `content` gives.
pub(crate) fn listing_by(
    reader: &dyn Reader,
    content: &mut dyn FnMut(InodeRef, u64) -> Vec<u8>,
) -> Listing {
    let mut listing = Listing::new();
    let mut paths: BTreeMap<u64, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let mut pending = vec![(Vec::new(), reader.root())];
    while let Some((path, inode)) = pending.pop() {
        let stat = reader.stat(inode).unwrap();
        let kind = kind(reader, inode, &stat, content);
        match stat.kind {
            NodeKind::Directory => {
                reader
                    .entries(inode, &mut |entry| {
                        pending.push((join(&path, entry.name), entry.inode));
                        assert_eq!(
                            reader.lookup(inode, entry.name)?,
                            Some(entry.inode),
                            "{}",
                            entry.name.escape_ascii()
                        );
                        Ok(ControlFlow::Continue(()))
                    })
                    .unwrap();
            }
            NodeKind::File => {
                paths.entry(stat.number).or_default().insert(path.clone());
            }
            NodeKind::Symlink
            | NodeKind::CharDevice(_)
            | NodeKind::BlockDevice(_)
            | NodeKind::Fifo
            | NodeKind::Socket => {}
        }
        let xattrs = reader.xattrs(inode).unwrap();
        let entry = Expected {
            kind,
            mode: u32::from(stat.mode),
            uid: stat.uid,
            gid: stat.gid,
            mtime: (stat.mtime.seconds(), i64::from(stat.mtime.nanoseconds())),
            xattrs: xattrs
                .iter()
                .map(|(name, value)| (name.to_vec(), value.expose().to_vec()))
                .collect(),
        };
        assert!(listing.insert(path, entry).is_none(), "a name is there twice");
    }
    for same in paths.values() {
        let first = same.first().unwrap();
        for path in same {
            if let Some(ExpectedKind::File { same_as, .. }) =
                listing.get_mut(path).map(|entry| &mut entry.kind)
            {
                same_as.clone_from(first);
            }
        }
    }
    listing
}

fn kind(
    reader: &dyn Reader,
    inode: InodeRef,
    stat: &Stat,
    content: &mut dyn FnMut(InodeRef, u64) -> Vec<u8>,
) -> ExpectedKind {
    match stat.kind {
        NodeKind::Directory => ExpectedKind::Directory { links: u64::from(stat.links) },
        NodeKind::File => {
            let content = content(inode, stat.size_bytes);
            ExpectedKind::File { content, links: u64::from(stat.links), same_as: Vec::new() }
        }
        NodeKind::Symlink => {
            let target = reader.target(inode).unwrap();
            assert_eq!(target.len() as u64, stat.size_bytes);
            ExpectedKind::Symlink(target.into())
        }
        NodeKind::CharDevice(device) => special(S_IFCHR, (device.major(), device.minor())),
        NodeKind::BlockDevice(device) => special(S_IFBLK, (device.major(), device.minor())),
        NodeKind::Fifo => special(S_IFIFO, (0, 0)),
        NodeKind::Socket => special(S_IFSOCK, (0, 0)),
    }
}

/// The content in two ways, which say the same: streamed, and read in pieces of an odd length.
pub(crate) fn content(reader: &dyn Reader, file: InodeRef, size_bytes: u64) -> Vec<u8> {
    let mut streamed = Vec::new();
    reader.stream(file, &mut streamed).unwrap();
    assert_eq!(streamed.len() as u64, size_bytes);
    let mut offset = 0;
    let mut piece = vec![0; 77_777];
    loop {
        let got = reader.read_at(file, offset as u64, &mut piece).unwrap();
        assert!(piece[..got] == streamed[offset..offset + got], "at {offset}");
        offset += got;
        if got < piece.len() {
            break;
        }
    }
    assert_eq!(offset, streamed.len());
    streamed
}
