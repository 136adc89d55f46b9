//! How an image is encrypted: what options and manifest say of it, the key, and
//! the header and ciphertext around whatever format is inside.

use std::fs::File;
use std::path::{Path, PathBuf};

use credimg_formats::luks::{self, Kdf, RANDOM_BYTES, Version, VolumeKey};
use credimg_formats::{Buffer, ErrorKind, Secret, Sink};
use zeroize::Zeroizing;

use super::settings;
use crate::commands::options::EncryptionChoice;
use crate::delivery::unlock::Unlock;
use crate::host::output;
use crate::host::random;
use crate::keys::{self, Key, Owners};
use crate::manifest::{self, Format, Luks, Manifest};
use crate::monitors::{Drive, DriveKey, Monitor};
use crate::report::{self, Exit, Failure};

/// What the label of a LUKS2 header ends in: the image inside has the label itself, and
/// a guest must not take the one for the other.
pub(crate) const LABEL_END: &str = "-LUKS";
/// The volume key's digest costs so much, as the volume key is random.
const DIGEST_ITERATIONS_MAX: u32 = 1000;
/// What is encrypted at once, unless told otherwise: isofs reads blocks of 2048 bytes,
/// which a disk of larger sectors does not have.
const SECTOR_BYTES: usize = 4096;
pub(crate) const SMALL_SECTOR_BYTES: usize = 512;

/// An image's encryption.
pub(crate) struct Encryption {
    pub(crate) luks: Luks,
    pub(crate) key: Key,
    /// Where the key is; none where it is in memory alone.
    pub(crate) key_file: Option<PathBuf>,
    /// Whether that file was made for it.
    pub(crate) is_new: bool,
    /// Of the header; the image inside has another one.
    pub(crate) uuid: [u8; 16],
    pub(crate) sector_bytes: usize,
    master: Option<PathBuf>,
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
    /// What `choice`, else the manifest, asks for; none where nothing is encrypted. The
    /// key is read here, or made, so that nothing else is read in vain; a key that is made
    /// has the owner and mode of `file`, as whoever may read the image may read it.
    ///
    /// Errors: exit code 2 for options, 3 for the manifest, 4 and 5 for key files, 7 for
    /// a key that cannot be made.
    pub(crate) fn new(
        choice: &EncryptionChoice,
        manifest: &Manifest,
        format: Format,
        target: Monitor,
        keeping: Keeping,
        file: output::Options,
    ) -> Result<Option<Self>, Failure> {
        let Some(luks) = version(choice.encrypt, manifest) else {
            return refuse_idle(choice).map(|()| None);
        };
        require_files(choice)?;
        let sector_bytes = sector_bytes(luks, manifest, format)?;
        let master = choice.master_key.clone();
        if master.is_some() && luks == Luks::Luks2 {
            return Err(no_master());
        }
        require_opener(luks, target)?;
        let may_be_in_memory = match keeping {
            Keeping::File => false,
            Keeping::Arguments => master.is_some(),
            Keeping::Memory => true,
        };
        let owners = Owners::Trusted(file.owner.map(|(uid, _)| uid));
        let mut is_new = false;
        let (key, key_file) = match origin(choice, manifest) {
            Origin::File(path) => (keys::read(&path, owners)?, Some(path)),
            Origin::Make(path) => {
                let (key, is_made) = keys::read_or_make(&path, file)?;
                is_new = is_made;
                (key, Some(path))
            }
            Origin::None if keeping != Keeping::Memory => return Err(keyless()),
            Origin::Generate if !may_be_in_memory => return Err(homeless(master.is_some())),
            Origin::Generate | Origin::None => (Key::generate()?, None),
        };
        let uuid = settings::random_uuid()?;
        Ok(Some(Self { luks, key, key_file, is_new, uuid, sector_bytes, master }))
    }

    /// What is inside `image` where it is encrypted as a build would do it, with this
    /// key and no other.
    pub(crate) fn open(&self, mut image: File, label: Option<&str>) -> Option<Inside> {
        let header = luks::Header::read(&mut image).ok()?;
        let (version, label) = self.header(label);
        let is_alike = header.is_whole()
            && header.version() == version
            && header.label() == label
            && header.sector_bytes() == self.sector_bytes
            // What opens it costs no more than it would of a new one.
            && matches!(header.slots(), [slot] if slot.is_derived_by(self.kdf(version)))
            && header.digest_iterations() <= DIGEST_ITERATIONS_MAX;
        let uuid = settings::parse_uuid(header.uuid()).filter(|_| is_alike)?;
        let offset_bytes = header.payload_offset_bytes();
        let open = || header.open(image, self.key.secret().expose()).ok();
        let plain = keys::without_traces(open)?;
        // It stays while sources are read.
        let (start, length_bytes) = plain.memory();
        keys::hold_range(start, length_bytes);
        Some(Inside { plain, offset_bytes, uuid })
    }

    /// The version of the header and its label, where the image inside has this one.
    fn header(&self, label: Option<&str>) -> (Version, String) {
        match self.luks {
            Luks::Luks1 => (Version::Luks1, String::new()),
            Luks::Luks2 => (Version::Luks2, label.map_or_else(String::new, header_label)),
        }
    }

    /// The key files that were read.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        self.key_file.iter().chain(&self.master)
    }

    /// Which files these are, for sources that must be none of them.
    pub(crate) fn input_ids(&self) -> Vec<(u64, u64)> {
        self.inputs().filter_map(|path| settings::id(std::fs::metadata(path))).collect()
    }

    /// Says that a key file was made, if one was.
    pub(crate) fn note(&self) {
        if let Some(file) = self.key_file.as_deref().filter(|_| self.is_new) {
            report::note(&format!("made the key file {}", report::shown(file)));
        }
    }

    /// What QEMU opens the image with; none where the guest opens it.
    pub(crate) fn drive_key(&self) -> Result<Option<DriveKey>, Failure> {
        drive_key(self.luks, &self.key, self.key_file.as_deref(), self.master.as_deref())
    }

    /// What the guest opens the image with; none where QEMU does.
    pub(crate) fn unlock(&self, drive: &Drive, label: Option<&str>) -> Option<Unlock> {
        let key_bytes = self.key.secret().len() as u64;
        let uuid = credimg_formats::uuid_text(self.uuid);
        let label = label.map(header_label);
        let Drive { serial, bus, .. } = drive;
        let new = || Unlock::new(serial, *bus, label.as_deref(), &uuid, key_bytes);
        (self.luks == Luks::Luks2).then(new)
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
        let (version, label) = self.header(label);
        let label = luks::Label::new(&label).map_err(|error| broken(&error))?;
        let random = Secret::from(&*random);
        let options = luks::Options::new(version, self.key.secret(), &volume_key, &random)
            .label(label)
            .uuid(self.uuid)
            .sector_bytes(self.sector_bytes)
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

/// Where the key is, or comes from.
enum Origin {
    File(PathBuf),
    /// Made where there is none yet.
    Make(PathBuf),
    /// Made, and in no file.
    Generate,
    None,
}

/// The version of LUKS: the command line's, else the manifest's.
pub(crate) fn version(option: Option<Luks>, manifest: &Manifest) -> Option<Luks> {
    option.or_else(|| Some(manifest.encrypt.as_ref()?.luks))
}

/// The command line's key, else the manifest's.
fn origin(choice: &EncryptionChoice, manifest: &Manifest) -> Origin {
    let planned = manifest.encrypt.as_ref().and_then(|encrypt| encrypt.key.as_ref());
    match (&choice.key_file, &choice.key_out, planned) {
        (Some(path), ..) | (None, None, Some(manifest::KeySource::File(path))) => {
            Origin::File(path.clone())
        }
        (None, Some(path), _) => Origin::Make(path.clone()),
        (None, None, Some(manifest::KeySource::Generate)) => Origin::Generate,
        (None, None, None) => Origin::None,
    }
}

/// An error where an option speaks of the key of an image that has none.
fn refuse_idle(choice: &EncryptionChoice) -> Result<(), Failure> {
    match options(choice).next() {
        None => Ok(()),
        Some((name, _)) => {
            let hint = "give --encrypt luks1 or luks2, or `encrypt` in the manifest";
            Err(no_encryption(name).hint(hint))
        }
    }
}

/// The failure of an option that speaks of the key of an image that has none.
pub(crate) fn no_encryption(option: &str) -> Failure {
    let message = format!("{option} has no meaning for an image that is not encrypted");
    Failure::new(Exit::Usage, message)
}

/// An error where `-` stands for a stream: QEMU opens the file by its name, and a key
/// that is made has to stay.
fn require_files(choice: &EncryptionChoice) -> Result<(), Failure> {
    match options(choice).find(|(_, path)| path.as_os_str() == "-") {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("{name}: a key is in a regular file, never in a stream");
            Err(Failure::new(Exit::Usage, message).hint("a file named - is ./-"))
        }
    }
}

/// The options that name a key's file, as far as they are given.
fn options(choice: &EncryptionChoice) -> impl Iterator<Item = (&'static str, &PathBuf)> {
    let options = [
        ("--key-file", &choice.key_file),
        ("--key-out", &choice.key_out),
        ("--master-key", &choice.master_key),
    ];
    options.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?)))
}

/// What is encrypted at once; an error where Linux could not read the format so.
pub(crate) fn sector_bytes(
    luks: Luks,
    manifest: &Manifest,
    format: Format,
) -> Result<usize, Failure> {
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
