//! Definitions that cannot stand together, and what a policy forbids. Both are
//! found before anything is run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Definitions;
use super::definition::{Action, Definition, ImagePath, New};
use super::fault::Fault;
use crate::manifest::Manifest;
use crate::report::{Exit, Failure, Problem, Problems, Subject};

/// What a build may do at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether commands may run.
    pub allow_commands: bool,
    /// Whether device nodes may be made.
    pub allow_devices: bool,
}

impl Default for Policy {
    /// Commands, but no device nodes.
    fn default() -> Self {
        Self { allow_commands: true, allow_devices: false }
    }
}

/// A failure of exit code 5 where the manifest or a definition needs what `policy` forbids.
pub fn require_allowed(
    policy: Policy,
    manifest: &Manifest,
    definitions: &Definitions,
) -> Result<(), Failure> {
    const COMMANDS: &str = "runs a command, which --no-commands forbids";
    let command = manifest.sources().find(|entry| entry.source.runs_command());
    if let Some(entry) = command.filter(|_| !policy.allow_commands) {
        let message = format!("{} ({}): {COMMANDS}", entry.position.key_path, entry.path);
        return Err(Failure::new(Exit::Policy, message));
    }
    for Definition { path, action, position, .. } in definitions {
        match action {
            Action::Make(_, New::Command(_)) if !policy.allow_commands => {
                let message = format!("{} ({path}): {COMMANDS}", position.name());
                return Err(Failure::new(Exit::Policy, message));
            }
            Action::Make(_, New::BlockDevice(_) | New::CharDevice(_)) if !policy.allow_devices => {
                let message =
                    format!("{} ({path}): device nodes are made on request only", position.name());
                return Err(Failure::new(Exit::Policy, message).hint(
                    "`--allow-devices` allows them; a guest that mounts with `nodev` ignores them",
                ));
            }
            Action::Make(
                _,
                New::Directory
                | New::Command(_)
                | New::Symlink(_)
                | New::BlockDevice(_)
                | New::CharDevice(_)
                | New::Fifo
                | New::Socket
                | New::Data(_),
            )
            | Action::Modify(_)
            | Action::Xattr { .. }
            | Action::HostFile(_)
            | Action::Link(_) => {}
        }
    }
    Ok(())
}

/// A failure of exit code 3 where two definitions are for one path, one is
/// below what is no directory, a link leads to no earlier definition, or an
/// attribute is given twice. `manifest` is the manifest as messages call it.
pub(super) fn conflicts(list: &[Definition], manifest: &Arc<str>) -> Result<(), Failure> {
    let mut found = Vec::new();
    let mut sorted: Vec<Numbered> =
        Numbered::all(list).filter(|numbered| !numbered.definition.action.is_xattr()).collect();
    sorted.sort_by(|left, right| left.definition.path.cmp(&right.definition.path));
    note_taken(&sorted, &mut found);
    note_links(list, &sorted, &mut found);
    note_xattrs(list, &mut found);
    // They were found in another order than they stand in.
    found.sort_by_key(|conflict| conflict.number);
    let mut problems = Problems::new(Subject::Definitions, manifest);
    for conflict in found {
        problems.note(conflict.problem);
    }
    problems.finish()
}

/// A definition and its place in the order of all.
#[derive(Clone, Copy)]
struct Numbered<'a> {
    number: usize,
    definition: &'a Definition,
}

/// What is wrong with the definition of this number.
struct Conflict {
    number: usize,
    problem: Problem,
}

impl<'a> Numbered<'a> {
    fn all(list: &'a [Definition]) -> impl Iterator<Item = Self> {
        list.iter().enumerate().map(|(number, definition)| Self { number, definition })
    }

    fn conflict(self, fault: Fault) -> Conflict {
        let problem = fault.at(self.definition.position.clone());
        Conflict { number: self.number, problem }
    }
}

/// Of each two definitions for one path, or of one below the other, the later one.
fn note_taken(sorted: &[Numbered], found: &mut Vec<Conflict>) {
    let mut above: Vec<Numbered> = Vec::new();
    for this in sorted {
        let path = &this.definition.path;
        while above.last().is_some_and(|upper| {
            upper.definition.path != *path && !path.is_below(&upper.definition.path)
        }) {
            above.pop();
        }
        let upper = above.last().copied();
        above.push(*this);
        let Some(upper) = upper else { continue };
        let is_same = upper.definition.path == *path;
        if !is_same && upper.definition.action.may_be_directory() {
            continue;
        }
        let is_later = this.number > upper.number;
        let (earlier, later) = if is_later { (upper, *this) } else { (*this, upper) };
        let other = earlier.definition.position.name_and_line();
        let message = if is_same {
            format!("the path is taken by {other}")
        } else if is_later {
            format!("the path is below {other}, which is no directory")
        } else {
            format!("{other} is below this path, which is no directory")
        };
        found.push(later.conflict(Fault::new(0, message)));
        // The first of several stays, to be compared with the next one.
        if is_same {
            above.pop();
        }
    }
}

fn note_links(list: &[Definition], sorted: &[Numbered], found: &mut Vec<Conflict>) {
    let by_path: HashMap<&ImagePath, Numbered> =
        sorted.iter().rev().map(|numbered| (&numbered.definition.path, *numbered)).collect();
    for this in Numbered::all(list) {
        let Action::Link(target) = &this.definition.action else { continue };
        let message = match by_path.get(target).filter(|earlier| earlier.number < this.number) {
            None => "no earlier definition makes the file that this links to",
            Some(earlier) if earlier.definition.action.may_be_directory() => {
                "a hard link to a directory or to what m or M changes"
            }
            Some(_) => continue,
        };
        let hint = "L names what another definition makes; for a file of the host write l or h";
        found.push(this.conflict(Fault::new(0, message).hint(hint)));
    }
}

fn note_xattrs(list: &[Definition], found: &mut Vec<Conflict>) {
    let mut given = HashSet::new();
    for this in Numbered::all(list) {
        if let Action::Xattr { name, .. } = &this.definition.action
            && !given.insert((&this.definition.path, name))
        {
            found.push(this.conflict(Fault::new(0, "the attribute is given twice")));
        }
    }
}
