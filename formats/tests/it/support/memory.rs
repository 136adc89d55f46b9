//! A file system in memory.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::host::run;

/// A directory in memory, which takes xattrs of any size, other than most disks.
pub(crate) struct Memory(pub(crate) PathBuf);

impl Memory {
    pub(crate) fn new(path: &Path) -> Self {
        std::fs::create_dir(path).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=0700", "tmpfs"]).arg(path));
        Self(path.to_owned())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
