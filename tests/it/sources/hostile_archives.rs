//! `tar:` sources that are damaged or made to do harm: each ends in a clear
//! error that quotes nothing of them, soon and in little memory.

use std::time::Instant;

use credimg::manifest::Source;
use credimg::report::{Exit, shown};
use credimg_formats::tree::DEPTH_MAX;
use tar::EntryType;

use super::archives::{Archive, filter, gzip, pax_records};
use super::*;

pub(crate) fn unpack(bytes: &[u8]) -> Result<Tree, Failure> {
    let host = Host::empty();
    build(vec![entry("/a", Source::Tar(host.write("a.tar", bytes)))])
}

/// The failure to unpack `bytes`, without entry and archive.
#[track_caller]
pub(crate) fn refusal(bytes: &[u8]) -> String {
    refusal_within(Duration::from_secs(2), bytes)
}

#[track_caller]
fn refusal_within(limit: Duration, bytes: &[u8]) -> String {
    let host = Host::empty();
    let path = host.write("a.tar", bytes);
    let started = Instant::now();
    let failure = failure(vec![entry("/a", Source::Tar(path.clone()))], &settings());
    assert_eq!(failure.exit, Exit::Source, "{}", failure.message);
    assert!(started.elapsed() < limit, "{} took too long", failure.message);
    let message = failure.message.strip_prefix("files[0] (/a): ").unwrap();
    assert_contains(message, path.to_str().unwrap());
    message.replace(&shown(&path), "A")
}

fn with(kind: u8) -> Vec<u8> {
    Archive::default().add(EntryType::new(kind), "odd", b"", |_| {}).end()
}

#[test]
fn members_that_an_image_cannot_hold_are_named() {
    let not_stored = |kind: &str| format!("\"odd\" in A: a {kind} cannot be stored");
    assert_eq!(refusal(&with(b'3')), not_stored("character device"));
    assert_eq!(refusal(&with(b'4')), not_stored("block device"));
    assert_eq!(refusal(&with(b'6')), not_stored("FIFO"));
    assert_eq!(refusal(&with(b'S')), "\"odd\" in A: sparse files are not supported");
    for kind in [b'V', b'M', b'D', b'N', b'X', b'A', 0xff] {
        let letter = kind.escape_ascii();
        let expected = format!("\"odd\" in A: members of type \"{letter}\" are not supported");
        assert_eq!(refusal(&with(kind)), expected);
    }
}

/// bsdtar looks for holes by itself.
#[test]
fn sparse_members_of_bsdtar_are_refused_with_the_option_that_mends_it() {
    let host = Host::empty();
    let mut content = vec![b'd'; 4096];
    content.resize(1 << 20, 0);
    let sparse = host.write("tree/sparse", &content[..4096]);
    let file = std::fs::OpenOptions::new().write(true).open(sparse).unwrap();
    file.set_len(1 << 20).unwrap();
    let pack = |option: &str| {
        let archive = host.path(format!("a{option}.tar"));
        let mut bsdtar = std::process::Command::new("bsdtar");
        let bsdtar = bsdtar.args(["--format=pax", "--no-xattrs", option, "-cf"]).arg(&archive);
        let status = bsdtar.arg("-C").arg(host.path("tree")).arg("sparse").status();
        assert!(status.expect("bsdtar starts").success());
        archive
    };
    let refused = failure(vec![entry("/", Source::Tar(pack("--read-sparse")))], &settings());
    assert_contains(&refused.message, "\"sparse\" in ");
    assert_contains(&refused.message, "sparse files are not supported");
    assert_contains(
        &refused.hint.unwrap(),
        "bsdtar, which needs no such option, takes `--no-read-sparse`",
    );
    let tree = build(vec![entry("/", Source::Tar(pack("--no-read-sparse")))]).unwrap();
    assert!(read(&tree, "/sparse") == content);
}

#[test]
fn paths_that_lead_out_or_nowhere_are_refused() {
    let file = |path: &str| Archive::default().file(path, b"").end();
    for path in ["..", "../x", "a/../x", "/../x", "./.."] {
        let expected = format!("\"{path}\" in A: `.` and `..` are not allowed as names");
        assert_eq!(refusal(&file(path)), expected);
    }
    let root = "\"/\" in A: only a regular file can have content";
    let directory = Archive::default().add(EntryType::Directory, "/", b"x", |_| {});
    assert_eq!(refusal(&directory.end()), root);
    let root = Archive::default().link(EntryType::Symlink, ".", "x").end();
    assert_eq!(refusal(&root), "\".\" in A: only a directory can stand at the archive's root");
    let long = "n".repeat(256);
    let named = Archive::default().pax(&[("path", long.as_bytes())]).file("x", b"");
    assert_contains(&refusal(&named.end()), "a name is 256 bytes long");
    let nul = Archive::default().pax(&[("path", b"a\0b")]).file("x", b"").end();
    assert_eq!(refusal(&nul), "\"a\\x00b\" in A: a name holds a NUL byte");
    let escape = Archive::default().pax(&[("path", b"\x1b[2J/..")]).file("x", b"").end();
    assert_contains(&refusal(&escape), "\"\\x1b[2J/..\" in A: ");
}

#[test]
fn symbolic_links_lead_no_member_away() {
    let bytes =
        Archive::default().link(EntryType::Symlink, "link", "/etc").file("link/passwd", b"x").end();
    let expected = "\"link/passwd\" in A: it lies below /a/link, which is a symbolic link";
    assert_eq!(refusal(&bytes), expected);
    let empty = Archive::default().add(EntryType::Symlink, "link", b"", |_| {}).end();
    assert_contains(&refusal(&empty), "a symbolic link has an empty target");
}

#[test]
fn members_that_collide_are_refused() {
    let twice = Archive::default().file("x", b"1").file("x", b"2").end();
    let expected = "\"x\" in A: /a/x is there twice, and not both times as a directory";
    assert_eq!(refusal(&twice), expected);
    let below = Archive::default().file("x", b"1").file("x/y", b"2").end();
    let expected = "\"x/y\" in A: it lies below /a/x, which is not a directory";
    assert_eq!(refusal(&below), expected);
    let directory = Archive::default().file("x", b"").add(EntryType::Directory, "x", b"", |_| {});
    assert_contains(&refusal(&directory.end()), "/a/x is there twice");
}

#[test]
fn hard_links_stay_in_the_archive() {
    let missing = Archive::default().link(EntryType::Link, "l", "not/here").file("not/here", b"");
    let expected = "a hard link to a file that does not stand before it in the archive";
    assert_contains(&refusal(&missing.end()), expected);
    let itself = Archive::default().link(EntryType::Link, "l", "l").end();
    assert_contains(&refusal(&itself), expected);
    let out = Archive::default().link(EntryType::Link, "l", "../x").end();
    assert_contains(&refusal(&out), "`.` and `..`");
    let directory = Archive::default()
        .add(EntryType::Directory, "d", b"", |_| {})
        .link(EntryType::Link, "l", "d")
        .end();
    assert_contains(&refusal(&directory), "a hard link to a directory");
    let content = Archive::default()
        .file("f", b"")
        .add(EntryType::Link, "l", b"hidden", |header| {
            header.set_link_name_literal("f").unwrap();
        })
        .end();
    assert_contains(&refusal(&content), "only a regular file can have content");
}

#[test]
fn a_hard_link_cannot_reach_another_entry() {
    let host = Host::empty();
    let archive = Archive::default().link(EntryType::Link, "l", "secret").end();
    let entries = vec![
        entry("/secret", Source::Inline(b"x".as_slice().into())),
        entry("/", Source::Tar(host.write("a.tar", archive))),
    ];
    let failure = failure(entries, &settings());
    assert_contains(&failure.message, "a hard link to a file that does not stand before it");
}

#[test]
fn extended_headers_that_mean_more_than_we_know_are_refused() {
    let with = |keyword: &str, value: &[u8]| {
        refusal(&Archive::default().pax(&[(keyword, value)]).file("x", b"").end())
    };
    let unknown = with("SCHILY.acl.access", CANARY.as_bytes());
    assert_contains(&unknown, "holds SCHILY.acl.access, which is not supported");
    assert_contains(&with("GNU.sparse.major", b"1"), "sparse files are not supported");
    assert_contains(&with("LIBARCHIVE.xattr.user.a", b"QQ"), "LIBARCHIVE.xattr.user.a");
    let bytes = Archive::default().pax(&[("SCHILY.acl.access", b"user::rw-")]).file("x", b"");
    let host = Host::empty();
    let source = Source::Tar(host.write("a.tar", bytes.end()));
    let hint = failure(vec![entry("/a", source)], &settings()).hint.unwrap();
    assert_contains(&hint, "with `xattrs: none`");
    let odd = format!("{CANARY} \u{1b}");
    assert_contains(&with(&odd, b"1"), "an extended header holds an unknown keyword");
    assert_contains(&with("mtime", CANARY.as_bytes()), "a time in an extended header is not valid");
    assert_contains(&with("uid", CANARY.as_bytes()), "a number in an extended header is not valid");
    assert_contains(&with("uid", b"4294967295"), "its user or group id is over 4294967294");
    assert_contains(&with("gid", b"99999999999"), "its user or group id is over 4294967294");
    assert_contains(&with("SCHILY.xattr.", b"x"), "the name of an extended attribute");
    let global = pax_records(&[("path", b"same")]);
    let global = Archive::default().add(EntryType::XGlobalHeader, "g", &global, |_| {});
    assert_contains(&refusal(&global.end()), "gives all members one name or size");
    // Each of 131,072 members would hold a copy.
    let global = pax_records(&[("SCHILY.xattr.user.a", b"v")]);
    let global = Archive::default().add(EntryType::XGlobalHeader, "g", &global, |_| {});
    let refused = refusal(&global.file("x", b"").end());
    assert_contains(&refused, "a global extended header holds extended attributes");
}

#[test]
fn headers_that_readers_understand_differently_are_refused() {
    let long = || Archive::default().add(EntryType::GNULongName, "", b"long\0", |_| {});
    let names = long().pax(&[("path", b"other")]).file("x", b"").end();
    assert_eq!(refusal(&names), "A is not a valid archive: a member has two names");
    let twice = long().add(EntryType::GNULongName, "", b"other\0", |_| {}).file("x", b"");
    let expected = "A is not a valid archive: two headers describe one member";
    assert_eq!(refusal(&twice.end()), expected);
    let twice = Archive::default().pax(&[("uid", b"1")]).pax(&[("uid", b"2")]).file("x", b"");
    assert_eq!(refusal(&twice.end()), expected);
    let alone = long().end();
    assert_eq!(refusal(&alone), "A is not a valid archive: it is truncated");
    let behind = [Archive::default().file("a", b"").end(), Archive::default().file("b", b"").end()];
    let expected = "A is not a valid archive: there is data behind its end";
    assert_eq!(refusal(&behind.concat()), expected);
    assert_eq!(refusal(&gzip(&behind.concat())), expected);
}

#[test]
fn what_is_no_archive_is_refused() {
    let cases: [(&[u8], &str); 5] = [
        (b"", "it is truncated"),
        (&[b'x'; 511], "it is truncated"),
        (&[b'x'; 5000], "a header has a wrong checksum"),
        (&[b"\x1f\x8b".as_slice(), &[1; 1000]].concat(), "its gzip data is damaged"),
        (b"\x1f\x8b", "it is truncated"),
    ];
    for (bytes, expected) in cases {
        assert_contains(&refusal(bytes), "A is not a valid archive: ");
        assert_contains(&refusal(bytes), expected);
    }
    let mut number = Archive::default().file("x", b"");
    number.0[124..136].copy_from_slice(b"zK7canaryQ2\0");
    let sum: u32 =
        (0..512).filter(|i| !(148..156).contains(i)).map(|i| u32::from(number.0[i])).sum();
    number.0[148..156].copy_from_slice(format!("{:06o}\0 ", sum + 8 * 32).as_bytes());
    assert_eq!(refusal(&number.end()), "A is not a valid archive: a header field is not a number");
}

/// What compresses one key is shorter than a header.
#[test]
fn compressors_that_are_not_supported_are_named_however_short_the_file() {
    let magics: [(&[u8], &str); 9] = [
        (b"BZh9", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"\x1f\x9d\x90", "compress"),
        (b"LZIP\x01", "lzip"),
        (b"\x5d\0\0\x80\0", "lzma"),
        (b"\x89LZO\0\r\n\x1a\n", "lzop"),
        (b"PK\x03\x04", "zip"),
        (b"PK\x05\x06", "zip"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
    ];
    for (magic, name) in magics {
        for length in [magic.len(), 511, 512] {
            let mut bytes = magic.to_vec();
            bytes.resize(length, 1);
            let expected =
                format!("A is not a valid archive: it seems to be compressed with {name}");
            assert_eq!(refusal(&bytes), expected, "{length} bytes");
        }
    }
    // As other programs write it.
    let host = Host::empty();
    let plain = host.write("key.tar", Archive::default().file("key", b"key").end());
    for (program, name) in [("bzip2", "bzip2"), ("lz4", "lz4"), ("xz --format=lzma", "lzma")] {
        let mut words = program.split(' ');
        let mut command = std::process::Command::new(words.next().unwrap());
        command.args(words).arg("--stdout").arg(&plain);
        let packed = command.output().expect("the compressor starts").stdout;
        assert!((10..512).contains(&packed.len()), "{program}: {} bytes", packed.len());
        assert_contains(&refusal(&packed), &format!("it seems to be compressed with {name}"));
    }
}

/// An archive with something of everything.
pub(crate) fn sample() -> Vec<u8> {
    Archive::default()
        .add(EntryType::Directory, "./", b"", |_| {})
        .file("file", &[b'f'; 1500])
        .pax(&[("mtime", b"1.5"), ("SCHILY.xattr.user.a", b"b")])
        .file("dir/other", &[b'o'; 512])
        .add(EntryType::GNULongName, "", &[b'l'; 200], |_| {})
        .link(EntryType::Symlink, "short", "target")
        .link(EntryType::Link, "hard", "file")
        .end()
}

#[test]
fn a_truncated_archive_is_an_error_wherever_it_ends() {
    let plain = sample();
    assert!(unpack(&plain).is_ok());
    // Of the two blocks of zeros at the end one is enough.
    for length in (0..plain.len() - 1023).step_by(64).chain(plain.len() - 1030..plain.len() - 1023)
    {
        assert_contains(&refusal(&plain[..length]), "A is not a valid archive: it is truncated");
    }
    for packer in ["gzip", "xz", "zstd --no-check"] {
        let packed = filter(packer, &plain);
        for length in (0..packed.len()).step_by(5) {
            assert!(unpack(&packed[..length]).is_err(), "{packer}: {length} of {}", packed.len());
        }
        assert_contains(&refusal(&packed[..packed.len() - 1]), "it is truncated");
    }
}

#[test]
fn no_damage_does_worse_than_an_error() {
    let plain = sample();
    let mut state: u64 = 0x2545_f491_4f6c_dd1d;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let started = Instant::now();
    let mut errors = 0;
    for _ in 0..1000 {
        let mut damaged = plain.clone();
        for _ in 0..=random(4) {
            let index = random(damaged.len());
            damaged[index] = u8::try_from(random(256)).unwrap();
        }
        // Damage to a header would be caught by its checksum alone.
        for block in damaged.chunks_mut(512).filter(|block| block[257..262] == *b"ustar") {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().copied().map(u32::from).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        errors += usize::from(unpack(&damaged).is_err());
    }
    assert!((100..1000).contains(&errors), "{errors} errors");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn claims_of_size_get_no_memory() {
    let claim = |kind, size: u64| {
        let archive = Archive::default().add(kind, "x", b"", |header| header.set_size(size));
        archive.end()
    };
    for size in [1 << 30, 1 << 40, u64::MAX - 511, u64::MAX] {
        let huge = claim(EntryType::Regular, size);
        assert_contains(&refusal(&huge), "it is truncated");
        assert_contains(&refusal(&gzip(&huge)), "unpacks to more than 64 MiB");
        for kind in [EntryType::GNULongName, EntryType::XHeader, EntryType::XGlobalHeader] {
            assert_contains(&refusal(&claim(kind, size)), "extended headers are too large");
        }
    }
}

#[test]
fn one_extended_header_has_its_own_limit() {
    let of = |length: usize| {
        let value = vec![b'c'; length - "1048576 comment=\n".len()];
        Archive::default().pax(&[("comment", &value)]).file("x", b"").end()
    };
    assert!(unpack(&of(1 << 20)).is_ok());
    assert_contains(&refusal(&of((1 << 20) + 1)), "extended headers are too large");
}

#[test]
fn a_flood_of_members_is_refused_soon() {
    let mut header = Archive::default().add(EntryType::Directory, "same", b"", |_| {}).0;
    header = header.repeat((1 << 17) + 1);
    header.extend([0; 1024]);
    // Builds without optimization are slow at it.
    let refusal = refusal_within(Duration::from_secs(20), &header);
    assert_contains(&refusal, "an archive may hold at most 131072 files");
}

#[test]
fn deep_paths_are_refused_or_cheap() {
    let deep = |depth: usize| "d/".repeat(depth - 1) + "d";
    let of = |path: &str| Archive::default().pax(&[("path", path.as_bytes())]).file("x", b"").end();
    // One level is the entry's own.
    assert!(unpack(&of(&deep(DEPTH_MAX - 1))).is_ok());
    assert_contains(&refusal(&of(&deep(DEPTH_MAX))), "nested more than 2048 directories deep");
    assert_contains(&refusal(&of(&"x/".repeat(2049))), "its path is longer than 4096 bytes");
    // Many paths, each of 2,000 directories of its own.
    let mut flood = Archive::default();
    for number in 0..1000 {
        let path = format!("{number}/{}", deep(2000));
        flood = flood.pax(&[("path", path.as_bytes())]).file("x", b"");
    }
    assert_contains(&refusal(&flood.end()), "an archive may hold at most 131072 files");
}
