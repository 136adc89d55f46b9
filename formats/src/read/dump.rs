//! A listing in which every byte of an image stands in exactly one line.
//!
//! ```text
//! # dump 1: erofs, 12288 bytes
//!
//! 00000000     1024 unused
//!
//! # superblock
//! 00000400        4 magic: 0xe0f5e1e2
//! 00000404        4 checksum: 0x5a1c0c3f
//! ```
//!
//! A line begins with an offset in hex and a length, both in bytes. Lines are in the order of
//! their offsets, and each begins where the one before it ended, up to the end of the image. What
//! follows is one of
//!
//! - `NAME: VALUE`, a field of the record whose title stands in the line of comment before it,
//! - `NAME: content, sha256 DIGEST`, a field that holds the user's bytes,
//! - `TITLE: record, sha256 DIGEST`, a record that is packed, or has no fields,
//! - `TITLE: content, sha256 DIGEST`, content or a part of it, as it is stored,
//! - `padding`, zeros that fill up a block, `unused`, zeros that belong to nothing, and
//!   `unknown` where the reader went no further; with `, not zero, sha256 DIGEST` behind it
//!   where they are none.
//!
//! A line of comment begins with `#`: a title, notes, and problems at the end. A digest is the
//! first 16 digits of SHA-256. Of the same image the dump is always the same.

use std::fmt::Write as _;
use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::regions::{Problems, Regions};
use super::sweep::first_not_zero;
use super::{Account, Reader, Region, RegionKind, Storage, hash_tree};
use crate::content::Buffer;
use crate::error::{Error, ErrorKind, Result, unreadable};
use crate::hex::hex_text;

/// How many digits of a digest are shown: enough to tell any two images apart.
const DIGEST_BYTES: usize = 8;
/// What is read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Whether digests of content are shown. Whoever has the digest of a short secret, or of one of
/// a few possible ones, finds out which it is by trying all: such a dump is as secret as the
/// image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digests {
    /// They are, so that two dumps differ where two images do.
    Shown,
    /// Content is told by its length alone, and so are packed records, which hold names and
    /// extended attributes.
    Hidden,
}

/// Writes the listing of the image of `reader`, which is in `storage`, and returns what is wrong
/// with the image. Content is never shown.
pub fn dump(
    reader: &dyn Reader,
    storage: &dyn Storage,
    digests: Digests,
    out: &mut dyn Write,
) -> Result<Problems> {
    let name = reader.facts().format.name();
    list(name, &|account| reader.account(account), storage, digests, out)
}

/// Writes the listing of the encrypted volume in `storage`, of which the file system in it is
/// ciphertext, and returns what is wrong with it.
#[cfg(feature = "luks")]
pub fn dump_volume(
    storage: &dyn Storage,
    digests: Digests,
    out: &mut dyn Write,
) -> Result<Problems> {
    let data = hash_tree::data(storage)?;
    list("luks", &|account| crate::luks::account(&*data, account), storage, digests, out)
}

fn list(
    name: &str,
    account: &dyn Fn(&mut dyn Account) -> Result<()>,
    storage: &dyn Storage,
    digests: Digests,
    out: &mut dyn Write,
) -> Result<Problems> {
    let size_bytes = storage.size_bytes().map_err(unreadable)?;
    let mut regions = Regions::new(size_bytes, true);
    let mut is_whole = true;
    match account(&mut regions).and_then(|()| hash_tree::account(storage, &mut regions)) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            is_whole = false;
            regions.problems.nowhere(error.to_string());
        }
        Err(error) => return Err(error),
    }
    let (regions, problems) = regions.finish();
    let mut lines = Lines { storage, digests, out, at: 0, is_whole, buffer: Buffer::default() };
    lines.comment(&format!("dump 1: {name}, {size_bytes} bytes"))?;
    for region in regions {
        lines.region(region, size_bytes)?;
    }
    lines.gap(size_bytes)?;
    if !problems.is_empty() {
        lines.blank()?;
    }
    for problem in &problems.kept {
        let place = problem.offset_bytes.map_or(String::new(), |at| format!(" at {at:08x}"));
        lines.comment(&format!("problem{place}: {}", problem.message))?;
    }
    if problems.more > 0 {
        lines.comment(&format!("{} more problems", problems.more))?;
    }
    lines.out.flush().map_err(unwritable)?;
    Ok(problems)
}

struct Lines<'a> {
    storage: &'a dyn Storage,
    digests: Digests,
    out: &'a mut dyn Write,
    /// Up to where bytes stand in lines.
    at: u64,
    is_whole: bool,
    buffer: Buffer,
}

impl Lines<'_> {
    fn region(&mut self, region: Region, size_bytes: u64) -> Result<()> {
        let start = region.offset_bytes;
        let end = start.saturating_add(region.length_bytes).min(size_bytes);
        if start > self.at {
            self.gap(start.min(size_bytes))?;
        }
        // What is left of it where it overlaps what was before, as shared content may.
        let skipped = self.at - start.min(self.at);
        if end <= self.at {
            return self.comment(&format!("{}: told before", region.title));
        }
        if region.kind == RegionKind::Padding {
            return self.zeros(end, "padding");
        }
        if !region.fields.is_empty() || !region.notes.is_empty() || skipped > 0 {
            self.blank()?;
            self.comment(&region.title)?;
        }
        for note in &region.notes {
            self.comment(&format!("  {note}"))?;
        }
        if skipped > 0 {
            self.comment(&format!("  the first {skipped} bytes were told before"))?;
        }
        if region.fields.is_empty() {
            let what = match region.kind {
                RegionKind::Record => "record",
                RegionKind::Content | RegionKind::Padding => "content",
            };
            return self.digested(end, &format!("{}: {what}", region.title));
        }
        let mut field_end = start;
        for field in region.fields {
            field_end = field_end.saturating_add(field.length_bytes);
            let until = field_end.min(end);
            if until <= self.at {
                continue;
            }
            match field.value {
                Some(value) => self.line(until, &format!("{}: {value}", field.name))?,
                None => self.digested(until, &format!("{}: content", field.name))?,
            }
        }
        Ok(())
    }

    /// What stands up to `end` belongs to nothing.
    fn gap(&mut self, end: u64) -> Result<()> {
        if end <= self.at {
            return Ok(());
        }
        self.blank()?;
        self.zeros(end, if self.is_whole { "unused" } else { "unknown" })
    }

    fn zeros(&mut self, end: u64, what: &str) -> Result<()> {
        match self.read(end, false)? {
            (false, _) => self.line(end, what),
            (true, _) => self.digested(end, &format!("{what}, not zero")),
        }
    }

    fn digested(&mut self, end: u64, what: &str) -> Result<()> {
        match self.digests {
            Digests::Hidden => self.line(end, what),
            Digests::Shown => {
                let (_, digest) = self.read(end, true)?;
                self.line(end, &format!("{what}, sha256 {digest}"))
            }
        }
    }

    /// Reads up to `end`: whether something is not zero, and the digest where it is wanted.
    fn read(&mut self, end: u64, wants_digest: bool) -> Result<(bool, String)> {
        let longest = usize::try_from(end - self.at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        if self.buffer.len() < longest {
            self.buffer = Buffer::zeroed(longest.next_power_of_two());
        }
        let (mut hash, mut is_other, mut at) = (Sha256::new(), false, self.at);
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let piece = self.buffer.get_mut(..want).unwrap_or_default();
            self.storage.read_exact_at(at, piece)?;
            is_other |= first_not_zero(piece).is_some();
            if wants_digest {
                hash.update(&*piece);
            }
            at = at.saturating_add(want as u64);
        }
        if !wants_digest {
            return Ok((is_other, String::new()));
        }
        let digest = hash.finalize();
        Ok((is_other, hex_text(digest.get(..DIGEST_BYTES).unwrap_or_default())))
    }

    /// The line of what stands up to `end`.
    fn line(&mut self, end: u64, text: &str) -> Result<()> {
        let (start, length) = (self.at, end - self.at);
        self.at = end;
        writeln!(self.out, "{start:08x} {length:8} {}", Plain(text)).map_err(unwritable)
    }

    fn comment(&mut self, text: &str) -> Result<()> {
        writeln!(self.out, "# {}", Plain(text)).map_err(unwritable)
    }

    fn blank(&mut self) -> Result<()> {
        writeln!(self.out).map_err(unwritable)
    }
}

/// Text on one line: what would control a terminal, or end the line, is escaped.
struct Plain<'t>(&'t str);

impl std::fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

fn unwritable(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot write the dump").caused_by(error)
}
