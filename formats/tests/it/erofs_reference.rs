//! EROFS images judged by others: the Linux kernel, fsck.erofs, dump.erofs and blkid.
//! A missing tool fails the test; `make setup` installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use credimg_formats::erofs::{Label, Options, Plan};
use credimg_formats::{Content, Kind, Metadata, Secret, Timestamp, Tree};

use crate::support::generator::{Shape, generate};
use crate::support::host::{Scratch, SparseSink, Whole, cache, halves, run};
use crate::support::{
    BUILD_TIME, Expected, ExpectedKind, Listing, assert_same, file, name, plain, walk,
};

/// Seconds and nanoseconds.
const ODD_TIMES: [(i64, u32); 4] = [(0, 0), (1, 999_999_999), (0x7fff_ffff, 1), (0x1_0000_0000, 0)];
const UUID: [u8; 16] = *b"\x12\x34\x56\x78\x9a\xbc\x4d\xef\x80\x12\x34\x56\x78\x9a\xbc\xde";
const UUID_TEXT: &str = "12345678-9abc-4def-8012-3456789abcde";

#[test]
fn the_kernel_and_the_reference_tools_agree_on_300_trees() {
    halves(0..300, |seeds| {
        let scratch = Scratch::new(&format!("erofs-trees-{}", seeds.start));
        for seed in seeds {
            let shape = Shape {
                common_time: BUILD_TIME,
                odd_times: ODD_TIMES
                    .map(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds).unwrap()),
                block: 4096,
                xattrs: seed % 3 != 0,
                iso9660_names: false,
                target_max_bytes: 4095,
            };
            let (tree, listing) = generate(seed, shape);
            let image = write_image(&scratch, "tree.erofs", &tree);
            judge(&scratch, seed, &image, &listing, tree.len());
        }
    });
}

#[test]
fn a_directory_of_100_000_entries_is_whole() {
    let scratch = Scratch::new("erofs-wide");
    let mut tree = Tree::new(plain(0o755));
    let directory = tree.insert_directory(Tree::ROOT, name("wide"), plain(0o755)).unwrap();
    for index in 0..100_000_u32 {
        let content = Content::Memory(Secret::new(index.to_le_bytes().to_vec()));
        let entry = name(&format!("entry-{index}"));
        tree.insert(directory, entry, plain(0o444), Kind::File(content)).unwrap();
    }
    let image = write_image(&scratch, "wide.erofs", &tree);
    run(Command::new("fsck.erofs").arg(&image));
    scratch.mounted("erofs", &image, |root| {
        assert_eq!(root.join("wide").read_dir().unwrap().count(), 100_000);
        for index in [0_u32, 1, 9, 77_777, 99_999] {
            let content = std::fs::read(root.join(format!("wide/entry-{index}"))).unwrap();
            assert_eq!(content, index.to_le_bytes());
        }
    });
}

#[test]
fn a_file_over_4_gib_is_whole() {
    let scratch = Scratch::new("erofs-large");
    let length_bytes = (4 << 30) + 4097;
    let source = scratch.path("source");
    std::fs::write(&source, b"start").unwrap();
    let file = std::fs::File::options().write(true).open(&source).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"end", length_bytes - 3).unwrap();

    let mut tree = Tree::new(plain(0o755));
    let content = Content::Stream { length_bytes, source: Box::new(Whole(source)) };
    tree.insert(Tree::ROOT, name("large"), plain(0o400), Kind::File(content)).unwrap();
    let image = write_image(&scratch, "large.erofs", &tree);
    scratch.mounted("erofs", &image, |root| {
        let file = std::fs::File::open(root.join("large")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), length_bytes);
        let mut start = [0; 8];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut start, 0).unwrap();
        assert_eq!(&start, b"start\0\0\0");
        let mut end = [0; 8];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut end, length_bytes - 8).unwrap();
        assert_eq!(&end, b"\0\0\0\0\0end");
    });
}

/// Two inodes with one first block are all that tells of it: no kernel needs to know a feature.
#[test]
fn equal_files_share_their_blocks_and_no_feature_says_so() {
    let scratch = Scratch::new("erofs-shared");
    let content = |length: u32| (0..length).flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    let (long, blocks) = (content(75_001), content(2048));
    let mut other_end = long.clone();
    *other_end.last_mut().unwrap() ^= 1;
    let mut labelled = plain(0o600);
    labelled
        .xattrs
        .insert(b"security.selinux".as_slice().into(), Secret::from(b"label".as_slice()));
    let stream = |bytes: &[u8], source: &str| {
        std::fs::write(scratch.path(source), bytes).unwrap();
        let source = Box::new(Whole(scratch.path(source)));
        Kind::File(Content::Stream { length_bytes: bytes.len() as u64, source })
    };
    let files = [
        ("a", plain(0o400), file(&long), &long, "a"),
        ("b", labelled, file(&long), &long, "a"),
        ("c", plain(0o400), stream(&long, "c"), &long, "a"),
        ("d", plain(0o400), stream(&other_end, "d"), &other_end, "d"),
        ("e", plain(0o400), stream(&blocks, "e"), &blocks, "e"),
        ("f", Metadata { uid: 1 << 20, ..plain(0o4755) }, file(&blocks), &blocks, "e"),
        ("g", plain(0o400), stream(&other_end, "g"), &other_end, "d"),
    ];
    let mut tree = Tree::new(plain(0o755));
    let mut expected = Vec::new();
    for (entry, metadata, kind, bytes, shared_with) in files {
        tree.insert(Tree::ROOT, name(entry), metadata, kind).unwrap();
        expected.push((entry, bytes, shared_with));
    }
    let image = write_image(&scratch, "shared.erofs", &tree);
    let stored = long.len() + other_end.len() + blocks.len();
    let bytes = std::fs::read(&image).unwrap();
    assert!(bytes.len() < stored + 9 * 4096, "{} bytes of {stored}", bytes.len());
    assert_eq!(bytes[1024 + 80..1024 + 84], [0; 4], "feature_incompat");
    for utils in [debian as fn(&str) -> Command, newest] {
        let fsck = run(utils("fsck.erofs").arg("--extract").arg(&image));
        assert_eq!(String::from_utf8_lossy(&fsck.stderr), "");
        let extracted = scratch.path("extracted");
        let _ = std::fs::remove_dir_all(&extracted);
        let option = format!("--extract={}", extracted.display());
        run(utils("fsck.erofs").args([&option, "--overwrite"]).arg(&image));
        let start = |entry: &str| first_block(&mut utils("dump.erofs"), &image, entry);
        for (entry, bytes, shared_with) in &expected {
            assert!(std::fs::read(extracted.join(entry)).unwrap() == **bytes, "{entry}");
            assert_eq!(start(entry), start(shared_with), "{entry}");
        }
        assert!(start("a") != start("d") && start("a") != start("e"));
    }
    scratch.mounted("erofs", &image, |root| {
        for (entry, bytes, _) in &expected {
            assert!(std::fs::read(root.join(entry)).unwrap() == **bytes, "{entry}");
        }
        let inode =
            |entry| std::os::unix::fs::MetadataExt::ino(&root.join(entry).metadata().unwrap());
        assert!(inode("a") != inode("b"), "they are two files, with modes of their own");
    });
}

/// Where dump.erofs says that a file of the root begins.
fn first_block(dump: &mut Command, image: &Path, entry: &str) -> u64 {
    let said = run(dump.args(["-e", &format!("--path=/{entry}")]).arg(image)).stdout;
    let said = String::from_utf8(said).unwrap();
    let extent = said.lines().find(|line| line.trim_start().starts_with("0:")).unwrap();
    let physical = extent.split(':').nth(2).unwrap().split("..").next().unwrap();
    physical.trim().parse().unwrap()
}

/// A program of Debian's erofs-utils.
fn debian(program: &str) -> Command {
    Command::new(program)
}

/// A program of the newest erofs-utils, which `make setup` unpacks.
fn newest(program: &str) -> Command {
    let tree = cache().join("newer/usr");
    let mut command = Command::new(tree.join("lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(tree.join("lib/x86_64-linux-gnu"));
    command.arg(tree.join("bin").join(program));
    command
}

#[test]
fn a_root_of_any_size_precedes_data_that_takes_more_than_2_mib() {
    // The superblock has 16 bits for the root's nid. A root whose inode does not fit behind the
    // superblock has a block of its own, into which none of these files' tails fits.
    let scratch = Scratch::new("erofs-root");
    for (entries, xattr_bytes) in
        [(70, 0), (80, 0), (94, 0), (105, 0), (300, 0), (9, 2900), (9, 9000)]
    {
        let mut root = plain(0o755);
        if xattr_bytes > 0 {
            root.xattrs.insert(b"user.a".as_slice().into(), Secret::new(vec![1; xattr_bytes]));
        }
        let mut tree = Tree::new(root);
        let sizes = (0..).map(|index| if index == 3 { (4 << 20) + 2000 } else { 1500 });
        for (index, size) in (0..entries).zip(sizes) {
            let content = Content::Memory(Secret::new(vec![index as u8; size]));
            let file = name(&format!("certificate-bundle-{index:05}.pem"));
            tree.insert(Tree::ROOT, file, plain(0o400), Kind::File(content)).unwrap();
        }
        let image = write_image(&scratch, "root.erofs", &tree);
        run(Command::new("fsck.erofs").arg(&image));
        scratch.mounted("erofs", &image, |root| {
            assert_eq!(root.read_dir().unwrap().count(), entries);
            let content = std::fs::read(root.join("certificate-bundle-00003.pem")).unwrap();
            assert!(content == vec![3; (4 << 20) + 2000], "{entries} entries");
        });
    }
}

#[test]
fn more_xattrs_than_an_inode_holds_are_refused() {
    let mut root = plain(0o755);
    for index in 0..5 {
        let key = format!("user.{index}").into_bytes();
        root.xattrs.insert(key.into(), Secret::new(vec![1; 65535]));
    }
    let error = Plan::new(&Tree::new(root), Options::default()).unwrap_err();
    assert_eq!(error.kind(), credimg_formats::ErrorKind::Unrepresentable);
    assert!(error.to_string().contains("more than 262148"), "{error}");
}

#[test]
fn xattrs_that_linux_would_hide_are_refused() {
    let refusal = |kind: Kind, xattrs: &[(&str, &[u8])]| {
        let mut metadata = plain(0o444);
        for (key, value) in xattrs {
            metadata.xattrs.insert(key.as_bytes().into(), Secret::from(*value));
        }
        let mut tree = Tree::new(plain(0o755));
        tree.insert(Tree::ROOT, name("x"), metadata, kind).unwrap();
        Plan::new(&tree, options()).map(drop).map_err(|error| error.to_string())
    };
    let file = || file(b"x");
    let link = || Kind::Symlink(b"x".as_slice().into());
    let (access, default) = ("system.posix_acl_access", "system.posix_acl_default");
    let list = b"\x02\0\0\0\x01\0\x04\0\xff\xff\xff\xff";
    assert_eq!(refusal(file(), &[("user.a", b""), (access, list)]), Ok(()));
    assert_eq!(refusal(link(), &[("trusted.a", b"")]), Ok(()));
    let cases: [(Kind, &str, &[u8], &str); 7] = [
        (link(), "user.a", b"", "a symbolic link cannot have `user.` attributes"),
        (Kind::Fifo, "user.a", b"", "only files and directories can have `user.` attributes"),
        (link(), access, list, "a symbolic link cannot have an access control list"),
        (file(), default, list, "only directories can have a default access control list"),
        (file(), access, b"", "an access control list is malformed"),
        (file(), access, &list[..11], "an access control list is malformed"),
        (
            file(),
            access,
            &[2, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0],
            "an access control list is malformed",
        ),
    ];
    for (kind, key, value, expected) in cases {
        assert_eq!(refusal(kind, &[(key, value)]), Err(format!("/x: {expected}")));
    }
    let names: Vec<_> = (0..300).map(|index| format!("user.{index:0>250}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    assert!(refusal(file(), &many[..256]).is_ok());
    assert!(
        refusal(file(), &many[..257]).unwrap_err().contains("more than 65536 bytes, Linux lists")
    );
}

#[test]
fn every_byte_of_no_record_is_zero() {
    // All content is 0xaa: whatever else is not zero must be a record's. Two images that differ
    // in content only must differ in no other byte than content and the superblock's checksum.
    let image_of = |byte: u8| {
        let mut tree = Tree::new(plain(0o755));
        for (index, size) in [1, 31, 33, 4000, 4095, 4096, 4097, 9000].into_iter().enumerate() {
            let content = Content::Memory(Secret::new(vec![byte; size]));
            let file = name(&format!("f{index}"));
            tree.insert(Tree::ROOT, file, plain(0o400), Kind::File(content)).unwrap();
        }
        let mut image = Vec::new();
        Plan::new(&tree, options()).unwrap().write(&mut image).unwrap();
        image
    };
    let (ones, twos) = (image_of(0xaa), image_of(0x55));
    let content_bytes = ones.iter().zip(&twos).filter(|pair| *pair == (&0xaa, &0x55)).count();
    assert_eq!(content_bytes, 1 + 31 + 33 + 4000 + 4095 + 4096 + 4097 + 9000);
    let stale = ones.iter().zip(&twos).enumerate().filter(|(offset, (one, two))| {
        one != two && (**one, **two) != (0xaa, 0x55) && !(1028..1032).contains(offset)
    });
    assert_eq!(stale.count(), 0);
    assert!(ones[..1024].iter().all(|byte| *byte == 0));
}

#[test]
fn a_label_is_limited_to_15_bytes() {
    assert!(Label::new(b"123456789012345").is_ok());
    let error = Label::new(b"1234567890123456").unwrap_err();
    assert_eq!(error.to_string(), "the label is 16 bytes long, EROFS holds at most 15");
}

fn judge(scratch: &Scratch, seed: u64, image: &Path, listing: &Listing, inodes: usize) {
    let fsck = run(Command::new("fsck.erofs").arg(image));
    let said = String::from_utf8_lossy(&[fsck.stdout, fsck.stderr].concat()).into_owned();
    assert_eq!(said, "", "seed {seed}: fsck.erofs complains");

    let extracted = scratch.path("extracted");
    // A child process may leave directories without write permission; root removes them all the same.
    let _ = std::fs::remove_dir_all(&extracted);
    run(Command::new("fsck.erofs")
        .arg(format!("--extract={}", extracted.display()))
        .args(["--preserve", "--overwrite"])
        .arg(image));
    let got = walk(&extracted, false);
    assert_same(seed, "fsck.erofs --extract", &as_extracted(listing), &as_extracted(&got));

    let dump = run(Command::new("dump.erofs").arg("-s").arg(image));
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    for line in [
        "Filesystem magic number:                      0xE0F5E1E2".to_owned(),
        format!("Filesystem inode count:                       {inodes}"),
        format!("Filesystem UUID:                              {UUID_TEXT}"),
        "Filesystem features:                          sb_csum mtime".to_owned(),
    ] {
        assert!(dump.contains(&line), "seed {seed}: no line {line:?} in:\n{dump}");
    }

    let blkid = run(Command::new("blkid").args(["-p", "-o", "export"]).arg(image));
    let blkid = String::from_utf8_lossy(&blkid.stdout).into_owned();
    for line in ["LABEL=CHIMERA", &format!("UUID={UUID_TEXT}"), "TYPE=erofs"] {
        assert!(blkid.lines().any(|have| have == line), "seed {seed}: no {line} in:\n{blkid}");
    }

    scratch.mounted("erofs", image, |root| {
        assert_same(seed, "the kernel", listing, &walk(root, true));
    });
}

/// What fsck.erofs 1.5 restores: neither hard links, link counts, xattrs nor times, and its
/// chown after its chmod loses the set-id bits.
fn as_extracted(listing: &Listing) -> Listing {
    let reduce = |entry: &Expected| Expected {
        kind: match &entry.kind {
            ExpectedKind::Directory { .. } => ExpectedKind::Directory { links: 0 },
            ExpectedKind::File { content, .. } => {
                ExpectedKind::File { content: content.clone(), links: 0, same_as: Vec::new() }
            }
            kind @ (ExpectedKind::Symlink(_) | ExpectedKind::Special { .. }) => kind.clone(),
        },
        mode: entry.mode & 0o1777,
        mtime: (0, 0),
        xattrs: std::collections::BTreeMap::new(),
        ..entry.clone()
    };
    listing.iter().map(|(path, entry)| (path.clone(), reduce(entry))).collect()
}

fn options() -> Options {
    let label = Label::new(b"CHIMERA").unwrap();
    Options::new().label(label).uuid(UUID).build_time(BUILD_TIME)
}

fn write_image(scratch: &Scratch, file_name: &str, tree: &Tree) -> PathBuf {
    let plan = Plan::new(tree, options()).unwrap();
    let path = scratch.path(file_name);
    let mut sink = SparseSink::create(&path);
    plan.write(&mut sink).unwrap();
    assert_eq!(sink.finish(), plan.size_bytes());
    path
}
