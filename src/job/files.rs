//! Checks the files that a build names: no two may be the same file, and none may be one that is
//! replaced or removed with the image.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::beside::{self, Beside};
use super::old_output;
use super::wishes::EncryptionWishes;
use crate::host::output;
use crate::host::streams::Stream;
use crate::manifest::{KeySource, Manifest};
use crate::report::{self, Exit, Failure};
use crate::sources::assemble::{OwnFiles, Replaced, directory_of, in_entry};

/// The files that a build reads and writes by name, besides its sources.
pub(crate) struct Files<'a> {
    pub(crate) manifest: &'a Manifest,
    /// Where the image goes; `-` is standard output.
    pub(crate) image: &'a Path,
    pub(crate) keys: &'a EncryptionWishes,
    /// The guest's own initrd.
    pub(crate) initrd: Option<&'a Path>,
    pub(crate) depfile: Option<&'a Path>,
    pub(crate) report: Option<&'a Path>,
}

/// The use of a file in a build.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Manifest,
    Pseudo,
    Source,
    Key,
    MasterKey,
    SigningKey,
    Certificate,
    Initrd,
    Image,
    Dependencies,
    Report,
}

impl Role {
    /// The name in messages.
    fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Pseudo => "pseudo file",
            Self::Source => "source",
            Self::Key => "key file",
            Self::MasterKey => "master key",
            Self::SigningKey => "key that signs",
            Self::Certificate => "certificate",
            Self::Initrd => "guest's own initrd",
            Self::Image => "image",
            Self::Dependencies => "dependency file",
            Self::Report => "report",
        }
    }

    /// Whether a link at its path is followed.
    fn is_followed(self) -> bool {
        match self {
            Self::Manifest
            | Self::Pseudo
            | Self::Source
            | Self::Key
            | Self::MasterKey
            | Self::SigningKey
            | Self::Certificate
            | Self::Initrd => true,
            Self::Image | Self::Dependencies | Self::Report => false,
        }
    }
}

impl Files<'_> {
    /// The files that the build replaces and removes, after checking by their names that it needs
    /// none of them. The image's files get the owner and the mode of `permissions`.
    ///
    /// Errors: exit code 2 for two files that are one, 5 for a file that has the name of one of the
    /// image's files and is none, 7 for a directory that cannot be read.
    pub(crate) fn own_files(&self, permissions: output::Permissions) -> Result<OwnFiles, Failure> {
        self.require_apart()?;
        self.require_no_input()?;
        let beside = beside(self.image)?;
        let others = [(Role::Dependencies, self.depfile), (Role::Report, self.report)];
        let others = others.into_iter().filter_map(|(role, path)| Some((role.name(), path?)));
        let own_files = OwnFiles {
            others: others.map(|(what, path)| replaced(what, path)).collect(),
            ..own_files(self.image, &beside)
        };
        self.require_not_beside(&own_files)?;
        let has_old = own_files.image.as_ref().is_some_and(|image| image.file.is_some());
        require_no_source(self.manifest, &own_files).map_err(|failure| {
            if has_old { old_output::unchanged("image", failure) } else { failure }
        })?;
        self.require_streams_apart(&own_files)?;
        beside::require_replaceable(self.image, &beside, permissions)?;
        Ok(own_files)
    }

    /// An error if the image, the dependency file or the report is the same file as another of
    /// them, the manifest or a key: one would destroy the other.
    fn require_apart(&self) -> Result<(), Failure> {
        let mut earlier: Vec<(Role, &Path)> = self.keys().chain(self.initrd()).collect();
        for (role, path) in self.files() {
            if let Some((other, _)) = earlier.iter().find(|(_, other)| is_same(path, other)) {
                let clash = if role == Role::Manifest {
                    // The manifest itself replaces nothing.
                    format!("the {} is the manifest itself", other.name())
                } else {
                    format!("the {} would replace the {}", role.name(), other.name())
                };
                return Err(Failure::new(Exit::Usage, clash).hint("give each a name of its own"));
            }
            earlier.push((role, path));
        }
        Ok(())
    }

    /// An error if the dependency file or the report is a source or a pseudo file, which it would
    /// destroy. The image is compared when the sources are read.
    fn require_no_input(&self) -> Result<(), Failure> {
        let sources = self.manifest.sources().filter_map(|entry| entry.source.host_path());
        let sources = sources.map(|path| (Role::Source, path));
        let inputs: Vec<_> = self.pseudo().chain(sources).collect();
        for (role, path) in [(Role::Dependencies, self.depfile), (Role::Report, self.report)] {
            let Some(path) = path else { continue };
            if let Some((input, _)) = inputs.iter().find(|(_, input)| is_same(path, input)) {
                let (role, input, path) = (role.name(), input.name(), report::shown(path));
                let clash = format!("the {role} would replace the {input} {path}");
                return Err(Failure::new(Exit::Usage, clash).hint("give each a name of its own"));
            }
        }
        Ok(())
    }

    /// An error if a file that the build reads or writes is, or would be, one that it replaces or
    /// removes with the image at `own_files`. A build with other credentials would destroy it.
    fn require_not_beside(&self, own_files: &OwnFiles) -> Result<(), Failure> {
        let is_beside = |role: Role, path: &Path| {
            let is_there = || {
                let found = id(std::fs::metadata(path));
                found.is_some_and(|found| own_files.sidecars.contains(&found))
            };
            let is_beside_image = |path: &Path| own_files.is_beside_image(path);
            // Usually there are none, so the file need not be looked at. The image itself has
            // another name. Another build may have given it the inode number of a sidecar that is
            // gone.
            is_beside_image(path)
                || role.is_followed()
                    && behind_link(path).is_some_and(|path| is_beside_image(&path))
                || role != Role::Image && !own_files.sidecars.is_empty() && is_there()
        };
        if own_files.image.is_none() {
            return Ok(());
        }
        let read = self.keys().chain(self.pseudo()).chain(self.initrd());
        let Some((role, path)) =
            self.files().chain(read).find(|(role, path)| is_beside(*role, path))
        else {
            return Ok(());
        };
        let message = format!(
            "the {} {} has the name of a file that comes and goes with the image",
            role.name(),
            report::shown(path)
        );
        Err(Failure::new(Exit::Usage, message).hint("give it another name"))
    }

    /// An error if standard output or standard error is a file that the build replaces or removes
    /// with the image at `own_files`: what is printed would be lost.
    fn require_streams_apart(&self, own_files: &OwnFiles) -> Result<(), Failure> {
        for stream in [Stream::Output, Stream::Error] {
            let Some(file) = stream.file_id() else { continue };
            let mut replaced = self.files().filter(|(role, _)| *role != Role::Manifest);
            let found = replaced.find(|(role, path)| {
                let there = match role {
                    Role::Image => own_files.image.as_ref().and_then(|image| image.file),
                    Role::Manifest
                    | Role::Pseudo
                    | Role::Source
                    | Role::Key
                    | Role::MasterKey
                    | Role::SigningKey
                    | Role::Certificate
                    | Role::Initrd
                    | Role::Dependencies
                    | Role::Report => id(std::fs::symlink_metadata(path)),
                };
                there == Some(file)
            });
            let found = found.map(|(role, _)| format!("the {}", role.name()));
            let beside =
                own_files.sidecars.contains(&file).then(|| "a file of the old image".to_owned());
            if let Some(name) = beside.or(found) {
                let message = format!(
                    "{} goes into {name}, which is replaced: what is printed would be lost",
                    stream.name()
                );
                return Err(Failure::new(Exit::Usage, message).hint("send it into another file"));
            }
        }
        Ok(())
    }

    /// The files that the command line names.
    fn files(&self) -> impl Iterator<Item = (Role, &Path)> {
        let files = [
            (Role::Manifest, Some(self.manifest.path.as_path())),
            (Role::Image, Some(self.image)),
            (Role::Dependencies, self.depfile),
            (Role::Report, self.report),
        ];
        files.into_iter().filter_map(|(role, path)| Some((role, path?)))
    }

    /// The files of pseudo definitions.
    fn pseudo(&self) -> impl Iterator<Item = (Role, &Path)> {
        self.manifest.pseudo.files.iter().map(|file| (Role::Pseudo, file.path.as_path()))
    }

    /// The guest's own initrd.
    fn initrd(&self) -> impl Iterator<Item = (Role, &Path)> {
        self.initrd.into_iter().map(|path| (Role::Initrd, path))
    }

    /// The files of keys, those of the command line and that of the manifest.
    fn keys(&self) -> impl Iterator<Item = (Role, &Path)> {
        let EncryptionWishes { key_file, key_out, master_key, signing, .. } = self.keys;
        let planned = self.manifest.encrypt.as_ref().and_then(|encrypt| match &encrypt.key {
            Some(KeySource::File(path)) => Some(path),
            Some(KeySource::Generate) | None => None,
        });
        let keys = [key_file.as_ref(), key_out.as_ref(), planned].into_iter().flatten();
        let master = master_key.iter().map(|path| (Role::MasterKey, path.as_path()));
        let signing = signing.iter().flat_map(|signing| {
            [
                (Role::SigningKey, signing.key.as_path()),
                (Role::Certificate, signing.certificate.as_path()),
            ]
        });
        keys.map(|path| (Role::Key, path.as_path())).chain(master).chain(signing)
    }
}

/// Whether the image goes to standard output.
pub(crate) fn is_streamed(output: &Path) -> bool {
    output.as_os_str() == "-"
}

/// Where the link at this path leads in the end; none where there is no link.
fn behind_link(path: &Path) -> Option<PathBuf> {
    std::fs::read_link(path).ok()?;
    std::fs::canonicalize(path).ok()
}

/// Whether two paths lead to the same file, or would once both are written.
pub(crate) fn is_same(left: &Path, right: &Path) -> bool {
    let id = |path: &Path| id(std::fs::metadata(path));
    // Names usually differ, so the directories need not be looked at.
    (left.file_name() == right.file_name() && is_together(left, right))
        || id(left).is_some_and(|left| id(right) == Some(left))
}

/// Everything beside the image at `path` that has the name of one of its files.
pub(crate) fn beside(path: &Path) -> Result<Vec<Beside>, Failure> {
    if is_streamed(path) {
        return Ok(Vec::new());
    }
    match beside::look(path) {
        Ok(all) => Ok(all),
        // Writing the output gives a better error.
        Err(error) if is_no_directory(&error) => Ok(Vec::new()),
        Err(error) => {
            let (shown, reason) = (report::shown(path), report::reason(&error));
            let message = format!("cannot read the directory of {shown}: {reason}");
            Err(Failure::new(Exit::Output, message))
        }
    }
}

/// The files that a build replaces and removes if its image goes to `path` and `beside` lies there.
pub(crate) fn own_files(path: &Path, beside: &[Beside]) -> OwnFiles {
    if is_streamed(path) {
        return OwnFiles::default();
    }
    let sidecars = beside.iter().map(|Beside { found, .. }| found);
    let sidecars = sidecars.filter(|found| found.is_file());
    OwnFiles {
        image: Some(replaced(Role::Image.name(), path)),
        sidecars: sidecars.map(|found| (found.dev(), found.ino())).collect(),
        ..OwnFiles::default()
    }
}

/// An error if a source has a name that the run replaces or removes. Only names are compared here:
/// which file has the name is known when it is read.
pub(crate) fn require_no_source(manifest: &Manifest, own_files: &OwnFiles) -> Result<(), Failure> {
    for entry in manifest.sources() {
        let path = entry.source.host_path();
        path.map_or(Ok(()), |path| own_files.refuse_name(path))
            .map_err(|failure| in_entry(failure, entry))?;
    }
    manifest.pseudo.files.iter().try_for_each(|file| own_files.refuse_name(&file.path))
}

/// The file at `path`, which is replaced and which messages call `what`.
pub(crate) fn replaced(what: &'static str, path: &Path) -> Replaced {
    Replaced {
        what,
        name: path.file_name().unwrap_or_default().to_owned(),
        directory: directory_of(path),
        file: id(std::fs::symlink_metadata(path)),
    }
}

fn is_no_directory(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// Whether two files lie, or will lie, in one directory.
fn is_together(left: &Path, right: &Path) -> bool {
    let directory = directory_of(left);
    directory.is_some() && directory == directory_of(right)
}

/// What identifies the file that was found.
pub(crate) fn id(found: io::Result<Metadata>) -> Option<(u64, u64)> {
    found.ok().map(|found| (found.dev(), found.ino()))
}
