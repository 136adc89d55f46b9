//! The memory of a stopped process.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;

/// A part of a process's memory that it can read.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The file behind it, or a name such as `[heap]` or `[stack]`; else empty.
    pub(crate) name: String,
    /// Whether it is locked (mlock(2)), and so never in the swap.
    pub(crate) is_locked: bool,
    /// What it holds; empty where the kernel lets nobody read it, as `[vvar]`.
    pub(crate) bytes: Vec<u8>,
}

/// All readable mappings of a process, in the order of their addresses, but for those
/// of files that it cannot write to.
pub(super) fn mappings(process: Pid) -> Vec<Mapping> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut mappings: Vec<Mapping> = Vec::new();
    // Whether the lines that follow are of the last mapping.
    let mut is_readable = false;
    for line in text.lines() {
        if let Some((start, end)) = range(line) {
            let mut words = line.split_whitespace().skip(1);
            let access = words.next().unwrap_or_default();
            // What is mapped from a file to be read is the file's.
            let is_own = access.contains('w') || !line.contains('/');
            is_readable = access.starts_with('r') && is_own;
            if is_readable {
                let name = words.skip(3).collect::<Vec<_>>().join(" ");
                let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
                if memory.read_exact_at(&mut bytes, start).is_err() {
                    bytes.clear();
                }
                mappings.push(Mapping { start, end, name, is_locked: false, bytes });
            }
        } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| is_readable) {
            let is_locked = flags.split_whitespace().any(|flag| flag == "lo");
            mappings.last_mut().unwrap().is_locked = is_locked;
        }
    }
    mappings
}

/// The addresses in a line that begins a mapping.
fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?, number(end)?))
}

/// The bytes at an address up to a NUL; none where it is not readable.
pub(super) fn string(process: Pid, address: u64) -> Option<Vec<u8>> {
    const MOST_BYTES: usize = 4096;
    const PAGE_BYTES: u64 = 4096;
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let mut string = Vec::new();
    while string.len() < MOST_BYTES {
        let at = address + string.len() as u64;
        // The next page may not be there.
        let mut piece = vec![0; usize::try_from(PAGE_BYTES - at % PAGE_BYTES).ok()?];
        memory.read_exact_at(&mut piece, at).ok()?;
        if let Some(end) = piece.iter().position(|byte| *byte == 0) {
            string.extend(piece.get(..end)?);
            return Some(string);
        }
        string.extend(piece);
    }
    None
}
