//! What a whole build may take: how large its image gets, how much of it has no other place
//! than memory, and how many files it has. Archives and definitions are small where they
//! are written and large where they are unpacked, and there may be many of them.

use credimg_formats::Kind;

use crate::report::{Exit, Failure, human_size};

/// Most bytes that all packed archives, commands and inline texts together may keep in
/// memory, with what is said of the members of archives.
pub const MEMORY_MAX_BYTES: u64 = 256 << 20;
/// The first files are kept in memory while all of them together stay below this: those of a
/// small image are opened once then.
const FIRST_FILES_MAX_BYTES: u64 = 64 << 10;
/// Up to this length a file is tiny: it takes hardly more memory than where it is found again.
pub(crate) const TINY_FILE_MAX_BYTES: u64 = 512;
/// Tiny files are kept in memory while all of them together stay below this.
const TINY_FILES_MAX_BYTES: u64 = 32 << 20;
/// What a member of an archive takes besides its content, its name and its attributes.
const MEMBER_BYTES: u64 = 512;
/// Most files, directories, links and nodes of an image: all of them stay in memory.
pub const INODES_MAX: usize = 1 << 20;

/// What a build may still take.
pub(crate) struct Budget {
    /// `--max-size`, in bytes.
    max_size: u64,
    /// What the content of all files may still be.
    content_left_bytes: u64,
    /// What may still be kept in memory that has no other place.
    memory_left_bytes: u64,
    /// What the first files, and what tiny ones, may still take in memory, which could be
    /// streamed as well.
    first_files_left_bytes: u64,
    tiny_files_left_bytes: u64,
}

impl Budget {
    pub(super) fn new(max_size: u64) -> Self {
        Self {
            max_size,
            content_left_bytes: max_size,
            memory_left_bytes: MEMORY_MAX_BYTES,
            first_files_left_bytes: FIRST_FILES_MAX_BYTES,
            tiny_files_left_bytes: TINY_FILES_MAX_BYTES,
        }
    }

    /// Whether a file of this length is to be read into memory now; if so, it is counted.
    pub(crate) fn takes_small_file(&mut self, length_bytes: u64) -> bool {
        if length_bytes <= TINY_FILE_MAX_BYTES
            && let Some(left) = self.tiny_files_left_bytes.checked_sub(length_bytes)
        {
            self.tiny_files_left_bytes = left;
            return true;
        }
        let left = self.first_files_left_bytes.checked_sub(length_bytes);
        // The first file that does not fit ends it: from then on directories
        // need not open a file to learn its length.
        self.first_files_left_bytes = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether no file of this length, unless it is empty, is read into memory any more.
    pub(crate) fn streams(&self, length_bytes: u64) -> bool {
        let is_tiny = length_bytes <= TINY_FILE_MAX_BYTES;
        self.first_files_left_bytes == 0 && !(is_tiny && length_bytes <= self.tiny_files_left_bytes)
    }

    /// Whether only tiny files are read into memory from now on.
    pub(crate) fn streams_all_but_tiny_files(&self) -> bool {
        self.first_files_left_bytes == 0
    }

    /// Counts content that has no other place than memory.
    pub(crate) fn count_content(&mut self, length_bytes: usize) -> Result<(), Failure> {
        let length_bytes = length_bytes as u64;
        self.first_files_left_bytes = self.first_files_left_bytes.saturating_sub(length_bytes);
        self.count_memory(length_bytes)
    }

    /// Counts a member of an archive, of which so many bytes of names and attributes are kept.
    pub(crate) fn count_member(&mut self, said_bytes: usize) -> Result<(), Failure> {
        self.count_memory(MEMBER_BYTES.saturating_add(said_bytes as u64))
    }

    /// Counts an inode with its content, of which `inodes` are there already.
    pub(super) fn count_inode(&mut self, kind: &Kind, inodes: usize) -> Result<(), Failure> {
        if inodes >= INODES_MAX {
            let message = format!("an image may hold at most {INODES_MAX} files and directories");
            return Err(Failure::new(Exit::Source, message).hint("make several images of it"));
        }
        let Kind::File(content) = kind else { return Ok(()) };
        let left = self.content_left_bytes.checked_sub(content.len());
        self.content_left_bytes = left.ok_or_else(|| over_size(self.max_size))?;
        Ok(())
    }

    fn count_memory(&mut self, bytes: u64) -> Result<(), Failure> {
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
    fn of_files_that_may_be_streamed_the_first_are_kept_and_tiny_ones() {
        let mut budget = Budget::new(u64::MAX);
        assert!(!budget.streams_all_but_tiny_files() && !budget.streams(60_000));
        assert!(budget.takes_small_file(60_000) && !budget.takes_small_file(6_000));
        assert!(budget.streams_all_but_tiny_files() && budget.streams(513));
        for _ in 0..TINY_FILES_MAX_BYTES / TINY_FILE_MAX_BYTES {
            assert!(!budget.streams(TINY_FILE_MAX_BYTES));
            assert!(budget.takes_small_file(TINY_FILE_MAX_BYTES));
        }
        assert!(budget.streams(1) && !budget.takes_small_file(1));
        assert!(!budget.streams(0) && budget.takes_small_file(0));
    }

    #[test]
    fn the_last_inode_and_the_last_byte_are_free() {
        let mut budget = Budget::new(10);
        assert!(budget.count_inode(&Kind::Fifo, INODES_MAX - 1).is_ok());
        assert!(budget.count_inode(&Kind::Fifo, INODES_MAX).is_err());
        let file = |bytes: usize| Kind::File(Content::Memory(Secret::new(vec![0; bytes])));
        assert!(budget.count_inode(&file(9), 1).is_ok() && budget.count_inode(&file(1), 2).is_ok());
        assert!(
            budget.count_inode(&file(0), 3).is_ok() && budget.count_inode(&file(1), 4).is_err()
        );
        assert!(budget.count_memory(MEMORY_MAX_BYTES).is_ok() && budget.count_memory(0).is_ok());
        assert!(budget.count_memory(1).is_err() && budget.count_member(0).is_err());
    }
}
