//! A sink that holds nothing. The fuzz targets take it from here.

use std::io;

use credimg_formats::Sink;

/// Counts what it takes. Holes cost nothing, however long they are.
pub(crate) struct Counted(pub(crate) u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Counted {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.0 += length_bytes;
        Ok(())
    }
}
