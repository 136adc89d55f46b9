//! A path with placeholders, such as that of a fleet's images.

use std::path::{Path, PathBuf};

use super::super::error::Fault;
use super::super::mapping::At;
use super::super::node::Text;
use super::Machine;
use super::placeholders::{self, Piece, Wrong};
use crate::report::{Exit, Failure, Position, Problem};

/// A path with placeholders.
#[derive(Clone)]
pub struct Template {
    text: Text,
    /// The directory that a relative path begins at.
    directory: PathBuf,
    names_machine: bool,
    /// The place in the manifest; none of a template of the command line.
    position: Option<Position>,
    /// The option that gave the template.
    option: &'static str,
}

impl Template {
    /// A template of the command line, by `option`; relative to the working directory.
    pub fn parse(text: &str, option: &'static str) -> Result<Self, Failure> {
        let names_machine = check(text).map_err(|wrong| wrong.of_option(option))?;
        Ok(Self {
            text: Text::new(text.to_owned()),
            directory: PathBuf::new(),
            names_machine,
            position: None,
            option,
        })
    }

    /// The template of the manifest, relative to its `directory`.
    pub(super) fn of_manifest(typed: &At<Text>, directory: &Path) -> Result<Self, Problem> {
        let names_machine =
            check(&typed.value).map_err(|wrong| wrong.of(&typed.value, &typed.at))?;
        if !names_machine {
            let fault = Fault::new("all machines would have one output: `{machine}` is missing");
            return Err(fault.at(&typed.at));
        }
        Ok(Self {
            text: typed.value.clone(),
            directory: directory.into(),
            names_machine,
            position: Some(typed.at.clone()),
            option: "",
        })
    }

    /// The path of `machine`.
    pub fn of(&self, machine: &Machine) -> Result<PathBuf, Failure> {
        let path = self.replaced(machine).map_err(|wrong| {
            let failure = match &self.position {
                Some(position) => {
                    let problem = wrong.of(&self.text, position);
                    Failure::new(Exit::Manifest, format!("{position}: {}", problem.message))
                }
                None => wrong.of_option(self.option),
            };
            let message = format!("{}, for {}", failure.message, machine.name);
            Failure { message, ..failure }
        })?;
        Ok(self.directory.join(path.as_str()))
    }

    /// A problem where there is no path for `machine`.
    pub(super) fn require(&self, machine: &Machine) -> Result<(), Problem> {
        let Some(position) = &self.position else { return Ok(()) };
        self.replaced(machine).map(drop).map_err(|wrong| wrong.of(&self.text, position))
    }

    /// The extension of the paths; none where it holds a placeholder.
    pub(super) fn extension(&self) -> Option<&str> {
        Path::new(self.text.as_str()).extension()?.to_str()
    }

    /// Replaces placeholders. A value becomes part of a name, so it must not lead to another
    /// directory.
    fn replaced(&self, machine: &Machine) -> Result<Text, Wrong> {
        machine.values().text_of(&self.text, |value| {
            let is_part =
                !value.is_empty() && !value.contains(['/', '\0']) && !value.starts_with('.');
            is_part.then_some(()).ok_or_else(|| {
                Fault::new("expected a value without `/` that does not begin with a dot")
            })
        })
    }

    /// The failure of a template that makes wrong paths.
    pub(crate) fn refused(&self, message: &str) -> Failure {
        match &self.position {
            Some(position) => Failure::new(Exit::Manifest, format!("{position}: {message}")),
            None => Failure::new(Exit::Usage, format!("{}: {message}", self.option)),
        }
    }

    /// The directory that holds those of all machines: the path before the first placeholder.
    pub fn common_directory(&self) -> Result<PathBuf, Failure> {
        let mut common = String::new();
        let mut is_common = true;
        let found = placeholders::pieces(&self.text, |piece| {
            match piece {
                Piece::Literal(text) if is_common => common.push_str(text),
                Piece::Literal(_) => {}
                Piece::Machine | Piece::Variable(_) => is_common = false,
            }
            Ok(())
        });
        found.map_err(|wrong| wrong.of_option(self.option))?;
        let directory = match common.rsplit_once('/') {
            Some(("", _)) => "/",
            Some((directory, _)) => directory,
            None => "",
        };
        Ok(self.directory.join(directory))
    }

    /// The directories that are this machine's own, the topmost first: those of its path that have
    /// a placeholder, and what is below them.
    pub fn own_directories(&self, machine: &Machine) -> Result<Vec<PathBuf>, Failure> {
        let path = self.of(machine)?;
        let depth = self.common_directory()?.components().count();
        let above = path.ancestors().skip(1).filter(|it| it.components().count() > depth);
        let mut directories: Vec<_> = above.map(Path::to_owned).collect();
        directories.reverse();
        Ok(directories)
    }

    /// Whether `{machine}` stands in it.
    pub fn names_machine(&self) -> bool {
        self.names_machine
    }
}

/// Whether `{machine}` stands in `text`; an error where its placeholders are wrong.
fn check(text: &str) -> Result<bool, Wrong> {
    let mut names_machine = false;
    placeholders::pieces(text, |piece| {
        names_machine |= matches!(piece, Piece::Machine);
        Ok(())
    })?;
    Ok(names_machine)
}
