//! What a file holds: a small secret in memory, or a source that is opened and
//! streamed when its turn comes.

mod wiped;

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

pub(crate) use self::wiped::Wiped;
pub use self::wiped::{Buffer, Secret};
use crate::error::{Error, ErrorKind, Result};

/// Where image bytes go: forward only, but for what a format writes last.
pub trait Sink: Write {
    /// Copies `length_bytes` bytes, or fewer where the file ends before, from
    /// the file's current offset; returns how many. An implementation may let
    /// the kernel copy; this one goes through a buffer.
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        copy_buffered(file, self, length_bytes)
    }

    /// Writes so many zeros. An implementation may leave a hole instead.
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        const PIECE_BYTES: usize = 256 << 10;
        let mut left = length_bytes;
        let longest = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let zeros = vec![0; longest];
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(longest).min(longest);
            self.write_all(zeros.get(..length).unwrap_or_default())?;
            left -= length as u64;
        }
        Ok(())
    }

    /// Overwrites with `bytes` what was written `back_bytes` bytes ago, all of them
    /// before the place of the next write, which stays, as does what lies between: the
    /// place is counted back so that nobody needs to know where the image begins.
    /// SquashFS needs it once, at the end, for its first bytes. A sink that cannot do
    /// it, such as a pipe, is [`io::ErrorKind::Unsupported`] from the first call on,
    /// which comes with no bytes before anything is written.
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let _ = (back_bytes, bytes);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Copies at most `length_bytes` bytes through a wiped buffer of at most 256 KiB.
pub fn copy_buffered<R: Read, W: Write + ?Sized>(
    mut from: R,
    to: &mut W,
    length_bytes: u64,
) -> io::Result<u64> {
    let capacity = usize::try_from(length_bytes.min(256 << 10)).unwrap_or(256 << 10);
    let mut buffer = Buffer::zeroed(capacity);
    let mut left = length_bytes;
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let window = buffer.get_mut(..want).unwrap_or_default();
        let got = read_full(&mut from, window)?;
        to.write_all(window.get(..got).unwrap_or_default())?;
        left -= got as u64;
        if got < want {
            break;
        }
    }
    Ok(length_bytes - left)
}

/// Fills `window` as far as the reader delivers; returns how far.
pub fn read_full<R: Read>(mut from: R, window: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = window.get_mut(filled..).filter(|free| !free.is_empty()) {
        match from.read(free) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A source that is read when the image is written.
pub trait Source: Send + Sync {
    /// Streams the whole content into `sink`, from its start on every call: a format that
    /// stores equal files once may read a file several times, and EROFS does so when it plans.
    /// `planned_bytes` is the length announced by [`Content::len`]: an implementation must not deliver more
    /// and reports any change since planning as [`ErrorKind::Changed`], any
    /// failure to read as [`ErrorKind::Source`] and any failure of `sink` as
    /// [`ErrorKind::Io`].
    fn stream(&self, planned_bytes: u64, sink: &mut dyn Sink) -> Result<()>;
}

/// An open file, which is read from its start on by one at a time.
struct OpenFile {
    file: Mutex<File>,
    planned: Version,
}

/// What tells whether a file was written to: its length and its times.
#[derive(PartialEq, Eq)]
struct Version {
    length_bytes: u64,
    modified: Option<SystemTime>,
    /// Seconds and nanoseconds of the last change, which nobody can set; none but on Unix.
    changed: (i64, i64),
}

impl Version {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        #[cfg(unix)]
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        #[cfg(not(unix))]
        let changed = (0, 0);
        Ok(Self { length_bytes: metadata.len(), modified: metadata.modified().ok(), changed })
    }
}

impl OpenFile {
    fn unreadable(error: io::Error) -> Error {
        Error::new(ErrorKind::Source, "cannot read a file").caused_by(error)
    }

    fn require_unchanged(&self, file: &File) -> Result<()> {
        if Version::of(file).map_err(Self::unreadable)? == self.planned {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Changed, "a file changed before it was read to its end"))
    }
}

impl Source for OpenFile {
    fn stream(&self, planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.require_unchanged(&file)?;
        file.rewind().map_err(Self::unreadable)?;
        let mut buffer = Buffer::zeroed(256 << 10);
        let mut left = planned_bytes;
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let window = buffer.get_mut(..want).unwrap_or_default();
            let got = read_full(&*file, window).map_err(Self::unreadable)?;
            sink.write_all(window.get(..got).unwrap_or_default())?;
            left -= got as u64;
            if got < want {
                break;
            }
        }
        self.require_unchanged(&file)
    }
}

/// What a file holds.
pub enum Content {
    /// Small content, in memory.
    Memory(Secret),
    /// Content that is streamed later, with the length it had when planned.
    Stream {
        /// Length in bytes at planning time.
        length_bytes: u64,
        /// What delivers the bytes.
        source: Box<dyn Source>,
    },
}

impl<T: Into<Secret>> From<T> for Content {
    fn from(secret: T) -> Self {
        Self::Memory(secret.into())
    }
}

impl Content {
    /// What the regular file `file` holds from its start on, as long as it is now. It is read
    /// when the image is written, and by EROFS perhaps when it is planned. One that is written to
    /// from now on is [`ErrorKind::Changed`], as far as its length and times tell: what follows
    /// within a tick of the system's clock may leave them as they are.
    pub fn from_file(file: File) -> io::Result<Self> {
        let planned = Version::of(&file)?;
        let length_bytes = planned.length_bytes;
        let source = Box::new(OpenFile { file: Mutex::new(file), planned });
        Ok(Self::Stream { length_bytes, source })
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(secret) => secret.len() as u64,
            Self::Stream { length_bytes, .. } => *length_bytes,
        }
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams the content, held to exactly the planned length.
    pub fn stream(&self, sink: &mut dyn Sink) -> Result<()> {
        match self {
            Self::Memory(secret) => Ok(sink.write_all(secret.expose())?),
            Self::Stream { length_bytes, source } => {
                let mut exact = Exact { sink, left: *length_bytes, overrun: false };
                let outcome = source.stream(*length_bytes, &mut exact);
                let (left, overrun) = (exact.left, exact.overrun);
                if overrun {
                    let what = format!("the source grew: expected {length_bytes} bytes, got more");
                    return Err(Error::new(ErrorKind::Changed, what));
                }
                outcome?;
                if left > 0 {
                    let got = length_bytes - left;
                    let message =
                        format!("the source shrank: expected {length_bytes} bytes, got {got}");
                    return Err(Error::new(ErrorKind::Changed, message));
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.len())
    }
}

/// Passes on at most the planned bytes and remembers an attempt at more.
struct Exact<'a> {
    sink: &'a mut dyn Sink,
    left: u64,
    overrun: bool,
}

impl Exact<'_> {
    /// An error where so many bytes are more than are left.
    fn admit(&mut self, length_bytes: u64) -> io::Result<()> {
        self.overrun |= length_bytes > self.left;
        if self.overrun { Err(io::Error::other("more bytes than planned")) } else { Ok(()) }
    }
}

impl Write for Exact<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.admit(bytes.len() as u64)?;
        let written = self.sink.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Sink for Exact<'_> {
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        self.admit(length_bytes)?;
        let copied = self.sink.copy_from_file(file, length_bytes)?;
        self.left -= copied;
        Ok(copied)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.admit(length_bytes)?;
        self.sink.write_zeros(length_bytes)?;
        self.left -= length_bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    /// Delivers its pieces: bytes, and holes by their length.
    struct Pieces(Vec<Piece>);

    enum Piece {
        Bytes(&'static [u8]),
        Hole(u64),
    }

    impl Source for Pieces {
        fn stream(&self, _planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
            for piece in &self.0 {
                match piece {
                    Piece::Bytes(bytes) => sink.write_all(bytes)?,
                    Piece::Hole(length) => sink.write_zeros(*length)?,
                }
            }
            Ok(())
        }
    }

    /// Notes what it is told.
    #[derive(Default)]
    struct Told(Vec<String>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(format!("{} bytes", bytes.len()));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Told {
        fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
            self.0.push(format!("a hole of {length_bytes}"));
            Ok(())
        }
    }

    fn stream(length_bytes: u64, pieces: Vec<Piece>) -> (Vec<String>, Result<()>) {
        let content = Content::Stream { length_bytes, source: Box::new(Pieces(pieces)) };
        let mut told = Told::default();
        let outcome = content.stream(&mut told);
        (told.0, outcome)
    }

    #[test]
    fn holes_reach_the_sink_as_such() {
        let pieces = vec![Piece::Hole(5 << 30), Piece::Bytes(b"abc"), Piece::Hole(7)];
        let (told, outcome) = stream((5 << 30) + 10, pieces);
        outcome.unwrap();
        assert_eq!(told, ["a hole of 5368709120", "3 bytes", "a hole of 7"]);
    }

    #[test]
    fn holes_count_as_content() {
        let (told, outcome) = stream(10, vec![Piece::Bytes(b"abc"), Piece::Hole(8)]);
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
        assert_eq!(error.to_string(), "the source grew: expected 10 bytes, got more");
        assert_eq!(told, ["3 bytes"]);
        let (_, outcome) = stream(10, vec![Piece::Bytes(b"abc"), Piece::Hole(6)]);
        let message = outcome.unwrap_err().to_string();
        assert_eq!(message, "the source shrank: expected 10 bytes, got 9");
    }

    #[test]
    fn a_sink_without_holes_writes_zeros() {
        struct Plain(Vec<u8>);
        impl Write for Plain {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Sink for Plain {}
        for length in [0, 1, 4097, (256 << 10) - 1, 256 << 10, 600_000] {
            let mut plain = Plain(b"a".to_vec());
            plain.write_zeros(length as u64).unwrap();
            assert!(plain.0 == [b"a".as_slice(), &vec![0; length]].concat(), "{length}");
        }
    }
}
