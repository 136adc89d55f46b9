//! Images of EROFS, as they come and with a right checksum: all that the reader tells of them.

use credimg_formats::erofs::format::{SUPER_OFFSET_BYTES, checksum};
use credimg_formats::erofs::{Options, Plan, Reader};
use credimg_formats::read::Reader as _;

use super::input::Input;
use super::{Target, images, trees};

pub const TARGET: Target =
    Target { name: "read_erofs", max_bytes: 32 << 10, memory_max_bytes: 64 << 20, run, seeds };

fn run(data: &[u8]) {
    let mut mended = data.to_vec();
    mend(&mut mended);
    if mended != data && super::is_one_of(data, 16) {
        read(data.to_vec());
    }
    read(mended);
}

/// Makes the superblock's checksum right, whatever the block size.
fn mend(image: &mut [u8]) {
    let Some(bits) = image.get(SUPER_OFFSET_BYTES + 12).filter(|bits| **bits <= 16) else { return };
    let block_bytes = 1_usize << *bits;
    let covered_bytes = if block_bytes > SUPER_OFFSET_BYTES {
        block_bytes - SUPER_OFFSET_BYTES
    } else {
        block_bytes
    };
    let covered = image.get_mut(SUPER_OFFSET_BYTES..SUPER_OFFSET_BYTES + covered_bytes);
    if let Some(covered) = covered.filter(|covered| covered.len() >= 128) {
        covered[4..8].fill(0);
        let sum = checksum(covered);
        covered[4..8].copy_from_slice(&sum.to_le_bytes());
    }
}

fn read(image: Vec<u8>) {
    let size_bytes = image.len() as u64;
    let limits = images::limits(size_bytes);
    images::expect(Reader::open(Box::new(image), limits).and_then(|reader| {
        let outcome = images::walk(&reader, limits, &mut |step| images::look_up(&reader, step));
        reader.account(&mut images::Checked { size_bytes })?;
        outcome
    }));
}

fn seeds() -> Vec<Vec<u8>> {
    let steps: [&[u8]; 3] = [
        b"\x03\0\x01d\x00\x00\x05\0\x01f\x04\x01f\0\x01s\x09\x01h\x08\x07\0\x01p",
        b"\x05\x01\0\x03\0\0\0\0\x01c\x0a\x06user.a\x01v\x01\x01\x00\x10\0\x01g\x02\x06\x01\0\xc8",
        b"",
    ];
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for steps in steps {
        let tree = trees::tree(&mut Input(steps));
        let plan = Plan::new(&tree, Options::new()).expect("a good tree");
        let mut image = Vec::new();
        plan.write(&mut image).expect("room in memory");
        seeds.push(image);
    }
    seeds
}
