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
    for Definition { path, action, position } in definitions {
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
    let mut problems = Vec::new();
    let mut defined: Vec<(usize, &Definition)> =
        (0..).zip(list).filter(|(_, definition)| !definition.action.is_xattr()).collect();
    defined.sort_by(|(_, left), (_, right)| left.path.cmp(&right.path));
    note_taken(&defined, &mut problems);
    note_links(list, &defined, &mut problems);
    note_xattrs(list, &mut problems);
    // They were found in another order than they stand in.
    problems.sort_by_key(|(index, _)| *index);
    let mut all = Problems::new(Subject::Definitions, manifest);
    for (_, problem) in problems {
        all.note(problem);
    }
    all.finish()
}

type Found = Vec<(usize, Problem)>;

/// Of each two definitions for one path, or of one below the other, the later one.
fn note_taken(sorted: &[(usize, &Definition)], problems: &mut Found) {
    let mut above: Vec<(usize, &Definition)> = Vec::new();
    for (index, definition) in sorted {
        while above.last().is_some_and(|(_, upper)| {
            upper.path != definition.path && !definition.path.is_below(&upper.path)
        }) {
            above.pop();
        }
        let upper = above.last().copied();
        above.push((*index, definition));
        let Some((upper_index, upper)) = upper else { continue };
        let is_same = upper.path == definition.path;
        if !is_same && upper.action.may_be_directory() {
            continue;
        }
        let is_later = *index > upper_index;
        let (earlier, later) = if is_later { (upper, *definition) } else { (*definition, upper) };
        let other = earlier.position.name_and_line();
        let message = if is_same {
            format!("the path is taken by {other}")
        } else if is_later {
            format!("the path is below {other}, which is no directory")
        } else {
            format!("{other} is below this path, which is no directory")
        };
        let problem = Fault::new(0, message).at(later.position.clone());
        problems.push(((*index).max(upper_index), problem));
        // The first of several stays, to be compared with the next one.
        if is_same {
            above.pop();
        }
    }
}

fn note_links(list: &[Definition], sorted: &[(usize, &Definition)], problems: &mut Found) {
    let by_path: HashMap<&ImagePath, usize> =
        sorted.iter().rev().map(|(index, definition)| (&definition.path, *index)).collect();
    for (index, definition) in list.iter().enumerate() {
        let Action::Link(target) = &definition.action else { continue };
        let earlier = by_path.get(target).filter(|earlier| **earlier < index);
        let message = match earlier.and_then(|earlier| list.get(*earlier)) {
            None => "no earlier definition makes the file that this links to",
            Some(earlier) if earlier.action.may_be_directory() => {
                "a hard link to a directory or to what m or M changes"
            }
            Some(_) => continue,
        };
        let hint = "L names what another definition makes; for a file of the host write l or h";
        let fault = Fault::new(0, message).hint(hint);
        problems.push((index, fault.at(definition.position.clone())));
    }
}

fn note_xattrs(list: &[Definition], problems: &mut Found) {
    let mut given = HashSet::new();
    for (index, definition) in list.iter().enumerate() {
        if let Action::Xattr { name, .. } = &definition.action
            && !given.insert((&definition.path, name))
        {
            let message = "the attribute is given twice";
            problems.push((index, Fault::new(0, message).at(definition.position.clone())));
        }
    }
}
