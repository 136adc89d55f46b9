//! lz4.

use super::Compressor;

pub(super) struct Lz4;

impl Compressor for Lz4 {
    fn compress(&mut self, block: &[u8], output: &mut Vec<u8>) -> bool {
        output.resize(lz4_flex::block::get_maximum_output_size(block.len()), 0);
        let length = lz4_flex::block::compress_into(block, output);
        output.truncate(*length.as_ref().unwrap_or(&0));
        length.is_ok()
    }
}
