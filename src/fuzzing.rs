//! Ways into private parts for the fuzz targets under `tests/fuzz/`, which the program
//! itself does not use. None of them does anything of its own.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;

use credimg_formats::Tree;
use rustix::fs::{MemfdFlags, fstat, memfd_create};

use crate::commands;
use crate::delivery;
use crate::host::identity::Identity;
use crate::job;
use crate::keys::wrap::Wrapped;
use crate::manifest::{Manifest, time};
use crate::report::{Exit, Failure};
use crate::sources::archive as archives;
use crate::sources::assemble::MAX_SIZE_BYTES;
use crate::sources::assemble::Step;
use crate::sources::builder::TreeBuilder;
use crate::sources::pseudo::{self, Definitions};
use crate::sources::rehearsal;

/// The tree of a manifest as far as it is known without its sources.
pub fn rehearse(manifest: &Manifest) -> Result<(), Failure> {
    let definitions = pseudo::load(manifest)?;
    rehearsal::rehearse(manifest, &definitions, MAX_SIZE_BYTES).map(drop)
}

/// The definitions of a pseudo file with this text, on top of `manifest`.
pub fn pseudo_file(manifest: &Manifest, path: &Path, text: &[u8]) -> Result<(), Failure> {
    let read = || -> io::Result<_> {
        let mut file = memory_file()?;
        file.write_all(text)?;
        file.rewind()?;
        let stat = fstat(&file)?;
        pseudo::of_file(file, &stat, path)
    };
    let definitions = read().map_err(|error| Failure::new(Exit::Source, error.to_string()))??;
    // A definition may collide with an entry: then its path is shown on purpose.
    let _ = rehearsal::rehearse(manifest, &definitions, MAX_SIZE_BYTES);
    Ok(())
}

/// A new file in memory.
pub fn memory_file() -> io::Result<File> {
    Ok(memfd_create("input", MemfdFlags::CLOEXEC)?.into())
}

/// The tree of the first entry of `manifest`, which is an archive with the content of `file`.
pub fn archive(manifest: &Manifest, file: &File, size_bytes: u64) -> Result<Tree, Failure> {
    let unreadable = |error: io::Error| Failure::new(Exit::Source, error.to_string());
    let copy = file.try_clone().map_err(unreadable)?;
    let stat = fstat(file).map_err(|error| unreadable(error.into()))?;
    let settings = rehearsal::settings();
    let definitions = Definitions::default();
    let mut progress = |_: Step| {};
    let mut builder = TreeBuilder::new(manifest, &definitions, &settings, &mut progress);
    if let Some(entry) = manifest.entries.first() {
        let planned = Identity::of(&stat);
        let origin = archives::Origin { path: Path::new("a.tar"), planned, watch: None };
        builder.with_entry(0, entry, |to| archives::unpack(copy, size_bytes, origin, to))?;
    }
    Ok(builder.finish().tree)
}

/// The seconds of a date in a pseudo definition.
pub fn pseudo_date(text: &str) -> Option<u32> {
    pseudo::parse_date(text)
}

/// The seconds of a time in a manifest.
pub fn manifest_time(text: &str) -> Option<i64> {
    time::read(text)
}

/// How a time is shown to people.
pub fn shown_time(seconds: i64) -> String {
    time::show(seconds)
}

/// The wrapped secret in a text.
pub fn wrapped(text: &[u8]) -> Option<Wrapped> {
    commands::secret::parse(text)
}

/// Why cloud-init passes over user-data.
pub fn user_data(content: &[u8]) -> Option<&'static str> {
    job::user_data::fault(content)
}

/// The name of a path's unit.
pub fn unit_name(path: &str) -> String {
    delivery::units::escaped(path)
}
