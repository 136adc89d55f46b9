//! What an image can be written into: memory, files, and with [`ForwardOnly`] whatever
//! takes bytes.

use std::fs::File;
use std::io::{self, BufWriter, Cursor, Seek, SeekFrom, Write};

use crate::content::Sink;

/// Appends the image: what the vector holds already stays as it is.
impl Sink for Vec<u8> {
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let back = usize::try_from(back_bytes).ok();
        let first = back.and_then(|back| self.len().checked_sub(back));
        let behind = first.and_then(|first| self.get_mut(first..));
        let written = behind.and_then(|behind| behind.get_mut(..bytes.len()));
        written.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(bytes);
        Ok(())
    }
}

/// The image begins at the cursor's position, over what is there.
impl<T> Sink for Cursor<T>
where
    Self: Write + Seek,
{
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        rewrite_by_seeking(self, back_bytes, bytes)
    }
}

/// The image begins at the file's offset. Every piece is a system call: put a [`BufWriter`]
/// around it. What is behind the image's end in an older file stays there.
///
/// A pipe or a terminal that was opened as a file refuses [`rewrite`](Sink::rewrite), and so
/// does a file that was opened to append, where every write goes to the end.
impl Sink for File {
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        if self.stream_position().is_err() || only_appends(self)? {
            return Err(io::ErrorKind::Unsupported.into());
        }
        rewrite_by_seeking(self, back_bytes, bytes)
    }
}

/// Call [`flush`](Write::flush) when the image is written: a `BufWriter` that is dropped hides the
/// error of its last bytes. Its buffer is not wiped: a copy of what is secret may be left in memory.
impl<S: Sink> Sink for BufWriter<S> {
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.get_mut().rewrite(back_bytes, bytes)
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        (**self).copy_from_file(file, length_bytes)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        (**self).write_zeros(length_bytes)
    }

    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).rewrite(back_bytes, bytes)
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        (**self).copy_from_file(file, length_bytes)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        (**self).write_zeros(length_bytes)
    }

    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).rewrite(back_bytes, bytes)
    }
}

/// Whatever takes bytes and cannot go back: standard output, a pipe, a socket.
///
/// EROFS and ISO 9660 are written front to back, so is LUKS around them. SquashFS, in LUKS or
/// not, wants its first bytes written last and refuses such a sink before the first byte: write
/// it into a `Vec<u8>` or a file first.
#[derive(Debug)]
pub struct ForwardOnly<W>(W);

impl<W: Write> ForwardOnly<W> {
    /// Passes everything on to `writer`.
    pub fn new(writer: W) -> Self {
        Self(writer)
    }

    /// The writer; it may still hold bytes that it was given.
    pub fn into_inner(self) -> W {
        self.0
    }
}

impl<W: Write> Write for ForwardOnly<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Sink for ForwardOnly<W> {}

fn rewrite_by_seeking<S: Write + Seek>(
    sink: &mut S,
    back_bytes: u64,
    bytes: &[u8],
) -> io::Result<()> {
    if bytes.len() as u64 > back_bytes {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if bytes.is_empty() {
        return Ok(());
    }
    let end = sink.stream_position()?;
    let first = end.checked_sub(back_bytes).ok_or(io::ErrorKind::InvalidInput)?;
    sink.seek(SeekFrom::Start(first))?;
    let outcome = sink.write_all(bytes);
    sink.seek(SeekFrom::Start(end))?;
    outcome
}

#[cfg(unix)]
fn only_appends(file: &File) -> io::Result<bool> {
    Ok(rustix::fs::fcntl_getfl(file)?.contains(rustix::fs::OFlags::APPEND))
}

/// Elsewhere no safe call tells: such a file must not be used there.
#[cfg(not(unix))]
fn only_appends(_file: &File) -> io::Result<bool> {
    Ok(false)
}
