//! From the command line's wishes to the machine that is attached.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::image::Image;
use super::settings;
use crate::commands::options::{Attach, Recipe};
use crate::delivery::mount::Disk;
use crate::delivery::route::Means;
use crate::monitors::{
    Block, Bus, Drive, DriveId, DriveKey, Machine, MachineType, Monitor, SmbiosFile, Style,
    cloud_hypervisor, crosvm, firecracker, libvirt, proxmox, qemu, vmspawn,
};
use crate::report::{self, Exit, Failure, shown};

/// The drive for the image at `path` with this volume label, in a machine of this type.
pub(crate) fn drive(
    attach: &Attach,
    machine_type: Option<MachineType>,
    label: Option<&str>,
    path: &Path,
    block: Block,
    key: Option<DriveKey>,
) -> Result<Drive, Failure> {
    let has_pci = machine_type.is_none_or(MachineType::has_pci);
    if !has_pci && matches!(attach.bus, Bus::Usb | Bus::Nvme) {
        let message = "a microvm without PCI has no such bus";
        let hint = "use --bus virtio or scsi, or start it with pcie=on and give --machine \
                    microvm,pcie=on";
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let serial = settings::serial(attach.serial.as_deref(), label, path)?;
    let id = match &attach.id {
        Some(id) => DriveId::new(id)?,
        None => DriveId::from_serial(&serial),
    };
    let path = path.to_owned();
    let (bus, place) = (attach.bus, attach.place.unwrap_or_default());
    Ok(Drive { id, serial, path, descriptor: None, bus, place, block, machine_type, key })
}

/// What gives `machine` to the monitor that the command line names. Paths are as
/// they are for QEMU, which starts where the caller is, and absolute for the others.
pub(crate) fn render(attach: &Attach, machine: &Machine) -> Result<Vec<u8>, Failure> {
    let Attach { target, style, .. } = attach;
    require_carried(machine)?;
    let render = match target {
        Monitor::Qemu => return qemu::render(machine, *style),
        Monitor::Libvirt => libvirt::render,
        Monitor::Proxmox => proxmox::render,
        Monitor::Vmspawn => vmspawn::render,
        Monitor::CloudHypervisor => cloud_hypervisor::render,
        Monitor::Crosvm => crosvm::render,
        Monitor::Firecracker => firecracker::render,
    };
    let text = render(&absolute(machine)?)?;
    match style {
        Style::Shell => Ok(text),
        Style::None => Ok(Vec::new()),
        _ => {
            let message = format!("the styles of --args are not those of {}", target.name());
            Err(Failure::new(Exit::Usage, message).hint("leave --args out, or write --args none"))
        }
    }
}

/// The words that give `machine` to a monitor that inherits its files; their
/// paths are those of descriptors. What cannot be given so is an error of
/// [`Exit::Usage`].
pub(crate) fn words(attach: &Attach, machine: &Machine) -> Result<Vec<OsString>, Failure> {
    let Attach { target, style, .. } = attach;
    require_carried(machine)?;
    let words = match (target, style) {
        (Monitor::Qemu, Style::Shell | Style::Blockdev) => qemu::words(machine, *style),
        (Monitor::CloudHypervisor, Style::Shell) => cloud_hypervisor::words(machine),
        (Monitor::Crosvm, Style::Shell) => crosvm::words(machine),
        (Monitor::Qemu | Monitor::CloudHypervisor | Monitor::Crosvm, _) => {
            let styles = if *target == Monitor::Qemu { "shell and blockdev" } else { "shell" };
            let message = format!("a program is started with arguments of --args {styles} only");
            Err(Failure::new(Exit::Usage, message))
        }
        (Monitor::Libvirt | Monitor::Proxmox | Monitor::Vmspawn, _) => Err(no_heir(*target).hint(
            "its machines are started by a process of its own: write the image with `build`",
        )),
        (Monitor::Firecracker, _) => Err(no_heir(*target)
            .hint("it hears of drives by its API only: write the image with `build`")),
    };
    Ok(words?.into_iter().map(OsString::from_vec).collect())
}

/// An error where the drive's machine does not carry what is beside the image.
fn require_carried(Machine { drive, firmware }: &Machine) -> Result<(), Failure> {
    let machine_type = drive.as_ref().and_then(|drive| drive.machine_type);
    machine_type.map_or(Ok(()), |machine_type| machine_type.require_carried(firmware))
}

fn no_heir(target: Monitor) -> Failure {
    let message = format!("{} cannot be given an image that is in memory", target.name());
    Failure::new(Exit::Usage, message)
}

/// The channels that are open to credentials.
pub(crate) fn means(recipe: &Recipe, attach: &Attach, image: &Image, drive: &Drive) -> Means {
    let uuid = credimg_formats::uuid_text(image.uuid);
    let label = image.label.as_deref();
    let unlock = image.encryption.as_ref().and_then(|it| it.unlock(drive, label));
    let disk = match &unlock {
        Some(_) => Disk::encrypted(image.format, &drive.serial),
        None => Disk::new(image.format, label, &uuid, &drive.serial, drive.bus),
    };
    let disk = if recipe.uuid.is_none() { disk.with_random_uuid() } else { disk };
    Means {
        target: attach.target,
        machine_type: drive.machine_type,
        form: recipe.smbios,
        is_config_file: attach.style == Style::Readconfig,
        is_streamed: settings::is_streamed(&drive.path),
        disk,
        unlock,
    }
}

/// Says what people should know before they attach the image so; `label` is
/// that of the image itself.
pub(crate) fn warn(attach: &Attach, label: Option<&str>) {
    if let Some(warning) = attach.bus.warning() {
        report::warn(warning);
    }
    if !attach.target.sets_serial() && label.is_none() {
        report::warn(&format!(
            "{} makes up the disk's serial, and the image has no label: the guest can tell it by \
             its place only",
            attach.target.name()
        ));
    }
}

fn absolute(machine: &Machine) -> Result<Machine, Failure> {
    let mut machine = machine.clone();
    let firmware = &mut machine.firmware;
    let strings = firmware.smbios.iter_mut().map(|file| match file {
        SmbiosFile::Structure(path) | SmbiosFile::String(path) => path,
    });
    let paths = machine.drive.iter_mut().map(|drive| &mut drive.path).chain(strings);
    let paths = paths.chain(firmware.fw_cfg.iter_mut().map(|item| &mut item.file));
    for path in paths.chain(firmware.credentials.iter_mut().map(|file| &mut file.file)) {
        *path = absolute_path(path)?;
    }
    Ok(machine)
}

pub(crate) fn absolute_path(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        let reason = report::reason(&error);
        let message = format!("cannot make {} an absolute path: {reason}", shown(path));
        Failure::new(Exit::Usage, message)
    })
}
