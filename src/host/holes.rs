//! Holes of files: where nothing was ever written, a file reads as zeros and takes no room.
//! They are told to the sink instead of being read.

use std::fs::File;
use std::io;

use credimg_formats::Sink;
use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::{Errno, retry_on_intr};

use super::identity::size_bytes;

/// What `st_blocks` counts in, on every file system.
const STAT_BLOCK_BYTES: u64 = 512;
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
        position += sink.copy_from_file(file, hole - position)?;
        if position < hole {
            break;
        }
    }
    Ok(position - start)
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
