//! The access control list of a file that one user more may read (acl(5)).

/// `ACL_EA_VERSION` and the tags of `linux/posix_acl_xattr.h` and `linux/posix_acl.h`.
const VERSION: u32 = 2;
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
/// The id of entries that have none.
const UNDEFINED: u32 = u32::MAX;
/// The permission to read.
const READ: u16 = 0o4;

/// The extended attribute that holds the list.
pub(super) const NAME: &str = "system.posix_acl_access";

/// The list of a file of this mode that `reader` may read.
pub(super) fn with_reader(mode: u16, reader: u32) -> Vec<u8> {
    let group = mode >> 3 & 0o7;
    let entries = [
        (USER_OBJ, mode >> 6 & 0o7, UNDEFINED),
        (USER, READ, reader),
        (GROUP_OBJ, group, UNDEFINED),
        (MASK, group | READ, UNDEFINED),
        (OTHER, mode & 0o7, UNDEFINED),
    ];
    let mut list = Vec::from(VERSION.to_le_bytes());
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

/// What stat(2) shows as the mode of such a file: the mask in place of the group.
pub(super) fn shown_mode(mode: u16) -> u16 {
    mode | READ << 3
}
