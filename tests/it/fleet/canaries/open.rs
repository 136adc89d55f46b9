//! What images hold, by the reference tools of their formats and of what is around them.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::plan::{Around, Variant};
use crate::support::host::{CREDIMG, assert_done};

/// The files of an image.
pub(super) fn extracted(image: &Path, key: &Path, variant: &Variant) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (tree, plain) = (directory.path().join("tree"), directory.path().join("plain"));
    let mut inside = image;
    match variant.around {
        Around::Nothing => {}
        Around::Luks1 => {
            let mut command = Command::new("qemu-img");
            command.args(["convert", "-O", "raw", "--object"]);
            command.arg(format!("secret,id=k,file={}", key.display()));
            let options = format!("driver=luks,key-secret=k,file.filename={}", image.display());
            command.args(["--image-opts", &options]).arg(&plain);
            assert_done(&command.output().expect("qemu-img must be installed"));
            inside = &plain;
        }
        // What opens it in a guest is the kernel; here nothing but our own reader does.
        Around::Luks2 => {
            let mut command = Command::new(CREDIMG);
            command.arg("extract").arg(image).arg(&tree).arg("--key-file").arg(key);
            assert_done(&command.output().unwrap());
            return directory;
        }
    }
    let mut command = match variant.format {
        "erofs" => {
            let mut command = Command::new("fsck.erofs");
            command.arg(format!("--extract={}", tree.display())).arg(inside);
            command
        }
        "squashfs" => {
            let mut command = Command::new("unsquashfs");
            command.args(["-no-progress", "-quiet", "-d"]).arg(&tree).arg(inside);
            command
        }
        _ => {
            let mut command = Command::new("xorriso");
            command
                .args(["-osirrox", "on", "-indev"])
                .arg(inside)
                .args(["-extract", "/"])
                .arg(&tree);
            command
        }
    };
    assert_done(&command.output().expect("the reference tools must be installed"));
    directory
}
