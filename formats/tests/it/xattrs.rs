//! One table of extended attributes: kind of inode by name by value. Linux is the judge: what it
//! reads back from a mounted image is held, what it does not is refused.
//!
//! What is refused is in no image of ours: there Linux judges the same attributes in images of
//! mkfs.erofs and sqfstar, which write whatever an archive has.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use credimg_formats::{
    Device, ErrorKind, Kind, Metadata, Result, Secret, Sink, Tree, erofs, iso9660, squashfs,
};
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, setxattr};
use rustix::io::Errno;

use crate::support::host::{Scratch, cache, run};
use crate::support::{file, name, plain};

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
const CAPABILITY: &str = "security.capability";
const FORMATS: [&str; 2] = ["erofs", "squashfs"];
const KINDS: [&str; 7] =
    ["directory", "file", "link", "character device", "block device", "FIFO", "socket"];
const NO_ID: u32 = u32::MAX;

type Pair = (Vec<u8>, Vec<u8>);

/// An inode with one attribute or many.
struct Row {
    kind: &'static str,
    xattrs: Vec<Pair>,
}

impl Row {
    fn insert(&self, tree: &mut Tree, place: &str) {
        let mut metadata = plain(0o755);
        for (name, value) in &self.xattrs {
            metadata.xattrs.insert(name.as_slice().into(), Secret::from(value.as_slice()));
        }
        let device = || Device::new(1, 3).unwrap();
        let kind = match self.kind {
            "directory" => return insert_directory(tree, place, metadata),
            "file" => file(b"x"),
            "link" => Kind::Symlink(b"x".as_slice().into()),
            "character device" => Kind::CharDevice(device()),
            "block device" => Kind::BlockDevice(device()),
            "FIFO" => Kind::Fifo,
            "socket" => Kind::Socket,
            other => panic!("{other}"),
        };
        tree.insert(Tree::ROOT, name(place), metadata, kind).unwrap();
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new(plain(0o755));
        self.insert(&mut tree, "x");
        tree
    }

    /// The members of a tar archive (POSIX.1-2001, pax and ustar) for it. There are no sockets;
    /// Linux treats FIFOs in the same way.
    fn append_to_archive(&self, place: &str, archive: &mut Vec<u8>) {
        let mut records = Vec::new();
        for (name, value) in &self.xattrs {
            let rest = [b" SCHILY.xattr.", name.as_slice(), b"=", value, b"\n"].concat();
            let digits = (1..9).find(|digits| (rest.len() + digits).to_string().len() == *digits);
            records.extend((rest.len() + digits.unwrap()).to_string().into_bytes());
            records.extend(rest);
        }
        append_member(archive, "pax", b'x', &records);
        let letter = match self.kind {
            "directory" => b'5',
            "file" => b'0',
            "link" => b'2',
            "character device" => b'3',
            "block device" => b'4',
            _ => b'6',
        };
        append_member(archive, place, letter, b"");
    }

    /// Whether Linux shows these attributes of the file at `path`, and no others.
    fn is_read_back(&self, path: &Path) -> bool {
        let mut names = vec![0; 65_536];
        let length = match llistxattr(path, &mut names) {
            // Linux says so of a format or an image without any.
            Err(Errno::OPNOTSUPP) => 0,
            Ok(length) => length,
            Err(_) => return false,
        };
        let mut names: Vec<_> = names[..length].split(|byte| *byte == 0).collect();
        names.pop();
        names.sort_unstable();
        let mut own: Vec<_> = self.xattrs.iter().map(|(name, _)| name.as_slice()).collect();
        own.sort_unstable();
        let is_read = |(name, value): &Pair| {
            let mut found = vec![0; value.len() + 1];
            let length = lgetxattr(path, OsStr::from_bytes(name), &mut found);
            length.is_ok_and(|length| found[..length] == *value)
        };
        // Linux goes through all attributes to find one: of thousands some stand for all.
        let step = 1 + self.xattrs.len() / 100;
        names == own && self.xattrs.iter().step_by(step).all(is_read)
    }

    /// Whether it is what Linux would read and lets nobody set.
    fn is_given_to_nobody(&self) -> bool {
        self.kind != "directory" && self.xattrs[0].0 == DEFAULT.as_bytes()
    }

    fn describe(&self) -> String {
        let one = |(name, value): &Pair| {
            let (name, start) = (name.escape_ascii(), value.get(..30).unwrap_or(value));
            format!("{name:.40}={} ({} bytes)", start.escape_ascii(), value.len())
        };
        let first = self.xattrs.first().map(one).unwrap_or_default();
        format!("{}: {} attributes, {first}", self.kind, self.xattrs.len())
    }
}

fn insert_directory(tree: &mut Tree, place: &str, metadata: Metadata) {
    tree.insert_directory(Tree::ROOT, name(place), metadata).unwrap();
}

fn append_member(archive: &mut Vec<u8>, place: &str, letter: u8, content: &[u8]) {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, place.as_bytes());
    put(100, b"0000755\x000000000\x000000000\0");
    put(124, format!("{:011o}\0{:011o}\0        ", content.len(), 0).as_bytes());
    put(156, &[letter]);
    put(157, if letter == b'2' { b"x" } else { b"" });
    put(257, b"ustar\x0000");
    put(329, b"0000001\x000000003\0");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend(header);
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

/// An access control list of entries of tag, permissions and id.
fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let entry = |(tag, permissions, id): &(u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    [b"\x02\0\0\0".to_vec(), entries.iter().flat_map(entry).collect()].concat()
}

fn lists() -> Vec<Vec<u8>> {
    let owner = (1, 6, NO_ID);
    let plain = [owner, (4, 4, NO_ID), (0x20, 0, NO_ID)];
    let full = list(&[owner, (2, 4, 1000), (4, 4, NO_ID), (8, 4, 5), (0x10, 4, NO_ID), plain[2]]);
    let longer = [full.as_slice(), b"\0"].concat();
    vec![
        list(&[]),
        list(&plain),
        list(&[owner]),
        list(&[owner, owner]),
        list(&[plain[2], owner, plain[1]]),
        list(&[(1, 0xff, NO_ID), plain[1], plain[2]]),
        list(&[(1, 6, 0), plain[1], plain[2]]),
        list(&[owner, (2, 4, NO_ID), plain[1], (0x10, 4, NO_ID), plain[2]]),
        list(&[(0, 6, NO_ID)]),
        list(&[(3, 6, NO_ID)]),
        list(&[(0x101, 6, NO_ID)]),
        full[..full.len() - 1].to_vec(),
        [b"\x01", &full[1..]].concat(),
        longer,
        full,
    ]
}

/// Values of `security.capability`: a magic number, four words and perhaps the root's id.
fn capabilities() -> Vec<Vec<u8>> {
    let of = |magic: u32, more: &[u32]| -> Vec<u8> {
        let words = [&[magic, 0x400, 0, 0, 0], more].concat();
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    };
    let (two, three) = (0x0200_0000, 0x0300_0000);
    vec![
        of(two, &[]),
        of(two | 1, &[]),
        of(two | 1, &[0]),
        of(two | 0xf1, &[]),
        of(two | 0x100, &[]),
        of(three | 1, &[]),
        of(three | 1, &[0]),
        of(three, &[1000]),
        of(three | 1, &[NO_ID]),
        of(0x0100_0001, &[])[..12].to_vec(),
        of(0x0400_0001, &[]),
        b"abc".to_vec(),
    ]
}

/// Each kind of inode with each name and each value.
fn table() -> Vec<Row> {
    let long =
        |prefix: &str, length: usize| format!("{prefix}{}", "n".repeat(length - prefix.len()));
    let mut names: Vec<Vec<u8>> = [
        "user.a",
        "trusted.a",
        "security.a",
        "security.selinux",
        "security.ima",
        "user.a/b",
        "system.a",
        "system.nfs4_acl",
        "system.posix_acl_access2",
        "com.apple.a",
        "User.a",
        "nodot",
        "user",
        "user.",
        "trusted.",
        "security.",
        "system.",
        ".",
        "user.a.b",
        CAPABILITY,
        ACCESS,
        DEFAULT,
    ]
    .map(|name| name.as_bytes().to_vec())
    .into();
    names.push(b"user.\xff\x01".to_vec());
    for prefix in ["user.", "trusted.", "security."] {
        names.extend([255, 256].map(|length| long(prefix, length).into_bytes()));
    }
    let mut pairs: Vec<Pair> = Vec::new();
    for name in names {
        pairs.extend([&b""[..], b"v", b"nine byte"].map(|value| (name.clone(), value.to_vec())));
    }
    for name in ["user.a", "trusted.a", "security.a"] {
        let value = |length| (name.as_bytes().to_vec(), vec![b'v'; length]);
        pairs.extend([65_535, 65_536, 65_537].map(value));
    }
    for name in [ACCESS, DEFAULT] {
        pairs.extend(lists().into_iter().map(|value| (name.as_bytes().to_vec(), value)));
    }
    pairs.extend(capabilities().into_iter().map(|value| (CAPABILITY.into(), value)));
    let row = |kind, pair: &Pair| Row { kind, xattrs: vec![pair.clone()] };
    KINDS.iter().flat_map(|kind| pairs.iter().map(|pair| row(kind, pair))).collect()
}

/// Writes an image of ours; an error where there is none of this tree.
fn write(format: &str, tree: &Tree, sink: &mut dyn Sink) -> Result<()> {
    if format == "erofs" {
        erofs::Plan::new(tree, erofs::Options::new())?.write(sink).map(drop)
    } else {
        squashfs::Plan::new(tree, squashfs::Options::new())?.write(sink).map(drop)
    }
}

fn is_taken(format: &str, row: &Row) -> bool {
    let tree = row.tree();
    let error = if format == "erofs" {
        erofs::Plan::new(&tree, erofs::Options::new()).err()
    } else {
        squashfs::Plan::new(&tree, squashfs::Options::new()).err()
    };
    assert!(error.as_ref().is_none_or(|error| error.kind() == ErrorKind::Unrepresentable));
    error.is_none()
}

/// A program that Debian 12 has not, or not as new.
fn newer(program: &str) -> Command {
    let tools = cache().join("newer/usr");
    let program = tools.join("bin").join(program);
    assert!(program.exists(), "there is no {}: run `make setup`", program.display());
    let mut command = Command::new(tools.join("lib64/ld-linux-x86-64.so.2"));
    command.arg("--library-path").arg(tools.join("lib/x86_64-linux-gnu")).arg(program);
    command
}

/// An image of these rows that others have written.
fn foreign(format: &str, rows: &[Row], scratch: &Scratch) -> PathBuf {
    let (image, archive) = (scratch.path("foreign"), scratch.path("foreign.tar"));
    let mut bytes = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        row.append_to_archive(&place(index), &mut bytes);
    }
    bytes.extend([0; 1024]);
    fs::write(&archive, bytes).unwrap();
    let _ = fs::remove_file(&image); // It may not be there.
    if format == "erofs" {
        run(newer("mkfs.erofs").args(["--quiet", "--tar=f"]).args([&image, &archive]));
    } else {
        let mut sqfstar = newer("sqfstar");
        sqfstar.args(["-quiet", "-no-progress"]).arg(&image);
        run(sqfstar.stdin(File::open(&archive).unwrap()));
    }
    image
}

/// The name of a row's inode.
fn place(index: usize) -> String {
    format!("{index:04}")
}

/// Whether Linux reads back each row of an image.
fn read_back(format: &str, rows: &[Row], image: &Path, scratch: &Scratch) -> Vec<bool> {
    let mut found = Vec::new();
    scratch.mounted(format, image, |root| {
        let is_read = |(index, row): (usize, &Row)| row.is_read_back(&root.join(place(index)));
        found = rows.iter().enumerate().map(is_read).collect();
    });
    found
}

/// Fails where the rule and Linux differ; returns how many rows are held.
fn compare(format: &str, rows: Vec<Row>) -> usize {
    let scratch = Scratch::new(&format!("xattrs-{format}-{}", rows.len()));
    let image = foreign(format, &rows, &scratch);
    let is_read = read_back(format, &rows, &image, &scratch);
    let (mut held, mut differ) = (Vec::new(), Vec::new());
    for (row, is_read) in rows.into_iter().zip(is_read) {
        let is_taken = is_taken(format, &row);
        if is_taken != (is_read && !row.is_given_to_nobody()) {
            differ.push(format!("{}: Linux {is_read}, taken {is_taken}", row.describe()));
        }
        if is_taken {
            held.push(row);
        }
    }
    assert!(differ.is_empty(), "{format}\n{}", differ.join("\n"));
    // All of them in one image of ours.
    let mut tree = Tree::new(plain(0o755));
    for (index, row) in held.iter().enumerate() {
        row.insert(&mut tree, &place(index));
    }
    let mut bytes = Vec::new();
    write(format, &tree, &mut bytes).unwrap();
    fs::write(&image, bytes).unwrap();
    let is_read = read_back(format, &held, &image, &scratch);
    let lost = held.iter().zip(is_read).filter(|(_, is_read)| !is_read);
    let lost: Vec<_> = lost.map(|(row, _)| row.describe()).collect();
    assert!(lost.is_empty(), "{format}\n{}", lost.join("\n"));
    held.len()
}

#[test]
fn what_linux_reads_back_is_held_and_nothing_else() {
    for (format, held) in [("erofs", 235), ("squashfs", 209)] {
        assert_eq!(compare(format, table()), held, "{format}");
    }
}

/// Linux reads such a list, and gives it to no inode: who copies the file off the image fails.
#[test]
fn default_lists_are_of_directories_alone() {
    let scratch = Scratch::new("xattrs-tmpfs");
    let root = scratch.path("mnt");
    run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&root));
    fs::write(root.join("file"), "").unwrap();
    fs::create_dir(root.join("directory")).unwrap();
    let full = lists().pop().unwrap();
    let set = |file: &str| setxattr(root.join(file), DEFAULT, &full, XattrFlags::empty());
    let set = [set("file"), set("directory")];
    run(Command::new("umount").arg(&root));
    assert_eq!(set, [Err(Errno::ACCESS), Ok(())]);
}

/// Names of exactly as many bytes as Linux lists, and one more; and many attributes.
#[test]
fn as_many_attributes_are_held_as_linux_lists() {
    let row = |kind, names: Vec<String>| {
        let pair = |name: String| (name.into_bytes(), b"value".to_vec());
        Row { kind, xattrs: names.into_iter().map(pair).collect() }
    };
    let short = |end: &str| {
        let names = (0..4095).map(|index| format!("trusted.n{index:06}"));
        names.chain([format!("trusted.{end}")]).collect::<Vec<_>>()
    };
    let long = |end: &str| {
        let names = (0..255).map(|index| format!("user.{index:0>250}"));
        names.chain([format!("user.{}{end}", "n".repeat(249))]).collect::<Vec<_>>()
    };
    for format in FORMATS {
        let rows = |kind| {
            [row(kind, short("1234567")), row(kind, short("12345678")), row(kind, long("n"))]
        };
        let more = row("file", [long(""), vec!["user.1".to_owned()]].concat());
        let rows: Vec<_> = ["directory", "file"].into_iter().flat_map(rows).chain([more]).collect();
        let bytes = |row: &Row| row.xattrs.iter().map(|(name, _)| name.len() + 1).sum::<usize>();
        let bytes: Vec<_> = rows.iter().map(bytes).collect();
        assert_eq!(bytes, [65_536, 65_537, 65_536, 65_536, 65_537, 65_536, 65_542]);
        assert_eq!(compare(format, rows), 4, "{format}");
    }
}

/// What an EROFS inode has room for, and one unit more.
#[test]
fn an_erofs_inode_is_filled_to_its_last_unit() {
    let row = |last: usize| {
        let lengths = [65_535, 65_535, 65_535, last];
        let names = ["user.a", "user.b", "user.c", "user.d"].map(|name| name.as_bytes().to_vec());
        let xattrs = names.into_iter().zip(lengths.map(|length| vec![b'v'; length])).collect();
        Row { kind: "file", xattrs }
    };
    assert!(!is_taken("erofs", &row(65_512)));
    let scratch = Scratch::new("xattrs-full");
    let image = scratch.path("full");
    let (full, mut tree, mut bytes) = (row(65_511), Tree::new(plain(0o755)), Vec::new());
    full.insert(&mut tree, &place(0));
    write("erofs", &tree, &mut bytes).unwrap();
    fs::write(&image, bytes).unwrap();
    assert_eq!(read_back("erofs", &[full], &image, &scratch), [true]);
}

/// ISO 9660 has no place for any: all are refused, or left out and told one by one.
#[test]
fn iso_9660_refuses_or_loses_all() {
    let rows = table();
    let mut tree = Tree::new(plain(0o755));
    for (index, row) in rows.iter().enumerate() {
        let refused = iso9660::Plan::new(&row.tree(), iso9660::Options::new()).unwrap_err();
        assert_eq!(refused.to_string(), "/x: ISO 9660 holds no extended attributes");
        row.insert(&mut tree, &place(index));
    }
    let plan = iso9660::Plan::new(&tree, iso9660::Options::new().lossy(true)).unwrap();
    let lost: BTreeSet<_> = plan.losses().iter().map(|loss| loss.path(&tree)).collect();
    assert!(plan.losses().iter().all(|loss| loss.lost == iso9660::Lost::Xattrs));
    let expected: BTreeSet<_> =
        (0..rows.len()).map(|index| format!("/{}", place(index)).into_bytes()).collect();
    assert_eq!((lost.len(), plan.losses().len()), (rows.len(), rows.len()));
    assert_eq!(lost, expected);
}
