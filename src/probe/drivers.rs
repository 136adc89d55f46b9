//! Which drivers of Linux a guest needs to see a disk.

/// Devices of QEMU, by how their names begin, with the modules of Linux that drive them.
const DRIVERS: &[(&str, &[&str])] = &[
    ("virtio-blk", &["virtio_blk"]),
    ("virtio-scsi", &["virtio_scsi"]),
    ("scsi-hd", &["sd_mod"]),
    ("scsi-cd", &["sr_mod"]),
    ("nvme", &["nvme"]),
    ("usb-storage", &["usb_storage", "sd_mod"]),
    ("usb-bot", &["usb_storage"]),
    ("usb-uas", &["uas"]),
    ("qemu-xhci", &["xhci_pci"]),
    ("nec-usb-xhci", &["xhci_pci"]),
    ("usb-ehci", &["ehci_pci"]),
    ("ich9-usb-ehci", &["ehci_pci"]),
    ("ide-hd", &["ata_piix", "ahci", "sd_mod"]),
    ("ide-cd", &["ata_piix", "ahci", "sr_mod"]),
    ("ahci", &["ahci"]),
    ("ich9-ahci", &["ahci"]),
    ("lsi", &["sym53c8xx"]),
    ("megasas", &["megaraid_sas"]),
    ("mptsas", &["mptsas"]),
    ("pvscsi", &["vmw_pvscsi"]),
];

/// The names of the modules that drive this device of QEMU.
pub(super) fn of_device(device: &str) -> impl Iterator<Item = &'static &'static str> {
    let named = DRIVERS.iter().filter(move |(name, _)| device.starts_with(name));
    let transport: &[&str] = match device.strip_prefix("virtio-") {
        None => &[],
        Some(_) if device.ends_with("-device") => &["virtio_mmio"],
        Some(_) => &["virtio_pci"],
    };
    named.flat_map(|(_, drivers)| *drivers).chain(transport)
}
