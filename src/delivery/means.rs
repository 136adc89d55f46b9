//! Which channels credentials can go by, and why a channel is closed.

use super::initrd::GuestInitrd;
use super::mount::Disk;
use super::unlock::Unlock;
use crate::manifest::Channel;
use crate::monitors::{MachineType, Monitor, SmbiosForm, Style};

/// What the plan depends on besides the manifest.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// The monitor that starts the machine.
    pub target: Monitor,
    /// The type of machine that it starts, where that is known.
    pub machine_type: Option<MachineType>,
    /// How the monitor is given OEM strings.
    pub form: SmbiosForm,
    /// The style of the printed arguments.
    pub style: Style,
    /// Whether the image is a stream, beside which no file can lie.
    pub is_streamed: bool,
    /// The guest's own initrd, behind which credentials can go.
    pub initrd: Option<GuestInitrd>,
    /// The disk as the guest sees it.
    pub disk: Disk,
    /// How the guest opens the disk. None where it is neither encrypted nor has a hash tree, or
    /// where QEMU decrypts it.
    pub unlock: Option<Unlock>,
}

impl Means {
    /// Whether the machine type is known to have no SMBIOS tables.
    fn lacks_smbios(&self) -> bool {
        self.machine_type.is_some_and(|machine| machine.carries(Channel::Smbios).is_err())
    }

    /// The open channels for a credential with `via: auto`, in the order in which they are tried:
    /// one of the firmware, then the initrd. The firmware's is SMBIOS, and fw_cfg only in a machine
    /// without SMBIOS, as it has few slots. An error is the reason why neither is open.
    pub(super) fn automatic(&self) -> Result<Vec<Channel>, String> {
        let firmware = if self.lacks_smbios() { Channel::FwCfg } else { Channel::Smbios };
        let mut channels = vec![firmware, Channel::Initrd];
        channels.retain(|channel| self.closed(*channel).is_none());
        match self.closed(firmware) {
            Some(reason) if channels.is_empty() => Err(reason),
            Some(_) | None => Ok(channels),
        }
    }

    /// Why `channel` is closed to credentials that do not ask for it; none where it is open.
    pub(super) fn closed(&self, channel: Channel) -> Option<String> {
        self.refusal(channel).or_else(|| self.condition(channel))
    }

    /// What must be true besides, so that what goes by `channel` is not lost; none where nothing
    /// must.
    pub(super) fn condition(&self, channel: Channel) -> Option<String> {
        let condition = self.target.condition(channel)?;
        Some(format!("{}: {condition}", self.target.name()))
    }

    /// Whether a channel of the firmware is open to credentials with `via: auto`.
    pub(crate) fn has_firmware(&self) -> bool {
        [Channel::Smbios, Channel::FwCfg].into_iter().any(|it| self.closed(it).is_none())
    }

    /// Why `channel` is closed even to credentials that ask for it; none where it is open.
    pub(super) fn refusal(&self, channel: Channel) -> Option<String> {
        let is_lost_in_file = match channel {
            Channel::Disk => return None,
            Channel::Smbios => self.style == Style::Readconfig,
            Channel::FwCfg | Channel::Initrd => false,
        };
        if self.is_streamed {
            return Some("an image on standard output has no private files beside it".to_owned());
        }
        if is_lost_in_file {
            return Some("QEMU ignores SMBIOS in a file for -readconfig".to_owned());
        }
        if channel == Channel::Initrd {
            match self.initrd.as_ref().map(|initrd| &initrd.form) {
                None => return Some("the guest's own initrd is not given".to_owned()),
                Some(Err(reason)) => return Some(format!("the guest's own initrd: {reason}")),
                Some(Ok(_)) => {}
            }
        }
        let target = self.target;
        if let Err(reason) = target.carries(channel, self.style, self.machine_type) {
            return Some(format!("{}: {reason}", target.name()));
        }
        let machine = self.machine_type?;
        machine.carries(channel).err().map(|reason| format!("{}: {reason}", machine.name()))
    }
}
