//! ISO 9660 images judged by others: a checker written from the standards, Linux in a
//! guest, xorriso, isoinfo, bsdtar and blkid. A missing tool fails the test; `make
//! setup` installs them.

mod checker;
mod corpus;
mod edges;
mod guest;
mod reference;

use std::path::Path;

use credimg_formats::iso9660::{Options, Plan, VolumeId};
use credimg_formats::{Timestamp, Tree};

use crate::support::BUILD_TIME;
use crate::support::generator::Shape;
use crate::support::host::SparseSink;

/// What ISO 9660 holds and Linux reads from it: whole seconds of 32 bits with a sign.
/// (-1 is an error to libarchive.)
pub(crate) fn shape() -> Shape {
    let odd = [0, -2, i64::from(i32::MIN), i64::from(i32::MAX)];
    Shape {
        common_time: BUILD_TIME,
        odd_times: odd.map(Timestamp::from_seconds),
        block: 2048,
        xattrs: false,
        iso9660_names: true,
        target_max_bytes: 4095,
    }
}

/// With Joliet lossy: it does not hold all names of the trees.
fn options(joliet: bool) -> Options {
    let volume_id = VolumeId::new(b"cidata").unwrap();
    Options::new().volume_id(volume_id).build_time(BUILD_TIME).joliet(joliet).lossy(joliet)
}

fn write_image(path: &Path, tree: &Tree, joliet: bool) {
    let plan = Plan::new(tree, options(joliet)).unwrap();
    let mut sink = SparseSink::create(path);
    plan.write(&mut sink).unwrap();
    assert_eq!(sink.finish(), plan.size_bytes());
}
