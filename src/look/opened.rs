//! An image that exists, opened to tell what it is.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use credimg_formats::probe::{Probe, probe};
use credimg_formats::read::{Problems, Seekable, Storage};
use credimg_formats::verity::{self, Found};
use credimg_formats::{ErrorKind, luks};

use super::file_start::FileStart;
use crate::delivery::verity as verity_unit;
use crate::host::open::open_file;
use crate::host::output::Access;
use crate::keys::{self, Key, Owners};
use crate::report::{self, Exit, Failure, reason};

/// An image and what it says of itself.
pub(crate) struct Opened {
    file: File,
    pub(crate) size_bytes: u64,
    pub(crate) probe: Probe,
    /// The header, where the image is encrypted.
    pub(crate) header: Option<luks::Header>,
    /// The hash tree behind all of it, where there is one.
    tree: Option<Found>,
    shown: String,
}

/// An encrypted image, as far as it can be read without its key.
pub(crate) struct Outside {
    pub(crate) header: luks::Header,
    /// The whole file, with the hash tree if it has one.
    pub(crate) storage: File,
}

/// The hash tree of an image.
pub(crate) struct HashTree {
    pub(crate) found: Found,
    /// The data with the tree behind it.
    storage: Arc<dyn Storage>,
    /// The image's path for messages.
    shown: String,
}

impl HashTree {
    /// The root hash by the tree itself. Whether the image still has it is not checked.
    pub(crate) fn root_hash(&self) -> Result<Vec<u8>, Failure> {
        verity::root_hash(&*self.storage, &self.found).map_err(|error| invalid(&self.shown, &error))
    }

    /// Reads the whole image, and returns what does not match this root hash.
    pub(crate) fn check(&self, root_hash: &[u8]) -> Result<Problems, Failure> {
        verity::verify(&*self.storage, &self.found, root_hash)
            .map_err(|error| invalid(&self.shown, &error))
    }

    /// What a guest is told of it.
    pub(crate) fn told(&self) -> Result<verity_unit::HashTree, Failure> {
        Ok(verity_unit::HashTree::new(&self.root_hash()?, self.found.data_bytes))
    }
}

/// The bytes of a file system with the hash tree behind them, if there is one.
pub(crate) struct Parts {
    pub(crate) storage: Arc<dyn Storage>,
    /// The tree in `storage`.
    pub(crate) found: Option<Found>,
    /// The image's tree: the one in `storage`, or one behind an encrypted image.
    pub(crate) tree: Option<HashTree>,
}

impl Parts {
    /// The parts of the plain bytes of an encrypted image. Errors are of exit code 8.
    fn inside(plain: luks::Reader<FileStart>, shown: &str) -> Result<Self, Failure> {
        let storage: Arc<dyn Storage> = Arc::new(Seekable::new(plain));
        let found = verity::find(&*storage).map_err(|error| invalid(shown, &error))?;
        let tree = found.clone().map(|found| HashTree {
            found,
            storage: Arc::clone(&storage),
            shown: shown.to_owned(),
        });
        Ok(Self { storage, found, tree })
    }

    /// The file system alone, without the tree `found` that `storage` holds behind it.
    pub(crate) fn data(storage: Arc<dyn Storage>, found: Option<&Found>) -> Box<dyn Storage> {
        match found {
            Some(found) => Box::new(verity::Data::new(storage, found)),
            None => Box::new(storage),
        }
    }
}

/// What is inside an encrypted image.
pub(crate) struct Inside {
    pub(crate) probe: Probe,
    /// The plain bytes.
    pub(crate) storage: Box<dyn Storage>,
    /// The hash tree behind them, where there is one.
    pub(crate) tree: Option<HashTree>,
}

impl Opened {
    /// Opens the image at `path`. Errors are of exit code 8, and of 2 where it is `-`.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let message = "- is no image: one is read in any order, and a stream has its own";
            return Err(Failure::new(Exit::Usage, message).hint("a file named - is ./-"));
        }
        let shown = report::shown(path);
        let (mut file, stat) = open_file(path).map_err(|failure| {
            // Hints of errors about files speak of manifests; only that of a policy fits here.
            let is_policy = failure.exit == Exit::Policy;
            if is_policy { failure } else { Failure::new(Exit::Image, failure.message) }
        })?;
        let found = probe(&mut file).map_err(|error| invalid(&shown, &error))?;
        let (found, header) = match found {
            Probe::Luks { version, .. } => {
                let header =
                    luks::Header::read(&mut file).map_err(|error| invalid(&shown, &error))?;
                // Of two copies of a header that differ the newer one counts.
                let (label, uuid) = (header.label().into(), header.uuid().to_owned());
                (Probe::Luks { version, label, uuid }, Some(header))
            }
            Probe::Erofs { .. } | Probe::Squashfs {} | Probe::Iso9660 { .. } => (found, None),
        };
        let size_bytes = u64::try_from(stat.st_size).unwrap_or(0);
        if header.as_ref().is_some_and(|header| header.payload_offset_bytes() >= size_bytes) {
            let message = format!("{shown}: the image is cut off before its payload");
            return Err(Failure::new(Exit::Image, message));
        }
        let tree = verity::find(&file).map_err(|error| invalid(&shown, &error))?;
        Ok(Self { file, size_bytes, probe: found, header, tree, shown })
    }

    /// The hash tree at the end of the file, if there is one. An encrypted image may have its tree
    /// [inside](Self::inside) instead.
    pub(crate) fn tree(&self) -> Result<Option<HashTree>, Failure> {
        let Some(found) = self.tree.clone() else { return Ok(None) };
        let (storage, shown) = (Arc::new(self.again()?), self.shown.clone());
        Ok(Some(HashTree { found, storage, shown }))
    }

    /// The size of the image without the hash tree behind it.
    fn data_bytes(&self) -> u64 {
        self.tree.as_ref().map_or(self.size_bytes, |tree| tree.data_bytes)
    }

    /// A second handle of the file.
    fn again(&self) -> Result<File, Failure> {
        self.file.try_clone().map_err(|error| {
            Failure::new(Exit::Image, format!("cannot read {}: {}", self.shown, reason(&error)))
        })
    }

    /// What is inside an encrypted image, by its key; none of one that is not.
    ///
    /// A key that opens nothing, from `file`, is an error of exit code 4: the image is a
    /// valid one. One that asks for much work or memory is an error of exit code 5, before
    /// any of it is done, unless that is allowed.
    pub(crate) fn inside(
        &self,
        file: &Path,
        key: &Key,
        allow_cost: bool,
    ) -> Result<Option<Inside>, Failure> {
        let Some(mut plain) = self.unlock(file, key, allow_cost)? else { return Ok(None) };
        // It is at its start already, but nothing here promises that.
        let rewound = plain.rewind().map_err(|error| {
            Failure::new(Exit::Image, format!("cannot read {}: {}", self.shown, reason(&error)))
        });
        rewound?;
        let found = probe(&mut plain as &mut dyn Read).map_err(|error| {
            let failure = invalid(&self.shown, &error);
            Failure { message: format!("{} (inside the encryption)", failure.message), ..failure }
        })?;
        let Parts { storage, found: inner, tree } = Parts::inside(plain, &self.shown)?;
        let storage = Parts::data(storage, inner.as_ref());
        Ok(Some(Inside { probe: found, storage, tree }))
    }

    /// The bytes of the file system: those of the image, or of an encrypted one what its key
    /// opens. Errors are those of [`Self::inside`], and of exit code 2 where there is no key
    /// to an encrypted image or one to another.
    pub(crate) fn into_storage(
        self,
        key_file: Option<&Path>,
        allow_cost: bool,
    ) -> Result<Box<dyn Storage>, Failure> {
        let Parts { storage, found, .. } = self.into_parts(key_file, allow_cost)?;
        Ok(Parts::data(storage, found.as_ref()))
    }

    /// The bytes of the file system with a hash tree behind them. Errors are those of
    /// [`Self::into_storage`].
    pub(crate) fn into_parts(
        self,
        key_file: Option<&Path>,
        allow_cost: bool,
    ) -> Result<Parts, Failure> {
        let tree = self.tree()?;
        let Some(file) = key_file else {
            if self.header.is_none() {
                return Ok(Parts { storage: Arc::new(self.file), found: self.tree, tree });
            }
            let message = format!("{} is encrypted", self.shown);
            let hint = "name the file of its key with --key-file";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        };
        if self.header.is_none() {
            return Err(no_encryption("--key-file"));
        }
        let key = keys::read(file, Owners::Any)?;
        let Some(plain) = self.unlock(file, &key, allow_cost)? else {
            return Err(no_encryption("--key-file"));
        };
        let inside = Parts::inside(plain, &self.shown)?;
        Ok(Parts { tree: tree.or(inside.tree), ..inside })
    }

    /// The plain bytes of an encrypted image; none of one that is not.
    fn unlock(
        &self,
        key_file: &Path,
        key: &Key,
        allow_cost: bool,
    ) -> Result<Option<luks::Reader<FileStart>>, Failure> {
        let Some(header) = &self.header else { return Ok(None) };
        if !allow_cost {
            header.require_cheap().map_err(|error| {
                Failure::new(Exit::Policy, format!("{}: {error}", self.shown))
                    .hint("where you know who made the image, --allow-cost opens it")
            })?;
        }
        let file = FileStart::new(self.again()?, self.data_bytes());
        let secret = key.secret().expose();
        let opened = keys::without_traces(|| header.open_at_any_cost(file, secret));
        let plain = opened.map_err(|error| {
            if error.kind() != ErrorKind::Key {
                return invalid(&self.shown, &error);
            }
            let key_file = report::shown(key_file);
            let message = format!("the key in {key_file} does not open {}", self.shown);
            Failure::new(Exit::Source, message).hint("take the key that the image was built with")
        })?;
        let (start, length_bytes) = plain.memory();
        keys::hold_range(start, length_bytes);
        Ok(Some(plain))
    }

    /// A second copy of the header, and the bytes of the encrypted image; none of one that is not
    /// encrypted. Errors are of exit code 8.
    pub(crate) fn outside(&self) -> Result<Option<Outside>, Failure> {
        if self.header.is_none() {
            return Ok(None);
        }
        let mut image = FileStart::new(self.again()?, self.data_bytes());
        let header = luks::Header::read(&mut image).map_err(|error| self.failure(&error))?;
        Ok(Some(Outside { header, storage: self.again()? }))
    }

    /// The failure for an error of reading the image, of exit code 8.
    pub(crate) fn failure(&self, error: &credimg_formats::Error) -> Failure {
        invalid(&self.shown, error)
    }

    /// Who may open the image.
    pub(crate) fn access(&self) -> io::Result<Access> {
        Access::of_file(&self.file, &self.file.metadata()?)
    }

    /// The volume label in `probe`, of this image or of what is inside; none where there
    /// is none. One that is not UTF-8 is an error.
    pub(crate) fn label(&self, probe: &Probe) -> Result<Option<String>, Failure> {
        let label = match probe {
            Probe::Erofs { label, .. }
            | Probe::Iso9660 { label, .. }
            | Probe::Luks { label, .. } => label.as_slice(),
            Probe::Squashfs {} => &[],
        };
        if label.is_empty() {
            return Ok(None);
        }
        str::from_utf8(label).map(|label| Some(label.to_owned())).map_err(|_| {
            let message = format!("{}: the volume label is not UTF-8", self.shown);
            Failure::new(Exit::Image, message).hint("give a serial with --serial")
        })
    }
}

/// The failure of an option about keys if the image is not encrypted.
pub(crate) fn no_encryption(option: &str) -> Failure {
    let message = format!("{option} has no meaning for an image that is not encrypted");
    Failure::new(Exit::Usage, message)
}

fn invalid(shown: &str, error: &credimg_formats::Error) -> Failure {
    let cause = error.io_error().map_or(String::new(), |cause| format!(": {}", reason(cause)));
    let failure = Failure::new(Exit::Image, format!("{shown}: {error}{cause}"));
    match Path::new(shown).extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml" | "json") => {
            failure.hint("a manifest is looked at by `credimg check`, and built by `credimg build`")
        }
        Some(_) | None => failure,
    }
}
