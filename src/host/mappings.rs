//! Whether a process has a file mapped so that it can write to it without any call.
//!
//! Of what is open for writing by a descriptor every write shows in the file's times. A
//! shared mapping leaves no trace, and who writes by one may rest in the middle of it for
//! as long as the machine is busy.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::listing;

/// The files that were mapped for writing when a look at all processes began.
struct Look {
    /// Since 1970.
    begun: Duration,
    inodes: HashSet<u64>,
}

/// The last look: where thousands of files are open for writing, one is enough for all that
/// were at rest when it began.
static LAST: Mutex<Option<Look>> = Mutex::new(None);

/// Whether any process that the caller may look into has the file of this inode number in a
/// shared mapping that can be written to. `rested` is from when on, since 1970, the file's
/// times tell of a change: the first write by a mapping that is younger sets them. Costs a
/// look at every process: for files that are open for writing alone.
pub(crate) fn is_mapped_for_writing(inode: u64, rested: Duration) -> bool {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(look) = &*last
        && rested < look.begun
        && !look.inodes.contains(&inode)
    {
        return false;
    }
    last.insert(Look::now()).inodes.contains(&inode)
}

impl Look {
    fn now() -> Self {
        let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let proc = Path::new("/proc");
        let mut names = Vec::new();
        if let Ok(directory) = File::open(proc) {
            // What was seen before an error counts.
            let _ = listing::visit(directory, |name, _| names.push(name.to_owned()));
        }
        let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
        let inodes = names
            .into_iter()
            .filter(|name| name.to_str().is_some_and(is_process))
            .filter_map(|name| File::open(proc.join(name).join("maps")).ok())
            .flat_map(|maps| BufReader::new(maps).split(b'\n').map_while(Result::ok))
            .filter_map(|line| written_inode(&line))
            .collect();
        Self { begun, inodes }
    }
}

/// The inode number in a line of `maps` (address, permissions, offset, device, inode, path)
/// that is of such a mapping. The device is left out: some file systems show another one there.
fn written_inode(line: &[u8]) -> Option<u64> {
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let permissions = fields.nth(1)?;
    if permissions.get(1) != Some(&b'w') || permissions.get(3) != Some(&b's') {
        return None;
    }
    std::str::from_utf8(fields.nth(2)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_mappings_that_can_be_written_count() {
        for (line, expected) in [
            ("7f5c-7f5d rw-s 00000000 fe:00 4711    /tmp/a key", true),
            ("7f5c-7f5d -w-s 00001000 00:1a 4711 /dev/shm/key (deleted)", true),
            ("7f5c-7f5d rw-p 00000000 fe:00 4711 /tmp/key", false),
            ("7f5c-7f5d r--s 00000000 fe:00 4711 /tmp/key", false),
            ("7f5c-7f5d rw-s 00000000 fe:00 47111 /tmp/key", false),
            ("7f5c-7f5d rw-p 00000000 00:00 0 [heap]", false),
            ("", false),
        ] {
            assert_eq!(written_inode(line.as_bytes()) == Some(4711), expected, "{line}");
        }
    }
}
