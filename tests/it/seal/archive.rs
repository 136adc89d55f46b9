//! The archive itself, judged by those who unpack it: GNU tar, bsdtar and busybox, as
//! root, onto a file system that holds every attribute.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use credimg::seal::tar;
use credimg_formats::{
    Content, Device, ErrorKind, Kind, Metadata, Secret, Sink, Source, Timestamp, Tree,
};

use crate::formats::generator::{Shape, generate};
use crate::formats::host::{Scratch, run};
use crate::formats::{Expected, ExpectedKind, Listing, assert_same, file, name, plain, walk};

/// Before 1970, around 2^31, and beyond the 33 bits of a ustar header.
fn odd_times() -> [Timestamp; 4] {
    [
        Timestamp::new(-2, 250_000_000).unwrap(),
        Timestamp::new(1, 999_999_999).unwrap(),
        Timestamp::new(0x7fff_ffff, 1).unwrap(),
        Timestamp::from_seconds(0x2_1234_5678),
    ]
}

fn shape() -> Shape {
    Shape {
        common_time: Timestamp::new(1_700_000_000, 123_456_789).unwrap(),
        odd_times: odd_times(),
        block: 512,
        xattrs: true,
        iso9660_names: false,
        target_max_bytes: 4095,
    }
}

fn archive(tree: &Tree) -> Vec<u8> {
    tar::check(tree).unwrap();
    let mut archive = Vec::new();
    tar::write(tree, &mut archive).unwrap();
    archive
}

/// A file system of its own, because that of a temporary directory may hold few
/// extended attributes or none.
fn on_ext4(scratch: &Scratch, look: impl FnOnce(&Path)) {
    let image = scratch.path("ext4");
    fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
    run(Command::new("mkfs.ext4")
        .args(["-q", "-b", "4096", "-I", "256", "-O", "ea_inode,^has_journal"])
        .arg(&image));
    let root = scratch.path("mnt");
    run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&root));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look(&root)));
    run(Command::new("umount").arg(&root));
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn unpack(unpacker: &[&str], archive: &Path, to: &Path) -> Listing {
    unpack_and(unpacker, archive, to, || ())
}

fn unpack_and(unpacker: &[&str], archive: &Path, to: &Path, look: impl FnOnce()) -> Listing {
    fs::create_dir(to).unwrap();
    let (program, options) = unpacker.split_first().unwrap();
    let output =
        run(Command::new(program).args(options).arg("-xpf").arg(archive).arg("-C").arg(to));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "", "{unpacker:?}");
    look();
    let listing = walk(to, true);
    fs::remove_dir_all(to).unwrap();
    listing
}

const GNU_TAR: &[&str] =
    &["tar", "--numeric-owner", "--warning=no-timestamp", "--xattrs", "--xattrs-include=*"];
const BSDTAR: &[&str] = &["bsdtar", "--numeric-owner"];
const BUSYBOX: &[&str] = &["busybox", "tar"];

#[test]
fn unpackers_restore_every_attribute() {
    let scratch = Scratch::new("seal-archive");
    on_ext4(&scratch, |root| {
        let (file, to) = (root.join("archive"), root.join("to"));
        let mut with_sockets = 0;
        for seed in 0..40 {
            let (tree, listing) = generate(seed, shape());
            let is_socket = |entry: &Expected| {
                matches!(entry.kind, ExpectedKind::Special { file_type: 0o140_000, .. })
            };
            if listing.values().any(is_socket) {
                with_sockets += 1;
                let error = tar::check(&tree).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unrepresentable, "{error}");
                assert!(error.to_string().ends_with(": tar has no sockets"), "{error}");
                continue;
            }
            fs::write(&file, archive(&tree)).unwrap();
            assert_same(seed, "GNU tar", &listing, &unpack(GNU_TAR, &file, &to));
            let got = unpack(BSDTAR, &file, &to);
            let (want, got) = pair(&listing, &got, most_times);
            assert_same(seed, "bsdtar", &want, &got);
            let got = unpack(BUSYBOX, &file, &to);
            let (want, got) = pair(&listing, &got, plain_seconds);
            assert_same(seed, "busybox", &want, &got);
        }
        assert!((5..35).contains(&with_sockets), "{with_sockets}");
    });
}

#[test]
fn every_kind_has_hard_links_and_every_length_its_form() {
    let scratch = Scratch::new("seal-forms");
    let mut tree = Tree::new(plain(0o755));
    let device = || Device::new(4095, 1_048_575).unwrap();
    let kinds = [
        file(b"content"),
        Kind::Symlink([b't'; 101].as_slice().into()),
        Kind::CharDevice(device()),
        Kind::BlockDevice(device()),
        Kind::Fifo,
    ];
    let mut paths = Vec::new();
    for (index, kind) in kinds.into_iter().enumerate() {
        // The first name of the second and of all later ones is too long for a header.
        let long = "n".repeat(if index == 0 { 1 } else { 96 + index });
        let parent = tree.insert_directory(Tree::ROOT, name(&index.to_string()), plain(0o755));
        let parent = parent.unwrap();
        let id = tree.insert(parent, name(&long), plain(0o640), kind).unwrap();
        tree.link(parent, name("z"), id).unwrap();
        paths.push((format!("{index}/{long}"), format!("{index}/z")));
    }
    // Around the 100 bytes of a name and the 155 of a prefix, also of directories.
    for length in (94..=101).chain([150, 153, 154, 155, 156, 254, 255]) {
        let directory = name(&"d".repeat(length));
        let directory = tree.insert_directory(Tree::ROOT, directory, plain(0o755)).unwrap();
        for inner in [1, 99, 100, 101, 255] {
            tree.insert(directory, name(&"f".repeat(inner)), plain(0o400), file(b"x")).unwrap();
        }
    }
    let archive = archive(&tree);
    fs::write(scratch.path("archive"), &archive).unwrap();
    for unpacker in [GNU_TAR, BSDTAR, BUSYBOX] {
        let to = scratch.path("to");
        let got = unpack_and(unpacker, &scratch.path("archive"), &to, || {
            for (first, second) in &paths {
                let inode = |path: &str| to.join(path).symlink_metadata().unwrap();
                let (first, second) = (inode(first), inode(second));
                assert_eq!((first.ino(), first.nlink()), (second.ino(), 2), "{unpacker:?}");
            }
        });
        // The root, what the paths name, and the directories with five files each.
        assert_eq!(got.len(), 1 + 3 * paths.len() + 15 * 6, "{unpacker:?}");
    }
}

#[test]
fn odd_attributes_come_back() {
    let mut metadata = plain(0o640);
    // Version 2: owner rw-, user 1 r--, group r--, mask r--, others ---.
    let acl =
        b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\x01\0\0\0\x04\0\x04\0\xff\xff\xff\xff\
                \x10\0\x04\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";
    let attributes: [(&[u8], &[u8]); 5] = [
        (b"user.record", b"\n12 path=x\n"),
        (b"user.empty", b""),
        (b"trusted. ", b"\0\0"),
        ("user.\u{e9}\n".as_bytes(), b"=\xff"),
        (b"system.posix_acl_access", acl),
    ];
    for (name, value) in attributes {
        metadata.xattrs.insert(name.into(), Secret::from(value));
    }
    let mut tree = Tree::new(plain(0o755));
    tree.insert(Tree::ROOT, name("a"), metadata, file(b"x")).unwrap();
    let scratch = Scratch::new("seal-xattrs");
    on_ext4(&scratch, |root| {
        fs::write(root.join("archive"), archive(&tree)).unwrap();
        for unpacker in [GNU_TAR, BSDTAR] {
            let got = unpack(unpacker, &root.join("archive"), &root.join("to"));
            let got: Vec<_> = got[&b"a"[..]].xattrs.iter().map(|(n, v)| (&**n, &**v)).collect();
            let mut want = attributes.to_vec();
            // bsdtar knows access lists in another form only, and drops these.
            want.retain(|(name, _)| unpacker == GNU_TAR || !name.starts_with(b"system."));
            want.sort_unstable();
            assert_eq!(got, want, "{unpacker:?}");
        }
    });
}

#[test]
fn what_tar_cannot_hold_is_refused_by_its_path() {
    let refusal = |metadata: Metadata, kind: Kind, depth: usize| {
        let mut tree = Tree::new(plain(0o755));
        let mut parent = Tree::ROOT;
        for _ in 0..depth {
            parent = tree.insert_directory(parent, name(&"d".repeat(255)), plain(0o755)).unwrap();
        }
        tree.insert(parent, name("xx"), metadata, kind).unwrap();
        let error = tar::check(&tree).err()?;
        assert_eq!(error.kind(), ErrorKind::Unrepresentable);
        Some(error.to_string())
    };
    assert_eq!(refusal(plain(0), Kind::Socket, 0).unwrap(), "/xx: tar has no sockets");
    for (odd, fault) in [
        (&b"user.\xff"[..], "is not UTF-8"),
        (b"user.%", "holds `%` or `=`"),
        (b"user.=", "holds `%` or `=`"),
    ] {
        let mut metadata = plain(0);
        metadata.xattrs.insert(odd.into(), Secret::default());
        let expected = format!("/xx: the name of an extended attribute {fault}");
        assert_eq!(refusal(metadata, Kind::Fifo, 0).unwrap(), expected);
    }
    assert_eq!(refusal(plain(0), Kind::Fifo, 15), None);
    let message = refusal(plain(0), Kind::Fifo, 16).unwrap();
    assert!(message.contains("is 4098 bytes long as a member's name, at most 4095"), "{message}");
}

/// Takes the head of each member and leaves holes for content.
struct Heads(fs::File, u64);

impl Write for Heads {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() <= 4096 {
            self.0.write_all_at(bytes, self.1)?;
        }
        self.1 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Heads {}

struct Zeros;

impl Source for Zeros {
    fn stream(&self, planned_bytes: u64, sink: &mut dyn Sink) -> credimg_formats::Result<()> {
        let zeros = vec![0; 1 << 20];
        for _ in 0..planned_bytes >> 20 {
            sink.write_all(&zeros)?;
        }
        Ok(())
    }
}

#[test]
fn files_over_8_gib_have_their_size() {
    let scratch = Scratch::new("seal-large");
    let mut tree = Tree::new(plain(0o755));
    let length_bytes = 9 << 30;
    let content = Content::Stream { length_bytes, source: Box::new(Zeros) };
    tree.insert(Tree::ROOT, name("a"), plain(0o400), Kind::File(content)).unwrap();
    tree.insert(Tree::ROOT, name("b"), plain(0o400), file(b"behind it")).unwrap();
    let path = scratch.path("archive");
    let mut heads = Heads(fs::File::create(&path).unwrap(), 0);
    tar::write(&tree, &mut heads).unwrap();
    heads.0.set_len(heads.1).unwrap();
    for unpacker in ["tar", "bsdtar", "busybox"] {
        let applet: &[&str] = if unpacker == "busybox" { &["tar"] } else { &[] };
        let output = run(Command::new(unpacker).args(applet).arg("-tvf").arg(&path));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains(" 9663676416 ") && lines[2].ends_with(" ./b"), "{text}");
    }
}

/// Both listings, each entry reduced by what is wanted of it.
fn pair(
    wanted: &Listing,
    got: &Listing,
    reduce: fn(&[u8], &Expected, &mut Expected),
) -> (Listing, Listing) {
    let reduced = |listing: &Listing| {
        let mut listing = listing.clone();
        for (path, entry) in &mut listing {
            if let Some(wanted) = wanted.get(path) {
                reduce(path, wanted, entry);
            }
        }
        listing
    };
    (reduced(wanted), reduced(got))
}

/// bsdtar 3.6 gives a directory that is there already no time, and reads -1.75 as -1 + 0.75.
fn most_times(path: &[u8], wanted: &Expected, entry: &mut Expected) {
    let (seconds, nanoseconds) = wanted.mtime;
    if path.is_empty() || seconds < 0 && nanoseconds > 0 {
        entry.mtime = (0, 0);
    }
}

/// busybox knows neither extended headers nor nanoseconds, gives links no owner and
/// no time, and what it puts into a directory changes the time that it has given it.
fn plain_seconds(_: &[u8], wanted: &Expected, entry: &mut Expected) {
    let is_file = matches!(entry.kind, ExpectedKind::File { .. });
    entry.mtime = (if is_file && wanted.mtime.0 >= 0 { entry.mtime.0 } else { 0 }, 0);
    if matches!(entry.kind, ExpectedKind::Symlink(_)) {
        (entry.uid, entry.gid) = (0, 0);
    }
    entry.xattrs.clear();
}
