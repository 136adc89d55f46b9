//! Hash trees beside those of veritysetup.

use crate::support::host::{Scratch, halves};
use crate::verity::flips::{DATA_BYTES, END_BYTES, compare};
use crate::verity::veritysetup::judge;

#[test]
fn trees_of_2000_sizes_and_salts_are_those_of_veritysetup() {
    halves(0..2000, |seeds| {
        let scratch = Scratch::new(&format!("verity-trees-{}", seeds.start));
        seeds.for_each(|seed| judge(seed, &scratch));
    });
}

#[test]
fn every_changed_byte_is_found_where_veritysetup_finds_it() {
    halves(0..END_BYTES as u64, |places| {
        let scratch = Scratch::new(&format!("verity-bytes-{}", places.start));
        let places = places.start as usize..places.end as usize;
        compare(&scratch, &[7; 32], 0x01, places);
    });
}

/// A superblock of another hash type or of a name in other letters is no other one, where nothing
/// is salted.
#[test]
fn every_changed_bit_of_a_superblock_is_found_where_veritysetup_finds_it() {
    halves(0..8, |bits| {
        let scratch = Scratch::new(&format!("verity-bits-{}", bits.start));
        for bit in bits {
            compare(&scratch, &[], 1 << bit, DATA_BYTES..DATA_BYTES + 360);
        }
    });
}
