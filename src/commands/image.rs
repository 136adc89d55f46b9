//! The image in its format: the one place that knows all writers.

use credimg_formats::squashfs::Compression;
use credimg_formats::{ErrorKind, Kind, Sink, Timestamp, Tree, erofs, squashfs};

use crate::manifest::Format;
use crate::progress::{Counted, Progress};
use crate::report::{self, Exit, Failure};

/// How the image is written.
#[derive(Clone)]
pub(super) struct Image {
    pub(super) format: Format,
    pub(super) label: Option<String>,
    pub(super) uuid: [u8; 16],
    pub(super) build_time: Timestamp,
    pub(super) compression: Compression,
    /// Says what the format cannot hold; not where an image is only compared.
    pub(super) warns: bool,
}

impl Image {
    /// Writes the image of `tree`; returns its size in bytes.
    pub(super) fn write<S: Sink>(
        &self,
        tree: &Tree,
        sink: &mut S,
        progress: &mut Progress,
    ) -> Result<u64, Failure> {
        match self.format {
            Format::Erofs => self.write_erofs(tree, sink, progress),
            Format::Squashfs => self.write_squashfs(tree, sink, progress),
        }
        .map_err(|error| self.explain(&error))
    }

    fn write_erofs<S: Sink>(
        &self,
        tree: &Tree,
        sink: &mut S,
        progress: &mut Progress,
    ) -> credimg_formats::Result<u64> {
        let label = erofs::Label::new(self.label.as_deref().unwrap_or_default().as_bytes())?;
        let options = erofs::Options { label, uuid: self.uuid, build_time: self.build_time };
        let plan = erofs::Plan::new(tree, options)?;
        let total_bytes = plan.size_bytes();
        plan.write(&mut Counted { sink, progress, total_bytes, done_bytes: 0 })?;
        Ok(total_bytes)
    }

    fn write_squashfs<S: Sink>(
        &self,
        tree: &Tree,
        sink: &mut S,
        progress: &mut Progress,
    ) -> credimg_formats::Result<u64> {
        let options = squashfs::Options {
            compression: self.compression,
            build_time: self.build_time,
            cut_fractions: true,
            ..squashfs::Options::default()
        };
        let has_fraction = |metadata: &credimg_formats::Metadata| metadata.mtime.nanoseconds > 0;
        if self.warns && tree.inodes().any(|(_, inode)| has_fraction(&inode.metadata)) {
            report::warn("SquashFS holds whole seconds: the fractions of some times are cut off");
        }
        let plan = squashfs::Plan::new(tree, options)?;
        // How large the image gets is known at its end; its content is close enough.
        let content_bytes = |kind: &Kind| match kind {
            Kind::File(content) => content.len(),
            _ => 0,
        };
        let total_bytes = tree.inodes().map(|(_, inode)| content_bytes(inode.kind())).sum();
        plan.write(&mut Counted { sink, progress, total_bytes, done_bytes: 0 })
    }

    /// Says whose fault an error of the image writer is.
    fn explain(&self, error: &credimg_formats::Error) -> Failure {
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
            _ => {
                let format = self.format.name();
                let hint =
                    format!("change the manifest or the source so that {format} can hold it");
                Failure::new(Exit::Source, error.to_string()).hint(hint)
            }
        }
    }
}
