//! Files that are in memory alone: for a program that inherits them, and for an
//! image that has to be whole before it goes anywhere.
//!
//! Their name, which /proc shows, says nothing of what they hold.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use credimg_formats::Sink;
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{Errno, FdFlags, retry_on_intr};

use super::Subject;
use super::buffered::Buffered;
use crate::report::Failure;

/// Everybody who has a descriptor may read, so that a monitor that has become
/// another user can open the file again by it; nobody else has a way to it.
const READABLE: Mode = Mode::RUSR.union(Mode::RGRP).union(Mode::ROTH);

/// A file in memory in the making. It is gone with its last descriptor.
pub struct MemoryFile {
    sink: Buffered,
}

impl MemoryFile {
    /// An empty one, closed when another program is started. Messages call it
    /// `what`. Errors are of [`Exit::Output`](crate::report::Exit).
    pub fn create(what: &str) -> Result<Self, Failure> {
        Ok(Self { sink: buffered(what)? })
    }

    /// Where its bytes go. Errors hold a [`Failure`] of [`Exit::Output`](crate::report::Exit), or of
    /// [`Exit::Interrupted`](crate::report::Exit) after a signal.
    pub fn sink(&mut self) -> &mut impl Sink {
        &mut self.sink
    }

    /// Adds `content`; errors as of [`sink`](Self::sink).
    pub fn write(&mut self, content: &[u8]) -> Result<(), Failure> {
        let written = self.sink.write_all(content);
        written.map_err(|error| {
            let failure = Failure::inside(&error).cloned();
            failure.unwrap_or_else(|| self.sink.subject().failure("write", error))
        })
    }

    /// What is written so far, to be read. Errors as of [`sink`](Self::sink).
    pub fn reread(&mut self) -> Result<File, Failure> {
        self.sink.reread()
    }

    /// Seals the file: from now on nobody can change, shorten or lengthen
    /// it, by whatever descriptor, nor undo that (`F_ADD_SEALS` of fcntl(2)). Errors
    /// as of [`sink`](Self::sink).
    pub fn seal(mut self) -> Result<SealedFile, Failure> {
        self.sink.spill()?;
        let (file, subject) = (self.sink.file(), self.sink.subject());
        rustix::fs::fchmod(file, READABLE)
            .map_err(|error| subject.failure("set the mode of", error))?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(file, seals).map_err(|error| subject.failure("seal", error))?;
        // For a read-only disk QEMU takes no descriptor that can write.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let path = path_of(file.as_raw_fd());
        let descriptor = retry_on_intr(|| rustix::fs::open(&path, flags, Mode::empty()))
            .map_err(|error| subject.failure("open", error).hint("/proc must be mounted"))?;
        Ok(SealedFile { descriptor, subject: subject.clone() })
    }
}

/// A finished file in memory, open for reading only.
pub struct SealedFile {
    descriptor: OwnedFd,
    subject: Subject,
}

impl SealedFile {
    /// The number of its descriptor, above 2: the runtime keeps the others open.
    pub fn number(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// The path by which every process that has inherited it finds it.
    pub fn path(&self) -> PathBuf {
        path_of(self.number())
    }

    /// Leaves it open in the program that takes this one's place. Errors are of
    /// [`Exit::Output`](crate::report::Exit).
    pub fn pass_on(&self) -> Result<(), Failure> {
        rustix::io::fcntl_setfd(&self.descriptor, FdFlags::empty())
            .map_err(|error| self.subject.failure("pass on", error))
    }
}

/// The path by which a process finds its own descriptor.
fn path_of(descriptor: RawFd) -> PathBuf {
    Path::new("/proc/self/fd").join(descriptor.to_string())
}

/// An empty file in memory that can be sealed, behind a buffer.
pub(super) fn buffered(what: &str) -> Result<Buffered, Failure> {
    let subject = Subject { shown: what.to_owned(), hint: None };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match rustix::fs::memfd_create("credimg", flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux before 6.3 does not know the seal against execution.
        Err(Errno::INVAL) => rustix::fs::memfd_create("credimg", flags),
        created => created,
    };
    let memory = memory.map_err(|error| subject.failure("create", error))?;
    Ok(Buffered::new(File::from(memory), subject))
}
