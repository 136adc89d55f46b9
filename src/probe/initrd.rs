//! The initrd of a probe: its program, and what that reads.

use credimg_formats::Secret;

use crate::delivery::initrd::newc::Archive;

/// The program that the kernel starts, and the directory of the files that the program reads.
/// `init/main.rs` knows both names.
pub(super) const PROGRAM: &str = "credimg-probe";
const OWN: &str = ".credimg-probe";
/// Directories where the program mounts the kernel's virtual file systems.
const MOUNTS: [&str; 3] = ["proc", "sys", "dev"];

/// An initrd that is being put together. It may hold a key, and is wiped when dropped.
pub(super) struct Initrd(Archive);

impl Initrd {
    /// One that starts `program`.
    pub(super) fn new(program: &[u8]) -> Self {
        let mut archive = Archive::behind(0);
        for directory in MOUNTS.into_iter().chain([OWN]) {
            archive.directory(directory, 0o700);
        }
        archive.file(PROGRAM, 0o700, program);
        Self(archive)
    }

    /// Adds one of the files that the program reads.
    pub(super) fn add_own(&mut self, name: &str, content: &[u8]) {
        self.0.file(&format!("{OWN}/{name}"), 0o600, content);
    }

    /// The whole archive.
    pub(super) fn finish(self) -> Secret {
        self.0.finish()
    }
}
