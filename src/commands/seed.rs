//! Volume labels that have a meaning to guests, and what these look for on such
//! a volume.

use credimg_formats::{Kind, Name, Tree};

use super::image::Image;
use crate::manifest::{Entry, Format, Plan, Source};
use crate::report::{self, Exit, Failure};
use crate::source::pseudo::Definitions;

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

/// Compares what is on the volume, of which `has` tells, with what guests look
/// for by its label: an error of [`Exit::Manifest`] where they would certainly
/// pass it over, a warning where they may.
fn compare(
    format: Format,
    label: Option<&str>,
    has: impl Fn(&str) -> bool,
) -> Result<Option<String>, Failure> {
    let Some(label) = label else { return Ok(None) };
    let Some(meaning) = MEANINGS.iter().find(|known| known.labels.contains(&label)) else {
        return Ok(None);
    };
    let name = meaning.name;
    if format != Format::Iso9660 {
        let format = format.name();
        return Ok(Some(format!(
            "a volume with the label {label} is {name}: guests look for it on iso9660, not {format}"
        )));
    }
    let missing: Vec<_> =
        meaning.wanted.iter().filter(|path| !has(path)).map(|path| format!("/{path}")).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let lacking = missing.join(" and ");
    let message = format!("a volume with the label {label} is {name}: this one lacks {lacking}");
    if meaning.is_only_use {
        let hint = format!("guests pass over it in silence: add {lacking}, or change the label");
        return Err(Failure::new(Exit::Manifest, message).hint(hint));
    }
    Ok(Some(message))
}

/// What a volume with this label, within LUKS2, is to guests, which look for it before they
/// open anything.
pub(super) fn is_hidden(label: Option<&str>) -> Option<String> {
    let meaning =
        MEANINGS.iter().find(|known| known.labels.contains(&label.unwrap_or_default()))?;
    Some(format!(
        "a volume with the label {} is {}, which guests do not find within LUKS2: use LUKS1",
        label.unwrap_or_default(),
        meaning.name
    ))
}

/// Judges the volume that a build is about to write.
pub(super) fn check(image: &Image, tree: &Tree) -> Result<(), Failure> {
    let warning = compare(image.format, image.label.as_deref(), |path| is_in(tree, path))?;
    if let Some(warning) = warning {
        report::warn(&warning);
    }
    Ok(())
}

/// The same of what a manifest says, before any source is read: the warning, if
/// there is one. What a directory, an archive, a link or a pseudo definition may
/// bring counts as there.
pub(super) fn foresee(
    format: Format,
    label: Option<&str>,
    plan: &Plan,
    definitions: &Definitions,
) -> Result<Option<String>, Failure> {
    let may_have = |path: &str| {
        let wanted: Vec<_> = path.split('/').map(str::as_bytes).collect();
        let credentials = plan.credentials.iter().map(|credential| &credential.entry);
        plan.entries.iter().chain(credentials).any(|Entry { path, source, .. }| {
            let names: Vec<_> = path.0.iter().map(Name::as_bytes).collect();
            let is_tree = matches!(
                source,
                Source::Dir(_) | Source::FollowedDir(_) | Source::Tar(_) | Source::Symlink(_)
            );
            names == wanted || is_tree && wanted.starts_with(&names)
        })
    };
    let is_pseudo = definitions.iter().next().is_some();
    compare(format, label, |path| is_pseudo || may_have(path))
}

/// Whether there is a file at `path`. A symbolic link is taken for what it may lead to.
fn is_in(tree: &Tree, path: &str) -> bool {
    let mut id = Tree::ROOT;
    for name in path.split('/') {
        match tree.child(id, name.as_bytes()) {
            Some(child) => id = child,
            None => return matches!(tree.inode(id).kind(), Kind::Symlink(_)),
        }
    }
    matches!(tree.inode(id).kind(), Kind::File(_) | Kind::Symlink(_))
}
