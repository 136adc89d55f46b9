//! blkid over every number of inodes up to 70,000, in every format, and over LUKS headers.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use credimg_formats::erofs::format::{BLOCK_BYTES, SUPER_OFFSET_BYTES, checksum, inode_count};
use credimg_formats::luks::{self, Kdf, RANDOM_BYTES, Version, VolumeKey};
use credimg_formats::{ErrorKind, Result, Secret, Sink, Tree, erofs, iso9660, squashfs};

use crate::blkid::judge::{Expected, assert_all};
use crate::support::generator::Random;
use crate::support::host::Scratch;
use crate::support::{BUILD_TIME, file, name, plain};

const LABEL: &str = "CHIMERA";
/// More than 16 bits hold.
const COUNTS: usize = 70_000;
/// Every so many-th tree is written whole; of the others the field that holds the number is put
/// into the image of an empty tree.
const STEP: usize = 23;
const BATCH: usize = 500;

/// What libblkid looks at of the start of most images: at UFS with a large boot area too.
const HEAD_BYTES: usize = 264 << 10;
/// More than a floppy disk holds: of what is smaller blkid tells the first signature that it
/// finds, of this it wants one alone.
const LARGE_BYTES: u64 = 2 << 20;

/// Keeps the start of an image, with a true length; zeros stand for the rest.
#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
    length_bytes: u64,
    /// Refuses what follows the start: nobody will look at it.
    is_enough: bool,
}

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = HEAD_BYTES - self.bytes.len();
        if room == 0 && self.is_enough {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend(&bytes[..bytes.len().min(room)]);
        self.length_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Head {
    fn rewrite(&mut self, back_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        let behind_bytes = self.length_bytes - self.bytes.len() as u64;
        self.bytes.rewrite(back_bytes.saturating_sub(behind_bytes), bytes)
    }
}

/// Images that are judged a batch at a time.
struct Batch<'e> {
    scratch: Scratch,
    expected: Expected<'e>,
    images: Vec<PathBuf>,
    judged: usize,
}

impl<'e> Batch<'e> {
    fn new(purpose: &str, file_system: &'e str, label: Option<&'e str>) -> Self {
        let expected = Expected { file_system, label };
        Self { scratch: Scratch::new(purpose), expected, images: Vec::new(), judged: 0 }
    }

    fn add(&mut self, purpose: &str, head: &[u8], length_bytes: u64) {
        let path = self.scratch.path(&format!("{purpose}.{}", self.images.len()));
        let file = File::create(&path).unwrap();
        file.write_all_at(head, 0).unwrap();
        file.set_len(LARGE_BYTES.max(length_bytes)).unwrap();
        self.images.push(path);
        if self.images.len() >= BATCH {
            self.judge();
        }
    }

    /// Adds an image of each number of inodes up to `counts`, that `head` and `patch` make.
    fn add_counts(
        &mut self,
        counts: usize,
        head: fn(&Tree) -> Head,
        mut patch: impl FnMut(&mut [u8], usize),
    ) {
        let mut tree = Tree::new(plain(0o755));
        let mut small = head(&tree);
        let mut images = 0;
        for count in 1..=counts {
            if count % STEP == 0 && count <= COUNTS {
                for index in tree.len()..count {
                    let entry = name(&format!("{index:06}"));
                    tree.insert(Tree::ROOT, entry, plain(0o400), file(b"")).unwrap();
                }
                let Head { bytes, length_bytes, .. } = head(&tree);
                self.add(&count.to_string(), &bytes, length_bytes);
                images += 1;
            }
            patch(&mut small.bytes, count);
            self.add(&count.to_string(), &small.bytes, small.length_bytes);
            images += 1;
        }
        self.finish(images);
    }

    fn judge(&mut self) {
        assert_all(&self.images, self.expected);
        self.judged += self.images.len();
        for image in self.images.drain(..) {
            std::fs::remove_file(image).unwrap();
        }
    }

    fn finish(&mut self, images: usize) {
        self.judge();
        assert_eq!(self.judged, images);
    }
}

fn erofs_head(tree: &Tree) -> Head {
    let label = erofs::Label::new(LABEL.as_bytes()).unwrap();
    let options = erofs::Options::new().label(label).uuid([0x5a; 16]).build_time(BUILD_TIME);
    let plan = erofs::Plan::new(tree, options).unwrap();
    let mut head = Head { is_enough: true, ..Head::default() };
    assert_begun(plan.write(&mut head), &head);
    Head { length_bytes: plan.size_bytes(), ..head }
}

/// Only what nobody looks at may be missing.
fn assert_begun(outcome: Result<u64>, head: &Head) {
    if let Err(error) = outcome {
        assert!(error.kind() == ErrorKind::Io && head.bytes.len() == HEAD_BYTES, "{error}");
    }
}

fn squashfs_head(tree: &Tree) -> Head {
    let options = squashfs::Options::new().build_time(BUILD_TIME);
    let mut head = Head::default();
    squashfs::Plan::new(tree, options).unwrap().write(&mut head).unwrap();
    head
}

fn iso9660_head(tree: &Tree) -> Head {
    let volume_id = iso9660::VolumeId::new(LABEL.as_bytes()).unwrap();
    let options = iso9660::Options::new().volume_id(volume_id).build_time(BUILD_TIME);
    let plan = iso9660::Plan::new(tree, options).unwrap();
    let mut head = Head { is_enough: true, ..Head::default() };
    assert_begun(plan.write(&mut head), &head);
    Head { length_bytes: plan.size_bytes(), ..head }
}

/// The low 16 bits of each number come twice.
#[test]
fn erofs_is_seen_with_every_number_of_inodes() {
    Batch::new("long-erofs", "erofs", Some(LABEL)).add_counts(
        2 * COUNTS,
        erofs_head,
        |image, count| {
            let record = &mut image[SUPER_OFFSET_BYTES..BLOCK_BYTES];
            record[16..24].copy_from_slice(&inode_count(count as u64).to_le_bytes());
            record[4..8].fill(0);
            let sum = checksum(record);
            record[4..8].copy_from_slice(&sum.to_le_bytes());
        },
    );
}

#[test]
fn squashfs_is_seen_with_every_number_of_inodes() {
    Batch::new("long-squashfs", "squashfs", None).add_counts(
        COUNTS,
        squashfs_head,
        |image, count| {
            image[4..8].copy_from_slice(&(count as u32).to_le_bytes());
        },
    );
}

/// Its number of inodes stands nowhere: what grows with it is the number of sectors.
#[test]
fn iso_9660_is_seen_with_every_number_of_sectors() {
    Batch::new("long-iso9660", "iso9660", Some(LABEL)).add_counts(
        COUNTS,
        iso9660_head,
        |image, count| {
            let field = &mut image[(32 << 10) + 80..][..8];
            field[..4].copy_from_slice(&(count as u32).to_le_bytes());
            field[4..].copy_from_slice(&(count as u32).to_be_bytes());
        },
    );
}

#[test]
fn luks_is_seen_with_every_key_and_every_payload() {
    const VOLUMES: u64 = 1000;
    let tree = Tree::new(plain(0o755));
    let payloads = [erofs_head, squashfs_head, iso9660_head].map(|head| head(&tree));
    for (version, label) in [(Version::Luks1, None), (Version::Luks2, Some("CHIMERA-LUKS"))] {
        let mut batch = Batch::new(&format!("long-{version:?}"), "crypto_LUKS", label);
        for (seed, payload) in (0..VOLUMES).zip(payloads.iter().cycle()) {
            let image = encrypted(version, label, seed, &payload.bytes);
            batch.add(&seed.to_string(), &image, image.len() as u64);
        }
        batch.finish(VOLUMES as usize);
    }
}

/// The volume with this payload.
fn encrypted(version: Version, label: Option<&str>, seed: u64, payload: &[u8]) -> Vec<u8> {
    let mut random = Random::new(seed);
    let volume_key = VolumeKey::new(random.bytes(64).first_chunk().unwrap()).unwrap();
    let (uuid, passphrase) = (random.bytes(16), Secret::new(random.bytes(32)));
    let noise = Secret::new(random.bytes(RANDOM_BYTES));
    let options = luks::Options::new(version, &passphrase, &volume_key, &noise)
        .label(luks::Label::new(label.unwrap_or_default()).unwrap())
        .uuid(*uuid.first_chunk().unwrap())
        .kdf(Kdf::FOR_RANDOM_KEY);
    let plan = luks::Plan::new(options).unwrap();
    let mut image = Vec::new();
    let mut writer = plan.begin(&mut image);
    writer.write_all(payload).unwrap();
    writer.finish().unwrap();
    image
}
