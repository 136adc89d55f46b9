//! Images of SquashFS as they come: all that the reader tells of them.

use credimg_formats::read::Reader as _;
use credimg_formats::squashfs::{BlockSize, Options, Plan, Reader};

use super::input::Input;
use super::{Target, images, trees};

pub const TARGET: Target =
    Target { name: "read_squashfs", max_bytes: 32 << 10, memory_max_bytes: 64 << 20, run, seeds };

fn run(data: &[u8]) {
    read(data.to_vec());
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
        b"\x00\x03\0\x01d\x00\x00\x05\0\x01f\x04\x01f\0\x01s\x09\x01h\x08\x07\0\x01p",
        b"\x05\x01\0\x03\0\0\0\0\x01c\x0a\x06user.a\x01v\x01\x01\x00\x10\0\x01g\x02\x06\x01\0\xc8",
        b"",
    ];
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (steps, compression) in steps.iter().flat_map(|steps| {
        ["none", "gzip", "lz4", "xz", "zstd"].map(|compression| (steps, compression))
    }) {
        let tree = trees::tree(&mut Input(steps));
        let options = Options::new()
            .block_size(BlockSize::new(4096).expect("a size of blocks"))
            .cut_fractions(true)
            .compression(compression.parse().expect("a compression"));
        // Of times before 1970 and the like there is no image.
        let Ok(plan) = Plan::new(&tree, options) else { continue };
        let mut image = Vec::new();
        plan.write(&mut image).expect("room in memory");
        seeds.push(image);
    }
    seeds
}
