//! Pseudo definitions, the language of `mksquashfs -p` and `-pf` (version 4.7):
//! one line makes one directory, file, link or node, or changes one.
//!
//! `lines` finds the definitions of a file and its data section, `parse`
//! understands one definition, `check` finds those that contradict each other
//! or a policy, and `collect` puts them into the tree. Nothing is run or added
//! before every definition is understood and checked.
//!
//! Where credimg differs from mksquashfs, it is to fail rather than to guess:
//! duplicates, trailing characters, names that do not exist and commands that
//! fail are errors. Directories on the way to a path are made with the
//! manifest's defaults, as `mksquashfs -pd` does. Relative host paths begin at
//! the manifest's directory, and commands run there, wherever the definition stands.

mod check;
mod collect;
mod date;
mod definition;
mod fault;
mod lines;
mod parse;
mod value;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::check::{Policy, require_allowed};
pub(crate) use self::collect::{Purpose, Unknown, collect};
pub(crate) use self::date::parse as parse_date;
pub use self::definition::{Action, DataSection, Definition, HostFile, New};

use rustix::fs::Stat;

use crate::manifest::{Manifest, PseudoFile, manifest_name};
use crate::report::{Failure, Position, Problems, Subject};

/// Most definitions that a build may have: all of them stay in memory.
pub const DEFINITIONS_MAX: usize = 1 << 17;

/// Every definition of a build in the order in which they take effect.
#[derive(Default)]
pub struct Definitions {
    list: Vec<Definition>,
    /// The files that were read.
    files: Vec<(Arc<Path>, Stat)>,
    /// The base of relative host paths; never empty.
    directory: PathBuf,
}

impl Definitions {
    /// The definitions in order: the manifest's own, then file by file.
    pub fn iter(&self) -> std::slice::Iter<'_, Definition> {
        self.list.iter()
    }

    /// How many there are: at most [`DEFINITIONS_MAX`].
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Where commands run.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a file of the host is that a definition names. The manifest's directory is `.`
    /// where the manifest is named without one; no message needs to show that.
    pub(crate) fn host_path(&self, path: &Path) -> PathBuf {
        match self.directory.as_path() {
            here if here == Path::new(".") => path.to_owned(),
            directory => directory.join(path),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Definition> {
        self.list.get(index)
    }
}

impl<'a> IntoIterator for &'a Definitions {
    type Item = &'a Definition;
    type IntoIter = std::slice::Iter<'a, Definition>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Reads the definitions of `manifest`: those in the manifest, then those of its
/// pseudo files up to their data sections. Nothing else is opened or run.
///
/// Errors: exit code 4 where a file cannot be read, 3 where a definition is
/// wrong, with file, line and column of each and nothing else that stands there.
pub fn load(manifest: &Manifest) -> Result<Definitions, Failure> {
    let directory = match manifest.path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    };
    let mut definitions = Definitions { directory: directory.into(), ..Definitions::default() };
    let manifest_name = Arc::from(manifest_name(&manifest.path));
    let mut problems = Problems::new(Subject::Definitions, &manifest_name);
    for entry in &manifest.pseudo.definitions {
        let at = |column| Position { text_column: Some(column), ..entry.position.clone() };
        match parse::definition(entry.text.expose(), None) {
            Ok((path, action)) => {
                let (position, granted) = (at(1), entry.granted);
                definitions.list.push(Definition { path, action, position, granted });
            }
            Err(fault) => {
                let column = fault::column(entry.text.expose(), fault.offset);
                problems.note(fault.at(at(column)));
            }
        }
    }
    for file in &manifest.pseudo.files {
        let earlier = definitions.len();
        lines::read(file, &mut definitions, &mut problems)?;
        let of_file = definitions.list.iter_mut().skip(earlier);
        of_file.for_each(|definition| definition.granted = file.granted);
    }
    problems.finish()?;
    check::conflicts(&definitions.list, &manifest_name)?;
    Ok(definitions)
}

/// What one definition of a manifest makes or changes; none where it is wrong.
pub(crate) fn action(text: &[u8]) -> Option<Action> {
    parse::definition(text, None).ok().map(|(_, action)| action)
}

/// What the definitions of a pseudo file make or change; nothing where it cannot be read, or one of
/// them is wrong: the build tells of that.
pub(crate) fn actions(path: &Path) -> Vec<Action> {
    let file = PseudoFile { path: path.to_owned(), position: None, granted: None };
    let mut problems = Problems::new(Subject::Definitions, &Arc::from(""));
    let mut definitions = Definitions::default();
    let read = lines::read(&file, &mut definitions, &mut problems);
    let read = read.and_then(|()| problems.finish());
    read.map_or_else(
        |_| Vec::new(),
        |()| definitions.list.into_iter().map(|it| it.action).collect(),
    )
}

/// The definitions of one open pseudo file, understood and checked.
pub(crate) fn of_file(
    file: File,
    stat: &Stat,
    path: &Path,
) -> io::Result<Result<Definitions, Failure>> {
    let mut definitions = Definitions { directory: ".".into(), ..Definitions::default() };
    let no_manifest = Arc::from("");
    let mut problems = Problems::new(Subject::Definitions, &no_manifest);
    lines::read_open(file, stat, &path.into(), &mut definitions, &mut problems)?;
    let checked =
        problems.finish().and_then(|()| check::conflicts(&definitions.list, &no_manifest));
    Ok(checked.map(|()| definitions))
}
