//! What the line on a terminal tells of a build.

use std::fs::File;
use std::io::{self, Write};

use credimg_formats::Sink;

use crate::report::line;
use crate::sources::assemble::{Doing, Step};

/// Shows how far the sources are read.
pub(crate) fn show_step(step: Step) {
    line::show(|| {
        let Step { entry, entries, inodes, path, doing } = step;
        let place = format!("entry {} of {entries}", entry + 1);
        match doing {
            Doing::Reading if inodes > 1 => {
                let made = inodes - 1; // The root is always there.
                format!("reading {path} ({place}, {made} made so far)")
            }
            Doing::Reading => format!("reading {path} ({place})"),
            Doing::Waiting => {
                format!("waiting for what was just changed below {path} ({place})")
            }
            Doing::Running { program, for_seconds, others: 0 } => {
                format!("running {program} for {path}: {for_seconds} s ({place})")
            }
            Doing::Running { program, for_seconds, others } => {
                format!(
                    "running {program} for {path}: {for_seconds} s ({place}), and {others} more"
                )
            }
        }
    });
}

/// Counts what goes through to the image and shows it.
pub(crate) struct Counted<'a, S> {
    sink: &'a mut S,
    total_bytes: u64,
    done_bytes: u64,
}

impl<'a, S> Counted<'a, S> {
    /// Counts what goes to `sink`, from now on: `total_bytes` for the whole image.
    pub(crate) fn new(sink: &'a mut S, total_bytes: u64) -> Self {
        let mut counted = Self { sink, total_bytes, done_bytes: 0 };
        // The rate is that of the time from here on, even where the first write waits long.
        counted.count(0);
        counted
    }

    /// How much is written. The length of a blob is not known before.
    #[cfg(feature = "seal")]
    pub(crate) fn done_bytes(&self) -> u64 {
        self.done_bytes
    }

    fn count(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        line::show_bytes("writing", self.done_bytes, self.total_bytes);
    }
}

impl<S: Write> Write for Counted<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.count(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl<S: Sink> Sink for Counted<'_, S> {
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        self.sink.rewrite(back_bytes, bytes)
    }

    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.sink.write_zeros(length_bytes)?;
        self.count(length_bytes);
        Ok(())
    }

    /// In pieces, so that one large file shows progress and hears of a signal.
    fn copy_from_file(&mut self, file: &File, length_bytes: u64) -> io::Result<u64> {
        const PIECE_BYTES: u64 = 64 << 20;
        let mut copied = 0;
        while copied < length_bytes {
            let piece = PIECE_BYTES.min(length_bytes - copied);
            let got = self.sink.copy_from_file(file, piece)?;
            copied += got;
            self.count(got);
            if got < piece {
                break;
            }
        }
        Ok(copied)
    }
}
