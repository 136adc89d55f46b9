//! SquashFS images through readers of other hands and ages.

use crate::squashfs_readers::bench::{Bench, COMPRESSIONS, shape};
use crate::squashfs_readers::trees;
use crate::support::generator::generate;

#[test]
fn every_tree_without_fragments_is_read_by_all_in_every_compression() {
    let bench = Bench::new("squashfs-readers-empty");
    for (what, tree) in trees::without_fragments() {
        for compression in COMPRESSIONS {
            bench.judge_without_fragments(what, &tree, compression);
        }
    }
}

#[test]
fn ordinary_trees_are_read_by_all() {
    let bench = Bench::new("squashfs-readers");
    for seed in 1000..1100 {
        let (tree, listing) = generate(seed, shape(seed));
        bench.judge_ordinary(seed, &tree, &listing);
    }
}
