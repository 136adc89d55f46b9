//! SquashFS images judged by readers of other hands and ages: 7-Zip, GRUB, unsquashfs 4.4 to
//! 4.7, rdsquashfs 1.2 and newer, and the kernel. What each shows is compared with the tree:
//! names, content, links, and modes where it knows them. A missing tool fails the test; `make
//! setup` unpacks them.
//!
//! Their common ground is narrower than that of the newest tools alone. Where a table is empty,
//! for example, some want its place to be the end of the one before it.

pub(crate) mod bench;
mod grub;
mod holes;
mod seven_zip;
pub(crate) mod tools;
pub(crate) mod trees;

use crate::support::generator::generate;
use bench::Bench;

#[test]
fn trees_without_fragments_are_read_by_all() {
    let bench = Bench::new("squashfs-readers-empty");
    for (index, (what, tree)) in trees::without_fragments().into_iter().enumerate() {
        // All readers know these.
        let compression = ["none", "gzip", "xz"][index % 3];
        bench.judge_without_fragments(what, &tree, compression);
    }
}

#[test]
fn ordinary_trees_are_read_by_all() {
    let bench = Bench::new("squashfs-readers");
    for seed in 1000..1006 {
        let (tree, listing) = generate(seed, bench::shape(seed));
        bench.judge_ordinary(seed, &tree, &listing);
    }
}
