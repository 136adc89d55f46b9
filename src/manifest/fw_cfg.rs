//! What `fw_cfg` means: items of QEMU's firmware configuration device, by their whole names.

use std::collections::HashMap;
use std::path::Path;

use credimg_formats::Name;

use super::error::Fault;
use super::resolved::{Attributes, Entry, FwCfg, TreePath};
use super::{resolve, schema, source};
use crate::report::Problems;

/// Longest name in characters (QEMU, `FW_CFG_MAX_FILE_PATH` less its NUL).
const NAME_MAX_BYTES: usize = 55;
/// Where users' items begin: QEMU warns of others, which may be its own.
const PREFIX: &str = "opt/";
/// Where systemd looks for credentials.
const CREDENTIALS: &str = "opt/io.systemd.credentials";

/// The items that are well formed. `attributes` are those of no file: an item has none.
pub(super) fn resolve(
    typed: Vec<schema::FwCfg>,
    directory: &Path,
    attributes: &Attributes,
    problems: &mut Problems,
) -> Vec<FwCfg> {
    let mut items: Vec<FwCfg> = Vec::new();
    let mut taken = Taken::default();
    for typed in typed {
        let name = problems.keep(resolve::checked(&typed.name, name));
        let source = source::resolve(&typed.source, typed.trim, directory, problems);
        let (Some(name), Some(source)) = (name, source) else { continue };
        if let Some(other) = taken.clash(&name).and_then(|first| items.get(first)) {
            let other = &other.entry.position;
            let message = format!("the name is taken by {} at line {}", other.key_path, other.line);
            let fault =
                Fault::new(message).hint("no name may be the beginning of another one's path");
            problems.note(fault.at(&typed.name.at));
            continue;
        }
        taken.add(&name, items.len());
        let names = name.split('/').filter_map(|name| Name::new(name.as_bytes()).ok());
        let path = TreePath(names.collect());
        let attributes = attributes.clone();
        let (position, granted) = (typed.at, typed.grant.granted);
        items.push(FwCfg { name, entry: Entry { path, source, attributes, position, granted } });
    }
    items
}

/// The names so far, by the index of their items. The guest shows names as directories and files.
#[derive(Default)]
struct Taken {
    names: HashMap<String, usize>,
    /// The first item below each directory.
    directories: HashMap<String, usize>,
}

impl Taken {
    fn add(&mut self, name: &str, index: usize) {
        for directory in directories(name) {
            self.directories.entry(directory.to_owned()).or_insert(index);
        }
        self.names.insert(name.to_owned(), index);
    }

    /// The first item that cannot stand beside one of this name.
    fn clash(&self, name: &str) -> Option<usize> {
        let at_or_above = directories(name).chain([name]).filter_map(|name| self.names.get(name));
        at_or_above.chain(self.directories.get(name)).min().copied()
    }
}

/// The paths above a name.
fn directories(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(at, _)| name.get(..at))
}

fn is_at_or_below(name: &str, upper: &str) -> bool {
    name.strip_prefix(upper).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn name(text: &str) -> Result<String, Fault> {
    if !is_name(text) {
        let rule = "expected a name as opt/com.coreos/config: `opt/`, then letters, digits and \
                    `._+@-` between slashes";
        return Err(Fault::new(rule));
    }
    if text.len() > NAME_MAX_BYTES {
        let got = text.len();
        return Err(Fault::new(format!(
            "expected a name of at most {NAME_MAX_BYTES} characters, got {got}"
        )));
    }
    if is_at_or_below(text, CREDENTIALS) {
        let fault = Fault::new("this is where the guest's systemd takes credentials from");
        return Err(fault.hint("give it as one of `credentials`, with `via: fw_cfg`"));
    }
    Ok(text.to_owned())
}

/// Whether this has the form of an item's name, however long.
pub(crate) fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._+@-".contains(&byte);
    let is_component = |name: &str| !matches!(name, "" | "." | "..") && name.bytes().all(is_letter);
    text.starts_with(PREFIX) && text.split('/').all(is_component)
}
