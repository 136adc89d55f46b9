//! Files at rest: waits until what was changed just now can change no more without a
//! trace, and reads twice what somebody has open for writing.
//!
//! Invariant: what is read between [`wait_for_rest`] and a comparison of the [`Identity`] is what
//! the file held at one moment, where the kernel tells of every writer (`lease.rs`).

use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use credimg_formats::{Buffer, Sink};
use rustix::fs::{SeekFrom, Stat, fstat, fstatfs, seek};
use rustix::io::{pread, retry_on_intr};
use sha2::{Digest, Sha256};

use super::identity::{Identity, size_bytes, wide};
use super::lease::{Hold, is_open_for_writing};
use super::mappings::is_mapped_for_writing;
use crate::host::signals;
use crate::report::{Exit, Failure, reason, shown};

/// A change within so short a time may leave the times as they are: two ticks of the
/// slowest clock in use.
const TICK: Duration = Duration::from_millis(20);
/// What is open for writing is read twice, so far apart: longer than the kernel ever makes
/// a `write` pause because too much waits for the disk (`MAX_PAUSE`, 0.2 s).
const APART: Duration = Duration::from_millis(250);
/// How often a wait looks for signals.
const NAP: Duration = Duration::from_millis(50);
/// File systems that are in memory alone (linux/magic.h): tmpfs, ramfs, hugetlbfs.
const IN_MEMORY: [i64; 3] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6];
const PIECE_BYTES: usize = 256 << 10;
/// The largest file that is read twice as a whole besides being understood.
const WATCHED_MAX_BYTES: u64 = 256 << 20;

/// The hint of a file that changed.
pub(crate) const CHANGED_HINT: &str = "build again when nothing writes to it; a file of /proc or \
                                       /sys, whose size says nothing, is read by `command: [cat, \
                                       ...]`";

/// Waits until a file that was changed just now is at rest: what follows within one tick
/// of the clock may leave its times as they are, so only the times of a file that is older
/// tell later whether it was written to. `waiting` is called now and then while that takes
/// longer than a tick. The only error is a signal.
pub(crate) fn wait_for_rest(stat: &Stat, waiting: &mut dyn FnMut()) -> Result<(), Failure> {
    match left_until_rest(stat) {
        Duration::ZERO => Ok(()),
        left => wait_until(Instant::now() + left, waiting),
    }
}

/// Whether nothing has to be waited for before the file is read.
pub(crate) fn is_at_rest(stat: &Stat) -> bool {
    left_until_rest(stat).is_zero()
}

/// How long it takes from now on until the file is at rest.
fn left_until_rest(stat: &Stat) -> Duration {
    if !crate::host::KEEPS_PROMISES {
        return Duration::ZERO;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    unrest(change_time(stat), now)
}

/// Waits until an empty file was changed as long ago as two readings are apart: it may have
/// been emptied by who is about to write. The only error is a signal.
pub(crate) fn wait_for_rest_of_empty(
    stat: &Stat,
    waiting: &mut dyn FnMut(),
) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // By a clock that is ahead of ours it cannot be told how long ago that was.
    let age = now.checked_sub(at_rest_since(change_time(stat))).unwrap_or_default();
    wait_until(Instant::now() + APART.saturating_sub(age), waiting)
}

/// When the file was last changed, since 1970.
fn change_time(stat: &Stat) -> Duration {
    let nanoseconds = u32::try_from(wide(stat.st_ctime_nsec)).unwrap_or(0);
    Duration::new(u64::try_from(stat.st_ctime).unwrap_or(0), nanoseconds)
}

/// How long a file of this change time is not yet at rest.
fn unrest(changed: Duration, now: Duration) -> Duration {
    if now < changed {
        // A time in the future comes of another clock: a change now would show.
        return Duration::ZERO;
    }
    at_rest_since(changed).saturating_sub(now)
}

/// From when on a change shows in the times of a file of this change time. File systems that
/// count whole seconds (ext4 with small inodes, some of FUSE and of the network) have no
/// nanoseconds, and FAT, of which only even ones are seen, counts two seconds.
fn at_rest_since(changed: Duration) -> Duration {
    let unit = match (changed.subsec_nanos(), changed.as_secs() % 2) {
        (0, 0) => Duration::from_secs(2),
        (0, _) => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    changed.saturating_add(unit + TICK)
}

fn wait_until(end: Instant, waiting: &mut dyn FnMut()) -> Result<(), Failure> {
    loop {
        signals::check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        if left > NAP {
            waiting();
        }
        signals::pause(left.min(NAP));
    }
}

/// An error that holds a [`Failure`] where a process has the file mapped for writing. Waits for
/// a `write` that lasts: most file systems let nobody seek for holes meanwhile.
pub(crate) fn require_unmapped(file: impl AsFd, path: impl FnOnce() -> PathBuf) -> io::Result<()> {
    let stat = fstat(&file)?;
    let rested =
        if shows_mappings(&file) { at_rest_since(change_time(&stat)) } else { Duration::MAX };
    if is_mapped_for_writing(wide(stat.st_ino), rested) {
        let message = format!("{}: another process has it mapped for writing", shown(&path()));
        return Err(Failure::new(Exit::Source, message).hint(CHANGED_HINT).into());
    }
    let position = seek(&file, SeekFrom::Current(0))?;
    // Where a file system cannot tell, the time between two readings has to do.
    let _ = seek(&file, SeekFrom::Hole(0));
    seek(&file, SeekFrom::Start(position)).map(drop).map_err(io::Error::from)
}

/// Whether the first write by a mapping sets the file's times. Where nothing is ever written
/// to a disk, a page that was read before is written to without a fault.
fn shows_mappings(file: impl AsFd) -> bool {
    let kind = fstatfs(file).map(|found| found.f_type);
    kind.is_ok_and(|kind| !IN_MEMORY.contains(&kind))
}

/// Waits for as long as two readings are apart. The only error is a signal.
pub(crate) fn wait_apart() -> Result<(), Failure> {
    wait_until(Instant::now() + APART, &mut || {})
}

/// What a range of a file held when it was read for the first time.
#[derive(Clone, Debug)]
pub(crate) struct FirstReading {
    digest: [u8; 32],
    until: Instant,
}

impl FirstReading {
    /// Reads the range, but not where nobody has the file open for writing: then there is
    /// no need to read it twice. An error that holds a [`Failure`] is a signal, or of a file
    /// that is mapped for writing and so not to be trusted however often it is read.
    pub(crate) fn if_needed(
        file: impl AsFd,
        bytes: Range<u64>,
        hold: Hold,
        path: impl FnOnce() -> PathBuf,
    ) -> io::Result<Option<Self>> {
        if !is_open_for_writing(&file, hold) {
            return Ok(None);
        }
        require_unmapped(&file, path)?;
        Self::of(file, bytes).map(Some)
    }

    fn of(file: impl AsFd, bytes: Range<u64>) -> io::Result<Self> {
        let length_bytes = bytes.end.saturating_sub(bytes.start);
        let digest = digest(file, bytes.start, length_bytes)?;
        Ok(Self { digest, until: Instant::now() + APART })
    }

    /// Waits until it is time for the second reading. The only error is a signal.
    pub(crate) fn wait(&self) -> Result<(), Failure> {
        wait_until(self.until, &mut || {})
    }

    /// Whether the second reading was the same.
    pub(crate) fn is_same(&self, second: Digesting) -> bool {
        <[u8; 32]>::from(second.digest.finalize()) == self.digest
    }
}

fn digest(file: impl AsFd, offset_bytes: u64, length_bytes: u64) -> io::Result<[u8; 32]> {
    let mut digest = Sha256::new();
    let mut buffer = Buffer::zeroed(PIECE_BYTES);
    let mut done = 0;
    while done < length_bytes {
        signals::check()?;
        let window = buffer.get_mut(..capped(length_bytes - done)).unwrap_or_default();
        let got = retry_on_intr(|| pread(&file, &mut *window, offset_bytes + done))?;
        if got == 0 {
            break;
        }
        digest.update(window.get(..got).unwrap_or_default());
        done += got as u64;
    }
    Ok(digest.finalize().into())
}

/// A sink that digests what passes through: the second reading.
pub(crate) struct Digesting<'a> {
    sink: &'a mut dyn Sink,
    digest: Sha256,
}

impl<'a> Digesting<'a> {
    pub(crate) fn new(sink: &'a mut dyn Sink) -> Self {
        Self { sink, digest: Sha256::new() }
    }
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

// The kernel copies nothing here: what it copies is not seen.
impl Sink for Digesting<'_> {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.sink.write_zeros(length_bytes)?;
        let zeros = Buffer::zeroed(capped(length_bytes));
        let mut left = length_bytes;
        while let Some(piece) = zeros.get(..capped(left)).filter(|piece| !piece.is_empty()) {
            signals::check()?;
            self.digest.update(piece);
            left -= piece.len() as u64;
        }
        Ok(())
    }
}

/// So many bytes, or a piece's.
fn capped(length_bytes: u64) -> usize {
    usize::try_from(length_bytes).unwrap_or(PIECE_BYTES).min(PIECE_BYTES)
}

/// A file that is read by others, from its front to its end, between [`Watched::begin`] and
/// [`Watched::end`].
pub(crate) struct Watched {
    identity: Identity,
    first: Option<FirstReading>,
}

impl Watched {
    /// Waits until the regular file is at rest; `stat` is what fstat(2) tells of it.
    pub(crate) fn begin(file: impl AsFd, stat: &Stat, path: &Path) -> Result<Self, Failure> {
        wait_for_rest(stat, &mut || {})?;
        let size_bytes = size_bytes(stat);
        if size_bytes > WATCHED_MAX_BYTES && is_open_for_writing(&file, Hold::Briefly) {
            return Err(being_written(path));
        }
        let first =
            FirstReading::if_needed(&file, 0..size_bytes, Hold::Briefly, || path.to_owned())
                .map_err(|error| cannot_read(path, &error))?;
        Ok(Self { identity: Identity::of(stat), first })
    }

    /// An error of exit code 4 that names the file unless it is still what it was.
    pub(crate) fn end(&self, file: impl AsFd, path: &Path) -> Result<(), Failure> {
        if !crate::host::KEEPS_PROMISES {
            return Ok(());
        }
        let mut is_same = true;
        if let Some(first) = &self.first {
            first.wait()?;
            let second = digest(&file, 0, self.identity.size_bytes());
            is_same = second.map_err(|error| cannot_read(path, &error))? == first.digest;
        }
        let after = fstat(&file).map_err(|errno| cannot_read(path, &errno.into()))?;
        if is_same && Identity::of(&after) == self.identity { Ok(()) } else { Err(changed(path)) }
    }

    /// Whether somebody had the file open for writing at the beginning.
    pub(crate) fn is_open_for_writing(&self) -> bool {
        self.first.is_some()
    }

    /// A first reading of a range that is read again after the end; none where nobody had
    /// the file open for writing at the beginning.
    pub(crate) fn range(
        &self,
        bytes: Range<u64>,
        file: impl AsFd,
        path: &Path,
    ) -> Result<Option<FirstReading>, Failure> {
        if self.first.is_none() {
            return Ok(None);
        }
        let first = FirstReading::of(file, bytes);
        first.map(Some).map_err(|error| cannot_read(path, &error))
    }

    /// An error of exit code 4 as well where another number of bytes was read to the end
    /// of the file than it announces.
    pub(crate) fn end_at(
        &self,
        length_bytes: u64,
        file: impl AsFd,
        path: &Path,
    ) -> Result<(), Failure> {
        self.end(file, path)?;
        let size_bytes = self.identity.size_bytes();
        if length_bytes == size_bytes {
            return Ok(());
        }
        let failure = changed(path);
        let message =
            format!("{}: expected {size_bytes} bytes, got {length_bytes}", failure.message);
        Err(Failure { message, ..failure })
    }
}

/// The failure of a file to stay the same.
pub(crate) fn changed(path: &Path) -> Failure {
    let message = format!("{} changed while it was read", shown(path));
    Failure::new(Exit::Source, message).hint(CHANGED_HINT)
}

/// The failure of a file that cannot be read twice.
pub(crate) fn being_written(path: &Path) -> Failure {
    let message = format!("{}: another process has it open for writing", shown(path));
    Failure::new(Exit::Source, message).hint(CHANGED_HINT)
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    if let Some(interrupted) = Failure::inside(error) {
        return interrupted.clone();
    }
    Failure::new(Exit::Source, format!("cannot read {}: {}", shown(path), reason(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_at_rest_when_its_times_tell_of_the_next_change() {
        let at = |seconds, milliseconds: u32| Duration::new(seconds, milliseconds * 1_000_000);
        for (changed, now, expected) in [
            (at(1001, 500), at(1001, 500), at(0, 20)),
            (at(1001, 500), at(1001, 515), at(0, 5)),
            (at(1001, 500), at(1001, 520), at(0, 0)),
            (at(1001, 500), at(1009, 0), at(0, 0)),
            // Whole seconds, of which even ones may be those of FAT.
            (at(1001, 0), at(1001, 0), at(1, 20)),
            (at(1001, 0), at(1001, 900), at(0, 120)),
            (at(1001, 0), at(1002, 20), at(0, 0)),
            (at(1002, 0), at(1002, 0), at(2, 20)),
            (at(1002, 0), at(1003, 500), at(0, 520)),
            (at(1002, 0), at(1004, 20), at(0, 0)),
            // Another clock.
            (at(2001, 0), at(1001, 0), at(0, 0)),
        ] {
            assert_eq!(unrest(changed, now), expected, "{changed:?} {now:?}");
        }
    }
}
