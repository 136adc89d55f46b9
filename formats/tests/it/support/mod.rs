//! What the reference tests share: a plain listing of a tree, a generator of trees
//! with their listings, and a walker that reads a listing off a mounted or
//! extracted directory.

pub(crate) mod generator;
pub(crate) mod host;
pub(crate) mod memory;
pub(crate) mod permissions;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use credimg_formats::{Content, Kind, Metadata, Mode, Name, Secret, Timestamp};

/// The time of images and of the entries of trees made by hand.
pub(crate) const BUILD_TIME: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// What an inode of that mode has that belongs to root.
pub(crate) fn plain(mode: u16) -> Metadata {
    let mode = Mode::new(mode).unwrap();
    Metadata { mode, mtime: BUILD_TIME, ..Metadata::default() }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

pub(crate) fn file(content: &[u8]) -> Kind {
    Kind::File(Content::Memory(Secret::from(content)))
}

/// One entry as `lstat`, `read`, `readlink` and `lgetxattr` show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) kind: ExpectedKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: (i64, i64),
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedKind {
    Directory {
        links: u64,
    },
    /// `same_as` is the first path (in sorted order) of the same inode.
    File {
        content: Vec<u8>,
        links: u64,
        same_as: Vec<u8>,
    },
    Symlink(Vec<u8>),
    /// A device, FIFO or socket: `S_IFMT` bits of the mode, major and minor number.
    Special {
        file_type: u32,
        device: (u32, u32),
    },
}

/// Paths without leading slash; the root is empty.
pub(crate) type Listing = BTreeMap<Vec<u8>, Expected>;

/// Reads the listing off a directory. Without `xattrs` none are read.
pub(crate) fn walk(root: &Path, xattrs: bool) -> Listing {
    let mut listing = Listing::new();
    let mut first_path: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let host = root.join(OsStr::from_bytes(&path));
        let stat = host.symlink_metadata().unwrap();
        let kind = if stat.is_dir() {
            for entry in std::fs::read_dir(&host).unwrap() {
                pending.push(join(&path, entry.unwrap().file_name().as_bytes()));
            }
            ExpectedKind::Directory { links: stat.nlink() }
        } else if stat.is_symlink() {
            ExpectedKind::Symlink(host.read_link().unwrap().as_os_str().as_bytes().to_vec())
        } else if !stat.is_file() {
            let (major, minor) = (rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()));
            special(stat.mode() & S_IFMT, (major, minor))
        } else {
            first_path
                .entry(stat.ino())
                .and_modify(|first| *first = first.clone().min(path.clone()))
                .or_insert_with(|| path.clone());
            let content = std::fs::read(&host).unwrap();
            // The inode's number stands in until its first path is known.
            let same_as = stat.ino().to_be_bytes().to_vec();
            ExpectedKind::File { content, links: stat.nlink(), same_as }
        };
        let expected = Expected {
            kind,
            mode: stat.mode() & 0o7777,
            uid: stat.uid(),
            gid: stat.gid(),
            mtime: (stat.mtime(), stat.mtime_nsec()),
            xattrs: if xattrs { read_xattrs(&host) } else { BTreeMap::new() },
        };
        listing.insert(path, expected);
    }
    for expected in listing.values_mut() {
        if let ExpectedKind::File { same_as, .. } = &mut expected.kind {
            let ino = u64::from_be_bytes(same_as.as_slice().try_into().unwrap());
            same_as.clone_from(&first_path[&ino]);
        }
    }
    listing
}

fn read_xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 65536];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        // SquashFS says so of an image without any.
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        length => length.unwrap(),
    };
    let mut xattrs = BTreeMap::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 65536];
        let size = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value).unwrap();
        value.truncate(size);
        xattrs.insert(name.to_vec(), value);
    }
    xattrs
}

pub(crate) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}

pub(crate) const S_IFMT: u32 = 0o170_000;
pub(crate) const S_IFIFO: u32 = 0o010_000;
pub(crate) const S_IFCHR: u32 = 0o020_000;
pub(crate) const S_IFBLK: u32 = 0o060_000;
pub(crate) const S_IFSOCK: u32 = 0o140_000;

pub(crate) fn special(file_type: u32, device: (u32, u32)) -> ExpectedKind {
    ExpectedKind::Special { file_type, device }
}

/// Compares entry by entry and names the first that differs, without dumping content.
pub(crate) fn assert_same(seed: u64, judge: &str, expected: &Listing, got: &Listing) {
    for (path, want) in expected {
        let shown = path.escape_ascii();
        let Some(have) = got.get(path) else {
            panic!("seed {seed}: {judge}: /{shown} is missing");
        };
        let (want_text, have_text) = (brief(want), brief(have));
        assert!(want == have, "seed {seed}: {judge}: /{shown}: want {want_text}, got {have_text}");
    }
    assert_eq!(expected.len(), got.len(), "seed {seed}: {judge}: entries that were not put in");
}

fn brief(entry: &Expected) -> String {
    let kind = match &entry.kind {
        ExpectedKind::Directory { links } => format!("directory, {links} links"),
        ExpectedKind::Symlink(target) => format!("symlink of {} bytes", target.len()),
        ExpectedKind::Special { file_type, device } => format!("type {file_type:o} {device:?}"),
        ExpectedKind::File { content, links, same_as } => {
            let sum = content
                .iter()
                .fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
            let (length, same_as) = (content.len(), same_as.escape_ascii());
            format!("file of {length} bytes (sum {sum:x}), {links} links, first {same_as}")
        }
    };
    let xattrs: Vec<_> =
        entry.xattrs.iter().map(|(n, v)| (n.escape_ascii().to_string(), v.len())).collect();
    let Expected { mode, uid, gid, mtime, .. } = entry;
    format!("{kind}, mode {mode:o}, owner {uid}:{gid}, mtime {mtime:?}, xattrs {xattrs:?}")
}
