//! The key file: made once, used as it is, never replaced.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::formats::host::run;
use crate::seal::{BLOB, CANARY, IDENTITY, identity, open};
use crate::support::host::{Host, stderr};

fn write_private(host: &Host, name: &str, content: &[u8]) {
    fs::write(host.path(name), content).unwrap();
    fs::set_permissions(host.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_key_is_made_once_and_used_as_it_is() {
    let host = Host::with_share("files: [{path: /a, text: x}]\n");
    let output = host.seal(&[]);
    assert!(stderr(&output).contains("made the key file key\n"), "{}", stderr(&output));
    let key = fs::read(host.path("key")).unwrap();
    let old = fs::read(host.path(BLOB)).unwrap();
    let output = host.seal(&[]);
    assert!(output.status.success() && !stderr(&output).contains("made"), "{}", stderr(&output));
    assert!(fs::read(host.path("key")).unwrap() == key);
    let new = fs::read(host.path(BLOB)).unwrap();
    assert!(old != new);
    assert!(open(&identity(&host), &old).is_ok() && open(&identity(&host), &new).is_ok());
}

#[test]
fn what_age_keygen_writes_is_a_key() {
    let host = Host::with_share("files: [{path: /a, text: x}]\n");
    run(Command::new("age-keygen").arg("-o").arg(host.path("key")));
    let key = fs::read_to_string(host.path("key")).unwrap();
    assert!(key.starts_with("# created: ") && key.contains("# public key: age1"));
    host.sealed(&[]);
    assert_eq!(fs::read_to_string(host.path("key")).unwrap(), key);
    assert_eq!(host.opened(BLOB).len(), 5 * 512);
    // A symbolic link to it is as good.
    symlink("key", host.path("link")).unwrap();
    let arguments = ["seal", "secrets.yaml", "-o", BLOB, "--key-out", "link"];
    assert!(host.credimg().args(arguments).status().unwrap().success());
    assert_eq!(host.opened(BLOB).len(), 5 * 512);
    assert!(host.path("link.smbios").is_file());
}

#[test]
fn each_wrong_key_file_has_an_error_of_its_own() {
    let host = Host::with_share("files: [{path: /a, shell: 'echo x; touch ran'}]\n");
    let good = age::x25519::Identity::generate();
    let line = age::secrecy::ExposeSecret::expose_secret(&good.to_string()).to_owned();
    let encrypted = {
        write_private(&host, "plain", line.as_bytes());
        let public = good.to_public().to_string();
        run(Command::new("age").args(["-r", &public]).arg(host.path("plain"))).stdout
    };
    fs::remove_file(host.path("plain")).unwrap();
    let large = format!("# {}\n{line}\n", "x".repeat(64 << 10));
    let ssh = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n");
    let (public, twice) = (good.to_public().to_string(), format!("{line}\n{line}\n"));
    let cases: [(&[u8], &str); 12] = [
        (b"", "is empty"),
        (b"# public key: age1\n\n", "holds comments and no identity"),
        (&encrypted, "is encrypted"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\nc4n4ry\n", "is encrypted"),
        (b"AGE-PLUGIN-YUBIKEY-1C4N4RY\n", "holds the identity of a plugin"),
        (b"AGE-SECRET-KEY-PQ-1C4N4RY\n", "holds a post-quantum identity"),
        (ssh.as_bytes(), "holds a key of SSH"),
        (public.as_bytes(), "holds a public key"),
        (twice.as_bytes(), "holds several identities"),
        (&line.as_bytes()[..60], "holds an identity that is cut or damaged"),
        (CANARY.as_bytes(), "is no identity file of age"),
        (large.as_bytes(), "is too large to be an identity file"),
    ];
    for (content, message) in cases {
        write_private(&host, "key", content);
        assert_refused(&host, 4, &format!("error: the key file key {message}"));
        assert!(fs::read(host.path("key")).unwrap() == content, "{message}");
    }
    for mode in [0o604, 0o602, 0o601, 0o644] {
        write_private(&host, "key", line.as_bytes());
        fs::set_permissions(host.path("key"), fs::Permissions::from_mode(mode)).unwrap();
        let message = format!("is open to every user of the host (mode {mode:04o})");
        assert_refused(&host, 5, &message);
    }
    for mode in [0o620, 0o660] {
        fs::set_permissions(host.path("key"), fs::Permissions::from_mode(mode)).unwrap();
        assert_refused(&host, 5, &format!("can be written by its group (mode {mode:04o})"));
    }
    fs::remove_file(host.path("key")).unwrap();
    mknodat(CWD, host.path("key"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert_refused(&host, 4, "key");
    fs::remove_file(host.path("key")).unwrap();
    fs::create_dir(host.path("key")).unwrap();
    assert_refused(&host, 4, "key");
    fs::remove_dir(host.path("key")).unwrap();
    symlink("nowhere", host.path("key")).unwrap();
    assert_refused(&host, 4, "is a symbolic link that leads nowhere");
    assert!(!host.path("nowhere").exists());
}

/// Nothing is run, made or quoted.
fn assert_refused(host: &Host, code: i32, message: &str) {
    let output = host.seal(&[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{message}: {said}");
    assert!(said.contains(message) && !said.contains("C4N4RY"), "{message}: {said}");
    assert!(output.stdout.is_empty());
    for name in ["ran", BLOB, "key.smbios"] {
        assert!(!host.path(name).exists(), "{message}: {name}");
    }
    assert_eq!(host.temporaries(), [""; 0], "{message}");
}

#[test]
fn a_key_that_cannot_be_made_is_an_error() {
    let host = Host::with_share("files: [{path: /a, text: x}]\n");
    let arguments = ["seal", "secrets.yaml", "-o", BLOB, "--key-out", "missing/key"];
    let output = host.credimg().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(!host.path(BLOB).exists());
    let output = host.seal(&["--key-out", "-"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn builders_that_race_for_a_key_all_use_the_same() {
    for round in 0..6 {
        let host = Host::with_share("files: [{path: /a, text: x}]\n");
        let output = |index: usize| format!("share/{index}.tar.age");
        let children: Vec<_> = (0..6)
            .map(|index| {
                let mut command = host.credimg();
                command.args(["seal", "secrets.yaml", "-o", &output(index), "--key-out", "key"]);
                command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
            })
            .collect();
        let mut made = 0;
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
            made += usize::from(stderr(&output).contains("made the key file"));
        }
        assert_eq!(made, 1, "round {round}");
        let identity = identity(&host);
        for index in 0..6 {
            let blob = fs::read(host.path(output(index))).unwrap();
            assert!(open(&identity, &blob).is_ok(), "round {round}, builder {index}");
        }
        assert_eq!(host.temporaries(), [""; 0]);
        let key = fs::read_to_string(host.path("key")).unwrap();
        assert_eq!(key.matches(IDENTITY).count(), 1);
    }
}

/// A machine without SMBIOS tables gets the key by fw_cfg, one without either is refused.
#[test]
fn the_key_goes_by_what_the_machine_has() {
    let host = Host::with_share("files: [{path: /a, text: x}]\n");
    let output = host.seal(&["--machine", "microvm"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let share = fs::canonicalize(host.path("share")).unwrap();
    let expected = format!(
        "-fw_cfg name=opt/io.systemd.credentials/age.identity,file=key.fw_cfg.age.identity \
         -nic user,model=virtio-net-device,restrict=on,smb={}\n",
        share.display()
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert!(!host.path("key.smbios").exists());
    // The item is the line of the identity, which opens the blob.
    let opened = Command::new("age")
        .args(["-d", "-i", "key.fw_cfg.age.identity", BLOB])
        .current_dir(host.path(""))
        .output()
        .unwrap();
    assert!(opened.status.success(), "{}", stderr(&opened));
    // QEMU takes them: the machine is built whole and never runs.
    let script = format!(
        "echo quit | exec qemu-system-x86_64 -M microvm -accel tcg -m 32 -nodefaults -S \
         -display none -monitor stdio {expected}"
    );
    run(Command::new("sh").args(["-c", script.trim_end()]).current_dir(host.path("")));

    let output = host.seal(&["--machine", "virt-uefi"]);
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("-smbios file=key.smbios -nic"));
    let output = host.seal(&["--machine", "s390-ccw-virtio"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let expected = "credimg: error: the key does not reach the guest: s390-ccw-virtio: it has neither \
                    SMBIOS tables nor fw_cfg\n";
    assert!(said.starts_with(expected), "{said}");
}
