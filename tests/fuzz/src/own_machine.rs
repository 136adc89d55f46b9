//! QEMU's own arguments, as `exec` reads them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

use credimg::monitors::MachineType;
use credimg::monitors::qemu::own_machine;
use credimg::monitors::qemu::taken_slots::free_place;

use super::Target;

pub const TARGET: Target =
    Target { name: "own_machine", max_bytes: 2048, memory_max_bytes: 4 << 20, run, seeds };

fn run(data: &[u8]) {
    let words: Vec<&OsStr> = data.split(|byte| *byte == 0).map(OsStr::from_bytes).collect();
    let found = own_machine::read(&words);
    // What is found has a name that is read again.
    if let Some(machine) = found {
        assert!(!machine.name().is_empty());
    }
    let place = free_place(data.split(|byte| *byte == 0));
    if let Some(slot) = place.pci_slot() {
        assert!((1..32).contains(&slot));
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(machine) = MachineType::from_str(text)
    {
        assert!(!machine.name().is_empty());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "qemu-system-x86_64\0-machine\0q35,smm=on\0-device\0virtio-blk,addr=0x19,drive=a",
        "qemu-system-aarch64\0-M\0virt\0-bios\0/usr/share/AAVMF/AAVMF_CODE.fd",
        "sh\0-c\0'qemu-system-x86_64 -M microvm,acpi=off'",
        "kvm\0-no-acpi\0-drive\0if=pflash,file=OVMF.fd\0-device\0{\"addr\": \"19.0\"}",
        "qemu-system-s390x\0-device\0virtio-blk,addr=18.1",
        "microvm,pcie=on",
        "pc-q35-7.2",
        "virt",
        "pseries",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
