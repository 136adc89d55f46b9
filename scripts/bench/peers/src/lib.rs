//! What both programs need of a tree on the host.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

/// The entries of a directory, in the order of their names.
///
/// # Errors
///
/// Where the directory cannot be read.
pub fn sorted(directory: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}
