//! Bytes on their way into a descriptor: small pieces are gathered, large ones
//! pass by, and files are copied by the kernel where it can.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use credimg_formats::content::read_full;
use credimg_formats::{Buffer, Sink};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::Subject;
use crate::host::signals;
use crate::report::Failure;

/// Most images fit into this and are written at once.
const SMALL_BUFFER_BYTES: usize = 32 << 10;
/// The largest buffer of an image that did not fit into [`SMALL_BUFFER_BYTES`].
const LARGE_BUFFER_BYTES: usize = 256 << 10;
/// From this length on the kernel copies a file faster than two system calls do (measured).
const KERNEL_COPY_MIN_BYTES: u64 = 64 << 10;
/// A shorter hole costs more calls than its zeros do.
const HOLE_MIN_BYTES: u64 = 64 << 10;
/// A shorter hole costs more than its zeros where nothing has to be written out before it, as at
/// the start of an image: ISO 9660 begins with 32 KiB of zeros.
const HOLE_AT_ONCE_MIN_BYTES: u64 = 16 << 10;
/// What the kernel copies at once: signals are noticed in between.
const KERNEL_COPY_MAX_BYTES: usize = 16 << 20;

thread_local! {
    /// A buffer that was used and wiped.
    static SPARE: RefCell<Option<Buffer>> = const { RefCell::new(None) };
}

/// A descriptor behind a buffer, which is wiped when dropped. Errors of the
/// descriptor hold a [`Failure`]; those of a file that is read do not.
pub(super) struct Buffered {
    to: Descriptor,
    /// Whether the descriptor is a file that nobody else writes, where zeros may be a hole.
    is_own_file: bool,
    buffer: Buffer,
    filled: usize,
    /// How far it was ever filled: behind that are zeros.
    used: usize,
}

impl Buffered {
    /// Behind it is a file of our own.
    pub(super) fn new(file: File, subject: Subject) -> Self {
        Self { is_own_file: true, ..Self::stream(file, subject) }
    }

    /// Behind it is whatever somebody has given us.
    pub(super) fn stream(file: File, subject: Subject) -> Self {
        let spare = SPARE.with_borrow_mut(Option::take);
        let buffer = spare.unwrap_or_else(|| Buffer::zeroed(SMALL_BUFFER_BYTES));
        Self { to: Descriptor { file, subject }, is_own_file: false, buffer, filled: 0, used: 0 }
    }

    pub(super) fn file(&self) -> &File {
        &self.to.file
    }

    pub(super) fn file_mut(&mut self) -> &mut File {
        &mut self.to.file
    }

    /// The descriptor; what the buffer still holds is wiped.
    pub(super) fn into_file(self) -> File {
        self.to.file
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.to.subject
    }

    /// Writes out what the buffer holds.
    pub(super) fn spill(&mut self) -> Result<(), Failure> {
        self.used = self.used.max(self.filled);
        self.to.write(self.buffer.get(..self.filled).unwrap_or_default())?;
        self.filled = 0;
        Ok(())
    }

    /// Writes out what the buffer holds; returns the file, to be read at any place: it has to be
    /// open for reading.
    pub(super) fn reread(&mut self) -> Result<File, Failure> {
        self.spill()?;
        self.to.file.try_clone().map_err(|error| self.to.subject.failure("read", error))
    }

    /// Wipes what was written. The next write has a new buffer, and the next output of this
    /// thread has this one.
    pub(super) fn forget(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if !buffer.is_empty() {
            let used = self.used.max(self.filled);
            buffer.get_mut(..used).unwrap_or_default().fill(0);
            self.used = 0;
            SPARE.set(Some(buffer));
        }
    }

    /// The free end of the buffer, which is never empty. A full buffer is written out, and
    /// one of twice its size takes its place, up to the largest. It starts small because the
    /// whole buffer is wiped at the end, also what was never filled.
    fn room(&mut self) -> Result<&mut [u8], Failure> {
        if self.filled == self.buffer.len() {
            self.spill()?;
            if self.buffer.len() < LARGE_BUFFER_BYTES {
                let length_bytes = (2 * self.buffer.len()).max(SMALL_BUFFER_BYTES);
                self.buffer = Buffer::zeroed(length_bytes);
                self.used = 0;
            }
        }
        Ok(self.buffer.get_mut(self.filled..).unwrap_or_default())
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() >= LARGE_BUFFER_BYTES {
            self.spill()?;
            self.to.write(bytes)?;
            return Ok(bytes.len());
        }
        let room = self.room()?;
        let taken = bytes.len().min(room.len());
        let (piece, _) = bytes.split_at(taken);
        let (free, _) = room.split_at_mut(taken);
        free.copy_from_slice(piece);
        self.filled += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.spill()?)
    }
}

impl Sink for Buffered {
    /// For files only: a pipe's write at an offset fails.
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.spill()?;
        Ok(self.to.write_back(back_bytes, bytes)?)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        let shortest = if self.filled == 0 { HOLE_AT_ONCE_MIN_BYTES } else { HOLE_MIN_BYTES };
        if self.is_own_file && length_bytes >= shortest {
            self.spill()?;
            return Ok(self.to.leave_hole(length_bytes)?);
        }
        let mut left = length_bytes;
        while left > 0 {
            let room = self.room()?;
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
            let (window, _) = room.split_at_mut(length);
            window.fill(0);
            self.filled += length;
            left -= length as u64;
        }
        Ok(())
    }

    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        let mut left = length_bytes;
        if left >= KERNEL_COPY_MIN_BYTES {
            self.spill()?;
            left -= self.to.copy_in_kernel(file, left)?;
        }
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(self.room()?.len());
            let end = self.filled + want;
            // Also where reading fails half way.
            self.used = self.used.max(end);
            let window = self.buffer.get_mut(self.filled..end).unwrap_or_default();
            let got = read_full(file, window)?;
            self.filled += got;
            left -= got as u64;
            if got < want {
                break;
            }
        }
        Ok(length_bytes - left)
    }
}

struct Descriptor {
    file: File,
    subject: Subject,
}

impl Descriptor {
    fn write(&self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            signals::check()?;
            match (&self.file).write(bytes) {
                Ok(0) => return Err(self.subject.failure("write", ErrorKind::WriteZero)),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Standard output may be a pipe that its other owner made non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait()?,
                Err(error) => return Err(self.subject.failure("write", error)),
            }
        }
        Ok(())
    }

    fn write_back(&self, back_bytes: u64, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let outcome = (&self.file).stream_position().and_then(|end| {
            let first = end.checked_sub(back_bytes).ok_or(ErrorKind::InvalidInput)?;
            // `write_all_at` goes on after short writes and interrupts.
            self.file.write_all_at(bytes, first)
        });
        outcome.map_err(|error| self.subject.failure("write", error))
    }

    /// Makes the file longer by so many bytes, which read as zeros and take no room on the disk.
    fn leave_hole(&self, length_bytes: u64) -> Result<(), Failure> {
        let mut file = &self.file;
        let length = i64::try_from(length_bytes).map_err(|_| ErrorKind::FileTooLarge.into());
        let end = length.and_then(|length| file.seek(SeekFrom::Current(length)));
        end.and_then(|end| file.set_len(end)).map_err(|error| self.subject.failure("write", error))
    }

    /// Waits until the descriptor takes bytes again, for a tenth of a second at most.
    fn wait(&self) -> Result<(), Failure> {
        let mut descriptors = [PollFd::new(&self.file, PollFlags::OUT)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        match rustix::event::poll(&mut descriptors, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(self.subject.failure("write", error)),
        }
    }

    /// Copies as much as the kernel will; the caller copies the rest. An error ends the copy
    /// and is not returned: it cannot tell which of the two files failed. The same error comes
    /// again when the caller copies through the buffer, and there it can.
    fn copy_in_kernel(&self, file: &File, length_bytes: u64) -> Result<u64, Failure> {
        let mut left = length_bytes;
        while left > 0 {
            signals::check()?;
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(KERNEL_COPY_MAX_BYTES);
            match rustix::fs::copy_file_range(file, None, &self.file, None, want) {
                Ok(copied) if copied > 0 => left -= copied as u64,
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        Ok(length_bytes - left)
    }
}
