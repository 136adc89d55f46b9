//! Reads what may be a pipe or a terminal: in full, up to a limit, and no longer than
//! until a signal comes.

use std::fs::File;
use std::io;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read as read_some, retry_on_intr};
use zeroize::Zeroizing;

use crate::host::signals;
use crate::host::streams::Stream;

/// Most manifests fit into this; what is reserved is wiped as well, read or not.
const START_BYTES: usize = 8 << 10;

/// Standard input, not through `io::stdin()`: its buffer would keep what was read to the end.
/// Where it is closed, the error holds a [`crate::report::Failure`].
pub fn stdin() -> io::Result<File> {
    Stream::Input.require_open()?;
    Ok(File::from(Stream::Input.descriptor().try_clone_to_owned()?))
}

/// Everything that `file` delivers, or one byte more than `max_bytes`: so a caller tells
/// what is too long. An error of a signal holds a [`crate::report::Failure`].
pub fn read(file: &File, max_bytes: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    while text.len() <= max_bytes {
        wait_for(file)?;
        if read_more(file, &mut text, START_BYTES, max_bytes)? == 0 {
            break;
        }
    }
    Ok(text)
}

/// Everything that a regular file of this size holds, or one byte more than `max_bytes`. Nobody
/// has to wait for it, and it is read at once where it has the size. An error of a signal holds a
/// [`crate::report::Failure`].
pub fn read_regular(
    file: &File,
    size_bytes: u64,
    max_bytes: usize,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    let size_bytes = usize::try_from(size_bytes).unwrap_or(usize::MAX);
    while text.len() <= max_bytes {
        signals::check()?;
        // One byte more tells a file that has grown.
        let got = read_more(file, &mut text, size_bytes.saturating_add(1), max_bytes)?;
        if got == 0 || text.len() == size_bytes {
            break;
        }
    }
    Ok(text)
}

/// Reads once behind the text, for which there is room for `start_bytes` at first.
fn read_more(
    file: &File,
    text: &mut Vec<u8>,
    start_bytes: usize,
    max_bytes: usize,
) -> io::Result<usize> {
    if text.len() == text.capacity() {
        let room = max_bytes + 1 - text.len();
        let more = text.len().max(start_bytes);
        text.reserve_exact(room.min(more));
    }
    Ok(retry_on_intr(|| read_some(file, spare_capacity(text)))?)
}

/// Waits until `file`, which may be a pipe or a terminal, has something to
/// read; a signal ends the wait.
fn wait_for(file: &File) -> io::Result<()> {
    let tenth = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    loop {
        signals::check()?;
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&tenth)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}
