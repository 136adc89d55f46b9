//! Files with holes, which their source tells as such: large ones, that begin and end anywhere.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use credimg_formats::squashfs::{BlockSize, Options, Plan};
use credimg_formats::{Content, Kind, Result, Sink, Source, Tree};

use crate::squashfs_readers::tools::UNSQUASHFS;
use crate::support::generator::Random;
use crate::support::host::{Scratch, run};
use crate::support::memory::Memory;
use crate::support::{file, name, plain};

/// Bytes, or a hole of that length.
#[derive(Clone)]
enum Part {
    Bytes(Vec<u8>),
    Hole(u64),
}

struct Parts(Vec<Part>);

impl Parts {
    fn content(self) -> Kind {
        let lengths = self.0.iter().map(|part| match part {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Hole(length) => *length,
        });
        Kind::File(Content::Stream { length_bytes: lengths.sum(), source: Box::new(self) })
    }

    fn bytes(&self) -> Vec<u8> {
        let parts = self.0.iter().map(|part| match part {
            Part::Bytes(bytes) => bytes.clone(),
            Part::Hole(length) => vec![0; *length as usize],
        });
        parts.collect::<Vec<_>>().concat()
    }
}

impl Source for Parts {
    fn stream(&self, _planned_bytes: u64, sink: &mut dyn Sink) -> Result<()> {
        for part in &self.0 {
            match part {
                Part::Bytes(bytes) => sink.write_all(bytes)?,
                Part::Hole(length) => sink.write_zeros(*length)?,
            }
        }
        Ok(())
    }
}

fn options(compression: &str, block_bytes: u32) -> Options {
    let options = Options::new().compression(compression.parse().unwrap());
    options.block_size(BlockSize::new(block_bytes).unwrap())
}

fn image_of(contents: Vec<Kind>, options: Options) -> Vec<u8> {
    let mut tree = Tree::new(plain(0o755));
    for (index, content) in contents.into_iter().enumerate() {
        tree.insert(Tree::ROOT, name(&format!("f{index:02}")), plain(0o400), content).unwrap();
    }
    let mut image = Vec::new();
    Plan::new(&tree, options).unwrap().write(&mut image).unwrap();
    image
}

#[test]
fn holes_give_the_bytes_of_their_zeros() {
    let mut random = Random::new(13);
    for round in 0..12 {
        let mut files = Vec::new();
        for _ in 0..20 {
            let mut parts = Vec::new();
            for _ in 0..random.below(6) {
                let near = random.pick(&[0, 1, 4095, 4096, 4097, 8192, 30_000, 70_000]);
                parts.push(match random.below(3) {
                    0 => Part::Bytes(vec![0; near]),
                    1 => Part::Bytes(random.bytes(near)),
                    _ => Part::Hole(near as u64 + random.below(2)),
                });
            }
            // Some are there twice.
            files.extend(vec![parts; 1 + random.below(2) as usize]);
        }
        let options = options(["none", "lz4"][round % 2], 4096);
        let written = files.iter().map(|parts| file(&Parts(parts.clone()).bytes())).collect();
        let told = files.iter().map(|parts| Parts(parts.clone()).content()).collect();
        assert!(image_of(told, options.clone()) == image_of(written, options), "round {round}");
    }
}

#[test]
fn holes_of_8_gib_take_neither_time_nor_room() {
    let hole = 8 << 30;
    let (start, end) = (vec![1; 200_000], vec![2; 70_001]);
    let parts = || vec![Part::Bytes(start.clone()), Part::Hole(hole + 3), Part::Bytes(end.clone())];
    let length = start.len() as u64 + hole + 3 + end.len() as u64;
    let scratch = Scratch::new("squashfs-holes");
    let memory = Memory::new(&scratch.path("memory"));
    for compression in ["none", "zstd:1"] {
        let began = Instant::now();
        // Two that are equal, two of zeros, and one that differs in its last byte.
        let mut other = parts();
        other.push(Part::Hole(1));
        let contents =
            [parts(), parts(), vec![Part::Hole(length)], vec![Part::Hole(length)], other];
        let contents = contents.map(|parts| Parts(parts).content()).into();
        let image = scratch.path("holes.squashfs");
        std::fs::write(&image, image_of(contents, options(compression, 131_072))).unwrap();
        // Going through 40 GiB takes minutes in a test's build.
        assert!(began.elapsed() < Duration::from_secs(10), "{compression}");
        // Lists of blocks: 256 KiB for each file.
        assert!(image.metadata().unwrap().len() < 3 << 20, "{compression}");
        let judge = |root: &Path| {
            for index in 0..5 {
                let wanted = [length, length, length, length, length + 1][index];
                let read = File::open(root.join(format!("f{index:02}"))).unwrap();
                let metadata = read.metadata().unwrap();
                assert_eq!(metadata.len(), wanted, "{compression}: {index}");
                assert!(metadata.blocks() < 2048, "{compression}: {index} has no holes");
                if index == 2 || index == 3 {
                    assert_eq!(metadata.blocks(), 0, "{compression}: {index}");
                    continue;
                }
                let mut bytes = vec![9; 400_000];
                read.read_exact_at(&mut bytes, 0).unwrap();
                assert!(bytes == [start.clone(), vec![0; 200_000]].concat(), "{compression}");
                read.read_exact_at(&mut bytes, length - 400_000).unwrap();
                assert!(bytes == [vec![0; 329_999], end.clone()].concat(), "{compression}");
            }
        };
        scratch.mounted("squashfs", &image, judge);
        let (_, unsquashfs) = UNSQUASHFS[1];
        let target = memory.0.join("unpacked");
        run(unsquashfs().args(["-quiet", "-no-progress", "-d"]).arg(&target).arg(&image));
        judge(&target);
        std::fs::remove_dir_all(&target).unwrap();
    }
}
