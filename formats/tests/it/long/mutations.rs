//! Mutations of small images through each reader, as many as `CREDIMG_MUTATIONS` says.

use crate::readers::hostile::{Format, erofs, iso9660, mutations, squashfs};

/// How many there are of each format where nothing is said.
const COUNT: u64 = 10_000_000;

fn run(test: &str, format: &Format) {
    let count = std::env::var("CREDIMG_MUTATIONS").map_or(COUNT, |count| count.parse().unwrap());
    mutations::run(test, format, count);
}

#[test]
fn mutations_of_erofs() {
    run(concat!(module_path!(), "::mutations_of_erofs"), &erofs::FORMAT);
}

#[test]
fn mutations_of_squashfs() {
    run(concat!(module_path!(), "::mutations_of_squashfs"), &squashfs::FORMAT);
}

#[test]
fn mutations_of_iso_9660() {
    run(concat!(module_path!(), "::mutations_of_iso_9660"), &iso9660::FORMAT);
}
