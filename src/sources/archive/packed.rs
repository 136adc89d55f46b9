//! Archives that are packed, and what a compressor leaves behind its data.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::input::Input;

/// Memory for unpacking xz in KiB: a dictionary of 64 MiB, as of `xz -9`, and a little.
const XZ_MEMORY_MAX_KIB: u32 = (64 << 10) + 256;
/// Largest window of zstd as a power of two: 128 MiB, as zstd(1) takes it without an option.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Unpacks an archive. An [`io::ErrorKind::OutOfMemory`] is a dictionary or window over the
/// limits; the other errors are those of [`Input`].
pub(super) enum Packed {
    Gzip(Gzip),
    Xz(Xz),
    Zstd(Zstd),
}

impl Packed {
    /// Tells from what the buffer of `file` holds already how to unpack it; gives the file
    /// back where it is not packed.
    pub(super) fn open(file: BufReader<File>) -> Result<Self, BufReader<File>> {
        let start = file.buffer();
        // RFC 1952, 2.3.1: ID1 and ID2.
        if start.starts_with(b"\x1f\x8b") {
            return Ok(Self::Gzip(Gzip(Box::new(GzDecoder::new(Input::new(file))))));
        }
        // The .xz File Format, 2.1.1.1.
        if start.starts_with(b"\xfd7zXZ\0") {
            return Ok(Self::Xz(Xz(Some(xz_stream(Input::new(file))))));
        }
        // RFC 8878, 3.1.1 and 3.1.2: pzstd writes a skippable frame first.
        match start {
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Ok(Self::Zstd(Zstd::new(Input::new(file))))
            }
            _ => Err(file),
        }
    }

    /// The compressor's name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::Xz(_) => "xz",
            Self::Zstd(_) => "zstd",
        }
    }

    /// The program that unpacks it.
    pub(super) fn program(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gunzip",
            Self::Xz(_) => "unxz",
            Self::Zstd(_) => "unzstd",
        }
    }
}

impl Read for Packed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(gzip) => gzip.read(into),
            Self::Xz(xz) => xz.read(into),
            Self::Zstd(zstd) => zstd.read(into),
        }
    }
}

/// Members of gzip (RFC 1952, 2.2), one behind the other, and then perhaps zeros.
pub(super) struct Gzip(Box<GzDecoder<Input>>);

impl Read for Gzip {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = self.0.read(into)?;
            if got > 0 || into.is_empty() {
                self.0.get_mut().credit(got);
                return Ok(got);
            }
            match self.0.get_mut().fill_buf()?.first() {
                None => return Ok(0),
                Some(0) => {
                    self.0.get_mut().pass_zeros()?;
                    return self.0.get_mut().end();
                }
                Some(_) => {
                    let input = std::mem::take(self.0.get_mut());
                    self.0.reset(input);
                }
            }
        }
    }
}

/// Streams of xz, one behind the other, each perhaps followed by zeros, four at a time
/// (The .xz File Format, 2.2). None at the end.
pub(super) struct Xz(Option<Box<XzReader<Input>>>);

/// One stream and not the next one, which the library would look for byte by byte.
fn xz_stream(input: Input) -> Box<XzReader<Input>> {
    Box::new(XzReader::new_mem_limit(input, false, XZ_MEMORY_MAX_KIB))
}

impl Read for Xz {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(stream) = &mut self.0 {
            let got = stream.read(into)?;
            if got > 0 || into.is_empty() {
                stream.inner_mut().credit(got);
                return Ok(got);
            }
            if stream.inner_mut().pass_zeros()? % 4 != 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let next = self.0.take().map(|stream| stream.into_inner());
            if let Some(mut input) = next
                && !input.fill_buf()?.is_empty()
            {
                self.0 = Some(xz_stream(input));
            }
        }
        Ok(0)
    }
}

/// Frames of zstd (RFC 8878, 3.1), one behind the other, and then perhaps zeros.
pub(super) struct Zstd {
    input: Input,
    context: DCtx<'static>,
    /// Whether the last frame is not at its end yet.
    is_inside: bool,
}

impl Zstd {
    fn new(input: Input) -> Self {
        let mut context = DCtx::create();
        // If that failed, the library's own limit of the same size would hold.
        let _ = context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX));
        Self { input, context, is_inside: true }
    }
}

impl Read for Zstd {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut output = OutBuffer::around(into);
        while output.pos() == 0 && output.capacity() > 0 {
            let packed = self.input.fill_buf()?;
            let is_end = packed.is_empty();
            if !self.is_inside && (is_end || packed.first() == Some(&0)) {
                self.input.pass_zeros()?;
                return self.input.end();
            }
            let mut input = InBuffer::around(packed);
            let left = self.context.decompress_stream(&mut output, &mut input);
            self.is_inside = left.map_err(zstd_error)? > 0;
            let passed = input.pos();
            self.input.consume(passed);
            if is_end && self.is_inside && output.pos() == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.input.credit(output.pos());
        Ok(output.pos())
    }
}

fn zstd_error(code: zstd_safe::ErrorCode) -> io::Error {
    let too_large = ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge;
    let is_too_large = zstd_safe::is_error_kind(code, too_large);
    let kind = if is_too_large { io::ErrorKind::OutOfMemory } else { io::ErrorKind::InvalidData };
    kind.into()
}
