//! The image in its format: the one place that knows all writers.

use std::path::PathBuf;
use std::rc::Rc;

use credimg_formats::luks::Version;
use credimg_formats::signature::{Signature, Watch};
use credimg_formats::verity::{self, Sealed};
use credimg_formats::{
    Content, ErrorKind, Format, Image as LaidOut, Inode, Profile, Sink, Spec, Timestamp, Tree,
    iso9660,
};

use super::encryptor::Encryptor;
use super::files;
use super::loss::Losses;
use super::verity::{Verity, broken as broken_tree};
use super::volume::{self, FormatOptions};
use crate::host::identity::FileId;
use crate::job::progress::Counted;
use crate::report::verbose::Step;
use crate::report::{self, Exit, Failure};
use crate::sources::builder::budget::over_size;

/// How the image is written.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) format: Format,
    pub(crate) label: Option<String>,
    pub(crate) uuid: [u8; 16],
    pub(crate) build_time: Timestamp,
    pub(crate) options: FormatOptions,
    /// What encrypts the image, if anything does.
    pub(crate) encryptor: Option<Rc<Encryptor>>,
    /// The hash tree behind it, where it gets one.
    pub(crate) verity: Option<Verity>,
    /// Whether what the format cannot hold is left out, with warnings.
    pub(crate) lossy: bool,
    /// Most bytes of the image, without what encryption adds.
    pub(crate) max_size_bytes: u64,
    /// Whether there are warnings of what the format cannot hold: not where an image is only
    /// compared.
    pub(crate) warns: bool,
}

/// What was written.
#[derive(Clone)]
pub(crate) struct Written {
    /// The size of the whole.
    pub(crate) size_bytes: u64,
    /// The hash tree, where there is one.
    pub(crate) sealed: Option<Sealed>,
}

/// Where a hash tree is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TreePlace {
    /// Behind the image itself, inside an encryption that QEMU opens.
    Inside,
    /// Behind the encryption, which the guest opens.
    Outside,
}

impl Image {
    /// The files of keys that were read, and of the certificate of one that signs.
    pub(crate) fn key_inputs(&self) -> impl Iterator<Item = &PathBuf> {
        let encryptor = self.encryptor.iter().flat_map(|encryptor| encryptor.inputs());
        encryptor.chain(self.verity.iter().flat_map(Verity::inputs))
    }

    /// Which files the keys are, for sources that must be none of them: a certificate may be one.
    pub(super) fn key_ids(&self) -> Vec<FileId> {
        let encryptor = self.encryptor.iter().flat_map(|encryptor| encryptor.inputs());
        let keys = encryptor.chain(self.verity.iter().filter_map(Verity::signing_key));
        keys.filter_map(|path| files::id(std::fs::metadata(path))).collect()
    }

    /// Writes the image of `tree`, with encryption and a hash tree if it has them. The guest checks
    /// the hash tree. So the tree is outside of an encryption that the guest opens (LUKS2), and
    /// inside of one that QEMU opens (LUKS1).
    pub(crate) fn write(&self, tree: &Tree, sink: &mut dyn Sink) -> Result<Written, Failure> {
        let step = Step::begin();
        let written = match &self.encryptor {
            None => self.write_inside(tree, sink)?,
            Some(encryptor) => {
                let label = self.label.as_deref();
                match encryptor.luks() {
                    Version::Luks1 => {
                        let mut sealed = None;
                        let size_bytes = encryptor.write(label, sink, |inner| {
                            sealed = self.write_inside(tree, inner)?.sealed;
                            Ok(())
                        })?;
                        Written { size_bytes, sealed }
                    }
                    Version::Luks2 => self.sealed(sink, &mut |sink| {
                        encryptor
                            .write(label, sink, |inner| self.write_plain(tree, inner).map(drop))
                    })?,
                }
            }
        };
        step.end(|| format!("wrote the image: {} bytes", written.size_bytes));
        Ok(written)
    }

    /// Writes what is inside the encryption, or all of it where there is none.
    pub(crate) fn write_inside(
        &self,
        tree: &Tree,
        mut sink: &mut dyn Sink,
    ) -> Result<Written, Failure> {
        match self.place_of_tree() {
            Some(TreePlace::Inside) => {
                self.sealed(sink, &mut |mut sink| self.write_plain(tree, &mut sink))
            }
            Some(TreePlace::Outside) | None => {
                let size_bytes = self.write_plain(tree, &mut sink)?;
                Ok(Written { size_bytes, sealed: None })
            }
        }
    }

    /// Where its hash tree is; none where it has none.
    pub(crate) fn place_of_tree(&self) -> Option<TreePlace> {
        self.verity.as_ref()?;
        Some(match self.encryptor.as_ref().map(|encryptor| encryptor.luks()) {
            Some(Version::Luks2) => TreePlace::Outside,
            Some(Version::Luks1) | None => TreePlace::Inside,
        })
    }

    /// Runs `write`, and puts a hash tree behind what it writes if the image gets one.
    pub(crate) fn sealed(
        &self,
        sink: &mut dyn Sink,
        write: &mut dyn FnMut(&mut dyn Sink) -> Result<u64, Failure>,
    ) -> Result<Written, Failure> {
        let Some(verity) = &self.verity else {
            return Ok(Written { size_bytes: write(sink)?, sealed: None });
        };
        let writer = verity::Writer::new(&verity.options(self), sink);
        let writer = writer.map_err(|error| broken_tree(&error))?;
        let mut writer = writer.rewritable_at(match self.place_of_tree() {
            Some(TreePlace::Outside) => Version::Luks2.payload_offset_bytes(),
            Some(TreePlace::Inside) | None => 0,
        });
        write(&mut writer)?;
        let sealed = writer.finish().map_err(|error| broken_tree(&error))?;
        Ok(Written { size_bytes: sealed.size_bytes, sealed: Some(sealed) })
    }

    /// Writes the image alone, which an encrypted one has inside.
    pub(crate) fn write_plain<S: Sink>(&self, tree: &Tree, sink: &mut S) -> Result<u64, Failure> {
        let image = self.laid_out(tree)?;
        // The size of a SquashFS image is known only at its end. The length of its content is close
        // enough to show progress.
        let total_bytes = match image.size_bytes() {
            Some(size_bytes) if size_bytes > self.max_size_bytes => {
                return Err(over_size(self.max_size_bytes));
            }
            Some(size_bytes) => size_bytes,
            None => content_bytes(tree),
        };
        let mut sink = Watch::of_image(sink, total_bytes);
        let mut counted = Counted::new(&mut sink, total_bytes);
        let size_bytes = image.write(&mut counted).map_err(|error| self.explain(&error))?;
        if self.warns {
            for signature in sink.found(self.format.name()) {
                warn_of_signature(signature);
            }
        }
        Ok(size_bytes)
    }

    fn laid_out<'t>(&self, tree: &'t Tree) -> Result<Box<dyn LaidOut + 't>, Failure> {
        let spec = volume::spec(self).map_err(|error| self.explain(&error))?;
        self.warn_of_fractions(tree);
        spec.clone().plan(tree).map_err(|error| {
            let failure = self.explain(&error);
            match mend(spec, tree) {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })
    }

    /// Adds to what is left out of `tree` already what the image of it does not hold.
    pub(crate) fn add_losses(&self, tree: &Tree, losses: &mut Losses) {
        losses.add_of_writer(tree, self.format, self.options.joliet);
    }

    fn warn_of_fractions(&self, tree: &Tree) {
        let Profile { title, has_nanoseconds, .. } = self.format.profile();
        let has_fraction = |inode: &Inode| inode.metadata.mtime.nanoseconds() > 0;
        let is_told = self.warns && !has_nanoseconds;
        if is_told && tree.inodes().any(|(_, inode)| has_fraction(inode)) {
            report::warn(&format!(
                "{title} holds whole seconds: the fractions of some times are cut off"
            ));
        }
    }

    fn explain(&self, error: &credimg_formats::Error) -> Failure {
        explain(error, self.format.name())
    }
}

/// What would help if the image of `tree` cannot be laid out.
fn mend(spec: Spec, tree: &Tree) -> Option<&'static str> {
    match spec {
        Spec::Erofs(_) | Spec::Squashfs(_) => None,
        Spec::Iso9660(options) => {
            let would_do = |options| iso9660::Plan::new(tree, options).is_ok();
            if options.lossy || !would_do(options.clone().lossy(true)) {
                return None;
            }
            let joliet = options.joliet && would_do(options.joliet(false));
            Some(if joliet {
                "rename it, build without Joliet, or have another name there with --lossy"
            } else {
                "use another format, or leave out with --lossy what iso9660 cannot hold"
            })
        }
    }
}

/// Length of all files.
pub(crate) fn content_bytes(tree: &Tree) -> u64 {
    tree.inodes().filter_map(|(_, inode)| inode.kind().content()).map(Content::len).sum()
}

/// The failure of what goes around an image to `do_it`; errors of what it wraps pass by.
pub(super) fn broken_around(error: &credimg_formats::Error, do_it: &str) -> Failure {
    let cause = error.io_error();
    if let Some(failure) = cause.and_then(Failure::inside) {
        return failure.clone();
    }
    if error.kind() == ErrorKind::Bug {
        return Failure::bug(&format!(": {error}"));
    }
    let reason = cause.map_or_else(String::new, |cause| format!(": {}", report::reason(cause)));
    Failure::new(Exit::Output, format!("cannot {do_it}: {error}{reason}"))
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
    use crate::job::encryptor;

    /// No manifest provokes a bug, but a reader's `not valid` and a source's fault must not
    /// be what it is taken for.
    #[test]
    fn a_bug_of_a_writer_is_nobodys_fault_but_ours() {
        let bug = Error::new(ErrorKind::Bug, "the layout of the image is inconsistent");
        for failure in [explain(&bug, "erofs"), encryptor::broken(&bug)] {
            assert_eq!(failure.exit, Exit::Output);
            let message = "a bug of credimg: the layout of the image is inconsistent";
            assert_eq!(failure.message, message);
            assert_eq!(failure.hint.as_deref(), Some("please report it, with this line"));
        }
        let corrupt = Error::new(ErrorKind::Corrupt, "not valid");
        assert!(!explain(&corrupt, "erofs").message.contains("bug"));
    }
}
