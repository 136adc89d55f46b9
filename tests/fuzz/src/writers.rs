//! The writers of every format on any tree: what a plan takes is written, as long as planned.

use credimg_formats::probe::{Probe, probe};
use credimg_formats::squashfs::{BlockSize, Compression};
use credimg_formats::{Error, ErrorKind, Timestamp, Tree, erofs, iso9660, squashfs};

use super::input::Input;
use super::{Target, trees};

pub const TARGET: Target =
    Target { name: "writers", max_bytes: 512, memory_max_bytes: 128 << 20, run, seeds };

/// How seldom an input that asks for xz is compressed by it, which takes a hundred times as
/// long as the rest.
const XZ_ONE_OF: u64 = 64;

fn run(data: &[u8]) {
    let mut input = Input(data);
    let has_xz = super::is_one_of(data, XZ_ONE_OF);
    let (choices, label, seconds) = (input.byte(), input.text(), input.word());
    let build_time = Timestamp::from_seconds(seconds.into());
    let tree = trees::tree(&mut input);
    let format = (choices & 3) % 3;
    let outcome = match format {
        0 => erofs(&tree, label, build_time),
        1 => squashfs(&tree, choices, has_xz, build_time),
        _ => iso9660(&tree, label, choices, build_time),
    };
    if let Err(error) = outcome {
        // What cannot be held is said before a byte is written.
        assert!(matches!(error.kind(), ErrorKind::Unrepresentable | ErrorKind::Limit), "{error}");
    }
}

fn erofs(tree: &Tree, label: &[u8], build_time: Timestamp) -> Result<(), Error> {
    let label = erofs::Label::new(label)?;
    let options = erofs::Options::new().label(label).uuid([7; 16]).build_time(build_time);
    let plan = erofs::Plan::new(tree, options)?;
    let mut image = Vec::new();
    plan.write(&mut image).expect("a plan can be written");
    assert_eq!(image.len() as u64, plan.size_bytes());
    assert!(matches!(probe(&mut &image[..]), Ok(Probe::Erofs { .. })));
    Ok(())
}

fn squashfs(tree: &Tree, choices: u8, has_xz: bool, build_time: Timestamp) -> Result<(), Error> {
    // Compressing takes long: seldom is often enough.
    let compression = match choices >> 2 {
        0x3f => "gzip:1",
        0x3e => "zstd:1",
        0x3d if has_xz => "xz:0",
        0x3c => "lz4",
        _ => "none",
    };
    let options = squashfs::Options::new()
        .block_size(BlockSize::new(4096)?)
        .compression(compression.parse::<Compression>().expect("a compression"))
        .build_time(build_time)
        .cut_fractions(choices & 4 != 0)
        .threads(1);
    let plan = squashfs::Plan::new(tree, options)?;
    let mut image = Vec::new();
    let size_bytes = plan.write(&mut image).expect("a plan can be written");
    assert_eq!(image.len() as u64, size_bytes);
    assert!(size_bytes.is_multiple_of(4096));
    assert!(matches!(probe(&mut &image[..]), Ok(Probe::Squashfs { .. })));
    Ok(())
}

fn iso9660(tree: &Tree, label: &[u8], choices: u8, build_time: Timestamp) -> Result<(), Error> {
    let options = iso9660::Options::new()
        .volume_id(iso9660::VolumeId::new(label)?)
        .build_time(build_time)
        .joliet(choices & 4 != 0)
        .cut_fractions(choices & 8 != 0)
        .lossy(choices & 16 != 0);
    let plan = iso9660::Plan::new(tree, options)?;
    let mut image = Vec::new();
    plan.write(&mut image).expect("a plan can be written");
    assert_eq!(image.len() as u64, plan.size_bytes());
    assert!(matches!(probe(&mut &image[..]), Ok(Probe::Iso9660 { .. })));
    Ok(())
}

fn seeds() -> Vec<Vec<u8>> {
    let steps = b"\x00\x03\0\x01d\x00\x00\x05\0\x01f\x04\x01f\0\x01s\x09\x01h\x08\x07\0\x01p\
        \x05\x01\0\x03\0\0\0\0\x01c\x0a\x06user.a\x01v\x01\x01\x00\x10\0\x01g\x02\x06\x01\0\xc8";
    let of = |choices: u8, time: u8| {
        [&[choices][..], b"\x01A", &[time], b"\xf1\x53\x65", steps].concat()
    };
    let choices = (0..3).flat_map(|format| [0, 0xfc, 0xf8, 0xf0, 4, 28].map(|more| format | more));
    let mut seeds: Vec<_> = choices.map(|choices| of(choices, 0)).collect();
    seeds.extend(
        (0..=255).map(|time| of(0xf5, time)).find(|seed| super::is_one_of(seed, XZ_ONE_OF)),
    );
    seeds
}
