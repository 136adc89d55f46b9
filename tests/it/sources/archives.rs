//! `tar:` sources that are as they should be.

use std::fs;
use std::io::{Seek, SeekFrom, Write as _};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use credimg::manifest::{Keep, Source};
use credimg_formats::ErrorKind;
use flate2::{Compression, write::GzEncoder};
use tar::{EntryType, Header};

use super::files::set_time;
use super::*;

/// An archive, put together header by header.
#[derive(Default)]
pub(crate) struct Archive(pub(crate) Vec<u8>);

impl Archive {
    /// Adds a member; `adjust` may say more about it.
    pub(crate) fn add(
        mut self,
        kind: EntryType,
        path: &str,
        content: &[u8],
        adjust: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o640);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(9);
        adjust(&mut header);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.add(EntryType::Regular, path, content, |_| {})
    }

    pub(crate) fn link(self, kind: EntryType, path: &str, target: &str) -> Self {
        self.add(kind, path, b"", |header| header.set_link_name_literal(target).unwrap())
    }

    /// Adds an extended header for the next member.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.add(EntryType::XHeader, "pax", &pax_records(records), |_| {})
    }

    /// The archive with its end.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

/// Extended header records, each with its length in front.
pub(crate) fn pax_records(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (keyword, value) in records {
        let rest = keyword.len() + value.len() + 3;
        let digits = (1..9).find(|digits| (rest + digits).to_string().len() == *digits);
        bytes.extend(format!("{} {keyword}=", rest + digits.unwrap()).as_bytes());
        bytes.extend(*value);
        bytes.push(b'\n');
    }
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a program makes of bytes on its standard input.
pub(crate) fn filter(command: &str, bytes: &[u8]) -> Vec<u8> {
    let host = Host::empty();
    let input = fs::File::open(host.write("input", bytes)).unwrap();
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().unwrap());
    let output = program.args(words).stdin(input).output().expect("the compressor starts");
    assert!(output.status.success(), "{command}: {output:?}");
    output.stdout
}

/// The tree of a small archive at the root, everything kept.
pub(crate) fn unpack(bytes: &[u8]) -> Tree {
    try_unpack(bytes).unwrap()
}

pub(crate) fn try_unpack(bytes: &[u8]) -> Result<Tree, Failure> {
    let host = Host::empty();
    let path = host.write("a.tar", bytes);
    build(vec![entry_with("/", Source::Tar(path), keep())])
}

/// What GNU tar packs, with names and times that `format` can hold.
fn sample(host: &Host, format: &str) {
    let name = match format {
        "v7" => "n".repeat(90),
        "ustar" => format!("{}/{}/{}", "p".repeat(70), "q".repeat(70), "n".repeat(90)),
        _ => format!("{0}/{0}/{0}", "n".repeat(255)),
    };
    host.write(format!("tree/{name}"), "long");
    host.write("tree/small", "small");
    host.write("tree/empty", "");
    host.write("tree/sub/large", vec![3; (1 << 20) + 100]);
    host.write("tree/block", vec![4; 512]);
    fs::create_dir_all(host.path("tree/nothing/here")).unwrap();
    fs::hard_link(host.path("tree/small"), host.path("tree/sub/small-too")).unwrap();
    symlink("../small", host.path("tree/sub/link")).unwrap();
    if format == "gnu" || format == "posix" {
        symlink("t".repeat(300), host.path("tree/long-link")).unwrap();
    }
    fs::set_permissions(host.path("tree/block"), fs::Permissions::from_mode(0o2751)).unwrap();
    let fraction = if format == "posix" { 123_456_789 } else { 0 };
    let mut paths: Vec<_> = walkdir::WalkDir::new(host.path("tree")).into_iter().collect();
    paths.reverse();
    for path in paths {
        set_time(path.unwrap().path(), 1_000_000_000, fraction);
    }
}

#[test]
fn what_gnu_tar_packs_comes_through_as_the_directory_itself() {
    for format in ["v7", "ustar", "oldgnu", "gnu", "posix"] {
        let host = Host::empty();
        sample(&host, format);
        let directory =
            build(vec![entry_with("/", Source::Dir(host.path("tree")), keep())]).unwrap();
        for option in ["--no-auto-compress", "--gzip", "--xz", "--zstd"] {
            let archive = host.path(format!("{format}{option}.bin"));
            let status = Command::new("tar")
                .args(["--create", "--numeric-owner", option, "--format", format, "--file"])
                .args([&archive, &PathBuf::from("-C"), &host.path("tree"), &PathBuf::from(".")])
                .status()
                .unwrap();
            assert!(status.success());
            let entries = vec![entry_with("/", Source::Tar(archive), keep())];
            let tree = build(entries).unwrap();
            let (mut ours, mut theirs) = (dump(&tree), dump(&directory));
            ours.sort();
            theirs.sort();
            // Which of two names of a file comes first is the archive's choice.
            let same = |lines: &mut Vec<String>| {
                for line in lines {
                    *line = line.replace("/sub/small-too ", "/small ");
                }
            };
            same(&mut ours);
            same(&mut theirs);
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs, "{format} {option}");
            for path in ["/small", "/empty", "/sub/large", "/block", "/sub/small-too"] {
                assert!(read(&tree, path) == read(&directory, path), "{format} {option} {path}");
            }
        }
    }
}

#[test]
fn large_members_of_a_plain_archive_are_streamed_from_it() {
    let host = Host::empty();
    let large: Vec<u8> = (0..3 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
    let bytes = Archive::default().file("a", b"a").file("large", &large).file("z", b"z").end();
    let path = host.write("a.tar", &bytes);
    let tree = build(vec![entry("/", Source::Tar(path.clone()))]).unwrap();
    assert!(matches!(content_of(&tree, "/large"), Content::Stream { .. }));
    assert!(read(&tree, "/large") == large);
    assert_eq!(read(&tree, "/z"), b"z");
    let mut changed = bytes.clone();
    changed.truncate(bytes.len() - 512);
    fs::write(&path, changed).unwrap();
    let error = read_content(content_of(&tree, "/large")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert_contains(&error.to_string(), "a.tar changed while it was read");
}

#[test]
fn leading_slashes_and_dots_are_dropped() {
    let bytes = Archive::default().file("/abs", b"1").file("./dot/./two", b"2").file("x//y", b"3");
    let tree = unpack(&bytes.end());
    assert_eq!(read(&tree, "/abs"), b"1");
    assert_eq!(read(&tree, "/dot/two"), b"2");
    assert_eq!(read(&tree, "/x/y"), b"3");
}

#[test]
fn the_archive_s_root_and_its_directories_dress_the_image_s() {
    let host = Host::empty();
    let owner = |header: &mut Header| header.set_uid(77);
    let bytes = Archive::default()
        .add(EntryType::Directory, "./", b"", owner)
        .file("implied/file", b"x")
        .add(EntryType::Directory, "late/", b"", |_| {})
        .add(EntryType::Directory, "late", b"", owner)
        .add(EntryType::Regular, "old-style/", b"", owner)
        .end();
    let path = host.write("a.tar", bytes);
    let tree = build(vec![
        entry_with("/kept", Source::Tar(path.clone()), keep()),
        entry("/given", Source::Tar(path)),
    ]);
    let tree = tree.unwrap();
    let look = |path: &str| attributes(&inode(&tree, path).metadata);
    assert_eq!(look("/kept"), (0o640, 77, 8, 9, 0));
    assert_eq!(look("/kept/late"), (0o640, 77, 8, 9, 0));
    assert_eq!(look("/kept/old-style"), (0o640, 77, 8, 9, 0));
    assert_eq!(look("/kept/implied"), (0o500, 0, 0, BUILD_TIME.seconds(), 0));
    assert_eq!(look("/given"), (0o500, 0, 0, BUILD_TIME.seconds(), 0));
    assert_eq!(look("/given/implied/file"), (0o400, 0, 0, BUILD_TIME.seconds(), 0));
}

#[test]
fn hard_links_may_name_files_and_symbolic_links() {
    let bytes = Archive::default()
        .file("dir/file", b"x")
        .link(EntryType::Symlink, "link", "dir/file")
        .link(EntryType::Link, "again", "./dir/file")
        .link(EntryType::Link, "link-again", "/link")
        .end();
    let tree = unpack(&bytes);
    assert_eq!(find(&tree, "/again"), find(&tree, "/dir/file"));
    assert_eq!(find(&tree, "/link-again"), find(&tree, "/link"));
    assert_eq!(inode(&tree, "/again").links(), 2);
}

/// As in binary distributions of GHC; GNU tar takes it without a word.
#[test]
fn a_hard_link_to_itself_is_the_file() {
    let bytes = Archive::default()
        .file("a", b"hello")
        .link(EntryType::Link, "a", "a")
        .link(EntryType::Link, "b", "./a")
        .link(EntryType::Link, "b", "a")
        .end();
    let tree = unpack(&bytes);
    assert_eq!(read(&tree, "/a"), b"hello");
    assert_eq!(find(&tree, "/a"), find(&tree, "/b"));
    assert_eq!(inode(&tree, "/a").links(), 2);
}

/// npm and node-tar leave owners empty, old archivers other numbers, too.
#[test]
fn empty_numbers_are_0() {
    let fill = |fill: &[u8]| {
        let mut field = fill.to_vec();
        field.resize(12, 0);
        field
    };
    for field in [fill(b""), fill(b"        "), fill(b" "), fill(&[b' '; 12])] {
        let bytes = Archive::default()
            .add(EntryType::Regular, "content", b"hi", |header| {
                let old = header.as_old_mut();
                old.mode.copy_from_slice(&field[..8]);
                old.uid.copy_from_slice(&field[..8]);
                old.gid.copy_from_slice(&field[..8]);
                old.mtime.copy_from_slice(&field);
            })
            .add(EntryType::Regular, "empty", b"", |header| {
                header.as_old_mut().size.copy_from_slice(&field);
            })
            .end();
        let tree = unpack(&bytes);
        assert_eq!(read(&tree, "/content"), b"hi");
        assert_eq!(attributes(&inode(&tree, "/content").metadata), (0, 0, 0, 0, 0));
        assert_eq!(read(&tree, "/empty"), b"");
        assert_eq!(attributes(&inode(&tree, "/empty").metadata), (0o640, 7, 8, 9, 0));
    }
}

#[test]
fn extended_headers_say_what_ustar_cannot() {
    let binary = b"\n\0=\xff\n";
    let long = vec![b'v'; 60_000];
    let bytes = Archive::default()
        .add(
            EntryType::XGlobalHeader,
            "g",
            &pax_records(&[("comment", b"c"), ("gid", b"42")]),
            |_| {},
        )
        .pax(&[
            ("path", "b/\u{e4}\n".as_bytes()),
            ("mtime", b"-1.25"),
            ("uid", b"4294967294"),
            ("uname", b"nobody"),
            ("SCHILY.xattr.user.binary", binary),
            ("SCHILY.xattr.user.empty", b""),
            ("SCHILY.xattr.user.long", &long),
            ("LIBARCHIVE.xattr.user.empty", b""),
            ("RHT.security.selinux", b"label"),
        ])
        .file("short", b"x")
        .pax(&[("linkpath", &[b'l'; 500])])
        .link(EntryType::Symlink, "link", "short")
        .file("plain", b"y")
        .end();
    let tree = unpack(&bytes);
    let metadata = &inode(&tree, "/b/\u{e4}\n").metadata;
    assert_eq!(attributes(metadata), (0o640, 4_294_967_294, 42, -2, 750_000_000));
    let xattr = |name: &str| metadata.xattrs[name.as_bytes()].expose();
    assert_eq!(xattr("user.binary"), binary);
    assert_eq!(xattr("user.empty"), b"");
    assert_eq!(xattr("user.long"), long);
    assert_eq!(xattr("security.selinux"), b"label");
    assert_eq!(metadata.xattrs.len(), 4);
    assert_eq!(target(&tree, "/link"), [b'l'; 500]);
    let plain = &inode(&tree, "/plain").metadata;
    assert_eq!((attributes(plain), plain.xattrs.len()), ((0o640, 7, 42, 9, 0), 0));
}

#[test]
fn the_manifest_s_attributes_win_over_the_archive_s() {
    let host = Host::empty();
    let xattr: (&str, &[u8]) = ("SCHILY.xattr.user.a", b"archive");
    let root = Archive::default().pax(&[xattr]).add(EntryType::Directory, "./", b"", |_| {});
    let path = host.write("a.tar", root.end());
    let mut attributes = Attributes { owner: Keep::Set((1, 2)), ..keep() };
    let value = credimg_formats::Secret::from(b"manifest".as_slice());
    attributes.xattrs.insert(b"user.a".as_slice().into(), value);
    let tree = build(vec![entry_with("/t", Source::Tar(path), attributes)]).unwrap();
    let metadata = &inode(&tree, "/t").metadata;
    assert_eq!((metadata.uid, metadata.gid, metadata.mode.bits()), (1, 2, 0o640));
    assert_eq!(metadata.xattrs[b"user.a".as_slice()].expose(), b"manifest");
}

/// Who gives an attribute: the manifest's defaults, an archive, an entry for all that it makes.
#[test]
fn of_several_values_for_an_attribute_the_nearest_to_the_manifest_s_entry_wins() {
    let host = Host::empty();
    let a: (&str, &[u8]) = ("SCHILY.xattr.user.a", b"archive");
    let b: (&str, &[u8]) = ("SCHILY.xattr.security.b", b"archive");
    let bytes = Archive::default()
        .pax(&[a, b])
        .add(EntryType::Directory, "own/", b"", |_| {})
        .pax(&[a, b])
        .file("own/file", b"x")
        .link(EntryType::Symlink, "own/link", "file")
        .file("implied/file", b"x")
        .end();
    let path = host.write("a.tar", bytes);
    let given = |pairs: &[(&str, &str)]| -> Xattrs {
        let pair = |(name, value): &(&str, &str)| (name.as_bytes().into(), value.as_bytes().into());
        pairs.iter().map(pair).collect()
    };
    let show = |recursive, archive_xattrs| {
        let xattrs = given(&[("user.a", "entry"), ("security.c", "entry")]);
        let attributes =
            Attributes { xattrs, xattrs_recursive: recursive, archive_xattrs, ..keep() };
        let mut plan = plan(vec![entry_with("/up/t", Source::Tar(path.clone()), attributes)]);
        plan.parents.xattrs = given(&[("user.a", "default"), ("security.b", "default")]);
        let tree = assemble(&plan, &settings(), &mut |_| {}).unwrap().tree;
        let line = |(id, inode): (InodeId, &Inode)| {
            let xattrs = inode.metadata.xattrs.iter().map(|(name, value)| {
                let name = name.escape_ascii();
                format!(" {name}={}", value.expose().escape_ascii())
            });
            format!("{}{}", tree.path_of(id).escape_ascii(), xattrs.collect::<String>())
        };
        tree.inodes().map(line).collect::<Vec<_>>()
    };
    let above = ["/ security.b=default user.a=default", "/up security.b=default user.a=default"];
    let top = "/up/t security.b=default security.c=entry user.a=entry";
    let expected = [
        "/up/t/implied security.b=default security.c=entry user.a=entry",
        "/up/t/implied/file security.b=default security.c=entry user.a=entry",
        "/up/t/own security.b=archive security.c=entry user.a=entry",
        "/up/t/own/file security.b=archive security.c=entry user.a=entry",
        "/up/t/own/link security.b=default security.c=entry",
    ];
    assert_eq!(show(Some(true), true), [&above[..], &[top], &expected].concat());
    let without = expected.map(|line| line.replace("b=archive", "b=default"));
    let without: Vec<_> = without.iter().map(String::as_str).collect();
    assert_eq!(show(Some(true), false), [&above[..], &[top], &without].concat());
    let alone = [
        "/up/t/implied security.b=default user.a=default",
        "/up/t/implied/file security.b=default user.a=default",
        "/up/t/own security.b=archive user.a=archive",
        "/up/t/own/file security.b=archive user.a=archive",
        "/up/t/own/link security.b=default",
    ];
    for recursive in [None, Some(false)] {
        assert_eq!(show(recursive, true), [&above[..], &[top], &alone].concat());
    }
}

#[test]
fn the_attributes_of_an_archive_are_left_out_on_request() {
    let host = Host::empty();
    let bytes = Archive::default()
        .pax(&[
            ("mtime", b"77"),
            ("SCHILY.xattr.user.a", b"x"),
            ("SCHILY.xattr.com.apple.provenance", b"x"),
            ("SCHILY.xattr.", b"no name"),
            ("SCHILY.xattr.user.long", &vec![0; 70_000]),
            ("LIBARCHIVE.xattr.user.b", b"QQ"),
            ("SCHILY.acl.access", b"user::rw-"),
            ("RHT.security.selinux", b"label"),
        ])
        .file("x", b"content")
        .end();
    let path = host.write("a.tar", bytes);
    let attributes = Attributes { archive_xattrs: false, ..keep() };
    let tree = build(vec![entry_with("/", Source::Tar(path.clone()), attributes)]).unwrap();
    assert_eq!(read(&tree, "/x"), b"content");
    let metadata = &inode(&tree, "/x").metadata;
    assert_eq!((metadata.xattrs.len(), metadata.mtime.seconds()), (0, 77));
    assert!(build(vec![entry_with("/", Source::Tar(path), keep())]).is_err());
}

#[test]
fn binary_numbers_of_gnu_headers_are_understood() {
    let bytes = Archive::default()
        .add(EntryType::Regular, "a", b"", |header| {
            header.set_uid(3_000_000_000);
            let time = (-5_i64).to_be_bytes();
            header.as_old_mut().mtime = [0xff; 12];
            header.as_old_mut().mtime[4..].copy_from_slice(&time);
        })
        .end();
    let tree = unpack(&bytes);
    let expected = (0o640, 3_000_000_000, 8, -5, 0);
    assert_eq!(attributes(&inode(&tree, "/a").metadata), expected);
}

#[test]
fn members_over_8_gib_are_found_by_their_extended_size() {
    let size: u64 = (9 << 30) + 1;
    let before = Archive::default().pax(&[("size", size.to_string().as_bytes())]).add(
        EntryType::Regular,
        "huge",
        b"",
        |_| {},
    );
    let after = Archive::default().file("after", b"x").end();
    let host = Host::empty();
    let path = host.write("a.tar", &before.0);
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let end = before.0.len() as u64 + size.next_multiple_of(512);
    file.seek(SeekFrom::Start(end)).unwrap();
    file.write_all(&after).unwrap();
    drop(file);
    let tree = build(vec![entry("/", Source::Tar(path))]).unwrap();
    assert_eq!(content_of(&tree, "/huge").len(), size);
    assert_eq!(read(&tree, "/after"), b"x");
}

#[test]
fn padding_of_a_whole_record_is_no_data() {
    let mut bytes = Archive::default().file("a", b"x").end();
    bytes.resize(10240, 0);
    assert_eq!(read(&unpack(&bytes), "/a"), b"x");
    for packer in ["gzip", "xz", "zstd"] {
        assert_eq!(read(&unpack(&filter(packer, &bytes)), "/a"), b"x");
    }
}
