//! Lines as `ls -l --full-time` of GNU coreutils prints them, with the time in UTC.

use std::io::Write;

use credimg_formats::DateTime;
use credimg_formats::read::{NodeKind, Stat};

use crate::report::shown_bytes;

/// What is printed of an entry.
pub(super) struct Detail<'a> {
    pub(super) name: &'a [u8],
    pub(super) stat: &'a Stat,
    /// Where a symbolic link leads.
    pub(super) target: Option<Box<[u8]>>,
    /// Whether an access control list adds to the permissions.
    pub(super) has_list: bool,
}

/// How wide the columns of a listing are: each as its widest value.
#[derive(Default)]
pub(super) struct Widths {
    links: usize,
    owner: usize,
    group: usize,
    size: usize,
    major: usize,
    minor: usize,
    has_lists: bool,
}

impl Widths {
    pub(super) fn of(details: &[Detail]) -> Self {
        let mut widths = Self::default();
        for Detail { stat, has_list, .. } in details {
            widths.has_lists |= has_list;
            widths.links = widths.links.max(digits(stat.links.into()));
            widths.owner = widths.owner.max(digits(stat.uid.into()));
            widths.group = widths.group.max(digits(stat.gid.into()));
            match stat.kind {
                NodeKind::CharDevice(device) | NodeKind::BlockDevice(device) => {
                    widths.major = widths.major.max(digits(device.major().into()));
                    widths.minor = widths.minor.max(digits(device.minor().into()));
                    // A comma and a space stand between them.
                    widths.size = widths.size.max(widths.major + 2 + widths.minor);
                }
                NodeKind::Directory
                | NodeKind::File
                | NodeKind::Symlink
                | NodeKind::Fifo
                | NodeKind::Socket => widths.size = widths.size.max(digits(stat.size_bytes)),
            }
        }
        widths
    }
}

/// Appends the line of an entry.
pub(super) fn write(widths: &Widths, detail: &Detail, to: &mut Vec<u8>) {
    let Detail { name, stat, target, has_list } = detail;
    to.extend_from_slice(&mode(stat));
    if widths.has_lists {
        to.push(if *has_list { b'+' } else { b' ' });
    }
    let Stat { links, uid, gid, mtime, .. } = stat;
    let Widths { links: links_width, owner, group, size, major, minor, .. } = widths;
    // Memory takes all that is written.
    let _ = write!(to, " {links:>links_width$} {uid:>owner$} {gid:>group$} ");
    let _ = match stat.kind {
        NodeKind::CharDevice(device) | NodeKind::BlockDevice(device) => {
            let major_width = major + size.saturating_sub(major + 2 + minor);
            write!(to, "{:>major_width$}, {:>minor$} ", device.major(), device.minor())
        }
        NodeKind::Directory
        | NodeKind::File
        | NodeKind::Symlink
        | NodeKind::Fifo
        | NodeKind::Socket => write!(to, "{:>size$} ", stat.size_bytes),
    };
    let _ = match DateTime::from_seconds(mtime.seconds()) {
        Some(DateTime { year, month, day, hour, minute, second }) => write!(
            to,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:09} +0000 ",
            mtime.nanoseconds()
        ),
        // Years that have no date here.
        None => write!(to, "{} ", mtime.seconds()),
    };
    to.extend_from_slice(shown_bytes(name).as_bytes());
    if let Some(target) = target {
        to.extend_from_slice(b" -> ");
        to.extend_from_slice(shown_bytes(target).as_bytes());
    }
    to.push(b'\n');
}

/// Type and permissions, as POSIX has them for `ls -l`.
fn mode(stat: &Stat) -> [u8; 10] {
    let kind = match stat.kind {
        NodeKind::Directory => b'd',
        NodeKind::File => b'-',
        NodeKind::Symlink => b'l',
        NodeKind::CharDevice(_) => b'c',
        NodeKind::BlockDevice(_) => b'b',
        NodeKind::Fifo => b'p',
        NodeKind::Socket => b's',
    };
    let mode = stat.mode.bits();
    let may = |bit: u16, letter| if mode & bit == 0 { b'-' } else { letter };
    // Set-id and sticky bits share a place with the right to execute.
    let run = |bit: u16, special: u16, letter: u8| match (mode & special, mode & bit) {
        (0, _) => may(bit, b'x'),
        (_, 0) => letter.to_ascii_uppercase(),
        (_, _) => letter,
    };
    [
        kind,
        may(0o400, b'r'),
        may(0o200, b'w'),
        run(0o100, 0o4000, b's'),
        may(0o040, b'r'),
        may(0o020, b'w'),
        run(0o010, 0o2000, b's'),
        may(0o004, b'r'),
        may(0o002, b'w'),
        run(0o001, 0o1000, b't'),
    ]
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |digits| digits as usize + 1)
}
