//! Where the content of each item comes from, for comparing the sources of machines. Making the
//! manifest of each machine for that would cost ten times as much.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::encrypt;
use super::super::node::Text;
use super::super::resolved::MachineContext;
use super::super::source::TypedSource;
use super::definition;
use super::item::TypedItem;
use super::placeholders::{self, Piece, Values};
use super::{Fleet, Machine, MachineSet};
use crate::report::Position;

/// Where the content of an item comes from, for one machine.
pub(crate) enum Origin {
    /// Nowhere: the item is a link, or a placeholder in it has no value.
    Nothing,
    /// A file of the host, which may be an archive.
    File(PathBuf),
    /// A directory of the host with all that is below it.
    Directory(PathBuf),
    /// A program: its words, each behind a NUL.
    Command(Vec<u8>),
    /// A variable of the environment.
    Variable(Text),
    /// The manifest itself, which holds the content.
    Content(Text),
    /// A pseudo definition.
    Definition(Text),
}

impl Fleet {
    /// Where the content of this item comes from, for this machine.
    pub(crate) fn origin(&self, item: usize, machine: usize) -> Origin {
        let Some(machine) = self.machines.get(machine) else { return Origin::Nothing };
        self.origin_for(item, machine.values()).unwrap_or(Origin::Nothing)
    }

    /// The variables of the environment that are sources of any machine.
    pub(super) fn variables(&self) -> Arc<HashSet<OsString>> {
        Arc::clone(self.variables.get_or_init(|| {
            let variables = (0..self.items.len()).flat_map(|item| self.variables_of(item));
            Arc::new(variables.collect())
        }))
    }

    fn variables_of(&self, item: usize) -> Vec<OsString> {
        let Some(TypedOrigin::Source(TypedSource::Env(_))) = self.typed_source(item) else {
            return Vec::new();
        };
        let machines = self.items.get(item).map(|item| &item.machines);
        let machines = machines.into_iter().flat_map(MachineSet::iter);
        let wanted = if self.has_one_origin(item) { 1 } else { usize::MAX };
        let origins = machines.take(wanted).map(|machine| self.origin(item, machine));
        let variable = |origin| match origin {
            Origin::Variable(name) => Some(name.as_str().into()),
            Origin::Nothing
            | Origin::File(_)
            | Origin::Directory(_)
            | Origin::Command(_)
            | Origin::Content(_)
            | Origin::Definition(_) => None,
        };
        origins.filter_map(variable).collect()
    }

    /// Whether the item has the same origin for all machines.
    pub(crate) fn has_one_origin(&self, item: usize) -> bool {
        let is_plain = |text: &Text| {
            let mut is_plain = true;
            let found = placeholders::pieces(text, |piece| {
                is_plain &= matches!(piece, Piece::Literal(_));
                Ok(())
            });
            found.is_ok() && is_plain
        };
        match self.typed_source(item) {
            None => true,
            Some(TypedOrigin::Pseudo(text)) => !names_machine(text) && !text.contains('{'),
            Some(TypedOrigin::PseudoFile(text)) => is_plain(text),
            Some(TypedOrigin::Source(source)) => match source {
                TypedSource::File(text)
                | TypedSource::Dir(text)
                | TypedSource::Tar(text)
                | TypedSource::Text(text)
                | TypedSource::Env(text) => is_plain(text),
                TypedSource::Command(words) => words.iter().all(|word| is_plain(&word.value)),
                TypedSource::Shell(text) => !names_machine(text),
                TypedSource::Base64(_) | TypedSource::Symlink(_) => true,
            },
        }
    }

    /// Whether the item's source is a script: a script knows its machine from the environment.
    pub(crate) fn is_script(&self, item: usize) -> bool {
        matches!(self.typed_source(item), Some(TypedOrigin::Source(TypedSource::Shell(_))))
    }

    /// The key file of this machine that the manifest names; none where it names none.
    pub(crate) fn key_file(&self, machine: usize) -> Option<PathBuf> {
        let typed = self.typed.encrypt.as_ref()?.key.as_ref()?;
        let text = self.machines.get(machine)?.values().text(&typed.value).ok()?;
        (*text != encrypt::GENERATE).then(|| self.directory().join(&*text))
    }

    /// Where the manifest names the key files.
    pub(crate) fn key_position(&self) -> Option<&Position> {
        Some(&self.typed.encrypt.as_ref()?.key.as_ref()?.at)
    }

    /// The directory that relative paths of the manifest begin at.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    fn origin_for(&self, item: usize, values: Values) -> Option<Origin> {
        let replaced = |text: &Text| values.text(text).ok();
        let path = |text: &Text| Some(self.directory().join(replaced(text)?.as_str()));
        Some(match self.typed_source(item)? {
            TypedOrigin::Pseudo(text) => {
                Origin::Definition(definition::replace(&values, text).ok()?)
            }
            TypedOrigin::PseudoFile(text) => Origin::File(path(text)?),
            TypedOrigin::Source(source) => match source {
                TypedSource::File(text) | TypedSource::Tar(text) => Origin::File(path(text)?),
                TypedSource::Dir(text) => Origin::Directory(path(text)?),
                TypedSource::Text(text) => Origin::Content(replaced(text)?),
                // Two texts may differ in white space and still decode to one content. Such values
                // are found when they are read.
                TypedSource::Base64(text) => Origin::Content(text.clone()),
                TypedSource::Command(words) => {
                    let mut all = Vec::new();
                    for word in words {
                        all.push(0);
                        all.extend(replaced(&word.value)?.as_bytes());
                    }
                    Origin::Command(all)
                }
                TypedSource::Shell(text) => Origin::Command(shell(text, Some(values))),
                TypedSource::Env(text) => Origin::Variable(replaced(text)?),
                TypedSource::Symlink(_) => Origin::Nothing,
            },
        })
    }

    /// The words of a shell that runs `script` for this machine, each behind a NUL, then the
    /// variables of the machine that the script names. A script that names none is one command for
    /// all machines.
    pub(crate) fn shell(&self, script: &str, machine: usize) -> Vec<u8> {
        let values = self.machines.get(machine).map(Machine::values);
        shell(script, values)
    }

    fn typed_source(&self, item: usize) -> Option<TypedOrigin<'_>> {
        Some(match self.typed.item(item)? {
            TypedItem::File(typed) => TypedOrigin::Source(&typed.source.value),
            TypedItem::Credential(typed) => TypedOrigin::Source(&typed.source.value),
            TypedItem::FwCfg(typed) => TypedOrigin::Source(&typed.source.value),
            TypedItem::Pseudo(typed) => TypedOrigin::Pseudo(&typed.text.value),
            TypedItem::PseudoFile(typed) => TypedOrigin::PseudoFile(&typed.text.value),
        })
    }
}

/// Where the content of an item comes from, as typed.
enum TypedOrigin<'a> {
    Source(&'a TypedSource),
    Pseudo(&'a Text),
    PseudoFile(&'a Text),
}

fn shell(script: &str, values: Option<Values>) -> Vec<u8> {
    let mut all = b"\0/bin/sh\0-c\0".to_vec();
    all.extend(script.as_bytes());
    let Some(values) = values else { return all };
    if names(script, MachineContext::NAME_VARIABLE) {
        all.push(0);
        all.extend(values.machine.as_bytes());
    }
    for (name, value) in values.variables.unwrap_or_default() {
        let variable = MachineContext::variable(name);
        if names(script, &variable) {
            // The name is part of it, as two machines may have their variables in different orders.
            all.push(0);
            all.extend(variable.as_bytes());
            all.push(0);
            all.extend(value.as_bytes());
        }
    }
    all
}

/// Whether a script names this variable.
fn names(script: &str, variable: &str) -> bool {
    script.match_indices(variable).any(|(at, _)| {
        let behind = script.get(at + variable.len()..).unwrap_or_default();
        !behind.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
    })
}

/// Whether a script names a variable that tells of its machine.
fn names_machine(script: &str) -> bool {
    names(script, MachineContext::NAME_VARIABLE) || script.contains(MachineContext::VARIABLE_PREFIX)
}
