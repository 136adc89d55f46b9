//! What is asked of every file and directory of the host that an image is made of.

use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use super::TreeBuilder;
use crate::host::trust::Exchangeable;
use crate::report::Failure;

impl<'a> TreeBuilder<'a> {
    /// From now on notes every input in `inputs`.
    pub(crate) fn note_inputs(&mut self, inputs: &'a mut Vec<PathBuf>) {
        self.inputs = Some(inputs);
    }

    /// Notes a file or directory of the host that is read.
    pub(crate) fn note_input(&mut self, path: impl FnOnce() -> PathBuf) {
        if let Some(inputs) = &mut self.inputs {
            inputs.push(path());
        }
    }

    /// Notes a file in a directory that is an input, unless the file is a key.
    pub(crate) fn file_input(
        &mut self,
        path: impl Fn() -> PathBuf,
        stat: &Stat,
    ) -> Result<(), Failure> {
        self.note_input(&path);
        if let Some(exchangeable) = &mut self.exchangeable {
            exchangeable.look_at_entry(&path, stat);
        }
        self.output.refuse_key(&path, stat)
    }

    /// Notes an input, unless the image would take itself in or destroy it.
    pub(crate) fn input(&mut self, path: &Path, stat: &Stat) -> Result<(), Failure> {
        self.note_input(|| path.to_owned());
        if let Some(exchangeable) = &mut self.exchangeable {
            exchangeable.look_at(path);
        }
        self.output.refuse(path, stat)
    }

    /// What people should know of inputs that another user can exchange.
    pub(crate) fn exchangeable(&self) -> Option<String> {
        self.exchangeable.as_ref().and_then(Exchangeable::message)
    }
}
