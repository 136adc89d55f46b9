//! Goldens: what images of some trees are, byte by byte, as dumps under `formats/tests/goldens/`.
//! Whatever changes a byte of an image changes one of them, and the difference says what it is.
//! `make bless` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use credimg_formats::luks::{self, Kdf, RANDOM_BYTES, Version, VolumeKey};
use credimg_formats::read::{Digests, Limits, dump, dump_volume, open};
use credimg_formats::{
    Device, Image, InodeId, Kind, Metadata, Secret, Timestamp, Tree, erofs, iso9660, squashfs,
    verity,
};
use sha2::{Digest, Sha256};

use crate::readers::whole::read;
use crate::support::generator::Random;
use crate::support::{BUILD_TIME, file, name, plain};

/// How many there are: each tree in each format, the volumes, and the hash trees.
const COUNT: usize = 3 * TREES.len() + VOLUMES.len() + SEALED.len();

type Make = fn(&mut Tree);

/// The trees, each with what it is about.
const TREES: [(&str, Make); 12] = [
    ("empty", |_| {}),
    ("file", |tree| {
        add(tree, "file", file(b"hunter2"));
    }),
    ("kinds", kinds),
    ("links", links),
    ("sizes", sizes),
    ("equal", equal),
    ("holes", holes),
    ("names", names),
    ("deep", deep),
    ("attributes", attributes),
    ("owners", owners),
    ("crowded", crowded),
];

fn add(tree: &mut Tree, path: &str, kind: Kind) -> InodeId {
    tree.insert_at(path, plain(0o400), kind, &plain(0o700)).unwrap()
}

fn kinds(tree: &mut Tree) {
    add(tree, "device/char", Kind::CharDevice(Device::new(1, 3).unwrap()));
    add(tree, "device/block", Kind::BlockDevice(Device::new(259, 70_000).unwrap()));
    add(tree, "fifo", Kind::Fifo);
    add(tree, "link", Kind::symlink("device/char"));
    add(tree, "long", Kind::symlink("/component".repeat(60)));
    add(tree, "socket", Kind::Socket);
}

fn links(tree: &mut Tree) {
    let one = add(tree, "b/one", file(b"one inode"));
    for path in ["a", "b", ""] {
        let parent = match path {
            "a" => tree.insert(Tree::ROOT, name("a"), plain(0o700), Kind::directory()).unwrap(),
            _ => tree.find(path).unwrap(),
        };
        tree.link(parent, name("two"), one).unwrap();
    }
}

/// Around the size of a block.
fn sizes(tree: &mut Tree) {
    for size in [0, 1, 2047, 2048, 4095, 4096, 4097, 8192, 9000] {
        let content = Random::new(size).bytes(size as usize);
        add(tree, &format!("{size:04}"), file(&content));
    }
}

fn equal(tree: &mut Tree) {
    let content = Random::new(1).bytes(9000);
    for path in ["a", "b", "c/d"] {
        add(tree, path, file(&content));
    }
    add(tree, "start", file(&content[..8192]));
    add(tree, "tail", file(&[&content[..8192], b"another"].concat()));
}

fn holes(tree: &mut Tree) {
    let mut content = vec![0; 40_000];
    content[20_000] = 1;
    add(tree, "amid", file(&content));
    add(tree, "all", file(&vec![0; 30_000]));
}

fn names(tree: &mut Tree) {
    let long = "n".repeat(251);
    for path in
        ["!", "-", ".hidden", "A", "a", "a.b.c", "ä", "a b", &long, "readme.txt", "README.TXT"]
    {
        add(tree, path, file(b""));
    }
}

fn deep(tree: &mut Tree) {
    add(tree, "1/2/3/4/5/6/7/8/9/10", file(b"deep"));
}

/// Extended attributes, where the format has them.
fn attributes(tree: &mut Tree) {
    for (path, value) in [("a", "label"), ("b", "label"), ("c", "another label")] {
        let mut metadata = plain(0o400);
        let value = Secret::from(value);
        metadata.xattrs.insert(b"security.label".as_slice().into(), value.clone());
        metadata.xattrs.insert(b"user.note".as_slice().into(), value);
        tree.insert(Tree::ROOT, name(path), metadata, file(b"labelled")).unwrap();
    }
}

fn owners(tree: &mut Tree) {
    let times = [0, 1, 0x7fff_ffff].map(Timestamp::from_seconds);
    for (mode, uid, gid, mtime) in [
        (0o7777, 0, 65_535, BUILD_TIME),
        (0o000, 65_536, 1000, times[0]),
        (0o4755, 1000, 1000, times[1]),
        (0o644, u32::MAX - 1, 0, times[2]),
    ] {
        let metadata = Metadata { uid, gid, mtime, ..plain(mode) };
        tree.insert(Tree::ROOT, name(&format!("{mode:04o}")), metadata, file(b"x")).unwrap();
    }
}

/// A directory of more than a block.
fn crowded(tree: &mut Tree) {
    let only = add(tree, "only", file(b"only"));
    for index in 0..24 {
        tree.link(Tree::ROOT, name(&format!("{index:02}{}", "x".repeat(190))), only).unwrap();
    }
}

fn tree_of(make: Make, xattrs: bool) -> Tree {
    let mut tree = Tree::new(plain(0o755));
    make(&mut tree);
    if !xattrs {
        let ids: Vec<_> = tree.inodes().map(|(id, _)| id).collect();
        for id in ids {
            tree.metadata_mut(id).unwrap().xattrs.clear();
        }
    }
    tree
}

/// The image of the tree of that number, which decides compression and Joliet.
fn image(format: &str, number: usize) -> Vec<u8> {
    let tree = tree_of(TREES[number].1, format != "iso9660");
    let plan: Box<dyn Image> = match format {
        "erofs" => {
            let label = "CHIMERA".parse().unwrap();
            let options = erofs::Options::new().build_time(BUILD_TIME).uuid([0xa5; 16]);
            Box::new(erofs::Plan::new(&tree, options.label(label)).unwrap())
        }
        "squashfs" => {
            let compressions = ["none", "none", "none", "gzip", "xz", "zstd", "lz4"];
            let compression = compressions[number % compressions.len()];
            let options = squashfs::Options::new()
                .build_time(BUILD_TIME)
                .block_size(squashfs::BlockSize::new(4096).unwrap())
                .compression(compression.parse().unwrap());
            Box::new(squashfs::Plan::new(&tree, options).unwrap())
        }
        _ => {
            let options = iso9660::Options::new()
                .build_time(BUILD_TIME)
                .volume_id("cidata".parse().unwrap())
                .joliet(number % 3 == 2)
                .lossy(true);
            Box::new(iso9660::Plan::new(&tree, options).unwrap())
        }
    };
    let mut image = Vec::new();
    plan.write(&mut image).unwrap();
    image
}

/// Volumes: the version, the sector size, the label and the key derivation.
const VOLUMES: [(&str, Version, usize, &str, Kdf); 4] = [
    ("luks1", Version::Luks1, 512, "", Kdf::Pbkdf2 { iterations: 1000 }),
    ("luks2", Version::Luks2, 512, "", Kdf::FOR_RANDOM_KEY),
    ("luks2-4096", Version::Luks2, 4096, "CHIMERA", Kdf::FOR_RANDOM_KEY),
    (
        "luks2-argon2",
        Version::Luks2,
        512,
        "CHIMERA",
        Kdf::Argon2id { passes: 1, memory_kib: 64, lanes: 1 },
    ),
];

fn volume(number: usize) -> Vec<u8> {
    let (_, version, sector_bytes, label, kdf) = VOLUMES[number];
    let mut random = Random::new(number as u64);
    let volume_key = VolumeKey::new(random.bytes(64).first_chunk().unwrap()).unwrap();
    let passphrase = Secret::from("a passphrase of the tests");
    let noise = Secret::new(random.bytes(RANDOM_BYTES));
    let options = luks::Options::new(version, &passphrase, &volume_key, &noise)
        .label(luks::Label::new(label).unwrap())
        .uuid([0x5a; 16])
        .sector_bytes(sector_bytes)
        .kdf(kdf);
    let plan = luks::Plan::new(options).unwrap();
    let mut bytes = Vec::new();
    let mut writer = plan.begin(&mut bytes);
    writer.write_all(&image("erofs", 1)).unwrap();
    writer.finish().unwrap();
    bytes
}

/// Images with a hash tree behind them, and the size of its blocks of data.
const SEALED: [(&str, u32); 4] =
    [("erofs", 4096), ("squashfs", 4096), ("iso9660", 2048), ("luks2", 4096)];

fn sealed(number: usize) -> Vec<u8> {
    let (what, data_block_bytes) = SEALED[number];
    let salt = Random::new(number as u64).bytes(32);
    let options =
        verity::Options { salt, uuid: [0x3c; 16], data_block_bytes, ..Default::default() };
    let mut bytes = Vec::new();
    let mut writer = verity::Writer::new(&options, &mut bytes).unwrap();
    // The tree with some content; the volume whose sectors have 512 bytes.
    let data = if what == "luks2" { volume(1) } else { image(what, 4) };
    writer.write_all(&data).unwrap();
    writer.finish().unwrap();
    bytes
}

/// All goldens, by the names of their files.
fn goldens() -> BTreeMap<String, String> {
    let mut goldens = BTreeMap::new();
    let mut add = |file: String, image: &Arc<Vec<u8>>, dumped: Vec<u8>| {
        let digest = Sha256::digest(&**image);
        let mut text = String::from("sha256 of the image: ");
        digest.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
        text.push_str(&String::from_utf8(dumped).unwrap());
        assert!(goldens.insert(file, text).is_none());
    };
    for format in ["erofs", "squashfs", "iso9660"] {
        for (number, (tree, _)) in TREES.iter().enumerate() {
            let image = Arc::new(image(format, number));
            let mut text = Vec::new();
            let problems = dump(&*read(&image).unwrap(), &image, Digests::Shown, &mut text);
            assert_eq!(problems.unwrap().kept, [], "{format}: {tree}");
            add(format!("{format}-{tree}.txt"), &image, text);
        }
    }
    for (number, (volume_name, ..)) in VOLUMES.iter().enumerate() {
        let image = Arc::new(volume(number));
        let mut text = Vec::new();
        let problems = dump_volume(&image, Digests::Shown, &mut text).unwrap();
        assert_eq!(problems.kept, [], "{volume_name}");
        add(format!("{volume_name}.txt"), &image, text);
    }
    for (number, (what, _)) in SEALED.iter().enumerate() {
        let image = Arc::new(sealed(number));
        let mut text = Vec::new();
        let problems = if *what == "luks2" {
            dump_volume(&image, Digests::Shown, &mut text)
        } else {
            let found = verity::find(&image).unwrap().unwrap();
            let data = Box::new(verity::Data::new(Arc::clone(&image), &found));
            let reader = open(data, Limits::for_image(found.data_bytes)).unwrap();
            dump(&*reader, &image, Digests::Shown, &mut text)
        };
        assert_eq!(problems.unwrap().kept, [], "{what}");
        add(format!("{what}-verity.txt"), &image, text);
    }
    goldens
}

#[test]
fn every_byte_is_the_one_of_the_goldens() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let goldens = goldens();
    assert_eq!(goldens.len(), COUNT);
    if std::env::var_os("CREDIMG_BLESS").is_some() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (file, text) in &goldens {
            std::fs::write(directory.join(file), text).unwrap();
        }
        return;
    }
    let mut faults = String::new();
    for (file, text) in &goldens {
        let golden = std::fs::read_to_string(directory.join(file)).unwrap_or_default();
        if golden != *text {
            let mut lines = golden.lines().zip(text.lines()).skip(1);
            let first = lines.find(|(old, new)| old != new).unwrap_or(("", "another length"));
            writeln!(faults, "{file}: expected {:?}, got {:?}", first.0, first.1).unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}`make bless` writes them anew");
    let files = std::fs::read_dir(&directory).unwrap().count();
    assert_eq!(files, COUNT, "there are goldens of no image: `make bless` removes them");
}
