//! Finds out what an image would hold if it were built now, for `verify --manifest`.

use std::path::Path;

use credimg_formats::luks::{Header, Version};
use credimg_formats::read::{Facts, Limits};
use credimg_formats::verity::Found;
use credimg_formats::{Tree, uuid_bytes};

use super::Job;
use super::destination::{Compared, Destination, Kept};
use super::encryption;
use super::files;
use super::verity::Verity;
use super::wishes::{EncryptionWishes, Wishes};
use crate::manifest::{Format, Manifest};
use crate::report::Failure;

/// What the manifest says of an image that exists.
pub(crate) struct Expected {
    /// What the image should hold.
    pub(crate) tree: Tree,
    /// The respects in which the image as a whole is not as the manifest says, such as `label` or
    /// `hash tree's salt`.
    pub(crate) of_volume: Vec<&'static str>,
}

/// An image as a whole, without its files.
#[derive(Clone, Copy)]
pub(crate) struct Volume<'a> {
    pub(crate) facts: &'a Facts,
    /// Its header, if it is encrypted.
    pub(crate) header: Option<&'a Header>,
    /// Its hash tree, if it has one.
    pub(crate) hash_tree: Option<&'a Found>,
}

/// Reads every source, and runs every command, as a build would that makes the image at `path`
/// with these wishes, which is this volume. What has no time of its own has that of the wishes, else
/// that of the image.
pub(crate) fn collect(
    mut manifest: Manifest,
    wishes: &Wishes,
    path: &Path,
    volume: Volume,
) -> Result<Expected, Failure> {
    let Volume { facts, header, hash_tree } = volume;
    let own_format = facts.format;
    let format = wishes.format.or(manifest.format).unwrap_or(own_format);
    let luks = encryption::version(wishes.encryption.luks, &manifest);
    let wants_tree = wishes.verity || manifest.verity.is_some();
    // The block sizes of a tree depend on format and encryption. If these differ, the tree is not
    // compared.
    let is_alike = format == own_format && luks == header.map(Header::version);
    let compares_tree = is_alike && wants_tree && hash_tree.is_some();
    fit(&mut manifest, own_format);
    if header.is_none() {
        manifest.encrypt = None;
    }
    if !compares_tree {
        manifest.verity = None;
    }
    let encryption = header.map(|header| EncryptionWishes {
        luks: Some(header.version()),
        key_file: wishes.encryption.key_file.clone(),
        ..EncryptionWishes::default()
    });
    let encryption = encryption.unwrap_or_default();
    let wishes =
        Wishes { format: Some(own_format), encryption, verity: compares_tree, ..wishes.clone() };
    let compared = Compared {
        path: path.to_owned(),
        own_files: files::own_files(path, &files::beside(path)?),
        kept: Kept {
            uuid: facts.uuid.as_deref().and_then(uuid_bytes),
            header_uuid: header.and_then(|header| uuid_bytes(header.uuid())),
            build_time: facts.build_time,
        },
    };
    let job = Job::new(manifest, &wishes, Destination::Compared(compared))?;
    let sector_bytes = job.encryption.as_ref().map(|encryption| encryption.sector_bytes);
    let other_sectors = is_alike && sector_bytes != header.map(Header::sector_bytes);
    let respects = [
        ("format", format != own_format),
        ("encryption", luks != header.map(Header::version)),
        ("encryption's sector", other_sectors),
        ("label", is_other_label(job.image.label.as_deref(), facts)),
        ("header's label", is_other_header_label(job.image.label.as_deref(), header)),
        ("hash tree", wants_tree != hash_tree.is_some()),
    ];
    let respects = respects.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what);
    let shapes = job.image.verity.as_ref().zip(hash_tree);
    let of_tree = shapes.map(|(wanted, found)| Verity::differences(wanted, found));
    let of_volume = respects.chain(of_tree.into_iter().flatten()).collect();
    let collected = job.collect()?;
    Ok(Expected { tree: collected.assembly.tree, of_volume })
}

fn is_other_label(label: Option<&str>, facts: &Facts) -> bool {
    facts.format.profile().has_label() && facts.label != label.unwrap_or_default().as_bytes()
}

/// LUKS1 has no label.
fn is_other_header_label(label: Option<&str>, header: Option<&Header>) -> bool {
    let label = label.map(encryption::header_label).unwrap_or_default();
    header.is_some_and(|header| match header.version() {
        Version::Luks1 => false,
        Version::Luks2 => header.label() != label,
    })
}

/// The limits for a tree that is read from a manifest, which has limits of its own.
pub(crate) fn limits(limits: Limits) -> Limits {
    Limits { inodes: u64::MAX, depth: usize::MAX, ..limits }
}

/// Drops options of other formats from the manifest. That the format differs is told anyway.
fn fit(manifest: &mut Manifest, format: Format) {
    manifest.format_options = manifest.format_options.fit(format);
}
