//! A checker of ISO 9660 images, written from the standards alone: ECMA-119 (the
//! volume and its directories), SUSP 1.12 and RRIP 1.12 (the fields of Rock Ridge) and
//! the Joliet specification. It shares no code with the writer that it judges.
//!
//! It is stricter than the standards where they leave a choice that a secrets disk has
//! no use for: a field that is not needed is a fault, and every byte belongs to one
//! record or extent of content or is zero. Positions are byte positions (BP) as in
//! the standards, from 1 on.

mod bytes;
mod claims;
mod directory;
mod fields;
mod identifier;
mod links;
mod path_table;
mod volume;

use std::collections::BTreeMap;

pub(crate) use bytes::Image;

use crate::support::{Expected, ExpectedKind, Listing, S_IFMT, special};
use claims::Claims;
use directory::Hierarchy;
use volume::Root;

pub(crate) const SECTOR_BYTES: u64 = 2048;

/// The first fault of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset_bytes: u64,
    pub(crate) what: String,
}

pub(crate) type Result<T> = std::result::Result<T, Fault>;

fn fault<T>(offset_bytes: u64, what: impl Into<String>) -> Result<T> {
    Err(Fault { offset_bytes, what: what.into() })
}

/// What a sound image holds.
pub(crate) struct Checked {
    /// By path, the root included, without leading slash.
    pub(crate) nodes: BTreeMap<Vec<u8>, Node>,
    /// Bytes that the records of each sector of a directory take, by path.
    pub(crate) used_bytes: BTreeMap<Vec<u8>, Vec<u64>>,
    /// Of the Joliet tree, where there is one: all paths, and the content of files.
    pub(crate) joliet: Option<BTreeMap<Vec<u8>, Vec<Extent>>>,
    /// Where records, fields and contents start, by what they are called in faults.
    pub(crate) places: BTreeMap<String, u64>,
}

/// Contiguous content: where it starts and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// A file of any kind, as Rock Ridge describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) attributes: Attributes,
    pub(crate) extents: Vec<Extent>,
    pub(crate) target: Option<Vec<u8>>,
    pub(crate) device: Option<(u32, u32)>,
}

/// What `PX` and `TF` hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) links: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) serial: u32,
    /// Seconds since 1970, UTC.
    pub(crate) mtime: i64,
}

/// Reads all of an image but the content of its files.
pub(crate) fn check(image: &dyn Image) -> Result<Checked> {
    let mut claims = Claims::default();
    let roots = volume::read(image, &mut claims)?;
    let mut hierarchies = Vec::new();
    for root in &roots {
        let hierarchy = directory::read(image, &mut claims, root)?;
        path_table::check(image, &mut claims, root, &hierarchy)?;
        hierarchies.push(hierarchy);
    }
    let joliet = hierarchies.get(1).map(Hierarchy::contents);
    let primary = hierarchies.swap_remove(0);
    links::check(&primary)?;
    claims.settle(image)?;
    if let (Some(joliet), Some(Root { view, .. })) = (&joliet, roots.get(1)) {
        links::check_same_contents(&primary, joliet, view.start)?;
    }
    Ok(Checked {
        used_bytes: primary.used_bytes(),
        nodes: primary.nodes(),
        joliet,
        places: claims.places(),
    })
}

impl Checked {
    /// What a reader sees, content included.
    pub(crate) fn listing(&self, image: &dyn Image) -> Listing {
        let mut first_of: BTreeMap<u32, &Vec<u8>> = BTreeMap::new();
        for (path, node) in &self.nodes {
            first_of.entry(node.attributes.serial).or_insert(path);
        }
        let expected = |node: &Node| {
            let Attributes { mode, links, uid, gid, serial, mtime } = node.attributes;
            let links = u64::from(links);
            let kind = match mode & S_IFMT {
                0o040_000 => ExpectedKind::Directory { links },
                0o120_000 => ExpectedKind::Symlink(node.target.clone().unwrap_or_default()),
                0o100_000 => {
                    let content = node.extents.iter();
                    let content =
                        content.flat_map(|extent| image.read(extent.start, extent.length));
                    let same_as = first_of[&serial].clone();
                    ExpectedKind::File { content: content.collect(), links, same_as }
                }
                file_type => special(file_type, node.device.unwrap_or_default()),
            };
            let (mode, mtime, xattrs) = (mode & 0o7777, (mtime, 0), BTreeMap::new());
            Expected { kind, mode, uid, gid, mtime, xattrs }
        };
        self.nodes.iter().map(|(path, node)| (path.clone(), expected(node))).collect()
    }
}
