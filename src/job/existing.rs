//! `--if-changed`: whether a build would make the image that is there already.
//!
//! Nothing is trusted but the bytes: sources are read and commands run as for
//! any build, the image is laid out with the UUID and the time of the old one,
//! and compared with it while it would be written. Times of files say nothing,
//! and no record of an earlier build is kept.

use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use credimg_formats::content::read_full;
use credimg_formats::luks::Version;
use credimg_formats::probe::{self, Stamp};
use credimg_formats::{Sink, Tree, verity};
use rustix::fs::{CWD, Mode, OFlags, Stat, fstat};
use zeroize::Zeroizing;

use super::beside;
use super::encryptor::{Encryptor, Inside};
use super::image::{Image, Written};
use crate::delivery::sidecar::{self, Sidecar};
use crate::host::identity::Identity;
use crate::host::lease::{Hold, is_open_for_writing};
use crate::host::memory::without_traces;
use crate::host::output::{self, INDEX_SUFFIX, index_text};
use crate::host::signals;
use crate::host::steady::Steady;
use crate::look::file_start::FileStart;
use crate::report::{self, Exit, Failure};

/// An image that may stay as it is.
pub(crate) struct Existing {
    file: File,
    /// What is inside, if it is encrypted.
    inside: Option<RefCell<Inside>>,
    /// Where the hash tree behind an encrypted image begins, if it has one.
    tree_offset_bytes: Option<u64>,
    /// The UUID and the time that it was made with.
    pub(crate) stamp: Stamp,
}

impl Existing {
    /// The image at `path`. None if it has to be made anyway: it is missing, is no image, or would
    /// get another owner, mode, encryption or label in its header.
    pub(crate) fn open(
        path: &Path,
        wanted: output::Permissions,
        encryptor: Option<&Encryptor>,
        has_tree: bool,
        label: Option<&str>,
    ) -> Option<Self> {
        without_traces(|| Self::open_here(path, wanted, encryptor, has_tree, label))
    }

    fn open_here(
        path: &Path,
        wanted: output::Permissions,
        encryptor: Option<&Encryptor>,
        has_tree: bool,
        label: Option<&str>,
    ) -> Option<Self> {
        let file = open(path, wanted)?;
        let Some(encryptor) = encryptor else {
            let stamp = probe::stamp(&mut &file).ok()??;
            return Some(Self { file, inside: None, tree_offset_bytes: None, stamp });
        };
        let is_around = match encryptor.luks() {
            Version::Luks1 => false,
            Version::Luks2 => has_tree,
        };
        let tree_offset_bytes =
            if is_around { Some(verity::find(&file).ok()??.data_bytes) } else { None };
        let part = FileStart::new(file.try_clone().ok()?, tree_offset_bytes.unwrap_or(u64::MAX));
        let mut inside = encryptor.open(part, label)?;
        let stamp = probe::stamp(&mut inside.plain).ok()??;
        Some(Self { file, inside: Some(RefCell::new(inside)), tree_offset_bytes, stamp })
    }

    /// The UUID of its header, if it is encrypted.
    pub(crate) fn header_uuid(&self) -> Option<[u8; 16]> {
        self.inside.as_ref().map(|inside| inside.borrow().uuid)
    }

    /// What a build would have written, if `image` of `tree`, which must have this stamp, is
    /// exactly this file. None if it is another one, or if that cannot be told, as when the format
    /// cannot hold the time: then the build itself meets any error again. The only error here is a
    /// signal.
    pub(crate) fn compare(&self, image: &Image, tree: &Tree) -> Result<Option<Written>, Failure> {
        let mut inside = self.inside.as_ref().map(RefCell::borrow_mut);
        let (old, offset_bytes): (&mut dyn ReadSeek, u64) = match inside.as_deref_mut() {
            Some(Inside { plain, offset_bytes, .. }) => (plain, *offset_bytes),
            None => (&mut &self.file, 0),
        };
        let Ok(before) = fstat(&self.file) else { return Ok(None) };
        let Ok(mut comparison) = Comparison::new(old) else { return Ok(None) };
        let written = without_traces(|| image.write_inside(tree, &mut comparison));
        let Some(Written { size_bytes, sealed }) = unless_interrupted(written)? else {
            return Ok(None);
        };
        if !comparison.found_equal() {
            return Ok(None);
        }
        let written = match self.tree_offset_bytes {
            Some(tree_offset_bytes) => self.seal_again(image, tree_offset_bytes)?,
            None => Some(Written { size_bytes: offset_bytes + size_bytes, sealed }),
        };
        Ok(written.filter(|_| self.is_at_rest(&before)))
    }

    /// What a build would have written, if the hash tree behind `data_bytes` of the file is the one
    /// that `image` would get. An encrypted image is never written the same again, so its tree is
    /// made from the file.
    fn seal_again(&self, image: &Image, data_bytes: u64) -> Result<Option<Written>, Failure> {
        let (Ok(whole), Ok(data)) = (self.file.try_clone(), self.file.try_clone()) else {
            return Ok(None);
        };
        let mut whole = FileStart::whole(whole);
        let Ok(mut comparison) = Comparison::new(&mut whole) else { return Ok(None) };
        let mut data = BufReader::with_capacity(256 << 10, FileStart::new(data, data_bytes));
        let sealed = image.sealed(&mut comparison, &mut |mut sink| {
            io::copy(&mut data, &mut sink).map_err(|error| {
                let failure = Failure::inside(&error).cloned();
                failure.unwrap_or_else(|| Failure::new(Exit::Output, report::reason(&error)))
            })
        });
        Ok(unless_interrupted(sealed)?.filter(|_| comparison.found_equal()))
    }

    /// Whether nobody has written to the image since it was opened, nor can do so now: otherwise it
    /// may not be an image that a build has made.
    fn is_at_rest(&self, before: &Stat) -> bool {
        let after = fstat(&self.file).map(|after| Identity::of(&after));
        after == Ok(Identity::of(before)) && !is_open_for_writing(&self.file, Hold::Briefly)
    }

    /// Whether the image is still the file at `path`: a command of the manifest or another builder
    /// may have removed or replaced it.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let id = |found: Metadata| (found.dev(), found.ino());
        let there = std::fs::symlink_metadata(path).map(id);
        there.is_ok_and(|there| self.file.metadata().map(id).is_ok_and(|own| own == there))
    }

    /// The image as one that stays at `path`, for a batch together with new ones.
    pub(crate) fn into_kept(
        self,
        path: &Path,
        wanted: output::Permissions,
    ) -> Result<output::KeptFile, Failure> {
        output::KeptFile::new(path, self.file, wanted)
    }

    /// Makes sure that the image is on the disk, and that nothing else is left beside it, as after
    /// a build.
    pub(crate) fn keep(&self, path: &Path, wanted: output::Permissions) -> Result<(), Failure> {
        output::sync(path, &self.file, wanted)
    }
}

/// What was written; none if that failed, as the build itself then meets any error again. The only
/// error is a signal.
fn unless_interrupted(written: Result<Written, Failure>) -> Result<Option<Written>, Failure> {
    match written {
        Ok(written) => Ok(Some(written)),
        Err(failure) if failure.exit == Exit::Interrupted => Err(failure),
        Err(_) => Ok(None),
    }
}

/// Whether the image at `path` has exactly these private files beside it, and its index names no
/// others.
pub(crate) fn has_sidecars(path: &Path, sidecars: &[Sidecar], wanted: output::Permissions) -> bool {
    let is_there = |suffix: &str, head: Option<&Steady>, content: &[u8]| {
        let file = open(&sidecar::path(path, suffix), wanted);
        let begins_so = |file: &File| head.is_none_or(|head| begins_with(file, head));
        file.is_some_and(|file| begins_so(&file) && holds(&file, content))
    };
    if sidecars.is_empty() {
        return beside::look(path).is_ok_and(|all| all.is_empty());
    }
    let mut suffixes: Vec<_> = sidecars.iter().map(|sidecar| sidecar.suffix.clone()).collect();
    suffixes.sort_unstable();
    is_there(INDEX_SUFFIX, None, index_text(&suffixes).as_bytes())
        && sidecars.iter().all(|it| is_there(&it.suffix, it.head.as_deref(), it.content.expose()))
}

/// Whether the file has the content of `head` at its offset, which is behind that content
/// afterwards. If that cannot be told, a new build meets the error again.
fn begins_with(file: &File, head: &Steady) -> bool {
    let is_same = || -> io::Result<bool> {
        let mut left = BufReader::with_capacity(COMPARED_BYTES, head.rewound()?);
        let mut found = Vec::with_capacity(COMPARED_BYTES);
        loop {
            signals::check()?;
            let piece = left.fill_buf()?;
            if piece.is_empty() {
                return Ok(true);
            }
            found.clear();
            let got = file.take(piece.len() as u64).read_to_end(&mut found)?;
            if got < piece.len() || found != piece {
                return Ok(false);
            }
            left.consume(got);
        }
    };
    is_same().unwrap_or(false) && head.require_unchanged().is_ok()
}

/// How much is read at once of two files that are compared.
const COMPARED_BYTES: usize = 256 << 10;

/// The file at `path`; none unless a build would leave one with this type, owner and mode.
fn open(path: &Path, wanted: output::Permissions) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty()).ok()?);
    looks_as_wanted(&file, wanted).then_some(file)
}

/// Whether the file holds exactly these bytes from its offset on.
fn holds(file: &File, bytes: &[u8]) -> bool {
    let mut found = Zeroizing::new(vec![0; bytes.len() + 1]);
    read_full(file, &mut found).is_ok_and(|length| found.get(..length) == Some(bytes))
}

/// Whether type, owner and mode of the file are those that [`output::OutputFile::commit`] would
/// leave.
fn looks_as_wanted(file: &File, wanted: output::Permissions) -> bool {
    let Ok(found) = file.metadata() else { return false };
    let own = rustix::process::geteuid().as_raw();
    let has_owner = if let Some(owner) = wanted.owner {
        owner == (found.uid(), found.gid())
    } else {
        // A directory may give its group to a new file. Making the file again is safe then.
        let group = rustix::process::getegid().as_raw();
        let is_closed = wanted.mode.map_or(found.mode(), u32::from) & 0o070 == 0;
        found.uid() == own && (found.gid() == group || is_closed)
    };
    found.is_file() && has_owner && wanted.has_access(file, &found)
}

/// The old image: the file itself, or what is inside its encryption.
trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// How many bytes of the start are compared last, as a writer may rewrite them.
const START_BYTES: usize = 4096;

/// A sink that compares what is written with the old image. The first difference is an error, so
/// that no more sources are read than needed.
struct Comparison<'a> {
    /// The old image behind its start.
    rest: BufReader<&'a mut dyn ReadSeek>,
    old_start: Zeroizing<Vec<u8>>,
    start: Zeroizing<Vec<u8>>,
    /// How many bytes behind the start were compared.
    behind_bytes: u64,
    differs: bool,
}

impl<'a> Comparison<'a> {
    fn new(old: &'a mut dyn ReadSeek) -> io::Result<Self> {
        old.rewind()?;
        let mut old_start = Zeroizing::new(vec![0; START_BYTES]);
        let length = read_full(&mut *old, &mut old_start)?;
        old_start.truncate(length);
        let rest = BufReader::with_capacity(64 << 10, old);
        let start = Zeroizing::new(Vec::with_capacity(START_BYTES));
        Ok(Self { rest, old_start, start, behind_bytes: 0, differs: false })
    }

    /// Whether everything that the file holds was written.
    fn found_equal(mut self) -> bool {
        let is_at_end = self.rest.fill_buf().is_ok_and(<[u8]>::is_empty);
        !self.differs && is_at_end && self.start == self.old_start
    }

    fn differ(&mut self) -> io::Error {
        self.differs = true;
        io::Error::other("the image differs")
    }
}

impl Write for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        signals::check()?;
        let room = START_BYTES - self.start.len();
        if let Some(head) = bytes.get(..room.min(bytes.len())).filter(|head| !head.is_empty()) {
            self.start.extend_from_slice(head);
            return Ok(head.len());
        }
        // A file that cannot be read has to be made again.
        let old = self.rest.fill_buf().unwrap_or_default();
        let length = old.len().min(bytes.len());
        if (length == 0 && !bytes.is_empty()) || old.get(..length) != bytes.get(..length) {
            return Err(self.differ());
        }
        self.rest.consume(length);
        self.behind_bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Comparison<'_> {
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        // Only the start can be compared later. All writers rewrite nothing else.
        self.start.rewrite(back_bytes.saturating_sub(self.behind_bytes), bytes)
    }
}
