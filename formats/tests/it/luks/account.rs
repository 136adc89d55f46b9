//! What is around an encrypted image is judged without a key.

use credimg_formats::luks::Version;
use credimg_formats::read::verify_volume;

use crate::luks::Spec;

fn problems(image: &[u8]) -> Vec<String> {
    let problems = verify_volume(&image.to_vec()).unwrap();
    assert_eq!(problems.more, 0);
    problems.kept.into_iter().map(|problem| problem.message).collect()
}

#[test]
fn damage_that_no_key_guards_is_told() {
    let luks1 = Spec::new(6, Version::Luks1).image();
    let luks2 = Spec::new(6, Version::Luks2).image();
    assert_eq!([problems(&luks1), problems(&luks2)], [vec![""; 0], vec![""; 0]]);
    // Behind a text, between the slots' table and the first material, behind an unused slot.
    for offset in [8 + 31, 4000, 600_000, (2 << 20) - 1] {
        let mut damaged = luks1.clone();
        damaged[offset] ^= 0x10;
        assert_eq!(problems(&damaged).len(), 1, "{offset}");
    }
    // Either header, either JSON area, and behind the key material.
    for (offset, count) in
        [(30, 1), (4096, 1), (16_000, 2), (16_384 + 30, 1), (32_000, 2), ((1 << 20) - 1, 1)]
    {
        let mut damaged = luks2.clone();
        damaged[offset] ^= 0x10;
        assert_eq!(problems(&damaged).len(), count, "{offset}");
    }
    // The key material of a slot that was wiped.
    let mut wiped = luks1.clone();
    for (index, byte) in wiped[262_144..][..256_000].iter_mut().enumerate() {
        *byte = (index % 251) as u8 + 1;
    }
    assert_eq!(problems(&wiped), [""; 0]);
    wiped[300_000..301_000].fill(0);
    assert_eq!(problems(&wiped).len(), 1);
}
