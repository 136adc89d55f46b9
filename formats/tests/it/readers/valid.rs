//! Images of other tools are valid: `verify` finds nothing in them.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::readers::whole::verified;
use crate::support::generator::Random;
use crate::support::host::{Scratch, run};

/// Each tool with its options: the image's path comes before or behind the directory's.
const TOOLS: [(&str, &[&str]); 18] = [
    ("mkfs.erofs", &[]),
    ("mkfs.erofs", &["-T0", "--all-root"]),
    ("mkfs.erofs", &["-E", "force-inode-extended"]),
    ("mkfs.erofs", &["--chunksize=4096"]),
    ("mkfs.erofs", &["-x", "-1"]),
    ("mksquashfs", &["-comp", "gzip"]),
    ("mksquashfs", &["-comp", "xz"]),
    ("mksquashfs", &["-comp", "lz4"]),
    ("mksquashfs", &["-comp", "zstd", "-b", "4096"]),
    ("mksquashfs", &["-no-fragments", "-nopad"]),
    ("mksquashfs", &["-always-use-fragments", "-noI", "-noD", "-noF"]),
    ("mksquashfs", &["-no-duplicates", "-no-exports"]),
    ("genisoimage", &[]),
    ("genisoimage", &["-R"]),
    ("genisoimage", &["-R", "-J", "-joliet-long"]),
    ("genisoimage", &["-R", "-iso-level", "3", "-no-pad"]),
    ("xorriso", &["-R"]),
    ("xorriso", &["-R", "-J"]),
];

fn fill(root: &Path) {
    std::fs::create_dir_all(root.join("outer/inner")).unwrap();
    std::fs::create_dir(root.join("empty")).unwrap();
    let mut random = Random::new(7);
    for size in [0, 1, 4095, 4096, 4097, 70_000, 300_000] {
        std::fs::write(root.join(format!("outer/f{size}")), random.bytes(size)).unwrap();
        std::fs::write(root.join(format!("outer/inner/z{size}")), vec![b'z'; size]).unwrap();
    }
    std::fs::write(root.join("zeros"), vec![0; 500_000]).unwrap();
    std::fs::write(root.join("hard"), "hard").unwrap();
    std::fs::hard_link(root.join("hard"), root.join("outer/hard too")).unwrap();
    symlink("outer/inner", root.join("link")).unwrap();
    for index in 0..200 {
        std::fs::write(root.join(format!("empty/{index:03}{}", "n".repeat(40))), "same").unwrap();
    }
}

#[test]
fn verify_finds_nothing_in_images_of_other_tools() {
    let scratch = Scratch::new("readers-valid");
    let source = scratch.path("source");
    fill(&source);
    let mut valid = 0;
    for (tool, options) in TOOLS {
        let image = scratch.path("image");
        let _ = std::fs::remove_file(&image);
        let mut command = Command::new(tool);
        match tool {
            "mkfs.erofs" => command.args(options).arg(&image).arg(&source),
            "mksquashfs" => {
                command.arg(&source).arg(&image).args(["-quiet", "-no-progress"]).args(options)
            }
            "xorriso" => {
                command.args(["-as", "mkisofs", "-quiet"]).args(options);
                command.arg("-o").arg(&image).arg(&source)
            }
            _ => command.arg("-quiet").args(options).arg("-o").arg(&image).arg(&source),
        };
        run(&mut command);
        let report = verified(&Arc::new(std::fs::read(&image).unwrap())).unwrap();
        assert_eq!(report.problems.kept, [], "{tool} {options:?}");
        valid += 1;
    }
    assert_eq!(valid, TOOLS.len());
}
