//! `tar:` sources that are packed with gzip, xz or zstd, by other programs.

use std::fs;
use std::time::Instant;

use credimg::manifest::Source;

use super::archives::{Archive, filter, gzip, try_unpack, unpack};
use super::hostile_archives::{refusal, sample};
use super::*;

/// What packs archives, in the ways that differ in their data.
const PACKERS: [&str; 12] = [
    "gzip",
    "xz -0",
    "xz -9e",
    "xz --check=none",
    "xz --check=crc32",
    "xz --check=sha256 --block-size=512",
    "xz --x86 --delta=dist=4 --lzma2",
    "xz --lzma2=lc=0,lp=2,pb=0,dict=4KiB",
    "zstd -1 --no-check",
    "zstd --ultra -22 --check",
    "zstd --long=27 --no-content-size",
    "zstd --fast=9",
];

#[test]
fn packed_data_of_every_kind_and_in_several_parts_is_one_archive() {
    let noise: Vec<u8> = (0..20_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    let bytes = Archive::default().file("a", &[b'a'; 700]).file("noise", &noise).end();
    let (one, two) = bytes.split_at(900);
    let skipped = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
    for packer in PACKERS {
        let (whole, parts) = (filter(packer, &bytes), [filter(packer, one), filter(packer, two)]);
        let mut all = vec![whole, parts.concat()];
        if packer.starts_with("zstd") {
            let [one, two] = &parts;
            all.push([&skipped[..], one, skipped, skipped, two, skipped].concat());
        }
        if packer.starts_with("xz") {
            all.push(parts.join(&[0; 8][..]));
        }
        for packed in all {
            let tree = unpack(&packed);
            assert_eq!(read(&tree, "/a"), [b'a'; 700], "{packer}");
            assert!(read(&tree, "/noise") == noise, "{packer}");
        }
    }
}

/// As tapes, `dd conv=sync` and images of firmware have it.
#[test]
fn zeros_behind_packed_data_are_ignored() {
    let plain = Archive::default().file("a", &[b'a'; 700]).file("b", b"b").end();
    let (one, two) = plain.split_at(900);
    for packer in ["gzip", "xz", "zstd"] {
        let packed = [filter(packer, one), filter(packer, two)].concat();
        for zeros in [1, 2, 3, 4, 700, 4096, 4097, 1 << 20] {
            let mut padded = packed.clone();
            padded.resize(packed.len() + zeros, 0);
            if packer == "xz" && zeros % 4 != 0 {
                // So it stands in the format's specification.
                assert!(try_unpack(&padded).is_err(), "{zeros}");
                continue;
            }
            let tree = unpack(&padded);
            assert_eq!(read(&tree, "/a"), [b'a'; 700], "{packer} {zeros}");
            assert_eq!(read(&tree, "/b"), b"b", "{packer} {zeros}");
        }
    }
}

#[test]
fn members_of_a_gzip_archive_are_in_memory() {
    let host = Host::empty();
    let large = vec![5; 3 << 20];
    let path = host.write("a.tar", gzip(&Archive::default().file("large", &large).end()));
    let tree = build(vec![entry("/", Source::Tar(path.clone()))]).unwrap();
    fs::remove_file(path).unwrap();
    assert!(read(&tree, "/large") == large);
}

#[test]
fn only_zeros_may_follow_packed_data() {
    for name in ["gzip", "xz", "zstd"] {
        let packed = filter(name, &sample());
        let damaged = format!("its {name} data is damaged");
        for (behind, expected) in [
            (&b"x"[..], if name == "zstd" { &damaged } else { "it is truncated" }),
            (&[7; 700], &damaged),
            (b"\0x", &damaged),
            (b"\0\0\0\0x", if name == "xz" { "it is truncated" } else { &damaged }),
            (&[&[0; 10_001][..], &packed].concat(), &damaged),
        ] {
            let refused = refusal(&[&packed, behind].concat());
            assert_eq!(refused, format!("A is not a valid archive: {expected}"));
        }
        // As far as a file without blocks can be long, and no further.
        let host = Host::empty();
        let path = host.write("a.tar", &packed);
        let set_length = |length| {
            fs::OpenOptions::new().append(true).open(&path).unwrap().set_len(length).unwrap();
        };
        set_length(packed.len() as u64 + (256 << 20));
        build(vec![entry("/a", Source::Tar(path.clone()))]).unwrap();
        set_length(1 << 40);
        let started = Instant::now();
        let (exit, message) = failure_of(Source::Tar(path.clone()));
        assert_eq!(exit, Exit::Source);
        assert_contains(&message, "not a valid archive: more than 256 MiB of zeros follow its end");
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn damaged_packed_data_is_an_error() {
    let plain = sample();
    let whole = dump(&unpack(&plain));
    for packer in ["gzip", "xz", "zstd --check"] {
        let packed = filter(packer, &plain);
        let mut harmless = 0;
        // The first bytes of gzip hold a time and the like, which mean nothing to us.
        let meaningful = if packer == "gzip" { 10..packed.len() } else { 0..packed.len() };
        for index in meaningful.step_by(3) {
            let mut damaged = packed.clone();
            damaged[index] ^= 0x40;
            // A copy of zeros from elsewhere, say, is the same archive packed in another way.
            if let Ok(tree) = try_unpack(&damaged) {
                assert_eq!(dump(&tree), whole, "{packer}: byte {index} of {}", packed.len());
                assert_eq!(read(&tree, "/file"), [b'f'; 1500], "{packer}: byte {index}");
                harmless += 1;
            }
        }
        assert!(harmless < packed.len() / 30, "{packer}: {harmless} of {}", packed.len());
    }
    for name in ["gzip", "xz", "zstd"] {
        let damaged = [&filter(name, &plain)[..50], &[0x5a; 500]].concat();
        let expected = format!("A is not a valid archive: its {name} data is damaged");
        assert_contains(&refusal(&damaged), &expected);
    }
}

#[test]
fn dictionaries_that_do_not_fit_in_memory_are_refused() {
    let plain = Archive::default().file("x", b"x").end();
    let refused = "larger dictionary than fits in memory";
    for dictionary in ["65MiB", "1GiB"] {
        let packed = filter(&format!("xz --lzma2=dict={dictionary}"), &plain);
        assert_eq!(refusal(&packed), format!("A has xz data with a {refused}"));
    }
    for log in ["28", "31"] {
        let packed = filter(&format!("zstd --long={log} --no-content-size"), &plain);
        assert_eq!(refusal(&packed), format!("A has zstd data with a {refused}"));
    }
}

#[test]
fn a_bomb_is_refused_soon() {
    let bomb = Archive::default().file("zeros", &vec![0; 70 << 20]).end();
    let endless = vec![0; 70 << 20];
    for packer in ["gzip -1", "xz -0", "zstd"] {
        let packed = filter(packer, &bomb);
        assert_contains(&refusal(&packed), "unpacks to more than 64 MiB");
        let packed = filter(packer, &endless);
        assert_contains(&refusal(&packed), "more than 16 MiB of zeros follow its end");
    }
}

/// Parts of which nothing comes; those of xz are blocks of one stream, too.
#[test]
fn a_flood_of_empty_parts_is_refused_soon() {
    let block = b"\x02\0\x21\x01\x1c\0\0\0\x10\xcf\x58\xcc\0\0\0\0";
    let stream = filter("xz --check=none", b"");
    let blocks = [&stream[..12], &block.repeat(200_000)].concat();
    for (name, flood) in [
        ("gzip", filter("gzip", b"").repeat(200_000)),
        ("xz", stream.repeat(100_000)),
        ("xz", blocks),
        ("zstd", filter("zstd --no-check", b"").repeat(400_000)),
        ("zstd", b"\x5a\x2a\x4d\x18\0\0\0\0".repeat(400_000)),
    ] {
        let expected =
            format!("A is not a valid archive: most of its {name} data unpacks to nothing");
        assert_eq!(refusal(&flood), expected);
    }
    // Small parts are no flood: each has a member of its own.
    let plain = Archive::default().file("x", &[b'x'; 4096]).end();
    let parts: Vec<u8> = plain.chunks(8).flat_map(gzip).collect();
    assert_eq!(read(&unpack(&parts), "/x"), [b'x'; 4096]);
}
