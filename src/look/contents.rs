//! An image that exists, opened for what it holds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use credimg_formats::read::{self, Limits, Reader, Storage};
use credimg_formats::{Error, ErrorKind};

use super::opened::{HashTree, Opened, Parts};
use crate::host::random;
use crate::report::{self, Exit, Failure, human_size, line, verbose};

/// What an image holds.
pub(crate) struct Contents {
    /// The reader of the image's format.
    pub(crate) reader: Box<dyn Reader>,
    /// The bytes that the reader reads, with the hash tree behind them if there is one.
    pub(crate) storage: Arc<dyn Storage>,
    /// The image's hash tree: the one in `storage`, or one behind an encrypted image.
    pub(crate) tree: Option<HashTree>,
    limits: Limits,
    path: PathBuf,
    /// The path for messages.
    shown: String,
}

impl Contents {
    /// Opens the image at `path`, by its key if it is encrypted. Errors are of exit code 8 if the
    /// image is not valid or cannot be read here, of 2 if the command line is wrong about it, and
    /// of 4 and 5 for the key: see [`Opened::inside`].
    pub(crate) fn at(
        path: &Path,
        key_file: Option<&Path>,
        allow_cost: bool,
    ) -> Result<Self, Failure> {
        let image = Opened::new(path)?;
        Self::new(image.into_parts(key_file, allow_cost)?, path)
    }

    /// The contents of `image`, which is at `path`. A line on the terminal shows how much was read,
    /// where there may be one. Errors are those of [`Self::at`].
    pub(crate) fn of(
        image: Opened,
        path: &Path,
        key_file: Option<&Path>,
        allow_cost: bool,
    ) -> Result<Self, Failure> {
        let parts = image.into_parts(key_file, allow_cost)?;
        let storage = Arc::new(Shown::new(parts.storage, report::shown(path)));
        Self::new(Parts { storage, ..parts }, path)
    }

    fn new(parts: Parts, path: &Path) -> Result<Self, Failure> {
        let Parts { storage, found, tree } = parts;
        let shown = report::shown(path);
        // Walks use hash tables, which need random numbers.
        random::seed_tables()?;
        let size_bytes = storage.size_bytes().map_err(|error| {
            let reason = report::reason(&error);
            Failure::new(Exit::Image, format!("cannot read {shown}: {reason}"))
        })?;
        let limits = Limits::for_image(size_bytes);
        let reader = read::open(Parts::data(Arc::clone(&storage), found.as_ref()), limits);
        let reader = reader.map_err(|error| failure(&shown, None, &error))?;
        verbose::tell(|| {
            format!("opened {shown}: {}, {size_bytes} bytes", reader.facts().format.name())
        });
        Ok(Self { reader, storage, tree, limits, path: path.to_owned(), shown })
    }

    /// The limits for reading the image.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The image's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The image's path for messages.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// The failure for an error of the reader.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        failure(&self.shown, None, error)
    }

    /// The failure for an error of the reader about what is at `path` in the image.
    pub(crate) fn failure_at(&self, path: &[u8], error: &Error) -> Failure {
        failure(&self.shown, Some(path), error)
    }
}

/// Shows on the terminal how much of an image was read.
struct Shown {
    storage: Arc<dyn Storage>,
    /// The image's path for messages.
    image: String,
    read_bytes: AtomicU64,
}

impl Shown {
    fn new(storage: Arc<dyn Storage>, image: String) -> Self {
        Self { storage, image, read_bytes: AtomicU64::new(0) }
    }
}

impl Storage for Shown {
    fn size_bytes(&self) -> io::Result<u64> {
        self.storage.size_bytes()
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.storage.read_at(offset_bytes, buffer)?;
        let before = self.read_bytes.fetch_add(got as u64, Ordering::Relaxed);
        line::show(|| format!("reading {}: {} so far", self.image, human_size(before)));
        Ok(got)
    }
}

/// The failure for an error of a reader: of exit code 8 if the image is at fault. If whoever takes
/// what is read has failed, that failure is passed on.
pub(crate) fn failure(image: &str, path: Option<&[u8]>, error: &Error) -> Failure {
    let cause = error.io_error();
    if let Some(failure) = cause.and_then(Failure::inside) {
        return failure.clone();
    }
    let cause = cause.map_or(String::new(), |cause| format!(": {}", report::reason(cause)));
    // An error that names a path itself is about that path.
    let path = path.filter(|_| error.path().is_none());
    let path = path.map_or(String::new(), |path| format!("{}: ", report::shown_bytes(path)));
    let message = format!("{image}: {path}{error}{cause}");
    match error.kind() {
        ErrorKind::Corrupt | ErrorKind::Source => Failure::new(Exit::Image, message),
        ErrorKind::Unsupported => Failure::new(Exit::Image, message)
            .hint("the image may be a good one: the tools of its format, or Linux, may read it"),
        ErrorKind::Limit | ErrorKind::Cost => Failure::new(Exit::Image, message)
            .hint("no build makes such an image: see who made it, and with what"),
        ErrorKind::Key => Failure::new(Exit::Source, message),
        ErrorKind::Io => Failure::new(Exit::Output, format!("cannot write what is read{cause}")),
        ErrorKind::Changed => Failure::new(Exit::Image, message)
            .hint("the image changed while it was read: do it again when nothing writes to it"),
        // Those of trees, which no reader has.
        ErrorKind::Unrepresentable | ErrorKind::Conflict | ErrorKind::Bug => {
            Failure::bug(&format!(": {message}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_readers_say_whose_fault_they_are() {
        for (kind, exit, hint) in [
            (ErrorKind::Corrupt, Exit::Image, None),
            (ErrorKind::Source, Exit::Image, None),
            (ErrorKind::Unsupported, Exit::Image, Some("the tools of its format")),
            (ErrorKind::Limit, Exit::Image, Some("see who made it")),
            (ErrorKind::Cost, Exit::Image, Some("see who made it")),
            (ErrorKind::Key, Exit::Source, None),
            (ErrorKind::Changed, Exit::Image, Some("do it again")),
            (ErrorKind::Bug, Exit::Output, Some("report")),
        ] {
            let failure = failure("a.img", Some(b"/x\n"), &Error::new(kind, "a fault"));
            assert_eq!(failure.exit, exit, "{kind:?}");
            assert!(failure.message.ends_with("a.img: \"/x\\n\": a fault"), "{failure}");
            let told = failure.hint.as_deref();
            assert_eq!(told.is_some(), hint.is_some(), "{kind:?}");
            let is_told = hint.is_none_or(|hint| told.is_some_and(|told| told.contains(hint)));
            assert!(is_told, "{kind:?}: {told:?}");
        }
    }

    #[test]
    fn errors_of_what_takes_the_content_stay_as_they_are() {
        let inner = Failure::new(Exit::Interrupted, "interrupted by SIGINT");
        let error = Error::from(io::Error::from(inner));
        let failure = failure("a.img", Some(b"/x"), &error);
        assert_eq!(failure.exit, Exit::Interrupted);
        assert_eq!(failure.message, "interrupted by SIGINT");
        let full = Error::from(io::Error::from_raw_os_error(28));
        let failure = self::failure("a.img", None, &full);
        assert_eq!(failure.exit, Exit::Output);
        assert_eq!(failure.message, "cannot write what is read: no space left on device");
    }
}
