//! The access control list of a file that one user more may read, or of a directory that one
//! user more gets through (acl(5)).

use credimg_formats::Mode;

/// `ACL_EA_VERSION` and the tags of `linux/posix_acl_xattr.h` and `linux/posix_acl.h`.
const VERSION: u32 = 2;
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
/// The id of entries that have none.
const UNDEFINED: u32 = u32::MAX;
/// The permission to read.
pub(super) const READ: u16 = 0o4;
/// The permission to get through a directory, to names that are known.
pub(super) const PASS: u16 = 0o1;

/// The extended attribute that holds the list.
pub(super) const NAME: &str = "system.posix_acl_access";

/// The list of what has this mode, and gives `user` the permission besides.
pub(super) fn with_user(mode: Mode, user: u32, permission: u16) -> Vec<u8> {
    let mode = mode.bits();
    let group = mode >> 3 & 0o7;
    let entries = [
        (USER_OBJ, mode >> 6 & 0o7, UNDEFINED),
        (USER, permission, user),
        (GROUP_OBJ, group, UNDEFINED),
        (MASK, group | permission, UNDEFINED),
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

/// What stat(2) shows as the mode of a file that one user more may read: the mask in place of the group.
pub(super) fn shown_mode(mode: Mode) -> Mode {
    mode.with(Mode::of::<{ READ << 3 }>())
}

/// What a list allows the group and those whom it names, after its mask was applied.
pub(super) struct List {
    /// To the owning group.
    pub(super) group: u16,
    /// To users and groups by name: whether it is a group, its id, and the permissions.
    pub(super) named: Vec<(bool, u32, u16)>,
}

/// The list in an extended attribute; none where it is not one.
pub(super) fn parse(bytes: &[u8]) -> Option<List> {
    let (version, entries) = bytes.split_first_chunk()?;
    let (entries, rest) = entries.as_chunks::<8>();
    if u32::from_le_bytes(*version) != VERSION || !rest.is_empty() {
        return None;
    }
    let entry = |[tag, high, permissions, more, id @ ..]: &[u8; 8]| {
        let number = |low: &u8, high: &u8| u16::from_le_bytes([*low, *high]);
        (number(tag, high), number(permissions, more), u32::from_le_bytes(*id))
    };
    let entries: Vec<_> = entries.iter().map(entry).collect();
    let of = |wanted| entries.iter().find(|(tag, ..)| *tag == wanted).map(|(_, found, _)| *found);
    let mask = of(MASK).unwrap_or(u16::MAX);
    let named = entries.iter().filter(|(tag, ..)| [USER, GROUP].contains(tag));
    let named = named.map(|(tag, permissions, id)| (*tag == GROUP, *id, permissions & mask));
    let named = named.filter(|(.., permissions)| *permissions != 0).collect();
    Some(List { group: of(GROUP_OBJ)? & mask, named })
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a panic is how a test fails"
    )]

    use super::*;

    #[test]
    fn a_list_is_read_as_it_is_written_and_masked() {
        let list = parse(&with_user(Mode::of::<0o600>(), 990, READ)).unwrap();
        assert_eq!((list.group, list.named), (0, vec![(false, 990, READ)]));
        let mut bytes = with_user(Mode::of::<0o640>(), 990, READ);
        assert_eq!(parse(&bytes).unwrap().group, READ);
        // A mask of nothing, in the fourth of its entries.
        let mask = bytes.get_mut(4 + 3 * 8 + 2).unwrap();
        assert_eq!(u16::from(std::mem::take(mask)), READ);
        let list = parse(&bytes).unwrap();
        assert_eq!((list.group, list.named), (0, Vec::new()));
        for broken in [&b""[..], &bytes[..3], &bytes[..bytes.len() - 1], b"\x03\0\0\0"] {
            assert!(parse(broken).is_none());
        }
    }
}
