//! The members of an archive: ustar, GNU and pax headers, one after the other.
//!
//! The records themselves are read by the `tar` crate. The order of headers is
//! kept here, because the crate's iterator takes extension headers of any size
//! into memory and splits their values at newlines.

use std::borrow::Cow;

use credimg_formats::{Mode, Timestamp, Xattrs};
use tar::{EntryType, Header};

use super::pax::{self, Pax};
use super::refused;
use super::stream::Stream;
use crate::report::Failure;
use crate::sources::builder::InodeAttributes;

/// Largest extension header (a long name or a pax header) in bytes.
const EXTENSION_MAX_BYTES: u64 = 1 << 20;
/// Most bytes of extension headers in one archive: names and attributes stay in memory.
const EXTENSIONS_MAX_BYTES: u64 = 64 << 20;
/// Most bytes of zeros behind the end of an archive: tar fills its last record with them.
const PADDING_MAX_BYTES: u64 = 16 << 20;

/// Compressors that are not supported, by the first bytes of what they write.
const COMPRESSORS: [(&[u8], &str); 9] = [
    (b"BZh", "bzip2"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x1f\x9d", "compress"),
    (b"LZIP", "lzip"),
    (b"\x5d\0\0", "lzma"),
    (b"\x89LZO\0\r\n\x1a\n", "lzop"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
];

/// What a member is.
pub(super) enum MemberKind {
    Directory,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    /// A regular file, whose content comes next.
    File {
        length_bytes: u64,
    },
}

/// One member of an archive.
pub(super) struct Member {
    /// Its path as it is written.
    pub(super) path: Vec<u8>,
    pub(super) kind: MemberKind,
    pub(super) attributes: InodeAttributes,
    pub(super) xattrs: Xattrs,
}

/// Reads one member after the other.
pub(super) struct Members {
    stream: Stream,
    /// Whether extended attributes count; else they are left out.
    keeps_xattrs: bool,
    global: Pax,
    extensions_left_bytes: u64,
}

/// What the headers before a member say about it.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl Members {
    pub(super) fn new(stream: Stream, keeps_xattrs: bool) -> Self {
        let (global, extensions_left_bytes) = (Pax::default(), EXTENSIONS_MAX_BYTES);
        Self { stream, keeps_xattrs, global, extensions_left_bytes }
    }

    /// The bytes behind the header that was read last. Where that was a file's
    /// its content must be taken from here before the next member.
    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The next member; none at the archive's end.
    #[expect(clippy::wildcard_enum_match_arm, reason = "letters of archives have no end")]
    pub(super) fn next(&mut self) -> Result<Option<Member>, Failure> {
        let mut extension = Extension::default();
        let mut is_alone = true;
        loop {
            let Some(header) = self.header()? else {
                return if is_alone { Ok(None) } else { Err(self.stream.truncated()) };
            };
            let size = header.entry_size().map_err(|_| self.bad_number())?;
            let is_second = match header.entry_type() {
                EntryType::GNULongName => {
                    let path = until_nul(self.extension(size)?);
                    extension.path.replace(path).is_some()
                }
                EntryType::GNULongLink => {
                    let link = until_nul(self.extension(size)?);
                    extension.link.replace(link).is_some()
                }
                EntryType::XHeader => {
                    let pax = self.pax(&header, size)?;
                    extension.pax.replace(pax).is_some()
                }
                EntryType::XGlobalHeader => {
                    let global = self.pax(&header, size)?;
                    let path = header.path_bytes();
                    self.global
                        .merge_global(global)
                        .map_err(|failure| self.stream.in_member(&path, failure))?;
                    continue;
                }
                _ => return self.member(&header, size, extension).map(Some),
            };
            if is_second {
                return Err(self.stream.damaged("two headers describe one member"));
            }
            is_alone = false;
        }
    }

    /// Reads what is left behind the last member, so that damage and data there
    /// are found: it must be zeros.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let mut block = [0; 512];
        let end = self.stream.position() + PADDING_MAX_BYTES;
        while let filled @ 1.. = self.stream.read_block(&mut block)? {
            if filled < block.len() {
                return Err(self.stream.truncated());
            }
            if block != [0; 512] {
                return Err(self.stream.damaged("there is data behind its end"));
            }
            if self.stream.position() > end {
                return Err(self.stream.damaged("more than 16 MiB of zeros follow its end"));
            }
        }
        Ok(())
    }

    /// The next header block; none at the block of zeros that ends an archive.
    fn header(&mut self) -> Result<Option<Header>, Failure> {
        // A file's content is filled up to whole blocks.
        let position = self.stream.position();
        self.stream.read(position.next_multiple_of(512) - position)?;
        let mut block = [0; 512];
        let filled = self.stream.read_block(&mut block)?;
        let is_whole = filled == block.len();
        if is_whole && block == [0; 512] {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block);
        if is_whole && header.cksum().ok() == Some(checksum(&block)) {
            let mut header = header.clone();
            fill_empty_numbers(&mut header);
            return Ok(Some(header));
        }
        let compressor = COMPRESSORS.iter().find(|(magic, _)| block.starts_with(magic));
        Err(match compressor {
            Some((_, name)) if position == 0 => self
                .stream
                .damaged(&format!("it seems to be compressed with {name}"))
                .hint("supported are plain, gzip, xz and zstd archives"),
            _ if is_whole => self.stream.damaged("a header has a wrong checksum"),
            _ => self.stream.truncated(),
        })
    }

    /// The content of an extension header, within limits.
    fn extension(&mut self, size_bytes: u64) -> Result<Vec<u8>, Failure> {
        let left = self.extensions_left_bytes.checked_sub(size_bytes);
        let Some(left) = left.filter(|_| size_bytes <= EXTENSION_MAX_BYTES) else {
            return Err(self.stream.damaged("its extended headers are too large"));
        };
        self.extensions_left_bytes = left;
        self.stream.read(size_bytes)
    }

    fn pax(&mut self, header: &Header, size_bytes: u64) -> Result<Pax, Failure> {
        let records = self.extension(size_bytes)?;
        Pax::parse(&records, self.keeps_xattrs).map_err(|failure| {
            // The header's own name is one that the archiver made up.
            let name = pax::member_name(&records).map_or_else(|| header.path_bytes(), Cow::from);
            self.stream.in_member(&name, failure)
        })
    }

    fn member(
        &self,
        header: &Header,
        size_bytes: u64,
        extension: Extension,
    ) -> Result<Member, Failure> {
        let pax = extension.pax.unwrap_or_default().over(&self.global);
        if (extension.path.is_some() && pax.path.is_some())
            || (extension.link.is_some() && pax.link.is_some())
        {
            return Err(self.stream.damaged("a member has two names"));
        }
        let path = extension.path.or(pax.path);
        let path = path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extension.link.or(pax.link);
        let link = link.or_else(|| header.link_name_bytes().map(Cow::into_owned));
        let fault = |failure| self.stream.in_member(&path, failure);
        let length_bytes = pax.size.unwrap_or(size_bytes);
        let kind = kind(header, &path, link.unwrap_or_default(), length_bytes).map_err(fault)?;
        let numbers = || {
            let uid = pax.uid.map_or_else(|| header.uid(), Ok).ok()?;
            let gid = pax.gid.map_or_else(|| header.gid(), Ok).ok()?;
            // A GNU header may hold a time before 1970 as a two's complement.
            let mtime = pax.mtime.map_or_else(
                || {
                    let seconds = header.mtime().ok()?.cast_signed();
                    Some(Timestamp::from_seconds(seconds))
                },
                Some,
            )?;
            let mode = Mode::of_st_mode(header.mode().ok()?);
            Some((mode, (uid, gid), mtime))
        };
        let (mode, (uid, gid), mtime) = numbers().ok_or_else(|| self.bad_number())?;
        let owner = (owner_id(uid).map_err(fault)?, owner_id(gid).map_err(fault)?);
        let attributes = InodeAttributes { mode, owner, mtime: Some(mtime) };
        Ok(Member { kind, attributes, xattrs: pax.xattrs, path })
    }

    fn bad_number(&self) -> Failure {
        self.stream.damaged("a header field is not a number")
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "letters of archives have no end")]
fn kind(
    header: &Header,
    path: &[u8],
    link: Vec<u8>,
    length_bytes: u64,
) -> Result<MemberKind, Failure> {
    let kind = match header.entry_type() {
        // Headers from before POSIX know directories by their slash alone.
        EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => MemberKind::Directory,
        EntryType::Regular | EntryType::Continuous => return Ok(MemberKind::File { length_bytes }),
        EntryType::Directory => MemberKind::Directory,
        EntryType::Symlink => MemberKind::Symlink(link),
        EntryType::Link => MemberKind::HardLink(link),
        EntryType::GNUSparse => return Err(pax::sparse()),
        EntryType::Char => return Err(special("a character device")),
        EntryType::Block => return Err(special("a block device")),
        EntryType::Fifo => return Err(special("a FIFO")),
        other => {
            let letter = other.as_byte().escape_ascii();
            return Err(refused(format!("members of type \"{letter}\" are not supported")));
        }
    };
    // Some readers skip such content and some do not, and then see other members.
    if length_bytes > 0 {
        return Err(refused("only a regular file can have content"));
    }
    Ok(kind)
}

fn special(kind: &str) -> Failure {
    refused(format!("{kind} cannot be stored"))
        .hint("pack the archive again without it: tar --exclude=...")
}

/// A user or group id: 0 to 2^32 - 2, as the last one means "none" to Linux.
fn owner_id(number: u64) -> Result<u32, Failure> {
    let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| refused("its user or group id is over 4294967294"))
}

/// Writes zeros into numbers that are empty, as those of owners are in what npm packs:
/// every reader takes them for 0.
fn fill_empty_numbers(header: &mut Header) {
    let header = header.as_old_mut();
    let owner: [&mut [u8]; 3] = [&mut header.mode, &mut header.uid, &mut header.gid];
    let others: [&mut [u8]; 2] = [&mut header.size, &mut header.mtime];
    for field in owner.into_iter().chain(others) {
        if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
            field.fill(b'0');
        }
    }
}

/// The sum of a header's bytes with its checksum field taken as spaces (POSIX.1-2001, ustar).
fn checksum(block: &[u8; 512]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().copied().map(u32::from).sum::<u32>();
    let field = block.get(148..156).unwrap_or_default();
    sum(block) - sum(field) + 8 * u32::from(b' ')
}

/// GNU long names end with a NUL that is not part of them.
fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}
