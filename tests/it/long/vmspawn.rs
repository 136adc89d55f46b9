//! systemd-vmspawn of Debian's newest release starts a guest, without KVM, with what is printed for
//! it. It runs in a mount namespace, so it wants root.

use crate::support::systemd::{Case, Way, boot};

/// The disk is a volume that the provider of systemd hands out for reading, and the credentials are
/// OEM strings that vmspawn makes of private files.
#[test]
fn vmspawn_starts_a_guest_with_its_volume_and_credentials() {
    boot(&Case {
        image: "chimera.erofs",
        head: "label: CHIMERA\nfiles: [{path: /extra, text: more}]\n",
        options: &["--target", "vmspawn", "--bus", "cdrom"],
        machine: "q35",
        without: &["fw_cfg"],
        way: Way::Vmspawn,
        places: &[
            "/run/credstore/api.bytes",
            "/run/secrets/extra",
            "/dev/disk/by-label/CHIMERA",
            "/sys/firmware/dmi/entries/11-0/raw",
        ],
    });
}
