//! Boots of an unmodified Debian guest with systemd: a service that says
//! `ImportCredential=` and nothing else sees every credential of the manifest, by
//! whichever channel each came, and can read them nowhere else. The guest is given
//! nothing but the arguments that the program printed. `make setup` installs what this
//! needs; without it the test fails.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::examples::bootc;
use crate::support::systemd::{Case, Way, boot, boot_with, credimg, guest, oem_strings};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const MEDUSA: &str = include_str!("systemd_guest/medusa.yaml");
const PROBE_WANTS: &str = "[Unit]\nWants=credimg@medusa.service credimg@hydra.service\n\
                           After=credimg@medusa.service credimg@hydra.service app.service\n";
const FLEET: &str = "machines: {hydra: {owner: '990:990'}}\n\
                     files: [{path: /private, to: all, file: /var/lib/others}]\n";
const CLOSED: &str = include_str!("systemd_guest/closed");
const EMERGENCY: &str = include_str!("systemd_guest/emergency.service");
/// The disk is found by its label; its `credstore` is a part of it. A label for its files
/// does no harm to a guest without `SELinux`: mount(8) leaves it out.
const EROFS: Case = Case {
    image: "chimera.erofs",
    head: "label: CHIMERA\nfiles: [{path: /extra, text: more}]\n\
           mount: {path: /run/secrets, options: 'context=\"system_u:object_r:etc_t:s0:c1,c2\"'}\n",
    options: &[],
    machine: "q35",
    without: &[],
    way: Way::Arguments,
    places: &[
        "/run/credstore",
        "/run/credstore/api.bytes",
        "/run/secrets",
        "/run/secrets/extra",
        "/dev/disk/by-label/CHIMERA",
        "/dev/disk/by-id/virtio-chimera",
        OEM_STRINGS,
        FIRMWARE_ITEM,
        "/run/credimg/medusa/disk.erofs",
        "/run/credimg/medusa/disk.erofs.smbios",
        "/run/credimg/hydra/disk.erofs",
        // Of docs/examples/bootc-guest: its disk, and what its service leaves.
        "/etc/credstore/app.key",
        "/dev/disk/by-label/APP",
        "/var/lib/app/started",
    ],
};

/// The guest checks the disk by its hash tree and opens it, by a key and a unit that both are
/// credentials.
///
/// SquashFS, and mounted in place of the store: it holds credentials alone.
const ENCRYPTED: Case = Case {
    image: "chimera.squashfs",
    head: "label: CHIMERA\nencrypt: {luks: 2, key: generate}\nverity: true\n\
           mount: /run/credstore\n",
    options: &["--key-out", "chimera.key"],
    machine: "q35",
    without: &[],
    way: Way::Arguments,
    places: &[
        "/run/credstore",
        "/run/credstore/api.bytes",
        "/dev/mapper/credimg-chimera",
        "/dev/mapper/credimg-chimera-verity",
        "/dev/disk/by-id/virtio-chimera",
        OEM_STRINGS,
        FIRMWARE_ITEM,
    ],
};

/// The guest opens the disk by its own units, with a passphrase that comes by fw_cfg.
const CRYPTTAB: Case = Case {
    image: "chimera.squashfs",
    head: "label: CHIMERA\nencrypt: {luks: 2, key: passphrase, sector_size: 512}\n\
           format: squashfs\nfiles: [{path: /extra, text: more}]\n\
           mount: {path: /run/secrets, options: 'context=\"system_u:object_r:etc_t:s0:c1,c2\"'}\n",
    options: &["--args", "readconfig"],
    machine: "q35",
    without: &["smbios"],
    way: Way::Units,
    places: &["/run/credstore", "/run/secrets/extra", "/dev/mapper/credimg-chimera", FIRMWARE_KEY],
};

const FIRMWARE_KEY: &str =
    "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/luks.chimera/raw";
const OEM_STRINGS: &str = "/sys/firmware/dmi/entries/11-0/raw";
const FIRMWARE_ITEM: &str =
    "/sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/api.firmware/raw";

/// This guest is a host as well: there the unit that builds before a machine boots does so
/// with nothing but the rights that it asks for. It is also the guest of an example, which
/// mounts a disk of its own.
#[test]
fn a_service_sees_its_credentials_and_nothing_else() {
    let example = bootc::copy();
    boot_with(&EROFS, |tree| {
        add_preboot_unit(tree);
        bootc::carry_out(tree);
        bootc::build(&example)
    });
}

/// Adds the program, its unit, and a manifest that wants what the unit allows: files of
/// others, commands, and an image that is somebody else's.
fn add_preboot_unit(tree: &Path) {
    let units = tree.join("etc/systemd/system");
    let unit = "credimg@.service";
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/preboot").join(unit);
    fs::copy(source, units.join(unit)).unwrap();
    for (name, content) in [
        ("etc/systemd/system/probe.service.d/disk.conf", PROBE_WANTS),
        ("etc/tmpfiles.d/others.conf", "f /var/lib/others 0600 990 990 - private\n"),
        ("etc/credimg/medusa.env", "CREDIMG_OPTIONS=\"--owner 990:990 --reader 991\"\n"),
        ("etc/credimg/medusa.yaml", MEDUSA),
        ("etc/credimg/fleet.yaml", FLEET),
    ] {
        fs::create_dir_all(tree.join(name).parent().unwrap()).unwrap();
        fs::write(tree.join(name), content).unwrap();
    }
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_credimg"), tree.join("usr/bin/credimg")).unwrap();
}

#[test]
fn a_guest_opens_an_encrypted_disk_by_itself() {
    boot(&ENCRYPTED);
}

#[test]
fn a_guest_opens_an_encrypted_disk_by_its_own_units() {
    boot(&CRYPTTAB);
}

/// Three disks, of which one has the key of another image, one has none, and one of which a byte was
/// changed that nothing but its hash tree tells of: the guest says so, opens none, mounts nothing, and
/// stops before anything that needs them.
#[test]
fn what_has_the_wrong_key_or_was_changed_is_not_mounted() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    let programs = tree.join("usr/local/bin");
    fs::create_dir_all(&programs).unwrap();
    fs::write(programs.join("closed"), CLOSED).unwrap();
    fs::set_permissions(programs.join("closed"), PermissionsExt::from_mode(0o755)).unwrap();
    let units = tree.join("etc/systemd/system");
    fs::create_dir_all(&units).unwrap();
    fs::write(units.join("emergency.service"), EMERGENCY).unwrap();

    let wrong = STANDARD.encode("0".repeat(64));
    let mut strings = Vec::new();
    let mut arguments = String::new();
    for (name, mount, options) in [
        ("chimera", "/run/secrets", &["--place=1", "--encrypt=luks2", "--key-out=chimera.key"][..]),
        ("medusa", "/run/others", &["--place=2", "--encrypt=luks2", "--key-out=medusa.key"]),
        ("hydra", "/run/checked", &["--place=3", "--verity"]),
    ] {
        let label = name.to_uppercase();
        let files = "files: [{path: /extra, text: more}, {path: /big, shell: 'seq 9999'}]";
        let manifest = format!("label: {label}\nmount: {mount}\n{files}\n");
        fs::write(scratch.path().join("secrets.yaml"), manifest).unwrap();
        let image = format!("{name}.erofs");
        let printed = credimg(scratch.path(), &image, options);
        let drive = printed.split(" -smbios").next().unwrap();
        write!(arguments, "{drive} ").unwrap();
        let structure = fs::read(scratch.path().join(format!("{image}.smbios"))).unwrap();
        strings.extend(oem_strings(&structure));
    }
    // A byte of a file's content.
    let changed = scratch.path().join("hydra.erofs");
    let mut bytes = fs::read(&changed).unwrap();
    bytes[5 << 12] ^= 1;
    fs::write(&changed, bytes).unwrap();
    // One credential tells of all mounts, the first key is another one, the second is gone.
    let fstab = |string: &String| string.contains(":fstab.extra=");
    let lines = strings.iter().filter(|string| fstab(string));
    let lines: Vec<u8> = lines.flat_map(|string| STANDARD.decode(value(string)).unwrap()).collect();
    strings.retain(|string| !fstab(string) && !string.contains(":luks.medusa="));
    strings.push(format!("io.systemd.credential.binary:fstab.extra={}", STANDARD.encode(lines)));
    let key = strings.iter_mut().find(|string| string.contains(":luks.chimera=")).unwrap();
    assert_eq!(value(key).len(), wrong.len());
    *key = key.replace(value(&key.clone()), &wrong);
    let count = u8::try_from(strings.len()).unwrap();
    let text = strings.join("\0") + "\0\0";
    let structure = [&[0x0b, 5, 0, 0x0e, count], text.as_bytes()].concat();
    fs::write(scratch.path().join("structure"), structure).unwrap();

    let guest = guest(scratch.path(), &tree, &format!("{arguments} -smbios file=structure"), &[]);
    let stdout = String::from_utf8_lossy(&guest.stdout);
    let stderr = String::from_utf8_lossy(&guest.stderr);
    assert!(guest.status.success(), "{}\n{stdout}\n{stderr}", guest.status);
    for line in [
        "credimg-chimera.service: failed",
        "credimg-medusa.service: failed",
        "credimg-hydra.service: failed",
        "run-secrets.mount: inactive",
        "run-others.mount: inactive",
        "run-checked.mount: inactive",
    ] {
        assert!(stdout.lines().any(|found| found == line), "{line} is missing:\n{stdout}");
    }
    for reason in
        ["(Key data incorrect?)", "luks.medusa' missing.", "cat: /dev/mapper/credimg-hydra: "]
    {
        assert!(stdout.contains(reason), "{reason} is missing:\n{stdout}");
    }
    let is_open = stdout.contains("credimg-chimera\n") || stdout.contains("credimg-hydra\n");
    assert!(!is_open && !stdout.contains("extra"), "{stdout}");
}

/// The value of an OEM string, in base64.
fn value(string: &str) -> &str {
    string.split_once('=').unwrap().1
}
