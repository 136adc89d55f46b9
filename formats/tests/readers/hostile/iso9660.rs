//! Images of ISO 9660 to be changed.

use credimg_formats::iso9660::{Options, Plan};

use super::{Format, bases};
use crate::support::BUILD_TIME;

pub(crate) const FORMAT: Format = Format {
    name: "iso9660",
    lines: include_str!("iso9660.txt"),
    count: 1,
    kept: 0,
    bases: &[("small", || image(false)), ("joliet", || image(true))],
    // Nothing has a checksum.
    mend: |_| {},
};

fn image(joliet: bool) -> Vec<u8> {
    let options = Options::new()
        .volume_id("CHIMERA".parse().unwrap())
        .build_time(BUILD_TIME)
        .joliet(joliet)
        .lossy(joliet);
    let mut image = Vec::new();
    Plan::new(&bases::small(false), options).unwrap().write(&mut image).unwrap();
    image
}
