//! The projects of docs/examples, each carried out as its README tells, and judged by the
//! tools of those who take its files. Two of them boot as well, in `boots`.

pub(crate) mod bootc;
mod hosts;
mod kickstart;
mod make;
mod seed;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::host::{CREDIMG, Host, assert_done, stderr, stdout};

/// What the modules here carry out.
const EXAMPLES: [&str; 7] = [
    "bootc-guest",
    "debian-cloud-image",
    "fleet",
    "kickstart-seed",
    "libvirt-domain",
    "makefile-pipeline",
    "systemd-unit",
];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples")
}

/// A copy of the example, which the program may take as root, and to which keys are added.
pub(crate) fn copy(name: &str) -> Host {
    let host = Host::empty();
    let from = examples().join(name);
    let status = Command::new("cp").arg("-r").arg(from.join(".")).arg(host.path("")).status();
    assert!(status.unwrap().success(), "{name}");
    host
}

/// The directory of what `scripts/setup-tools` has from other registries than Debian's.
fn linters() -> PathBuf {
    crate::support::cache()
        .join("linters")
        .canonicalize()
        .expect("the linters are unpacked; `make setup` does that")
}

#[test]
fn every_example_is_told_of_and_carried_out() {
    let entries = fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().path());
    let folders: BTreeSet<_> = entries.filter(|path| path.is_dir()).collect();
    let names: Vec<_> =
        folders.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, EXAMPLES);
    for folder in &folders {
        assert!(folder.join("README.md").exists(), "{}", folder.display());
    }
}
