//! The image in its format: the one place that knows all writers.

use std::rc::Rc;

use credimg_formats::signature::{Signature, Watch};
use credimg_formats::squashfs::{self, Compression};
use credimg_formats::{ErrorKind, Image as LaidOut, Kind, Sink, Timestamp, Tree, erofs, iso9660};

use super::encryption::Encryptor;
use super::loss::Losses;
use crate::job::progress::{Counted, Progress};
use crate::manifest::Format;
use crate::report::{self, Exit, Failure};
use crate::sources::builder::budget::over_size;

/// How the image is written.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) format: Format,
    pub(crate) label: Option<String>,
    pub(crate) uuid: [u8; 16],
    pub(crate) build_time: Timestamp,
    pub(crate) compression: Compression,
    /// Adds a Joliet tree; of ISO 9660 only.
    pub(crate) joliet: bool,
    /// What is around the image, where it is encrypted.
    pub(crate) encryptor: Option<Rc<Encryptor>>,
    /// Leaves out, with warnings, what the format cannot hold.
    pub(crate) lossy: bool,
    /// Most bytes of it, without what encryption adds.
    pub(crate) max_size_bytes: u64,
    /// Says what the format cannot hold; not where an image is only compared.
    pub(crate) warns: bool,
}

impl Image {
    /// Writes the image of `tree`, encrypted where it is; returns its size in bytes.
    pub(crate) fn write<S: Sink>(
        &self,
        tree: &Tree,
        sink: &mut S,
        progress: &mut Progress,
    ) -> Result<u64, Failure> {
        let Some(encryptor) = &self.encryptor else {
            return self.write_plain(tree, sink, progress);
        };
        let label = self.label.as_deref();
        encryptor.write(label, sink, |inner| self.write_plain(tree, inner, progress))
    }

    /// Writes the image alone, which an encrypted one has inside.
    pub(crate) fn write_plain<S: Sink>(
        &self,
        tree: &Tree,
        sink: &mut S,
        progress: &mut Progress,
    ) -> Result<u64, Failure> {
        let image = self.laid_out(tree)?;
        // How large one of SquashFS gets is known at its end; its content is limited, and
        // close enough to show how far it is.
        let total_bytes = match image.size_bytes() {
            Some(size_bytes) if size_bytes > self.max_size_bytes => {
                return Err(over_size(self.max_size_bytes));
            }
            Some(size_bytes) => size_bytes,
            None => content_bytes(tree),
        };
        let mut sink = Watch::new(sink);
        let mut counted = Counted { sink: &mut sink, progress, total_bytes, done_bytes: 0 };
        let size_bytes = image.write(&mut counted).map_err(|error| self.explain(&error))?;
        if self.warns {
            for signature in sink.found(self.format.name()) {
                warn_of_signature(signature);
            }
        }
        Ok(size_bytes)
    }

    fn laid_out<'t>(&self, tree: &'t Tree) -> Result<Box<dyn LaidOut + 't>, Failure> {
        Ok(match self.format {
            Format::Erofs => Box::new(self.erofs(tree).map_err(|error| self.explain(&error))?),
            Format::Squashfs => {
                Box::new(self.squashfs(tree).map_err(|error| self.explain(&error))?)
            }
            Format::Iso9660 => Box::new(self.iso9660(tree)?),
        })
    }

    fn erofs<'t>(&self, tree: &'t Tree) -> credimg_formats::Result<erofs::Plan<'t>> {
        let label = erofs::Label::new(self.label_bytes())?;
        let options =
            erofs::Options::new().label(label).uuid(self.uuid).build_time(self.build_time);
        erofs::Plan::new(tree, options)
    }

    fn squashfs<'t>(&self, tree: &'t Tree) -> credimg_formats::Result<squashfs::Plan<'t>> {
        let options = squashfs::Options::new()
            .compression(self.compression)
            .build_time(self.build_time)
            .cut_fractions(true);
        self.warn_of_fractions(tree, "SquashFS");
        squashfs::Plan::new(tree, options)
    }

    fn iso9660<'t>(&self, tree: &'t Tree) -> Result<iso9660::Plan<'t>, Failure> {
        let volume_id = iso9660::VolumeId::new(self.label_bytes());
        let options = iso9660::Options::new()
            .volume_id(volume_id.map_err(|error| self.explain(&error))?)
            .build_time(self.build_time)
            .joliet(self.joliet)
            .cut_fractions(true)
            .lossy(self.lossy);
        self.warn_of_fractions(tree, "ISO 9660");
        iso9660::Plan::new(tree, options.clone()).map_err(|error| {
            let failure = self.explain(&error);
            let would_do = |options| iso9660::Plan::new(tree, options).is_ok();
            if self.lossy || !would_do(options.clone().lossy(true)) {
                return failure;
            }
            let joliet = options.joliet && would_do(options.joliet(false));
            failure.hint(if joliet {
                "rename it, build without Joliet, or have another name there with --lossy"
            } else {
                "use another format, or leave out with --lossy what iso9660 cannot hold"
            })
        })
    }

    /// Adds to what is left out of `tree` already what the image of it does not hold.
    pub(crate) fn add_losses(&self, tree: &Tree, losses: &mut Losses) {
        if self.format == Format::Iso9660 {
            losses.add_iso9660(tree, self.joliet);
        }
    }

    fn warn_of_fractions(&self, tree: &Tree, format: &str) {
        let has_fraction = |metadata: &credimg_formats::Metadata| metadata.mtime.nanoseconds() > 0;
        if self.warns && tree.inodes().any(|(_, inode)| has_fraction(&inode.metadata)) {
            report::warn(&format!(
                "{format} holds whole seconds: the fractions of some times are cut off"
            ));
        }
    }

    fn label_bytes(&self) -> &[u8] {
        self.label.as_deref().unwrap_or_default().as_bytes()
    }

    fn explain(&self, error: &credimg_formats::Error) -> Failure {
        explain(error, self.format.name())
    }
}

/// Length of all files.
pub(crate) fn content_bytes(tree: &Tree) -> u64 {
    let lengths = tree.inodes().filter_map(|(_, inode)| match inode.kind() {
        Kind::File(content) => Some(content.len()),
        Kind::Directory(_)
        | Kind::Symlink(_)
        | Kind::CharDevice(_)
        | Kind::BlockDevice(_)
        | Kind::Fifo
        | Kind::Socket => None,
    });
    lengths.sum()
}

/// Says whose fault an error of the writer of this format is.
pub(crate) fn explain(error: &credimg_formats::Error, format: &str) -> Failure {
    let cause = error.io_error();
    if let Some(failure) = cause.and_then(Failure::inside) {
        return failure.clone();
    }
    match (error.kind(), cause) {
        (ErrorKind::Io, Some(cause)) => {
            let message = format!("cannot write the image: {}", report::reason(cause));
            Failure::new(Exit::Output, message)
        }
        (ErrorKind::Source | ErrorKind::Changed, _) => {
            Failure::new(Exit::Source, error.to_string())
                .hint("build again when nothing writes to the sources")
        }
        (ErrorKind::Bug, _) => Failure::bug(&format!(": {error}")),
        // An error of writing has its cause, and the others are those of readers.
        (
            ErrorKind::Unrepresentable
            | ErrorKind::Limit
            | ErrorKind::Conflict
            | ErrorKind::Cost
            | ErrorKind::Corrupt
            | ErrorKind::Unsupported
            | ErrorKind::Key
            | ErrorKind::Io,
            _,
        ) => {
            let hint = format!("change the manifest or the source so that {format} can hold it");
            Failure::new(Exit::Source, error.to_string()).hint(hint)
        }
    }
}

/// Says that a guest may see another format.
fn warn_of_signature(Signature { format, offset_bytes, .. }: Signature) {
    report::warn(&format!(
        "what is stored lies at byte {offset_bytes} of the image as the signature of {format} \
         would: guests may take the disk for that, and have no link to it by label; to move it, \
         add a file or take another format"
    ));
}

#[cfg(test)]
mod tests {
    use credimg_formats::Error;

    use super::*;
    use crate::job::encryption;

    /// No manifest provokes a bug, but a reader's `not valid` and a source's fault must not
    /// be what it is taken for.
    #[test]
    fn a_bug_of_a_writer_is_nobodys_fault_but_ours() {
        let bug = Error::new(ErrorKind::Bug, "the layout of the image is inconsistent");
        for failure in [explain(&bug, "erofs"), encryption::broken(&bug)] {
            assert_eq!(failure.exit, Exit::Output);
            let message = "a bug of credimg: the layout of the image is inconsistent";
            assert_eq!(failure.message, message);
            assert_eq!(failure.hint.as_deref(), Some("please report it, with this line"));
        }
        let corrupt = Error::new(ErrorKind::Corrupt, "not valid");
        assert!(!explain(&corrupt, "erofs").message.contains("bug"));
    }
}
