//! What an image says of its compressor: its number and its options.

use crate::compress::{Compression, Compressor};

impl Compressor {
    /// The compressor of the superblock's number: `SQUASHFS_..._COMPRESSION` of Linux'
    /// `squashfs_fs.h`.
    pub(super) fn of(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Gzip,
            2 => Self::Lzma,
            3 => Self::Lzo,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            _ => return None,
        })
    }

    /// Length of its options behind the superblock; none where it has no options.
    pub(super) fn options_bytes(self) -> Option<usize> {
        match self {
            Self::Gzip | Self::Lzo | Self::Xz | Self::Lz4 => Some(8),
            Self::Zstd => Some(4),
            Self::Lzma | Self::Deflate => None,
        }
    }
}

impl Compression {
    /// The superblock's number; none for a compressor that SquashFS has not. An uncompressed
    /// image, too, names a compressor that the kernel must have: gzip, which every kernel with
    /// SquashFS has.
    pub(super) fn number(self) -> Option<u16> {
        match self.compressor() {
            None | Some(Compressor::Gzip) => Some(1),
            Some(Compressor::Lzma) => Some(2),
            Some(Compressor::Lzo) => Some(3),
            Some(Compressor::Xz) => Some(4),
            Some(Compressor::Lz4) => Some(5),
            Some(Compressor::Zstd) => Some(6),
            Some(Compressor::Deflate) => None,
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
        let level = self.own_level().map(|level| u32::from(level).to_le_bytes());
        match (self.compressor(), level) {
            (Some(Compressor::Lz4), _) => {
                [LZ4_VERSION.to_le_bytes(), LZ4_FLAGS.to_le_bytes()].concat()
            }
            (Some(Compressor::Gzip), Some(level)) => {
                let [window, strategies] =
                    [GZIP_WINDOW_BITS, GZIP_STRATEGIES].map(u16::to_le_bytes);
                [&level[..], &window, &strategies].concat()
            }
            (Some(Compressor::Zstd), Some(level)) => level.to_vec(),
            (Some(Compressor::Gzip | Compressor::Zstd), None)
            | (
                None
                | Some(Compressor::Xz | Compressor::Deflate | Compressor::Lzma | Compressor::Lzo),
                _,
            ) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_compressor_is_told_by_its_number() {
        for (number, name) in [(1, "gzip"), (4, "xz"), (5, "lz4"), (6, "zstd")] {
            assert_eq!(Compressor::of(number).unwrap().name(), name);
            let compression: Compression = name.parse().unwrap();
            assert_eq!(compression.number(), Some(number), "{name}");
        }
        for (number, name) in [(2, "lzma"), (3, "lzo")] {
            assert_eq!(Compressor::of(number).unwrap().name(), name);
        }
        assert_eq!(Compression::NONE.number(), Some(1));
        assert_eq!([0, 7].map(Compressor::of), [None; 2]);
    }
}
