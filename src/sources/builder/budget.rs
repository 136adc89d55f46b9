//! What a whole build may take: how large its image gets, how much of it has no other place
//! than memory, and how many files it has. Archives and definitions are small where they
//! are written and large where they are unpacked, and there may be many of them.

use credimg_formats::Kind;

use crate::report::{Exit, Failure, human_size};

/// Most bytes that all packed archives, commands and inline texts together may keep in
/// memory, with what is said of the members of archives.
const MEMORY_MAX_BYTES: u64 = 256 << 20;
/// What a member of an archive takes besides its content, its name and its attributes.
const MEMBER_BYTES: u64 = 512;
/// Most files, directories, links and nodes of an image: all of them stay in memory.
const INODES_MAX: usize = 1 << 20;

/// What a build may still take.
pub(super) struct Budget {
    /// `--max-size`, in bytes.
    max_size: u64,
    content_left_bytes: u64,
    memory_left_bytes: u64,
}

impl Budget {
    pub(super) fn new(max_size: u64) -> Self {
        let memory_left_bytes = MEMORY_MAX_BYTES;
        Self { max_size, content_left_bytes: max_size, memory_left_bytes }
    }

    /// Counts an inode with its content, of which `inodes` are there already.
    pub(super) fn count(&mut self, kind: &Kind, inodes: usize) -> Result<(), Failure> {
        if inodes >= INODES_MAX {
            let message = format!("an image may hold at most {INODES_MAX} files and directories");
            return Err(Failure::new(Exit::Source, message).hint("make several images of it"));
        }
        let Kind::File(content) = kind else { return Ok(()) };
        let left = self.content_left_bytes.checked_sub(content.len());
        self.content_left_bytes = left.ok_or_else(|| over_size(self.max_size))?;
        Ok(())
    }

    /// Counts what has no other place than memory.
    pub(super) fn count_memory(&mut self, bytes: u64) -> Result<(), Failure> {
        let left = self.memory_left_bytes.checked_sub(bytes);
        self.memory_left_bytes = left.ok_or_else(|| {
            let message = format!(
                "what packed archives, commands and texts deliver takes more than {} of memory in \
                 all",
                human_size(MEMORY_MAX_BYTES)
            );
            let hint = "unpack archives first, as a plain one is streamed, or name files with \
                        `file:`";
            Failure::new(Exit::Source, message).hint(hint)
        })?;
        Ok(())
    }

    /// Counts what an archive says of a member, besides its content.
    pub(super) fn count_member(&mut self, said_bytes: usize) -> Result<(), Failure> {
        self.count_memory(MEMBER_BYTES.saturating_add(said_bytes as u64))
    }
}

/// The failure of an image to stay within `--max-size`.
pub(crate) fn over_size(max_size_bytes: u64) -> Failure {
    let message = format!("the output would be larger than {max_size_bytes} bytes");
    Failure::new(Exit::Source, message).hint("--max-size allows more, as in --max-size 1T")
}

#[cfg(test)]
mod tests {
    use credimg_formats::{Content, Secret};

    use super::*;

    #[test]
    fn the_last_inode_and_the_last_byte_are_free() {
        let mut budget = Budget::new(10);
        assert!(budget.count(&Kind::Fifo, INODES_MAX - 1).is_ok());
        assert!(budget.count(&Kind::Fifo, INODES_MAX).is_err());
        let file = |bytes: usize| Kind::File(Content::Memory(Secret::new(vec![0; bytes])));
        assert!(budget.count(&file(9), 1).is_ok() && budget.count(&file(1), 2).is_ok());
        assert!(budget.count(&file(0), 3).is_ok() && budget.count(&file(1), 4).is_err());
        assert!(budget.count_memory(MEMORY_MAX_BYTES).is_ok() && budget.count_memory(0).is_ok());
        assert!(budget.count_memory(1).is_err() && budget.count_member(0).is_err());
    }
}
