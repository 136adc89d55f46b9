//! Archives: tar with its extensions, plain or packed.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, Write};

use credimg::fuzzing;
use credimg::manifest::Manifest;
use credimg_formats::Tree;

use super::Target;

pub const TARGET: Target = Target {
    name: "archive",
    max_bytes: 8192,
    // What may be unpacked, and a window of zstd.
    memory_max_bytes: 256 << 20,
    run,
    seeds,
};

thread_local! {
    static PLANS: [Manifest; 2] = ["", ", xattrs: none, owner: keep, mode: keep, mtime: keep"].map(plan);
    static FILE: RefCell<File> = RefCell::new(memory_file());
}

fn plan(more: &str) -> Manifest {
    let text = format!("files:\n- {{path: /a, tar: a.tar{more}}}\n");
    credimg::manifest::parse(text.as_bytes(), "m.yaml".as_ref()).expect("a good manifest")
}

fn memory_file() -> File {
    fuzzing::memory_file().expect("a file in memory")
}

fn run(data: &[u8]) {
    let keeps = usize::from(super::is_one_of(data, 2));
    FILE.with_borrow_mut(|file| {
        file.set_len(0).and_then(|()| file.rewind()).expect("an empty file");
        file.write_all(data).and_then(|()| file.rewind()).expect("room in memory");
        PLANS.with(|plans| match fuzzing::archive(&plans[keeps], file, data.len() as u64) {
            Ok(tree) => stands_below(&tree),
            Err(failure) => {
                assert_eq!(failure.message.lines().count(), 1, "{}", failure.message);
            }
        });
    });
}

/// Nothing of an archive is outside of its directory.
fn stands_below(tree: &Tree) {
    // Of a large one it takes long to tell.
    if tree.len() < 64 {
        let mut paths = tree.inodes().map(|(id, _)| tree.path_of(id));
        assert!(paths.all(|path| path == b"/" || path == b"/a" || path.starts_with(b"/a/")));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut plain = Vec::new();
    let pax = record("path", &[b"long/", &[b'n'; 200][..]].concat());
    let attributes =
        [record("SCHILY.xattr.user.a", b"v\0w"), record("mtime", b"1700000000.5")].concat();
    let global = record("comment", b"0123456789abcdef");
    let ends = [0_u8; 1024];
    for members in [
        vec![member(b"d/", b'5', b""), member(b"d/f", b'0', b"hunter2"), link(b"d/l", b'2', b"f")],
        vec![member(b"f", b'0', b"a"), link(b"h", b'1', b"f")],
        vec![member(b"x", b'x', &pax), member(b"short", b'0', b"b")],
        vec![member(b"x", b'x', &attributes), member(b"f", b'0', b"b")],
        vec![member(b"g", b'g', &global), member(b"f", b'7', b"b")],
        vec![
            member(b"././@LongLink", b'L', &[&[b'l'; 150][..], b"\0"].concat()),
            member(b"s", b'0', b""),
        ],
        vec![
            member(b"././@LongLink", b'K', &[&[b'k'; 150][..], b"\0"].concat()),
            link(b"s", b'2', b"k"),
        ],
        vec![member(b"s", b'S', b"")],
    ] {
        plain.push([members.concat(), ends.to_vec()].concat());
    }
    let packed = plain.iter().take(3).flat_map(|archive| [gzip(archive), xz(archive)]);
    let packed: Vec<_> = packed.collect();
    plain.extend(packed);
    // A frame of zstd that is stored: an archive of zeros (RFC 8878, 3.1.1).
    let mut zstd = b"\x28\xb5\x2f\xfd\x60\x00\x03\x01\x20\x00".to_vec();
    zstd.extend([0; 1024]);
    plain.push(zstd);
    plain
}

/// A record of an extended header (POSIX pax, "pax Extended Header").
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let digits = (1..9).find(|digits| (rest + digits).to_string().len() == *digits).unwrap_or(1);
    let length = (rest + digits).to_string();
    [length.as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
}

fn member(name: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let mut block = header(name, kind, b"", content.len());
    block.extend(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn link(name: &[u8], kind: u8, target: &[u8]) -> Vec<u8> {
    header(name, kind, target, 0)
}

/// A header of POSIX ustar.
fn header(name: &[u8], kind: u8, target: &[u8], length: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut set = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    set(0, name);
    set(100, b"0000644\0");
    set(108, b"0001750\0");
    set(116, b"0001750\0");
    set(124, format!("{length:011o}\0").as_bytes());
    set(136, b"14530000000\0");
    set(148, b"        ");
    set(156, &[kind]);
    set(157, target);
    set(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).and_then(|()| packer.finish()).expect("room in memory")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(0);
    let mut packer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("good options");
    packer.write_all(bytes).expect("room in memory");
    packer.finish().expect("room in memory")
}
