//! What `pass_env` means: the variables that commands see besides those that every command does.

use std::ffi::OsString;

use super::error::Fault;
use super::mapping::At;
use super::node::Text;
use super::resolved::Entry;
use super::{resolve, values};
use crate::report::Problems;

/// The names that are well formed. One that is an `env:` source of `sources` is a problem:
/// what goes into the image is for no command.
pub(super) fn resolve<'a>(
    typed: &[At<Text>],
    sources: &(impl Iterator<Item = &'a Entry> + Clone),
    problems: &mut Problems,
) -> Vec<OsString> {
    let mut names = Vec::with_capacity(typed.len());
    for typed in typed {
        let Some(name) = problems.keep(resolve::checked(typed, values::variable)) else { continue };
        let is_it = |entry: &&Entry| entry.source.variable() == Some(&name);
        if let Some(entry) = sources.clone().find(is_it) {
            let position = &entry.position;
            let message = format!(
                "the variable is a source of {} at line {}",
                position.key_path, position.line
            );
            let fault = Fault::new(message).hint("no command sees what goes into the image");
            problems.note(fault.at(&typed.at));
            continue;
        }
        names.push(name);
    }
    names
}
