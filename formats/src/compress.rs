//! The compressors: their names and levels, and each behind two small traits.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
use std::str::FromStr;

use crate::content::Wiped;
use crate::error::{Error, Result, unsupported};

/// What compresses blocks of images. Of some this crate knows only the name: it tells of images
/// that use them, and neither writes nor reads such blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compressor {
    Gzip,
    Lz4,
    Xz,
    Zstd,
    /// Known by name alone.
    Deflate,
    /// Known by name alone.
    Lzma,
    /// Known by name alone.
    Lzo,
}

/// Lowest, default and highest level; the default is that of mksquashfs.
#[derive(Clone, Copy)]
struct Levels {
    lowest: u8,
    default: u8,
    highest: u8,
}

impl Compressor {
    /// Those that images are written with.
    const WRITTEN: [Self; 4] = [Self::Gzip, Self::Lz4, Self::Xz, Self::Zstd];

    /// The name in options, and in the reference tools.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
            Self::Lzma => "lzma",
            Self::Lzo => "lzo",
        }
    }

    /// Whether its feature of this crate is there.
    fn is_compiled(self) -> bool {
        match self {
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Xz => cfg!(feature = "xz"),
            Self::Zstd => cfg!(feature = "zstd"),
            Self::Deflate | Self::Lzma | Self::Lzo => false,
        }
    }

    fn levels(self) -> Option<Levels> {
        let levels = |lowest, default, highest| Some(Levels { lowest, default, highest });
        match self {
            Self::Gzip => levels(1, 9, 9),
            Self::Xz => levels(0, 6, 9),
            Self::Zstd => levels(1, 15, 22),
            Self::Lz4 | Self::Deflate | Self::Lzma | Self::Lzo => None,
        }
    }

    /// What packs blocks of at most `block_bytes`; none where this program has none.
    fn packer(self, level: u8, block_bytes: usize) -> Option<Box<dyn Pack>> {
        // Of a feature that is left out there is no value to come here.
        let _ = (level, block_bytes);
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => Some(Box::new(gzip::Packer::new(level))),
            #[cfg(not(feature = "gzip"))]
            Self::Gzip => None,
            #[cfg(feature = "lz4")]
            Self::Lz4 => Some(Box::new(lz4::Lz4)),
            #[cfg(not(feature = "lz4"))]
            Self::Lz4 => None,
            #[cfg(feature = "xz")]
            Self::Xz => Some(Box::new(xz::Packer::new(level, block_bytes))),
            #[cfg(not(feature = "xz"))]
            Self::Xz => None,
            #[cfg(feature = "zstd")]
            Self::Zstd => Some(Box::new(zstd::Packer::new(level))),
            #[cfg(not(feature = "zstd"))]
            Self::Zstd => None,
            Self::Deflate | Self::Lzma | Self::Lzo => None,
        }
    }

    /// What unpacks blocks of at most `block_bytes`; an error where this
    /// program has none.
    pub(crate) fn unpacker(self, block_bytes: u32) -> Result<Box<dyn Unpack>> {
        // Only one of them is held to it.
        let _ = block_bytes;
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => Ok(Box::new(gzip::Unpacker::new())),
            #[cfg(not(feature = "gzip"))]
            Self::Gzip => Err(self.left_out()),
            #[cfg(feature = "lz4")]
            Self::Lz4 => Ok(Box::new(lz4::Lz4)),
            #[cfg(not(feature = "lz4"))]
            Self::Lz4 => Err(self.left_out()),
            #[cfg(feature = "xz")]
            Self::Xz => Ok(Box::new(xz::Unpacker::new(block_bytes))),
            #[cfg(not(feature = "xz"))]
            Self::Xz => Err(self.left_out()),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::Unpacker::create(),
            #[cfg(not(feature = "zstd"))]
            Self::Zstd => Err(self.left_out()),
            Self::Deflate | Self::Lzma | Self::Lzo => {
                Err(unsupported(format!("compression {} is not read", self.name())))
            }
        }
    }

    /// The error for one whose feature of the crate is off.
    fn left_out(self) -> Error {
        unsupported(format!("compression {} is left out of this program", self.name()))
    }
}

/// How an image is compressed: by what and, where that has levels, at which one.
///
/// Each compressor is a feature of this crate; one that is left out is refused by name.
/// Parsed from `none`, `gzip`, `lz4`, `xz` or `zstd`, with `:LEVEL` behind the
/// name of all but `none` and `lz4`. Without a level it is that of mksquashfs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    /// None where nothing is compressed.
    compressor: Option<Compressor>,
    /// 0 where there are no levels.
    level: u8,
}

impl Compression {
    /// Nothing is compressed: secrets hardly shrink, and compressed lengths tell tales.
    pub const NONE: Self = Self { compressor: None, level: 0 };

    /// Whether anything is compressed.
    pub fn is_none(self) -> bool {
        self.compressor.is_none()
    }

    /// What compresses; none where nothing is compressed.
    pub(crate) fn compressor(self) -> Option<Compressor> {
        self.compressor
    }

    /// The level; none where it is the default, or there are no levels.
    pub(crate) fn own_level(self) -> Option<u8> {
        let levels = self.compressor?.levels()?;
        (self.level != levels.default).then_some(self.level)
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// Never quotes `text`; what is wrong with it is [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
    fn from_str(text: &str) -> Result<Self> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let has_no_levels = || unsupported(format!("compression {name} has no levels"));
        if name == "none" {
            return if level.is_none() { Ok(Self::NONE) } else { Err(has_no_levels()) };
        }
        let compressor = Compressor::WRITTEN.into_iter().find(|known| known.name() == name);
        let compressor = compressor.ok_or_else(|| {
            unsupported("unknown compression: expected none, gzip, lz4, xz or zstd")
        })?;
        if !compressor.is_compiled() {
            return Err(compressor.left_out());
        }
        let level = match (compressor.levels(), level) {
            (None, None) => 0,
            (None, Some(_)) => return Err(has_no_levels()),
            (Some(levels), None) => levels.default,
            (Some(Levels { lowest, highest, .. }), Some(level)) => {
                let level = level.parse().ok().filter(|level| (lowest..=highest).contains(level));
                level.ok_or_else(|| {
                    let range = format!("a number from {lowest} to {highest}");
                    unsupported(format!("the level of {name} is {range}"))
                })?
            }
        };
        Ok(Self { compressor: Some(compressor), level })
    }
}

impl fmt::Display for Compression {
    /// The text that parses to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(compressor) = self.compressor else { return f.write_str("none") };
        f.write_str(compressor.name())?;
        if compressor.levels().is_some() { write!(f, ":{}", self.level) } else { Ok(()) }
    }
}

/// Packs blocks, or passes them as they are where that makes them no smaller.
pub(crate) struct Packer {
    compressor: Option<Box<dyn Pack>>,
    output: Wiped,
}

/// A block as it is stored.
pub(crate) struct Packed<'p> {
    pub(crate) bytes: &'p [u8],
    pub(crate) is_raw: bool,
}

impl Packer {
    /// For blocks of at most `block_bytes`.
    pub(crate) fn new(compression: Compression, block_bytes: usize) -> Self {
        let Compression { compressor, level } = compression;
        let compressor = compressor.and_then(|it| it.packer(level, block_bytes));
        Self { compressor, output: Wiped::default() }
    }

    /// Whether it passes every block as it is.
    pub(crate) fn is_idle(&self) -> bool {
        self.compressor.is_none()
    }

    pub(crate) fn pack<'p>(&'p mut self, block: &'p [u8]) -> Packed<'p> {
        if let Some(compressor) = &mut self.compressor {
            self.output.clear();
            if compressor.pack(block, &mut self.output) && self.output.len() < block.len() {
                return Packed { bytes: &self.output, is_raw: false };
            }
        }
        Packed { bytes: block, is_raw: true }
    }
}

/// What one compressor packs with, which serves many blocks.
trait Pack {
    /// Packs `block` as one unit into `output`, which is empty. Returns
    /// false where that fails or could not make it smaller: the block is then
    /// stored as it is, which is always right.
    fn pack(&mut self, block: &[u8], output: &mut Vec<u8>) -> bool;
}

/// What one compressor unpacks with, which serves many blocks.
pub(crate) trait Unpack: Send {
    /// Unpacks all of `stored` into the start of `output` and returns how much it is.
    fn unpack(&mut self, stored: &[u8], output: &mut [u8]) -> Result<usize, Fault>;
}

/// Why a block does not unpack.
#[cfg_attr(
    not(any(feature = "gzip", feature = "lz4", feature = "xz", feature = "zstd")),
    allow(dead_code, reason = "what compressors that are left out find wrong")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes are not this compressor's, are cut off, or go on behind the block's end.
    Broken,
    /// Unpacked, it is longer than the room for it.
    TooLong,
    /// Unpacking it needs this, which is not known here.
    Unsupported(&'static str),
}

#[cfg(all(test, feature = "gzip", feature = "lz4", feature = "xz", feature = "zstd"))]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a panic is how a test fails"
    )]

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn parses_what_it_shows() {
        for text in ["none", "gzip:1", "gzip:9", "lz4", "xz:0", "xz:9", "zstd:1", "zstd:22"] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        for (text, shown) in [("gzip", "gzip:9"), ("xz", "xz:6"), ("zstd", "zstd:15")] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_other_names_and_levels() {
        let refusals = [
            ("", "unknown compression: expected none, gzip, lz4, xz or zstd"),
            ("lzma", "unknown compression: expected none, gzip, lz4, xz or zstd"),
            ("none:1", "compression none has no levels"),
            ("lz4:9", "compression lz4 has no levels"),
            ("gzip:0", "the level of gzip is a number from 1 to 9"),
            ("gzip:", "the level of gzip is a number from 1 to 9"),
            ("xz:10", "the level of xz is a number from 0 to 9"),
            ("zstd:23", "the level of zstd is a number from 1 to 22"),
            ("zstd:-1", "the level of zstd is a number from 1 to 22"),
        ];
        for (text, message) in refusals {
            assert_eq!(text.parse::<Compression>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn keeps_what_does_not_shrink() {
        for name in ["none", "gzip", "lz4", "xz", "zstd"] {
            let mut packer = Packer::new(name.parse().unwrap(), 8192);
            let odd: Vec<u8> = (0..=255).collect();
            for block in [&odd[..], b"a", b"ab"] {
                let stored = packer.pack(block);
                assert!(stored.is_raw, "{name}");
                assert_eq!(stored.bytes, block, "{name}");
            }
            let stored = packer.pack(&[7; 8192]);
            assert_eq!(stored.is_raw, name == "none", "{name}");
            assert_eq!(stored.bytes.len() == 8192, name == "none", "{name}");
        }
    }

    fn packed(name: &str, block: &[u8]) -> Vec<u8> {
        let mut packer = Packer::new(name.parse().unwrap(), 8192);
        packer.pack(block).bytes.to_vec()
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for compressor in Compressor::WRITTEN {
            let name = compressor.name();
            let mut unpacker = compressor.unpacker(8192).unwrap();
            for length in [100, 5000, 8191, 8192] {
                let block: Vec<u8> =
                    (0..length).map(|at: u32| (at / 50).to_le_bytes()[0]).collect();
                let stored = packed(name, &block);
                let mut output = vec![1; 8192];
                assert_eq!(unpacker.unpack(&stored, &mut output), Ok(block.len()), "{name}");
                assert!(output[..block.len()] == block, "{name}");
                let mut exact = vec![1; block.len()];
                assert_eq!(unpacker.unpack(&stored, &mut exact), Ok(block.len()), "{name}");
                assert!(exact == block, "{name}");
            }
        }
    }

    #[test]
    fn no_more_comes_out_than_there_is_room() {
        for compressor in Compressor::WRITTEN {
            let name = compressor.name();
            let mut unpacker = compressor.unpacker(8192).unwrap();
            let stored = packed(name, &[7; 8192]);
            for room in [0, 1, 4096, 8191] {
                let outcome = unpacker.unpack(&stored, &mut vec![0; room]);
                assert_eq!(outcome, Err(Fault::TooLong), "{name} {room}");
            }
        }
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_broken() {
        for compressor in Compressor::WRITTEN {
            let name = compressor.name();
            let mut unpacker = compressor.unpacker(8192).unwrap();
            let block: Vec<u8> = (0..8192_u32).map(|at| (at / 50).to_le_bytes()[0]).collect();
            let stored = packed(name, &block);
            let mut output = vec![0; 8192];
            for length in 0..stored.len() {
                let outcome = unpacker.unpack(&stored[..length], &mut output);
                // The end of a block of lz4 is nowhere marked: only its length tells.
                let is_short = name == "lz4" && outcome.is_ok_and(|got| got < 8192);
                assert!(outcome == Err(Fault::Broken) || is_short, "{name} {length}: {outcome:?}");
            }
            let longer = [&stored[..], &[0]].concat();
            assert!(unpacker.unpack(&longer, &mut output).is_err(), "{name}");
        }
    }

    #[test]
    fn the_others_are_named() {
        for compressor in [Compressor::Deflate, Compressor::Lzma, Compressor::Lzo] {
            let error = compressor.unpacker(8192).err().unwrap();
            let message = format!("compression {} is not read", compressor.name());
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unsupported, message));
        }
    }
}
