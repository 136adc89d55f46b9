//! Guests of Debian that start by their own initrd, as dracut has made it, on machines that have
//! nothing else for credentials: one service sees those that came behind that initrd, and those on
//! the disk that the guest has mounted by it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::cache;
use crate::support::systemd::{credimg, guest, report, write_tree};

const MANIFEST: &str = "label: CHIMERA\nfiles: [{path: /extra, text: more}]\ncredentials:\n\
                        - {name: api.bytes, file: bytes, via: initrd}\n\
                        - {name: api.disk, text: \"on the disk\\n\", via: disk}\n\
                        - {name: api.initrd, text: \"a,b = \\\"c\\\"\\n\", via: initrd}\n";
/// What root alone reads: the disk, and where it is mounted.
const PLACES: [&str; 3] =
    ["/run/credstore/api.disk", "/run/secrets/extra", "/dev/disk/by-label/CHIMERA"];

/// The initrd of the guest of that release.
fn initrd(release: &str) -> PathBuf {
    let initrd = cache().join(format!("dracut-{release}/initrd")).canonicalize();
    initrd.expect("the guest is missing: run `scripts/setup-tools long`")
}

/// What goes behind the guest's own initrd.
fn behind(scratch: &Path, release: &str) -> String {
    let own = fs::read(initrd(release)).unwrap();
    let made = fs::read(scratch.join("chimera.erofs.initrd")).unwrap();
    String::from_utf8_lossy(made.strip_prefix(&own[..]).unwrap()).into_owned()
}

/// Boots the guest of that release on this machine, which gets what is printed for `printed_for`;
/// `form` is a path in what goes behind its initrd.
fn boot(release: &str, machine: &str, printed_for: &str, form: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path();
    let bytes: Vec<u8> = (0..=255_u8).collect::<Vec<_>>().repeat(30);
    fs::write(path.join("bytes"), &bytes).unwrap();
    fs::write(path.join("secrets.yaml"), MANIFEST).unwrap();
    let own = initrd(release);
    let options = ["--initrd", own.to_str().unwrap(), "--machine", printed_for];
    let arguments = credimg(path, "chimera.erofs", &options);
    assert!(arguments.ends_with("-initrd chimera.erofs.initrd"), "{arguments}");
    assert!(!arguments.contains("-smbios") && !arguments.contains("-fw_cfg"), "{arguments}");
    assert!(behind(path, release).contains(form), "{form}");

    let tree = path.join("tree");
    write_tree(&tree, &PLACES);
    let variables = [("GUEST_MACHINE", machine), ("GUEST_DRACUT", release)];
    let guest = guest(path, &tree, &arguments, &variables);
    let contents = [
        ("api.bytes", &bytes[..]),
        ("api.disk", b"on the disk\n"),
        ("api.initrd", b"a,b = \"c\"\n"),
    ];
    let (said, errors) =
        (String::from_utf8_lossy(&guest.stdout), String::from_utf8_lossy(&guest.stderr));
    assert_eq!(said, report(&PLACES, contents.into_iter()), "{}\n{errors}", guest.status);
    assert!(guest.status.success(), "{}\n{errors}", guest.status);
}

#[test]
fn systemd_257_takes_all_by_its_initrd_on_a_microvm() {
    boot("trixie", "microvm", "microvm,acpi=off", "usr/lib/tmpfiles.d/credimg.conf");
}

/// A machine of another kind is named, which has no SMBIOS: a q35 would be given more.
#[test]
fn systemd_257_takes_all_by_its_initrd_on_a_pc() {
    boot("trixie", "q35", "pseries", "usr/lib/tmpfiles.d/credimg.conf");
}

#[test]
fn systemd_262_takes_all_by_its_initrd_on_a_microvm() {
    boot("sid", "microvm", "microvm,acpi=off", ".extra/system_credentials/api.initrd.cred");
}
