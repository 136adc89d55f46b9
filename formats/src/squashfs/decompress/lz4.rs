//! lz4.

use lz4_flex::block::DecompressError;

use super::{Fault, Unpacker};

pub(super) struct Lz4;

impl Unpacker for Lz4 {
    fn unpack(&mut self, stored: &[u8], output: &mut [u8]) -> Result<usize, Fault> {
        lz4_flex::block::decompress_into(stored, output).map_err(|error| match error {
            DecompressError::OutputTooSmall { .. } => Fault::TooLong,
            _ => Fault::Broken,
        })
    }
}
