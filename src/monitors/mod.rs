//! What a virtual machine monitor is told: one model of what a machine is given
//! (`machine`), and one file a monitor with its renderer and its facts. The renderers
//! are pure: they see paths, ids, serials and public text, never a secret.
//!
//! A new monitor is a file with its `FACTS`, a variant of [`Monitor`] and its line in
//! `Monitor::facts`. Nothing outside of this module asks which monitor it is.

mod arguments;
mod block;
mod bus;
pub mod cloud_hypervisor;
pub mod crosvm;
mod facts;
pub mod firecracker;
pub mod libvirt;
mod machine;
mod machine_type;
mod names;
mod place;
pub mod proxmox;
pub mod qemu;
mod refusal;
mod style;
pub mod vmspawn;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use clap::ValueEnum;

use crate::manifest::Channel;
use crate::report::{Exit, Failure};
pub use arguments::Arguments;
pub(crate) use arguments::Attachment;
pub use block::Block;
pub use bus::Bus;
use facts::{Facts, FwCfg, Opener, Paths, Printed, Smbios, Started};
#[cfg(feature = "seal")]
pub(crate) use machine::absolute_path;
pub use machine::{
    CredentialFile, Drive, DriveKey, Firmware, FwCfgItem, ITEM_PREFIX, Machine, OEM_PREFIX,
    PublicCredential, SmbiosFile, SmbiosForm, StringFiles,
};
pub use machine_type::{Board, MachineType};
pub use names::{DriveId, Serial};
pub use place::Place;
pub use style::Style;

/// The virtual machine monitor that the arguments are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Monitor {
    /// QEMU's own command line, in the style of --args
    #[default]
    Qemu,
    /// Elements of a libvirt domain's XML
    Libvirt,
    /// `qm set` arguments of Proxmox VE
    Proxmox,
    /// Arguments of systemd-vmspawn
    Vmspawn,
    /// Arguments of Cloud Hypervisor
    CloudHypervisor,
    /// Arguments of crosvm
    Crosvm,
    /// JSON of Firecracker's API
    Firecracker,
}

impl Monitor {
    /// Every monitor.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// The facts about this monitor. All questions about monitors are answered by them.
    fn facts(self) -> &'static Facts {
        match self {
            Self::Qemu => &qemu::FACTS,
            Self::Libvirt => &libvirt::FACTS,
            Self::Proxmox => &proxmox::FACTS,
            Self::Vmspawn => &vmspawn::FACTS,
            Self::CloudHypervisor => &cloud_hypervisor::FACTS,
            Self::Crosvm => &crosvm::FACTS,
            Self::Firecracker => &firecracker::FACTS,
        }
    }

    /// The name in options and messages.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The buses by which it attaches a disk that the guest cannot write.
    pub fn buses(self) -> &'static [Bus] {
        self.facts().buses
    }

    /// Whether the disk has the serial that was asked for; else the monitor makes one up.
    pub fn sets_serial(self) -> bool {
        self.facts().sets_serial
    }

    /// An error of [`Exit::Usage`] if it cannot open a LUKS1 image by itself, so that the guest
    /// sees the plain disk.
    pub fn require_opener(self) -> Result<(), Failure> {
        refusal::require_opener(self.facts())
    }

    /// Instructions for people who have to do something before the machine starts, so that the
    /// monitor can open the drive's image. None if there is nothing to do. Errors are those of
    /// [`Self::arguments`].
    pub fn opening_note(self, drive: &Drive) -> Result<Option<String>, Failure> {
        match self.facts().opens_luks1 {
            Opener::Secret(note) => {
                let machine = Machine::from(drive.clone()).absolute()?;
                Ok(machine.drive.as_ref().and_then(note))
            }
            Opener::Key | Opener::None => Ok(None),
        }
    }

    /// Whether its machines can be, or resemble, this machine type of QEMU.
    pub fn has_machine(self, machine: MachineType) -> bool {
        self.facts().machines.has(machine)
    }

    /// Whether one of its own arguments names the machine type of QEMU.
    pub fn is_told_machine(self) -> bool {
        self.facts().is_told_machine
    }

    /// Whether secrets can go by `channel` to a machine of this type, with arguments of this style,
    /// without anybody else on the host seeing them. An error is the reason why not, in lower case
    /// and without a full stop.
    pub fn carries(
        self,
        channel: Channel,
        style: Style,
        machine: Option<MachineType>,
    ) -> Result<(), &'static str> {
        match channel {
            // Every monitor that takes a kernel takes an initrd with it.
            Channel::Disk | Channel::Initrd => Ok(()),
            Channel::Smbios => match self.facts().smbios {
                Smbios::Platform(reason) if style != Style::Api => Err(reason),
                Smbios::Platform(_) if machine.is_some_and(|it| !it.board.is_x86()) => {
                    Err("it has SMBIOS tables on x86 alone")
                }
                Smbios::Strings | Smbios::Credentials | Smbios::Platform(_) => Ok(()),
                Smbios::Refused(reason) => Err(reason),
            },
            Channel::FwCfg => match self.facts().fw_cfg {
                FwCfg::Files | FwCfg::OnRequest(_) => Ok(()),
                FwCfg::Refused(reason) => Err(reason),
            },
        }
    }

    /// What must be true so that nothing which goes by `channel` is lost, in lower case and without
    /// a full stop; none if nothing must. Only what the manifest sends by such a channel goes by
    /// it.
    pub fn condition(self, channel: Channel) -> Option<&'static str> {
        match (channel, self.facts().fw_cfg) {
            (Channel::FwCfg, FwCfg::OnRequest(condition)) => Some(condition),
            (Channel::FwCfg, FwCfg::Files | FwCfg::Refused(_))
            | (Channel::Disk | Channel::Smbios | Channel::Initrd, _) => None,
        }
    }

    /// Whether its arguments in this style hold the words for the guest's kernel command line.
    pub fn prints_kernel_line(self, style: Style) -> bool {
        self.facts().kernel_line.styles.contains(&style)
    }

    /// Where whoever starts the machine adds such words.
    pub fn kernel_line(self) -> &'static str {
        self.facts().kernel_line.place
    }

    /// Why items of fw_cfg that are no credentials cannot go, if that has a reason of its own.
    pub fn no_items(self) -> Option<&'static str> {
        self.facts().no_items
    }

    /// What is in the private files of credentials that go by SMBIOS.
    pub fn string_files(self, form: SmbiosForm) -> StringFiles {
        match (self.facts().smbios, form) {
            (Smbios::Credentials, _) => StringFiles::Values,
            (Smbios::Platform(_), _) => StringFiles::Json,
            (Smbios::Strings | Smbios::Refused(_), SmbiosForm::File) => StringFiles::Structure,
            (Smbios::Strings | Smbios::Refused(_), SmbiosForm::Path) => StringFiles::Strings,
        }
    }

    /// Whether a credential that is no secret can be an argument, and reaches the guest of a
    /// machine of this type.
    pub fn carries_public(self, machine: Option<MachineType>) -> bool {
        self.facts().public.reaches(machine)
    }

    /// The printed arguments that give `machine` to the monitor; empty if there is nothing to give.
    /// Errors are those of [`Self::arguments`], or say that the style cannot carry them.
    pub fn render(self, machine: &Machine, style: Style) -> Result<Vec<u8>, Failure> {
        self.arguments(machine, style)?.printed(style)
    }

    /// The arguments that give `machine` to the monitor, for this style. What the monitor cannot
    /// carry, by its grammar or without showing a secret, is an error of [`Exit::Usage`].
    pub fn arguments(self, machine: &Machine, style: Style) -> Result<Arguments, Failure> {
        machine.require_carried()?;
        let Facts { name, printed, styles, paths, .. } = self.facts();
        if !styles.contains(&style) {
            return Err(refusal::no_style(name, styles, style));
        }
        let absolute = match paths {
            Paths::AsGiven => None,
            Paths::Absolute => Some(machine.absolute()?),
        };
        let machine = absolute.as_ref().unwrap_or(machine);
        let arguments = match printed {
            Printed::Styled(render) if style.is_printed() => return render(machine, style),
            Printed::Styled(_) => return Ok(Arguments::NONE),
            Printed::Words(words) => Arguments::Words(words(machine)?),
        };
        Ok(if style.is_printed() { arguments } else { Arguments::NONE })
    }

    /// The arguments that give `machine` to a monitor which inherits its files: their paths are
    /// those of descriptors. What cannot be given so is an error of [`Exit::Usage`].
    pub fn words(self, machine: &Machine, style: Style) -> Result<Vec<OsString>, Failure> {
        machine.require_carried()?;
        let Facts { name, started, .. } = self.facts();
        match started {
            Started::Words { styles, words } if styles.contains(&style) => {
                Ok(words(machine, style)?.into_iter().map(OsString::from_vec).collect())
            }
            Started::Words { styles, .. } => {
                let styles = refusal::option_names(styles).join(" and ");
                let message =
                    format!("a program is started with arguments of --args {styles} only");
                Err(Failure::new(Exit::Usage, message))
            }
            Started::Never(reason) => {
                let message = format!("{name} cannot be given an image that is in memory");
                let hint = format!("{reason}: write the image with `build`");
                Err(Failure::new(Exit::Usage, message).hint(hint))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn machine(bus: Bus) -> Machine {
        let serial = Serial::new("chimera").unwrap();
        Machine::from(Drive {
            id: DriveId::from_serial(&serial),
            serial,
            path: "/vm/chimera.erofs".into(),
            descriptor: None,
            bus,
            place: Place::default(),
            block: Block::Page,
            machine_type: None,
            key: None,
        })
    }

    /// A new monitor is in the table, and renders a disk.
    #[test]
    fn every_monitor_has_a_name_and_renders_a_disk() {
        for monitor in Monitor::all() {
            let name = monitor.name();
            assert_eq!(refusal::option_name(monitor), name);
            assert!(!monitor.buses().is_empty(), "{name}");
            for bus in Bus::value_variants() {
                let mut machine = machine(*bus);
                if *monitor == Monitor::Vmspawn && *bus != Bus::Cdrom {
                    let path = "/var/lib/storage/chimera.volume";
                    machine.drive.as_mut().unwrap().path = path.into();
                }
                let rendered = monitor.render(&machine, Style::Shell);
                let is_there = rendered.is_ok_and(|text| !text.is_empty());
                assert_eq!(is_there, monitor.buses().contains(bus), "{name} {bus:?}");
            }
        }
    }
}
