//! Archives that are packed, and what a compressor leaves behind its data.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// Most bytes of zeros behind packed data: tapes and images of firmware fill their
/// last block with them.
pub(super) const PADDING_MAX_BYTES: u64 = 256 << 20;

/// A file that is read on from where a decoder stopped.
pub(super) type Input = BufReader<File>;

/// Unpacks an archive.
pub(super) enum Packed {
    Gzip(Gzip),
}

impl Packed {
    /// What unpacks `file`, told by what its buffer holds already; the file itself where
    /// it is not packed.
    pub(super) fn open(file: Input) -> Result<Self, Input> {
        let start = file.buffer();
        // RFC 1952, 2.3.1: ID1 and ID2.
        if start.starts_with(b"\x1f\x8b") {
            return Ok(Self::Gzip(Gzip(GzDecoder::new(Box::new(file)))));
        }
        Err(file)
    }

    /// The compressor's name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
        }
    }

    /// The program that unpacks it.
    pub(super) fn program(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gunzip",
        }
    }
}

impl Read for Packed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(gzip) => gzip.read(into),
        }
    }
}

/// Members of gzip (RFC 1952, 2.2), one behind the other, and then perhaps zeros.
pub(super) struct Gzip(GzDecoder<Box<dyn BufRead>>);

impl Read for Gzip {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = self.0.read(into)?;
            if got > 0 || into.is_empty() {
                return Ok(got);
            }
            match self.0.get_mut().fill_buf()?.first() {
                None => return Ok(0),
                Some(0) => {
                    pass_zeros(self.0.get_mut())?;
                    return end(self.0.get_mut());
                }
                Some(_) => {
                    let input = std::mem::replace(self.0.get_mut(), Box::new(io::empty()));
                    self.0.reset(input);
                }
            }
        }
    }
}

/// Passes over zeros; returns how many there were. More than anybody writes are
/// [`io::ErrorKind::FileTooLarge`].
fn pass_zeros(input: &mut dyn BufRead) -> io::Result<u64> {
    // Whole slices are compared: one byte after the other would take seconds.
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut passed = 0;
    loop {
        let buffer = input.fill_buf()?;
        let slice = buffer.get(..buffer.len().min(ZEROS.len())).unwrap_or_default();
        let zeros = if ZEROS.starts_with(slice) {
            slice.len()
        } else {
            slice.iter().position(|byte| *byte != 0).unwrap_or(0)
        };
        if zeros == 0 {
            return Ok(passed);
        }
        input.consume(zeros);
        passed += zeros as u64;
        if passed > PADDING_MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// The end of what is read; anything that follows is [`io::ErrorKind::InvalidData`].
fn end(input: &mut dyn BufRead) -> io::Result<usize> {
    if input.fill_buf()?.is_empty() { Ok(0) } else { Err(io::ErrorKind::InvalidData.into()) }
}
