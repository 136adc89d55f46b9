//! One system call of a build, and whether the build survives an error there.

use super::{IMAGE, INDEX, MARK};

/// One system call of the output: the n-th of its name in the main thread.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) call: String,
    pub(super) occurrence: usize,
    /// As strace shows them.
    pub(super) arguments: String,
    /// Whether names have changed already, but for the temporary's.
    pub(super) has_begun: bool,
    pub(super) is_after_rename: bool,
}

impl Point {
    /// Whether the build succeeds where this call reports this error.
    pub(super) fn is_survived(&self, error: &str) -> bool {
        let is_interrupted = error == "EINTR";
        match &*self.call {
            // What the kernel does not copy is copied otherwise.
            // Without the private directory names are beside the image.
            "copy_file_range" | "mkdirat" => true,
            // A file system without unnamed files has named ones. An image that cannot be
            // opened is nobody's turn.
            "openat" if self.has(INDEX) => is_interrupted && self.is_after_rename,
            "openat" => is_interrupted || self.has("O_TMPFILE") || self.has("O_NOFOLLOW"),
            // An empty private directory may stay.
            "unlinkat" if self.has("AT_REMOVEDIR") => true,
            // Only a lock on what is written has to be had.
            "fcntl" => is_interrupted || !self.has("F_WRLCK") || self.has("F_OFD_GETLK"),
            // What was left cannot be seen: the next build looks again.
            "newfstatat" | "getdents64" if self.is_of_leftovers() => true,
            // Without the directory there is nothing in it.
            "fstat" if self.is_of_private_directory() => true,
            // A name is taken: that it is by another file is known.
            "newfstatat" if self.has_begun && !self.is_after_rename => true,
            // What was interrupted is done again.
            "newfstatat" => is_interrupted && self.has("\"\""),
            "getdents64" => is_interrupted && self.has("8192"),
            "write" | "fsync" | "linkat" => is_interrupted,
            _ => false,
        }
    }

    /// Whether it looks for what killed builders have left.
    fn is_of_leftovers(&self) -> bool {
        let lists = self.call == "getdents64" && self.is_of_private_directory();
        self.is_after_rename && (lists || self.has("commitlock"))
    }

    fn is_of_private_directory(&self) -> bool {
        let user = rustix::process::geteuid().as_raw();
        self.has(&format!("/.{IMAGE}{MARK}{user}>"))
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.arguments.contains(word)
    }

    /// How strace is told to do `fault` at this call.
    pub(super) fn fault(&self, fault: &str) -> String {
        format!("inject={}:{fault}:when={}", self.call, self.occurrence)
    }
}
