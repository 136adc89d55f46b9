//! Volume labels that have a meaning to guests, and the files that guests look for on such volumes.

use credimg_formats::{Content, Inode, Kind, Name, Secret, Tree};

use super::image::Image;
use super::user_data;
use crate::manifest::{Entry, Format, Makes, Manifest};
use crate::report::{self, Exit, Failure};
use crate::sources::pseudo::Definitions;

/// A volume label by which a guest's program finds its configuration.
struct Meaning {
    labels: &'static [&'static str],
    /// What the volume is to the guest.
    name: &'static str,
    /// Paths below the root. The guest's program needs one of each group.
    wanted: &'static [&'static [&'static str]],
    /// Where cloud-init looks for user-data.
    user_data: Option<&'static str>,
    /// Whether the label has no other use: then a volume without these paths is certainly a
    /// mistake.
    is_only_use: bool,
}

const MEANINGS: [Meaning; 5] = [
    // cloud-init's NoCloud passes over a volume in silence where one of the two is missing.
    Meaning {
        labels: &["cidata", "CIDATA"],
        name: "a cloud-init seed",
        wanted: &[&["user-data"], &["meta-data"]],
        user_data: Some("user-data"),
        is_only_use: true,
    },
    Meaning {
        labels: &["config-2", "CONFIG-2"],
        name: "an OpenStack config drive",
        wanted: &[&["openstack/latest/meta_data.json"]],
        user_data: Some("openstack/latest/user_data"),
        is_only_use: false,
    },
    // A driver disk has the same label.
    Meaning {
        labels: &["OEMDRV"],
        name: "a kickstart volume",
        wanted: &[&["ks.cfg"]],
        user_data: None,
        is_only_use: false,
    },
    // ignition-setup-user.sh of SUSE's ignition, and combustion: both look here.
    Meaning {
        labels: &["ignition"],
        name: "a configuration for Ignition or Combustion",
        wanted: &[&["ignition/config.ign", "combustion/script"]],
        user_data: None,
        is_only_use: false,
    },
    Meaning {
        labels: &["combustion", "COMBUSTION", "IGNITION"],
        name: "a configuration for Combustion",
        wanted: &[&["combustion/script"]],
        user_data: None,
        is_only_use: false,
    },
];

/// The files of a volume.
trait Volume {
    /// Whether there is, or may be, a file at this path below the root.
    fn has(&self, path: &str) -> bool;

    /// The content of this file, if it is known.
    fn content(&self, path: &str) -> Option<&[u8]>;
}

/// Compares what is on the volume with what guests look for by its label: an error of
/// [`Exit::Manifest`] where they would certainly pass it over, warnings where they may.
fn compare(
    format: Format,
    label: Option<&str>,
    volume: &impl Volume,
) -> Result<Vec<String>, Failure> {
    let Some(label) = label else { return Ok(Vec::new()) };
    let Some(meaning) = MEANINGS.iter().find(|known| known.labels.contains(&label)) else {
        return Ok(other_case(label).into_iter().collect());
    };
    let name = meaning.name;
    if !is_searched(format) {
        let format = format.name();
        return Ok(vec![format!(
            "a volume with the label {label} is {name}: guests look for it on iso9660, not {format}"
        )]);
    }
    let missing = meaning.wanted.iter().filter(|paths| !paths.iter().any(|path| volume.has(path)));
    let shown = |paths: &&[&str]| {
        paths.iter().map(|path| format!("/{path}")).collect::<Vec<_>>().join(" or ")
    };
    let lacking = missing.map(shown).collect::<Vec<_>>().join(" and ");
    let message = format!("a volume with the label {label} is {name}: this one lacks {lacking}");
    if !lacking.is_empty() && meaning.is_only_use {
        let hint = format!("guests pass over it in silence: add {lacking}, or change the label");
        return Err(Failure::new(Exit::Manifest, message).hint(hint));
    }
    let mut warnings = Vec::new();
    if !lacking.is_empty() {
        warnings.push(message);
    }
    let user_data = meaning.user_data.and_then(|path| Some((path, volume.content(path)?)));
    let fault = user_data.and_then(|(path, content)| Some((path, user_data::fault(content)?)));
    if let Some((path, fault)) = fault {
        warnings.push(format!(
            "cloud-init passes over /{path} in silence, as it {fault}: begin it with \
             `#cloud-config`, `#!/bin/sh` or another beginning that cloud-init knows"
        ));
    }
    Ok(warnings)
}

/// Whether guests look for their configuration on volumes of this format.
fn is_searched(format: Format) -> bool {
    match format {
        Format::Erofs | Format::Squashfs => false,
        Format::Iso9660 => true,
    }
}

/// The warning for a label that guests would know if its letters were of the other case.
fn other_case(label: &str) -> Option<String> {
    let is_like = |known: &Meaning| known.labels.iter().any(|it| it.eq_ignore_ascii_case(label));
    let meaning = MEANINGS.iter().find(|known| is_like(known))?;
    let labels = meaning.labels.join(" or ");
    Some(format!(
        "a volume with the label {label} is nothing to guests, which look for {labels} as {}",
        meaning.name
    ))
}

/// The warning for a volume with this label inside of LUKS2: guests look for it before they open
/// anything, and do not find it.
pub(crate) fn is_hidden(label: Option<&str>) -> Option<String> {
    let meaning =
        MEANINGS.iter().find(|known| known.labels.contains(&label.unwrap_or_default()))?;
    Some(format!(
        "a volume with the label {} is {}, which guests do not find within LUKS2: use LUKS1",
        label.unwrap_or_default(),
        meaning.name
    ))
}

/// Checks the volume that a build is about to write.
pub(crate) fn check(image: &Image, tree: &Tree) -> Result<(), Failure> {
    for warning in compare(image.format, image.label.as_deref(), tree)? {
        report::warn(&warning);
    }
    Ok(())
}

/// The warnings of a volume that a manifest foretells, before any source is read. What a
/// directory, an archive, a link or a pseudo definition may bring counts as there.
pub(crate) fn foresee(
    format: Format,
    label: Option<&str>,
    manifest: &Manifest,
    definitions: &Definitions,
) -> Result<Vec<String>, Failure> {
    compare(format, label, &Foreseen { manifest, has_pseudo: !definitions.is_empty() })
}

impl Volume for Tree {
    /// A symbolic link counts as a file, as it may lead to one.
    fn has(&self, path: &str) -> bool {
        find(self, path).is_some_and(|kind| match kind {
            Kind::File(_) | Kind::Symlink(_) => true,
            Kind::Directory(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo
            | Kind::Socket => false,
        })
    }

    fn content(&self, path: &str) -> Option<&[u8]> {
        match find(self, path)? {
            Kind::File(Content::Memory(secret)) => Some(secret.expose()),
            Kind::File(Content::Stream { .. })
            | Kind::Directory(_)
            | Kind::Symlink(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo
            | Kind::Socket => None,
        }
    }
}

/// The kind of what is at the path, or of a symbolic link on the way to it.
fn find<'a>(tree: &'a Tree, path: &str) -> Option<&'a Kind> {
    let mut id = Tree::ROOT;
    for name in path.split('/') {
        let Some(child) = tree.child(id, name.as_bytes()) else {
            let kind = tree.get(id)?.kind();
            return Some(kind).filter(|kind| matches!(kind, Kind::Symlink(_)));
        };
        id = child;
    }
    tree.get(id).map(Inode::kind)
}

/// A volume that is not made yet.
struct Foreseen<'a> {
    manifest: &'a Manifest,
    has_pseudo: bool,
}

impl Volume for Foreseen<'_> {
    fn has(&self, path: &str) -> bool {
        let wanted: Vec<_> = path.split('/').map(str::as_bytes).collect();
        let credentials = self.manifest.credentials.iter().map(|credential| &credential.entry);
        let may_be_at = |Entry { path, source, .. }: &Entry| {
            let names: Vec<_> = path.0.iter().map(Name::as_bytes).collect();
            let may_be_below = match source.makes() {
                Makes::HostTree(_)
                | Makes::FollowedTree(_)
                | Makes::UnknownTree
                | Makes::Symlink(_) => true,
                Makes::File => false,
            };
            names == wanted || may_be_below && wanted.starts_with(&names)
        };
        self.has_pseudo || self.manifest.entries.iter().chain(credentials).any(may_be_at)
    }

    fn content(&self, path: &str) -> Option<&[u8]> {
        let is_at = |entry: &&Entry| {
            entry.path.0.iter().map(Name::as_bytes).eq(path.split('/').map(str::as_bytes))
        };
        let entry = self.manifest.entries.iter().find(is_at)?;
        entry.source.known_content().map(Secret::expose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::PROTOCOL_LABELS;

    #[test]
    fn machines_may_share_a_label_that_has_a_meaning() {
        for label in MEANINGS.iter().flat_map(|meaning| meaning.labels) {
            assert!(PROTOCOL_LABELS.contains(label), "{label}");
        }
    }
}
