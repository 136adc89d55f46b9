//! Images of SquashFS as they come: all that the reader tells of them.

use std::io;
use std::ops::ControlFlow;

use credimg_formats::read::{Account, Limits, NodeKind, Order, Problem, Reader as _, Region, Walk};
use credimg_formats::squashfs::{BlockSize, Options, Plan, Reader};
use credimg_formats::{ErrorKind, Result, Sink};

use super::input::Input;
use super::{Target, trees};

pub const TARGET: Target =
    Target { name: "read_squashfs", max_bytes: 32 << 10, memory_max_bytes: 64 << 20, run, seeds };

/// What is read of an image that takes long: each path may be a file of the whole image.
const PATHS_MAX: usize = 4096;

fn run(data: &[u8]) {
    read(data.to_vec());
}

fn read(image: Vec<u8>) {
    let size_bytes = image.len() as u64;
    let limits = Limits { work_bytes: 16 << 20, ..Limits::for_image(size_bytes) };
    let outcome = Reader::open(Box::new(image), limits).and_then(|reader| {
        let outcome = walk(&reader, limits);
        reader.account(&mut Checked { size_bytes })?;
        outcome
    });
    if let Err(error) = outcome {
        let kinds = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::Limit, ErrorKind::Cost];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
}

/// Reads all of an image, in every way that there is.
fn walk(reader: &Reader, limits: Limits) -> Result<()> {
    let mut walk = Walk::new(reader, limits, Order::Image);
    for _ in 0..PATHS_MAX {
        let Some(step) = walk.step()? else { break };
        let (inode, size_bytes) = (step.inode, step.stat.size_bytes);
        let xattrs = reader.xattrs(inode)?;
        assert!(xattrs.keys().all(|name| !name.contains(&0)));
        match step.stat.kind {
            NodeKind::Directory => reader.entries(inode, &mut |entry| {
                // Of names that are not sorted not all are found.
                let found = reader.lookup(inode, entry.name)?;
                assert!(found.is_none() || !entry.name.is_empty());
                Ok(ControlFlow::Continue(()))
            })?,
            NodeKind::Symlink => {
                assert_eq!(reader.target(inode)?.len() as u64, size_bytes);
            }
            NodeKind::File => {
                let mut streamed = Counted(0);
                reader.stream(inode, &mut streamed)?;
                let mut told = 0;
                reader.extents(inode, &mut |extent| {
                    assert_eq!(extent.file_offset_bytes, told);
                    told += extent.length_bytes;
                    Ok(())
                })?;
                assert_eq!((streamed.0, told), (size_bytes, size_bytes));
                let mut end = [0; 64];
                let got = reader.read_at(inode, size_bytes.saturating_sub(32), &mut end)?;
                assert_eq!(got as u64, size_bytes.min(32));
            }
            NodeKind::CharDevice(_)
            | NodeKind::BlockDevice(_)
            | NodeKind::Fifo
            | NodeKind::Socket => {}
        }
    }
    Ok(())
}

/// Counts what it takes; holes cost nothing.
struct Counted(u64);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Counted {
    fn write_zeros(&mut self, length_bytes: u64) -> io::Result<()> {
        self.0 += length_bytes;
        Ok(())
    }
}

/// Looks at each region.
struct Checked {
    size_bytes: u64,
}

impl Account for Checked {
    fn region(&mut self, region: Region) -> Result<()> {
        let end =
            region.offset_bytes.checked_add(region.length_bytes).expect("a place in the image");
        assert!(end <= self.size_bytes, "{} ends at {end}", region.title);
        let fields: u64 = region.fields.iter().map(|field| field.length_bytes).sum();
        assert!(region.fields.is_empty() || fields == region.length_bytes, "{}", region.title);
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<()> {
        assert!(!problem.message.is_empty());
        Ok(())
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let steps: [&[u8]; 3] = [
        b"\x00\x03\0\x01d\x00\x00\x05\0\x01f\x04\x01f\0\x01s\x09\x01h\x08\x07\0\x01p",
        b"\x05\x01\0\x03\0\0\0\0\x01c\x0a\x06user.a\x01v\x01\x01\x00\x10\0\x01g\x02\x06\x01\0\xc8",
        b"",
    ];
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for (steps, compression) in steps.iter().flat_map(|steps| {
        ["none", "gzip", "lz4", "xz", "zstd"].map(|compression| (steps, compression))
    }) {
        let tree = trees::tree(&mut Input(steps));
        let options = Options::new()
            .block_size(BlockSize::new(4096).expect("a size of blocks"))
            .cut_fractions(true)
            .compression(compression.parse().expect("a compression"));
        // Of times before 1970 and the like there is no image.
        let Ok(plan) = Plan::new(&tree, options) else { continue };
        let mut image = Vec::new();
        plan.write(&mut image).expect("room in memory");
        seeds.push(image);
    }
    seeds
}
