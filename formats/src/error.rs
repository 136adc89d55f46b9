//! The one error type of this crate: a kind that says whose fault it is, the
//! place in the tree, and what was expected and got. No message holds content.

use std::fmt;
use std::io;

use crate::tree::{InodeId, Tree};

/// Whose fault an error is. Who decides by it thinks of every kind: a new one is a breaking
/// change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The tree holds something that the format cannot hold.
    Unrepresentable,
    /// A limit of the format or of this crate is exceeded.
    Limit,
    /// What the image asks for costs more work or memory than is allowed.
    Cost,
    /// A tree operation that makes no sense, such as two entries of one name.
    Conflict,
    /// A source delivered other bytes than were planned.
    Changed,
    /// The image is not a valid one.
    Corrupt,
    /// The image uses a feature that this crate does not know.
    Unsupported,
    /// A key or passphrase is not the right one, or no usable one.
    Key,
    /// Reading a source failed.
    Source,
    /// Writing the image failed.
    Io,
    /// This crate has a bug: neither the tree nor the image is to blame.
    Bug,
}

/// An error with its kind, the path in the tree where there is one, and its cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    path: Option<Vec<u8>>,
    source: Option<io::Error>,
}

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `message` is lower case, without a full stop, and never holds content.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), path: None, source: None }
    }

    /// Adds the path in the tree, with a leading slash.
    #[must_use]
    pub fn at(mut self, path: impl Into<Vec<u8>>) -> Self {
        self.path.get_or_insert(path.into());
        self
    }

    /// Adds the path of an inode of `tree`, unless the image's own output failed:
    /// no inode is to blame for that.
    #[must_use]
    pub(crate) fn at_inode(self, tree: &Tree, id: InodeId) -> Self {
        match self.kind {
            ErrorKind::Io => self,
            ErrorKind::Unrepresentable
            | ErrorKind::Limit
            | ErrorKind::Cost
            | ErrorKind::Conflict
            | ErrorKind::Changed
            | ErrorKind::Corrupt
            | ErrorKind::Unsupported
            | ErrorKind::Key
            | ErrorKind::Source
            | ErrorKind::Bug => self.at(tree.path_of(id)),
        }
    }

    /// Adds the operating system's error.
    #[must_use]
    pub fn caused_by(mut self, source: io::Error) -> Self {
        self.source = Some(source);
        self
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The place in the tree, with a leading slash, where the error belongs to one.
    pub fn path(&self) -> Option<&[u8]> {
        self.path.as_deref()
    }

    /// The operating system's error beneath, if any.
    pub fn io_error(&self) -> Option<&io::Error> {
        self.source.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.escape_ascii())?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::new(ErrorKind::Io, "cannot write the image").caused_by(source)
    }
}

/// What is read breaks the rules of its format.
pub(crate) fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

/// What is read has a feature that is not read here.
pub(crate) fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

/// The operating system's answer, as an error of reading an image.
pub(crate) fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Source, "cannot read the image").caused_by(error)
}

/// What is written is not what was planned.
pub(crate) fn inconsistent() -> Error {
    Error::new(ErrorKind::Bug, "the layout of the image is inconsistent")
}
