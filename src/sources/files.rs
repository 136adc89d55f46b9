//! Files of the host, opened so that nothing blocks and no device notices, and
//! proven not to have changed since they were planned.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use credimg_formats::{Buffer, Content, Error, ErrorKind, Name, Secret, Sink, Source};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::{read, retry_on_intr};

use super::builder::Scope;
use crate::host::at_rest::{
    self, CHANGED_HINT, Digesting, FirstReading, wait_for_rest, wait_for_rest_of_empty,
};
use crate::host::holes::{copy_in_pieces, copy_with_holes, may_have_holes};
use crate::host::identity::{FileId, Identity, file_id, size_bytes};
use crate::host::lease::Hold;
use crate::host::open::{OPEN, cannot_read, unreadable, unreadable_because};
use crate::report::{Exit, Failure, reason, shown};

/// A host directory as it was planned. It holds no descriptor: there may be
/// more directories than a process may open.
#[derive(Debug)]
pub(super) struct Directory {
    /// Its path, for messages and to open it again.
    pub(super) path: PathBuf,
    /// Which directory it was.
    pub(super) id: FileId,
    /// The directory above it, where it is not the first.
    pub(super) parent: Option<Arc<Directory>>,
    /// Shared by all directories of one `dir:`.
    pub(super) latest: Latest,
}

/// The directories that were opened last: files are streamed directory by directory, so a few open
/// descriptors, one for each thread that reads, are enough for all directories of a `dir:`.
pub(super) type Latest = Arc<Mutex<Vec<(FileId, Arc<OwnedFd>)>>>;

/// Up to this length a file is read so fast that a writer hardly notices that it waits for a lease.
const HELD_MAX_BYTES: u64 = 64 << 10;
/// How many directories are kept open.
const LATEST_MAX: usize = 4;

impl Directory {
    /// Opens the directory again, or the one kept open.
    fn open(&self) -> Result<Arc<OwnedFd>, Error> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, descriptor)) = latest.iter().find(|(id, _)| *id == self.id) {
            return Ok(Arc::clone(descriptor));
        }
        let unreadable = |errno| unreadable(&self.path, errno);
        let descriptor =
            openat(CWD, &self.path, OPEN | OFlags::DIRECTORY, Mode::empty()).map_err(unreadable)?;
        if file_id(&fstat(&descriptor).map_err(unreadable)?) != self.id {
            return Err(changed(&self.path));
        }
        let descriptor = Arc::new(descriptor);
        if latest.len() == LATEST_MAX {
            latest.remove(0);
        }
        latest.push((self.id, Arc::clone(&descriptor)));
        Ok(descriptor)
    }
}

/// Where a file is found again.
#[derive(Debug)]
pub(super) enum Location {
    /// A path; symbolic links in it are followed, as when it was planned.
    Path(Arc<Path>),
    /// An entry of a directory, itself no symbolic link.
    Entry(Arc<Directory>, Name),
}

impl Location {
    fn path(&self) -> PathBuf {
        match self {
            Self::Path(path) => path.to_path_buf(),
            Self::Entry(directory, name) => child_path(&directory.path, name),
        }
    }

    /// Opens the file if it is still the planned one; returns its attributes as well.
    fn open(&self, planned: &Identity) -> Result<(File, Stat), Error> {
        let unreadable = |errno| unreadable(&self.path(), errno);
        let descriptor = match self {
            Self::Path(path) => {
                // By name first: the path may lead to a device by now, which opening would disturb.
                let stat = statat(CWD, &**path, AtFlags::empty()).map_err(unreadable)?;
                if Identity::of(&stat) != *planned {
                    return Err(changed(&self.path()));
                }
                openat(CWD, &**path, OPEN, Mode::empty())
            }
            Self::Entry(directory, name) => {
                let flags = OPEN | OFlags::NOFOLLOW;
                openat(&*directory.open()?, name.as_bytes(), flags, Mode::empty())
            }
        };
        let file = File::from(descriptor.map_err(unreadable)?);
        let stat = fstat(&file).map_err(unreadable)?;
        self.require_same(&stat, planned)?;
        Ok((file, stat))
    }

    fn require_same(&self, stat: &Stat, planned: &Identity) -> Result<(), Error> {
        let is_same = !crate::host::KEEPS_PROMISES || Identity::of(stat) == *planned;
        if is_same { Ok(()) } else { Err(changed(&self.path())) }
    }

    fn require_unchanged(&self, file: &File, planned: &Identity) -> Result<(), Error> {
        if !crate::host::KEEPS_PROMISES {
            return Ok(());
        }
        let stat = fstat(file).map_err(|errno| unreadable(&self.path(), errno))?;
        self.require_same(&stat, planned)
    }
}

/// A file, or a range of one, that is opened and read when the image is written.
#[derive(Debug)]
pub(super) struct LaterFile {
    /// Where it is found.
    pub(super) location: Location,
    /// What it was when planned.
    pub(super) planned: Identity,
    /// Where the range begins.
    pub(super) offset_bytes: u64,
    /// A first reading of the range, where somebody had the file open for writing; apart, as
    /// most of many files have none.
    pub(super) first: Option<Box<FirstReading>>,
}

impl Source for LaterFile {
    fn stream(&self, planned_bytes: u64, sink: &mut dyn Sink) -> Result<(), Error> {
        let (mut file, stat) = self.location.open(&self.planned)?;
        if self.offset_bytes > 0 {
            file.seek(SeekFrom::Start(self.offset_bytes))
                .map_err(|error| unreadable_because(&self.location.path(), error))?;
        }
        let path = || self.location.path();
        let mut first = self.first.as_deref().cloned();
        if first.is_none() {
            let end = self.offset_bytes.saturating_add(planned_bytes);
            first =
                FirstReading::if_needed(&file, self.offset_bytes..end, hold(planned_bytes), path)
                    .map_err(|error| cannot_digest(&path(), error))?;
        }
        let copied = match &first {
            None => copy(&file, &stat, planned_bytes, sink).map(Some),
            Some(first) => copy_again(first, &file, &stat, planned_bytes, sink),
        }
        .map_err(|error| blame(&file, &path(), error))?;
        self.location.require_unchanged(&file, &self.planned)?;
        if copied == Some(planned_bytes) { Ok(()) } else { Err(changed(&path())) }
    }
}

/// How long a lease is held on a file of which so much is read before it is closed.
fn hold(length_bytes: u64) -> Hold {
    if length_bytes <= HELD_MAX_BYTES { Hold::UntilClosed } else { Hold::Briefly }
}

/// The content of the open `file`: read now while memory lasts, else streamed
/// later from `location`.
pub(super) fn content(
    file: impl AsFd,
    stat: &Stat,
    to: &mut Scope,
    path: impl Fn() -> PathBuf,
    location: impl FnOnce() -> Location,
) -> Result<Content, Failure> {
    wait_for_rest(stat, &mut || to.report_waiting())?;
    let length_bytes = size_bytes(stat);
    if !to.budget().takes_small_file(length_bytes) {
        return later(stat, location(), to);
    }
    let first = FirstReading::if_needed(&file, 0..length_bytes, hold(length_bytes), &path)
        .map_err(|error| cannot_read_because(&path(), error))?;
    if first.is_some() && length_bytes == 0 {
        // Perhaps a writer has emptied it and is about to fill it. Files of /proc only look empty.
        wait_for_rest_of_empty(stat, &mut || to.report_waiting())?;
    }
    let Some(first) = first.filter(|_| length_bytes > 0) else {
        return read_unchanged(file, stat, &path).map(Content::Memory);
    };
    let planned = Identity::of(stat);
    let first = Some(Box::new(first));
    let source = LaterFile { location: location(), planned, offset_bytes: 0, first };
    Ok(Content::Stream { length_bytes, source: Box::new(source) })
}

/// Content that is streamed later, whole.
pub(super) fn later(stat: &Stat, location: Location, to: &mut Scope) -> Result<Content, Failure> {
    wait_for_rest(stat, &mut || to.report_waiting())?;
    let planned = Identity::of(stat);
    let source = LaterFile { location, planned, offset_bytes: 0, first: None };
    Ok(Content::Stream { length_bytes: size_bytes(stat), source: Box::new(source) })
}

/// The path of an entry of a directory.
pub(super) fn child_path(directory: &Path, name: &Name) -> PathBuf {
    directory.join(OsStr::from_bytes(name.as_bytes()))
}

/// The failure to read the file at `path`.
pub(super) fn unreadable_file(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Source, format!("cannot read {}: {}", shown(path), reason(error)))
}

/// Reads a whole small file and proves that it did not change meanwhile.
fn read_unchanged(
    file: impl AsFd,
    stat: &Stat,
    path: &dyn Fn() -> PathBuf,
) -> Result<Secret, Failure> {
    let mut room = Buffer::zeroed(room_for(stat));
    read_unchanged_to(&mut room, file, stat, path)?;
    let length_bytes = room.len() - 1;
    Ok(room.into_secret(length_bytes))
}

/// How much room is needed to read a whole small file: one more byte than announced shows
/// without another call that it grew.
pub(super) fn room_for(stat: &Stat) -> usize {
    usize::try_from(size_bytes(stat)).unwrap_or(usize::MAX).saturating_add(1)
}

/// Reads a whole small file into all but the last byte of `room`, which is [`room_for`] it, and
/// proves that it did not change meanwhile: with one `read` where the size is as announced.
pub(super) fn read_unchanged_to(
    room: &mut [u8],
    file: impl AsFd,
    stat: &Stat,
    path: &dyn Fn() -> PathBuf,
) -> Result<(), Failure> {
    let failure = |errno| cannot_read(&path(), errno);
    let size = room.len().saturating_sub(1);
    let mut length = 0;
    loop {
        let rest = room.get_mut(length..).unwrap_or_default();
        let got = retry_on_intr(|| read(&file, &mut *rest)).map_err(failure)?;
        length += got;
        if got == 0 || length >= size {
            break;
        }
    }
    if length != size {
        let got = if length > size { "more".to_owned() } else { length.to_string() };
        let message = format!("{}: expected {size} bytes, got {got}", changed(&path()));
        return Err(Failure::new(Exit::Source, message).hint(CHANGED_HINT));
    }
    if !crate::host::KEEPS_PROMISES {
        return Ok(());
    }
    let after = fstat(&file).map_err(failure)?;
    if Identity::of(&after) == Identity::of(stat) { Ok(()) } else { Err(at_rest::changed(&path())) }
}

/// Copies from the file's offset on to `sink`, which is told of holes.
fn copy(file: &File, stat: &Stat, length_bytes: u64, sink: &mut dyn Sink) -> std::io::Result<u64> {
    if may_have_holes(stat) {
        copy_with_holes(file, length_bytes, sink)
    } else {
        copy_in_pieces(file, length_bytes, sink)
    }
}

/// Copies to `sink` what was read once already, and only if it is still the same: then the
/// number of bytes is returned.
fn copy_again(
    first: &FirstReading,
    file: &File,
    stat: &Stat,
    length_bytes: u64,
    sink: &mut dyn Sink,
) -> std::io::Result<Option<u64>> {
    first.wait()?;
    let mut second = Digesting::new(sink);
    let copied = copy(file, stat, length_bytes, &mut second)?;
    Ok(first.is_same(second).then_some(copied))
}

/// Blames the source for an error of copying where the source cannot be read, else the sink.
fn blame(file: &File, path: &Path, error: std::io::Error) -> Error {
    let mut byte = [0];
    match retry_on_intr(|| read(file, &mut byte)) {
        Ok(_) => Error::from(error),
        Err(_) => unreadable_because(path, error),
    }
}

/// The error of a first reading that failed. A signal is no fault of the file.
fn cannot_digest(path: &Path, error: std::io::Error) -> Error {
    match Failure::inside(&error) {
        Some(failure) if failure.exit == Exit::Source => {
            Error::new(ErrorKind::Changed, failure.message.clone())
        }
        Some(_) => Error::from(error),
        None => unreadable_because(path, error),
    }
}

fn cannot_read_because(path: &Path, error: std::io::Error) -> Failure {
    match Failure::inside(&error) {
        Some(failure) => failure.clone(),
        None => Failure::new(Exit::Source, unreadable_because(path, error).to_string()),
    }
}

fn changed(path: &Path) -> Error {
    Error::new(ErrorKind::Changed, format!("{} changed while it was read", shown(path)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn an_error_of_copying_is_blamed_on_the_side_that_failed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "key").unwrap();
        let full = || Errno::NOSPC.into();
        let readable = File::open(&path).unwrap();
        assert_eq!(blame(&readable, &path, full()).kind(), ErrorKind::Io);
        let unreadable = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        assert_eq!(blame(&unreadable, &path, full()).kind(), ErrorKind::Source);
    }
}
