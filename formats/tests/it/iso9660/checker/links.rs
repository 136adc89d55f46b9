//! Link counts and inode numbers, which the records of a tree say together.

use std::collections::BTreeMap;

use super::directory::{Directory, Entry, Hierarchy};
use super::{Attributes, Extent, Result, S_IFMT, fault};

/// RRIP 4.1.1: `st_nlink`, and a serial number that hard links alone have in common.
pub(crate) fn check(hierarchy: &Hierarchy) -> Result<()> {
    for directory in &hierarchy.directories {
        check_directory(directory)?;
    }
    let root = hierarchy.directories.first().and_then(|root| root.own.as_ref());
    let root_serial = root.map(|fields| fields.attributes.serial);
    for (serial, names) in hierarchy.inodes() {
        let (first, attributes) = names[0];
        let shown = shown(first);
        if Some(serial) == root_serial {
            return fault(first.start, format!("{shown}: the serial number is the root's"));
        }
        if first.is_directory {
            if let [_, (second, _), ..] = names[..] {
                return fault(second.start, format!("{shown}: a directory has two names"));
            }
            continue;
        }
        for (name, other) in &names {
            let is_same = (other, &name.extents, named_value(name))
                == (&attributes, &first.extents, named_value(first));
            if !is_same {
                let what =
                    format!("{}: is not the same as {shown}, its hard link", self::shown(name));
                return fault(name.start, what);
            }
        }
        let (got, expected) = (attributes.links, names.len());
        if got as usize != expected {
            return fault(first.start, format!("{shown}: expected {expected} links, got {got}"));
        }
    }
    Ok(())
}

/// 2 and one for each directory inside.
fn check_directory(directory: &Directory) -> Result<()> {
    let Some(fields) = &directory.own else { return Ok(()) };
    let Attributes { links, mode, .. } = fields.attributes;
    let expected = 2 + directory.entries.iter().filter(|entry| entry.is_directory).count();
    let shown = directory.path.escape_ascii();
    if links as usize != expected {
        let what = format!("/{shown}: expected {expected} links, got {links}");
        return fault(directory.extent.start, what);
    }
    let mut names: Vec<_> = directory.entries.iter().map(|entry| &entry.path).collect();
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let what = format!("/{}: the name is there twice", pair[0].escape_ascii());
        return fault(directory.extent.start, what);
    }
    match mode & S_IFMT {
        0o040_000 => Ok(()),
        _ => fault(directory.extent.start, format!("/{shown}: mode {mode:o}")),
    }
}

fn named_value(entry: &Entry) -> (Option<&Vec<u8>>, Option<(u32, u32)>) {
    let fields = entry.fields.as_ref();
    (fields.and_then(|it| it.target.as_ref()), fields.and_then(|it| it.device))
}

fn shown(entry: &Entry) -> String {
    format!("/{}", entry.path.escape_ascii())
}

/// Joliet has each directory and each file of the other tree: as many, with the same
/// contents.
pub(crate) fn check_same_contents(
    hierarchy: &Hierarchy,
    joliet: &BTreeMap<Vec<u8>, Vec<Extent>>,
    start: u64,
) -> Result<()> {
    let nodes = hierarchy.nodes();
    let held = |mode: u32| matches!(mode & S_IFMT, 0o040_000 | 0o100_000);
    let nodes = nodes.iter().filter(|(path, node)| !path.is_empty() && held(node.attributes.mode));
    let mut expected: Vec<_> = nodes.map(|(_, node)| &node.extents).collect();
    let mut got: Vec<_> = joliet.values().collect();
    expected.sort();
    got.sort();
    if expected == got {
        return Ok(());
    }
    fault(start, "Joliet's files are not those of the primary tree")
}
