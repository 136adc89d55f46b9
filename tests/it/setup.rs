//! What `make setup` says on machines that it is not made for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::host::{Host, stderr};

const UBUNTU: &str =
    "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=24.04\nPRETTY_NAME=\"Ubuntu 24.04 LTS\"\n";
const BOOKWORM: &str = "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
const BULLSEYE: &str = "ID=debian\nVERSION_ID=11\nPRETTY_NAME=\"Debian GNU/Linux 11 (bullseye)\"\n";
const FEDORA: &str = "ID=fedora\nVERSION_ID=42\nPRETTY_NAME=\"Fedora Linux 42\"\n";

/// One system and architecture each, and how they are called in the message.
const REFUSED: [(&str, &str, &str); 4] = [
    (UBUNTU, "amd64", "Ubuntu 24.04 LTS on amd64"),
    (BOOKWORM, "arm64", "Debian GNU/Linux 12 (bookworm) on arm64"),
    (BULLSEYE, "amd64", "Debian GNU/Linux 11 (bullseye) on amd64"),
    (FEDORA, "x86_64", "Fedora Linux 42 on x86_64"),
];

/// Programs that would ask or change the machine; none may be called.
const NOT_CALLED: [&str; 5] = ["apt-get", "apt-cache", "dpkg-query", "debootstrap", "sudo"];

#[test]
fn other_systems_are_refused_in_one_line_and_nothing_is_changed() {
    for (os_release, architecture, name) in REFUSED {
        let host = Host::empty();
        host.write("os-release", os_release);
        let program = |name: &str, script: &str| {
            let path = host.write(format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
            fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        };
        program("dpkg", &format!("echo {architecture}"));
        for name in NOT_CALLED {
            program(name, "touch called");
        }
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c"])
            .arg(r#"mount --bind os-release /etc/os-release && PATH=$PWD/bin:$PATH exec "$0""#)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/setup-tools"))
            .env("CREDIMG_CACHE", host.path("cache"))
            .current_dir(host.path(""))
            .output()
            .unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.starts_with("setup-tools: `make test` needs Debian 12 or later"), "{said}");
        assert!(said.contains(&format!("this is {name};")), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!host.path("called").exists() && !host.path("cache").exists(), "{name}");
    }
}
