//! Symbolic links that nothing on the disk answers, which dangle in the guest, and those that not
//! every reader takes.

mod follow;
mod foresee;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use credimg_formats::{Inode, InodeId, Kind, Name, Tree};

use self::follow::{Answer, Links};
use self::foresee::Sketch;
use crate::manifest::{Format, Manifest, MountPoint};
use crate::report::shown;
use crate::sources::pseudo::Definitions;
use crate::sources::rehearsal::Rehearsal;

/// How many links a warning names.
const NAMED_MAX: usize = 20;

/// Longest target in bytes with which xorriso 1.5 takes an ISO 9660 image; of one with a longer
/// one it reads nothing at all. isoinfo of genisoimage 1.1 takes 2,493 and crashes then; Linux and
/// bsdtar take all.
const XORRISO_TARGET_MAX_BYTES: usize = 1023;

/// The longest target in bytes that every reader of `format` takes; none where all are taken.
fn target_max_bytes(format: Format) -> Option<usize> {
    match format {
        Format::Erofs | Format::Squashfs => None,
        Format::Iso9660 => Some(XORRISO_TARGET_MAX_BYTES),
    }
}

/// The hint that says how links become files.
const MENDED: &str = "`links: follow` at a `dir:` takes what they lead to";

/// What is told of the links of `tree`, which the guest mounts at `mount`; none where that
/// is not known. `format` is the image's, where there is one.
pub(crate) fn warnings(
    tree: &Tree,
    mount: Option<&MountPoint>,
    format: Option<Format>,
) -> Vec<String> {
    told(tree, mount, format, HashSet::new())
}

/// What a manifest, of which this is a rehearsal, foretells of its links, before any source is
/// read. The names in a `dir:` are read, and no file is opened. What an archive may hold counts
/// as there.
pub(crate) fn foresee(
    manifest: &Manifest,
    definitions: &Definitions,
    rehearsal: Rehearsal,
    format: Option<Format>,
) -> Vec<String> {
    let Sketch { tree, unknown, broken } = foresee::sketch(manifest, definitions, rehearsal);
    let mut warnings = told(&tree, Some(&point(manifest)), format, unknown);
    if !broken.is_empty() {
        let named = broken.iter().take(NAMED_MAX).map(|path| shown(path));
        let found = Named { count: broken.len(), named: named.collect() };
        let (links, lead) = found.words();
        warnings.push(format!(
            "{links} to be followed {lead} nowhere, so that a build fails: {}",
            found.names()
        ));
    }
    warnings
}

/// The place where the guest mounts the disk.
pub(crate) fn point(manifest: &Manifest) -> MountPoint {
    manifest.mount.clone().unwrap_or_else(MountPoint::standard)
}

fn told(
    tree: &Tree,
    mount: Option<&MountPoint>,
    format: Option<Format>,
    unknown: HashSet<InodeId>,
) -> Vec<String> {
    let mut links = Links::new(tree, mount, unknown);
    let target_max_bytes = format.and_then(target_max_bytes);
    let [mut nowhere, mut outside, mut long] = [(); 3].map(|()| Named::default());
    // The links are found in the order of their names.
    let mut directories = vec![Tree::ROOT];
    while let Some(directory) = directories.pop() {
        let kind = tree.get(directory).map(Inode::kind);
        let Some(Kind::Directory(entries)) = kind else { continue };
        directories.extend(entries.values().rev());
        // Each name is followed, as a link with several names may lead elsewhere from each.
        for (name, id) in entries {
            if let Some(Kind::Symlink(target)) = tree.get(*id).map(Inode::kind) {
                if target_max_bytes.is_some_and(|max_bytes| target.len() > max_bytes) {
                    long.note(tree, directory, name);
                }
                match links.answer(directory, *id) {
                    Answer::Inside(_) | Answer::Unknown => {}
                    Answer::Nowhere => nowhere.note(tree, directory, name),
                    Answer::Outside(_) => outside.note(tree, directory, name),
                }
            }
        }
    }
    let mut warnings = Vec::new();
    if nowhere.count > 0 {
        let (links, lead) = nowhere.words();
        warnings.push(format!(
            "{links} {lead} to nothing that the disk holds ({MENDED}): {}",
            nowhere.names()
        ));
    }
    if let Some(point) = mount.filter(|_| outside.count > 0) {
        let (links, lead) = outside.words();
        warnings.push(format!(
            "{links} {lead} out of the disk, which is at {}, to what only the guest can have \
             ({MENDED}): {}",
            point.as_str(),
            outside.names()
        ));
    }
    if long.count > 0 {
        warnings.push(format!(
            "{} of more than {XORRISO_TARGET_MAX_BYTES} bytes: Linux reads the image, xorriso \
             nothing of it: {}",
            long.words().0,
            long.names()
        ));
    }
    warnings
}

/// The links of one kind, the first of them by name.
#[derive(Default)]
struct Named {
    count: usize,
    named: Vec<String>,
}

impl Named {
    fn note(&mut self, tree: &Tree, directory: InodeId, name: &Name) {
        self.count += 1;
        if self.count <= NAMED_MAX {
            let mut path = tree.path_of(directory);
            if directory != Tree::ROOT {
                path.push(b'/');
            }
            path.extend(name.as_bytes());
            self.named.push(shown(Path::new(OsStr::from_bytes(&path))));
        }
    }

    fn words(&self) -> (String, &'static str) {
        let (plural, lead) = if self.count == 1 { ("", "leads") } else { ("s", "lead") };
        (format!("{} symbolic link{plural}", self.count), lead)
    }

    fn names(&self) -> String {
        let names = self.named.join(", ");
        match self.count - self.named.len() {
            0 => names,
            more => format!("{names} and {more} more"),
        }
    }
}
