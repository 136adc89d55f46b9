//! The kernel that the machine starts for a probe, and where its modules are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::host::open::open_named;
use crate::report::{Exit, Failure};

/// The part of a bzImage's head that says where its version stands (Linux's
/// Documentation/arch/x86/boot.rst).
const HEAD_BYTES: usize = 0x210;
const MAGIC: &[u8] = b"HdrS";
const MAGIC_START: usize = 0x202;
/// The header gives the version's place relative to this offset.
const VERSION_BASE: u64 = 0x200;
/// Longer than any version, with what follows it.
const VERSION_MAX_BYTES: usize = 128;
/// What the list of a version's modules is called, in their directory.
pub(super) const LIST: &str = "modules.dep";

/// A kernel.
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    /// The directory of its modules; none where it is not found.
    pub(super) modules: Option<PathBuf>,
}

impl Kernel {
    /// The kernel in `image`, or else the host's own kernel if that is for `architecture`. Its
    /// modules are in `modules`, or else in one of the usual places.
    pub(super) fn find(
        image: Option<&Path>,
        modules: Option<&Path>,
        architecture: &str,
    ) -> Result<Self, Failure> {
        let image = match image {
            Some(image) => image.to_owned(),
            None => of_host(architecture)?,
        };
        let modules = match modules {
            Some(directory) if directory.join(LIST).is_file() => Some(directory.to_owned()),
            Some(directory) => {
                let directory = crate::report::shown(directory);
                let message = format!("{directory} has no {LIST}: it is no directory of modules");
                let hint = "--modules names one as /lib/modules/6.1.0-57-amd64";
                return Err(Failure::new(Exit::Usage, message).hint(hint));
            }
            None => modules_of(&image)?,
        };
        Ok(Self { image, modules })
    }
}

/// The kernel that runs here.
fn of_host(architecture: &str) -> Result<PathBuf, Failure> {
    let hint = "--kernel names one: any bzImage, or Image for Arm, of a distribution will do";
    if architecture != std::env::consts::ARCH {
        let message = format!("this host's kernel is not for {architecture}");
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let places = [format!("/boot/vmlinuz-{release}"), format!("/lib/modules/{release}/vmlinuz")];
    places.iter().map(PathBuf::from).find(|place| place.is_file()).ok_or_else(|| {
        let [place, _] = &places;
        Failure::new(Exit::Usage, format!("this host has no {place}")).hint(hint)
    })
}

/// The directory of a kernel's modules: beside the kernel itself, in the root directory that it
/// lies in, or among the host's.
fn modules_of(image: &Path) -> Result<Option<PathBuf>, Failure> {
    // Distributions have links such as /vmlinuz.
    let image = image.canonicalize().unwrap_or_else(|_| image.to_owned());
    let beside = image.parent().unwrap_or(Path::new("")).to_owned();
    let lists = [beside.join("../lib/modules"), beside.join("../usr/lib/modules")];
    let mut places = vec![beside];
    match version(&image)? {
        Some(version) => {
            let lists = lists.iter().map(PathBuf::as_path).chain([Path::new("/lib/modules")]);
            places.extend(lists.map(|list| list.join(&version)));
        }
        None => places.extend(lists.iter().filter_map(|list| only_entry(list))),
    }
    Ok(places.into_iter().find(|place| place.join(LIST).is_file()))
}

/// The only entry of this directory; none where there are several or none.
fn only_entry(directory: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(directory).ok()?;
    let only = entries.next()?.ok()?;
    entries.next().is_none().then(|| only.path())
}

/// The kernel's version: from the header of a bzImage, else from the file's name.
fn version(image: &Path) -> Result<Option<PathBuf>, Failure> {
    let (file, _) = open_named(image)?;
    let mut head = [0; HEAD_BYTES];
    let has_head = file.read_exact_at(&mut head, 0).is_ok()
        && head.get(MAGIC_START..).is_some_and(|head| head.starts_with(MAGIC));
    let [.., low, high] = head;
    let start = VERSION_BASE + u64::from(u16::from_le_bytes([low, high]));
    let mut text = [0; VERSION_MAX_BYTES];
    let named = || {
        let name = image.file_name()?.as_bytes();
        let at = name.iter().position(|byte| *byte == b'-')?;
        Some(OsStr::from_bytes(name.get(at + 1..)?).into())
    };
    if !has_head || file.read_exact_at(&mut text, start).is_err() {
        return Ok(named());
    }
    let text = text.split(|byte| *byte == 0 || *byte == b' ').next().unwrap_or_default();
    // The version becomes part of a path, so it must be a plain file name.
    let is_name = !text.is_empty() && !text.contains(&b'/') && !text.starts_with(b".");
    Ok(is_name.then(|| OsStr::from_bytes(text).into()))
}
