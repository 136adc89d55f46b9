//! Unpacks the packed parts of an initrd, in the forms that programs for initrds write. It reads
//! one part, and not a byte behind it.

use std::io::{self, BufRead, Read};

use credimg_formats::content::read_full;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use crate::host::signals;

/// Memory for unpacking xz in KiB: a dictionary of 64 MiB, as of `xz -9`, and a little.
const XZ_MEMORY_MAX_KIB: u32 = (64 << 10) + 256;
/// Largest window of zstd as a power of two: 128 MiB, as zstd(1) takes it without an option.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// The magic number of lz4's legacy form (`lz4 -l`), the only form of lz4 that Linux unpacks.
const LZ4_MARK: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// The size of a block of that form, unpacked, and the most that it may have packed
/// (`LZ4_compressBound`).
const LZ4_BLOCK_BYTES: usize = 8 << 20;
const LZ4_PACKED_MAX_BYTES: usize = LZ4_BLOCK_BYTES + LZ4_BLOCK_BYTES / 255 + 16;

/// Packed data that Linux unpacks and this program does not, by its mark, and the reason that is told.
const UNREAD: [(&[u8], &str); 3] = [
    (b"BZh", "it is packed by bzip2"),
    (b"\x5d\0\0", "it is packed by lzma"),
    (b"\x89LZO", "it is packed by lzo"),
];

/// A reader that unpacks the data in `from`, which begins with `mark`; else the reason why there is
/// none.
pub(super) fn unpacker<'r>(
    mark: &[u8],
    from: impl BufRead + 'r,
) -> Result<Box<dyn Read + 'r>, Option<&'static str>> {
    // RFC 1952, 2.3.1: ID1 and ID2.
    if mark.starts_with(b"\x1f\x8b") {
        return Ok(Box::new(GzDecoder::new(from)));
    }
    // The .xz File Format, 2.1.1.1.
    if mark.starts_with(b"\xfd7zXZ\0") {
        return Ok(Box::new(XzReader::new_mem_limit(from, false, XZ_MEMORY_MAX_KIB)));
    }
    // RFC 8878, 3.1.1.
    if mark.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(Box::new(Zstd::new(from)));
    }
    if mark.starts_with(&LZ4_MARK) {
        return Ok(Box::new(Lz4 { from, block: Vec::new(), unpacked: 0, passed: 0 }));
    }
    let unread = UNREAD.iter().find(|(unread, _)| mark.starts_with(unread));
    Err(unread.map(|(_, reason)| *reason))
}

/// One frame of zstd.
struct Zstd<R> {
    from: R,
    context: DCtx<'static>,
    is_inside: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(from: R) -> Self {
        let mut context = DCtx::create();
        // If this fails, the library's own limit of the same size holds.
        let _ = context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX));
        Self { from, context, is_inside: true }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut output = OutBuffer::around(into);
        while self.is_inside && output.pos() == 0 && output.capacity() > 0 {
            let packed = self.from.fill_buf()?;
            let is_end = packed.is_empty();
            let mut input = InBuffer::around(packed);
            let left = self.context.decompress_stream(&mut output, &mut input);
            self.is_inside = left.map_err(|_| io::ErrorKind::InvalidData)? > 0;
            let passed = input.pos();
            self.from.consume(passed);
            if is_end && self.is_inside && output.pos() == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(output.pos())
    }
}

/// Blocks of lz4's legacy form. They end where the data ends, or at a length of zero.
struct Lz4<R> {
    from: R,
    /// Room for a block, allocated once: there may be many blocks that hold next to nothing.
    block: Vec<u8>,
    /// How many bytes of it the current block has.
    unpacked: usize,
    /// How many bytes of the block were passed on.
    passed: usize,
}

impl<R: BufRead> Lz4<R> {
    /// Unpacks the next block; false where there is none.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut length = [0; 4];
        loop {
            signals::check()?;
            let got = read_full(&mut self.from, &mut length)?;
            if got < length.len() || length == [0; 4] {
                return Ok(false);
            }
            if length != LZ4_MARK {
                break;
            }
        }
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > LZ4_PACKED_MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut packed = Vec::new();
        let got = self.from.by_ref().take(length as u64).read_to_end(&mut packed)?;
        if got < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.block.resize(LZ4_BLOCK_BYTES, 0);
        let unpacked = lz4_flex::block::decompress_into(&packed, &mut self.block);
        self.unpacked = unpacked.map_err(|_| io::ErrorKind::InvalidData)?;
        self.passed = 0;
        Ok(true)
    }
}

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.passed == self.unpacked {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let mut rest = self.block.get(self.passed..self.unpacked).unwrap_or_default();
        let got = rest.read(into)?;
        self.passed += got;
        Ok(got)
    }
}
