//! Trees on their way through every reader.

use std::path::{Path, PathBuf};

use credimg_formats::squashfs::{BlockSize, Compression, Options, Plan};
use credimg_formats::{Timestamp, Tree};

use crate::squashfs_readers::tools::{RDSQUASHFS, UNSQUASHFS};
use crate::squashfs_readers::{grub, seven_zip, trees};
use crate::support::generator::Shape;
use crate::support::host::{Scratch, run};
use crate::support::memory::Memory;
use crate::support::{BUILD_TIME, ExpectedKind, Listing, assert_same, walk};

pub(crate) const COMPRESSIONS: [&str; 5] = ["none", "gzip", "xz", "zstd", "lz4"];

/// Trees of the seeded generator that all readers can hold.
pub(crate) fn shape(seed: u64) -> Shape {
    Shape {
        common_time: BUILD_TIME,
        odd_times: [0, 1, 2, 0x7fff_ffff].map(Timestamp::from_seconds),
        block: 4096,
        xattrs: seed.is_multiple_of(2),
        iso9660_names: false,
        target_max_bytes: 4095,
    }
}

/// Where images are written and unpacked.
pub(crate) struct Bench {
    scratch: Scratch,
    memory: Memory,
}

impl Bench {
    pub(crate) fn new(purpose: &str) -> Self {
        let scratch = Scratch::new(purpose);
        let memory = Memory::new(&scratch.path("memory"));
        Self { scratch, memory }
    }

    /// Judges a tree of `trees.rs`, which is called `what`.
    pub(crate) fn judge_without_fragments(&self, what: &str, tree: &Tree, compression: &str) {
        let image = self.write(tree, compression, trees::BLOCK_BYTES);
        assert_eq!(fragments(&image), 0, "{what}");
        let judge = format!("{what}, {compression}");
        self.judge(0, &judge, compression, &image, &trees::listing_of(tree));
    }

    /// Judges the tree of `seed`, which decides the compression and the block size.
    pub(crate) fn judge_ordinary(&self, seed: u64, tree: &Tree, listing: &Listing) {
        let compression = COMPRESSIONS[seed as usize % COMPRESSIONS.len()];
        let block_bytes = [4096, 16_384, 131_072, 1 << 20][seed as usize / 5 % 4];
        let image = self.write(tree, compression, block_bytes);
        self.judge(seed, compression, compression, &image, listing);
    }

    fn write(&self, tree: &Tree, compression: &str, block_bytes: u32) -> PathBuf {
        let options = Options::new()
            .compression(compression.parse::<Compression>().unwrap())
            .block_size(BlockSize::new(block_bytes).unwrap())
            .build_time(BUILD_TIME);
        let mut bytes = Vec::new();
        Plan::new(tree, options).unwrap().write(&mut bytes).unwrap();
        let image = self.scratch.path("image.squashfs");
        std::fs::write(&image, bytes).unwrap();
        image
    }

    /// Has every reader that knows the compression read the image.
    fn judge(&self, seed: u64, what: &str, compression: &str, image: &Path, listing: &Listing) {
        let target = self.memory.0.join("unpacked");
        for (version, unsquashfs) in UNSQUASHFS {
            run(unsquashfs().args(["-quiet", "-no-progress", "-d"]).arg(&target).arg(image));
            let wanted = if version == "4.4" { as_by_4_4(listing) } else { listing.clone() };
            let judge = format!("{what}: unsquashfs {version}");
            assert_same(seed, &judge, &wanted, &walk(&target, true));
            std::fs::remove_dir_all(&target).unwrap();
        }
        for (version, rdsquashfs) in RDSQUASHFS {
            std::fs::create_dir(&target).unwrap();
            run(rdsquashfs()
                .args(["--unpack-path", "/", "--set-xattr", "--set-times", "--chmod", "--chown"])
                .args(["--quiet", "--unpack-root"])
                .arg(&target)
                .arg(image));
            let got = without_links(&walk(&target, true));
            let judge = format!("{what}: rdsquashfs {version}");
            assert_same(seed, &judge, &without_links(listing), &got);
            std::fs::remove_dir_all(&target).unwrap();
        }
        if seven_zip::knows(compression) {
            seven_zip::judge(seed, image, listing);
        }
        self.scratch.mounted("squashfs", image, |root| {
            let judge = format!("{what}: the kernel");
            assert_same(seed, &judge, listing, &walk(root, true));
            if grub::knows(compression) {
                grub::judge(seed, image, root, listing);
            }
        });
    }
}

/// unsquashfs 4.4 says that it passes over sockets, and keeps eight bits of a device's numbers.
fn as_by_4_4(listing: &Listing) -> Listing {
    let mut listing = listing.clone();
    listing.retain(|_, entry| {
        !matches!(entry.kind, ExpectedKind::Special { file_type: 0o140_000, .. })
    });
    for entry in listing.values_mut() {
        if let ExpectedKind::Special { device: (major, minor), .. } = &mut entry.kind {
            (*major, *minor) = (*major & 0xff, *minor & 0xff);
        }
    }
    listing
}

/// What rdsquashfs restores: neither hard links, the link counts they make, nor the root.
fn without_links(listing: &Listing) -> Listing {
    let mut listing = listing.clone();
    listing.remove(b"".as_slice());
    for entry in listing.values_mut() {
        if let ExpectedKind::File { links, same_as, .. } = &mut entry.kind {
            *links = 0;
            same_as.clear();
        }
    }
    listing
}

/// How many fragment blocks the image has, by its superblock.
fn fragments(image: &Path) -> u32 {
    let bytes = std::fs::read(image).unwrap();
    u32::from_le_bytes(bytes[16..20].try_into().unwrap())
}
