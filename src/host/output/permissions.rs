//! Who may read and write a file that is made, and how it gets that owner, mode and reader.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use credimg_formats::Mode;
use rustix::fs::{Gid, Uid, XattrFlags};
use rustix::io::Errno;

use super::{Subject, acl};
use crate::report::Failure;

/// The mode of a file for which none is asked.
const PRIVATE_MODE: Mode = Mode::of::<0o600>();

/// Who may read and write a file that is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permissions {
    /// User and group id; the caller's own without it.
    pub owner: Option<(u32, u32)>,
    /// 0600 without it, whatever the old file has.
    pub mode: Option<Mode>,
    /// A user who may read it besides, by an access control list.
    pub reader: Option<u32>,
}

impl Permissions {
    /// The access control list, and the mode that stat(2) shows, which a file of this owner gets. Each
    /// is none where it is left as it is.
    fn access(&self, owner: u32) -> (Option<Vec<u8>>, Option<Mode>) {
        // Who owns the file may read it anyway, and needs no entry of a list.
        let Some(reader) = self.reader.filter(|reader| *reader != owner) else {
            return (None, self.mode);
        };
        let mode = self.mode.unwrap_or(PRIVATE_MODE);
        (Some(acl::with_user(mode, reader, acl::READ)), Some(acl::shown_mode(mode)))
    }

    /// Whether the file, of which `found` was told, has the mode and the access control
    /// list that [`OutputFile::commit`](super::OutputFile::commit) gives it.
    pub fn has_access(&self, file: &File, found: &Metadata) -> bool {
        let (list, mode) = self.access(found.uid());
        let mut bytes = [0; 64];
        let has_list = match (rustix::fs::fgetxattr(file, acl::NAME, &mut bytes[..]), list) {
            (Ok(length), Some(list)) => bytes.get(..length) == Some(&*list),
            (Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS), None) => true,
            _ => false,
        };
        has_list && mode.is_none_or(|mode| u32::from(mode) == found.mode() & 0o7777)
    }
}

/// The failure of [`widen`]: the file cannot be given the owner, mode and reader that were asked for.
pub(super) fn no_access(subject: &Subject, error: Errno, permissions: Permissions) -> Failure {
    let failure = subject.failure("set the owner and mode of", error);
    if error != Errno::OPNOTSUPP || permissions.reader.is_none() {
        return failure;
    }
    let hint = "its file system has no access control lists, as --reader wants: give --owner";
    let both = failure.hint.as_ref().map(|news| format!("{hint}; {news}"));
    failure.hint(both.unwrap_or_else(|| hint.to_owned()))
}

/// Gives the finished image the owner, mode and reader that were asked for: the owner
/// first, because a change of owner clears bits of the mode.
pub(super) fn widen(file: &File, permissions: Permissions) -> rustix::io::Result<()> {
    if let Some((uid, gid)) = permissions.owner {
        rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    if let Some(mode) = permissions.mode {
        // The directory's default ACL may have named other readers. While the
        // mode is 0600 they are masked; a wider mode would let them in.
        match rustix::fs::fremovexattr(file, acl::NAME) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error),
        }
        rustix::fs::fchmod(file, rustix::fs::Mode::from_raw_mode(mode.into()))?;
    }
    if permissions.reader.is_some()
        && let (Some(list), _) = permissions.access(rustix::fs::fstat(file)?.st_uid)
    {
        rustix::fs::fsetxattr(file, acl::NAME, &list, XattrFlags::empty())?;
    }
    Ok(())
}
