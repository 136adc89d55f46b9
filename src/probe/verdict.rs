//! Decides what became of everything that was sent, and why.

use super::guest::GuestReport;
use super::modules::Modules;
use super::sent::{Carrier, Expected, Sent};
use crate::manifest::Channel;
use crate::monitors::MachineType;

/// What became of something that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The guest has it, byte for byte.
    Arrived,
    /// The guest does not have it, for this reason.
    Lost(String),
    /// The kernel of the probe could not look where it would be, for this reason.
    Unseen(String),
}

/// Something that was sent, and what became of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The name for messages.
    pub name: String,
    /// What was to bring it to the guest.
    pub carrier: Carrier,
    /// What became of it.
    pub verdict: Verdict,
}

/// Judges everything that was sent.
pub(super) fn judge(
    things: Vec<Sent>,
    told: &GuestReport,
    machine: MachineType,
    modules: Option<&Modules>,
) -> Vec<Judged> {
    let judged = things.into_iter().map(|thing| {
        let verdict = if has_arrived(&thing, told) {
            Verdict::Arrived
        } else if let Some(reason) = why_not(&thing, machine) {
            Verdict::Lost(reason)
        } else if let Some(reason) = blindness(&thing, told, modules) {
            Verdict::Unseen(reason)
        } else {
            Verdict::Lost(absence(&thing, told).to_owned())
        };
        Judged { name: thing.name, carrier: thing.carrier, verdict }
    });
    judged.collect()
}

/// Whether the guest has reported it.
pub(super) fn has_arrived(thing: &Sent, told: &GuestReport) -> bool {
    match &thing.expected {
        Expected::Has(hash) => told.has.contains(hash),
        Expected::Disk { content, serial } => told.disks.iter().any(|(own, own_serial)| {
            content.is_none_or(|content| content == *own)
                && (serial.is_none() || serial == own_serial)
                && (content.is_some() || serial.is_some())
        }),
    }
}

/// Why this type of machine cannot carry it; none where it can, or where the type is not known.
fn why_not(thing: &Sent, machine: MachineType) -> Option<String> {
    let channel = match thing.carrier {
        Carrier::Smbios => Channel::Smbios,
        Carrier::FwCfg => Channel::FwCfg,
        Carrier::Initrd | Carrier::KernelLine | Carrier::Disk => return None,
    };
    // Nothing is known of the type: then only the guest's report counts.
    let reason = machine.carries(channel).err().filter(|_| machine != MachineType::UNKNOWN)?;
    Some(format!("{}: {reason}", machine.name()))
}

/// Why the probe's kernel could not have seen it: for want of a module.
fn blindness(thing: &Sent, told: &GuestReport, modules: Option<&Modules>) -> Option<String> {
    if thing.drivers.is_empty() {
        return None;
    }
    let Some(modules) = modules else {
        let text = "no modules were found for this kernel: --modules names their directory";
        return Some(text.to_owned());
    };
    let missing = thing.drivers.iter().find(|driver| !modules.has(driver));
    if let Some(driver) = missing {
        return Some(format!("this kernel has no module {driver}: --kernel takes another one"));
    }
    let refused = told.refused.iter().next()?;
    Some(format!("this kernel did not take its module {refused}"))
}

/// Why it is lost, by what the guest has reported instead.
fn absence(thing: &Sent, told: &GuestReport) -> &'static str {
    match &thing.expected {
        Expected::Disk { content: Some(content), .. }
            if told.disks.iter().any(|(own, _)| own == content) =>
        {
            "the disk is there, and has another serial"
        }
        Expected::Disk { .. } => "no disk of the machine has its content",
        Expected::Has(_) => match thing.carrier {
            Carrier::Smbios if told.has_no_smbios => "the guest has no SMBIOS tables",
            Carrier::Smbios => "the guest's SMBIOS tables do not have it",
            Carrier::FwCfg if told.has_no_fw_cfg => "the guest finds no fw_cfg device",
            Carrier::FwCfg => "the guest's fw_cfg device does not have it",
            Carrier::Initrd => "Linux has not unpacked it",
            Carrier::KernelLine | Carrier::Disk => "the kernel's command line does not have it",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitors::Board;

    const ONE: [u8; 16] = *b"0123456789abcdef";
    const OTHER: [u8; 16] = *b"fedcba9876543210";
    const Q35: MachineType = MachineType::new(Board::Q35);

    fn thing(carrier: Carrier, expected: Expected) -> Sent {
        Sent { name: "a".to_owned(), carrier, expected, drivers: Vec::new() }
    }

    fn disk(content: Option<[u8; 16]>, serial: Option<[u8; 16]>) -> Sent {
        thing(Carrier::Disk, Expected::Disk { content, serial })
    }

    fn verdict(thing: Sent, told: &GuestReport, machine: MachineType) -> Verdict {
        judge(vec![thing], told, machine, None).remove(0).verdict
    }

    fn lost(reason: &str) -> Verdict {
        Verdict::Lost(reason.to_owned())
    }

    #[test]
    fn a_disk_has_arrived_with_its_content_and_its_serial() {
        let told = GuestReport { disks: [(ONE, Some(OTHER))].into(), ..GuestReport::default() };
        for (content, serial, arrived) in [
            (Some(ONE), Some(OTHER), true),
            (Some(ONE), None, true),
            (None, Some(OTHER), true),
            (None, None, false),
            (Some(OTHER), Some(OTHER), false),
            (Some(ONE), Some(ONE), false),
        ] {
            assert_eq!(has_arrived(&disk(content, serial), &told), arrived);
        }
        let reason = "the disk is there, and has another serial";
        assert_eq!(verdict(disk(Some(ONE), Some(ONE)), &told, Q35), lost(reason));
        let reason = "no disk of the machine has its content";
        assert_eq!(verdict(disk(Some(OTHER), None), &told, Q35), lost(reason));
    }

    #[test]
    fn what_the_guest_has_counts_more_than_what_is_known_of_the_machine() {
        let told = GuestReport { has: [ONE].into(), has_no_smbios: true, ..GuestReport::default() };
        let microvm = MachineType::new(Board::Microvm);
        let string = |hash| thing(Carrier::Smbios, Expected::Has(hash));
        assert_eq!(verdict(string(ONE), &told, microvm), Verdict::Arrived);
        let reason = "microvm: it has no SMBIOS tables";
        assert_eq!(verdict(string(OTHER), &told, microvm), lost(reason));
        let reason = "the guest has no SMBIOS tables";
        assert_eq!(verdict(string(OTHER), &told, MachineType::UNKNOWN), lost(reason));
        let reason = "the guest's SMBIOS tables do not have it";
        assert_eq!(verdict(string(OTHER), &GuestReport::default(), Q35), lost(reason));
    }

    #[test]
    fn what_needs_a_driver_is_not_lost_where_that_is_missing() {
        let drivers = vec!["virtio_blk"];
        let disk = Sent { drivers, ..disk(Some(ONE), None) };
        let judged = verdict(disk, &GuestReport::default(), Q35);
        assert!(matches!(judged, Verdict::Unseen(_)), "{judged:?}");
    }
}
