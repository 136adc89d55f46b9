//! Images of ISO 9660 to be changed.

use credimg_formats::iso9660::{Options, Plan};
use credimg_formats::{Kind, Tree};

use super::{Format, bases};
use crate::support::{BUILD_TIME, file, name, plain};

pub(crate) const FORMAT: Format = Format {
    name: "iso9660",
    lines: include_str!("iso9660.txt"),
    count: 196,
    kept: 0,
    bases: &[
        ("small", || image(&bases::small(false), false)),
        ("joliet", || image(&bases::small(false), true)),
        ("long", || image(&long(), false)),
    ],
    // Nothing has a checksum.
    mend: |_| {},
};

/// Names and targets that go on in areas behind the records.
fn long() -> Tree {
    let mut tree = Tree::new(plain(0o755));
    let mut add = |entry: &str, kind| {
        tree.insert(Tree::ROOT, name(entry), plain(0o444), kind).unwrap();
    };
    add("alink", Kind::symlink("component/".repeat(409)));
    add(&"n".repeat(253), file(b"name"));
    tree
}

fn image(tree: &Tree, joliet: bool) -> Vec<u8> {
    let options = Options::new()
        .volume_id("CHIMERA".parse().unwrap())
        .build_time(BUILD_TIME)
        .joliet(joliet)
        .lossy(joliet);
    let mut image = Vec::new();
    Plan::new(tree, options).unwrap().write(&mut image).unwrap();
    image
}
