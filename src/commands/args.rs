//! `credimg args`: the arguments of an image that exists.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use credimg_formats::luks::Version;
use credimg_formats::probe::Probe;
use serde::Serialize;

use super::options::Attach;
use super::print;
use crate::delivery::sidecar;
use crate::job;
use crate::job::beside;
use crate::job::blocks;
use crate::job::drive::{self, drive};
use crate::job::encryption::{self, LABEL_END};
use crate::job::encryptor;
use crate::job::wishes::AttachWishes;
use crate::keys::{self, Key, Owners};
use crate::look::opened::{HashTree, Opened, no_encryption};
use crate::look::serial;
use crate::monitors::{Attachment, Bus, Drive, DriveKey, Machine, Monitor, Place, Serial};
use crate::report::{self, Exit, Failure, json};

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  credimg args chimera.erofs --bus scsi --args lines")]
pub struct AttachImage {
    /// The image
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub image: PathBuf,
    /// What is known of it, and how it is attached.
    #[command(flatten)]
    pub how: How,
}

// What is known of an image that exists, and how it is attached.
#[derive(Args, Debug)]
pub struct How {
    /// File with the key of an encrypted image; needed for LUKS1
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Derive keys whatever the image's header asks for: more than 32 million hashes of PBKDF2,
    /// 1 GiB of memory or 16 GiB that Argon2 fills are refused without it
    #[arg(long, requires = "key_file")]
    pub allow_cost: bool,
    /// Wrap that key with the master key in FILE
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "key_file")]
    pub master_key: Option<PathBuf>,
    /// Print absolute paths; links in them stay as they are
    #[arg(long)]
    pub absolute: bool,
    /// Print a JSON report that holds the arguments instead of the arguments
    #[arg(long)]
    pub json: bool,
    /// How the image is attached.
    #[command(flatten)]
    pub attach: Attach,
}

/// The report for programs. The field names are stable.
#[derive(Serialize)]
struct Report {
    image: String,
    label: Option<String>,
    /// The root hash and the place of the hash tree, if the image has one.
    root_hash: Option<String>,
    hash_offset_bytes: Option<u64>,
    serial: String,
    drive_id: String,
    /// The paths of the private files beside the image.
    sidecars: Vec<String>,
    #[serde(flatten)]
    attachment: Attachment,
    warnings: Vec<String>,
}

pub(super) fn run(options: &AttachImage) -> Result<(), Failure> {
    let target = options.how.attach.target.unwrap_or_default();
    print_arguments(&options.image, target, None, &options.how)
}

/// Prints the arguments that attach the image at `path` to a machine of the monitor `target`. If
/// the image holds no label, the serial is made of `known_label`, unless the guest is told a
/// serial.
pub(super) fn print_arguments(
    path: &Path,
    target: Monitor,
    known_label: Option<&str>,
    options: &How,
) -> Result<(), Failure> {
    let image = Opened::new(path)?;
    let key = match options.key_file.as_deref() {
        Some(file) => Some((file, keys::read(file, Owners::Any)?)),
        None => None,
    };
    let drive_key = drive_key(&image, target, options, key.as_ref().map(|(_, key)| key))?;
    let inside = match &key {
        Some((file, key)) => image.inside(file, key, options.allow_cost)?,
        None => None,
    };
    let (inside, inner_tree) = inside.map_or((None, None), |it| (Some(it.probe), it.tree));
    let tree = image.tree()?.or(inner_tree);
    let label = label_of(&image, inside.as_ref())?;
    // The names of the private files beside the image tell what each is.
    let suffixes = beside::of_image(path, &image)?;
    let attach = with_serial(options.attach.wishes(), serial::told(path, &suffixes));
    let machine_type = attach.machine.machine_type(false)?;
    job::require_machine(machine_type, target)?;
    let opened = inside.as_ref().filter(|_| drive_key.is_some());
    let block = blocks::of_existing(&image, opened, tree.as_ref().map(|tree| &tree.found));
    let label = label.as_deref();
    let named = label.or(known_label);
    let drive = drive(&attach, machine_type, named, path, Place::default(), block)?;
    let drive = Drive { key: drive_key, ..drive };
    let firmware = sidecar::firmware(path, suffixes.iter().map(String::as_str));
    let initrd = sidecar::initrd(path, suffixes.iter().map(String::as_str));
    let (serial, drive_id) = (drive.serial.as_str().to_owned(), drive.id.as_str().to_owned());
    let machine = Machine { drive: Some(drive), firmware, initrd, ..Machine::default() };
    let machine = if options.absolute { machine.absolute()? } else { machine };
    let arguments = target.arguments(&machine, attach.style)?;
    if let Some(drive) = &machine.drive
        && let Some(note) = target.opening_note(drive)?
    {
        report::note(&note);
    }
    if !options.json {
        let text = arguments.printed(attach.style)?;
        drive::warn(target, attach.bus, label);
        return print(&text);
    }
    let attachment = arguments.reported()?;
    drive::warn(target, attach.bus, label);
    let sidecar = |suffix: &String| json::path(&sidecar::path(path, suffix));
    let tree = tree.as_ref().map(HashTree::told).transpose()?;
    print(&json::line(&Report {
        image: json::path(path),
        hash_offset_bytes: tree.as_ref().map(|tree| tree.offset_bytes),
        root_hash: tree.map(|tree| tree.root_hash),
        label: label.map(str::to_owned),
        serial,
        drive_id,
        sidecars: suffixes.iter().map(sidecar).collect(),
        attachment,
        warnings: report::warnings(),
    })?)
}

/// Gives the disk the serial by which the guest looks for it, as its own files say. Warns if the
/// command line asks for another one, by which the guest would not find it.
fn with_serial(attach: AttachWishes, told: Option<Serial>) -> AttachWishes {
    let Some(told) = told else { return attach };
    let told = told.as_str();
    if attach.serial.as_ref().is_some_and(|serial| serial != told) || attach.bus != Bus::Virtio {
        report::warn(&format!(
            "the guest looks for this disk by the serial {told} on the bus virtio, and finds it \
             nowhere else: build the image with these options as well"
        ));
    }
    let serial = attach.serial.or_else(|| Some(told.to_owned()));
    AttachWishes { serial, ..attach }
}

/// The key by which QEMU opens a LUKS1 image; none of any other image.
fn drive_key(
    image: &Opened,
    target: Monitor,
    options: &How,
    key: Option<&Key>,
) -> Result<Option<DriveKey>, Failure> {
    let How { key_file, master_key, .. } = options;
    match &image.probe {
        Probe::Luks { version: Version::Luks1, .. } => {
            let Some(key) = key else {
                let message = "this image is LUKS1: QEMU needs its key (--key-file)";
                return Err(
                    Failure::new(Exit::Usage, message).hint("name its file with --key-file")
                );
            };
            target.require_opener()?;
            encryptor::drive_key(Version::Luks1, key, key_file.as_deref(), master_key.as_deref())
        }
        Probe::Luks { version: Version::Luks2, .. } if master_key.is_some() => {
            Err(encryption::no_master())
        }
        Probe::Luks { version: Version::Luks2, .. } => Ok(None),
        Probe::Erofs { .. } | Probe::Squashfs {} | Probe::Iso9660 { .. } => match key {
            Some(_) => Err(no_encryption("--key-file")),
            None => Ok(None),
        },
    }
}

/// The volume label. An encrypted image has that of the image `inside` if that is known, else that
/// of the header.
fn label_of(image: &Opened, inside: Option<&Probe>) -> Result<Option<String>, Failure> {
    let of_inside = inside.map(|inside| image.label(inside)).transpose()?.flatten();
    if of_inside.is_some() {
        return Ok(of_inside);
    }
    let label = image.label(&image.probe)?;
    Ok(match &image.probe {
        Probe::Luks { .. } => {
            label.map(|label| label.strip_suffix(LABEL_END).unwrap_or(&label).to_owned())
        }
        Probe::Erofs { .. } | Probe::Squashfs {} | Probe::Iso9660 { .. } => label,
    })
}
