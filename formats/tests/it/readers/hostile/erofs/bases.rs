//! What our writer does not write, and images that ask for more than they are.

use credimg_formats::erofs::format::BLOCK_BYTES;

use super::raw::{CHUNKED, DIRECTORY, FILE, INLINE, PLAIN, ROOT, Raw, block};

/// Two chunk-based files that share blocks, one with a block map and one with indexes, and
/// holes in both.
pub(super) fn chunked() -> Vec<u8> {
    let mut raw = Raw::new(4, 0, 0x4);
    raw.directory(ROOT, ROOT, &[("blocks", 50, FILE), ("indexes", 52, FILE)]);
    let table = raw.file(50, CHUNKED, 3 * 4096 + 100, 0);
    for (index, block) in [1, u32::MAX, 2, 3].into_iter().enumerate() {
        raw.u32(table + 4 * index, block);
    }
    let table = raw.file(52, CHUNKED, 10_000, 0x21);
    raw.u32(table + 4, 1);
    raw.u32(table + 12, u32::MAX);
    raw.image[BLOCK_BYTES..3 * BLOCK_BYTES + 100].fill(b'x');
    raw.finish()
}

/// A file with an inline and two shared attributes, one of them with a long prefix.
pub(super) fn shared() -> Vec<u8> {
    let mut raw = Raw::new(3, 0x10, 0x40);
    raw.u32(1024 + 44, 1);
    raw.put(1024 + 91, &[1]);
    raw.u32(1024 + 92, 2048);
    raw.directory(ROOT, ROOT, &[("a", 50, FILE)]);
    let at = raw.file(50, INLINE, 4, 0);
    // The header, two ids, and `user.b`.
    raw.u16(at - 30, 1 + 2 + 2);
    raw.put(at + 4, &[2]);
    raw.u32(at + 16, 3);
    raw.put(at + 20, &[1, 1, 1, 0, b'b', b'v']);
    raw.put(at + 28, b"tail");
    raw.put(4096, &[4, 1, 2, 0]);
    raw.put(4100, b"notehi");
    raw.put(4096 + 12, &[3, 0x80, 5, 0]);
    raw.put(4096 + 16, b"layvalue");
    raw.put(8192, &[6, 0, 4]);
    raw.put(8195, b"over.");
    raw.finish()
}

/// A compressed file.
pub(super) fn compressed() -> Vec<u8> {
    let mut raw = Raw::new(2, 0, 0x3);
    raw.u16(1024 + 84, 1 << 3);
    raw.directory(ROOT, ROOT, &[("a", 60, FILE)]);
    let at = raw.file(60, 3 << 1, 5000, 1);
    raw.put(at + 6, &[3]);
    raw.finish()
}

/// A directory that is inside itself.
pub(super) fn cycle() -> Vec<u8> {
    let mut raw = Raw::new(1, 0, 0);
    raw.directory(ROOT, ROOT, &[("a", 50, DIRECTORY)]);
    raw.directory(50, ROOT, &[("b", 60, DIRECTORY)]);
    raw.directory(60, 50, &[("c", 50, DIRECTORY)]);
    raw.finish()
}

/// One directory under two names.
pub(super) fn two_parents() -> Vec<u8> {
    let mut raw = Raw::new(1, 0, 0);
    raw.directory(ROOT, ROOT, &[("a", 50, DIRECTORY), ("b", 50, DIRECTORY)]);
    raw.directory(50, ROOT, &[]);
    raw.finish()
}

/// The names of so many entries, in their order.
fn numbered(prefix: char, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number:06}")).collect()
}

/// Puts a directory in blocks: so many entries, one inode after the other, one every `step`.
fn large(
    raw: &mut Raw,
    (nid, parent): (u64, u64),
    start: usize,
    names: &[String],
    target: impl Fn(usize) -> (u64, u8),
) -> usize {
    const PER_BLOCK: usize = 4096 / (12 + 7) - 1;
    let mut blocks = 0;
    for (number, part) in names.chunks(PER_BLOCK).enumerate() {
        let mut entries = Vec::new();
        if number == 0 {
            entries = vec![(".", nid, DIRECTORY), ("..", parent, DIRECTORY)];
        }
        entries.extend(part.iter().enumerate().map(|(index, name)| {
            let (nid, kind) = target(number * PER_BLOCK + index);
            (name.as_str(), nid, kind)
        }));
        raw.put((start + number) * BLOCK_BYTES, &block(&entries));
        blocks = number + 1;
    }
    raw.inode(nid, PLAIN, (0o040_500, 2), (blocks * BLOCK_BYTES) as u32, start as u32);
    blocks
}

/// So many files with the same content, all that follows them in the image.
pub(super) fn same_content() -> Vec<u8> {
    let names = numbered('f', 1000);
    let mut raw = Raw::new(256, 0, 0);
    let used = large(&mut raw, (ROOT, ROOT), 20, &names, |index| (256 + index as u64, FILE));
    let length = (256 - 20 - used) * BLOCK_BYTES;
    for index in 0..names.len() {
        raw.file(256 + index as u64, PLAIN, length as u32, (20 + used) as u32);
    }
    raw.finish()
}

/// So many directories with the same entries.
pub(super) fn same_entries() -> Vec<u8> {
    let names = numbered('d', 2000);
    // More than what is mutated: to read it takes long.
    let mut raw = Raw::new(72, 0, 0);
    large(&mut raw, (ROOT, ROOT), 20, &names, |index| (256 + index as u64, DIRECTORY));
    let start = 32;
    let blocks = large(&mut raw, (256, ROOT), start, &numbered('e', 4000), |_| (50, FILE));
    raw.file(50, PLAIN, 0, 0);
    for index in 1..names.len() as u64 {
        let size = (blocks * BLOCK_BYTES) as u32;
        raw.inode(256 + index, PLAIN, (0o040_500, 2), size, start as u32);
    }
    raw.finish()
}

/// A file of 50,000 chunks of 64 KiB, all of them one.
pub(super) fn same_chunks() -> Vec<u8> {
    let mut raw = Raw::new(100, 0, 0x4);
    raw.directory(ROOT, ROOT, &[("a", 50, FILE)]);
    let table = raw.file(50, CHUNKED, 50_000 << 16, 4);
    for index in 0..50_000 {
        raw.u32(table + 4 * index, 60);
    }
    raw.finish()
}

/// An inode whose 255 shared attributes are one of 64 KiB.
pub(super) fn same_xattr() -> Vec<u8> {
    let mut raw = Raw::new(18, 0, 0);
    raw.u32(1024 + 44, 1);
    raw.directory(ROOT, ROOT, &[("a", 50, FILE)]);
    let at = raw.file(50, PLAIN, 0, 0);
    raw.u16(at - 30, 1 + 255);
    raw.put(at + 4, &[255]);
    raw.put(4096, &[1, 1, 0xff, 0xff, b'a']);
    raw.finish()
}
