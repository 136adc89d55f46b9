//! gzip, which is zlib's format here.

use flate2::{FlushDecompress, Status};

use super::{Fault, Unpacker};

pub(super) struct Gzip(flate2::Decompress);

impl Gzip {
    pub(super) fn new() -> Self {
        let has_zlib_header = true;
        Self(flate2::Decompress::new(has_zlib_header))
    }
}

impl Unpacker for Gzip {
    fn unpack(&mut self, stored: &[u8], output: &mut [u8]) -> Result<usize, Fault> {
        let has_zlib_header = true;
        self.0.reset(has_zlib_header);
        let outcome = self.0.decompress(stored, output, FlushDecompress::Finish);
        let length = usize::try_from(self.0.total_out()).unwrap_or(usize::MAX);
        match outcome {
            Ok(Status::StreamEnd) if self.0.total_in() == stored.len() as u64 => Ok(length),
            Ok(Status::Ok | Status::BufError)
                if length == output.len() && self.0.total_in() < stored.len() as u64 =>
            {
                Err(Fault::TooLong)
            }
            Ok(Status::StreamEnd | Status::Ok | Status::BufError) | Err(_) => Err(Fault::Broken),
        }
    }
}
