//! What a command is to make, decided once: from the manifest, what the command line wishes
//! and where it goes, to plain values and the image itself.
//!
//! `Job::new` is the only place where a wish wins over the manifest, the environment or what
//! an output's name says. Everything behind it takes what it has decided.

mod advice;
pub(crate) mod beside;
pub(crate) mod blocks;
pub(crate) mod collect;
pub mod depfile;
pub(crate) mod destination;
pub(crate) mod drive;
pub(crate) mod encryption;
pub(crate) mod encryptor;
pub(crate) mod existing;
pub(crate) mod expected;
pub(crate) mod files;
pub(crate) mod fleet_machine;
pub(crate) mod image;
pub(crate) mod initrd;
pub(crate) mod links;
pub(crate) mod loss;
pub(crate) mod making;
pub(crate) mod old_output;
pub(crate) mod permissions;
pub(crate) mod progress;
pub(crate) mod reach;
pub(crate) mod read_back;
pub(crate) mod reports;
pub(crate) mod seed;
pub(crate) mod summary;
#[cfg(test)]
mod tests;
pub(crate) mod trusted;
pub(crate) mod user_data;
pub(crate) mod uuid;
pub(crate) mod verity;
pub(crate) mod volume;
pub(crate) mod wishes;
pub(crate) mod xattrs;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use credimg_formats::Timestamp;
use credimg_formats::luks::Version;

use self::destination::Destination;
use self::encryption::Encryption;
use self::encryptor::Encryptor;
use self::existing::Existing;
use self::image::Image;
use self::verity::Verity;
use self::volume::Volume;
use self::wishes::{AttachWishes, SourceWishes, Wishes};
use crate::delivery::device::Device;
use crate::delivery::guest::Guest;
use crate::delivery::means::Means;
use crate::delivery::mount::Disk;
use crate::delivery::unlock::Unlock;
use crate::delivery::verity::HashTree;
use crate::host::guard;
use crate::manifest::{Format, Manifest};
use crate::monitors::{Arguments, Block, Drive, MachineType, Monitor, Style};
use crate::report::{Exit, Failure, verbose};
use crate::sources::assemble::{self, OnExchangeable, OwnFiles};
use crate::sources::command::Limits;

/// One image, of which everything is decided and nothing stands in the way but the sources.
pub(crate) struct Job {
    pub(crate) manifest: Manifest,
    pub(crate) destination: Destination,
    /// What is written, and with what around it.
    pub(crate) image: Image,
    /// Whether the image's format is certain; of what is foreseen a name may decide it later.
    pub(crate) is_format_known: bool,
    /// How it is encrypted, where it is.
    pub(crate) encryption: Option<Encryption>,
    /// The old image that may stay as it is.
    pub(crate) existing: Option<Existing>,
    /// How it is attached: by this drive, to a machine of this monitor.
    pub(crate) drive: Drive,
    pub(crate) target: Monitor,
    /// How the arguments are written that attach it.
    pub(crate) style: Style,
    /// What attaches the drive alone, where anything can.
    arguments: Option<Arguments>,
    pub(crate) guest: Guest,
    /// What its tree is made with.
    pub(crate) settings: assemble::Settings,
    /// Whether the UUID and the time are somebody's wish, which no old image overrules.
    pub(crate) has_own_uuid: bool,
    pub(crate) has_own_time: bool,
}

impl Job {
    /// Decides everything, and takes the key of an encrypted image besides, so that no source
    /// is read in vain. In each respect a wish wins over the manifest, and that over what
    /// `destination` tells.
    ///
    /// Errors: exit code 2 for wishes, 3 for the manifest, 4 and 5 for key files, 7 for a key
    /// that cannot be made.
    pub(crate) fn new(
        manifest: Manifest,
        wishes: &Wishes,
        destination: Destination,
    ) -> Result<Self, Failure> {
        let AttachWishes { style, .. } = wishes.attach;
        let target = target(&manifest, &wishes.attach)?;
        let volume = Volume::new(&manifest, wishes, &destination)?;
        let guest = wishes.guest.as_deref().map_or_else(|| Ok(Guest::default()), Guest::parse)?;
        let machine_type =
            machine_type(&wishes.attach, target, &guest, &destination, manifest.machine.is_some())?;
        let encryption = Encryption::new(&manifest, &wishes.encryption, volume.format, target)?;
        let (verity, block) =
            tree_and_block(&manifest, wishes, volume.format, encryption.as_ref())?;
        let mut drive = destination.drive(&wishes.attach, machine_type, &volume, block)?;
        let own_uuid = volume::own_uuid(wishes.uuid.as_deref(), volume.format)?;
        let own_time = own_time(&wishes.sources, &destination)?;

        let mut encryptor = destination.encryptor(encryption.as_ref(), style)?;
        drive.key = encryptor.as_ref().map(Encryptor::drive_key).transpose()?.flatten();
        let arguments = drive_arguments(&destination, target, &drive, style)?;
        let initrd = initrd::own(wishes, &destination, &guest)?;
        let label = volume.label.as_deref();
        let existing = destination.existing(encryptor.as_ref(), verity.is_some(), label);
        let kept = destination.kept(existing.as_ref());
        if let (Some(encryptor), Some(uuid)) = (&mut encryptor, kept.header_uuid) {
            // The guest may find the disk by the header's UUID.
            encryptor.uuid = uuid;
        }
        let image = Image {
            uuid: volume::uuid(own_uuid, label, kept.uuid)?,
            build_time: own_time.or(kept.build_time).unwrap_or_else(volume::now),
            format: volume.format,
            label: volume.label,
            options: volume.options,
            encryptor: encryptor.map(Rc::new),
            verity,
            lossy: wishes.lossy,
            warns: true,
            max_size_bytes: wishes.sources.max_size_bytes,
        };
        let mut means = means(wishes, target, &destination, encryption.as_ref(), &image, &drive)?;
        means.initrd = initrd::told(initrd.as_ref(), &manifest, &destination);
        let settings = assemble::Settings {
            means,
            output: destination.own_files(&image),
            notes_inputs: destination.notes_inputs(),
            initrd: initrd.map(|initrd| initrd.file),
            ..settings(&wishes.sources, image.build_time)
        };
        let job = Self {
            manifest,
            destination,
            image,
            is_format_known: volume.is_format_known,
            encryption,
            existing,
            drive,
            target,
            style,
            arguments,
            guest,
            settings,
            has_own_uuid: own_uuid.is_some(),
            has_own_time: own_time.is_some(),
        };
        verbose::tell(|| job.choices());
        Ok(job)
    }

    /// What was chosen, for people.
    fn choices(&self) -> String {
        let Self { image, drive, target, encryption, .. } = self;
        let label = image
            .label
            .as_deref()
            .map_or_else(|| "no label".to_owned(), |label| format!("label {label}"));
        let encrypted =
            encryption.as_ref().map_or("not encrypted", |encryption| match encryption.luks {
                Version::Luks1 => "encrypted by LUKS1",
                Version::Luks2 => "encrypted by LUKS2",
            });
        let (target, serial) = (target.name(), drive.serial.as_str());
        let tree = if image.verity.is_some() { ", has a hash tree" } else { "" };
        format!(
            "the image has {label}, is {encrypted}{tree}, and goes to {target} with the serial {serial}"
        )
    }

    /// The image that a build makes that keeps what nobody wishes otherwise of the one that
    /// exists.
    pub(crate) fn like(&self, existing: &Existing) -> Image {
        let stamp = &existing.stamp;
        Image {
            uuid: stamp.uuid.filter(|_| !self.has_own_uuid).unwrap_or(self.image.uuid),
            build_time: if self.has_own_time { self.image.build_time } else { stamp.build_time },
            warns: false,
            ..self.image.clone()
        }
    }
}

/// What a tree is made with that goes nowhere in particular, be it that of an image or of a blob.
pub(crate) fn settings(wishes: &SourceWishes, build_time: Timestamp) -> assemble::Settings {
    let SourceWishes { trust, strict, policy, .. } = *wishes;
    assemble::Settings {
        build_time,
        commands: Limits {
            timeout: Duration::from_secs(u64::from(wishes.command_timeout_seconds)),
            show_stderr: wishes.command_stderr,
            // What several say at a time could not be told apart.
            jobs: if wishes.command_stderr { 1 } else { usize::from(wishes.jobs) },
            ..Limits::new(Path::new(guard::OWN_PROGRAM))
        },
        policy,
        output: OwnFiles::default(),
        means: Means::default(),
        notes_inputs: false,
        initrd: None,
        shared: None,
        on_exchangeable: match (trust, strict) {
            (true, _) => OnExchangeable::Taken,
            (false, true) => OnExchangeable::Refused,
            (false, false) => OnExchangeable::Told,
        },
        max_size_bytes: wishes.max_size_bytes,
    }
}

/// The time of a tree for which nothing but a wish decides it.
#[cfg(feature = "seal")]
pub(crate) fn build_time(wishes: &SourceWishes) -> Result<Timestamp, Failure> {
    Ok(volume::own_time(wishes.mtime)?.unwrap_or_else(volume::now))
}

/// The time that somebody wishes; of what is only foreseen there is none.
fn own_time(
    wishes: &SourceWishes,
    destination: &Destination,
) -> Result<Option<Timestamp>, Failure> {
    match destination {
        Destination::File(_)
        | Destination::Stream(_)
        | Destination::Memory(_)
        | Destination::Compared(_) => volume::own_time(wishes.mtime),
        Destination::Nothing => Ok(None),
    }
}

/// The monitor of the command line, else that of the machine of a fleet.
fn target(manifest: &Manifest, wishes: &AttachWishes) -> Result<Monitor, Failure> {
    if let Some(wish) = wishes.target {
        return Ok(wish);
    }
    let of_fleet = manifest.machine.as_ref().and_then(|machine| machine.target.as_ref());
    Ok(of_fleet.map(fleet_machine::target).transpose()?.unwrap_or_default())
}

/// The machine type of the command line, be it among the facts of the guest, else that of the
/// program that is started.
fn machine_type(
    wishes: &AttachWishes,
    target: Monitor,
    guest: &Guest,
    destination: &Destination,
    is_fleet: bool,
) -> Result<Option<MachineType>, Failure> {
    let wish = wishes.machine.machine_type(is_fleet)?;
    if let (Some(wish), Some(other)) = (wish, guest.machine_type)
        && wish != other
    {
        let message = "--machine and --guest name two machines";
        return Err(Failure::new(Exit::Usage, message).hint("leave one of them out"));
    }
    let machine = wish.or(guest.machine_type).or(destination.machine_type());
    require_machine(machine, target)?;
    Ok(machine)
}

/// An error where the monitor has no machine of this type.
pub(crate) fn require_machine(
    machine: Option<MachineType>,
    target: Monitor,
) -> Result<(), Failure> {
    let Some(machine) = machine.filter(|machine| !target.has_machine(*machine)) else {
        return Ok(());
    };
    let message = format!("{} has no machine type {}", target.name(), machine.name());
    let hint = "leave the machine out, or name one that is there";
    Err(Failure::new(Exit::Usage, message).hint(hint))
}

/// The hash tree, if the image gets one, and the size of the disk's blocks, which depends on it.
fn tree_and_block(
    manifest: &Manifest,
    wishes: &Wishes,
    format: Format,
    encryption: Option<&Encryption>,
) -> Result<(Option<Verity>, Block), Failure> {
    let block = blocks::of_build(format, encryption);
    let signing = wishes.encryption.signing.as_ref();
    let verity = Verity::new(manifest, wishes.verity, signing, block)?;
    let block = verity.as_ref().map_or(block, |verity| verity.block(block));
    Ok((verity, block))
}

/// The arguments that attach the drive alone; none of an image that nothing attaches. A path that
/// the style cannot carry is an error of exit code 2 here, before anything is read.
fn drive_arguments(
    destination: &Destination,
    target: Monitor,
    drive: &Drive,
    style: Style,
) -> Result<Option<Arguments>, Failure> {
    if !destination.is_attached() {
        return Ok(None);
    }
    let arguments = target.arguments(&drive.clone().into(), style)?;
    arguments.printed(style)?;
    Ok(Some(arguments))
}

/// What the planner of channels has to know. The guest's own initrd is still missing in it.
fn means(
    wishes: &Wishes,
    target: Monitor,
    destination: &Destination,
    encryption: Option<&Encryption>,
    image: &Image,
    drive: &Drive,
) -> Result<Means, Failure> {
    let label = image.label.as_deref();
    let encryptor = image.encryptor.as_deref();
    let uuid = credimg_formats::uuid_text(image.uuid);
    let plain = Disk::new(image.format, label, &uuid, &drive.serial, drive.bus);
    let plain = if wishes.uuid.is_none() { plain.with_random_uuid() } else { plain };
    let mut unlock = encryption.and_then(|it| it.unlock(drive, label, encryptor));
    if let Some(verity) = &image.verity {
        let device = checked_device(target, drive, unlock.as_ref(), &plain)?;
        let key_bytes = unlock.and_then(|unlock| unlock.key_bytes());
        let tree = verity.signed(HashTree::foreseen())?;
        unlock = Some(Unlock::checked(&drive.serial, device, tree, key_bytes));
    }
    let disk = if unlock.is_some() { Disk::opened(image.format, &drive.serial) } else { plain };
    Ok(Means {
        target,
        machine_type: drive.machine_type,
        form: wishes.smbios,
        style: wishes.attach.style,
        is_streamed: destination.is_stream(),
        initrd: None,
        disk,
        unlock,
    })
}

/// By what the guest finds a disk with a hash tree: by its serial where it can, as a changed disk
/// may have lost its label. Else by what is on it: the encryption that `unlock` opens, or what is on
/// a `plain` one; an error of exit code 2 where the guest has no name for that.
fn checked_device(
    target: Monitor,
    drive: &Drive,
    unlock: Option<&Unlock>,
    plain: &Disk,
) -> Result<Device, Failure> {
    let of_serial = Device::of_serial(&drive.serial, drive.bus);
    match (of_serial.filter(|_| target.sets_serial()), unlock) {
        (Some(device), _) => Ok(device),
        (None, Some(unlock)) => Ok(unlock.device().clone()),
        (None, None) => plain.device().cloned(),
    }
}
