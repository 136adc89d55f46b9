//! Guests of Debian that start by their own initrd, as dracut has made it, on machines that have
//! nothing else for credentials: one service sees those that came behind that initrd, and those on
//! the disk that the guest has mounted by it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::cache;
use crate::support::systemd::{credimg, guest, report, write_tree};

const MANIFEST: &str = "label: CHIMERA\nfiles: [{path: /extra, text: more}]\ncredentials:\n\
                        - {name: api.bytes, file: bytes, via: initrd}\n\
                        - {name: api.disk, text: \"on the disk\\n\", via: disk}\n\
                        - {name: api.initrd, text: \"a,b = \\\"c\\\"\\n\", via: initrd}\n";
/// What root alone reads: the disk, and where it is mounted.
const PLACES: [&str; 3] =
    ["/run/credstore/api.disk", "/run/secrets/extra", "/dev/disk/by-label/CHIMERA"];

/// A file of the guest of that release.
fn of_guest(release: &str, name: &str) -> PathBuf {
    let file = cache().join(format!("dracut-{release}/{name}")).canonicalize();
    file.expect("the guest is missing: run `scripts/setup-tools long`")
}

/// Builds for the guest of that release; returns what is printed for the machine, and what goes
/// behind the guest's own initrd.
fn build(scratch: &Path, release: &str, machine: &str) -> (String, Vec<u8>) {
    fs::write(scratch.join("bytes"), every_byte()).unwrap();
    fs::write(scratch.join("secrets.yaml"), MANIFEST).unwrap();
    let own = of_guest(release, "initrd");
    let options = ["--initrd", own.to_str().unwrap(), "--machine", machine];
    let arguments = credimg(scratch, "chimera.erofs", &options);
    let made = fs::read(scratch.join("chimera.erofs.initrd")).unwrap();
    let behind = made.strip_prefix(&*fs::read(own).unwrap()).unwrap();
    (arguments, behind.to_vec())
}

fn every_byte() -> Vec<u8> {
    (0..=255_u8).collect::<Vec<_>>().repeat(30)
}

/// Boots the guest of that release on this machine, which gets what is printed for `printed_for`.
fn boot(release: &str, machine: &str, printed_for: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path();
    let (arguments, _) = build(path, release, printed_for);
    assert!(arguments.ends_with("-initrd chimera.erofs.initrd"), "{arguments}");
    assert!(!arguments.contains("-smbios") && !arguments.contains("-fw_cfg"), "{arguments}");

    let tree = path.join("tree");
    write_tree(&tree, &PLACES);
    let variables = [("GUEST_MACHINE", machine), ("GUEST_DRACUT", release)];
    let guest = guest(path, &tree, &arguments, &variables);
    let contents = [
        ("api.bytes", &every_byte()[..]),
        ("api.disk", b"on the disk\n"),
        ("api.initrd", b"a,b = \"c\"\n"),
    ];
    let (said, errors) =
        (String::from_utf8_lossy(&guest.stdout), String::from_utf8_lossy(&guest.stderr));
    assert_eq!(said, report(&PLACES, contents.into_iter()), "{}\n{errors}", guest.status);
    assert!(guest.status.success(), "{}\n{errors}", guest.status);
}

/// What lsinitrd of Debian 13 lists of the archive: mode and path of each entry.
fn listed(scratch: &Path, archive: &Path) -> Vec<(String, String)> {
    let copied = Command::new("debugfs")
        .args(["-R", "rdump /usr/lib/dracut /usr/bin/lsinitrd ."])
        .arg(of_guest("trixie", "root.ext4"))
        .current_dir(scratch)
        .status();
    assert!(copied.unwrap().success());
    let output = Command::new(scratch.join("lsinitrd"))
        .env("dracutbasedir", scratch.join("dracut"))
        .arg(archive)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let entries = words.filter(|words| words.get(2..4) == Some(&["root", "root"][..]));
    entries.map(|words| (words[0].to_owned(), words[words.len() - 1].to_owned())).collect()
}

#[test]
fn systemd_257_takes_all_by_its_initrd_on_a_microvm() {
    boot("trixie", "microvm", "microvm,acpi=off");
}

/// A machine of another kind is named, which has no SMBIOS: a q35 would be given more.
#[test]
fn systemd_257_takes_all_by_its_initrd_on_a_pc() {
    boot("trixie", "q35", "pseries");
}

#[test]
fn systemd_262_takes_all_by_its_initrd_on_a_microvm() {
    boot("sid", "microvm", "microvm,acpi=off");
}

#[test]
fn lsinitrd_lists_the_form_that_the_guest_takes() {
    let scratch = tempfile::tempdir().unwrap();
    let behind = scratch.path().join("behind");
    for (release, expected) in [
        (
            "trixie",
            &[
                ("drwx------", ".credimg"),
                ("-r--------", ".credimg/0"),
                ("-r--------", ".credimg/1"),
                ("-r--------", ".credimg/2"),
                ("drwxr-xr-x", "usr"),
                ("drwxr-xr-x", "usr/lib"),
                ("drwxr-xr-x", "usr/lib/tmpfiles.d"),
                ("-r--r--r--", "usr/lib/tmpfiles.d/credimg.conf"),
            ][..],
        ),
        (
            "sid",
            &[
                ("dr-xr-xr-x", ".extra"),
                ("drwx------", ".extra/system_credentials"),
                ("-r--------", ".extra/system_credentials/api.bytes.cred"),
                ("-r--------", ".extra/system_credentials/api.initrd.cred"),
                ("-r--------", ".extra/system_credentials/fstab.extra.cred"),
            ],
        ),
    ] {
        fs::write(&behind, build(scratch.path(), release, "microvm,acpi=off").1).unwrap();
        let listed = listed(scratch.path(), &behind);
        let listed: Vec<_> = listed.iter().map(|(mode, path)| (&**mode, &**path)).collect();
        assert_eq!(listed, expected, "{release}");
    }
}

/// As that package makes it, for the same roots.
#[test]
fn an_initrd_of_initramfs_tools_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("secrets.yaml"), MANIFEST).unwrap();
    fs::write(scratch.path().join("bytes"), "b").unwrap();
    for release in ["trixie", "sid"] {
        let output = Command::new(env!("CARGO_BIN_EXE_credimg"))
            .args(["build", "secrets.yaml", "-o", "out.erofs", "--initrd"])
            .arg(of_guest(release, "initrd.initramfs-tools"))
            .current_dir(scratch.path())
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{message}");
        assert!(message.contains("it is made by initramfs-tools"), "{message}");
    }
}
