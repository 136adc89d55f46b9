//! What lies beside an image under the names that a build gives to its files: whether it
//! is one of them, or a thing that somebody else has put there.

use std::ffi::OsStr;
use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{Job, files};
use crate::delivery::sidecar::{self, Sidecar};
use crate::host::identity::FileId;
use crate::host::listing;
use crate::host::output::{self, Access, Excess, INDEX_SUFFIX, Index};
use crate::look::opened::Opened;
use crate::report::{Exit, Failure, reason, shell_word, shown};
use crate::sources::assemble::in_entry;

/// The index of the image at `path` and what it names, in the order of the names. What
/// another build removes meanwhile was not there.
pub(crate) fn look(path: &Path) -> io::Result<Vec<Beside>> {
    let Some(index) = output::read_index(path, &sidecar::is_suffix)? else {
        return Ok(Vec::new());
    };
    let Index { suffixes, is_pure } = index;
    let mut all = things(path, std::iter::once(INDEX_SUFFIX.to_owned()).chain(suffixes))?;
    for beside in all.iter_mut().filter(|beside| beside.suffix == INDEX_SUFFIX) {
        beside.is_strange = !is_pure;
    }
    Ok(all)
}

fn things(path: &Path, suffixes: impl Iterator<Item = String>) -> io::Result<Vec<Beside>> {
    let mut all = Vec::new();
    for suffix in suffixes {
        let file = sidecar::path(path, &suffix);
        match std::fs::symlink_metadata(&file) {
            Ok(found) => all.push(Beside { suffix, file, found, is_strange: false }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// What follows the image's name and a dot in the names of files in its directory that a build
/// may have made, sorted; whatever they are.
fn suffixes(image: &Path) -> io::Result<Vec<String>> {
    let directory = image.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut start = image.file_name().unwrap_or_default().to_owned();
    start.push(".");
    let mut suffixes = Vec::new();
    for name in listing::names(directory.unwrap_or(Path::new(".")))? {
        suffixes.extend(suffix(&name, &start));
    }
    suffixes.sort_unstable();
    Ok(suffixes)
}

fn suffix(name: &OsStr, start: &OsStr) -> Option<String> {
    let suffix = name.as_bytes().strip_prefix(start.as_bytes())?;
    let suffix = str::from_utf8(suffix).ok()?;
    sidecar::is_own(suffix.as_bytes()).then(|| suffix.to_owned())
}

/// A thing beside an image that has the name of one of its files.
pub(crate) struct Beside {
    /// What follows the image's name and a dot.
    pub(crate) suffix: String,
    file: PathBuf,
    /// What it is, with no link followed.
    pub(crate) found: Metadata,
    /// Whether it has the name of the index, and holds what no build has written.
    is_strange: bool,
}

impl Beside {
    fn id(&self) -> FileId {
        (self.found.dev(), self.found.ino())
    }
}

/// The suffixes of the files that belong to `image`, which lies at `path`: regular files of
/// its owner that let nobody do more than the image does.
///
/// Anything else of such a name is an error of [`Exit::Policy`]: the guest would get what
/// somebody else has put there, or what a link leads to. So is one that the image's index does not
/// name: no build of this image has made it, or one that was killed long ago.
pub(crate) fn of_image(path: &Path, image: &Opened) -> Result<Vec<String>, Failure> {
    let unread = |error| unread(Exit::Image, path, &error);
    let mut all = things(path, suffixes(path).map_err(unread)?.into_iter()).map_err(unread)?;
    if !all.is_empty() {
        let own = image.access().map_err(unread)?;
        for Beside { file, found, .. } in &all {
            require_regular(path, file, found)?;
            let access = Access::of_path(file, found).map_err(unread)?;
            if let Some(excess) = access.excess(&own) {
                return Err(explain(path, file, excess, &access, &own));
            }
        }
        let index = output::read_index(path, &sidecar::is_suffix).map_err(unread)?;
        let listed = index.unwrap_or_default().suffixes;
        all.retain(|beside| beside.suffix != INDEX_SUFFIX);
        if let Some(stray) = all.iter().find(|beside| !listed.contains(&beside.suffix)) {
            return Err(unnamed(path, stray));
        }
    }
    Ok(all.into_iter().map(|beside| beside.suffix).collect())
}

/// An error of [`Exit::Policy`] where a build of the image at `path` would replace or remove
/// something that does not belong to it. A file belongs to it if it is a regular one and its owner
/// is the caller, the owner of the old image, or the owner that `wanted` names. Who may read it
/// does not matter, as a new file takes its place.
pub(crate) fn require_replaceable(
    path: &Path,
    all: &[Beside],
    wanted: output::Permissions,
) -> Result<(), Failure> {
    if all.is_empty() {
        return Ok(());
    }
    let old = std::fs::symlink_metadata(path).ok().filter(Metadata::is_file);
    let owners = [
        Some(rustix::process::geteuid().as_raw()),
        wanted.owner.map(|(uid, _)| uid),
        old.map(|old| old.uid()),
    ];
    for Beside { file, found, is_strange, .. } in all {
        require_regular(path, file, found)?;
        if *is_strange {
            let what = "it holds other lines than names of such files";
            return Err(foreign(path, file, what));
        }
        if !owners.contains(&Some(found.uid())) {
            return Err(foreign(path, file, &format!("the user {} owns it", found.uid())));
        }
    }
    Ok(())
}

/// An error where a new sidecar, or the index, would replace a file that does not belong to the
/// image at `path`: one that [`require_replaceable`] refuses, or one that the image's index does
/// not name, neither now nor when the build of `job` began.
///
/// Errors: exit code 2 where `job` reads that file, else 5.
pub(crate) fn require_names(
    path: &Path,
    sidecars: &[Sidecar],
    wanted: output::Permissions,
    job: &Job,
) -> Result<(), Failure> {
    if sidecars.is_empty() {
        return Ok(());
    }
    let suffixes = sidecars.iter().map(|sidecar| sidecar.suffix.clone());
    let suffixes = suffixes.chain(std::iter::once(INDEX_SUFFIX.to_owned()));
    let unread = |error| unread(Exit::Output, path, &error);
    let all = things(path, suffixes).map_err(unread)?;
    require_replaceable(path, &all, wanted)?;
    let known = &job.settings.output.sidecars;
    let is_known = |beside: &Beside| beside.suffix == INDEX_SUFFIX || known.contains(&beside.id());
    let strays: Vec<_> = all.iter().filter(|beside| !is_known(beside)).collect();
    if strays.is_empty() {
        return Ok(());
    }
    // Another builder may have made them since: then the index names them, or they are gone.
    let index = output::read_index(path, &sidecar::is_suffix).map_err(unread)?;
    let now = index.unwrap_or_default().suffixes;
    let is_there =
        |beside: &&Beside| files::id(beside.file.symlink_metadata()) == Some(beside.id());
    let mut strays = strays.into_iter().filter(|beside| !now.contains(&beside.suffix));
    strays.find(is_there).map_or(Ok(()), |stray| Err(refusal_of_stray(path, stray, job)))
}

/// The failure of a build of the image at `path` that would replace `stray`, which no earlier build
/// of the image has made.
fn refusal_of_stray(path: &Path, stray: &Beside, job: &Job) -> Failure {
    let is_stray = |path: &Path| files::id(std::fs::metadata(path)) == Some(stray.id());
    let refusal = |input: String| {
        let message = format!("{input} is {}, which the image would replace", shown(&stray.file));
        Failure::new(Exit::Usage, message).hint("write the image to another directory")
    };
    let mut sources = job.manifest.sources();
    let source = sources.find(|entry| entry.source.host_path().is_some_and(is_stray));
    if let Some(source) = source {
        return in_entry(refusal("its source".to_owned()), source);
    }
    let pseudo = job.manifest.pseudo.files.iter().map(|file| ("pseudo file", &*file.path));
    let keys = job.image.encryptor.iter().flat_map(|encryptor| encryptor.inputs());
    let initrd = job.settings.initrd.iter().map(|initrd| ("guest's own initrd", initrd.path()));
    let mut inputs = std::iter::once(("manifest", &*job.manifest.path))
        .chain(pseudo)
        .chain(keys.map(|key| ("key file", &**key)))
        .chain(initrd);
    match inputs.find(|(_, path)| is_stray(path)) {
        Some((what, path)) => refusal(format!("the {what} {}", shown(path))),
        None => unnamed(path, stray),
    }
}

/// The failure of a file beside the image at `path` that the image's index does not name.
fn unnamed(path: &Path, stray: &Beside) -> Failure {
    let what = format!("{} does not name it", shown(&sidecar::path(path, INDEX_SUFFIX)));
    let hint = "remove it, or copy the index together with the image";
    foreign(path, &stray.file, &what).hint(hint)
}

/// The failure to read what lies beside the image at `path`.
fn unread(exit: Exit, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot read what lies beside {}: {}", shown(path), reason(error));
    Failure::new(exit, message)
}

fn require_regular(path: &Path, file: &Path, found: &Metadata) -> Result<(), Failure> {
    kind(found.file_type()).map_or(Ok(()), |kind| Err(foreign(path, file, kind)))
}

/// What messages say of what is no regular file.
fn kind(found: FileType) -> Option<&'static str> {
    if found.is_file() {
        None
    } else if found.is_symlink() {
        Some("it is a symbolic link")
    } else if found.is_dir() {
        Some("it is a directory")
    } else if found.is_fifo() {
        Some("it is a FIFO")
    } else if found.is_socket() {
        Some("it is a socket")
    } else {
        Some("it is a device")
    }
}

/// The failure of `file`, of which the access `theirs` exceeds `own`, that of the image at `path`.
fn explain(path: &Path, file: &Path, excess: Excess, theirs: &Access, own: &Access) -> Failure {
    let Access { owner, group, mode, .. } = theirs;
    let name = shell_word(file);
    let again = |mend: &str| format!("{mend}, or build the image again");
    let (what, hint) = match excess {
        Excess::Owner => (
            format!("the user {owner} owns it, and the user {} owns the image", own.owner),
            "remove it, or give both one owner".to_owned(),
        ),
        Excess::Mode => {
            let mend = again(&format!("`chmod {:04o} {name}`", mode & own.mode));
            (format!("its mode {mode:04o} allows more than the image's {:04o}", own.mode), mend)
        }
        Excess::OtherGroup => (
            format!("the group {group} may read it, and the image is the group {}'s", own.group),
            again("give both one group"),
        ),
        Excess::Group => (
            format!("the group {group} may read it, and not the image"),
            again(&format!("`chmod g= {name}`")),
        ),
        Excess::List => (
            "its access control list lets others read it than the image's does".to_owned(),
            again(&format!("`setfacl -b {name}`")),
        ),
    };
    foreign(path, file, &what).hint(hint)
}

/// The failure of a thing that has the name of one of the image's files.
fn foreign(path: &Path, file: &Path, what: &str) -> Failure {
    let (image, file) = (shown(path), shown(file));
    let message = format!(
        "{file} has the name of a file that belongs to {image}, but is not taken for it: {what}"
    );
    Failure::new(Exit::Policy, message).hint("remove it or give it another name")
}
