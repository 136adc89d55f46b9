//! The bytes of an archive, in one pass: a plain file, whose members can be
//! skipped, or one that is unpacked on the way.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::input::PADDING_MAX_BYTES;
use super::packed::Packed;
use super::{printable, refused};
use crate::report::{Exit, Failure, shown};
use crate::sources::files::unreadable_file;

/// Most bytes that an archive may unpack to: all of them stay in memory.
pub const UNPACKED_MAX_BYTES: u64 = 64 << 20;
/// How much is read ahead. Enough for the header of a member and a small content.
const BUFFER_BYTES: usize = 64 << 10;

/// Reads an archive from front to back.
pub(super) struct Stream {
    bytes: Bytes,
    path: Arc<Path>,
    position_bytes: u64,
    /// The length of a plain archive, or the most that a packed one may unpack to.
    end_bytes: u64,
}

enum Bytes {
    Plain(BufReader<File>),
    Packed(Packed),
}

impl Stream {
    /// An archive of `size_bytes` bytes, as it lies in `file`.
    pub(super) fn open(file: File, size_bytes: u64, path: &Path) -> Result<Self, Failure> {
        let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
        file.fill_buf().map_err(|error| unreadable_file(path, &error))?;
        let (bytes, end_bytes) = match Packed::open(file) {
            Ok(packed) => (Bytes::Packed(packed), UNPACKED_MAX_BYTES),
            Err(file) => (Bytes::Plain(file), size_bytes),
        };
        Ok(Self { bytes, path: path.into(), position_bytes: 0, end_bytes })
    }

    /// Whether the archive is not packed, so that a position is one in the file itself.
    pub(super) fn is_plain(&self) -> bool {
        match self.bytes {
            Bytes::Plain(_) => true,
            Bytes::Packed(_) => false,
        }
    }

    /// How many bytes were passed already.
    pub(super) fn position(&self) -> u64 {
        self.position_bytes
    }

    /// The next `length_bytes` bytes.
    pub(super) fn read(&mut self, length_bytes: u64) -> Result<Vec<u8>, Failure> {
        self.require(length_bytes)?;
        // `require` bounds a plain archive's claim by its file, a packed one's
        // by what may be unpacked; a claim alone does not get that much memory.
        let capacity = usize::try_from(length_bytes.min(1 << 20)).unwrap_or(0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        let result = self.reader().take(length_bytes).read_to_end(&mut bytes);
        result.map_err(|error| self.failure(&error))?;
        if bytes.len() as u64 != length_bytes {
            return Err(self.truncated());
        }
        self.position_bytes += length_bytes;
        Ok(std::mem::take(&mut *bytes))
    }

    /// Fills `block` as far as the archive goes; returns how far.
    pub(super) fn read_block(&mut self, block: &mut [u8; 512]) -> Result<usize, Failure> {
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader().read(rest) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(&error)),
            }
        }
        self.position_bytes += filled as u64;
        self.require(0)?;
        Ok(filled)
    }

    /// Passes over `length_bytes` bytes.
    pub(super) fn skip(&mut self, length_bytes: u64) -> Result<(), Failure> {
        self.require(length_bytes)?;
        let Bytes::Plain(file) = &mut self.bytes else {
            return self.read(length_bytes).map(drop);
        };
        // No file is longer than `i64` counts, and `require` has seen its length.
        let result = file.seek_relative(i64::try_from(length_bytes).unwrap_or(i64::MAX));
        result.map_err(|error| self.failure(&error))?;
        self.position_bytes += length_bytes;
        Ok(())
    }

    /// Says which member and archive a failure is about. A signal is no archive's fault.
    pub(super) fn in_member(&self, member: &[u8], mut failure: Failure) -> Failure {
        if failure.exit != Exit::Interrupted {
            let (member, path) = (printable(member), shown(&self.path));
            failure.message = format!("\"{member}\" in {path}: {}", failure.message);
        }
        failure
    }

    /// A failure that names the archive.
    pub(super) fn damaged(&self, what: &str) -> Failure {
        refused(format!("{} is not a valid archive: {what}", shown(&self.path)))
    }

    /// The archive ends too early.
    pub(super) fn truncated(&self) -> Failure {
        self.damaged("it is truncated")
    }

    /// An error unless `length_bytes` more bytes can be there.
    pub(super) fn require(&self, length_bytes: u64) -> Result<(), Failure> {
        let end = self.position_bytes.checked_add(length_bytes);
        if end.is_some_and(|end| end <= self.end_bytes) {
            return Ok(());
        }
        let Bytes::Packed(packed) = &self.bytes else { return Err(self.truncated()) };
        let max = UNPACKED_MAX_BYTES >> 20;
        Err(refused(format!("{} unpacks to more than {max} MiB", shown(&self.path)))
            .hint(unpack_with(packed)))
    }

    fn reader(&mut self) -> &mut dyn Read {
        match &mut self.bytes {
            Bytes::Plain(file) => file,
            Bytes::Packed(packed) => packed,
        }
    }

    /// What went wrong, in our own words: a library's may quote content.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the standard library may add kinds")]
    fn failure(&self, error: &io::Error) -> Failure {
        let Bytes::Packed(packed) = &self.bytes else { return unreadable_file(&self.path, error) };
        let (name, path) = (packed.name(), shown(&self.path));
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.truncated(),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
                self.damaged(&format!("its {name} data is damaged"))
            }
            io::ErrorKind::FileTooLarge => {
                let max = PADDING_MAX_BYTES >> 20;
                self.damaged(&format!("more than {max} MiB of zeros follow its end"))
            }
            io::ErrorKind::QuotaExceeded => {
                self.damaged(&format!("most of its {name} data unpacks to nothing"))
            }
            io::ErrorKind::OutOfMemory => refused(format!(
                "{path} has {name} data with a larger dictionary than fits in memory"
            ))
            .hint(unpack_with(packed)),
            io::ErrorKind::Unsupported => {
                refused(format!("{path} has {name} data of an unknown kind"))
                    .hint(unpack_with(packed))
            }
            _ => unreadable_file(&self.path, error),
        }
    }
}

fn unpack_with(packed: &Packed) -> String {
    let program = packed.program();
    format!("unpack it with {program}: a plain archive is streamed and may have any size")
}
