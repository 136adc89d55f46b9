//! `-o -`: the image as a stream.

use std::fs::File;
use std::io::{self, IsTerminal, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};

use credimg_formats::Sink;

use super::buffered::Buffered;
use super::{Subject, memory};
use crate::report::{Exit, Failure};

/// An image that goes to standard output. Nothing is promised of where it ends.
pub struct StreamOutput {
    stream: Buffered,
    /// Where an image whose start is written last waits until it is whole:
    /// anonymous memory, so that no plaintext touches a disk.
    staged: Option<Buffered>,
}

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
        let stream = Buffered::stream(File::from(descriptor), Self::subject());
        Ok(Self { stream, staged: None })
    }

    /// Keeps the image in memory until it is whole, so that its start can be
    /// written last. Errors are of [`Exit::Output`].
    pub fn staged(mut self) -> anyhow::Result<Self> {
        self.staged = Some(memory::buffered("the image in memory")?);
        Ok(self)
    }

    /// Writes what is left. Errors are of [`Exit::Output`] or [`Exit::Interrupted`].
    pub fn finish(mut self) -> anyhow::Result<()> {
        if let Some(mut staged) = self.staged.take() {
            staged.spill()?;
            let mut memory = staged.file();
            let whole = memory.stream_position().and_then(|length_bytes| {
                memory.rewind()?;
                self.stream.copy_from_file(memory, length_bytes)
            });
            whole.map_err(|error| {
                let failure = Failure::inside(&error).cloned();
                failure.unwrap_or_else(|| Self::subject().failure("write", error))
            })?;
        }
        Ok(self.stream.spill()?)
    }

    fn sink(&mut self) -> &mut Buffered {
        self.staged.as_mut().unwrap_or(&mut self.stream)
    }

    fn subject() -> Subject {
        Subject { shown: "standard output".to_owned(), hint: None }
    }
}

impl Write for StreamOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink().flush()
    }
}

impl Sink for StreamOutput {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        self.sink().copy_from_file(file, length_bytes)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.sink().write_zeros(length_bytes)
    }

    fn rewrite(&mut self, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        match &mut self.staged {
            Some(staged) => staged.rewrite(offset_bytes, bytes),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
