//! Standard output and standard error: `-o -` and everything that is printed.

use std::fs::File;
use std::io::{self, IsTerminal, Seek, Write};
use std::os::fd::OwnedFd;

use credimg_formats::Sink;

use rustix::io::{Errno, retry_on_intr};

use super::buffered::Buffered;
use super::{Subject, memory};
use crate::host::streams::Stream;
use crate::report::{Exit, Failure, line};

/// Writes all of `bytes` to standard output. Errors are of [`Exit::Output`] or
/// [`Exit::Interrupted`].
pub fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    close(write(bytes)?)
}

/// Writes to standard output what is nowhere else, so that it is there when this returns: on
/// the disk where standard output is a file. Errors as of [`to_stdout`].
pub fn hand_over(bytes: &[u8]) -> Result<(), Failure> {
    require_reader()?;
    let stream = write(bytes)?;
    match retry_on_intr(|| rustix::fs::fsync(stream.file())) {
        // Pipes and terminals have nothing to sync.
        Ok(()) | Err(Errno::INVAL | Errno::ROFS | Errno::OPNOTSUPP | Errno::NOSYS) => {}
        Err(error) => return Err(stream.subject().failure("write", error)),
    }
    close(stream)
}

/// An error of [`Exit::Output`] where nobody would get what is printed.
pub fn require_reader() -> Result<(), Failure> {
    Stream::Output.require_reader()
}

fn write(bytes: &[u8]) -> Result<Buffered, Failure> {
    let mut buffered = open(Stream::Output)?;
    buffered.write_all(bytes).map_err(|error| {
        let failure = Failure::inside(&error).cloned();
        failure.unwrap_or_else(|| buffered.subject().failure("write", error))
    })?;
    buffered.spill()?;
    Ok(buffered)
}

/// Standard output for text and data of any length. It is not synced: for what must be on the
/// disk there is [`hand_over`].
pub struct Stdout {
    stream: Buffered,
    is_terminal: bool,
}

impl Stdout {
    /// A closed standard output is an error of [`Exit::Output`].
    pub fn open() -> Result<Self, Failure> {
        let stream = open(Stream::Output)?;
        let is_terminal = stream.file().is_terminal();
        Ok(Self { stream, is_terminal })
    }

    /// Whether it is a terminal: a person reads it, and control characters take effect.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// What an error of writing here means: of [`Exit::Output`] or [`Exit::Interrupted`].
    pub fn failure(&self, error: io::Error) -> Failure {
        let failure = Failure::inside(&error).cloned();
        failure.unwrap_or_else(|| self.stream.subject().failure("write", error))
    }

    /// Writes what is left. Errors as of [`to_stdout`].
    pub fn finish(mut self) -> Result<(), Failure> {
        self.stream.spill()?;
        close(self.stream)
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_terminal {
            line::end();
        }
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Sink for Stdout {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        self.stream.copy_from_file(file, length_bytes)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.stream.write_zeros(length_bytes)
    }
}

/// A stream of our own that leads to the same place.
fn open(stream: Stream) -> Result<Buffered, Failure> {
    stream.require_open()?;
    let subject = Subject { shown: format!("to {}", stream.name()), hint: None };
    let own = stream.descriptor().try_clone_to_owned();
    let own = own.map_err(|error| subject.failure("write", error))?;
    Ok(Buffered::stream(File::from(own), subject))
}

/// Closes the file. Some file systems, such as NFS, report only now that there was no room.
fn close(stream: Buffered) -> Result<(), Failure> {
    let subject = stream.subject().clone();
    match nix::unistd::close(stream.into_file()) {
        Ok(()) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(subject.failure("write", error)),
    }
}

/// An image that goes to standard output. It is not known, and not asked, whether it reaches a
/// disk.
pub struct StreamOutput {
    stream: Buffered,
    /// Where an image whose start is written last waits until it is whole:
    /// anonymous memory, so that no plaintext touches a disk.
    staged: Option<Buffered>,
}

impl StreamOutput {
    /// Streams to standard output; a terminal is refused with [`Exit::Usage`], a closed one
    /// with [`Exit::Output`].
    pub fn stdout() -> Result<Self, Failure> {
        Stream::Output.require_open()?;
        let stdout = Stream::Output.descriptor().try_clone_to_owned();
        Self::new(stdout.map_err(|error| Self::subject().failure("write", error))?)
    }

    /// Streams to `descriptor`, which messages call standard output.
    pub fn new(descriptor: OwnedFd) -> Result<Self, Failure> {
        if descriptor.is_terminal() {
            let failure = Failure::new(Exit::Usage, "what is no text is not written to a terminal");
            return Err(failure.hint("redirect standard output, or name a file with -o"));
        }
        let stream = Buffered::stream(File::from(descriptor), Self::subject());
        Ok(Self { stream, staged: None })
    }

    /// Keeps the image in memory until it is whole, so that its start can be
    /// written last. Errors are of [`Exit::Output`].
    pub fn staged(mut self) -> Result<Self, Failure> {
        self.staged = Some(memory::buffered("the image in memory")?);
        Ok(self)
    }

    /// What is [`staged`](Self::staged) so far, to be read; none where nothing is. Errors as of
    /// [`finish`](Self::finish).
    pub fn reread(&mut self) -> Result<Option<File>, Failure> {
        self.staged.as_mut().map(Buffered::reread).transpose()
    }

    /// Writes what is left. Errors are of [`Exit::Output`] or [`Exit::Interrupted`].
    pub fn finish(mut self) -> Result<(), Failure> {
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
        self.stream.spill()?;
        close(self.stream)
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

    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        match &mut self.staged {
            Some(staged) => staged.rewrite(back_bytes, bytes),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
