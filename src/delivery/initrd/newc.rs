//! Writes archives of cpio in the form `newc`, and reads the headers of such archives. Linux
//! unpacks them (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::Write;

use credimg_formats::Secret;

/// The magic number that a header begins with.
pub(crate) const MAGIC: &str = "070701";
/// The length of a header: its magic number, and thirteen numbers of eight hexadecimal digits.
pub(crate) const HEADER_BYTES: usize = 110;
const NUMBER_BYTES: usize = 8;
/// The name of the entry that ends an archive.
pub(crate) const TRAILER: &str = "TRAILER!!!";
/// The bits of a mode that hold the kind of an entry, and their values for two kinds.
pub(crate) const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
pub(crate) const REGULAR: u32 = 0o100_000;
/// The header with its name is padded with zeros to a multiple of this, and so is the content.
pub(crate) const ALIGNMENT_BYTES: usize = 4;

/// A number of a header, by its index among them.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    Mode = 1,
    ContentBytes = 6,
    /// The length of the name with its zero byte.
    NameBytes = 11,
}

/// A number of a header; none where the header is too short or holds no digits there. The magic
/// number is not checked.
pub(crate) fn number(header: &[u8], which: Number) -> Option<u32> {
    let at = MAGIC.len() + which as usize * NUMBER_BYTES;
    let digits = header.get(at..at + NUMBER_BYTES)?;
    // `from_str_radix` alone would accept a sign.
    let digits =
        str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(digits, 16).ok()
}

/// An archive that is being written. Its entries belong to root and have the time 0.
pub(crate) struct Archive {
    bytes: Vec<u8>,
    /// The length of the zeros before the archive.
    start: usize,
    /// The inode number of the last entry.
    inodes: u32,
}

impl Archive {
    /// An empty archive, with this many zeros before it.
    pub(crate) fn behind(zeros: usize) -> Self {
        Self { bytes: vec![0; zeros], start: zeros, inodes: 0 }
    }

    /// Adds a directory. Its parent must exist, in this archive or in the initrd before it.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) {
        self.inodes += 1;
        self.entry(path, DIRECTORY | mode, 2, &[]);
    }

    /// Adds a file. The form has no room for one of 4 GiB, but credentials and the files of a probe
    /// are far smaller.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.inodes += 1;
        self.entry(path, REGULAR | mode, 1, content);
    }

    /// Ends the archive; returns it with the zeros before it.
    pub(crate) fn finish(mut self) -> Secret {
        self.inodes = 0;
        self.entry(TRAILER, 0, 1, &[]);
        Secret::new(self.bytes)
    }

    fn entry(&mut self, path: &str, mode: u32, links: u32, content: &[u8]) {
        let inode = self.inodes;
        let (content_bytes, name_bytes) = (content.len(), path.len() + 1);
        // Inode, mode, owner, group, links, time, length, four device numbers, the length of the
        // name with its zero, and a checksum, which this form leaves zero. Writing into a Vec does
        // not fail.
        let _ = write!(
            self.bytes,
            "{MAGIC}{inode:08x}{mode:08x}{0:08x}{0:08x}{links:08x}{0:08x}{content_bytes:08x}\
             {0:08x}{0:08x}{0:08x}{0:08x}{name_bytes:08x}{0:08x}{path}\0",
            0
        );
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        let length = self.bytes.len() - self.start;
        self.bytes.resize(self.start + length.next_multiple_of(ALIGNMENT_BYTES), 0);
    }
}
