//! Decides format, options of the format, label, UUID and time of an image, and makes what the
//! writer of the format is given.

use std::path::Path;

use credimg_formats::erofs::format::is_mistaken_for_ext2;
use credimg_formats::squashfs::Compression;
use credimg_formats::{Spec, Timestamp, erofs, iso9660, squashfs, uuid_bytes};

use super::destination::Destination;
use super::image::Image;
use super::uuid;
use super::wishes::Wishes;
use crate::manifest::{self, Format, Manifest};
use crate::report::{self, Exit, Failure, verbose};

/// An image's format and label.
pub(crate) struct Volume {
    pub(crate) format: Format,
    /// Whether the format is certain; if not, the name of the output will decide it.
    pub(crate) is_format_known: bool,
    pub(crate) label: Option<String>,
    pub(crate) options: FormatOptions,
}

/// Options of single formats. Those of other formats have their defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FormatOptions {
    /// How a SquashFS image is compressed.
    pub(crate) compression: Compression,
    /// Whether an ISO 9660 image gets a Joliet tree.
    pub(crate) joliet: bool,
}

impl Volume {
    /// Decides format, label and options: by the command line, else by the manifest.
    pub(crate) fn new(
        manifest: &Manifest,
        wishes: &Wishes,
        destination: &Destination,
    ) -> Result<Self, Failure> {
        let manifest::FormatOptions { compression: packed, joliet: has_joliet } =
            manifest.format_options;
        let joliet = wishes.joliet || has_joliet;
        let Some(format) = format(manifest, wishes, destination)? else {
            let label = wishes.label.as_deref().map(manifest::label_option).transpose()?;
            return Ok(Self {
                format: Format::Erofs,
                is_format_known: false,
                label: label.or_else(|| Some(manifest.label.as_ref()?.text.clone())),
                options: FormatOptions { compression: Compression::NONE, joliet },
            });
        };
        let profile = format.profile();
        if joliet && !profile.has_joliet() {
            let message = format!("{} has no Joliet tree", format.name());
            return Err(Failure::new(Exit::Usage, message).hint("only `format: iso9660` has one"));
        }
        let label = label(wishes.label.as_deref(), manifest, format, joliet)?;
        let wanted = wishes.compression.as_deref().map(manifest::compression_option).transpose()?;
        let compression = wanted.or(packed).unwrap_or(Compression::NONE);
        if !compression.is_none() && !profile.has_compression {
            let message = format!("a compressed {} image is not supported", format.name());
            let hint = "only `format: squashfs` is compressed";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
        let options = FormatOptions { compression, joliet };
        Ok(Self { format, is_format_known: true, label, options })
    }
}

/// The image format: the command line's, else the manifest's, else the output's extension. None
/// where nobody says it and there is no output.
fn format(
    manifest: &Manifest,
    wishes: &Wishes,
    destination: &Destination,
) -> Result<Option<Format>, Failure> {
    let (format, why) = match (wishes.format, manifest.format, destination) {
        (Some(format), ..) => (format, "as an option says"),
        (None, Some(format), _) => (format, "as the manifest says"),
        (None, None, Destination::File(_) | Destination::Stream(_) | Destination::Compared(_)) => {
            (of_extension(destination.path())?, "by the image's name")
        }
        // Memory has no name whose extension would tell the format.
        (None, None, Destination::Memory(_)) => (Format::Erofs, "as nobody says another"),
        (None, None, Destination::Nothing) => return Ok(None),
    };
    verbose::tell(|| format!("the format is {}, {why}", format.name()));
    Ok(Some(format))
}

/// The format that the extension of this name stands for.
pub(crate) fn named_by(path: &Path) -> Option<Format> {
    Format::of_extension(path.extension()?.to_str()?)
}

fn of_extension(output: &Path) -> Result<Format, Failure> {
    named_by(output).ok_or_else(|| {
        if output.is_dir() {
            let message = format!("{} is a directory", report::shown(output));
            let hint = format!(
                "name an image in it, as in {}",
                report::shown(&output.join("IMAGE.erofs"))
            );
            return Failure::new(Exit::Usage, message).hint(hint);
        }
        let message = format!("cannot tell the format of {}", report::shown(output));
        let hint = "name the output IMAGE.erofs, IMAGE.squashfs or IMAGE.iso, or give --format";
        Failure::new(Exit::Usage, message).hint(hint)
    })
}

/// The options for the writer of the format.
pub(super) fn spec(image: &Image) -> credimg_formats::Result<Spec> {
    let FormatOptions { compression, joliet } = image.options;
    let label = image.label.as_deref().unwrap_or_default().as_bytes();
    Ok(match image.format {
        Format::Erofs => Spec::Erofs(
            erofs::Options::new()
                .label(erofs::Label::new(label)?)
                .uuid(image.uuid)
                .build_time(image.build_time),
        ),
        Format::Squashfs => Spec::Squashfs(
            squashfs::Options::new()
                .compression(compression)
                .build_time(image.build_time)
                .cut_fractions(true),
        ),
        Format::Iso9660 => Spec::Iso9660(
            iso9660::Options::new()
                .volume_id(iso9660::VolumeId::new(label)?)
                .build_time(image.build_time)
                .joliet(joliet)
                .cut_fractions(true)
                .lossy(image.lossy),
        ),
    })
}

/// The volume label: the command line's, else the manifest's.
fn label(
    wish: Option<&str>,
    manifest: &Manifest,
    format: Format,
    joliet: bool,
) -> Result<Option<String>, Failure> {
    if let Some(text) = wish {
        let label = manifest::label_option(text)?;
        return match label_fault(&label, format, joliet) {
            None => Ok(Some(label)),
            Some(fault) => Err(Failure::new(Exit::Usage, format!("--label: {fault}"))),
        };
    }
    let Some(label) = &manifest.label else { return Ok(None) };
    let text = label.on(format, joliet);
    let Some(fault) = label_fault(text, format, joliet) else {
        return Ok(Some(text.to_owned()));
    };
    Err(Failure::new(Exit::Manifest, format!("{}: {fault}", label.position)))
}

fn label_fault(label: &str, format: Format, joliet: bool) -> Option<String> {
    let max_bytes = manifest::label_max_bytes(format, joliet);
    let of = if joliet { " with Joliet" } else { "" };
    (label.len() > max_bytes).then(|| {
        let (format, got) = (format.name(), label.len());
        format!("expected a label of at most {max_bytes} bytes for {format}{of}, got {got}")
    })
}

/// The UUID that the command line asks for.
pub(super) fn own_uuid(wish: Option<&str>, format: Format) -> Result<Option<[u8; 16]>, Failure> {
    let Some(text) = wish else { return Ok(None) };
    let uuid = uuid_bytes(text).ok_or_else(|| {
        Failure::new(Exit::Usage, "--uuid: expected 32 hexadecimal digits as 8-4-4-4-12")
    })?;
    let is_mistaken = match format {
        Format::Erofs => is_mistaken_for_ext2(&uuid),
        Format::Squashfs | Format::Iso9660 => false,
    };
    if is_mistaken {
        let message = "--uuid: with 53ef as the fourth group guests would take the disk for ext2 \
                       and see no label";
        return Err(Failure::new(Exit::Usage, message).hint("choose another UUID"));
    }
    Ok(Some(uuid))
}

/// The UUID that the command line asks for, else `kept`, the UUID of the old image, by which guests
/// find a disk without a label, else a random one.
pub(super) fn uuid(
    own: Option<[u8; 16]>,
    label: Option<&str>,
    kept: Option<[u8; 16]>,
) -> Result<[u8; 16], Failure> {
    let kept = kept.filter(|uuid| label.is_none() && !is_mistaken_for_ext2(uuid));
    let random = || uuid::random().map_err(|failure| failure.hint("give one with --uuid"));
    own.or(kept).map_or_else(random, Ok)
}

/// The time for whatever has none of its own: that of the command line, else that of
/// `SOURCE_DATE_EPOCH`.
pub(super) fn own_time(wish: Option<i64>) -> Result<Option<Timestamp>, Failure> {
    if wish.is_some() {
        return Ok(wish.map(Timestamp::from_seconds));
    }
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        let message = "SOURCE_DATE_EPOCH is not a number of seconds since 1970";
        Failure::new(Exit::Usage, message)
    })?;
    Ok(Some(Timestamp::from_seconds(seconds)))
}

/// The present time, in whole seconds.
pub(super) fn now() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_seconds(seconds)
}
