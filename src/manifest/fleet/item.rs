//! Everything in a fleet's manifest that has a source, numbered in one row: entries, credentials,
//! items of `fw_cfg` and pseudo definitions.

use super::super::error::Fault;
use super::super::node::Text;
use super::super::schema::{Credential, Entry, FwCfg, PseudoItem, Typed};
use super::Grant;
use super::grants::{Finder, HINT, MachineSet};
use crate::report::{Position, Problems};

/// Something of a fleet that has a source.
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Its path or name as written, with placeholders; empty for a pseudo definition.
    pub shown: String,
    /// Where it stands in the manifest.
    pub position: Position,
    /// Whether its source may reach several machines.
    pub shared: bool,
    /// Who gets it.
    pub machines: MachineSet,
}

/// The kinds of items, each of a list of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// An entry of `files`.
    File,
    /// A credential.
    Credential,
    /// An item of `fw_cfg`.
    FwCfg,
    /// An item of `pseudo`.
    Pseudo,
    /// An item of `pseudo_files`.
    PseudoFile,
}

/// An item as typed.
pub(super) enum TypedItem<'a> {
    File(&'a Entry),
    Credential(&'a Credential),
    FwCfg(&'a FwCfg),
    Pseudo(&'a PseudoItem),
    PseudoFile(&'a PseudoItem),
}

impl Typed {
    /// The item with this index, as [`all`] numbers them.
    pub(super) fn item(&self, index: usize) -> Option<TypedItem<'_>> {
        let Self { files, credentials, fw_cfg, pseudo, pseudo_files, .. } = self;
        if let Some(typed) = files.get(index) {
            return Some(TypedItem::File(typed));
        }
        let index = index.checked_sub(files.len())?;
        if let Some(typed) = credentials.get(index) {
            return Some(TypedItem::Credential(typed));
        }
        let index = index.checked_sub(credentials.len())?;
        if let Some(typed) = fw_cfg.get(index) {
            return Some(TypedItem::FwCfg(typed));
        }
        let index = index.checked_sub(fw_cfg.len())?;
        if let Some(typed) = pseudo.get(index) {
            return Some(TypedItem::Pseudo(typed));
        }
        let index = index.checked_sub(pseudo.len())?;
        pseudo_files.get(index).map(TypedItem::PseudoFile)
    }
}

/// For each of `count` machines: the indexes of its items, in order.
pub(super) fn of_machines(items: &[Item], count: usize) -> Vec<Box<[u32]>> {
    let mut granted: Vec<Vec<u32>> = Vec::new();
    granted.resize_with(count, Vec::new);
    // A manifest has fewer items than bytes.
    for (index, item) in (0_u32..).zip(items) {
        for machine in item.machines.iter() {
            granted.get_mut(machine).into_iter().for_each(|items| items.push(index));
        }
    }
    granted.into_iter().map(Vec::into_boxed_slice).collect()
}

/// All items in the manifest's order. Each is told its index.
pub(super) fn all(typed: &mut Typed, mut finder: Finder, problems: &mut Problems) -> Vec<Item> {
    let mut items = Vec::new();
    let mut add = |kind, shown: &Text, position: &Position, grant: &mut Grant, goes_to_all| {
        let machines = match &grant.to {
            Some(to) => finder.granted(to, problems),
            None if goes_to_all => finder.all(),
            None => {
                let fault = Fault::new("nothing says which machines get this");
                problems.note(fault.hint(HINT).at(position));
                MachineSet::default()
            }
        };
        grant.item = items.len();
        let shared = grant.shared.as_ref().is_some_and(|shared| shared.value);
        let (shown, position) = (String::clone(shown), position.clone());
        items.push(Item { kind, shown, position, shared, machines });
    };
    for entry in &mut typed.files {
        let is_link = entry.source.value.is_symlink();
        add(ItemKind::File, &entry.path.value, &entry.at, &mut entry.grant, is_link);
    }
    for it in &mut typed.credentials {
        add(ItemKind::Credential, &it.name.value, &it.at, &mut it.grant, false);
    }
    for it in &mut typed.fw_cfg {
        add(ItemKind::FwCfg, &it.name.value, &it.at, &mut it.grant, false);
    }
    let nothing = Text::default();
    for it in &mut typed.pseudo {
        add(ItemKind::Pseudo, &nothing, &it.at, &mut it.grant, it.is_plain);
    }
    for it in &mut typed.pseudo_files {
        add(ItemKind::PseudoFile, &it.text.value, &it.at, &mut it.grant, it.is_plain);
    }
    items
}
