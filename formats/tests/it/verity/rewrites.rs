//! What is written last, at the place of what was written first.

use std::io::Write;

use credimg_formats::verity::{Options, Writer};
use credimg_formats::{ErrorKind, ForwardOnly, Sink};

use super::bytes;
use crate::support::generator::Random;

/// The image of this data, written in one go.
fn image(options: &Options, data: &[u8]) -> Vec<u8> {
    let mut image = Vec::new();
    let mut writer = Writer::new(options, &mut image).unwrap();
    writer.write_all(data).unwrap();
    writer.finish().unwrap();
    image
}

#[test]
fn what_is_rewritten_is_hashed_again() {
    let mut random = Random::new(3);
    for case in 0..500 {
        let options = Options {
            data_block_bytes: random.pick(&[512, 1024, 2048, 4096]),
            hash_block_bytes: random.pick(&[512, 4096]),
            ..Options::default()
        };
        let window = random.pick(&[0, 0, 4096, 1 << 20]);
        let behind = random.pick(&[1, 512, 4095, 4096, 5000, 70_000, 600_000]);
        // Zeros for the most part, so that there are long runs of equal blocks.
        let mut data = vec![0; window];
        let content = if random.below(2) == 0 { 0 } else { behind };
        data.extend(bytes(&mut random, content));
        data.resize(window + behind, 0);
        let mut ours = Vec::new();
        let mut writer = Writer::new(&options, &mut ours).unwrap().rewritable_at(window as u64);
        writer.rewrite(0, b"").unwrap();
        writer.write_zeros(window as u64).unwrap();
        for piece in data[window..].chunks(1 + random.below(9000) as usize) {
            writer.write_all(piece).unwrap();
        }
        for _ in 0..random.below(4) {
            let room = behind.min(4096);
            let start = random.below(room as u64) as usize;
            let length = random.below((room - start) as u64 + 1) as usize;
            let new = bytes(&mut random, length);
            let back = data.len() - window - start;
            writer.rewrite(back as u64, &new).unwrap();
            data[window + start..window + start + length].copy_from_slice(&new);
        }
        // What is written behind does not matter.
        writer.write_all(&[1; 700]).unwrap();
        data.extend([1; 700]);
        writer.finish().unwrap();
        assert!(ours == image(&options, &data), "case {case}");
    }
}

#[test]
fn what_cannot_be_hashed_again_is_refused() {
    let mut ours = Vec::new();
    let mut writer = Writer::new(&Options::default(), &mut ours).unwrap().rewritable_at(8192);
    writer.write_all(&vec![1; 20_000]).unwrap();
    for (place, length) in [(0, 1), (8191, 1), (8191, 2), (12_287, 2), (12_288, 1), (19_999, 2)] {
        let error = writer.rewrite(20_000 - place, &vec![2; length]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{place}");
    }
    assert!(writer.rewrite(20_001, &[2]).is_err());
    writer.rewrite(20_000 - 8192, &[2; 4096]).unwrap();
    writer.finish().unwrap();
    let data = [vec![1; 8192], vec![2; 4096], vec![1; 20_000 - 12_288]].concat();
    assert!(ours == image(&Options::default(), &data));

    let mut pipe = ForwardOnly::new(Vec::new());
    let mut writer = Writer::new(&Options::default(), &mut pipe).unwrap();
    assert_eq!(writer.rewrite(0, b"").unwrap_err().kind(), std::io::ErrorKind::Unsupported);
}

#[test]
fn what_no_superblock_holds_is_refused() {
    let salt = Options { salt: vec![0; 257], ..Options::default() };
    let sizes = [0, 256, 513, 6144, 8192, u32::MAX];
    let data = sizes.map(|data_block_bytes| Options { data_block_bytes, ..Options::default() });
    let hash = sizes.map(|hash_block_bytes| Options { hash_block_bytes, ..Options::default() });
    for options in [salt].into_iter().chain(data).chain(hash) {
        let error = Writer::new(&options, &mut Vec::new()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Limit, "{options:?}");
    }
    let mut nothing = Vec::new();
    let error = Writer::new(&Options::default(), &mut nothing).unwrap().finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrepresentable);
    assert!(nothing.is_empty());
}
