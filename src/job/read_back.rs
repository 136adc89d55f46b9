//! Reads an image back that was just written: `--verify` of `build` and `exec`.
//!
//! What was laid out, compressed and encrypted goes through the reader, which shares nothing
//! with the writer but the records, and is compared with what it was made of. A fault of
//! memory, of the disk or of this program is found before the image takes its name.

use std::fs::File;
use std::io;
use std::sync::Arc;

use credimg_formats::read::{self, Limits, Seekable, Side, Storage, TreeReader};
use credimg_formats::verity::{self, Found, Sealed};
use credimg_formats::{Error, Tree, luks};

use super::encryptor::Encryptor;
use super::image::{self, Image, TreePlace, Written};
use crate::host::random;
use crate::host::signals;
use crate::keys;
use crate::look::differences::{self, comparison};
use crate::look::file_start::FileStart;
use crate::look::records::{self, Fault};
use crate::report::verbose::Step;
use crate::report::{Exit, Failure, human_size, line, reason};

/// How many faults are told at most.
const TOLD_MAX: usize = 5;

/// Checks that `file` holds `image` of `tree`, and that all its records are valid. Errors are
/// of exit code 7 where it does not, and of 4 where a source has changed since.
pub(crate) fn check(
    image: &Image,
    tree: &Tree,
    file: File,
    written: &Written,
) -> Result<(), Failure> {
    random::seed_tables()?;
    let step = Step::begin();
    let sealed = written.sealed.as_ref();
    let (outside, inside) = match image.place_of_tree() {
        Some(TreePlace::Outside) => (sealed, None),
        Some(TreePlace::Inside) | None => (None, sealed),
    };
    match &image.encryptor {
        None => check_plain(image, tree, Box::new(file), inside)?,
        // Keys leave traces on the stack when the image is opened.
        Some(encryptor) => keys::without_traces(|| {
            if let Some(sealed) = outside {
                require_tree(&file, sealed)?;
            }
            let part = FileStart::new(file, outside.map_or(u64::MAX, |sealed| sealed.data_bytes));
            let plain = open(encryptor, part)?;
            let (start, length_bytes) = plain.memory();
            keys::hold_range(start, length_bytes);
            check_plain(image, tree, Box::new(Seekable::new(plain)), inside)
        })?,
    }
    step.end(|| "read the image back: it holds what it was made of".to_owned());
    Ok(())
}

/// An error where the tree in `storage` is not the one that was written, or not that of the data.
fn require_tree(storage: &dyn Storage, sealed: &Sealed) -> Result<Found, Failure> {
    let found = verity::find(storage).map_err(|error| unreadable(&error))?;
    let Some(found) = found.filter(|found| found.data_bytes == sealed.data_bytes) else {
        return Err(broken("its hash tree is not where it was written"));
    };
    let problems = verity::verify(storage, &found, &sealed.root_hash);
    let problems = problems.map_err(|error| unreadable(&error))?;
    let faults: Vec<_> =
        problems.kept.into_iter().map(|problem| Fault::from(problem).text()).collect();
    require_none(&faults)?;
    Ok(found)
}

fn open(encryptor: &Encryptor, mut file: FileStart) -> Result<luks::Reader<FileStart>, Failure> {
    let header = luks::Header::read(&mut file).map_err(|error| unreadable(&error))?;
    let mut faults = Vec::new();
    let storage = Seekable::new(file.try_clone().map_err(|error| unreadable(&error.into()))?);
    records::check_volume(&storage, &mut |fault| faults.push(fault.text()))
        .map_err(|error| unreadable(&error))?;
    require_none(&faults)?;
    header
        .open_at_any_cost(file, encryptor.key.secret().expose())
        .map_err(|error| unreadable(&error))
}

fn check_plain(
    image: &Image,
    tree: &Tree,
    mut storage: Box<dyn Storage>,
    sealed: Option<&Sealed>,
) -> Result<(), Failure> {
    if let Some(sealed) = sealed {
        let found = require_tree(&*storage, sealed)?;
        let whole: Arc<dyn Storage> = Arc::from(storage);
        storage = Box::new(verity::Data::new(whole, &found));
    }
    let size_bytes = storage.size_bytes().map_err(|error| unreadable(&error.into()))?;
    let limits = Limits::for_image(size_bytes);
    let storage: Arc<dyn Storage> = Arc::new(Attentive(storage));
    let reader = read::open(Box::new(Arc::clone(&storage)), limits);
    let reader = reader.map_err(|error| unreadable(&error))?;
    let mut faults = Vec::new();
    records::check(&*reader, &storage, limits, &mut |fault| faults.push(fault.text()))
        .map_err(|error| unreadable(&error))?;
    require_none(&faults)?;
    let label = image.label.as_deref().unwrap_or_default().as_bytes();
    if image.format.profile().has_label() && reader.facts().label != label {
        faults.push("the label is another one".to_owned());
    }
    let wanted = TreeReader::new(tree, image.format);
    // The tree that it was made of has no more in it than the image.
    let wanted_limits = Limits { inodes: u64::MAX, depth: usize::MAX, ..limits };
    let respects = comparison(&[reader.facts()]);
    let outcome =
        read::diff((&wanted, wanted_limits), (&*reader, limits), &respects, &mut |difference| {
            if faults.len() <= TOLD_MAX {
                faults.push(differences::fault(difference));
            }
            Ok(())
        });
    outcome.map_err(|(side, error)| match side {
        Side::Old => image::explain(&error, image.format.name()),
        Side::New | Side::Caller => unreadable(&error),
    })?;
    require_none(&faults)
}

/// A storage that hears of signals and shows how far it is: behind it lies a temporary, which has to go.
struct Attentive(Box<dyn Storage>);

impl Storage for Attentive {
    fn size_bytes(&self) -> io::Result<u64> {
        self.0.size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        signals::check()?;
        line::show(|| {
            let size = human_size(self.size_bytes().unwrap_or_default());
            format!("reading back what was written: at {} of {size}", human_size(offset_bytes))
        });
        self.0.read_at(offset_bytes, buffer)
    }
}

fn unreadable(error: &Error) -> Failure {
    let cause = error.io_error();
    if let Some(failure) = cause.and_then(Failure::inside) {
        return failure.clone();
    }
    let cause = cause.map_or_else(String::new, |cause| format!(": {}", reason(cause)));
    broken(&format!("{error}{cause}"))
}

fn require_none(faults: &[String]) -> Result<(), Failure> {
    if faults.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = faults.iter().take(TOLD_MAX).map(String::as_str).collect();
    let more = if faults.len() > told.len() { "\nand more" } else { "" };
    Err(broken(&format!("{}{more}", told.join("\n"))))
}

fn broken(faults: &str) -> Failure {
    let message = format!("--verify: the new image does not read back as it was written: {faults}");
    let hint = "memory or a disk that fails does that, or a bug of credimg: where it happens again \
                elsewhere, please report it";
    Failure::new(Exit::Output, message).hint(hint)
}
