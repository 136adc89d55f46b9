//! The console, on which the program tells credimg what it has found.

use crate::system::{self, File, PATH_BYTES};

/// The start of each line for credimg; `src/probe/guest.rs` has it too.
const START: &[u8] = b"\n@credimg ";

/// The kernel's console.
pub(crate) struct Console {
    file: Option<File>,
}

impl Console {
    pub(crate) fn open() -> Self {
        Self { file: File::open_to_write(b"/dev/console\0").ok() }
    }

    /// Writes one line: the kind of message, and words that depend on it.
    pub(crate) fn say(&self, what: &[u8], words: &[&[u8]]) {
        let mut line = system::Text::<PATH_BYTES>::new();
        line.add(START);
        line.add(what);
        for word in words {
            line.add(b" ");
            line.add(word);
        }
        line.add(b"\n");
        if let Some(file) = &self.file {
            file.write(line.bytes());
        }
    }
}
