//! The compressors, each behind one small trait, and what the image says of them.

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

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// How an image is compressed: an algorithm and, where it has one, its level.
///
/// Each algorithm is a feature of this crate; one that is left out is refused by name.
/// Parsed from `none`, `gzip`, `lz4`, `xz` or `zstd`, with `:LEVEL` behind the
/// name of all but `none` and `lz4`. Without a level it is that of mksquashfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    algorithm: Algorithm,
    level: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    None,
    Gzip,
    Lz4,
    Xz,
    Zstd,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Lz4, Self::Xz, Self::Zstd];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// Whether the feature is there.
    fn is_compiled(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Xz => cfg!(feature = "xz"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// Lowest, default and highest level; all 0 where there are none.
    fn levels(self) -> (u8, u8, u8) {
        match self {
            Self::None | Self::Lz4 => (0, 0, 0),
            Self::Gzip => (1, 9, 9),
            Self::Xz => (0, 6, 9),
            Self::Zstd => (1, 15, 22),
        }
    }
}

impl Compression {
    /// Nothing is compressed: secrets hardly shrink, and compressed lengths tell tales.
    pub const NONE: Self = Self { algorithm: Algorithm::None, level: 0 };

    /// Whether anything is compressed.
    pub fn is_none(self) -> bool {
        self.algorithm == Algorithm::None
    }

    /// The superblock's number. An uncompressed image, too, names a compressor
    /// that the kernel must have: gzip, which every kernel with SquashFS has.
    pub(super) fn id(self) -> u16 {
        match self.algorithm {
            Algorithm::None | Algorithm::Gzip => 1,
            Algorithm::Xz => 4,
            Algorithm::Lz4 => 5,
            Algorithm::Zstd => 6,
        }
    }

    /// The compressor options behind the superblock, empty for none. Like
    /// mksquashfs: always for lz4, whose version Linux asks for; for the others
    /// where the level is not the default. The xz dictionary is as large as a
    /// block, which is the default.
    pub(super) fn options_record(self) -> Vec<u8> {
        const LZ4_VERSION: u32 = 1;
        const LZ4_FLAGS: u32 = 0;
        const GZIP_WINDOW_BITS: u16 = 15;
        const GZIP_STRATEGIES: u16 = 0;
        let level = u32::from(self.level).to_le_bytes();
        let is_default = self.level == self.algorithm.levels().1;
        match self.algorithm {
            Algorithm::Lz4 => [LZ4_VERSION.to_le_bytes(), LZ4_FLAGS.to_le_bytes()].concat(),
            Algorithm::Gzip if !is_default => {
                let [window, strategies] =
                    [GZIP_WINDOW_BITS, GZIP_STRATEGIES].map(u16::to_le_bytes);
                [&level[..], &window, &strategies].concat()
            }
            Algorithm::Zstd if !is_default => level.to_vec(),
            _ => Vec::new(),
        }
    }

    /// A compressor for blocks of at most `block_bytes`; none where nothing is compressed.
    fn compressor(self, block_bytes: usize) -> Option<Box<dyn Compressor>> {
        // Of a feature that is left out there is no value to come here.
        let _ = block_bytes;
        match self.algorithm {
            Algorithm::None => None,
            #[cfg(feature = "gzip")]
            Algorithm::Gzip => Some(Box::new(gzip::Gzip::new(self.level))),
            #[cfg(feature = "lz4")]
            Algorithm::Lz4 => Some(Box::new(lz4::Lz4)),
            #[cfg(feature = "xz")]
            Algorithm::Xz => Some(Box::new(xz::Xz::new(self.level, block_bytes))),
            #[cfg(feature = "zstd")]
            Algorithm::Zstd => Some(Box::new(zstd::Zstd::new(self.level))),
            #[cfg(not(all(feature = "gzip", feature = "lz4", feature = "xz", feature = "zstd")))]
            _ => None,
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::NONE
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// Never quotes `text`; what is wrong with it is [`ErrorKind::Unsupported`].
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |message: String| Error::new(ErrorKind::Unsupported, message);
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let algorithm = Algorithm::ALL.into_iter().find(|known| known.name() == name);
        let algorithm = algorithm.ok_or_else(|| {
            refuse("unknown compression: expected none, gzip, lz4, xz or zstd".to_owned())
        })?;
        if !algorithm.is_compiled() {
            let message = format!("compression {name} is left out of this program");
            return Err(refuse(message));
        }
        let (lowest, default, highest) = algorithm.levels();
        let level = match level {
            None => default,
            Some(_) if highest == 0 => {
                return Err(refuse(format!("compression {name} has no levels")));
            }
            Some(level) => {
                let level = level.parse().ok().filter(|level| (lowest..=highest).contains(level));
                level.ok_or_else(|| {
                    refuse(format!("the level of {name} is a number from {lowest} to {highest}"))
                })?
            }
        };
        Ok(Self { algorithm, level })
    }
}

impl fmt::Display for Compression {
    /// The text that parses to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm.name())?;
        if self.algorithm.levels().2 > 0 { write!(f, ":{}", self.level) } else { Ok(()) }
    }
}

/// Compresses blocks, or passes them as they are where that makes them no smaller.
pub(super) struct Packer {
    compressor: Option<Box<dyn Compressor>>,
    output: Zeroizing<Vec<u8>>,
}

/// A block as it is stored.
pub(super) struct Packed<'p> {
    pub(super) bytes: &'p [u8],
    pub(super) is_raw: bool,
}

impl Packer {
    /// For blocks of at most `block_bytes`.
    pub(super) fn new(compression: Compression, block_bytes: usize) -> Self {
        Self { compressor: compression.compressor(block_bytes), output: Zeroizing::default() }
    }

    /// Whether it passes every block as it is.
    pub(super) fn is_idle(&self) -> bool {
        self.compressor.is_none()
    }

    pub(super) fn pack<'p>(&'p mut self, block: &'p [u8]) -> Packed<'p> {
        if let Some(compressor) = &mut self.compressor {
            self.output.clear();
            if compressor.compress(block, &mut self.output) && self.output.len() < block.len() {
                return Packed { bytes: &self.output, is_raw: false };
            }
        }
        Packed { bytes: block, is_raw: true }
    }
}

/// One algorithm with its state, which serves many blocks.
trait Compressor {
    /// Compresses `block` as one unit into `output`, which is empty. Returns
    /// false where that fails or could not make it smaller: the block is then
    /// stored as it is, which is always right.
    fn compress(&mut self, block: &[u8], output: &mut Vec<u8>) -> bool;
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

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
}
