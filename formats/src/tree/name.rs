//! Names: one component of a path, checked once.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// Longest file name in bytes (`NAME_MAX` of Linux).
pub const NAME_MAX_BYTES: usize = 255;

/// One component of a path: 1 to 255 bytes, no slash, no NUL, neither `.` nor `..`. A clone
/// shares the bytes.
///
/// ```
/// use credimg_formats::Name;
///
/// let name: Name = "ssh_host_ed25519_key".parse()?;
/// assert_eq!(name.as_bytes(), b"ssh_host_ed25519_key");
/// assert!(Name::try_from("etc/ssh").is_err());
/// # Ok::<(), credimg_formats::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// Checks `bytes` and takes them as a name; [`ErrorKind::Unrepresentable`] says what is wrong.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        match Self::fault(bytes) {
            Some(fault) => Err(Error::new(ErrorKind::Unrepresentable, fault)),
            None => Ok(Self(bytes.into())),
        }
    }

    /// Why `bytes` are no name; none where they are one.
    pub(crate) fn fault(bytes: &[u8]) -> Option<String> {
        Some(if bytes.is_empty() {
            "a name is empty".to_owned()
        } else if bytes == b"." || bytes == b".." {
            "`.` and `..` are not allowed as names".to_owned()
        } else if bytes.contains(&0) {
            "a name holds a NUL byte".to_owned()
        } else if bytes.contains(&b'/') {
            "a name holds a slash".to_owned()
        } else if bytes.len() > NAME_MAX_BYTES {
            format!("a name is {} bytes long, at most {NAME_MAX_BYTES} are possible", bytes.len())
        } else {
            return None;
        })
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Name {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self> {
        Self::new(bytes)
    }
}

impl TryFrom<&str> for Name {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::new(text.as_bytes())
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text.as_bytes())
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
