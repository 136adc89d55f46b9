//! xz: packed with a dictionary as large as a block, unpacked with the filters for machine code.

use std::io::{self, Read, Write};
use std::num::NonZeroU64;

use super::{Fault, Pack, Unpack};
use crate::content::read_full;

/// What the decoder takes besides its dictionary, in KiB, and a little more.
const OVERHEAD_KIB: u32 = 128;

pub(super) struct Packer(lzma_rust2::XzOptions);

impl Packer {
    pub(super) fn new(level: u8, block_bytes: usize) -> Self {
        let mut options = lzma_rust2::XzOptions::with_preset(u32::from(level));
        // Linux has no other checksum, and no more dictionary than a block.
        options.set_check_sum_type(lzma_rust2::CheckType::Crc32);
        options.lzma_options.dict_size = u32::try_from(block_bytes).unwrap_or(u32::MAX);
        options.set_block_size(None::<NonZeroU64>);
        Self(options)
    }
}

impl Pack for Packer {
    fn pack(&mut self, block: &[u8], output: &mut Vec<u8>) -> bool {
        lzma_rust2::XzWriter::new(output, self.0.clone())
            .and_then(|mut writer| {
                writer.write_all(block)?;
                writer.finish()
            })
            .is_ok()
    }
}

pub(super) struct Unpacker {
    memory_max_kib: u32,
}

impl Unpacker {
    pub(super) fn new(block_bytes: u32) -> Self {
        // Linux has no larger dictionary than a block either.
        Self { memory_max_kib: block_bytes / 1024 + OVERHEAD_KIB }
    }
}

impl Unpack for Unpacker {
    fn unpack(&mut self, stored: &[u8], output: &mut [u8]) -> Result<usize, Fault> {
        let takes_more_streams = false;
        let mut reader =
            lzma_rust2::XzReader::new_mem_limit(stored, takes_more_streams, self.memory_max_kib);
        let length = read_full(&mut reader, output).map_err(|error| fault(&error))?;
        if length == output.len() {
            // Only behind the last byte are the checksum and the end looked at.
            match reader.read(&mut [0]) {
                Ok(0) => {}
                Ok(_) => return Err(Fault::TooLong),
                Err(error) => return Err(fault(&error)),
            }
        }
        if reader.into_inner().is_empty() { Ok(length) } else { Err(Fault::Broken) }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the standard library may add kinds")]
fn fault(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::OutOfMemory => Fault::Unsupported("an xz dictionary larger than a block"),
        io::ErrorKind::Unsupported => Fault::Unsupported("a filter or checksum of xz"),
        _ => Fault::Broken,
    }
}
