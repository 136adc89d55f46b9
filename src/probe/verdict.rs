//! What became of each thing that was sent, and why.

use super::guest::Told;
use super::modules::Modules;
use super::sent::{Expected, Thing, Way};
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
    /// Its name.
    pub name: String,
    /// By what it was sent.
    pub way: Way,
    /// What became of it.
    pub verdict: Verdict,
}

/// Judges everything that was sent.
pub(super) fn judge(
    things: Vec<Thing>,
    told: &Told,
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
        Judged { name: thing.name, way: thing.way, verdict }
    });
    judged.collect()
}

/// Whether the guest has it.
pub(super) fn has_arrived(thing: &Thing, told: &Told) -> bool {
    match &thing.expected {
        Expected::Has(hash) => told.has.contains(hash),
        Expected::Disk { content, serial } => told.disks.iter().any(|(own, own_serial)| {
            content.is_none_or(|content| content == *own)
                && (serial.is_none() || serial == own_serial)
                && (content.is_some() || serial.is_some())
        }),
    }
}

/// Why this machine cannot bring it, as far as that is known of its type.
fn why_not(thing: &Thing, machine: MachineType) -> Option<String> {
    let channel = match thing.way {
        Way::Smbios => Channel::Smbios,
        Way::FwCfg => Channel::FwCfg,
        Way::Initrd | Way::KernelLine | Way::Disk => return None,
    };
    // Of a machine that is not known nothing is foreseen: what was looked at counts.
    let reason = machine.carries(channel).err().filter(|_| machine != MachineType::UNKNOWN)?;
    Some(format!("{}: {reason}", machine.name()))
}

/// Why the kernel of the probe would not see it if it were there.
fn blindness(thing: &Thing, told: &Told, modules: Option<&Modules>) -> Option<String> {
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

/// What the guest has seen in place of it.
fn absence(thing: &Thing, told: &Told) -> &'static str {
    match &thing.expected {
        Expected::Disk { content: Some(content), .. }
            if told.disks.iter().any(|(own, _)| own == content) =>
        {
            "the disk is there, and has another serial"
        }
        Expected::Disk { .. } => "no disk of the machine has its content",
        Expected::Has(_) => match thing.way {
            Way::Smbios if told.has_no_smbios => "the guest has no SMBIOS tables",
            Way::Smbios => "the guest's SMBIOS tables do not have it",
            Way::FwCfg if told.has_no_fw_cfg => "the guest finds no fw_cfg device",
            Way::FwCfg => "the guest's fw_cfg device does not have it",
            Way::Initrd => "Linux has not unpacked it",
            Way::KernelLine | Way::Disk => "the kernel's command line does not have it",
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

    fn thing(way: Way, expected: Expected) -> Thing {
        Thing { name: "a".to_owned(), way, expected, drivers: Vec::new() }
    }

    fn disk(content: Option<[u8; 16]>, serial: Option<[u8; 16]>) -> Thing {
        thing(Way::Disk, Expected::Disk { content, serial })
    }

    fn verdict(thing: Thing, told: &Told, machine: MachineType) -> Verdict {
        judge(vec![thing], told, machine, None).remove(0).verdict
    }

    fn lost(reason: &str) -> Verdict {
        Verdict::Lost(reason.to_owned())
    }

    #[test]
    fn a_disk_has_arrived_with_its_content_and_its_serial() {
        let told = Told { disks: [(ONE, Some(OTHER))].into(), ..Told::default() };
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
        let told = Told { has: [ONE].into(), has_no_smbios: true, ..Told::default() };
        let microvm = MachineType::new(Board::Microvm);
        let string = |hash| thing(Way::Smbios, Expected::Has(hash));
        assert_eq!(verdict(string(ONE), &told, microvm), Verdict::Arrived);
        let reason = "microvm: it has no SMBIOS tables";
        assert_eq!(verdict(string(OTHER), &told, microvm), lost(reason));
        let reason = "the guest has no SMBIOS tables";
        assert_eq!(verdict(string(OTHER), &told, MachineType::UNKNOWN), lost(reason));
        let reason = "the guest's SMBIOS tables do not have it";
        assert_eq!(verdict(string(OTHER), &Told::default(), Q35), lost(reason));
    }

    #[test]
    fn what_needs_a_driver_is_not_lost_where_that_is_missing() {
        let drivers = vec!["virtio_blk"];
        let disk = Thing { drivers, ..disk(Some(ONE), None) };
        let judged = verdict(disk, &Told::default(), Q35);
        assert!(matches!(judged, Verdict::Unseen(_)), "{judged:?}");
    }
}
