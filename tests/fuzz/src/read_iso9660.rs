//! Images of ISO 9660 behind a system area of zeros, read by each of their trees.

use credimg_formats::Result;
use credimg_formats::iso9660::{Hierarchy, Options, Plan, Reader};
use credimg_formats::read::{Limits, Reader as _};

use super::input::Input;
use super::{Target, images, trees};

pub const TARGET: Target =
    Target { name: "read_iso9660", max_bytes: 64 << 10, memory_max_bytes: 64 << 20, run, seeds };

/// The descriptors come behind it.
const SYSTEM_AREA_BYTES: usize = 32 << 10;

fn run(data: &[u8]) {
    let mut image = vec![0; SYSTEM_AREA_BYTES];
    image.extend(data);
    let size_bytes = image.len() as u64;
    let limits = images::limits(size_bytes);
    images::expect(Reader::open(Box::new(image.clone()), limits).and_then(|reader| {
        reader.account(&mut images::Checked { size_bytes })?;
        walk(&reader, limits)
    }));
    for hierarchy in [Hierarchy::RockRidge, Hierarchy::Joliet, Hierarchy::Plain] {
        let reader = Reader::open_hierarchy(Box::new(image.clone()), limits, hierarchy);
        images::expect(reader.and_then(|reader| walk(&reader, limits)));
    }
}

/// No image of ISO 9660 has extended attributes. Its names are looked up one by one, which
/// takes too long here.
fn walk(reader: &Reader, limits: Limits) -> Result<()> {
    images::walk(reader, limits, &mut |step| {
        assert!(reader.xattrs(step.inode)?.is_empty());
        Ok(())
    })
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
