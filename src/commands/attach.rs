//! From the command line's wishes to the machine that is attached.

use std::path::{Path, PathBuf};

use crate::cli::Attach;
use crate::report::{self, Exit, Failure, shown};
use crate::vm::{
    Drive, DriveId, Machine, Serial, SmbiosFile, Style, Target, cloud_hypervisor, crosvm,
    firecracker, libvirt, proxmox, qemu, vmspawn,
};

/// The drive for the image at `path` with this volume label.
pub(super) fn drive(attach: &Attach, label: Option<&str>, path: &Path) -> Result<Drive, Failure> {
    let serial = match &attach.serial {
        Some(serial) => Serial::new(serial)?,
        None => Serial::from_label(label)?,
    };
    let id = match &attach.id {
        Some(id) => DriveId::new(id)?,
        None => DriveId::from_serial(&serial),
    };
    Ok(Drive { id, serial, path: path.to_owned(), bus: attach.bus })
}

/// What gives `machine` to the monitor that the command line names. Paths are as
/// they are for QEMU, which starts where the caller is, and absolute for the others.
pub(super) fn render(attach: &Attach, machine: &Machine) -> Result<Vec<u8>, Failure> {
    let Attach { target, style, .. } = attach;
    let render = match target {
        Target::Qemu => {
            let drive = machine.drive.as_ref();
            return drive.map_or(Ok(Vec::new()), |drive| qemu::render(drive, *style));
        }
        Target::Libvirt => libvirt::render,
        Target::Proxmox => proxmox::render,
        Target::Vmspawn => vmspawn::render,
        Target::CloudHypervisor => cloud_hypervisor::render,
        Target::Crosvm => crosvm::render,
        Target::Firecracker => firecracker::render,
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

/// Says what people should know before they attach the image so; `label` is
/// that of the image itself.
pub(super) fn warn(attach: &Attach, label: Option<&str>) {
    if let Some(warning) = attach.bus.warning() {
        report::warn(warning);
    }
    if matches!(attach.target, Target::Firecracker | Target::Vmspawn) && label.is_none() {
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

fn absolute_path(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        let reason = report::reason(&error);
        let message = format!("cannot make {} an absolute path: {reason}", shown(path));
        Failure::new(Exit::Usage, message)
    })
}
