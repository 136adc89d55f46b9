//! Hash trees of dm-verity, judged by veritysetup.

pub(crate) mod flips;
mod holes;
mod hostile;
mod images;
mod rewrites;
pub(crate) mod veritysetup;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use credimg_formats::Sink;
use credimg_formats::verity::{Algorithm, Options, Sealed, Writer};

use crate::support::generator::Random;

/// Data and the tree to be made of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) options: Options,
    pieces: Vec<Piece>,
    seed: u64,
}

/// How data comes.
#[derive(Clone, Debug)]
enum Piece {
    Bytes(usize),
    Zeros(u64),
    FromFile(usize),
}

/// Bytes without a pattern, faster than one by one.
pub(crate) fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

const BLOCK_SIZES: [u32; 4] = [512, 1024, 2048, 4096];

impl Case {
    /// The case of that number: sizes around those that fill blocks and levels, salts of every
    /// length, all sizes of blocks, and both hashes.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x7665_7269);
        let salt_bytes = random.pick(&[0, 1, 2, 16, 32, 32, 32, 64, 65, 255, 256]);
        let mut options = Options {
            salt: random.bytes(salt_bytes),
            uuid: *random.bytes(16).first_chunk().unwrap(),
            ..Options::default()
        };
        if !seed.is_multiple_of(2) {
            options.data_block_bytes = random.pick(&BLOCK_SIZES);
            options.hash_block_bytes = random.pick(&BLOCK_SIZES);
            options.algorithm = random.pick(&Algorithm::ALL);
        }
        let per_block =
            u64::from(options.hash_block_bytes) / options.algorithm.digest_bytes() as u64;
        let around = random.pick(&[1, 2, 3, per_block, 2 * per_block, per_block.pow(2)]);
        let blocks = (around + random.below(3)).saturating_sub(1).max(1);
        let mut left = (blocks * u64::from(options.data_block_bytes)).min(8 << 20);
        left = (left + random.pick(&[0, 0, 0, 1, 4095])).max(1);
        let mut pieces = Vec::new();
        while left > 0 {
            let longest = random.pick(&[1, 100, 511, 4096, 5000, 70_000, 1 << 20, 8 << 20]);
            let length = (1 + random.below(longest)).min(left);
            left -= length;
            pieces.push(match random.below(4) {
                0 => Piece::Zeros(length),
                1 => Piece::FromFile(length as usize),
                _ => Piece::Bytes(length as usize),
            });
        }
        Self { options, pieces, seed }
    }

    /// Writes data and tree into `sink`; files are made at `file`.
    pub(crate) fn write(&self, sink: &mut dyn Sink, file: &Path) -> Sealed {
        let mut random = Random::new(self.seed);
        let mut writer = Writer::new(&self.options, sink).unwrap();
        for piece in &self.pieces {
            match *piece {
                Piece::Bytes(length) => writer.write_all(&bytes(&mut random, length)).unwrap(),
                Piece::Zeros(length) => writer.write_zeros(length).unwrap(),
                Piece::FromFile(length) => {
                    std::fs::write(file, bytes(&mut random, length)).unwrap();
                    let file = File::open(file).unwrap();
                    let copied = writer.copy_from_file(&file, length as u64 + 1).unwrap();
                    assert_eq!(copied, length as u64);
                }
            }
        }
        writer.finish().unwrap()
    }

    /// The data alone, filled up with zeros to whole 4096 bytes.
    pub(crate) fn data(&self) -> Vec<u8> {
        let mut random = Random::new(self.seed);
        let mut data = Vec::new();
        for piece in &self.pieces {
            match *piece {
                Piece::Bytes(length) | Piece::FromFile(length) => {
                    data.extend(bytes(&mut random, length));
                }
                Piece::Zeros(length) => data.resize(data.len() + length as usize, 0),
            }
        }
        data.resize(data.len().next_multiple_of(4096), 0);
        data
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
