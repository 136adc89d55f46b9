//! Whether a process has a file mapped so that it can write to it without any call.
//!
//! Of what is open for writing by a descriptor every write shows in the file's times. A
//! shared mapping leaves no trace, and who writes by one may rest in the middle of it for
//! as long as the machine is busy.

use std::fs;
use std::io::{BufRead, BufReader};

/// Whether any process that the caller may look into has the file of this inode number in a
/// shared mapping that can be written to. Costs a look at every process: for files that are
/// open for writing alone.
pub(crate) fn is_mapped_for_writing(inode: u64) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    processes
        .filter(|entry| entry.file_name().to_str().is_some_and(is_process))
        .filter_map(|entry| fs::File::open(entry.path().join("maps")).ok())
        .flat_map(|maps| BufReader::new(maps).split(b'\n').map_while(Result::ok))
        .any(|line| is_writable_of(&line, inode))
}

/// Whether a line of `maps` (address, permissions, offset, device, inode, path) is of such a
/// mapping. The device is left out: some file systems show another one there.
fn is_writable_of(line: &[u8], inode: u64) -> bool {
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let permissions = fields.nth(1).unwrap_or_default();
    let number = fields.nth(2).and_then(|field| std::str::from_utf8(field).ok()?.parse().ok());
    permissions.get(1) == Some(&b'w') && permissions.get(3) == Some(&b's') && number == Some(inode)
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
            assert_eq!(is_writable_of(line.as_bytes(), 4711), expected, "{line}");
        }
    }
}
