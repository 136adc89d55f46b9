//! The machine's own disk is the one that it boots from, wherever our arguments stand.

use crate::support::places::{Places, ROOTS};

const PCS: [&str; 2] = ["pc", "q35"];

#[test]
fn the_default_disk_displaces_no_root_of_a_pc() {
    let places = Places::new();
    let ours = places.build("c.erofs", &[]);
    assert_eq!(places.failures(&PCS, &ROOTS, &ours), [""; 0]);
}

#[test]
fn three_disks_displace_no_root_of_a_pc() {
    let places = Places::new();
    let ours = [
        places.build("c.erofs", &[]),
        places.build("d.squashfs", &["--place", "2"]),
        places.build("e.iso", &["--place", "3"]),
    ];
    assert_eq!(places.failures(&PCS, &ROOTS, &ours.join(" ")), [""; 0]);
}
