//! SquashFS images judged by readers of other hands and ages: 7-Zip, GRUB, unsquashfs 4.4 to
//! 4.7, rdsquashfs 1.2 and newer, and the kernel. What each shows is compared with the tree:
//! names, content, links, and modes where it knows them. A missing tool fails the test; `make
//! setup` unpacks them.
//!
//! Their common ground is narrower than that of the newest tools alone. Where a table is empty,
//! for example, some want its place to be the end of the one before it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a panic is how a test fails, and its numbers are small"
)]

mod bench;
mod grub;
mod holes;
#[path = "../support/memory.rs"]
mod memory;
#[path = "../support/permissions.rs"]
mod permissions;
mod seven_zip;
#[expect(dead_code, reason = "these images are small")]
#[path = "../support/mod.rs"]
mod support;
mod tools;
mod trees;

use bench::Bench;
use support::generator::generate;

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
