//! xz, with the filters for machine code.

use std::io::{self, Read};

use super::{Fault, Unpacker};
use crate::content::read_full;

/// What the decoder takes besides its dictionary, in KiB, and a little more.
const OVERHEAD_KIB: u32 = 128;

pub(super) struct Xz {
    memory_max_kib: u32,
}

impl Xz {
    pub(super) fn new(block_bytes: u32) -> Self {
        // Linux has no larger dictionary than a block either.
        Self { memory_max_kib: block_bytes / 1024 + OVERHEAD_KIB }
    }
}

impl Unpacker for Xz {
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

fn fault(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::OutOfMemory => Fault::Unsupported("an xz dictionary larger than a block"),
        io::ErrorKind::Unsupported => Fault::Unsupported("a filter or checksum of xz"),
        _ => Fault::Broken,
    }
}
