//! Archives of cpio in the form `newc`, as Linux unpacks them
//! (Documentation/driver-api/early-userspace/buffer-format.rst): writes them, and tells what a
//! header of one says.

use std::io::Write;

use credimg_formats::Secret;

/// What a header begins with.
pub(crate) const MAGIC: &str = "070701";
/// A header: its mark, and thirteen numbers of eight hexadecimal digits.
pub(crate) const HEADER_BYTES: usize = 110;
const NUMBER_BYTES: usize = 8;
/// The name of what ends an archive.
pub(crate) const TRAILER: &str = "TRAILER!!!";
/// The bits of a mode that tell the kind of an entry, and those of two kinds.
pub(crate) const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
pub(crate) const REGULAR: u32 = 0o100_000;
/// Headers with their names, and contents, are filled up with zeros to a multiple of this.
pub(crate) const ALIGNMENT_BYTES: usize = 4;

/// A number of a header, by its index among them.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    Mode = 1,
    ContentBytes = 6,
    /// With the zero behind the name.
    NameBytes = 11,
}

/// What a header says; none where it is too short, or there are no digits. The mark is not looked
/// at.
pub(crate) fn number(header: &[u8], which: Number) -> Option<u32> {
    let at = MAGIC.len() + which as usize * NUMBER_BYTES;
    let digits = header.get(at..at + NUMBER_BYTES)?;
    // `from_str_radix` takes a sign, too.
    let digits =
        str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(digits, 16).ok()
}

/// An archive in the making. All that it holds is root's, of the time 0.
pub(crate) struct Archive {
    bytes: Vec<u8>,
    /// Where the archive itself begins.
    start: usize,
    /// The number of the last inode.
    inodes: u32,
}

impl Archive {
    /// An archive behind so many zeros.
    pub(crate) fn behind(zeros: usize) -> Self {
        Self { bytes: vec![0; zeros], start: zeros, inodes: 0 }
    }

    /// Adds a directory. Those above it have to be there, here or in the initrd.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) {
        self.inodes += 1;
        self.entry(path, DIRECTORY | mode, 2, &[]);
    }

    /// Adds a file of less than 4 GiB, which the form has no room for: credentials and what a probe
    /// takes along are far smaller.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.inodes += 1;
        self.entry(path, REGULAR | mode, 1, content);
    }

    /// The zeros and the archive.
    pub(crate) fn finish(mut self) -> Secret {
        self.inodes = 0;
        self.entry(TRAILER, 0, 1, &[]);
        Secret::new(self.bytes)
    }

    fn entry(&mut self, path: &str, mode: u32, links: u32, content: &[u8]) {
        let inode = self.inodes;
        let (content_bytes, name_bytes) = (content.len(), path.len() + 1);
        // The inode, mode, owner, group, links, time, length, four numbers of devices, the name's
        // length with its zero, and a sum that this form has not. A Vec takes everything.
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
