//! What `--lossy` leaves out, and what people are told of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use credimg_formats::iso9660::{Loss, Lost};
use credimg_formats::{Error, Inode, Tree, erofs, squashfs};

use super::image::explain;
use crate::manifest::Format;
use crate::report::{self, Failure};

/// How many losses are named one by one; the others are counted.
const NAMED_MAX: usize = 20;

/// Leaves out of `tree`, with warnings, each extended attribute that `format` cannot hold
/// or Linux would hide; an error where that is not wanted. ISO 9660, which holds none, has
/// losses of its own.
pub(super) fn leave_out_xattrs(
    tree: &mut Tree,
    format: Format,
    lossy: bool,
) -> Result<(), Failure> {
    let found: Vec<_> = tree.inodes().map(|(id, inode)| (id, faults(inode, format))).collect();
    let found: Vec<_> = found.into_iter().filter(|(_, faults)| !faults.is_empty()).collect();
    let mut losses = Vec::new();
    for (id, faults) in found {
        let count = faults.len();
        for (name, error) in faults {
            if !lossy {
                return Err(refusal(&error.at(tree.path_of(id)), format, &name));
            }
            if let Some(metadata) = tree.metadata_mut(id) {
                metadata.xattrs.remove(&name);
            }
        }
        let (attributes, are) =
            if count == 1 { ("attribute", "is") } else { ("attributes", "are") };
        let format = format.name();
        let news =
            format!("{count} extended {attributes} that {format} cannot hold {are} left out");
        losses.push((id, news));
    }
    let count = losses.len();
    warn(count, losses.into_iter().map(|(id, news)| (tree.path_of(id), news)));
    Ok(())
}

/// The attributes that `format` cannot hold, each with the reason; none of ISO 9660.
fn faults(inode: &Inode, format: Format) -> Vec<(Box<[u8]>, Error)> {
    let check = match format {
        Format::Erofs => erofs::check_xattr,
        Format::Squashfs => squashfs::check_xattr,
        Format::Iso9660 => return Vec::new(),
    };
    let mut faults = Vec::new();
    for (name, value) in &inode.metadata.xattrs {
        if let Err(error) = check(inode.kind(), name, value.expose()) {
            faults.push((name.clone(), error));
        }
    }
    faults
}

/// A warning where a manifest alone tells that a build in `format` wants `--lossy`.
pub(super) fn foresee(tree: &Tree, format: Format) -> Option<String> {
    let is_refused = |inode: &Inode| match format {
        Format::Iso9660 => !inode.metadata.xattrs.is_empty(),
        Format::Erofs | Format::Squashfs => !faults(inode, format).is_empty(),
    };
    let (first, _) = tree.inodes().find(|(_, inode)| is_refused(inode))?;
    let path = tree.path_of(first);
    let path = report::shown(Path::new(OsStr::from_bytes(&path)));
    let format = format.name();
    Some(format!(
        "{path}: {format} cannot hold its extended attributes, so that a build without --lossy fails"
    ))
}

/// Names what an ISO 9660 image does not hold.
pub(super) fn warn_of_losses(tree: &Tree, losses: &[Loss]) {
    let news = |loss: &Loss| {
        let news = match loss.lost {
            Lost::Xattrs => "its extended attributes are left out",
            Lost::NameEnd => "Linux shows the first 253 bytes of its name",
            Lost::Entry => "Linux lists its name but does not find it",
            Lost::JolietLength => "Joliet has another name, of at most 64 characters",
            Lost::JolietCharacter => "Joliet has another name, without characters that it lacks",
            Lost::DeviceNumber => "Linux reads another device number",
            Lost::Time => "Linux reads another time",
        };
        (loss.path(tree), news.to_owned())
    };
    warn(losses.len(), losses.iter().map(news));
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

/// A warning for each of the first of `count` losses, of paths and what is lost there, and
/// one that counts the others.
fn warn(count: usize, losses: impl Iterator<Item = (Vec<u8>, String)>) {
    for (path, news) in losses.take(NAMED_MAX) {
        let path = report::shown(Path::new(OsStr::from_bytes(&path)));
        report::warn(&format!("{path}: {news}"));
    }
    if count > NAMED_MAX {
        report::warn(&format!("and {} more such losses", count - NAMED_MAX));
    }
}
