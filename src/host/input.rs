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
        if text.len() == text.capacity() {
            let room = max_bytes + 1 - text.len();
            let more = text.len().max(START_BYTES);
            text.reserve(room.min(more));
        }
        if retry_on_intr(|| read_some(file, spare_capacity(&mut text)))? == 0 {
            break;
        }
    }
    Ok(text)
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
