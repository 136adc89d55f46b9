//! Holes cost neither time nor memory, but for the tree itself.

use std::io::{self, Write};

use credimg_formats::Sink;
use credimg_formats::verity::{Options, Writer};

use super::bytes;
use crate::alone::{alone, limited};
use crate::support::generator::Random;

/// Counts what it gets.
#[derive(Default)]
struct Count {
    bytes: u64,
    hole_bytes: u64,
}

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Count {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.hole_bytes += length_bytes;
        Ok(())
    }
}

#[test]
fn a_hole_of_64_gib_takes_no_memory() {
    alone(concat!(module_path!(), "::a_hole_of_64_gib_takes_no_memory"), || {
        const HOLE_BYTES: u64 = 64 << 30;
        let mut count = Count::default();
        let (sealed, _) = limited(|| {
            let mut writer = Writer::new(&Options::default(), &mut count).unwrap();
            writer.write_all(b"before").unwrap();
            writer.write_zeros(HOLE_BYTES).unwrap();
            writer.write_all(b"behind").unwrap();
            writer.finish().unwrap()
        });
        // The hashes of 2^24 + 1 blocks, 128 in each block of a level.
        let levels = 4096 * ((1 << 17) + 1 + (1 << 10) + 1 + 8 + 1 + 1);
        assert_eq!(sealed.data_bytes, HOLE_BYTES + 4096);
        assert_eq!(sealed.size_bytes, sealed.data_bytes + 4096 + levels);
        assert_eq!(count.bytes, 6 + 6 + 512 + levels);
        assert_eq!(count.hole_bytes, HOLE_BYTES + (4096 - 12) + (4096 - 512));
    });
}

/// What the tree is made of does not depend on how zeros come.
#[test]
fn zeros_are_hashed_as_a_hole_or_written_out() {
    let mut random = Random::new(5);
    for _ in 0..200 {
        let options = Options { data_block_bytes: random.pick(&[512, 4096]), ..Options::default() };
        let lengths: Vec<usize> = (0..6).map(|_| random.below(9000) as usize).collect();
        let image = |is_hole: bool| {
            let mut image = Vec::new();
            let mut writer = Writer::new(&options, &mut image).unwrap();
            for (index, length) in lengths.iter().enumerate() {
                if index % 2 == 0 {
                    let content = bytes(&mut Random::new(index as u64), *length);
                    writer.write_all(&content).unwrap();
                } else if is_hole {
                    writer.write_zeros(*length as u64).unwrap();
                } else {
                    writer.write_all(&vec![0; *length]).unwrap();
                }
            }
            (writer.finish().unwrap(), image)
        };
        assert!(image(true) == image(false), "{lengths:?}");
    }
}
