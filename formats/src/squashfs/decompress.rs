//! The compressors' other side: each unpacks the blocks of an image behind one small trait.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

use crate::error::{Result, unsupported};

/// What the superblock names: `SQUASHFS_..._COMPRESSION` of Linux' `squashfs_fs.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compressor {
    Gzip,
    Lzma,
    Lzo,
    Xz,
    Lz4,
    Zstd,
}

/// Why a block does not unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is none of this compressor's, is cut off, or goes on behind its end.
    Broken,
    /// It is longer than there is room.
    TooLong,
    /// It wants something that is not known here: what.
    Unsupported(&'static str),
}

/// One compressor's other side with its state, which serves many blocks.
pub(super) trait Unpacker: Send {
    /// Unpacks all of `stored` into the start of `output` and returns how much it is.
    fn unpack(&mut self, stored: &[u8], output: &mut [u8]) -> Result<usize, Fault>;
}

impl Compressor {
    /// The compressor of the superblock's number.
    pub(super) fn of(id: u16) -> Option<Self> {
        Some(match id {
            1 => Self::Gzip,
            2 => Self::Lzma,
            3 => Self::Lzo,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            _ => return None,
        })
    }

    /// Its name in the reference tools.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Lzma => "lzma",
            Self::Lzo => "lzo",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Length of its options behind the superblock; none where it has no options.
    pub(super) fn options_bytes(self) -> Option<usize> {
        match self {
            Self::Gzip | Self::Lzo | Self::Xz | Self::Lz4 => Some(8),
            Self::Zstd => Some(4),
            Self::Lzma => None,
        }
    }

    /// What unpacks blocks of at most `block_bytes`; an error where this
    /// program has none.
    pub(super) fn unpacker(self, block_bytes: u32) -> Result<Box<dyn Unpacker>> {
        // Only one of them is held to it.
        let _ = block_bytes;
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => Ok(Box::new(gzip::Gzip::new())),
            #[cfg(not(feature = "gzip"))]
            Self::Gzip => self.left_out(),
            #[cfg(feature = "lz4")]
            Self::Lz4 => Ok(Box::new(lz4::Lz4)),
            #[cfg(not(feature = "lz4"))]
            Self::Lz4 => self.left_out(),
            #[cfg(feature = "xz")]
            Self::Xz => Ok(Box::new(xz::Xz::new(block_bytes))),
            #[cfg(not(feature = "xz"))]
            Self::Xz => self.left_out(),
            #[cfg(feature = "zstd")]
            Self::Zstd => zstd::Zstd::create(),
            #[cfg(not(feature = "zstd"))]
            Self::Zstd => self.left_out(),
            Self::Lzma | Self::Lzo => {
                Err(unsupported(format!("compression {} is not read", self.name())))
            }
        }
    }

    /// The error for one whose feature of the crate is off.
    #[cfg(not(all(feature = "gzip", feature = "lz4", feature = "xz", feature = "zstd")))]
    fn left_out(self) -> Result<Box<dyn Unpacker>> {
        Err(unsupported(format!("compression {} is left out of this program", self.name())))
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a panic is how a test fails"
    )]

    use super::*;
    use crate::error::ErrorKind;
    use crate::squashfs::compress::Packer;

    const COMPRESSORS: [(u16, &str); 4] = [(1, "gzip"), (4, "xz"), (5, "lz4"), (6, "zstd")];

    fn packed(name: &str, block: &[u8]) -> Vec<u8> {
        let mut packer = Packer::new(name.parse().unwrap(), 8192);
        packer.pack(block).bytes.to_vec()
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        for (id, name) in COMPRESSORS {
            let compressor = Compressor::of(id).unwrap();
            assert_eq!(compressor.name(), name);
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
        for (id, name) in COMPRESSORS {
            let mut unpacker = Compressor::of(id).unwrap().unpacker(8192).unwrap();
            let stored = packed(name, &[7; 8192]);
            for room in [0, 1, 4096, 8191] {
                let outcome = unpacker.unpack(&stored, &mut vec![0; room]);
                assert_eq!(outcome, Err(Fault::TooLong), "{name} {room}");
            }
        }
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_broken() {
        for (id, name) in COMPRESSORS {
            let mut unpacker = Compressor::of(id).unwrap().unpacker(8192).unwrap();
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
        for (id, name) in [(2, "lzma"), (3, "lzo")] {
            let error = Compressor::of(id).unwrap().unpacker(8192).err().unwrap();
            let message = format!("compression {name} is not read");
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unsupported, message));
        }
        assert_eq!(Compressor::of(0), None);
        assert_eq!(Compressor::of(7), None);
    }
}
