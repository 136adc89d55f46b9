//! What there is to send credentials by, and what stands in a channel's way.

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
    /// The machine that it starts, where that is known.
    pub machine_type: Option<MachineType>,
    /// How OEM strings are given to it.
    pub form: SmbiosForm,
    /// How what attaches the image is written.
    pub style: Style,
    /// Whether the image is a stream, beside which no file can lie.
    pub is_streamed: bool,
    /// The guest's own initrd, behind which credentials can go.
    pub initrd: Option<GuestInitrd>,
    /// The disk as the guest sees it.
    pub disk: Disk,
    /// How the guest opens it, where it has a hash tree, or is encrypted and nobody else opens it.
    pub unlock: Option<Unlock>,
}

impl Means {
    /// Whether the machine is known to have no SMBIOS tables, whatever carries them.
    fn lacks_smbios(&self) -> bool {
        self.machine_type.is_some_and(|machine| machine.carries(Channel::Smbios).is_err())
    }

    /// The channels of what may go anywhere, in their order, else the reason why there is none:
    /// the first choice of the firmware, then the initrd. Items of fw_cfg are few, and stand in
    /// where there is no SMBIOS.
    pub(super) fn automatic(&self) -> Result<Vec<Channel>, String> {
        let firmware = if self.lacks_smbios() { Channel::FwCfg } else { Channel::Smbios };
        let mut channels = vec![firmware, Channel::Initrd];
        channels.retain(|channel| self.closed(*channel).is_none());
        match self.closed(firmware) {
            Some(reason) if channels.is_empty() => Err(reason),
            Some(_) | None => Ok(channels),
        }
    }

    /// Why nothing goes by `channel` that does not ask for it; none where it is open to all.
    pub(super) fn closed(&self, channel: Channel) -> Option<String> {
        self.refusal(channel).or_else(|| self.condition(channel))
    }

    /// What has to be true besides where something goes by `channel`.
    pub(super) fn condition(&self, channel: Channel) -> Option<String> {
        let condition = self.target.condition(channel)?;
        Some(format!("{}: {condition}", self.target.name()))
    }

    /// Whether what may go anywhere can go by the firmware.
    pub(crate) fn has_firmware(&self) -> bool {
        [Channel::Smbios, Channel::FwCfg].into_iter().any(|it| self.closed(it).is_none())
    }

    /// Why nothing goes by `channel`; none where it is open.
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
