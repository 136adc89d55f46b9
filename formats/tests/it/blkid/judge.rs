//! blkid, the one of this machine and a newer one, as a judge of many images at once.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::host::cache;

/// What blkid must show of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) file_system: &'a str,
    pub(crate) label: Option<&'a str>,
}

/// Judges `images` by every blkid: each must be of this type and have this label, and be
/// nothing else besides. Panics with the first that is not.
pub(crate) fn assert_all(images: &[PathBuf], expected: Expected<'_>) {
    for blkid in BLKIDS {
        let output = blkid().args(["-p", "-o", "full"]).args(images).output();
        let output = output.expect("blkid starts; `make setup` installs it");
        let shown = String::from_utf8(output.stdout).expect("the output is text");
        let mut lines = shown.lines();
        for image in images {
            // blkid stops at, or passes over, what it makes nothing of.
            let line = lines.next().unwrap_or_default();
            assert!(is_right(line, image, expected), "{}: {}", image.display(), said(blkid, image));
        }
        assert_eq!(lines.next(), None);
    }
}

/// What each blkid says of one image: the line without the path, or its complaint.
pub(crate) fn all_say(image: &Path) -> Vec<String> {
    BLKIDS.iter().map(|blkid| said(*blkid, image)).collect()
}

/// What those blkids say that see something else in the image than this.
pub(crate) fn wrong(image: &Path, expected: Expected<'_>) -> Vec<String> {
    let said = BLKIDS.iter().map(|blkid| said(*blkid, image));
    let is_wrong = |said: &String| {
        let line = said.lines().next().unwrap_or_default();
        !is_right(&format!("{}: {line}", image.display()), image, expected)
    };
    said.filter(is_wrong).collect()
}

fn is_right(line: &str, image: &Path, expected: Expected<'_>) -> bool {
    let Some(values) = line.strip_prefix(&format!("{}: ", image.display())) else { return false };
    let value = |name: &str| {
        let value = values.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim_matches('"'))
    };
    let is_whole = value("TYPE") == Some(expected.file_system) && value("LABEL") == expected.label;
    is_whole && value("PTTYPE").is_none()
}

fn said(blkid: fn() -> Command, image: &Path) -> String {
    let output = blkid().args(["-p", "-o", "full"]).arg(image).output();
    let output = output.expect("blkid starts; `make setup` installs it");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).replace(&format!("{}: ", image.display()), "")
}

/// That of this machine, and the one that `make setup` unpacks.
const BLKIDS: [fn() -> Command; 2] = [|| Command::new("blkid"), newer];

/// Runs with the libraries that it was made for, which this machine may not have.
fn newer() -> Command {
    let tree = cache().join("util-linux");
    let loader = tree.join("lib64/ld-linux-x86-64.so.2");
    assert!(loader.exists(), "{} is missing: run `make setup`", loader.display());
    let mut command = Command::new(loader);
    command.arg("--library-path").arg(tree.join("lib/x86_64-linux-gnu"));
    command.arg(tree.join("sbin/blkid"));
    command
}
