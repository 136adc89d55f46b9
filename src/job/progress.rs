//! One line on a terminal for builds that take longer than a second.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use credimg_formats::Sink;

use crate::report::human_size;
use crate::sources::assemble::Step;

/// A build shorter than this shows no progress.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line is drawn again.
const INTERVAL: Duration = Duration::from_millis(100);

/// Draws the line; draws nothing where standard error is no terminal.
pub(crate) struct Progress {
    next_draw: Option<Instant>,
    /// The line that stands on the terminal; empty where there is none.
    drawn: String,
}

impl Progress {
    /// Starts the clock. `is_wanted` is false with `--quiet`.
    pub(crate) fn new(is_wanted: bool) -> Self {
        let next_draw =
            (is_wanted && io::stderr().is_terminal()).then(|| Instant::now() + PATIENCE);
        Self { next_draw, drawn: String::new() }
    }

    /// Shows `text`, now and then. A line that stands already is left alone:
    /// a command that is waited for may use the terminal.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.next_draw.is_some_and(|next| now >= next) {
            self.next_draw = Some(now + INTERVAL);
            let text = text();
            if text != self.drawn {
                // A terminal that is gone is no reason to fail.
                let _ = write!(io::stderr(), "\r\x1b[K{text}");
                self.drawn = text;
            }
        }
    }

    /// Shows how far the sources are read.
    pub(crate) fn show_step(&mut self, step: Step) {
        self.show(|| {
            let Step { entry, entries, inodes, is_waiting } = step;
            let made = inodes - 1; // The root is always there.
            let doing = if is_waiting { "waiting for what was just changed" } else { "reading" };
            format!("{doing}: entry {} of {entries}, {made} made so far", entry + 1)
        });
    }
}

impl Drop for Progress {
    /// Wipes the line.
    fn drop(&mut self) {
        if !self.drawn.is_empty() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Counts what goes through to the image and shows it.
pub(crate) struct Counted<'a, S> {
    /// Where the bytes go.
    pub(crate) sink: &'a mut S,
    /// Who shows the count.
    pub(crate) progress: &'a mut Progress,
    /// Size of the whole image in bytes.
    pub(crate) total_bytes: u64,
    /// How much of it is written.
    pub(crate) done_bytes: u64,
}

impl<S> Counted<'_, S> {
    fn count(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        let (done, total) = (self.done_bytes, self.total_bytes.max(1));
        self.progress.show(|| {
            let percent = u128::from(done) * 100 / u128::from(total);
            format!("writing: {percent} % of {}", human_size(total))
        });
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
