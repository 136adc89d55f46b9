//! Who may get at a file that exists, compared with another one.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use credimg_formats::Mode;
use rustix::io::Errno;

use super::acl::{self, List};

/// Longest access control list that is read: some eighty readers.
const LIST_MAX_BYTES: usize = 4096;

/// A file's owner and group, and what its mode and access control list allow them and others.
#[derive(Debug)]
pub struct Access {
    /// The user who owns it.
    pub owner: u32,
    /// Its group.
    pub group: u32,
    /// The mode as stat(2) shows it, without the file's type.
    pub mode: u32,
    /// What the group may do. Where there is an access control list, the mode shows its mask
    /// in this place, and the list alone tells.
    group_may: u16,
    named: Vec<(bool, u32, u16)>,
    /// Whether the access control list could be read and understood.
    is_known: bool,
}

/// Why a file allows more than another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// It has another owner.
    Owner,
    /// Its mode has a bit that the other one's lacks.
    Mode,
    /// Its group is another one, and may do something.
    OtherGroup,
    /// Its group is the same, and the other file's list does not let it do that.
    Group,
    /// Its list names somebody whom the other one's does not, or lets them do more.
    List,
}

impl Access {
    /// Who may get at an open file; `found` is its metadata.
    pub fn of_file(file: &File, found: &Metadata) -> std::io::Result<Self> {
        Self::new(found, |bytes| rustix::fs::fgetxattr(file, acl::NAME, bytes))
    }

    /// Who may get at the regular file at `path`, which need not be readable; `found` is its
    /// metadata.
    pub fn of_path(path: &Path, found: &Metadata) -> std::io::Result<Self> {
        Self::new(found, |bytes| rustix::fs::lgetxattr(path, acl::NAME, bytes))
    }

    /// Who may get at a directory of this owner, group and mode that lets one user more through.
    pub(super) fn of_directory(owner: u32, group: u32, mode: Mode, passer: Option<u32>) -> Self {
        let group_may = mode.bits() >> 3 & 0o7;
        let named = passer.into_iter().map(|user| (false, user, acl::PASS)).collect();
        // The list's mask stands in the group's place.
        let mask = if passer.is_some() { acl::PASS << 3 } else { 0 };
        let mode = u32::from(mode.bits() | mask);
        Self { owner, group, mode, group_may, named, is_known: true }
    }

    /// Whether everybody gets through this directory, and nobody but its owner lists it or makes
    /// anything in it.
    pub(super) fn lets_all_pass(&self) -> bool {
        let only_pass = |(.., permissions): &(bool, u32, u16)| permissions & !acl::PASS == 0;
        self.is_known && self.mode == 0o711 && self.named.iter().all(only_pass)
    }

    /// The first user whom the list names.
    pub(super) fn named_user(&self) -> Option<u32> {
        self.named.iter().find(|(is_group, ..)| !is_group).map(|(_, user, _)| *user)
    }

    fn new(
        found: &Metadata,
        list: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
    ) -> std::io::Result<Self> {
        let mode = found.mode() & 0o7777;
        let group_may = mode >> 3 & 0o7;
        let mut access = Self {
            owner: found.uid(),
            group: found.gid(),
            mode,
            group_may: u16::try_from(group_may).unwrap_or(0o7),
            named: Vec::new(),
            is_known: true,
        };
        // Where there is a list, its mask stands in the group's place.
        if group_may == 0 {
            return Ok(access);
        }
        let mut bytes = [0; LIST_MAX_BYTES];
        let length = match list(&mut bytes) {
            Ok(length) => length,
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(access),
            Err(Errno::RANGE) => 0,
            Err(error) => return Err(error.into()),
        };
        match bytes.get(..length).and_then(acl::parse) {
            Some(List { group, named }) => (access.group_may, access.named) = (group, named),
            None => access.is_known = false,
        }
        Ok(access)
    }

    /// Why it allows more than `other`; none where it does not.
    pub fn excess(&self, other: &Self) -> Option<Excess> {
        let is_given = |(is_group, id, permissions): &(bool, u32, u16)| {
            let is_same = |entry: &&(bool, u32, u16)| (entry.0, entry.1) == (*is_group, *id);
            let given = other.named.iter().find(is_same).map_or(0, |entry| entry.2);
            !*is_group && *id == other.owner || permissions & !given == 0
        };
        if self.owner != other.owner {
            Some(Excess::Owner)
        } else if self.mode & !other.mode != 0 {
            Some(Excess::Mode)
        } else if !self.is_known || !self.named.iter().all(is_given) {
            Some(Excess::List)
        } else if self.group_may != 0 && self.group != other.group {
            Some(Excess::OtherGroup)
        } else if other.is_known && self.group_may & !other.group_may != 0 {
            Some(Excess::Group)
        } else {
            None
        }
    }
}
