//! libvirt's own daemon calls the hook: in which order, with what in its directories, and
//! whether the machine then starts; and it starts a guest with the elements that are printed for
//! it. It runs by `daemon.bash` in a mount namespace, so it wants root.

use std::path::Path;
use std::process::Command;

use crate::support::cache;
use crate::support::systemd::{Case, Way, boot};

/// `restore` comes before `prepare`; a revert has none. A refused restore leaves the machine
/// off, and giving its memory up makes room for a new image.
const SESSION: &str = "\
define: - no image
start: prepare start started - image 1
managedsave: release - image 1
start: restore prepare start started - image 1
destroy: release - no image
start: prepare start started - image 2
managedsave: release - image 2
start: refused restore - no image
managedsave-remove: - no image
start: prepare start started - image 3
snapshot-create-as: - image 3
destroy: release - image 3
snapshot-revert: prepare start started - image 3
snapshot-revert: release prepare start started - image 3
snapshot-delete: - image 3
destroy: release - no image
";

#[test]
fn libvirt_saves_restores_and_reverts_a_machine_with_its_image() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = cache().join("libvirt");
    assert!(tree.exists(), "libvirt's packages are missing: run `make setup`");
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .arg("--mount")
        .arg(root.join("tests/it/long/libvirt/session.sh"))
        .arg(tree.canonicalize().unwrap())
        .arg(root.join("scripts/preboot/credimg-hook"))
        .arg(env!("CARGO_BIN_EXE_credimg"))
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = std::fs::read_to_string(directory.path().join("virsh.log")).unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(&output.stdout), SESSION, "{output:?}\n{said}");
    assert!(output.status.success(), "{output:?}");
}

/// libvirt opens LUKS1 by its secret and reads the items of fw_cfg: the service sees all
/// credentials, and QEMU's arguments hold no key.
#[test]
fn libvirt_starts_a_guest_with_its_disk_its_items_and_the_key() {
    boot(&Case {
        image: "chimera.erofs",
        head: "label: CHIMERA\nfiles: [{path: /extra, text: more}]\n",
        options: &["--target", "libvirt", "--encrypt", "luks1", "--key-out", "luks.key"],
        machine: "q35",
        without: &["smbios"],
        way: Way::Libvirt("luks.key"),
        places: &[
            "/run/credstore/api.bytes",
            "/run/secrets/extra",
            "/dev/disk/by-label/CHIMERA",
            "/dev/disk/by-id/virtio-chimera",
            "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/api.firmware/raw",
        ],
    });
}
