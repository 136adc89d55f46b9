//! Holes of files: where nothing was ever written, a file reads as zeros and takes no room.
//! They are told to the sink instead of being read. What is read comes in pieces, between which
//! signals are noticed: a sink that only compares asks for none.

use std::fs::File;
use std::io;

use credimg_formats::Sink;
use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::{Errno, retry_on_intr};

use super::identity::size_bytes;
use crate::host::signals;

/// What `st_blocks` counts in, on every file system.
const STAT_BLOCK_BYTES: u64 = 512;
/// What is read at once, of a slow file system, too, within the time that a signal may wait.
const PIECE_BYTES: u64 = 4 << 20;
/// Farther than any file reaches.
const NO_END: u64 = u64::MAX;

/// Whether the file takes less room than its length says, so that it is worth asking for
/// holes: no call of the system is spent on any other.
pub(crate) fn may_have_holes(stat: &Stat) -> bool {
    let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
    blocks.saturating_mul(STAT_BLOCK_BYTES) < size_bytes(stat)
}

/// Copies at most `length_bytes` bytes from the file's offset on and tells the sink of holes;
/// returns how many there were. A file that ends in a hole, before so many bytes, is not told
/// from a longer one: whoever knows its length has to look whether that has changed.
pub(crate) fn copy_with_holes(
    file: &File,
    length_bytes: u64,
    sink: &mut dyn Sink,
) -> io::Result<u64> {
    let start = seek_to(file, SeekFrom::Current(0))?;
    let end = start.saturating_add(length_bytes);
    let mut position = start;
    while position < end {
        let data = data_from(file, position).min(end);
        if data > position {
            sink.write_zeros(data - position)?;
            position = data;
        }
        if position == end {
            break;
        }
        let hole = hole_from(file, position).min(end);
        seek_to(file, SeekFrom::Start(position))?;
        position += copy_in_pieces(file, hole - position, sink)?;
        if position < hole {
            break;
        }
    }
    Ok(position - start)
}

/// Copies at most `length_bytes` bytes from the file's offset on, holes as zeros; returns how many
/// there were. An error that holds a [`Failure`](crate::report::Failure) is a signal.
pub(crate) fn copy_in_pieces(
    file: &File,
    length_bytes: u64,
    sink: &mut dyn Sink,
) -> io::Result<u64> {
    let mut copied = 0;
    while copied < length_bytes {
        signals::check()?;
        let piece = PIECE_BYTES.min(length_bytes - copied);
        let got = sink.copy_from_file(file, piece)?;
        copied += got;
        if got < piece {
            break;
        }
    }
    Ok(copied)
}

/// Where data begins at `position` or behind it; right there where a file system cannot tell,
/// or fails: then reading shows what is wrong.
fn data_from(file: &File, position: u64) -> u64 {
    match seek_to(file, SeekFrom::Data(position)) {
        Ok(data) => data.max(position),
        // No data up to the end of the file.
        Err(Errno::NXIO) => NO_END,
        Err(_) => position,
    }
}

/// Where the data at `position` ends; nowhere where a file system cannot tell, or tells now
/// that there is none.
fn hole_from(file: &File, position: u64) -> u64 {
    match seek_to(file, SeekFrom::Hole(position)) {
        Ok(hole) if hole > position => hole,
        Ok(_) | Err(_) => NO_END,
    }
}

fn seek_to(file: &File, place: SeekFrom) -> rustix::io::Result<u64> {
    retry_on_intr(|| seek(file, place))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::io::Write;
    use std::os::unix::fs::FileExt;

    use credimg_formats::content::copy_buffered;
    use rustix::fs::fstat;

    use super::*;

    /// Notes how much is copied at once.
    #[derive(Default)]
    struct Pieces {
        bytes: Vec<u8>,
        lengths: Vec<u64>,
    }

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.bytes.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Pieces {
        fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
            self.lengths.push(length_bytes);
            copy_buffered(file, &mut self.bytes, length_bytes)
        }
    }

    #[test]
    fn no_sink_keeps_a_signal_waiting() {
        let data = vec![b'x'; 10 << 20];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&data).unwrap();
        for hole in [0, 1 << 20] {
            file.set_len((data.len() + hole) as u64).unwrap();
            // Behind a hole, too, where there is one.
            file.write_all_at(b"y", (data.len() + hole - 1) as u64).unwrap();
            assert_eq!(may_have_holes(&fstat(&file).unwrap()), hole > 0);
            seek_to(&file, SeekFrom::Start(0)).unwrap();
            let mut sink = Pieces::default();
            let length = (data.len() + hole) as u64;
            let copied = match hole {
                0 => copy_in_pieces(&file, length, &mut sink),
                _ => copy_with_holes(&file, length, &mut sink),
            };
            assert_eq!(copied.unwrap(), length);
            assert!(sink.lengths.iter().all(|length| *length <= PIECE_BYTES), "{:?}", sink.lengths);
            assert!(sink.lengths.len() >= 3);
            let mut expected = vec![b'x'; data.len()];
            expected.resize(data.len() + hole, 0);
            *expected.last_mut().unwrap() = b'y';
            // The first round's mark.
            if hole > 0 {
                *expected.get_mut(data.len() - 1).unwrap() = b'y';
            }
            assert!(sink.bytes == expected);
        }
    }
}
