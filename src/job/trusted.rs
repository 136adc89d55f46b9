//! Reads the manifest of a command. Root takes it from nobody but root.

use std::io;
use std::path::{Path, PathBuf};

use crate::host::trust::{Census, Exchangeable};
use crate::manifest::{self, Fleet, Loaded, Manifest, PseudoFile, manifest_name};
use crate::report::verbose::Step;
use crate::report::{Exit, Failure, shown};
use crate::sources::pseudo::{Action, Definitions};

/// The name of the fleet's manifest that is looked for if `NAME.yaml` does not exist.
const FLEET: &str = "fleet.yaml";

/// Reads the manifest at `path`, of a fleet that of `machine`, and adds the pseudo files of the
/// command line, which are relative to the working directory. Where there is no `NAME.yaml` at
/// `path`, it is that of the machine `NAME` of the `fleet.yaml` beside it, if there is one. Where
/// the caller is root, a manifest or pseudo file that another user can change is an error of exit
/// code 5, before it is read, unless `trust` takes it. Of a fleet `judge` sees all machines first, and the
/// name of the one.
pub(crate) fn load(
    path: &Path,
    machine: Option<&str>,
    trust: bool,
    pseudo_files: &[PathBuf],
    judge: &dyn Fn(&Fleet, &str) -> Result<(), Failure>,
) -> Result<Manifest, Failure> {
    let mut census = census(trust);
    let step = Step::begin();
    let of_fleet = match machine_beside(path).filter(|_| machine.is_none()) {
        Some((fleet, name)) => {
            require_manifest(census.as_mut(), &fleet)?;
            machine_of(manifest::load_any(&fleet)?, name, judge)?
        }
        None => None,
    };
    let mut manifest = if let Some(manifest) = of_fleet {
        manifest
    } else {
        require_manifest(census.as_mut(), path)?;
        match manifest::load_any(path)? {
            // Without a fleet, `--machine` names a machine type of QEMU. The job checks it.
            Loaded::One(manifest) => *manifest,
            Loaded::Many(fleet) => {
                if let Some(name) = machine {
                    judge(&fleet, name)?;
                }
                Loaded::Many(fleet).one(machine)?
            }
        }
    };
    let (entries, values) = (manifest.entries.len(), manifest.values().count());
    step.end(|| {
        let path = shown(&manifest.path);
        format!("read the manifest {path}: entries {entries}, credentials and items {values}")
    });
    add_pseudo_files(&mut manifest, pseudo_files, census.as_mut())?;
    Ok(manifest)
}

/// Adds the pseudo files of the command line. Where another user can change one of the
/// manifest's, it is an error of exit code 5.
pub(crate) fn add_pseudo_files(
    manifest: &mut Manifest,
    paths: &[PathBuf],
    census: Option<&mut Census>,
) -> Result<(), Failure> {
    let files = paths.iter().cloned();
    let files = files.map(|path| PseudoFile { path, position: None, granted: None });
    manifest.pseudo.files.extend(files);
    let Some(census) = census else { return Ok(()) };
    manifest.pseudo.files.iter().try_for_each(|file| census.require("pseudo file", &file.path))
}

/// The fleet's manifest beside `path`, and the name of the machine that `path` stands for. None if
/// `path` exists, or no fleet's manifest is beside it.
fn machine_beside(path: &Path) -> Option<(PathBuf, &str)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".yaml")?;
    let is_missing = |path: &Path| {
        let found = std::fs::symlink_metadata(path);
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let fleet = path.with_file_name(FLEET);
    (is_missing(path) && !is_missing(&fleet)).then_some((fleet, name))
}

/// The manifest of the fleet's machine; none if the manifest is no fleet's, or has no such machine.
fn machine_of(
    loaded: Loaded,
    name: &str,
    judge: &dyn Fn(&Fleet, &str) -> Result<(), Failure>,
) -> Result<Option<Manifest>, Failure> {
    let Loaded::Many(fleet) = loaded else { return Ok(None) };
    let Some(index) = fleet.index_of(name) else { return Ok(None) };
    judge(&fleet, name)?;
    fleet.manifest_of(index).map(Some)
}

fn require_manifest(census: Option<&mut Census>, path: &Path) -> Result<(), Failure> {
    match census.filter(|_| path != Path::new("-")) {
        Some(census) => census.require("manifest", path),
        None => Ok(()),
    }
}

/// Reads the manifest at `path`, of one machine or of many. Root takes it from nobody but root.
pub(crate) fn load_any(path: &Path, trust: bool) -> Result<Loaded, Failure> {
    require_manifest(census(trust).as_mut(), path)?;
    manifest::load_any(path)
}

/// Reads the manifest of a fleet at `path`, of whom [`load`] takes one.
pub(crate) fn load_fleet(path: &Path, trust: bool) -> Result<Box<Fleet>, Failure> {
    let step = Step::begin();
    let fleet = match load_any(path, trust)? {
        Loaded::Many(fleet) => fleet,
        Loaded::One(_) => {
            let message = format!("{}: this manifest is of one machine", manifest_name(path));
            let hint = "`machines:` in a manifest names the machines of a fleet";
            return Err(Failure::new(Exit::Manifest, message).hint(hint));
        }
    };
    step.end(|| {
        let (machines, items) = (fleet.machines().len(), fleet.items().len());
        format!("read the manifest {}: machines {machines}, items {items}", shown(path))
    });
    Ok(fleet)
}

/// The warning of a build about sources that another user can exchange: of the paths that the
/// manifest and the definitions name, not of what directories hold.
pub(crate) fn foresee(
    trust: bool,
    manifest: &Manifest,
    definitions: &Definitions,
) -> Option<String> {
    let mut exchangeable = Exchangeable::new(census(trust)?);
    for path in manifest.sources().filter_map(|entry| entry.source.host_path()) {
        exchangeable.look_at(path);
    }
    for definition in definitions {
        if let Action::HostFile(file) = &definition.action {
            exchangeable.look_at(&definitions.host_path(&file.path));
        }
    }
    exchangeable.message()
}

/// The census of who can write where; none where the caller is not root, or trusts everybody.
pub(crate) fn census(trust: bool) -> Option<Census> {
    if trust { None } else { Census::of_privileged() }
}
