//! What an image would hold if it were built now, for `verify --manifest`.

use std::path::Path;

use credimg_formats::luks::{Header, Version};
use credimg_formats::read::{Facts, Limits};
use credimg_formats::{Tree, uuid_bytes};

use super::Job;
use super::destination::{Compared, Destination, Kept};
use super::encryption;
use super::files;
use super::wishes::{EncryptionWishes, Wishes};
use crate::manifest::{Format, Manifest};
use crate::report::Failure;

/// A manifest's tree, and what its image is.
pub(crate) struct Expected {
    pub(crate) tree: Tree,
    pub(crate) label: Option<String>,
    pub(crate) format: Format,
    /// None where the manifest asks for no encryption.
    pub(crate) luks: Option<Version>,
    /// Whether the manifest asks for a hash tree.
    pub(crate) has_tree: bool,
}

/// Reads every source, and runs every command, as a build would that makes the image at `path`
/// with these wishes, which has these facts and, where it is encrypted, this header around it.
/// What has no time of its own has that of the wishes, else that of the image.
pub(crate) fn collect(
    mut manifest: Manifest,
    wishes: &Wishes,
    path: &Path,
    facts: &Facts,
    header: Option<&Header>,
) -> Result<Expected, Failure> {
    let own_format = facts.format;
    let format = wishes.format.or(manifest.format).unwrap_or(own_format);
    let luks = encryption::version(None, &manifest);
    let has_tree = manifest.verity.take().is_some();
    fit(&mut manifest, own_format);
    if header.is_none() {
        manifest.encrypt = None;
    }
    let encryption = header.map(|header| EncryptionWishes {
        luks: Some(header.version()),
        key_file: wishes.encryption.key_file.clone(),
        ..EncryptionWishes::default()
    });
    let encryption = encryption.unwrap_or_default();
    let wishes = Wishes { format: Some(own_format), encryption, ..wishes.clone() };
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
    let collected = job.collect()?;
    Ok(Expected { tree: collected.assembly.tree, label: job.image.label, format, luks, has_tree })
}

/// How deep and large a tree may be that is read from a manifest: it has its own limits.
pub(crate) fn limits(limits: Limits) -> Limits {
    Limits { inodes: u64::MAX, depth: usize::MAX, ..limits }
}

/// Leaves out what the manifest says of another format than the image's: that it has
/// another one is told.
fn fit(manifest: &mut Manifest, format: Format) {
    manifest.format_options = manifest.format_options.fit(format);
}
