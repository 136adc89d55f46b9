//! A real guest with exactly the printed arguments: it mounts the share by cifs, gets
//! the identity from its firmware, opens and unpacks the blob, writes into the share,
//! and does not open what it has changed. QEMU runs Samba's smbd for it, which nobody has to
//! install: `/usr` has Samba's files besides for this one process.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::seal::CHUNK_BYTES;
use crate::support::cache;
use crate::support::host::{Host, stderr, stdout};

const CHECKS: &str = concat!(include_str!("../support/checks.sh"), include_str!("checks.sh"));
/// What a share needs in the guest. Where a kernel loads modules itself these come on
/// their own.
const MODULES: &str = "virtio_net af_packet cifs cmac sha512_generic gcm ccm ctr ghash-generic";

/// Runs `$0` with the arguments `$1` where `/usr` has the files below `$2`, too. Its own win.
const BESIDE_SAMBA: &str = r#"
    mount -t overlay -o "lowerdir=/usr:$2" overlay /usr && eval "exec \"\$0\" payload -- $1"
"#;

const MANIFEST: &str = r#"
defaults: {dir_mode: "0700"}
files:
  - path: /api/token
    text: "hunter2"
    owner: "990:3000000"
  - path: /current
    symlink: api/token
  - path: /tls
    dir: tls
"#;

#[test]
fn a_guest_opens_the_blob_and_nothing_that_was_changed() {
    let host = Host::new(MANIFEST);
    // Everything that smbd takes and QEMU and the shell could take otherwise.
    let share = "it's a; \"share\", #1 [é] = $HOME \\x".replace('"', "");
    let blob = format!("{share}/chimera.tar.age");
    fs::create_dir(host.path(&share)).unwrap();
    fs::create_dir(host.path("tls")).unwrap();
    let mut sums = format!("{}  api/token\n", digest(b"hunter2"));
    let long = "n".repeat(255);
    for (name, length) in [("key.pem", 1000), (&long, 2 * CHUNK_BYTES)] {
        let content: Vec<u8> = (0..length).map(|index| (index / 7) as u8).collect();
        writeln!(sums, "{}  tls/{name}", digest(&content)).unwrap();
        fs::write(host.path("tls").join(name), content).unwrap();
    }
    let seal = || {
        let arguments = ["seal", "secrets.yaml", "-o", &blob, "--key-out", "a, key"];
        let output = host.credimg().args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let arguments = seal();
    let sealed = fs::read(host.path(&blob)).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepting = std::thread::spawn(move || listener.accept().map(drop));
    let payload = format!("cat >/run/sums <<'END'\n{sums}END\nport={port}\nblob=chimera.tar.age\n");
    fs::write(host.path("payload"), format!("{payload}{CHECKS}")).unwrap();
    let open_card = "-nic user,model=virtio-net-pci,net=10.0.3.0/24";
    let guest = Command::new("unshare")
        .args(["--mount", "sh", "-c", BESIDE_SAMBA])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot"))
        .arg(format!("{} {open_card}", arguments.trim_end()))
        .arg(cache().join("samba/usr"))
        .envs([("GUEST_PROGRAMS", "age"), ("GUEST_MODULES", MODULES)])
        .current_dir(host.path(""))
        .output()
        .unwrap();
    let said = stdout(&guest);
    assert!(guest.status.success(), "{}\n{said}\n{}", guest.status, stderr(&guest));
    assert!(said.ends_with("19 checks, 0 failures\n"), "{said}");
    accepting.join().unwrap().unwrap();

    // On the host the guest's files are there, and its change has spoilt the blob alone.
    assert!(host.path(&share).join("from-the-guest").exists());
    assert!(fs::read(host.path(&blob)).unwrap() != sealed);
    let mut age = Command::new("age");
    age.args(["-d", "-o", "/dev/null", "-i"]).arg(host.path("a, key")).arg(host.path(&blob));
    assert_eq!(age.output().unwrap().status.code(), Some(1));
    assert_eq!(seal(), arguments);
    assert!(age.status().unwrap().success());
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
