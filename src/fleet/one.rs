//! The manifest of a command that is of one image: that of a fleet's machine, or the only one.

use std::path::{Path, PathBuf};

use super::isolation::{self, Files};
use crate::job::trusted;
use crate::manifest::{Fleet, Manifest};
use crate::report::Failure;

/// Reads the manifest at `path` as [`trusted::load`] does. All machines of a fleet are checked,
/// whichever is taken: nothing that it gets, nor its image at `output`, may be another machine's.
pub(crate) fn load(
    path: &Path,
    machine: Option<&str>,
    trust: bool,
    pseudo_files: &[PathBuf],
    output: Option<&Path>,
) -> Result<Manifest, Failure> {
    trusted::load(path, machine, trust, pseudo_files, &|fleet: &Fleet, name| {
        let of_one = fleet.index_of(name).zip(output);
        let files = Files { output: fleet.output(), of_one, ..Files::default() };
        isolation::require(fleet, &files).map(drop)
    })
}
