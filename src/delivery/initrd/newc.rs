//! Writes archives of cpio in the form `newc`, as Linux unpacks them
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::Write;

use credimg_formats::Secret;

const MAGIC: &str = "070701";
/// The name of what ends an archive.
const TRAILER: &str = "TRAILER!!!";
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
/// Headers with their names, and contents, are filled up with zeros to a multiple of this.
const ALIGNMENT_BYTES: usize = 4;

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
