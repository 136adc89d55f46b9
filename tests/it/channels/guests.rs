//! What is said of guests: the plan, what an old one drops, the units it needs.

use std::process::Command;

use super::*;

const MANIFEST: &str = r#"label: CHIMERA
files: [{path: /motd, text: hello}]
mount: /run/a-b
credentials:
  - {name: api.token, text: hunter2}
  - {name: db password, shell: pass db, via: fw_cfg}
  - {name: tls.key, file: tls.key}
  - {name: "100%=", text: x}
  - {name: "d 100%", text: x, via: disk}
"#;

fn run(host: &Host, arguments: &[&str]) -> Output {
    host.credimg().args(arguments).output().unwrap()
}

#[test]
fn check_shows_the_plan_and_every_budget() {
    let host = Host::new(MANIFEST);
    let output = run(&host, &["check", "secrets.yaml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = "\
PATH   SOURCE  MODE  OWNER
/motd  inline  0400  0:0

CREDENTIAL   SOURCE  BYTES  CHANNEL  WHY
api.token    inline  7      smbios   it fits an OEM string
db password  shell   ?      fw_cfg   the manifest says so
tls.key      file    ?      ?        by OEM string if it fits, else on the disk: its length is not known yet
100%=        inline  1      disk     its name holds `=`, where the name in an OEM string ends
d 100%       inline  1      disk     the manifest says so
fstab.extra  mount   104    smbios   it tells the guest where to mount the disk, and is no secret

BUDGET                              USED    LIMIT
SMBIOS structure, bytes              240    57343
OEM strings                            2      255
fw_cfg items                           1       17
longest fw_cfg name, characters       11       28
values by firmware, bytes            111  1048576
label, bytes                           7       15
serial, bytes                          7       20
";
    assert_eq!(stdout(&output), expected);
    assert_eq!(stderr(&output), "");
}

/// A check refuses nothing that a build with the same options takes, and takes
/// nothing that every build of this manifest refuses.
#[test]
fn check_takes_the_volume_from_options_like_build() {
    let host = Host::new("label: A-LABEL-OF-MORE-THAN-20\ncredentials: [{name: a, text: x}]\n");
    let output = run(&host, &["check", "secrets.yaml"]);
    let expected = "the drive's serial is not usable: it is 23 bytes long, at most 20 are possible";
    assert_eq!(refused(&output), (2, expected.to_owned()));
    let output = run(&host, &["check", "secrets.yaml", "--format=iso9660", "--serial=abc"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = "\
label, bytes                          23       32
serial, bytes                          3       20
";
    assert!(stdout(&output).ends_with(expected), "{}", stdout(&output));
    let output = run(&host, &["check", "secrets.yaml", "--label=ABCDEFGHIJKLMNOP"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let label = ["check", "secrets.yaml", "--label=ABCDEFGHIJKLMNOP", "--format=erofs"];
    let expected = "--label: expected a label of at most 15 bytes for erofs, got 16";
    assert_eq!(refused(&run(&host, &label)), (2, expected.to_owned()));
    for (key, expected) in [
        ("joliet: true", "erofs has no Joliet tree"),
        ("compression: zstd", "a compressed erofs image is not supported"),
    ] {
        fs::write(host.path("secrets.yaml"), format!("format: erofs\n{key}\nfiles: []\n")).unwrap();
        let output = run(&host, &["check", "secrets.yaml"]);
        assert_eq!(refused(&output), (2, expected.to_owned()));
    }
}

#[test]
fn strict_turns_what_a_guest_drops_into_an_error() {
    let host = Host::new(MANIFEST);
    let guest = "--guest=systemd=251,kernel=4.19,cvm=no";
    let expected = "\
credimg: warning: systemd 251 takes no credentials from the firmware, 252 does: give them `via: disk`
credimg: warning: systemd 251 ignores fstab.extra, 254 mounts the disk by it: install what `credimg guest-unit` prints
credimg: warning: systemd 251 ignores ImportCredential=, 254 knows it: use LoadCredential= as `credimg guest-unit` prints it
credimg: warning: Linux 4.19 does not read erofs, 5.4 does: use `format: squashfs`
";
    let output = run(&host, &["check", "secrets.yaml", guest]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), expected.to_owned()));
    let output = run(&host, &["check", "secrets.yaml", guest, "--strict"]);
    let error = "credimg: error: --strict: a warning counts as an error\n";
    assert_eq!((output.status.code(), stderr(&output)), (Some(5), format!("{expected}{error}")));
    let new = "--guest=systemd=257,kernel=6.12,cvm=no";
    let output = run(&host, &["check", "secrets.yaml", new, "--strict"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let expected =
        "credimg: warning: rhel 9 does not read erofs, 10 does: use `format: squashfs`\n";
    let output = run(&host, &["check", "secrets.yaml", "--guest=os=rhel-9.6"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), expected.to_owned()));
    let squashfs = ["check", "secrets.yaml", "--guest=os=rhel-9.6", "--format=squashfs"];
    assert_eq!(stderr(&run(&host, &squashfs)), "");
    let output = run(&host, &["check", "secrets.yaml", "--guest=systemd"]);
    let error = "--guest: expected systemd=, kernel=, cvm=, os= and machine=, each at most once";
    assert_eq!((output.status.code(), stderr(&output).contains(error)), (Some(2), true));

    fs::write(host.path("secrets.yaml"), "credentials: [{name: a, text: x}]\n").unwrap();
    let output = host.build(&["--guest=cvm=yes", "--quiet"]);
    assert!(output.status.success());
    let expected = "credimg: warning: a confidential guest ignores credentials of the firmware, as \
                    the host could forge them: give them `via: disk`\n";
    assert_eq!(stderr(&output), expected);
}

#[test]
fn units_for_old_guests_are_what_systemd_takes() {
    let host = Host::new(MANIFEST);
    let output = run(&host, &["guest-unit", "secrets.yaml"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = r"# /etc/systemd/system/run-a\x2db.mount
[Unit]
Description=Secrets of this machine

[Mount]
What=/dev/disk/by-label/CHIMERA
Where=/run/a-b
Type=erofs
Options=ro,nosuid,nodev,noexec

# /etc/systemd/system/run-credstore.mount
[Unit]
Description=Secrets of this machine

[Mount]
What=/run/a-b/credstore
Where=/run/credstore
Type=none
Options=bind

# /etc/systemd/system/SERVICE.service.d/50-credimg.conf
[Unit]
RequiresMountsFor=/run/credstore

[Service]
LoadCredential=api.token
LoadCredential=db password
LoadCredential=tls.key
LoadCredential=100%%=
LoadCredential=d 100%%:/run/credstore/d 100%%
";
    assert_eq!(stdout(&output), expected);
    verify(&host, expected);

    fs::write(host.path("secrets.yaml"), "format: squashfs\nfiles: [{path: /a, text: x}]\n")
        .unwrap();
    let output = run(&host, &["guest-unit", "secrets.yaml", "--serial", "disk.7"]);
    let text = stdout(&output);
    assert!(
        text.contains("\nWhat=/dev/disk/by-id/virtio-disk.7\nWhere=/run/secrets\nType=squashfs\n"),
        "{text}"
    );
    assert!(
        !text.contains("credstore") && text.ends_with("\nRequiresMountsFor=/run/secrets\n"),
        "{text}"
    );
    verify(&host, &text);

    let output = run(&host, &["guest-unit", "secrets.yaml"]);
    let expected = "the serial of a disk without a label comes from its image's file name";
    assert_eq!(refused(&output), (2, expected.to_owned()));

    fs::write(host.path("secrets.yaml"), "files: [{path: /a, text: x}]\n").unwrap();
    let expected = "an EROFS disk without a label is another one after each build";
    let output = run(&host, &["guest-unit", "secrets.yaml"]);
    assert_eq!(refused(&output), (2, expected.to_owned()));
}

/// systemd itself reads the units, each from its file, and says nothing.
pub(super) fn verify(host: &Host, text: &str) {
    let mut units = Vec::new();
    for part in text.split("# /etc/systemd/system/").skip(1) {
        let (name, unit) = part.split_once('\n').unwrap();
        let path = host.path(name.replace("SERVICE", "tried"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, unit).unwrap();
        if !name.contains('/') {
            units.push(path);
        }
    }
    let service = host.path("tried.service");
    fs::write(&service, "[Service]\nExecStart=/bin/true\n").unwrap();
    units.push(service);
    let output = Command::new("systemd-analyze").arg("verify").args(&units).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}
