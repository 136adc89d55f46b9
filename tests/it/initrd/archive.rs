//! What lies behind the guest's own initrd, judged by cpio and by systemd-tmpfiles.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use super::guests::{DRACUT, filtered, write};
use crate::support::host::{Host, stderr};

const MANIFEST: &str = r#"label: CHIMERA
mount: /run/secrets
credentials:
  - {name: api.token, text: "hello\n", via: initrd}
  - {name: 'a b=c,d%e"f\', base64: AAECAwr/, via: initrd}
  - {name: empty, text: "", via: initrd}
"#;
const NAMES: [&str; 3] = ["api.token", "a b=c,d%e\"f\\", "empty"];

/// The archive behind the guest's own initrd, without the zeros before it.
fn archive(host: &Host, options: &[&str]) -> Vec<u8> {
    let own = write(host, DRACUT, &["gzip", "-nc"]);
    let output = host.build(&[&["-q", "--initrd", "guest.img"], options].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let made = host.read("out.erofs.initrd");
    assert!(made.starts_with(&own), "the guest's own part is as it was");
    assert_eq!(host.read("guest.img"), own);
    let behind = &made[own.len()..];
    let start = behind.iter().position(|byte| *byte != 0).unwrap();
    assert!((4..8).contains(&start) && (own.len() + start).is_multiple_of(4), "{start}");
    behind[start..].to_vec()
}

fn listed(host: &Host, archive: &[u8]) -> Vec<String> {
    let text = filtered(&host.path("listing"), &["cpio", "-t", "--quiet"], archive);
    String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
}

/// Mode and content of each path, as cpio extracts them.
fn extracted(host: &Host, archive: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
    let tree = host.path("extracted");
    let _ = fs::remove_dir_all(&tree);
    filtered(&tree, &["cpio", "-i", "--quiet", "-d"], archive);
    let mut found = BTreeMap::new();
    for name in listed(host, archive) {
        let path = tree.join(&name);
        let seen = fs::symlink_metadata(&path).unwrap();
        let content = if seen.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        assert_eq!((seen.uid(), seen.gid()), (0, 0), "{name}");
        found.insert(name, (seen.permissions().mode() & 0o7777, content));
    }
    found
}

fn contents() -> [(&'static str, Vec<u8>); 3] {
    let values = [b"hello\n".to_vec(), vec![0, 1, 2, 3, 10, 255], Vec::new()];
    let mut values = values.into_iter();
    NAMES.map(|name| (name, values.next().unwrap()))
}

#[test]
fn systemd_262_finds_files_of_its_own() {
    let host = Host::new(MANIFEST);
    let options = ["--guest", "systemd=262", "--machine", "microvm,acpi=off"];
    let own = DRACUT[..3].to_vec();
    // No name in this initrd tells systemd's version, so `--guest` decides.
    let archive = {
        write(&host, &own, &["cat"]);
        let output = host.build(&[&["-q", "--initrd", "guest.img"], &options[..]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let made = host.read("out.erofs.initrd");
        let behind = &made[host.read("guest.img").len()..];
        behind[behind.iter().position(|byte| *byte != 0).unwrap()..].to_vec()
    };
    let found = extracted(&host, &archive);
    assert_eq!(found[".extra"].0, 0o555);
    assert_eq!(found[".extra/system_credentials"].0, 0o700);
    for (name, content) in contents() {
        let path = format!(".extra/system_credentials/{name}.cred");
        assert_eq!(found[&path], (0o400, content), "{name}");
    }
    // A machine without SMBIOS tables and fw_cfg gets the disk's lines by the initrd, too.
    let (mode, lines) = &found[".extra/system_credentials/fstab.extra.cred"];
    assert_eq!(*mode, 0o400);
    assert!(lines.starts_with(b"LABEL=CHIMERA /run/secrets erofs ro,"), "{lines:?}");
    assert_eq!(found.len(), 6);
}

/// systemd-tmpfiles itself carries out the lines, with a directory of the test as its root.
#[test]
fn systemd_tmpfiles_puts_each_where_the_next_systemd_looks() {
    let host = Host::new(MANIFEST);
    let archive = archive(&host, &["--guest", "systemd=254"]);
    let found = extracted(&host, &archive);
    assert_eq!(found[".credimg"].0, 0o700);
    for (index, (name, content)) in contents().into_iter().enumerate() {
        assert_eq!(found[&format!(".credimg/{index}")], (0o400, content), "{name}");
    }
    let root = host.path("extracted");
    fs::create_dir(root.join("run")).unwrap();
    let done = Command::new("systemd-tmpfiles")
        .arg(format!("--root={}", root.display()))
        .args(["--create", "credimg.conf"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", stderr(&done));
    let store = root.join("run/credentials/@initrd");
    assert_eq!(fs::metadata(&store).unwrap().mode() & 0o7777, 0o700);
    for (name, content) in contents() {
        let path = store.join(name);
        assert_eq!(fs::read(&path).unwrap(), content, "{name}");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o400, "{name}");
    }
    assert_eq!(fs::read_dir(&store).unwrap().count(), 3);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let host = Host::new(MANIFEST);
    let first = archive(&host, &[]);
    let second = archive(&host, &[]);
    assert!(first == second && listed(&host, &first) == listed(&host, &second));
    assert_eq!(listed(&host, &first).last().unwrap(), "usr/lib/tmpfiles.d/credimg.conf");
    let private = fs::metadata(host.path("out.erofs.initrd")).unwrap();
    assert_eq!(private.permissions().mode() & 0o7777, 0o600);
    assert!(Path::new(&host.path("out.erofs.sidecars")).exists());
}
