//! What an image would hold if it were built now, for `verify --manifest`.

use std::path::Path;

use credimg_formats::luks::Header;
use credimg_formats::read::{Facts, Limits};
use credimg_formats::{Timestamp, Tree};

use super::encryption::{self, Encryption, Keeping};
use super::request::Request;
use super::settings;
use super::trusted;
use crate::commands::options::{EncryptionChoice, FormatChoice, Recipe};
use crate::commands::verify::{Verify, Wishes};
use crate::host::output;
use crate::job::progress::Progress;
use crate::manifest::{Format, Luks, Manifest};
use crate::report::{Exit, Failure};

/// A manifest's tree, and what its image is.
pub(crate) struct Expected {
    pub(crate) tree: Tree,
    pub(crate) label: Option<String>,
    pub(crate) format: Format,
    /// None where the manifest asks for no encryption.
    pub(crate) luks: Option<Luks>,
}

/// Reads every source, and runs every command, as a build of the image would that has these
/// facts. What has no time of its own has that of the command line, else that of the image.
pub(crate) fn collect(
    options: &Verify,
    manifest: &Path,
    facts: &Facts,
    header: Option<&Header>,
) -> Result<Expected, Failure> {
    let Wishes { sources, attach, label, .. } = &options.wishes;
    let mut manifest = trusted::load(manifest, sources.trust, &sources.pseudo_file)?;
    let format = options.wishes.format.or(manifest.format);
    let luks = encryption::version(None, &manifest);
    let own_format = format_of(facts)?;
    fit(&mut manifest, own_format);
    let recipe = recipe(&options.wishes, own_format);
    let encryption = header.map(|header| encrypted(options, &manifest, own_format, header));
    let encryption = encryption.transpose()?;
    let image = options.look.image.as_path();
    let mut place = settings::place(image, &settings::beside(image)?);
    place.keys = encryption.as_ref().map_or_else(Vec::new, Encryption::input_ids);
    let uuid = facts.uuid.as_deref().and_then(settings::parse_uuid);
    let place = (image, place);
    let request = Request::new(&recipe, attach, manifest, place, encryption, uuid)?;
    let mut progress = Progress::new(!options.quiet);
    let build_time = time(&options.wishes, facts)?;
    let collected = request.collect(build_time, false, &mut progress)?;
    let label = label.clone().or(request.image.label);
    let format = format.unwrap_or(own_format);
    Ok(Expected { tree: collected.assembly.tree, label, format, luks })
}

/// How deep and large a tree may be that is read from a manifest: it has its own limits.
pub(crate) fn limits(limits: Limits) -> Limits {
    Limits { inodes: u64::MAX, depth: usize::MAX, ..limits }
}

/// The time of what has none of its own.
fn time(wishes: &Wishes, facts: &Facts) -> Result<Timestamp, Failure> {
    match facts.build_time {
        Some(time) if !settings::has_own_time(wishes.mtime) => Ok(time),
        _ => settings::build_time(wishes.mtime),
    }
}

fn format_of(facts: &Facts) -> Result<Format, Failure> {
    match facts.format {
        "erofs" => Ok(Format::Erofs),
        "squashfs" => Ok(Format::Squashfs),
        "iso9660" => Ok(Format::Iso9660),
        other => Err(Failure::new(Exit::Image, format!("no build makes an image of {other}"))),
    }
}

/// Leaves out what the manifest says of another format than the image's: that it has
/// another one is told.
fn fit(manifest: &mut Manifest, format: Format) {
    match format {
        Format::Squashfs => manifest.joliet = false,
        Format::Iso9660 => manifest.compression = None,
        Format::Erofs => (manifest.joliet, manifest.compression) = (false, None),
    }
}

fn recipe(wishes: &Wishes, format: Format) -> Recipe {
    Recipe {
        format: FormatChoice {
            name: Some(format),
            compression: None,
            joliet: false,
            lossy: wishes.lossy,
        },
        label: wishes.label.clone(),
        uuid: None,
        mtime: wishes.mtime,
        encryption: EncryptionChoice {
            encrypt: None,
            key_file: None,
            key_out: None,
            master_key: None,
        },
        sources: wishes.sources.clone(),
        max_size: wishes.max_size,
        strict: wishes.strict,
        smbios: wishes.smbios,
        guest: wishes.guest.clone(),
        verify: false,
        command_timeout: wishes.command_timeout,
        command_stderr: wishes.command_stderr,
    }
}

/// The encryption of the image, which takes room among the credentials.
fn encrypted(
    options: &Verify,
    manifest: &Manifest,
    format: Format,
    header: &Header,
) -> Result<Encryption, Failure> {
    let choice = EncryptionChoice {
        encrypt: Some(Luks::of(header.version())),
        key_file: options.look.key_file.clone(),
        key_out: None,
        master_key: None,
    };
    let (target, file) = (options.wishes.attach.target, output::Options::default());
    let encryption = Encryption::new(&choice, manifest, format, target, Keeping::File, file)?;
    let mut encryption = encryption.ok_or_else(|| encryption::no_encryption("--key-file"))?;
    // Its guest is told of it.
    encryption.uuid = settings::parse_uuid(header.uuid()).unwrap_or(encryption.uuid);
    Ok(encryption)
}
