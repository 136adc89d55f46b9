//! lz4.

use lz4_flex::block::{self, DecompressError};

use super::{Fault, Pack, Unpack};

pub(super) struct Lz4;

impl Pack for Lz4 {
    fn pack(&mut self, block: &[u8], output: &mut Vec<u8>) -> bool {
        output.resize(block::get_maximum_output_size(block.len()), 0);
        let length = block::compress_into(block, output);
        output.truncate(*length.as_ref().unwrap_or(&0));
        length.is_ok()
    }
}

impl Unpack for Lz4 {
    #[expect(clippy::wildcard_enum_match_arm, reason = "errors of another crate")]
    fn unpack(&mut self, stored: &[u8], output: &mut [u8]) -> Result<usize, Fault> {
        block::decompress_into(stored, output).map_err(|error| match error {
            DecompressError::OutputTooSmall { .. } => Fault::TooLong,
            _ => Fault::Broken,
        })
    }
}
