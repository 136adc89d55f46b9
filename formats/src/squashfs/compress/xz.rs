//! xz, with a dictionary as large as a block.

use std::io::Write;
use std::num::NonZeroU64;

use super::Compressor;

pub(super) struct Xz(lzma_rust2::XzOptions);

impl Xz {
    pub(super) fn new(level: u8, block_bytes: usize) -> Self {
        let mut options = lzma_rust2::XzOptions::with_preset(u32::from(level));
        // Linux has no other checksum, and no more dictionary than a block.
        options.set_check_sum_type(lzma_rust2::CheckType::Crc32);
        options.lzma_options.dict_size = u32::try_from(block_bytes).unwrap_or(u32::MAX);
        options.set_block_size(None::<NonZeroU64>);
        Self(options)
    }
}

impl Compressor for Xz {
    fn compress(&mut self, block: &[u8], output: &mut Vec<u8>) -> bool {
        lzma_rust2::XzWriter::new(output, self.0.clone())
            .and_then(|mut writer| {
                writer.write_all(block)?;
                writer.finish()
            })
            .is_ok()
    }
}
