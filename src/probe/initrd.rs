//! The initrd of a probe: a cpio archive in the format `newc` (cpio(5)), as Linux unpacks it.

use zeroize::Zeroizing;

/// What the kernel starts, and the directory of all that it reads; `init/` knows both.
pub(super) const PROGRAM: &str = "credimg-probe";
const OWN: &str = ".credimg-probe";
/// What names and contents are padded to.
const ALIGNMENT: usize = 4;
/// Where the file systems are mounted that the kernel makes up.
const MOUNTS: [&str; 3] = ["proc", "sys", "dev"];

const DIRECTORY: u32 = 0o040_700;
const FILE: u32 = 0o100_600;
const EXECUTABLE: u32 = 0o100_700;

/// An archive in the making. It may hold a key, and is wiped when dropped.
pub(super) struct Initrd {
    bytes: Zeroizing<Vec<u8>>,
}

impl Initrd {
    /// One that starts `program`.
    pub(super) fn new(program: &[u8]) -> Self {
        let mut initrd = Self { bytes: Zeroizing::default() };
        for directory in MOUNTS.into_iter().chain([OWN]) {
            initrd.add(directory, DIRECTORY, &[]);
        }
        initrd.add(PROGRAM, EXECUTABLE, program);
        initrd
    }

    /// Adds one of the files that the program reads.
    pub(super) fn add_own(&mut self, name: &str, content: &[u8]) {
        self.add(&format!("{OWN}/{name}"), FILE, content);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Zeroizing<Vec<u8>> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        // Magic, inode, mode, user, group, links, time, length, four numbers of devices, length of
        // the name with its zero, checksum.
        let name_bytes = name.len() + 1;
        let head = format!(
            "070701{0:08x}{mode:08x}{0:08x}{0:08x}{1:08x}{0:08x}{2:08x}{0:08x}{0:08x}{0:08x}{0:08x}\
             {name_bytes:08x}{0:08x}",
            0,
            1,
            content.len()
        );
        self.bytes.extend(head.bytes().chain(name.bytes()).chain([0]));
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(length, 0);
    }
}
