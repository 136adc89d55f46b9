//! `credimg cat`: what files of an image hold.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use credimg_formats::read::NodeKind;
use credimg_formats::{Buffer, Sink};

use super::options::Look;
use crate::host::output::Stdout;
use crate::look::contents::Contents;
use crate::look::inside::{self, Links, Located};
use crate::report::{Exit, Failure, shown_bytes};

#[derive(Args, Debug)]
#[command(after_help = "\
Symbolic links are followed inside the image, as its guest would follow them.

Examples:
  credimg cat chimera.erofs /motd
  credimg cat chimera.erofs --key-file chimera.key /ssh/key > key")]
pub struct Cat {
    /// What is looked into.
    #[command(flatten)]
    pub look: Look,
    /// Files of the image
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Write to a terminal what is no text
    #[arg(short, long)]
    pub force: bool,
}

/// How much of a file is looked at before any of it goes to a terminal.
const FIRST_BYTES: usize = 64 << 10;

pub(super) fn run(options: &Cat) -> Result<(), Failure> {
    let contents = options.look.open()?;
    let places = inside::find_all(&contents, &options.paths, Links::Followed)?;
    for place in &places {
        require_file(&contents, place)?;
    }
    let mut stdout = Stdout::open()?;
    let wants_text = stdout.is_terminal() && !options.force;
    for place in &places {
        if wants_text {
            require_text(&contents, place)?;
        }
        let mut text = Text { to: &mut stdout, is_checked: wants_text, rest: Vec::new() };
        let outcome = contents.reader.stream(place.inode, &mut text).and_then(|()| Ok(text.end()?));
        outcome.map_err(|error| contents.failure_at(&place.path(), &error))?;
    }
    stdout.finish()
}

fn require_file(contents: &Contents, place: &Located) -> Result<(), Failure> {
    let what = match place.stat.kind {
        NodeKind::File => return Ok(()),
        NodeKind::Directory => "a directory",
        NodeKind::Symlink => "a symbolic link",
        NodeKind::CharDevice(_) | NodeKind::BlockDevice(_) => "a device",
        NodeKind::Fifo => "a FIFO",
        NodeKind::Socket => "a socket",
    };
    let (image, path) = (contents.shown(), shown_bytes(&place.path()));
    Err(Failure::new(Exit::Source, format!("{image}: {path}: expected a file, got {what}")))
}

/// An error where the file does not begin as a text does, before any of it is written.
fn require_text(contents: &Contents, place: &Located) -> Result<(), Failure> {
    let length = usize::try_from(place.stat.size_bytes).unwrap_or(FIRST_BYTES).min(FIRST_BYTES);
    let mut first = Buffer::zeroed(length);
    let got = contents.reader.read_at(place.inode, 0, &mut first);
    let got = got.map_err(|error| contents.failure_at(&place.path(), &error))?;
    let first = first.get(..got).unwrap_or_default();
    let is_whole = got as u64 == place.stat.size_bytes;
    match text_length(first) {
        Some(length) if length == first.len() || !is_whole => Ok(()),
        _ => Err(no_text()),
    }
}

fn no_text() -> Failure {
    Failure::new(Exit::Usage, "what is no text is not written to a terminal")
        .hint("redirect standard output, or write it all the same with --force")
}

/// How much of `bytes` is text that no terminal takes for a command: all but, perhaps, the
/// beginning of a character at the end; none where it is no text.
fn text_length(bytes: &[u8]) -> Option<usize> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_some() => return None,
        Err(error) => str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?,
    };
    let is_plain = |letter: char| matches!(letter, '\n' | '\t' | '\r') || !letter.is_control();
    text.chars().all(is_plain).then_some(text.len())
}

/// Passes content on; where only text is wanted, what is none ends it.
struct Text<'a> {
    to: &'a mut Stdout,
    is_checked: bool,
    /// The beginning of a character, of which the end is awaited.
    rest: Vec<u8>,
}

impl Text<'_> {
    /// An error where the content ended in the middle of a character.
    fn end(&self) -> io::Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(no_text().into()) }
    }
}

impl Write for Text<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_checked {
            return self.to.write(bytes);
        }
        let mut piece = Buffer::zeroed(self.rest.len() + bytes.len());
        for (to, from) in piece.iter_mut().zip(self.rest.iter().chain(bytes)) {
            *to = *from;
        }
        let length = text_length(&piece).ok_or_else(no_text)?;
        let (text, rest) = piece.split_at(length);
        self.rest = rest.to_vec();
        self.to.write_all(text)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Sink for Text<'_> {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        if self.is_checked && length_bytes > 0 {
            return Err(no_text().into());
        }
        self.to.write_zeros(length_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_no_terminal_takes_for_a_command() {
        for (bytes, expected) in [
            (&b"hello\r\n\tworld\n"[..], Some(14)),
            (b"", Some(0)),
            ("h\u{e9}".as_bytes(), Some(3)),
            (b"h\xc3", Some(1)),
            (b"h\xc3h", None),
            (b"a\x1b[2J", None),
            (b"a\0b", None),
            (b"a\x7f", None),
            // A control character of eight bits: CSI.
            ("a\u{9b}2J".as_bytes(), None),
        ] {
            assert_eq!(text_length(bytes), expected, "{bytes:?}");
        }
    }
}
