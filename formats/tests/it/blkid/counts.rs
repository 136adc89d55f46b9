//! Images with every number of inodes: EROFS keeps it where MINIX has its magic.

use std::path::PathBuf;
use std::process::Command;

use credimg_formats::erofs::{Label, Options, Plan};
use credimg_formats::{Sink, Tree};

use crate::blkid::judge::{Expected, assert_all};
use crate::support::host::{Scratch, run};
use crate::support::{BUILD_TIME, file, name, plain};

pub(crate) const LABEL: &str = "CHIMERA";
pub(crate) const EROFS: Expected<'_> = Expected { file_system: "erofs", label: Some(LABEL) };

/// More than a floppy disk holds: of what is smaller blkid tells the first signature it finds.
pub(crate) const LARGE_BYTES: u64 = 2 << 20;

/// The counts that would be read as MINIX's magic, of either byte order.
const MINIX: [usize; 4] = [4991, 5007, 32_531, 36_627];

#[test]
fn erofs_has_its_label_whatever_the_number_of_inodes() {
    let scratch = Scratch::new("blkid-counts");
    let around = MINIX.iter().flat_map(|count| count - 1..=count + 1);
    let counts: Vec<usize> = (1..=100).chain(around).chain([70_527, 102_163]).collect();
    let images = images(&scratch, &counts);
    assert_all(&images, EROFS);
    for image in images.iter().rev().take(3) {
        run(Command::new("fsck.erofs").arg(image));
    }
}

/// Writes an image of each of `counts` inodes, in ascending order, small and large.
fn images(scratch: &Scratch, counts: &[usize]) -> Vec<PathBuf> {
    let mut tree = Tree::new(plain(0o755));
    let mut images = Vec::new();
    for count in counts {
        grow(&mut tree, *count);
        let mut image = Vec::new();
        write(&tree, &mut image);
        for is_large in [false, true] {
            let path = scratch.path(&format!("{count}-{is_large}.erofs"));
            std::fs::write(&path, &image).unwrap();
            if is_large {
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                file.set_len(LARGE_BYTES.max(image.len() as u64)).unwrap();
            }
            images.push(path);
        }
    }
    images
}

/// Adds empty files until the tree has `count` inodes.
pub(crate) fn grow(tree: &mut Tree, count: usize) {
    for index in tree.len()..count {
        let entry = name(&format!("{index:06}"));
        tree.insert(Tree::ROOT, entry, plain(0o400), file(b"")).unwrap();
    }
}

fn write(tree: &Tree, sink: &mut dyn Sink) {
    let label = Label::new(LABEL.as_bytes()).unwrap();
    let options = Options::new().label(label).uuid([0x5a; 16]).build_time(BUILD_TIME);
    Plan::new(tree, options).unwrap().write(sink).unwrap();
}
