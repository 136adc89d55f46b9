//! Images of ISO 9660 behind a system area of zeros, read by each of their trees.

use credimg_formats::iso9660::{Hierarchy, Options, Plan, Reader};
use credimg_formats::read::{Account, Limits, NodeKind, Order, Problem, Reader as _, Region, Walk};
use credimg_formats::{ErrorKind, ForwardOnly, Result};

use super::input::Input;
use super::{Target, trees};

pub const TARGET: Target =
    Target { name: "read_iso9660", max_bytes: 64 << 10, memory_max_bytes: 64 << 20, run, seeds };

/// The descriptors come behind it.
const SYSTEM_AREA_BYTES: usize = 32 << 10;
/// What is read of an image that takes long: each path may be a file of the whole image.
const PATHS_MAX: usize = 4096;

fn run(data: &[u8]) {
    let mut image = vec![0; SYSTEM_AREA_BYTES];
    image.extend(data);
    let size_bytes = image.len() as u64;
    let limits = Limits { work_bytes: 16 << 20, ..Limits::for_image(size_bytes) };
    expect(Reader::open(Box::new(image.clone()), limits).and_then(|reader| {
        reader.account(&mut Checked { size_bytes })?;
        walk(&reader, limits)
    }));
    for hierarchy in [Hierarchy::RockRidge, Hierarchy::Joliet, Hierarchy::Plain] {
        let reader = Reader::open_hierarchy(Box::new(image.clone()), limits, hierarchy);
        expect(reader.and_then(|reader| walk(&reader, limits)));
    }
}

fn expect(outcome: Result<()>) {
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
        assert!(reader.xattrs(inode)?.is_empty());
        match step.stat.kind {
            NodeKind::Symlink => {
                assert_eq!(reader.target(inode)?.len() as u64, size_bytes);
            }
            NodeKind::File => {
                let mut sink = ForwardOnly::new(std::io::sink());
                reader.stream(inode, &mut sink)?;
                let mut told = 0;
                reader.extents(inode, &mut |extent| {
                    assert_eq!(extent.file_offset_bytes, told);
                    told += extent.length_bytes;
                    Ok(())
                })?;
                assert_eq!(told, size_bytes);
                let mut end = [0; 64];
                let got = reader.read_at(inode, size_bytes.saturating_sub(32), &mut end)?;
                assert_eq!(got as u64, size_bytes.min(32));
            }
            NodeKind::Directory
            | NodeKind::CharDevice(_)
            | NodeKind::BlockDevice(_)
            | NodeKind::Fifo
            | NodeKind::Socket => {}
        }
    }
    Ok(())
}

/// Each region is within the image, and has fields without a gap where it has any.
struct Checked {
    size_bytes: u64,
}

impl Account for Checked {
    fn region(&mut self, region: Region) -> Result<()> {
        let end = region.offset_bytes.checked_add(region.length_bytes);
        assert!(end.is_some_and(|end| end <= self.size_bytes), "{}", region.title);
        assert!(region.length_bytes > 0, "{}", region.title);
        let fields: u64 = region.fields.iter().map(|field| field.length_bytes).sum();
        let is_whole = region.fields.is_empty() || fields == region.length_bytes;
        assert!(is_whole, "{}", region.title);
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<()> {
        assert!(!problem.message.is_empty());
        Ok(())
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let steps = b"\x00\x03\0\x01d\x00\x00\x05\0\x01f\x04\x01f\0\x01s\x09\x01h\x08\x07\0\x01p\
        \x05\x01\0\x03\0\0\0\0\x01c";
    [false, true]
        .map(|joliet| {
            let tree = trees::tree(&mut Input(steps));
            let options = Options::new().joliet(joliet).cut_fractions(true).lossy(true);
            let plan = Plan::new(&tree, options).expect("a good tree");
            let mut image = Vec::new();
            plan.write(&mut image).expect("room in memory");
            image.split_off(SYSTEM_AREA_BYTES)
        })
        .to_vec()
}
