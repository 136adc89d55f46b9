//! What is told of an encrypted image beside it: the dependency file, the table of
//! `check`, the units of `guest-unit`.

use super::*;

fn check(manifest: &str, options: &str) -> (String, String) {
    let host = Host::new(manifest);
    let output = run(&host, format!("check secrets.yaml {options}").trim_end());
    assert_done(&output);
    (stdout(&output), stderr(&output))
}

const FILES: &str = "PATH   SOURCE  MODE  OWNER\n/motd  inline  0400  0:0\n";

#[test]
fn check_says_who_opens_the_image() {
    let manifest = format!("{MANIFEST}encrypt: {{luks: 1, key: key}}\n");
    let (table, warnings) = check(&manifest, "");
    let opener = "\nencrypted by LUKS1: QEMU opens it, the guest sees the plain disk\n";
    assert_eq!((table, &*warnings), (format!("{FILES}{opener}"), ""));
    // The guest knows nothing of it, so none is too old.
    let (_, warnings) = check(&manifest, "--guest systemd=240,cvm=yes");
    assert_eq!(warnings, "");

    let host = Host::new(&manifest);
    for target in ["libvirt", "proxmox", "vmspawn", "cloud-hypervisor", "crosvm", "firecracker"] {
        let output = run(&host, &format!("check secrets.yaml --target {target}"));
        if target == "libvirt" {
            assert_eq!((stdout(&output), &*stderr(&output)), (format!("{FILES}{opener}"), ""));
            continue;
        }
        let message = format!("{target} does not open a LUKS1 image");
        assert_refused(&output, 2, &message, Some("use LUKS2, which the guest opens"));
    }
}

const LUKS2: &str = "
encrypted by LUKS2: the guest opens it

CREDENTIAL                                  SOURCE   BYTES  CHANNEL  WHY
luks.chimera                                encrypt  ?      smbios   it opens the disk
systemd.extra-unit.credimg-chimera.service  encrypt  ?      smbios   it tells the guest to open the disk, and is no secret
fstab.extra                                 mount    117    smbios   it tells the guest where to mount the disk, and is no secret
";

#[test]
fn check_shows_what_opens_a_luks2_disk() {
    let manifest = format!("{MANIFEST}encrypt: {{luks: 2, key: generate}}\n");
    let (table, warnings) = check(&manifest, "");
    let table = table.strip_prefix(FILES).unwrap();
    let (rows, budget) = table.split_once("\nBUDGET").unwrap();
    assert_eq!((rows, &*warnings), (LUKS2, ""));
    assert!(budget.contains("\nOEM strings                            3      255\n"), "{budget}");
    for (guest, expected) in [
        (
            "systemd=255",
            "credimg: warning: systemd 255 takes no units from credentials, 256 opens the disk by \
             one: install what `credimg guest-unit` prints\n",
        ),
        ("systemd=256,kernel=5.4,cvm=no", ""),
        (
            "cvm=yes",
            "credimg: warning: a confidential guest ignores the key that comes by the firmware, as \
             the host could forge it: give it the key otherwise\n\
             credimg: warning: a confidential guest ignores fstab.extra, as the host could forge \
             it: install what `credimg guest-unit` prints\n",
        ),
    ] {
        assert_eq!(check(&manifest, &format!("--guest {guest}")).1, expected, "{guest}");
    }
    let host = Host::new(&manifest);
    let output = run(&host, "check secrets.yaml --guest systemd=255 --strict");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
}

#[test]
fn check_shows_what_each_target_does_not_carry() {
    let manifest = format!("{MANIFEST}encrypt: {{luks: 2, key: key}}\n");
    for (target, rows, warning) in [
        ("proxmox", 3, ""),
        ("vmspawn", 3, ""),
        ("libvirt", 3, ""),
        (
            "firecracker",
            0,
            "the key does not reach the guest by itself (firecracker: it has no fw_cfg device): give \
             the guest what `credimg guest-unit` prints, and there the path of a file of its own in \
             place of /run/credentials/@system/luks.chimera",
        ),
    ] {
        let (table, warnings) = check(&manifest, &format!("--target {target}"));
        let (_, table) = table.split_once("WHY\n").unwrap();
        let (found, _) = table.split_once("\nBUDGET").unwrap();
        assert_eq!(found.lines().count(), rows, "{target}:\n{found}");
        let expected = if warning.is_empty() {
            String::new()
        } else {
            format!("credimg: warning: {warning}\n")
        };
        assert_eq!(warnings, expected, "{target}");
    }
}

/// What a check says goes by the firmware is what a build writes.
#[test]
fn a_build_does_what_check_says() {
    let manifest = format!("{MANIFEST}encrypt: {{luks: 2, key: key}}\n");
    let host = host(&manifest);
    assert_done(&run(&host, "build secrets.yaml -o a.erofs --quiet"));
    let structure = fs::read(host.path("a.erofs.smbios")).unwrap();
    assert_eq!(structure[4], 3);
    let text = String::from_utf8_lossy(&structure[5..]);
    let strings: Vec<_> = text.split('\0').filter(|string| !string.is_empty()).collect();
    let value = |name: &str| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let start = format!("io.systemd.credential.binary:{name}=");
        let found = strings.iter().find_map(|string| string.strip_prefix(&start)).unwrap();
        String::from_utf8(STANDARD.decode(found).unwrap()).unwrap()
    };
    assert_eq!(value("luks.chimera"), KEY);
    assert_eq!(
        value("fstab.extra"),
        "/dev/mapper/credimg-chimera /run/secrets erofs \
         ro,nosuid,nodev,noexec,x-systemd.requires=credimg-chimera.service 0 0\n"
    );
    // Nothing of it changes from build to build.
    let expected = "[Unit]
Description=Open the secrets of this machine
DefaultDependencies=no
IgnoreOnIsolate=yes
BindsTo=dev-disk-by\\x2dlabel-CHIMERA\\x2dLUKS.device
After=dev-disk-by\\x2dlabel-CHIMERA\\x2dLUKS.device cryptsetup-pre.target systemd-udevd-kernel.socket
Before=cryptsetup.target umount.target
Conflicts=umount.target

[Service]
Type=oneshot
RemainAfterExit=yes
ImportCredential=luks.chimera
ExecStart=systemd-cryptsetup attach credimg-chimera /dev/disk/by-label/CHIMERA-LUKS %d/luks.chimera luks,read-only,headless
ExecStop=systemd-cryptsetup detach credimg-chimera
";
    assert_eq!(value("systemd.extra-unit.credimg-chimera.service"), expected);
}

const UNITS: &str = "# /etc/crypttab
credimg-chimera LABEL=CHIMERA-LUKS /run/credentials/@system/luks.chimera luks,read-only,headless

# /etc/systemd/system/run-secrets.mount
[Unit]
Description=Secrets of this machine

[Mount]
What=/dev/mapper/credimg-chimera
Where=/run/secrets
Type=erofs
Options=ro,nosuid,nodev,noexec

# /etc/systemd/system/SERVICE.service.d/50-credimg.conf
[Unit]
RequiresMountsFor=/run/secrets
";

#[test]
fn units_open_a_luks2_disk_and_know_nothing_of_luks1() {
    let host = Host::new(&format!("{MANIFEST}encrypt: {{luks: 2, key: generate}}\n"));
    assert_eq!(stdout(&run(&host, "guest-unit secrets.yaml")), UNITS);
    let squashfs = stdout(&run(&host, "guest-unit secrets.yaml --format squashfs"));
    assert_eq!(squashfs, UNITS.replace("erofs", "squashfs"));

    let host = Host::new(MANIFEST);
    let plain = stdout(&run(&host, "guest-unit secrets.yaml"));
    assert!(plain.contains("What=/dev/disk/by-label/CHIMERA\n"), "{plain}");
    fs::write(host.path("secrets.yaml"), format!("{MANIFEST}encrypt: {{luks: 1}}\n")).unwrap();
    assert_eq!(stdout(&run(&host, "guest-unit secrets.yaml")), plain);

    // Without a label the header has none, and the drive's serial is left.
    let unlabelled = "files: []\nformat: squashfs\nencrypt: {luks: 2}\n";
    fs::write(host.path("secrets.yaml"), unlabelled).unwrap();
    let units = stdout(&run(&host, "guest-unit secrets.yaml --serial disk1"));
    let crypttab = "credimg-disk1 /dev/disk/by-id/virtio-disk1 \
                    /run/credentials/@system/luks.disk1 luks,read-only,headless\n";
    assert_eq!(units.lines().nth(1), Some(crypttab.trim_end()));
}

#[test]
fn the_dependency_file_names_the_keys() {
    let host = host(&format!("{MANIFEST}encrypt: {{luks: 1, key: key}}\n"));
    let depends = |options: &str| {
        let build = format!("build secrets.yaml -o a.erofs --depfile a.d --quiet {options}");
        assert_done(&run(&host, build.trim_end()));
        let text = fs::read_to_string(host.path("a.d")).unwrap();
        let text = text.replace("\\\n", " ");
        let rule = text.lines().next().unwrap().strip_prefix("a.erofs:").unwrap();
        let mut names: Vec<_> = rule.split_whitespace().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(depends(""), ["key", "secrets.yaml"]);
    assert_eq!(depends("--master-key master"), ["key", "master", "secrets.yaml"]);
    host.private("other", KEY);
    assert_eq!(depends("--key-file other --encrypt luks2"), ["other", "secrets.yaml"]);
    assert_eq!(depends("--key-out new"), ["new", "secrets.yaml"]);
    // The key that was made is older than the image: Make has nothing to do.
    fs::write(host.path("Makefile"), "a.erofs:\n\tfalse\n-include a.d\n").unwrap();
    let made = Command::new("make").arg("-q").current_dir(host.path("")).output();
    assert_done(&made.expect("make must be installed"));
}
