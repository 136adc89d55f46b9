//! ISO 9660 images judged by others: a checker written from the standards, Linux in a
//! guest, xorriso, isoinfo, bsdtar and blkid. A missing tool fails the test; `make
//! setup` installs them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a panic is how a test fails, and its numbers are small"
)]

mod checker;
mod corpus;
mod edges;
mod guest;
#[path = "../support/permissions.rs"]
mod permissions;
mod reference;
#[expect(dead_code, reason = "isofs is mounted in a guest only")]
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use credimg_formats::iso9660::{Options, Plan, VolumeId};
use credimg_formats::{Timestamp, Tree};

use support::BUILD_TIME;
use support::generator::Shape;
use support::host::SparseSink;

/// What ISO 9660 holds and Linux reads from it: whole seconds of 32 bits with a sign.
/// (-1 is an error to libarchive.)
fn shape() -> Shape {
    let odd = [0, -2, i64::from(i32::MIN), i64::from(i32::MAX)];
    Shape {
        common_time: BUILD_TIME,
        odd_times: odd.map(|seconds| Timestamp { seconds, nanoseconds: 0 }),
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
