//! `--depfile`: what the image was made of, for Make.

use std::path::{Path, PathBuf};

use super::reports;
use crate::commands::build::Build;
use crate::job::depfile;
use crate::report::Failure;

/// The inputs of a build, where anybody wants to know them.
pub(crate) struct Dependencies {
    depfile: Option<PathBuf>,
    inputs: Vec<PathBuf>,
    text: Vec<u8>,
}

impl Dependencies {
    /// Refuses a dependency file that could not be written.
    pub(crate) fn new(options: &Build) -> Result<Self, Failure> {
        let depfile = options.depfile.clone();
        let mut inputs = Vec::new();
        if let Some(path) = &depfile {
            reports::check(path, "a dependency file is a regular file")?;
            let is_file = options.manifest != Path::new("-");
            inputs.extend(is_file.then(|| options.manifest.clone()));
        }
        Ok(Self { depfile, inputs, text: Vec::new() })
    }

    /// Whether anybody wants to know the inputs.
    pub(crate) fn are_wanted(&self) -> bool {
        self.depfile.is_some()
    }

    /// Adds inputs.
    pub(crate) fn extend(&mut self, inputs: impl IntoIterator<Item = PathBuf>) {
        if self.are_wanted() {
            self.inputs.extend(inputs);
        }
    }

    /// Once all inputs are noted, and before anything is written.
    pub(crate) fn render(&mut self, options: &Build) -> Result<(), Failure> {
        if self.are_wanted() {
            self.text = depfile::render(&options.output, &self.inputs)?;
        }
        Ok(())
    }

    /// Writes the dependency file, once the image is in place.
    pub(crate) fn commit(&self) -> Result<(), Failure> {
        self.depfile.as_deref().map_or(Ok(()), |path| reports::replace(path, &self.text))
    }
}
