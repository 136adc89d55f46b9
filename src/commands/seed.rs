//! Volume labels that have a meaning to guests, and what these look for on such
//! a volume.

use credimg_formats::{Kind, Tree};

use super::image::Image;
use crate::manifest::Format;
use crate::report::{self, Exit, Failure};

/// A volume label by which a guest's program finds its configuration.
struct Meaning {
    labels: &'static [&'static str],
    /// What the volume is to the guest.
    name: &'static str,
    /// Paths below the root, all of which the guest's program wants.
    wanted: &'static [&'static str],
    /// Whether the label has no other use, so that a volume without these
    /// paths is a mistake for sure.
    is_only_use: bool,
}

const MEANINGS: [Meaning; 3] = [
    // cloud-init's NoCloud passes over a volume in silence where one of the two is missing.
    Meaning {
        labels: &["cidata", "CIDATA"],
        name: "a cloud-init seed",
        wanted: &["user-data", "meta-data"],
        is_only_use: true,
    },
    Meaning {
        labels: &["config-2", "CONFIG-2"],
        name: "an OpenStack config drive",
        wanted: &["openstack/latest/meta_data.json"],
        is_only_use: false,
    },
    // A driver disk has the same label.
    Meaning {
        labels: &["OEMDRV"],
        name: "a kickstart volume",
        wanted: &["ks.cfg"],
        is_only_use: false,
    },
];

/// Compares what is on the volume with what guests look for by its label: an
/// error of [`Exit::Manifest`] where they would certainly pass it over, a
/// warning where they may.
pub(super) fn check(image: &Image, tree: &Tree) -> Result<(), Failure> {
    let Some(label) = image.label.as_deref() else { return Ok(()) };
    let Some(meaning) = MEANINGS.iter().find(|known| known.labels.contains(&label)) else {
        return Ok(());
    };
    let name = meaning.name;
    if image.format != Format::Iso9660 {
        let format = image.format.name();
        report::warn(&format!(
            "a volume with the label {label} is {name}: guests look for it on iso9660, not {format}"
        ));
        return Ok(());
    }
    let is_missing = |path: &&&str| !has(tree, path);
    let missing: Vec<_> =
        meaning.wanted.iter().filter(is_missing).map(|path| format!("/{path}")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lacking = missing.join(" and ");
    let message = format!("a volume with the label {label} is {name}: this one lacks {lacking}");
    if meaning.is_only_use {
        let hint = format!("guests pass over it in silence: add {lacking}, or change the label");
        return Err(Failure::new(Exit::Manifest, message).hint(hint));
    }
    report::warn(&message);
    Ok(())
}

/// Whether there is a file at `path`. A symbolic link is taken for what it may lead to.
fn has(tree: &Tree, path: &str) -> bool {
    let mut id = Tree::ROOT;
    for name in path.split('/') {
        match tree.child(id, name.as_bytes()) {
            Some(child) => id = child,
            None => return matches!(tree.inode(id).kind(), Kind::Symlink(_)),
        }
    }
    matches!(tree.inode(id).kind(), Kind::File(_) | Kind::Symlink(_))
}
