//! The encryption of an image with its key: writes the header and the ciphertext around an image of
//! any format.

use std::path::{Path, PathBuf};

use credimg_formats::luks::{self, Kdf, RANDOM_BYTES, Version, VolumeKey};
use credimg_formats::{Buffer, Secret, Sink, uuid_bytes};
use zeroize::Zeroizing;

use super::encryption::{Encryption, KeyOrigin};
use super::image;
use super::uuid;
use crate::host::output;
use crate::host::random;
use crate::keys::{self, Key, Owners};
use crate::look::file_start::FileStart;
use crate::monitors::DriveKey;
use crate::report::{self, Exit, Failure};

/// The cost of the digest of the volume key. It can be low, as the volume key is random.
const DIGEST_ITERATIONS_MAX: u32 = 1000;

/// The encryption of an image, with its key.
pub(crate) struct Encryptor {
    encryption: Encryption,
    pub(crate) key: Key,
    /// The file of the key; none where the key is in memory alone.
    pub(crate) key_file: Option<PathBuf>,
    /// Whether the file was made in this run.
    pub(crate) is_new: bool,
    /// The UUID of the header. The image inside has another one.
    pub(crate) uuid: [u8; 16],
}

/// What is inside an encrypted image.
pub(crate) struct Inside {
    pub(crate) plain: luks::Reader<FileStart>,
    /// Where the ciphertext begins.
    pub(crate) offset_bytes: u64,
    /// Of the header.
    pub(crate) uuid: [u8; 16],
}

/// Where a key has to be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// In a file; without it the image would be lost.
    File,
    /// In a file, or wrapped in the arguments, which are printed.
    Arguments,
    /// In memory alone: whoever opens the image gets the key from this process.
    Memory,
}

impl Encryptor {
    /// Reads the key, or makes it: before anything else is read in vain. A key that is made
    /// has the owner and mode of `permissions`, as whoever may read the image may read it.
    ///
    /// Errors: exit code 2 where there is no key, 4 and 5 for key files, 7 for a key that
    /// cannot be made.
    pub(crate) fn new(
        encryption: Encryption,
        keeping: Keeping,
        permissions: output::Permissions,
    ) -> Result<Self, Failure> {
        let has_master = encryption.master.is_some();
        let may_be_in_memory = match keeping {
            Keeping::File => false,
            Keeping::Arguments => has_master,
            Keeping::Memory => true,
        };
        let owners = Owners::Trusted(permissions.owner.map(|(uid, _)| uid));
        let mut is_new = false;
        let (key, key_file) = match &encryption.key {
            Some(KeyOrigin::File(path)) => (keys::read(path, owners)?, Some(path.clone())),
            Some(KeyOrigin::Make(path)) => {
                let (key, is_made) = keys::read_or_make(path, permissions)?;
                is_new = is_made;
                (key, Some(path.clone()))
            }
            None if keeping != Keeping::Memory => return Err(keyless()),
            Some(KeyOrigin::Generate) if !may_be_in_memory => return Err(homeless(has_master)),
            Some(KeyOrigin::Generate) | None => (Key::generate()?, None),
        };
        Ok(Self { encryption, key, key_file, is_new, uuid: uuid::random()? })
    }

    /// The version of LUKS.
    pub(crate) fn luks(&self) -> Version {
        self.encryption.luks
    }

    /// What is inside `image`; none unless it is encrypted as a build would do it, with this key
    /// and no other.
    pub(crate) fn open(&self, mut image: FileStart, label: Option<&str>) -> Option<Inside> {
        let header = luks::Header::read(&mut image).ok()?;
        let (version, label) = (self.luks(), self.encryption.label_of_header(label));
        let is_alike = header.is_whole()
            && header.version() == version
            && header.label() == label
            && header.sector_bytes() == self.encryption.sector_bytes
            // Opening it costs no more than opening a new image would.
            && matches!(header.slots(), [slot] if slot.is_derived_by(self.kdf(version)))
            && header.digest_iterations() <= DIGEST_ITERATIONS_MAX;
        let uuid = uuid_bytes(header.uuid()).filter(|_| is_alike)?;
        let offset_bytes = header.payload_offset_bytes();
        let open = || header.open(image, self.key.secret().expose()).ok();
        let plain = keys::without_traces(open)?;
        // The keys stay in memory while sources are read.
        let (start, length_bytes) = plain.memory();
        keys::hold_range(start, length_bytes);
        Some(Inside { plain, offset_bytes, uuid })
    }

    /// The key files that were read.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        self.key_file.iter().chain(&self.encryption.master)
    }

    /// Prints a note if a key file was made.
    pub(crate) fn note(&self) {
        if let Some(file) = self.key_file.as_deref().filter(|_| self.is_new) {
            report::note(&format!("made the key file {}", report::shown(file)));
        }
    }

    /// The key by which QEMU opens the image; none where the guest opens it.
    pub(crate) fn drive_key(&self) -> Result<Option<DriveKey>, Failure> {
        let Encryption { luks, master, .. } = &self.encryption;
        drive_key(*luks, &self.key, self.key_file.as_deref(), master.as_deref())
    }

    /// Writes the header and what `write` writes behind it, encrypted; returns the size of the whole
    /// in bytes.
    pub(crate) fn write(
        &self,
        label: Option<&str>,
        sink: &mut dyn Sink,
        write: impl FnOnce(&mut luks::Writer<'_, '_>) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        keys::without_traces(|| self.write_traced(label, sink, write))
    }

    fn write_traced(
        &self,
        label: Option<&str>,
        sink: &mut dyn Sink,
        write: impl FnOnce(&mut luks::Writer<'_, '_>) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let mut random = Buffer::zeroed(RANDOM_BYTES);
        random::fill(&mut random)?;
        let mut bytes = Zeroizing::new([0; VolumeKey::BYTES]);
        keys::hold(&*bytes);
        random::fill(&mut *bytes)?;
        let volume_key = VolumeKey::new(&bytes).map_err(|error| broken(&error))?;
        let (start, length_bytes) = volume_key.memory();
        keys::hold_range(start, length_bytes);
        let (version, label) = (self.luks(), self.encryption.label_of_header(label));
        let label = luks::Label::new(&label).map_err(|error| broken(&error))?;
        let random = Secret::from(&*random);
        let options = luks::Options::new(version, self.key.secret(), &volume_key, &random)
            .label(label)
            .uuid(self.uuid)
            .sector_bytes(self.encryption.sector_bytes)
            .kdf(self.kdf(version));
        let plan = luks::Plan::new(options).map_err(|error| broken(&error))?;
        let mut writer = plan.begin(sink);
        write(&mut writer)?;
        let size_bytes = writer.finish().map_err(|error| broken(&error))?;
        Ok(plan.payload_offset_bytes() + size_bytes)
    }

    fn kdf(&self, version: Version) -> Kdf {
        if self.key.is_random() { Kdf::FOR_RANDOM_KEY } else { Kdf::for_passphrase(version) }
    }
}

/// The key by which QEMU opens a LUKS1 image: the `file` that holds `key`, or the key itself,
/// wrapped with `master`. None where the guest opens the image.
pub(crate) fn drive_key(
    luks: Version,
    key: &Key,
    file: Option<&Path>,
    master: Option<&Path>,
) -> Result<Option<DriveKey>, Failure> {
    match luks {
        Version::Luks1 => {}
        Version::Luks2 => return Ok(None),
    }
    if let Some(master) = master {
        let key = keys::read_master(master)?.wrap(key.secret())?;
        return Ok(Some(DriveKey::Wrapped { master: master.to_owned(), key }));
    }
    Ok(file.map(|file| DriveKey::File(file.to_owned())))
}

/// The failure of a generated key that would be lost. With a master key it could be in the
/// arguments, if they were printed.
fn homeless(has_master: bool) -> Failure {
    let message = if has_master {
        "the generated key would be in the printed arguments alone, and none are printed"
    } else {
        "the generated key has no place to stay"
    };
    Failure::new(Exit::Usage, message)
        .hint("name a file for it with --key-out, best on another disk than the image")
}

fn keyless() -> Failure {
    Failure::new(Exit::Usage, "the encrypted image has no key")
        .hint("give --key-file FILE, or --key-out FILE to have one made")
}

/// The failure of the encryption itself. Errors of what it is around are passed on as they are.
pub(crate) fn broken(error: &credimg_formats::Error) -> Failure {
    image::broken_around(error, "encrypt the image")
}
