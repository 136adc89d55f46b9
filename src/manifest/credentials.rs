//! What `credentials` and `mount` mean.

use std::collections::HashMap;
use std::path::Path;

use credimg_formats::{Mode, Name, Xattrs};

use super::error::Fault;
use super::resolved::{Attributes, Credential, Entry, Keep, MountPoint, TreePath};
use super::{resolve, schema, source, values};
use crate::report::{Position, Problem, Problems};

/// The directory of the disk that holds the credentials, where the disk itself
/// is not mounted in place of the store.
const STORE: &str = "credstore";
/// systemd reads credentials as root, whatever service they are for.
const OWNER: (u32, u32) = (0, 0);
const MODE: Mode = Mode::of::<0o400>();
const DIR_MODE: Mode = Mode::of::<0o500>();

/// The credentials that are well formed; of several with one name the first.
pub(super) fn resolve(
    typed: Vec<schema::Credential>,
    mount: Option<&MountPoint>,
    directory: &Path,
    defaults: &Attributes,
    problems: &mut Problems,
) -> Vec<Credential> {
    let store = if mount.is_some_and(MountPoint::is_credstore) { None } else { Some(STORE) };
    let attributes = Attributes {
        mode: Keep::Set(MODE),
        dir_mode: Keep::Set(DIR_MODE),
        owner: Keep::Set(OWNER),
        mtime: defaults.mtime,
        xattrs: Xattrs::new(),
        xattrs_recursive: None,
        archive_xattrs: true,
    };
    let mut taken = HashMap::new();
    let mut credentials = Vec::new();
    for typed in typed {
        let name = problems.keep(resolve::checked(&typed.name, values::credential_name));
        let via = resolve::optional(typed.via.as_ref(), values::via, problems);
        let source = source::resolve(&typed.source, typed.trim, directory, problems);
        let (Some(name), Some(source)) = (name, source) else { continue };
        let path = problems.keep(place(store, &name, &typed.at));
        let first = taken.entry(name.clone()).or_insert_with(|| typed.at.clone());
        if *first != typed.at {
            problems.note(twice(first, &typed.name.at));
            continue;
        }
        let Some(path) = path else { continue };
        let attributes = attributes.clone();
        let granted = typed.grant.granted;
        let entry = Entry { path, source, attributes, position: typed.at, granted };
        credentials.push(Credential { name, via: via.flatten(), entry });
    }
    credentials
}

fn place(store: Option<&str>, name: &str, at: &Position) -> Result<TreePath, Problem> {
    let names = store.into_iter().chain([name]).map(|name| Name::new(name.as_bytes()));
    let names: Result<_, _> = names.collect();
    names.map(TreePath).map_err(|error| Fault::new(error.to_string()).at(at))
}

fn twice(first: &Position, at: &Position) -> Problem {
    let message = format!("the name is taken by {} at line {}", first.key_path, first.line);
    Fault::new(message).hint("of two credentials of one name a guest ignores one in silence").at(at)
}
