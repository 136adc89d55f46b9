//! How an image is encrypted, as options and manifest have it. `encryptor.rs` has the key.

use std::path::PathBuf;

use credimg_formats::luks::Version;

use super::encryptor::Encryptor;
use super::wishes::EncryptionWishes;
use crate::delivery::unlock::Unlock;
use crate::keys;
use crate::look::opened::no_encryption;
use crate::manifest::{self, Format, Manifest};
use crate::monitors::{Drive, Monitor};
use crate::report::{Exit, Failure};

/// Length of a key that a build makes.
const GENERATED_KEY_BYTES: u64 = 64;
/// The end of the label of a LUKS2 header. The image inside has the label itself, and a guest must
/// not mistake one for the other.
pub(crate) const LABEL_END: &str = "-LUKS";
/// The size of the sectors that are encrypted, each as a whole.
const SECTOR_BYTES: usize = 4096;
pub(crate) const SMALL_SECTOR_BYTES: usize = 512;

/// How an image is encrypted. It is decided before the key is read.
#[derive(Clone)]
pub(crate) struct Encryption {
    pub(crate) luks: Version,
    pub(crate) sector_bytes: usize,
    /// Where the key comes from; none where neither the manifest nor an option says it.
    pub(super) key: Option<KeyOrigin>,
    /// The file of the master key that wraps it for QEMU.
    pub(super) master: Option<PathBuf>,
}

/// Where a key comes from.
#[derive(Clone)]
pub(super) enum KeyOrigin {
    File(PathBuf),
    /// The file of a key, which is made if there is none yet.
    Make(PathBuf),
    /// A new key, which is in no file.
    Generate,
}

impl Encryption {
    /// The encryption that the command line asks for, or else the manifest; none where neither
    /// does.
    ///
    /// Errors: exit code 2 for options, 3 for the manifest.
    pub(crate) fn new(
        manifest: &Manifest,
        wishes: &EncryptionWishes,
        format: Format,
        target: Monitor,
    ) -> Result<Option<Self>, Failure> {
        let Some(luks) = version(wishes.luks, manifest) else {
            return refuse_idle(wishes).map(|()| None);
        };
        require_files(wishes)?;
        let sector_bytes = sector_bytes(luks, manifest, format)?;
        let master = wishes.master_key.clone();
        match luks {
            Version::Luks1 => target.require_opener()?,
            Version::Luks2 if master.is_some() => return Err(no_master()),
            Version::Luks2 => {}
        }
        Ok(Some(Self { luks, sector_bytes, key: origin(wishes, manifest), master }))
    }

    /// How the guest opens the image; none where QEMU opens it. Without `encryptor` there is no key
    /// yet: then the UUID and the length of the key stand for those of the build.
    pub(crate) fn unlock(
        &self,
        drive: &Drive,
        label: Option<&str>,
        encryptor: Option<&Encryptor>,
    ) -> Option<Unlock> {
        let (uuid, key_bytes) = match encryptor {
            Some(encryptor) => (encryptor.uuid, encryptor.key.secret().len() as u64),
            // Of the UUID only the length matters.
            None => ([0; 16], self.foreseen_key_bytes()),
        };
        match self.luks {
            Version::Luks1 => None,
            Version::Luks2 => Some(Unlock::new(
                &drive.serial,
                drive.bus,
                label.map(header_label).as_deref(),
                &credimg_formats::uuid_text(uuid),
                key_bytes,
            )),
        }
    }

    /// Most bytes that the key may have.
    fn foreseen_key_bytes(&self) -> u64 {
        match self.key {
            Some(KeyOrigin::File(_)) => keys::MAX_BYTES as u64,
            Some(KeyOrigin::Make(_) | KeyOrigin::Generate) | None => GENERATED_KEY_BYTES,
        }
    }

    /// The label of the header, if the image inside has this label.
    pub(super) fn label_of_header(&self, label: Option<&str>) -> String {
        match self.luks {
            Version::Luks1 => String::new(),
            Version::Luks2 => label.map_or_else(String::new, header_label),
        }
    }
}

/// Whether the guest opens an image of this version; else QEMU does.
pub(crate) fn is_opened_by_guest(luks: Version) -> bool {
    match luks {
        Version::Luks1 => false,
        Version::Luks2 => true,
    }
}

/// The failure of an option for a master key if QEMU does not open the image.
pub(crate) fn no_master() -> Failure {
    let message = "--master-key wraps the key of a LUKS1 image for QEMU, nothing else";
    Failure::new(Exit::Usage, message)
}

/// The label of the header around an image with this label.
pub(crate) fn header_label(label: &str) -> String {
    format!("{label}{LABEL_END}")
}

/// The version of LUKS: the command line's, else the manifest's.
pub(crate) fn version(option: Option<Version>, manifest: &Manifest) -> Option<Version> {
    option.or_else(|| Some(manifest.encrypt.as_ref()?.luks))
}

/// Where the key comes from, by the command line, else by the manifest.
fn origin(wishes: &EncryptionWishes, manifest: &Manifest) -> Option<KeyOrigin> {
    let planned = manifest.encrypt.as_ref().and_then(|encrypt| encrypt.key.as_ref());
    match (&wishes.key_file, &wishes.key_out, planned) {
        (Some(path), ..) | (None, None, Some(manifest::KeySource::File(path))) => {
            Some(KeyOrigin::File(path.clone()))
        }
        (None, Some(path), _) => Some(KeyOrigin::Make(path.clone())),
        (None, None, Some(manifest::KeySource::Generate)) => Some(KeyOrigin::Generate),
        (None, None, None) => None,
    }
}

/// An error if an option is about keys and the image is not encrypted.
fn refuse_idle(wishes: &EncryptionWishes) -> Result<(), Failure> {
    match options(wishes).next() {
        None => Ok(()),
        Some((name, _)) => {
            let hint = "give --encrypt luks1 or luks2, or `encrypt` in the manifest";
            Err(no_encryption(name).hint(hint))
        }
    }
}

/// An error if a file of a key is `-`: QEMU opens the file by its name, and a key that is made has
/// to be kept.
fn require_files(wishes: &EncryptionWishes) -> Result<(), Failure> {
    match options(wishes).find(|(_, path)| path.as_os_str() == "-") {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("{name}: a key is in a regular file, never in a stream");
            Err(Failure::new(Exit::Usage, message).hint("a file named - is ./-"))
        }
    }
}

/// The options that name a key's file, as far as they are given.
fn options(wishes: &EncryptionWishes) -> impl Iterator<Item = (&'static str, &PathBuf)> {
    let options = [
        ("--key-file", &wishes.key_file),
        ("--key-out", &wishes.key_out),
        ("--master-key", &wishes.master_key),
    ];
    options.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?)))
}

/// What is encrypted at once; an error where Linux could not read the format so.
fn sector_bytes(luks: Version, manifest: &Manifest, format: Format) -> Result<usize, Failure> {
    let max_bytes = match luks {
        Version::Luks1 => return Ok(SMALL_SECTOR_BYTES),
        Version::Luks2 => sector_max_bytes(format),
    };
    let wish = manifest.encrypt.as_ref().and_then(|encrypt| encrypt.sector_bytes.as_ref());
    let Some((wanted, at)) = wish else { return Ok(max_bytes) };
    if *wanted > max_bytes {
        let message =
            format!("{at}: Linux reads no {format} from a disk with sectors of {wanted} bytes");
        return Err(Failure::new(Exit::Manifest, message).hint("leave `sector_size` out"));
    }
    Ok(*wanted)
}

/// The largest sectors of a disk from which Linux reads the format. isofs reads blocks of 2048
/// bytes, which a disk of larger sectors does not have.
fn sector_max_bytes(format: Format) -> usize {
    match format {
        Format::Erofs | Format::Squashfs => SECTOR_BYTES,
        Format::Iso9660 => SMALL_SECTOR_BYTES,
    }
}
