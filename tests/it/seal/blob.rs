//! The blob: what age and tar make of it, that no byte of it can change, and what is
//! said about it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use base64::Engine;

use crate::formats::host::run;
use crate::seal::{BLOB, CANARY, CHUNK_BYTES, IDENTITY, identity, open};
use crate::support::host::{Host, stderr, stdout};

const LARGE_BYTES: usize = 3 * CHUNK_BYTES;

/// A host whose blob has four chunks.
fn host_with_large() -> Host {
    let host = Host::with_share(&format!(
        "files:\n  - {{path: /api/token, text: {CANARY}, owner: \"990:3000000\"}}\n  \
         - {{path: /large, file: large, mode: \"0644\"}}\n"
    ));
    let large: Vec<u8> = (0..LARGE_BYTES).map(|index| (index / 251) as u8).collect();
    fs::write(host.path("large"), large).unwrap();
    host
}

#[test]
fn age_and_tar_open_what_was_sealed() {
    let host = host_with_large();
    let output = host.seal(&["--mtime", "1700000000"]);
    assert!(output.status.success(), "{}", stderr(&output));
    fs::write(host.path("archive"), host.opened(BLOB)).unwrap();
    let root = host.path("root");
    fs::create_dir(&root).unwrap();
    run(Command::new("tar").arg("-xpf").arg(host.path("archive")).arg("-C").arg(&root));
    assert_eq!(fs::read_to_string(root.join("api/token")).unwrap(), CANARY);
    let (large, unpacked) = (host.path("large"), root.join("large"));
    assert!(fs::read(large).unwrap() == fs::read(&unpacked).unwrap());
    let token = root.join("api/token").symlink_metadata().unwrap();
    assert_eq!((token.mode(), token.uid(), token.gid()), (0o100_400, 990, 3_000_000));
    assert_eq!((token.mtime(), token.mtime_nsec()), (1_700_000_000, 0));
    assert_eq!(unpacked.metadata().unwrap().mode(), 0o100_644);
    assert_eq!(root.metadata().unwrap().mode(), 0o040_500);

    for name in [BLOB, "key", "key.smbios"] {
        assert_eq!(host.path(name).metadata().unwrap().mode(), 0o100_600, "{name}");
    }
    assert_eq!(host.temporaries(), [""; 0]);
}

#[test]
fn the_firmware_carries_the_identity() {
    let host = Host::with_share("files: []\n");
    host.sealed(&[]);
    let key = fs::read_to_string(host.path("key")).unwrap();
    let line = key.lines().find(|line| line.starts_with(IDENTITY)).unwrap();
    let value = base64::engine::general_purpose::STANDARD.encode(line);
    let string = format!("io.systemd.credential.binary:age.identity={value}");
    let expected = [b"\x0b\x05\x00\x0e\x01", string.as_bytes(), b"\0\0"].concat();
    assert_eq!(fs::read(host.path("key.smbios")).unwrap(), expected);
    // age-keygen reads the file, and nothing shows the public half, which makes blobs.
    let public = run(Command::new("age-keygen").arg("-y").arg(host.path("key"))).stdout;
    let public = String::from_utf8(public).unwrap();
    assert!(public.starts_with("age1") && !key.contains(public.trim()));
    assert!(!stderr(&host.seal(&[])).contains("age1"));
}

#[test]
fn one_changed_byte_anywhere_does_not_open() {
    let host = Host::with_share("files: [{path: /a, text: x}]\n");
    let blob = host.sealed(&[]);
    let identity = identity(&host);
    let archive = open(&identity, &blob).unwrap();
    assert_eq!(archive.len(), 5 * 512);
    for position in 0..blob.len() {
        for change in [1 << (position % 8), 0xff] {
            let mut changed = blob.clone();
            changed[position] ^= change;
            assert!(open(&identity, &changed).is_err(), "{position}");
        }
    }
    for length in 0..blob.len() {
        assert!(open(&identity, &blob[..length]).is_err(), "{length}");
    }
    assert!(open(&identity, &[&blob[..], b"\0"].concat()).is_err());
    assert!(open(&identity, &[&blob[..], &blob[..]].concat()).is_err());
    let other = age::x25519::Identity::generate();
    assert!(open(&other, &blob).is_err());
}

#[test]
fn the_age_program_refuses_changes_and_cuts() {
    let host = host_with_large();
    let blob = host.sealed(&[]);
    // The MAC's line begins with three hyphens; the nonce of 16 bytes follows it.
    let mac = blob.windows(4).position(|window| window == b"--- ").unwrap();
    let nonce = mac + 4 + 43 + 1;
    let chunks: Vec<_> = (nonce + 16..blob.len()).step_by(CHUNK_BYTES).collect();
    assert_eq!((chunks.len(), blob[nonce - 1]), (4, b'\n'));
    let refuses = |content: &[u8], what: &str| {
        fs::write(host.path("changed"), content).unwrap();
        let mut age = Command::new("age");
        age.args(["-d", "-o", "/dev/null", "-i"]).arg(host.path("key"));
        let output = age.arg(host.path("changed")).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{what}");
    };
    // Of a length that is random, as age adds a stanza that means nothing.
    let header = (0..13).map(|nth| nth * mac / 13);
    let of_mac = [mac, mac + 3, mac + 4, mac + 20, nonce - 2, nonce - 1];
    let of_chunks = chunks.iter().flat_map(|start| {
        let end = blob.len().min(start + CHUNK_BYTES);
        [*start, start + 1, (start + end) / 2, end - 17, end - 16, end - 1]
    });
    let positions: Vec<_> =
        header.chain(of_mac).chain(nonce..nonce + 16).chain(of_chunks).collect();
    assert_eq!(positions.len(), 59);
    for position in positions {
        let mut changed = blob.clone();
        changed[position] ^= 1;
        refuses(&changed, &format!("a change at {position}"));
    }
    for length in chunks.iter().flat_map(|start| [start - 1, *start, start + 1]) {
        refuses(&blob[..length], &format!("a cut at {length}"));
    }
    // Two chunks that have changed places.
    let (first, second) = (chunks[0], chunks[1]);
    let mut swapped = blob.clone();
    let (left, right) = swapped.split_at_mut(second);
    left[first..].swap_with_slice(&mut right[..CHUNK_BYTES]);
    refuses(&swapped, "swapped chunks");
    fs::write(host.path("changed"), &blob).unwrap();
    assert!(host.opened("changed") == host.opened(BLOB));
}

#[test]
fn a_stream_has_no_arguments_and_the_same_archive() {
    let host = host_with_large();
    host.sealed(&["--mtime", "1"]);
    let arguments = ["seal", "secrets.yaml", "-o", "-", "--key-out", "key", "--mtime", "1"];
    let output = host.credimg().args(arguments).output().unwrap();
    assert!(output.status.success());
    fs::write(host.path("stream"), &output.stdout).unwrap();
    assert!(host.opened("stream") == host.opened(BLOB));
    assert!(output.stdout != fs::read(host.path(BLOB)).unwrap(), "every blob has keys of its own");
    let said = stderr(&output);
    assert!(said.contains("credimg: warning: the guest can write in the share: "), "{said}");
}

#[test]
fn arguments_come_in_the_style_that_is_asked_for() {
    let host = Host::with_share("files: []\n");
    let share = host.path("share").display().to_string();
    let nic = format!("user,model=virtio-net-pci,restrict=on,smb={share}");
    for (style, expected) in [
        ("shell", format!("-smbios file=key.smbios -nic {nic}\n")),
        ("lines", format!("-smbios\nfile=key.smbios\n-nic\n{nic}\n")),
        ("json", format!("[\"-smbios\",\"file=key.smbios\",\"-nic\",\"{nic}\"]\n")),
        ("none", String::new()),
    ] {
        let output = host.seal(&["--args", style, "--quiet"]);
        assert_eq!(stdout(&output), expected);
        // The warning alone.
        let said = stderr(&output);
        let start = format!("credimg: warning: the guest can write in the share {share}: ");
        assert!(said.starts_with(&start) && said.lines().count() == 1, "{said}");
    }
    assert_eq!(host.seal(&["--args", "readconfig"]).status.code(), Some(2));
}

#[test]
fn owner_and_mode_are_those_of_the_blob_and_the_structure() {
    let host = Host::with_share("files: []\n");
    host.sealed(&["--owner", "64055:64056", "--mode", "0440"]);
    for name in [BLOB, "key.smbios"] {
        let found = host.path(name).metadata().unwrap();
        assert_eq!((found.mode(), found.uid(), found.gid()), (0o100_440, 64055, 64056), "{name}");
    }
    let key = host.path("key").metadata().unwrap();
    assert_eq!((key.mode(), key.uid()), (0o100_600, 0));
    host.sealed(&["--owner", "nobody", "--reader", "daemon", "--mode", "0400"]);
    for name in [BLOB, "key.smbios"] {
        let found = host.path(name).metadata().unwrap();
        // The mask of the list stands in the group's place.
        assert_eq!((found.mode(), found.uid()), (0o100_440, 65534), "{name}");
    }
    assert_eq!(host.seal(&["--mode", "0604"]).status.code(), Some(5));
}

#[test]
fn large_files_stream_through_little_memory() {
    let host = Host::with_share("files: [{path: /large, file: large}]\n");
    let large = fs::File::create(host.path("large")).unwrap();
    large.set_len(160 << 20).unwrap();
    // The program's own code and libraries are within the limit, too.
    let script = format!(
        "ulimit -v 90000; exec {} seal secrets.yaml -o - --key-out key",
        env!("CARGO_BIN_EXE_credimg")
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(host.path(""))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut blob = child.stdout.take().unwrap();
    let bytes = std::io::copy(&mut blob, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(bytes > 160 << 20);
}

#[test]
fn a_manifest_comes_by_standard_input() {
    let host = Host::with_share("");
    let arguments = ["seal", "-", "-o", BLOB, "--key-out", "key"];
    let mut command = host.credimg();
    let mut child = command.args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"files: [{path: /a, text: x}]\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(host.opened(BLOB).len(), 5 * 512);
    let mode = host.path("share").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755, "the share itself stays as it is");
}
