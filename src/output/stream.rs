//! `-o -`: the image as a stream.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};

use credimg_formats::Sink;

use super::Subject;
use super::buffered::Buffered;
use crate::report::{Exit, Failure};

/// An image that goes to standard output. Nothing is promised of where it ends.
pub struct StreamOutput(Buffered);

impl StreamOutput {
    /// Streams to standard output; a terminal is refused with [`Exit::Usage`].
    pub fn stdout() -> anyhow::Result<Self> {
        let subject = Self::subject();
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        Self::new(stdout.map_err(|error| subject.failure("write", error))?)
    }

    /// Streams to `descriptor`, which messages call standard output.
    pub fn new(descriptor: OwnedFd) -> anyhow::Result<Self> {
        if descriptor.is_terminal() {
            let failure = Failure::new(Exit::Usage, "an image is not written to a terminal");
            return Err(failure.hint("redirect standard output, or name a file with -o").into());
        }
        Ok(Self(Buffered::new(File::from(descriptor), Self::subject())))
    }

    /// Writes what is left in the buffer. Errors are of [`Exit::Output`] or [`Exit::Interrupted`].
    pub fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.0.spill()?)
    }

    fn subject() -> Subject {
        Subject { shown: "standard output".to_owned(), hint: None }
    }
}

impl Write for StreamOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for StreamOutput {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        self.0.copy_from_file(file, length_bytes)
    }
}
