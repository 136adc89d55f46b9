//! Leaves out what `--lossy` gives up, and tells people of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use credimg_formats::iso9660::{self, Loss, Lost};
use credimg_formats::{Error, ErrorKind, Inode, Tree, erofs, squashfs};
use serde::Serialize;

use super::image::explain;
use crate::manifest::Format;
use crate::report::{self, Failure};

/// How many paths are named of one kind of loss; the others are counted.
const NAMED_MAX: usize = 5;
/// The name in reports of lost extended attributes.
const XATTRS: &str = "xattrs";

/// Everything that an image does not hold, grouped by kind.
#[derive(Clone, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Losses(Vec<Group>);

/// The losses of one kind. The field names are stable: programs read them.
#[derive(Clone, Serialize)]
struct Group {
    kind: &'static str,
    what: String,
    count: usize,
    /// The first paths, as messages show them.
    paths: Vec<String>,
}

impl Losses {
    fn add(&mut self, kind: &'static str, what: &str, path: impl FnOnce() -> Vec<u8>) {
        let found = self.0.iter().position(|group| group.kind == kind && group.what == what);
        let index = found.unwrap_or_else(|| {
            self.0.push(Group { kind, what: what.to_owned(), count: 0, paths: Vec::new() });
            self.0.len() - 1
        });
        if let Some(group) = self.0.get_mut(index) {
            group.count += 1;
            if group.paths.len() < NAMED_MAX {
                group.paths.push(report::shown(Path::new(OsStr::from_bytes(&path()))));
            }
        }
    }

    /// Adds what the writer of `format` leaves out of `tree`. Extended attributes were [left
    /// out](leave_out_xattrs) of the tree before.
    pub(crate) fn add_of_writer(&mut self, tree: &Tree, format: Format, joliet: bool) {
        match format {
            Format::Erofs | Format::Squashfs => {}
            Format::Iso9660 => {
                for loss in iso9660::losses(tree, joliet) {
                    let (kind, what) = described(&loss);
                    self.add(kind, what, || loss.path(tree));
                }
            }
        }
    }

    /// Warns of what is lost, with a line for each kind.
    pub(crate) fn warn(&self) {
        for line in self.lines() {
            report::warn(&line);
        }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|Group { what, count, paths, .. }| {
            let others = if *count > paths.len() {
                format!(" and others, {count} in all")
            } else {
                String::new()
            };
            format!("{}{others}: {what}", paths.join(", "))
        })
    }
}

/// Leaves out of `tree` each extended attribute that `format` cannot hold or Linux would
/// hide; an error where that is not wanted. ISO 9660, which holds none, leaves out all of them
/// as it is written.
pub(crate) fn leave_out_xattrs(
    tree: &mut Tree,
    format: Format,
    lossy: bool,
) -> Result<Losses, Failure> {
    let mut losses = Losses::default();
    let mut found = Vec::new();
    for (id, inode) in tree.inodes() {
        let faults = faults(inode, format);
        if let Some((name, fault)) = faults.first().filter(|_| !lossy) {
            let error = Error::new(ErrorKind::Unrepresentable, *fault).at(tree.path_of(id));
            return Err(refusal(&error, format, name));
        }
        add_faults(&mut losses, &faults, || tree.path_of(id));
        found.extend(faults.into_iter().map(|(name, _)| (id, Box::<[u8]>::from(name))));
    }
    for (id, name) in found {
        if let Some(metadata) = tree.metadata_mut(id) {
            metadata.xattrs.remove(&name);
        }
    }
    Ok(losses)
}

/// Adds a path once for each reason why attributes of it cannot be held.
fn add_faults(losses: &mut Losses, faults: &[(&[u8], &str)], path: impl Fn() -> Vec<u8>) {
    let mut reasons: Vec<_> = faults.iter().map(|(_, fault)| *fault).collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        losses.add(XATTRS, &format!("extended attributes are left out: {reason}"), &path);
    }
}

/// The attributes that `format` cannot hold, each with the reason; none of ISO 9660.
fn faults(inode: &Inode, format: Format) -> Vec<(&[u8], &'static str)> {
    let (kind, xattrs) = (inode.kind(), &inode.metadata.xattrs);
    match format {
        Format::Erofs => erofs::xattr_faults(kind, xattrs),
        Format::Squashfs => squashfs::xattr_faults(kind, xattrs),
        Format::Iso9660 => Vec::new(),
    }
}

/// The warnings if the manifest alone tells that a build in `format` needs `--lossy`.
pub(crate) fn foresee(tree: &Tree, format: Format, joliet: bool) -> Vec<String> {
    let mut losses = Losses::default();
    for (id, inode) in tree.inodes() {
        add_faults(&mut losses, &faults(inode, format), || tree.path_of(id));
    }
    losses.add_of_writer(tree, format, joliet);
    losses.lines().map(|line| format!("{line}; a build without --lossy fails")).collect()
}

/// The kind of a loss in reports, and what is lost.
fn described(loss: &Loss) -> (&'static str, &'static str) {
    match loss.lost {
        Lost::Xattrs => (XATTRS, "extended attributes are left out: ISO 9660 holds none"),
        Lost::NameEnd => ("name-end", "Linux shows the first 253 bytes of the name"),
        Lost::Entry => ("entry", "Linux lists the name but cannot open it"),
        Lost::JolietLength => (
            "joliet-length",
            "Joliet has another name, as this one has more characters than it holds",
        ),
        Lost::JolietCharacter => (
            "joliet-character",
            "Joliet has another name, without the characters that it cannot hold",
        ),
        Lost::DeviceNumber => (
            "device-number",
            "Linux reads another device number, as it takes minors up to 255 with major 0",
        ),
        Lost::Time => {
            ("time", "Linux reads another time, as it takes those from 1901 to January 2038 only")
        }
    }
}

fn refusal(error: &Error, format: Format, name: &[u8]) -> Failure {
    let format = format.name();
    let lossy = format!("leave out with --lossy what {format} cannot hold");
    explain(error, format).hint(if name.starts_with(b"com.apple.") {
        format!(
            "macOS adds such attributes by itself: pack the archive with `tar --no-xattrs` and \
             COPYFILE_DISABLE=1, leave out all that it has with `xattrs: none`, or {lossy}"
        )
    } else {
        format!("leave out with `xattrs: none` what an archive has, or {lossy}")
    })
}
