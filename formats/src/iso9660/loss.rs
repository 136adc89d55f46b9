//! What an image does not hold of a tree: what the format has no place for, and what
//! it has but Linux reads otherwise.

use super::keys::{JOLIET_MAX, lost_in_joliet};
use super::system_use::LINUX_NAME_MAX_BYTES;
use crate::error::{Error, ErrorKind};
use crate::tree::{Device, Inode, InodeId, Kind, Name, Tree, Visit};

/// Largest minor number that Linux takes apart from major number 0: a larger one is
/// taken for a number that holds both (`parse_rock_ridge_inode`).
const DEVICE_LOW_MAX: u32 = 255;

/// Something of the tree that a lossy image does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The inode that it belongs to.
    pub id: InodeId,
    /// Of a loss of one name: the directory and the name.
    pub entry: Option<(InodeId, Name)>,
    /// What is lost of it.
    pub lost: Lost,
}

/// What is lost of an inode. Who tells it thinks of every kind: a new one is a breaking change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// All its extended attributes: the format has none.
    Xattrs,
    /// The end of its name: Linux shows the first 253 bytes. Other readers show all.
    NameEnd,
    /// The entry itself: where a name is one byte, 0x01 or not of ASCII, Linux lists
    /// it and does not find it. Other readers do.
    Entry,
    /// The device's number: Linux reads another one, where the major number is 0 and
    /// the minor number is over 255.
    DeviceNumber,
    /// Its name in the Joliet tree: another one is there, of at most 64 characters and a dot.
    JolietLength,
    /// Its name in the Joliet tree: another one is there, without the characters that
    /// Joliet does not have, or dots at its end, which readers do not show.
    JolietCharacter,
    /// Its time: Linux reads the seconds since 1970 as a signed number of 32 bits.
    Time,
}

impl Loss {
    fn of(id: InodeId, lost: Lost) -> Self {
        Self { id, entry: None, lost }
    }

    /// The path in `tree` that it is about, with a leading slash.
    pub fn path(&self, tree: &Tree) -> Vec<u8> {
        let Some((directory, name)) = &self.entry else { return tree.path_of(self.id) };
        let mut path = tree.path_of(*directory);
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        path.extend(name.as_bytes());
        path
    }

    pub(super) fn error(&self) -> Error {
        Error::new(
            ErrorKind::Unrepresentable,
            match self.lost {
                Lost::Xattrs => "ISO 9660 holds no extended attributes".to_owned(),
                Lost::NameEnd => format!(
                    "a name is longer than {LINUX_NAME_MAX_BYTES} bytes, of which Linux shows \
                     no more from ISO 9660"
                ),
                Lost::Entry => "a name of one byte that is 0x01 or not of ASCII, which Linux \
                                lists and does not find on ISO 9660"
                    .to_owned(),
                Lost::DeviceNumber => format!(
                    "Linux reads no minor number over {DEVICE_LOW_MAX} of major number 0 from \
                     ISO 9660"
                ),
                Lost::JolietLength => format!(
                    "a name is longer than the {JOLIET_MAX} characters that Joliet holds, of which \
                     a file's last dot is none"
                ),
                Lost::JolietCharacter => "a name has a character that Joliet does not hold: one \
                                          of `*:;?\\`, a control character, one outside of UCS-2, \
                                          or a dot at its end"
                    .to_owned(),
                Lost::Time => "the time is out of range: from ISO 9660 Linux reads those from \
                               1901-12-13T20:45:52Z to 2038-01-19T03:14:07Z"
                    .to_owned(),
            },
        )
    }
}

/// All that an image of `tree`, with a Joliet tree or without, does not hold of it: in the
/// order of its paths.
pub fn losses(tree: &Tree, joliet: bool) -> Vec<Loss> {
    let mut losses = Vec::new();
    for Visit { entry, id, inode, is_first } in tree.walk() {
        if is_first {
            losses.extend(lost_of_inode(inode).map(|lost| Loss::of(id, lost)));
        }
        if let Some((directory, name)) = entry {
            let in_joliet = joliet.then(|| lost_in_joliet_of(inode, name)).flatten();
            let found = [lost_of_name(name.as_bytes()), in_joliet];
            let loss = |lost| Loss { id, entry: Some((directory, name.clone())), lost };
            losses.extend(found.into_iter().flatten().map(loss));
        }
    }
    losses
}

/// What is lost of an inode, whatever its names.
fn lost_of_inode(inode: &Inode) -> impl Iterator<Item = Lost> {
    let is_lost_number = |device: &Device| device.major() == 0 && device.minor() > DEVICE_LOW_MAX;
    let has_xattrs = !inode.metadata.xattrs.is_empty();
    // `iso_date` returns an `int`, at least up to Linux 6.12.
    let is_late = i32::try_from(inode.metadata.mtime.seconds()).is_err();
    let is_other_device = match inode.kind() {
        Kind::CharDevice(device) | Kind::BlockDevice(device) => is_lost_number(device),
        Kind::Directory(_) | Kind::File(_) | Kind::Symlink(_) | Kind::Fifo | Kind::Socket => false,
    };
    let found =
        [(has_xattrs, Lost::Xattrs), (is_late, Lost::Time), (is_other_device, Lost::DeviceNumber)];
    found.into_iter().filter(|(is_lost, _)| *is_lost).map(|(_, lost)| lost)
}

/// Joliet has directories and files only.
fn lost_in_joliet_of(inode: &Inode, name: &Name) -> Option<Lost> {
    match inode.kind() {
        Kind::Directory(_) => lost_in_joliet(name.as_bytes(), true),
        Kind::File(_) => lost_in_joliet(name.as_bytes(), false),
        Kind::Symlink(_)
        | Kind::CharDevice(_)
        | Kind::BlockDevice(_)
        | Kind::Fifo
        | Kind::Socket => None,
    }
}

fn lost_of_name(name: &[u8]) -> Option<Lost> {
    match name {
        // `isofs_find_entry` compares the byte with those that stand for `.` and
        // `..`, as a number with sign.
        [0x01 | 0x80..] => Some(Lost::Entry),
        _ if name.len() > LINUX_NAME_MAX_BYTES => Some(Lost::NameEnd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::error::Result;
    use crate::iso9660::{Options, Plan};
    use crate::tree::{Metadata, Name, Timestamp};

    fn planned(tree: &Tree, lossy: bool) -> Result<Vec<Loss>> {
        let options = Options { lossy, ..Options::default() };
        Plan::new(tree, options).map(|plan| plan.losses().to_vec())
    }

    /// A tree with one entry `x`, of these attributes and this kind.
    fn with(metadata: Metadata, kind: Kind) -> Tree {
        let mut tree = Tree::new(Metadata::default());
        tree.insert(Tree::ROOT, Name::new(b"x").unwrap(), metadata, kind).unwrap();
        tree
    }

    fn lost(tree: &Tree) -> (String, Vec<Lost>) {
        let error = planned(tree, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unrepresentable);
        let losses = planned(tree, true).unwrap();
        (error.to_string(), losses.iter().map(|loss| loss.lost).collect())
    }

    fn at(seconds: i64) -> Metadata {
        let mtime = Timestamp::from_seconds(seconds);
        Metadata { mtime, ..Metadata::default() }
    }

    #[test]
    fn what_cannot_be_held_is_an_error_or_a_loss() {
        let mut xattrs = Metadata::default();
        xattrs.xattrs.insert(b"user.a".as_slice().into(), crate::Secret::default());
        let expected = "/x: ISO 9660 holds no extended attributes".to_owned();
        assert_eq!(lost(&with(xattrs, Kind::Fifo)), (expected, vec![Lost::Xattrs]));

        let device = |minor| Kind::CharDevice(Device::new(0, minor).unwrap());
        let expected = "/x: Linux reads no minor number over 255 of major number 0 from ISO 9660";
        let found = lost(&with(Metadata::default(), device(256)));
        assert_eq!(found, (expected.to_owned(), vec![Lost::DeviceNumber]));
        assert_eq!(planned(&with(Metadata::default(), device(255)), false).unwrap(), []);

        let expected = "/x: the time is out of range: from ISO 9660 Linux reads those from \
                        1901-12-13T20:45:52Z to 2038-01-19T03:14:07Z";
        for seconds in [i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1] {
            let found = lost(&with(at(seconds), Kind::Fifo));
            assert_eq!(found, (expected.to_owned(), vec![Lost::Time]));
        }
        for seconds in [i32::MIN, i32::MAX] {
            assert_eq!(planned(&with(at(seconds.into()), Kind::Fifo), false).unwrap(), []);
        }
    }

    #[test]
    fn names_of_one_odd_byte_are_not_found_by_linux() {
        let named = |name: &[u8]| {
            let mut tree = Tree::new(Metadata::default());
            let name = Name::new(name).unwrap();
            tree.insert(Tree::ROOT, name, Metadata::default(), Kind::Fifo).unwrap();
            tree
        };
        for odd in [1, 0x80, 0xff] {
            let (error, losses) = lost(&named(&[odd]));
            assert!(error.ends_with("lists and does not find on ISO 9660"), "{error}");
            assert_eq!(losses, [Lost::Entry]);
        }
        for fine in [[2].as_slice(), &[0x7f], b"a", &[1, 1], &[0xff, 0xff]] {
            assert_eq!(planned(&named(fine), false).unwrap(), [], "{fine:?}");
        }
    }

    #[test]
    fn names_over_253_bytes_are_lost_on_linux() {
        let mut tree = Tree::new(Metadata::default());
        for length in [253, 254, 255] {
            let name = Name::new(&vec![b'n'; length]).unwrap();
            tree.insert(Tree::ROOT, name, Metadata::default(), Kind::Fifo).unwrap();
        }
        let error = planned(&tree, false).unwrap_err().to_string();
        let (path, message) = error.split_once(": ").unwrap();
        assert_eq!(path.len(), 1 + 254);
        let expected =
            "a name is longer than 253 bytes, of which Linux shows no more from ISO 9660";
        assert_eq!(message, expected);
        let losses = planned(&tree, true).unwrap();
        assert_eq!(losses.iter().map(|loss| loss.lost).collect::<Vec<_>>(), [Lost::NameEnd; 2]);
    }

    #[test]
    fn years_that_have_no_byte_are_refused_even_if_lossy() {
        for seconds in [-2_208_988_801, 5_869_584_000] {
            let error = planned(&with(at(seconds), Kind::Fifo), true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unrepresentable);
        }
    }
}
