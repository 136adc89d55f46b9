//! The modules of a kernel: which a guest needs, in the order in which they are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::kernel::LIST;
use crate::host::open::open_named;
use crate::report::{Exit, Failure, reason, shown};
use crate::sources::archive::unpacked;

/// The longest module that is read. The largest file system of Linux is a tenth of that.
const MODULE_MAX_BYTES: u64 = 64 << 20;
/// As much of a list as is read; the longest of a distribution is a tenth of it.
const LIST_MAX_BYTES: u64 = 16 << 20;

/// What a directory such as /lib/modules/6.1.0-57-amd64 says of its modules.
pub(super) struct Modules {
    directory: PathBuf,
    /// By name: the module's file, and the files of the modules that it needs. The last of these is
    /// loaded first.
    files: BTreeMap<String, (String, Vec<String>)>,
    /// Modules that are compiled into the kernel.
    builtin: BTreeSet<String>,
}

/// A module in a guest's initrd.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

impl Modules {
    /// Reads the lists in the directory (modules.dep(5)).
    pub(super) fn open(directory: &Path) -> Result<Self, Failure> {
        let text = |name: &str| {
            let path = directory.join(name);
            let mut text = String::new();
            let (file, _) = open_named(&path)?;
            file.take(LIST_MAX_BYTES)
                .read_to_string(&mut text)
                .map_err(|error| cannot_read(&path, &error))?;
            Ok::<_, Failure>(text)
        };
        let files = text(LIST)?
            .lines()
            .filter_map(|line| {
                let (file, needs) = line.split_once(':')?;
                let needs = needs.split_whitespace().map(str::to_owned).collect();
                Some((name(file), (file.to_owned(), needs)))
            })
            .collect();
        let builtin = text("modules.builtin")?.lines().map(name).collect();
        Ok(Self { directory: directory.to_owned(), files, builtin })
    }

    /// Whether the kernel has the module, as a file or built in.
    pub(super) fn has(&self, module: &str) -> bool {
        self.builtin.contains(module) || self.files.contains_key(module)
    }

    /// The wanted modules and those that they need, unpacked, in the order in which they are
    /// loaded. Modules that are built in need no file.
    pub(super) fn load(&self, wanted: &BTreeSet<&str>) -> Result<Vec<Module>, Failure> {
        let mut files = Vec::new();
        for (file, needs) in wanted.iter().filter_map(|module| self.files.get(*module)) {
            for file in needs.iter().rev().chain([file]) {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        files
            .into_iter()
            .map(|file| {
                let content = unpack(&self.directory.join(file))?;
                Ok(Module { name: name(file), content })
            })
            .collect()
    }
}

/// The name that a module's file stands for.
fn name(file: &str) -> String {
    let file = file.rsplit('/').next().unwrap_or_default();
    file.split('.').next().unwrap_or_default().replace('-', "_")
}

/// What a module's file holds, unpacked: distributions pack them by gzip, xz or zstd.
fn unpack(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let (file, _) = open_named(path)?;
    unpacked(file)
        .and_then(|file| file.take(MODULE_MAX_BYTES).read_to_end(&mut content))
        .map_err(|error| cannot_read(path, &error))?;
    Ok(content)
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Source, format!("cannot read {}: {}", shown(path), reason(error)))
}
