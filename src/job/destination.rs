//! Where an image goes, and what that decides of it.

use std::path::{Path, PathBuf};

use credimg_formats::Timestamp;

use super::drive::drive;
use super::encryption::Encryption;
use super::encryptor::{Encryptor, Keeping};
use super::existing::Existing;
use super::image::Image;
use super::volume::Volume;
use super::wishes::AttachWishes;
use crate::host::output;
use crate::monitors::{Block, Drive, MachineType, Place, Style};
use crate::report::Failure;
use crate::sources::assemble::OwnFiles;

/// Where an image goes.
pub(crate) enum Destination {
    /// Into a file of a name of its own.
    File(NewFile),
    /// To standard output.
    Stream(Streamed),
    /// Into memory, of which a monitor inherits the descriptor.
    Memory(Heir),
    /// Nowhere: it is compared with one that is there.
    Compared(Compared),
    /// Nowhere: what a build would do is foreseen, and nothing of a source is read.
    Nothing,
}

/// The file that an image becomes.
pub(crate) struct NewFile {
    pub(crate) path: PathBuf,
    /// Who may read it, and the files beside it.
    pub(crate) permissions: output::Permissions,
    /// The files that the build replaces or removes, none of which may be a source.
    pub(crate) own_files: OwnFiles,
    /// Leaves an image alone that would be made again.
    pub(crate) if_changed: bool,
    /// Whether somebody wants to know what it was made of.
    pub(crate) notes_inputs: bool,
}

/// What a build whose image goes to standard output writes besides.
pub(crate) struct Streamed {
    /// Who may read a key file that is made.
    pub(crate) permissions: output::Permissions,
    /// The files that the build replaces, such as a report, none of which may be a source.
    pub(crate) own_files: OwnFiles,
}

/// The monitor that inherits an image, as far as its own arguments tell.
pub(crate) struct Heir {
    /// The machine that they start, where no wish names one.
    pub(crate) machine_type: Option<MachineType>,
    /// The first place that they leave free.
    pub(crate) free_place: Place,
    /// The guest's own initrd, as they name it.
    pub(crate) initrd: Option<PathBuf>,
}

/// An image that is there.
pub(crate) struct Compared {
    pub(crate) path: PathBuf,
    pub(crate) own_files: OwnFiles,
    pub(crate) kept: Kept,
}

/// What a new image keeps of one that is there, unless somebody wishes otherwise.
#[derive(Clone, Copy, Default)]
pub(crate) struct Kept {
    pub(crate) uuid: Option<[u8; 16]>,
    /// Of the header around it, where it is encrypted.
    pub(crate) header_uuid: Option<[u8; 16]>,
    pub(crate) build_time: Option<Timestamp>,
}

/// Stands for the path of an image in memory until it has one.
const SOME_DESCRIPTOR: &str = "/proc/self/fd/3";

impl Destination {
    /// The path by which the image is attached; its name makes the serial of a disk without a
    /// label.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(file) => &file.path,
            Self::Stream(_) => Path::new("-"),
            Self::Memory(_) => Path::new(SOME_DESCRIPTOR),
            Self::Compared(image) => &image.path,
            Self::Nothing => Path::new("IMAGE"),
        }
    }

    /// Whether arguments can name the image.
    pub(super) fn is_attached(&self) -> bool {
        match self {
            Self::File(_) | Self::Memory(_) | Self::Compared(_) => true,
            Self::Stream(_) | Self::Nothing => false,
        }
    }

    /// Whether the image is a stream, beside which no file can lie.
    pub(super) fn is_stream(&self) -> bool {
        match self {
            Self::Stream(_) => true,
            Self::File(_) | Self::Memory(_) | Self::Compared(_) | Self::Nothing => false,
        }
    }

    /// Whether an image that is there may stay as it is.
    pub(super) fn is_kept_if_same(&self) -> bool {
        match self {
            Self::File(file) => file.if_changed,
            Self::Stream(_) | Self::Memory(_) | Self::Compared(_) | Self::Nothing => false,
        }
    }

    /// Whether somebody wants to know what the image was made of.
    pub(super) fn notes_inputs(&self) -> bool {
        match self {
            Self::File(file) => file.notes_inputs,
            Self::Stream(_) | Self::Memory(_) | Self::Compared(_) | Self::Nothing => false,
        }
    }

    /// Where a key may be; none where no key is taken.
    fn keeping(&self, style: Style) -> Option<Keeping> {
        match self {
            Self::File(_) if style.is_printed() => Some(Keeping::Arguments),
            Self::File(_) | Self::Stream(_) | Self::Compared(_) => Some(Keeping::File),
            Self::Memory(_) => Some(Keeping::Memory),
            Self::Nothing => None,
        }
    }

    /// Who may read what is made.
    fn permissions(&self) -> output::Permissions {
        match self {
            Self::File(file) => file.permissions,
            Self::Stream(stream) => stream.permissions,
            Self::Memory(_) | Self::Compared(_) | Self::Nothing => output::Permissions::default(),
        }
    }

    /// The encryption with its key, which is read or made; none where no key is taken.
    pub(super) fn encryptor(
        &self,
        encryption: Option<&Encryption>,
        style: Style,
    ) -> Result<Option<Encryptor>, Failure> {
        let (Some(encryption), Some(keeping)) = (encryption, self.keeping(style)) else {
            return Ok(None);
        };
        Encryptor::new(encryption.clone(), keeping, self.permissions()).map(Some)
    }

    /// The files that may not be sources: those that the run replaces or removes, and the keys of
    /// `image`.
    pub(super) fn own_files(&self, image: &Image) -> OwnFiles {
        let own_files = match self {
            Self::File(file) => file.own_files.clone(),
            Self::Compared(image) => image.own_files.clone(),
            Self::Stream(stream) => stream.own_files.clone(),
            Self::Memory(_) | Self::Nothing => OwnFiles::default(),
        };
        OwnFiles { keys: image.key_ids(), ..own_files }
    }

    /// The machine that the monitor's own arguments name.
    pub(super) fn machine_type(&self) -> Option<MachineType> {
        match self {
            Self::Memory(heir) => heir.machine_type,
            Self::File(_) | Self::Stream(_) | Self::Compared(_) | Self::Nothing => None,
        }
    }

    /// The guest's own initrd, as the monitor's own arguments name it.
    pub(super) fn initrd(&self) -> Option<&Path> {
        match self {
            Self::Memory(heir) => heir.initrd.as_deref(),
            Self::File(_) | Self::Stream(_) | Self::Compared(_) | Self::Nothing => None,
        }
    }

    /// Where the drive stands of which nobody says it: at the first place that the monitor's
    /// own arguments leave free.
    fn free_place(&self) -> Place {
        match self {
            Self::Memory(heir) => heir.free_place,
            Self::File(_) | Self::Stream(_) | Self::Compared(_) | Self::Nothing => Place::default(),
        }
    }

    /// The drive that attaches the volume, to a machine of this type, with blocks of this size.
    pub(super) fn drive(
        &self,
        wishes: &AttachWishes,
        machine_type: Option<MachineType>,
        volume: &Volume,
        block: Block,
    ) -> Result<Drive, Failure> {
        let (label, place) = (volume.label.as_deref(), self.free_place());
        drive(wishes, machine_type, label, self.path(), place, block)
    }

    /// The image that is there and may stay as it is, if one is.
    pub(super) fn existing(
        &self,
        encryptor: Option<&Encryptor>,
        has_tree: bool,
        label: Option<&str>,
    ) -> Option<Existing> {
        match self {
            Self::File(file) if file.if_changed => {
                Existing::open(&file.path, file.permissions, encryptor, has_tree, label)
            }
            Self::File(_)
            | Self::Stream(_)
            | Self::Memory(_)
            | Self::Compared(_)
            | Self::Nothing => None,
        }
    }

    /// What a new image keeps of one that is there.
    pub(super) fn kept(&self, existing: Option<&Existing>) -> Kept {
        match self {
            // Whether its time is kept is known when its sources are read.
            Self::File(_) => Kept {
                uuid: existing.and_then(|it| it.stamp.uuid),
                header_uuid: existing.and_then(Existing::header_uuid),
                build_time: None,
            },
            Self::Compared(image) => image.kept,
            Self::Stream(_) | Self::Memory(_) | Self::Nothing => Kept::default(),
        }
    }
}
