//! Ways into private parts for the fuzz targets under `tests/fuzz/`, which the program
//! itself does not use. None of them does anything of its own.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;

use credimg_formats::Tree;
use rustix::fs::{MemfdFlags, fstat, memfd_create};

use crate::commands;
use crate::delivery;
use crate::fleet::isolation;
use crate::host::identity::Identity;
use crate::job;
use crate::keys::wrap::Wrapped;
use crate::manifest::{self, Fleet, Loaded, Manifest, Source, time};
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

/// Each machine of a fleet with what it gets: the list, the path or name, and the source.
pub fn fleet_grants(text: &[u8], path: &Path) -> Result<Vec<MachineGrants>, Failure> {
    let fleet = fleet(text, path)?;
    let mut grants = Vec::new();
    for (machine, index) in fleet.machines().iter().zip(0..) {
        let manifest = fleet.manifest_of(index)?;
        let files = manifest.entries.iter().map(|it| ("files", it.path.to_string(), it));
        let credentials = &manifest.credentials;
        let credentials = credentials.iter().map(|it| ("credentials", it.name.clone(), &it.entry));
        let fw_cfg = manifest.fw_cfg.iter().map(|it| ("fw_cfg", it.name.clone(), &it.entry));
        let all = files.chain(credentials).chain(fw_cfg);
        let all = all.map(|(list, name, entry)| [list.to_owned(), name, source(&entry.source)]);
        let got: Vec<_> = all.collect();
        let items = fleet.items().iter().filter(|item| item.machines.contains(index));
        if items.count() != got.len() {
            return Err(Failure::bug(": a machine's items are not its entries"));
        }
        grants.push((machine.name.clone(), got));
    }
    Ok(grants)
}

/// A machine's name, and what it gets.
pub type MachineGrants = (String, Vec<[String; 3]>);

/// Whether no source of a fleet reaches two machines that must not share it.
pub fn fleet_isolation(text: &[u8], path: &Path) -> Result<(), Failure> {
    isolation::require(&*fleet(text, path)?, &isolation::Files::default()).map(drop)
}

fn fleet(text: &[u8], path: &Path) -> Result<Box<Fleet>, Failure> {
    match manifest::parse_any(text, path)? {
        Loaded::Many(fleet) => Ok(fleet),
        Loaded::One(_) => Err(Failure::new(Exit::Manifest, "no fleet")),
    }
}

/// The text of a source.
fn source(source: &Source) -> String {
    match source {
        Source::File(path) | Source::Dir(path) | Source::FollowedDir(path) | Source::Tar(path) => {
            path.display().to_string()
        }
        Source::Inline(content) => String::from_utf8_lossy(content.expose()).into_owned(),
        Source::Command { argv, .. } => {
            argv.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
        }
        Source::Env { name, .. } => name.to_string_lossy().into_owned(),
        Source::Symlink(target) => String::from_utf8_lossy(target).into_owned(),
    }
}
