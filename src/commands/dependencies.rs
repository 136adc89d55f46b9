//! `--depfile`: what the image was made of, for Make.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::Build;
use crate::depfile;
use crate::output::{self, OutputFile};
use crate::report::{self, Exit, Failure};

/// The inputs of a build, where anybody wants to know them.
pub(super) struct Dependencies {
    depfile: Option<PathBuf>,
    inputs: Vec<PathBuf>,
    text: Vec<u8>,
}

impl Dependencies {
    /// Refuses a dependency file that could not be written.
    pub(super) fn new(options: &Build) -> anyhow::Result<Self> {
        let depfile = options.depfile.clone();
        let mut inputs = Vec::new();
        if let Some(path) = &depfile {
            OutputFile::check(path).map_err(without_hint)?;
            let is_file = options.manifest != Path::new("-");
            inputs.extend(is_file.then(|| options.manifest.clone()));
        }
        Ok(Self { depfile, inputs, text: Vec::new() })
    }

    /// Where the inputs are to be noted.
    pub(super) fn inputs(&mut self) -> Option<&mut Vec<PathBuf>> {
        self.depfile.is_some().then_some(&mut self.inputs)
    }

    /// Once all inputs are noted, and before anything is written.
    pub(super) fn render(&mut self, options: &Build) -> Result<(), Failure> {
        if self.depfile.is_some() {
            self.text = depfile::render(&options.output, &self.inputs)?;
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

/// The hints of an output speak of images.
fn without_hint(mut error: anyhow::Error) -> anyhow::Error {
    if let Some(failure) = error.downcast_mut::<Failure>() {
        failure.hint = None;
    }
    error
}
