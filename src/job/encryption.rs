//! How an image is encrypted: what options and manifest say of it, the key, and
//! the header and ciphertext around whatever format is inside.

use std::fs::File;
use std::path::{Path, PathBuf};

use credimg_formats::luks::{self, Kdf, RANDOM_BYTES, Version, VolumeKey};
use credimg_formats::{Buffer, ErrorKind, Secret, Sink};
use zeroize::Zeroizing;

use super::files;
use super::uuid;
use super::wishes::EncryptionWishes;
use crate::delivery::unlock::Unlock;
use crate::host::output;
use crate::host::random;
use crate::keys::{self, Key, Owners};
use crate::look::opened::no_encryption;
use crate::manifest::{self, Format, Luks, Manifest};
use crate::monitors::{Drive, DriveKey, Monitor};
use crate::report::{self, Exit, Failure};

/// Length of a key that is made.
const GENERATED_KEY_BYTES: u64 = 64;
/// What the label of a LUKS2 header ends in: the image inside has the label itself, and
/// a guest must not take the one for the other.
pub(crate) const LABEL_END: &str = "-LUKS";
/// The volume key's digest costs so much, as the volume key is random.
const DIGEST_ITERATIONS_MAX: u32 = 1000;
/// What is encrypted at once, unless told otherwise: isofs reads blocks of 2048 bytes,
/// which a disk of larger sectors does not have.
const SECTOR_BYTES: usize = 4096;
pub(crate) const SMALL_SECTOR_BYTES: usize = 512;

/// How an image is encrypted, which is decided before its key is read.
#[derive(Clone)]
pub(crate) struct Encryption {
    pub(crate) luks: Luks,
    pub(crate) sector_bytes: usize,
    /// Where the key is, or comes from; none where nobody says it.
    key: Option<KeyOrigin>,
    master: Option<PathBuf>,
}

/// Where a key is, or comes from.
#[derive(Clone)]
enum KeyOrigin {
    File(PathBuf),
    /// Made where there is none yet.
    Make(PathBuf),
    /// Made, and in no file.
    Generate,
}

/// An image's encryption, with its key.
pub(crate) struct Encryptor {
    encryption: Encryption,
    pub(crate) key: Key,
    /// Where the key is; none where it is in memory alone.
    pub(crate) key_file: Option<PathBuf>,
    /// Whether that file was made for it.
    pub(crate) is_new: bool,
    /// Of the header; the image inside has another one.
    pub(crate) uuid: [u8; 16],
}

/// What is inside an encrypted image.
pub(crate) struct Inside {
    pub(crate) plain: luks::Reader<File>,
    /// Where it begins.
    pub(crate) offset_bytes: u64,
    /// Of the header.
    pub(crate) uuid: [u8; 16],
}

/// Whether a key may be in memory alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// It has to be in a file, or the image is lost.
    File,
    /// It has to be in a file, or wrapped in the arguments, which are printed.
    Arguments,
    /// Whoever opens the image gets it from this very process.
    Memory,
}

impl Encryption {
    /// What the command line, else the manifest, asks for; none where nothing is encrypted.
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
        if master.is_some() && luks == Luks::Luks2 {
            return Err(no_master());
        }
        require_opener(luks, target)?;
        Ok(Some(Self { luks, sector_bytes, key: origin(wishes, manifest), master }))
    }

    /// Whether the guest opens the image; else QEMU does.
    pub(crate) fn is_opened_by_guest(&self) -> bool {
        match self.luks {
            Luks::Luks1 => false,
            Luks::Luks2 => true,
        }
    }

    /// What the guest opens the image with; none where QEMU does. Without `encryptor` there
    /// is no key yet, and its length and the header's UUID are foreseen.
    pub(crate) fn unlock(
        &self,
        drive: &Drive,
        label: Option<&str>,
        encryptor: Option<&Encryptor>,
    ) -> Option<Unlock> {
        let (uuid, key_bytes) = match encryptor {
            Some(encryptor) => (encryptor.uuid, encryptor.key.secret().len() as u64),
            // Only the UUID's length matters.
            None => ([0; 16], self.foreseen_key_bytes()),
        };
        match self.luks {
            Luks::Luks1 => None,
            Luks::Luks2 => Some(Unlock::new(
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

    /// The version of the header and its label, where the image inside has this one.
    fn header(&self, label: Option<&str>) -> (Version, String) {
        match self.luks {
            Luks::Luks1 => (Version::Luks1, String::new()),
            Luks::Luks2 => (Version::Luks2, label.map_or_else(String::new, header_label)),
        }
    }
}

impl Encryptor {
    /// Reads the key, or makes it: before anything else is read in vain. A key that is made
    /// has the owner and mode of `file`, as whoever may read the image may read it.
    ///
    /// Errors: exit code 2 where there is no key, 4 and 5 for key files, 7 for a key that
    /// cannot be made.
    pub(crate) fn new(
        encryption: Encryption,
        keeping: Keeping,
        file: output::Options,
    ) -> Result<Self, Failure> {
        let has_master = encryption.master.is_some();
        let may_be_in_memory = match keeping {
            Keeping::File => false,
            Keeping::Arguments => has_master,
            Keeping::Memory => true,
        };
        let owners = Owners::Trusted(file.owner.map(|(uid, _)| uid));
        let mut is_new = false;
        let (key, key_file) = match &encryption.key {
            Some(KeyOrigin::File(path)) => (keys::read(path, owners)?, Some(path.clone())),
            Some(KeyOrigin::Make(path)) => {
                let (key, is_made) = keys::read_or_make(path, file)?;
                is_new = is_made;
                (key, Some(path.clone()))
            }
            None if keeping != Keeping::Memory => return Err(keyless()),
            Some(KeyOrigin::Generate) if !may_be_in_memory => return Err(homeless(has_master)),
            Some(KeyOrigin::Generate) | None => (Key::generate()?, None),
        };
        Ok(Self { encryption, key, key_file, is_new, uuid: uuid::random()? })
    }

    /// By which version of LUKS.
    pub(crate) fn luks(&self) -> Luks {
        self.encryption.luks
    }

    /// What is inside `image` where it is encrypted as a build would do it, with this
    /// key and no other.
    pub(crate) fn open(&self, mut image: File, label: Option<&str>) -> Option<Inside> {
        let header = luks::Header::read(&mut image).ok()?;
        let (version, label) = self.encryption.header(label);
        let is_alike = header.is_whole()
            && header.version() == version
            && header.label() == label
            && header.sector_bytes() == self.encryption.sector_bytes
            // What opens it costs no more than it would of a new one.
            && matches!(header.slots(), [slot] if slot.is_derived_by(self.kdf(version)))
            && header.digest_iterations() <= DIGEST_ITERATIONS_MAX;
        let uuid = uuid::parse(header.uuid()).filter(|_| is_alike)?;
        let offset_bytes = header.payload_offset_bytes();
        let open = || header.open(image, self.key.secret().expose()).ok();
        let plain = keys::without_traces(open)?;
        // It stays while sources are read.
        let (start, length_bytes) = plain.memory();
        keys::hold_range(start, length_bytes);
        Some(Inside { plain, offset_bytes, uuid })
    }

    /// The key files that were read.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        self.key_file.iter().chain(&self.encryption.master)
    }

    /// Which files these are, for sources that must be none of them.
    pub(crate) fn input_ids(&self) -> Vec<(u64, u64)> {
        self.inputs().filter_map(|path| files::id(std::fs::metadata(path))).collect()
    }

    /// Says that a key file was made, if one was.
    pub(crate) fn note(&self) {
        if let Some(file) = self.key_file.as_deref().filter(|_| self.is_new) {
            report::note(&format!("made the key file {}", report::shown(file)));
        }
    }

    /// What QEMU opens the image with; none where the guest opens it.
    pub(crate) fn drive_key(&self) -> Result<Option<DriveKey>, Failure> {
        let Encryption { luks, master, .. } = &self.encryption;
        drive_key(*luks, &self.key, self.key_file.as_deref(), master.as_deref())
    }

    /// Writes the header and what `write` makes of the sink behind it, encrypted; returns
    /// the size of the whole in bytes.
    pub(crate) fn write(
        &self,
        label: Option<&str>,
        sink: &mut dyn Sink,
        write: impl FnOnce(&mut luks::Writer<'_, '_>) -> Result<u64, Failure>,
    ) -> Result<u64, Failure> {
        keys::without_traces(|| self.write_traced(label, sink, write))
    }

    fn write_traced(
        &self,
        label: Option<&str>,
        sink: &mut dyn Sink,
        write: impl FnOnce(&mut luks::Writer<'_, '_>) -> Result<u64, Failure>,
    ) -> Result<u64, Failure> {
        let mut random = Buffer::zeroed(RANDOM_BYTES);
        random::fill(&mut random)?;
        let mut bytes = Zeroizing::new([0; VolumeKey::BYTES]);
        keys::hold(&*bytes);
        random::fill(&mut *bytes)?;
        let volume_key = VolumeKey::new(&bytes).map_err(|error| broken(&error))?;
        let (start, length_bytes) = volume_key.memory();
        keys::hold_range(start, length_bytes);
        let (version, label) = self.encryption.header(label);
        let label = luks::Label::new(&label).map_err(|error| broken(&error))?;
        let random = Secret::from(&*random);
        let options = luks::Options::new(version, self.key.secret(), &volume_key, &random)
            .label(label)
            .uuid(self.uuid)
            .sector_bytes(self.encryption.sector_bytes)
            .kdf(self.kdf(version));
        let manifest = luks::Plan::new(options).map_err(|error| broken(&error))?;
        let mut writer = manifest.begin(sink);
        write(&mut writer)?;
        let size_bytes = writer.finish().map_err(|error| broken(&error))?;
        Ok(manifest.payload_offset_bytes() + size_bytes)
    }

    fn kdf(&self, version: Version) -> Kdf {
        if self.key.is_random() { Kdf::FOR_RANDOM_KEY } else { Kdf::for_passphrase(version) }
    }
}

/// What QEMU opens a LUKS1 image with that has `key`, which is in `file`: that file, or
/// the key itself, wrapped with `master`. None where the guest opens the image.
pub(crate) fn drive_key(
    luks: Luks,
    key: &Key,
    file: Option<&Path>,
    master: Option<&Path>,
) -> Result<Option<DriveKey>, Failure> {
    if luks == Luks::Luks2 {
        return Ok(None);
    }
    if let Some(master) = master {
        let key = keys::read_master(master)?.wrap(key.secret())?;
        return Ok(Some(DriveKey::Wrapped { master: master.to_owned(), key }));
    }
    Ok(file.map(|file| DriveKey::File(file.to_owned())))
}

/// An error where the monitor is to open the image, and cannot.
pub(crate) fn require_opener(luks: Luks, target: Monitor) -> Result<(), Failure> {
    match luks {
        Luks::Luks1 => target.require_opener(),
        Luks::Luks2 => Ok(()),
    }
}

/// The failure of a master key for an image that QEMU does not open.
pub(crate) fn no_master() -> Failure {
    let message = "--master-key wraps the key of a LUKS1 image for QEMU, nothing else";
    Failure::new(Exit::Usage, message)
}

/// The label of the header around an image with this label.
pub(crate) fn header_label(label: &str) -> String {
    format!("{label}{LABEL_END}")
}

/// The version of LUKS: the command line's, else the manifest's.
pub(crate) fn version(option: Option<Luks>, manifest: &Manifest) -> Option<Luks> {
    option.or_else(|| Some(manifest.encrypt.as_ref()?.luks))
}

/// The command line's key, else the manifest's.
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

/// An error where an option speaks of the key of an image that has none.
fn refuse_idle(wishes: &EncryptionWishes) -> Result<(), Failure> {
    match options(wishes).next() {
        None => Ok(()),
        Some((name, _)) => {
            let hint = "give --encrypt luks1 or luks2, or `encrypt` in the manifest";
            Err(no_encryption(name).hint(hint))
        }
    }
}

/// An error where `-` stands for a stream: QEMU opens the file by its name, and a key
/// that is made has to stay.
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
fn sector_bytes(luks: Luks, manifest: &Manifest, format: Format) -> Result<usize, Failure> {
    let planned = manifest.encrypt.as_ref().filter(|_| luks == Luks::Luks2);
    let Some((wanted, at)) = planned.and_then(|encrypt| encrypt.sector_bytes.as_ref()) else {
        let is_small = luks == Luks::Luks1 || format == Format::Iso9660;
        return Ok(if is_small { SMALL_SECTOR_BYTES } else { SECTOR_BYTES });
    };
    if format == Format::Iso9660 && *wanted > SMALL_SECTOR_BYTES {
        let message =
            format!("{at}: Linux reads no iso9660 from a disk with sectors of {wanted} bytes");
        return Err(Failure::new(Exit::Manifest, message).hint("leave `sector_size` out"));
    }
    Ok(*wanted)
}

/// The failure of a generated key that would be lost; with a master key it could be in
/// the arguments, if these were printed.
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

/// What the encryption itself cannot do; errors of what it wraps pass by.
pub(crate) fn broken(error: &credimg_formats::Error) -> Failure {
    let cause = error.io_error();
    if let Some(failure) = cause.and_then(Failure::inside) {
        return failure.clone();
    }
    if error.kind() == ErrorKind::Bug {
        return Failure::bug(&format!(": {error}"));
    }
    let reason = cause.map_or_else(String::new, |cause| format!(": {}", report::reason(cause)));
    Failure::new(Exit::Output, format!("cannot encrypt the image: {error}{reason}"))
}
