//! Trees from bytes.

use credimg_formats::{
    Content, Device, InodeId, Kind, Metadata, Mode, Name, Secret, Timestamp, Tree,
};

use super::input::Input;

/// Most inodes, so that a run is short.
const INODES_MAX: usize = 64;
/// Most content of a file, and one byte more.
const CONTENT_MAX_BYTES: usize = 16 << 10;
/// Content of all files, after which they are short.
const CONTENTS_MAX_BYTES: usize = 32 << 10;
/// What does not compress.
static NOISE: [u8; CONTENT_MAX_BYTES + 1 + 255] = noise();

/// A tree: each step adds something to the directory at hand, goes up, or dresses an inode.
pub fn tree(input: &mut Input<'_>) -> Tree {
    let mut tree = Tree::new(metadata(input));
    let mut path = vec![Tree::ROOT];
    let mut last = Tree::ROOT;
    let mut number = 0;
    let mut left_bytes = CONTENTS_MAX_BYTES;
    while !input.0.is_empty() && tree.len() < INODES_MAX {
        let parent = path.last().copied().unwrap_or(Tree::ROOT);
        let step = input.byte();
        let kind = match step % 11 {
            0..=2 => Kind::File(content(input, &mut left_bytes)),
            3 => Kind::directory(),
            4 => Kind::Symlink(input.text().into()),
            5 => device(input, Kind::CharDevice),
            6 => device(input, Kind::BlockDevice),
            7 => {
                if step & 0x80 == 0 {
                    Kind::Fifo
                } else {
                    Kind::Socket
                }
            }
            8 => {
                path.truncate(path.len().saturating_sub(1).max(1));
                continue;
            }
            9 => {
                // A directory or a taken name is refused.
                let _ = name(input, &mut number).map(|name| tree.link(parent, name, last));
                continue;
            }
            _ => {
                let (key, value) = (input.text(), input.text());
                let metadata = tree.metadata_mut(last).expect("the tree's own inode");
                metadata.xattrs.insert(key.into(), Secret::from(value));
                continue;
            }
        };
        let is_directory = matches!(kind, Kind::Directory(_));
        let metadata = metadata(input);
        let Some(name) = name(input, &mut number) else { continue };
        let made: Result<InodeId, _> = tree.insert(parent, name, metadata, kind);
        let Ok(id) = made else { continue };
        last = id;
        if is_directory {
            path.push(id);
        }
    }
    tree
}

/// A name from the input, a number where that has none, or a long one.
fn name(input: &mut Input<'_>, number: &mut u32) -> Option<Name> {
    *number += 1;
    let length = input.byte();
    if length > 128 {
        let digits = number.to_string();
        return Name::new(&[vec![b'n'; usize::from(length)], digits.into_bytes()].concat()).ok();
    }
    let (text, rest) = input.0.split_at(usize::from(length).min(input.0.len()));
    input.0 = rest;
    let digits = number.to_string();
    Name::new(if text.is_empty() { digits.as_bytes() } else { text }).ok()
}

fn metadata(input: &mut Input<'_>) -> Metadata {
    let choices = input.byte();
    if choices & 1 == 0 {
        return Metadata { mode: Mode::of::<0o400>(), ..Metadata::default() };
    }
    let nanoseconds = if choices & 2 == 0 { 0 } else { input.word() % 1_000_000_000 };
    let seconds = if choices & 4 == 0 { input.word().into() } else { input.long().cast_signed() };
    let mtime = Timestamp::new(seconds, nanoseconds).expect("less than a second");
    let [uid, gid] = [input.word(), input.short().into()];
    let mode = Mode::of_st_mode(input.short().into());
    Metadata { mode, uid, gid, mtime, ..Metadata::default() }
}

/// Content whose length meets the edges of blocks, and which compresses or does not.
fn content(input: &mut Input<'_>, left_bytes: &mut usize) -> Content {
    let byte = input.byte();
    let length = match byte % 4 {
        0 => usize::from(input.byte()),
        1 => usize::from(input.short()) % CONTENT_MAX_BYTES,
        edge => {
            (usize::from(byte >> 2) % 4 + 1) * 4096 - usize::from(input.byte() % 3)
                + usize::from(edge == 3)
        }
    };
    let length = if length <= *left_bytes { length } else { length % 256 };
    *left_bytes = left_bytes.saturating_sub(length);
    let mut bytes = vec![byte; length];
    if byte & 0x80 != 0 {
        // Noise that begins elsewhere for each byte, so that files of two bytes share no block.
        let noise = &NOISE[usize::from(byte)..];
        bytes.copy_from_slice(&noise[..length]);
    }
    Content::Memory(Secret::new(bytes))
}

const fn noise<const LENGTH: usize>() -> [u8; LENGTH] {
    let (mut bytes, mut state, mut at) = ([0; LENGTH], 1_u32, 0);
    while at < LENGTH {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[at] = state.to_be_bytes()[0];
        at += 1;
    }
    bytes
}

fn device(input: &mut Input<'_>, kind: fn(Device) -> Kind) -> Kind {
    let (major, minor) = (input.short(), input.word());
    Device::new(major.into(), minor).map_or(Kind::Fifo, kind)
}
