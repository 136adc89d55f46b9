//! What one definition says, every value checked.

use std::ffi::OsString;
use std::fmt;
use std::iter;
use std::path::PathBuf;
use std::sync::Arc;

use credimg_formats::{Device, Secret};

use super::lines::DataFile;
use crate::manifest::Granted;
use crate::report::{Position, shown_bytes};
use crate::sources::builder::InodeAttributes;

/// Longest path in the image and on the host: `PATH_MAX` of Linux less its NUL.
pub(super) const PATH_MAX_BYTES: usize = 4095;

/// A path in the image: names that are checked, separated by NUL instead of a
/// slash, so that the order of bytes is the order of components and what is
/// below a directory follows it at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath(pub(super) Box<[u8]>);

impl ImagePath {
    /// Whether it is the root directory.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it lies below `upper`, at any depth.
    pub(super) fn is_below(&self, upper: &Self) -> bool {
        let rest = self.0.strip_prefix(&*upper.0);
        rest.is_some_and(|rest| !rest.is_empty() && (upper.is_root() || rest.first() == Some(&0)))
    }

    /// The path with a leading slash.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let rest = self.0.iter().map(|byte| if *byte == 0 { b'/' } else { *byte });
        iter::once(b'/').chain(rest).collect()
    }

    /// The names from the root on.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == 0).filter(|name| !name.is_empty())
    }
}

impl fmt::Display for ImagePath {
    /// The path with a leading slash, shown as host paths are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_bytes(&self.bytes()))
    }
}

/// One definition.
pub struct Definition {
    /// What it makes or changes.
    pub path: ImagePath,
    /// How.
    pub action: Action,
    /// Where it stands.
    pub position: Position,
    /// How it came to the machine of a fleet, if it is one's.
    pub granted: Option<Granted>,
}

/// What a definition does.
pub enum Action {
    /// Makes something that is described here.
    Make(InodeAttributes, New),
    /// `m`, `M`: changes the attributes of what another source made.
    Modify(InodeAttributes),
    /// `x`: adds an extended attribute, or gives it another value.
    Xattr {
        /// Full name.
        name: Box<[u8]>,
        /// Value: 1 to 65536 bytes.
        value: Secret,
    },
    /// `l`, `h`: a file of the host with its own attributes.
    HostFile(HostFile),
    /// `L`: a further name of what an earlier definition made.
    Link(ImagePath),
}

/// What is made.
pub enum New {
    /// `d`, `D`.
    Directory,
    /// `f`, `F`: a file with what `/bin/sh -c` prints for this.
    Command(OsString),
    /// `s`, `S`: 1 to 4095 bytes without NUL.
    Symlink(Box<[u8]>),
    /// `b`, `B`.
    BlockDevice(Device),
    /// `c`, `C`.
    CharDevice(Device),
    /// `i`, `I` with `f`.
    Fifo,
    /// `i`, `I` with `s`.
    Socket,
    /// `R`: bytes of the data section of the definition's own file.
    Data(DataSection),
}

impl New {
    fn is_directory(&self) -> bool {
        match self {
            Self::Directory => true,
            Self::Command(_)
            | Self::Symlink(_)
            | Self::BlockDevice(_)
            | Self::CharDevice(_)
            | Self::Fifo
            | Self::Socket
            | Self::Data(_) => false,
        }
    }
}

/// A file of the host that `l` or `h` names.
pub struct HostFile {
    /// As written: absolute, or relative to the manifest's directory.
    pub path: PathBuf,
    /// `h`: a symbolic link is followed.
    pub is_followed: bool,
}

/// A range of a data section; it lies within the file.
pub struct DataSection {
    pub(super) file: Arc<DataFile>,
    pub(super) length_bytes: u64,
    /// From the beginning of the data section.
    pub(super) offset_bytes: u64,
}

impl Action {
    /// The type's letter, the lower-case one where the time alone differs.
    pub fn letter(&self) -> char {
        match self {
            Self::Make(_, New::Directory) => 'd',
            Self::Make(_, New::Command(_)) => 'f',
            Self::Make(_, New::Symlink(_)) => 's',
            Self::Make(_, New::BlockDevice(_)) => 'b',
            Self::Make(_, New::CharDevice(_)) => 'c',
            Self::Make(_, New::Fifo | New::Socket) => 'i',
            Self::Make(_, New::Data(_)) => 'R',
            Self::Modify(_) => 'm',
            Self::Xattr { .. } => 'x',
            Self::HostFile(HostFile { is_followed: false, .. }) => 'l',
            Self::HostFile(HostFile { is_followed: true, .. }) => 'h',
            Self::Link(_) => 'L',
        }
    }

    /// Whether it gives an extended attribute.
    pub(super) fn is_xattr(&self) -> bool {
        match self {
            Self::Xattr { .. } => true,
            Self::Make(..) | Self::Modify(_) | Self::HostFile(_) | Self::Link(_) => false,
        }
    }

    /// Whether what it makes or changes may be a directory. What `m` changes may be one.
    pub(super) fn may_be_directory(&self) -> bool {
        match self {
            Self::Make(_, new) => new.is_directory(),
            Self::Modify(_) => true,
            Self::Xattr { .. } | Self::HostFile(_) | Self::Link(_) => false,
        }
    }

    /// Whether it can be said of the root directory.
    pub(super) fn is_for_root(&self) -> bool {
        match self {
            Self::Make(_, new) => new.is_directory(),
            Self::Xattr { .. } => true,
            Self::Modify(_) | Self::HostFile(_) | Self::Link(_) => false,
        }
    }
}

impl fmt::Debug for Action {
    /// The letter alone: commands, link targets and host paths may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Action").field(&self.letter()).finish()
    }
}
