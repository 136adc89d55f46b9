//! The systemd guest on machines that are no PC: all its credentials arrive by nothing but
//! what the program printed for the machine's type.

use crate::support::systemd::{Case, Way, boot};

const HEAD: &str = "label: CHIMERA\nfiles: [{path: /extra, text: more}]\n";
const FIRMWARE_ITEM: &str =
    "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/api.firmware/raw";
/// Where the one that goes anywhere lies where there is no SMBIOS.
const AUTO_ITEM: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/api.auto/raw";
const OEM_STRINGS: &str = "/sys/firmware/dmi/entries/11-0/raw";

/// On a disk that is found by its label and credentials that come by fw_cfg.
const BARE: Case = Case {
    image: "chimera.erofs",
    head: HEAD,
    options: &["--machine", "microvm"],
    machine: "microvm",
    without: &["smbios"],
    way: Way::Arguments,
    places: &[
        "/run/credstore",
        "/run/credstore/api.bytes",
        "/run/secrets/extra",
        "/dev/disk/by-label/CHIMERA",
        FIRMWARE_ITEM,
        AUTO_ITEM,
    ],
};

#[test]
fn a_microvm_gets_all_credentials() {
    boot(&BARE);
}

#[test]
fn arms_board_without_uefi_gets_all_credentials() {
    boot(&Case { options: &["--machine", "virt"], machine: "virt", ..BARE });
}

#[test]
fn arms_board_with_uefi_gets_all_credentials() {
    boot(&Case {
        options: &["--machine", "virt-uefi"],
        machine: "virt-uefi",
        without: &[],
        places: &[
            "/run/credstore/api.bytes",
            "/run/secrets/extra",
            "/dev/disk/by-label/CHIMERA",
            FIRMWARE_ITEM,
            OEM_STRINGS,
        ],
        ..BARE
    });
}

/// As where no firmware carries anything. The label holds a colon, which parts the fields there.
#[test]
fn the_kernel_line_alone_brings_all_credentials() {
    boot(&Case {
        head: "label: CHI:MERA\nfiles: [{path: /extra, text: more}]\n",
        options: &["--machine", "s390-ccw-virtio", "--serial", "chimera"],
        machine: "q35",
        without: &["smbios", "fw_cfg"],
        way: Way::KernelLine,
        places: &[
            "/run/credstore/api.bytes",
            "/run/secrets/extra",
            "/dev/disk/by-label/CHI:MERA",
            "/dev/disk/by-id/virtio-chimera",
        ],
        ..BARE
    });
}
