//! What the image was made of: for Make, with `--depfile`, and so that a build
//! takes nothing away that it was made of.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use credimg_formats::probe::probe;

use super::attach;
use crate::channels::sidecar;
use crate::cli::Build;
use crate::depfile;
use crate::output::{self, OutputFile};
use crate::report::{self, Exit, Failure, shown};

/// The inputs of a build, where anybody wants to know them.
pub(super) struct Dependencies {
    depfile: Option<PathBuf>,
    /// Files with names as sidecars of the image have them: the build replaces
    /// or removes them.
    beside: Vec<PathBuf>,
    inputs: Vec<PathBuf>,
    text: Vec<u8>,
}

impl Dependencies {
    /// Refuses a dependency file that could not be written, and an image in
    /// whose place other images would be removed.
    pub(super) fn new(options: &Build) -> anyhow::Result<Self> {
        let depfile = options.depfile.clone();
        if let Some(path) = &depfile {
            OutputFile::check(path).map_err(without_hint)?;
        }
        let beside = beside(&options.output);
        if let Some(image) = beside.iter().find(|path| is_image(path)) {
            return Err(clash(image, "is an image of its own").into());
        }
        let mut dependencies = Self { depfile, beside, inputs: Vec::new(), text: Vec::new() };
        if let Some(inputs) = dependencies.inputs()
            && options.manifest != Path::new("-")
        {
            inputs.push(options.manifest.clone());
        }
        Ok(dependencies)
    }

    /// Where the inputs are to be noted.
    pub(super) fn inputs(&mut self) -> Option<&mut Vec<PathBuf>> {
        (self.depfile.is_some() || !self.beside.is_empty()).then_some(&mut self.inputs)
    }

    /// Once all inputs are noted, and before anything is written.
    pub(super) fn render(&mut self, options: &Build) -> Result<(), Failure> {
        self.require_inputs_stay()?;
        if self.depfile.is_some() {
            self.text = depfile::render(&options.output, &self.inputs)?;
        }
        Ok(())
    }

    fn require_inputs_stay(&self) -> Result<(), Failure> {
        let id = |path: &PathBuf| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.dev(), found.ino()))
        };
        let beside: Vec<_> =
            self.beside.iter().filter_map(|path| Some((id(path)?, path))).collect();
        if beside.is_empty() {
            return Ok(());
        }
        for input in self.inputs.iter().filter_map(id) {
            if let Some((_, path)) = beside.iter().find(|(other, _)| *other == input) {
                return Err(clash(path, "is a source of it"));
            }
        }
        Ok(())
    }

    /// Writes the dependency file, once the image is in place.
    pub(super) fn commit(self) -> anyhow::Result<()> {
        let Some(path) = &self.depfile else { return Ok(()) };
        let written = || -> anyhow::Result<()> {
            let mut file = OutputFile::create(path, output::Options::default())?;
            file.write_all(&self.text).map_err(|error| {
                let failure = Failure::inside(&error).cloned();
                failure.unwrap_or_else(|| Failure::new(Exit::Output, report::reason(&error)))
            })?;
            file.commit()
        };
        written().map_err(|error| {
            let mut error = without_hint(error);
            if let Some(failure) = error.downcast_mut::<Failure>() {
                failure.hint = Some("the image itself is written".to_owned());
            }
            error
        })
    }
}

/// The files beside the image whose names are those of its sidecars.
fn beside(image: &Path) -> Vec<PathBuf> {
    let suffixes = attach::suffixes(image).unwrap_or_default();
    let ours = suffixes.iter().filter(|suffix| sidecar::is_suffix(suffix.as_bytes()));
    let paths = ours.map(|suffix| sidecar::path(image, suffix));
    paths.filter(|path| path.symlink_metadata().is_ok_and(|found| found.is_file())).collect()
}

/// Whether the file is one that `credimg args` would attach as a disk.
fn is_image(path: &Path) -> bool {
    File::open(path).is_ok_and(|mut file| probe(&mut file).is_ok())
}

fn clash(path: &Path, what: &str) -> Failure {
    let message = format!("the image would replace or remove {}, which {what}", shown(path));
    Failure::new(Exit::Usage, message).hint(
        "IMAGE.smbios, IMAGE.fw_cfg.NAME and the like belong to the image: name one otherwise",
    )
}

/// The hints of an output speak of images.
fn without_hint(mut error: anyhow::Error) -> anyhow::Error {
    if let Some(failure) = error.downcast_mut::<Failure>() {
        failure.hint = None;
    }
    error
}
