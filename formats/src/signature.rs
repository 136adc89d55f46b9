//! Signatures of other formats. libblkid, which udev and mount(8) ask, looks at fixed places
//! for the magic of every format that it knows. What an image stores may lie there and look
//! like one: then the guest takes the disk for that, or for none, and has no link by label.
//!
//! The formats' own records are laid out so that they never do; of content nothing is known
//! before it is written. So a [`Watch`] looks at an image's start while it passes.

use std::fs::File;
use std::io::{self, Write};

use crate::content::{Sink, Wiped, copy_buffered};

/// How much of an image is looked at: the last place is that of UFS in a volume with a boot
/// area of 256 KiB.
const START_BYTES: usize = (256 << 10) + 2048;

/// A signature that an image seems to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The format that it belongs to, as blkid calls it.
    pub format: &'static str,
    /// Where it lies in the image.
    pub offset_bytes: usize,
    /// The magic.
    pub magic: &'static [u8],
}

/// Every signature that is looked for.
pub fn known() -> impl Iterator<Item = Signature> {
    rows().map(|(signature, _)| signature)
}

fn rows() -> impl Iterator<Item = (Signature, fn(&[u8]) -> bool)> {
    KNOWN.iter().flat_map(|Row { format, offsets, magics, is_plausible }| {
        let of_place = move |offset_bytes: &usize| {
            let offset_bytes = *offset_bytes;
            magics.iter().map(move |magic| Signature { format, offset_bytes, magic })
        };
        offsets.iter().flat_map(of_place).map(|signature| (signature, *is_plausible))
    })
}

/// Passes an image on and keeps its start.
pub struct Watch<'s, S> {
    sink: &'s mut S,
    start: Wiped,
    passed_bytes: u64,
}

impl<'s, S: Sink> Watch<'s, S> {
    /// Watches what goes to `sink`, from the image's first byte on.
    pub fn new(sink: &'s mut S) -> Self {
        Self::of_image(sink, 0)
    }

    /// Watches an image of about so many bytes, for which there is room at once.
    pub fn of_image(sink: &'s mut S, size_bytes: u64) -> Self {
        let room = usize::try_from(size_bytes).unwrap_or(usize::MAX).min(START_BYTES);
        Self { sink, start: Wiped::with_capacity(room), passed_bytes: 0 }
    }

    /// What the image, which is of the format that blkid calls `own`, looks like besides;
    /// the first signature of each format.
    pub fn found(&self, own: &str) -> Vec<Signature> {
        let mut found: Vec<Signature> = Vec::new();
        for Row { format, offsets, magics, is_plausible } in KNOWN {
            // There are hundreds of places, and seldom anything at one of them.
            let first = offsets.iter().find_map(|offset_bytes| {
                let there = self.start.get(*offset_bytes..)?;
                let magic = magics.iter().find(|magic| there.starts_with(magic))?;
                Some(Signature { format, offset_bytes: *offset_bytes, magic })
            });
            let is_told = *format == own || found.iter().any(|other| other.format == *format);
            found.extend(first.filter(|_| !is_told && is_plausible(&self.start)));
        }
        found
    }

    fn room(&self) -> usize {
        START_BYTES - self.start.len()
    }

    /// Makes room for more bytes of the start. Most images are small; what is outgrown is
    /// wiped.
    fn reserve(&mut self, more_bytes: usize) {
        let wanted = self.start.len() + more_bytes;
        if wanted > self.start.capacity() {
            let capacity = wanted.next_power_of_two().min(START_BYTES);
            let mut larger = Wiped::with_capacity(capacity);
            larger.extend_from_slice(&self.start);
            self.start = larger;
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.passed_bytes += bytes.len() as u64;
        let kept = bytes.len().min(self.room());
        self.reserve(kept);
        self.start.extend_from_slice(bytes.get(..kept).unwrap_or_default());
    }
}

impl<S: Sink> Write for Watch<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.note(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl<S: Sink> Sink for Watch<'_, S> {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        let seen = length_bytes.min(self.room() as u64);
        let copied = copy_buffered(file, self, seen)?;
        if copied < seen || seen == length_bytes {
            return Ok(copied);
        }
        let behind = self.sink.copy_from_file(file, length_bytes - seen)?;
        self.passed_bytes += behind;
        Ok(copied + behind)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.sink.write_zeros(length_bytes)?;
        self.passed_bytes += length_bytes;
        let kept = usize::try_from(length_bytes).unwrap_or(usize::MAX).min(self.room());
        self.reserve(kept);
        let length = self.start.len() + kept;
        self.start.resize(length, 0);
        Ok(())
    }

    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.sink.rewrite(back_bytes, bytes)?;
        let offset = self.passed_bytes.saturating_sub(back_bytes);
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        for (kept, byte) in self.start.iter_mut().skip(offset).zip(bytes) {
            *kept = *byte;
        }
        Ok(())
    }
}

struct Row {
    format: &'static str,
    offsets: &'static [usize],
    magics: &'static [&'static [u8]],
    /// Whether libblkid would take the fields around a short magic for true.
    is_plausible: fn(&[u8]) -> bool,
}

const KIB: usize = 1 << 10;

/// A row of a magic that is long enough by itself.
const fn row(
    format: &'static str,
    offsets: &'static [usize],
    magics: &'static [&'static [u8]],
) -> Row {
    Row { format, offsets, magics, is_plausible: |_| true }
}

/// The magics of libblkid 2.42 (its `superblocks` folder), of which older ones have fewer.
/// Left out are those that no image of ours can hold, whatever its content: in the first 96
/// bytes, where SquashFS has its superblock and the others zeros; FAT, whose sector size lies
/// in that superblock; those that a checksum guards as well; those behind the start; and RAID
/// members, which are told by the end of a disk.
const KNOWN: &[Row] = &[
    row("LVM2_member", &[0x218, KIB + 0x18, KIB + 0x218], &[b"LVM2 001"]),
    row("befs", &[0x220], &[b"BFS1", b"1SFB"]),
    row("stratis", &[516, 9 * 512 + 4], &[b"!Stra0tis\x86\xff\x02^\x41rh"]),
    row(
        "sysv",
        &[0x3f8, 9 * KIB + 0x3f8, 15 * KIB + 0x3f8, 18 * KIB + 0x3f8],
        &[b"\x20\x7e\x18\xfd", b"\xfd\x18\x7e\x20"],
    ),
    Row { format: "hfs", offsets: &[KIB], magics: &[b"BD"], is_plausible: is_hfs },
    row("hfsplus", &[KIB], &[b"H+", b"HX"]),
    row("vxfs", &[KIB], &[b"\xf5\xfc\x01\xa5"]),
    row("vxfs", &[8 * KIB], &[b"\xa5\x01\xfc\xf5"]),
    row("f2fs", &[KIB], &[b"\x10\x20\xf5\xf2"]),
    row("ocfs2", &[KIB, 2 * KIB, 4 * KIB, 8 * KIB], &[b"OCFSV2"]),
    Row {
        format: "minix",
        offsets: &[KIB + 0x10],
        magics: &[
            b"\x7f\x13",
            b"\x8f\x13",
            b"\x13\x7f",
            b"\x13\x8f",
            b"\x68\x24",
            b"\x78\x24",
            b"\x24\x68",
            b"\x24\x78",
        ],
        is_plausible: is_minix,
    },
    Row {
        format: "minix",
        offsets: &[KIB + 0x18],
        magics: &[b"\x5a\x4d", b"\x4d\x5a"],
        is_plausible: is_minix_3,
    },
    row("ext2", &[KIB + 0x38], &[b"\x53\xef"]),
    row("ufs", &[0x55c, 8 * KIB + 0x55c, 64 * KIB + 0x55c, 256 * KIB + 0x55c], UFS),
    row("xenix", &[2 * KIB], &[b"\x2b\x55\x44", b"\x44\x55\x2b"]),
    row("nss", &[4 * KIB], &[b"SPB5"]),
    row(
        "bcache",
        &[4 * KIB + 24],
        &[b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"],
    ),
    row(
        "bcachefs",
        &[4 * KIB + 24],
        &[b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"],
    ),
    row("hpt37x_raid_member", &[4 * KIB + 544], &[b"\xf0\x16\x78\x5a", b"\xfd\x16\x78\x5a"]),
    row("swap", PAGE_ENDS, &[b"SWAP-SPACE", b"SWAPSPACE2"]),
    row("swsuspend", PAGE_ENDS, &[b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"]),
    row("hpfs", &[8 * KIB], &[b"\x49\xe8\x95\xf9"]),
    row("ocfs", &[8 * KIB], &[b"OracleCFS"]),
    row("reiserfs", &[8 * KIB + 0x14, 8 * KIB + 0x34, 64 * KIB + 0x34], &[b"ReIsErFs"]),
    row("reiserfs", &[64 * KIB + 0x34], &[b"ReIsEr2Fs", b"ReIsEr3Fs"]),
    row("reiser4", &[64 * KIB], &[b"ReIsEr4"]),
    row("crypto_LUKS", &[16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, 256 * KIB], &[b"SKUL\xba\xbe"]),
    row("jfs", &[32 * KIB], &[b"JFS1"]),
    row("iso9660", &[32 * KIB + 1], &[b"CD001"]),
    row("iso9660", &[32 * KIB + 9], &[b"CDROM"]),
    row("udf", &[32 * KIB + 1], &[b"BEA01", b"BOOT2", b"CDW02", b"NSR02", b"NSR03", b"TEA01"]),
    row("gfs", &[64 * KIB], &[b"\x01\x16\x19\x70"]),
    row("scoutfs_meta", &[64 * KIB + 4], &[b"\x8b\x42\x3c\x10"]),
    row("btrfs", &[64 * KIB + 0x40], &[b"_BHRfS_M"]),
    row("xfs_external_log", &SECTORS, &[b"\xfe\xed\xba\xbe"]),
];

/// Every sector of the first 256 KiB, but the first.
#[expect(clippy::indexing_slicing, reason = "the compiler would find a wrong index")]
const SECTORS: [usize; 511] = {
    let mut sectors = [0; 511];
    let mut index = 0;
    while index < sectors.len() {
        sectors[index] = (index + 1) * 512;
        index += 1;
    }
    sectors
};

/// The ends of a first page of 4 to 64 KiB, less the ten bytes of a magic.
const PAGE_ENDS: &[usize] =
    &[4 * KIB - 10, 8 * KIB - 10, 16 * KIB - 10, 32 * KIB - 10, 64 * KIB - 10];

/// UFS of either byte order.
const UFS: &[&[u8]] = &[
    b"\x54\x19\x01\x00",
    b"\x00\x01\x19\x54",
    b"\x19\x01\x54\x19",
    b"\x19\x54\x01\x19",
    b"\x12\x56\x19\x00",
    b"\x00\x19\x56\x12",
    b"\x14\x50\x09\x00",
    b"\x00\x09\x50\x14",
    b"\x95\x21\x61\x00",
    b"\x00\x61\x21\x95",
    b"\x94\x19\x23\x05",
    b"\x05\x23\x19\x94",
];

/// The size of an allocation block is a number of sectors.
fn is_hfs(start: &[u8]) -> bool {
    let size = number(start, KIB + 0x14);
    size != 0 && size.is_multiple_of(512)
}

/// The first two versions: a zone is a block, and the state has two flags, in either order.
fn is_minix(start: &[u8]) -> bool {
    let zone = start.get(KIB + 0x0a..KIB + 0x0c);
    let state = start.get(KIB + 0x12..KIB + 0x14);
    zone == Some(&[0, 0]) && matches!(state, Some([0..=3, 0] | [0, 0..=3]))
}

/// The third version: a zone is a block.
fn is_minix_3(start: &[u8]) -> bool {
    start.get(KIB + 0x0c..KIB + 0x0e) == Some(&[0, 0])
}

/// Big endian.
fn number(start: &[u8], offset_bytes: usize) -> u32 {
    let bytes = start.get(offset_bytes..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
