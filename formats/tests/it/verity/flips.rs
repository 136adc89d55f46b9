//! One changed byte: our verifier finds it where veritysetup does, and only there.

use credimg_formats::verity::{Algorithm, Options, Writer, find, root_hash, verify};

use super::veritysetup::verifies;
use super::{bytes, hexadecimal};
use crate::support::generator::Random;
use crate::support::host::Scratch;

/// The smallest image with two levels: a page of data, superblock, a level of two blocks and one
/// above, all of 512 bytes.
pub(crate) const OPTIONS: Options = Options {
    salt: Vec::new(),
    uuid: [0x3c; 16],
    data_block_bytes: 512,
    hash_block_bytes: 512,
    algorithm: Algorithm::Sha512,
};
/// Where its tree ends: zeros follow up to a page.
pub(crate) const END_BYTES: usize = 8192 + 4 * 512;
/// Where its superblock is.
pub(crate) const DATA_BYTES: usize = 8192;

/// Flips `mask` in each of these bytes in turn, of an image with this salt; returns how many of
/// these changes nobody finds.
pub(crate) fn compare(
    scratch: &Scratch,
    salt: &[u8],
    mask: u8,
    places: impl Iterator<Item = usize>,
) -> usize {
    let options = Options { salt: salt.to_vec(), ..OPTIONS };
    let mut image = Vec::new();
    let mut writer = Writer::new(&options, &mut image).unwrap();
    std::io::Write::write_all(&mut writer, &bytes(&mut Random::new(1), DATA_BYTES)).unwrap();
    let sealed = writer.finish().unwrap();
    assert_eq!((sealed.data_bytes, sealed.size_bytes), (DATA_BYTES as u64, 12_288));
    let (path, root_hash) = (scratch.path("image"), hexadecimal(&sealed.root_hash));
    let mut unfound = 0;
    for place in places {
        let mut image = image.clone();
        image[place] ^= mask;
        std::fs::write(&path, &image).unwrap();
        let theirs = verifies(&path, sealed.data_bytes, &root_hash);
        // A superblock that is none, or of something else, is as bad as a wrong block.
        let found = find(&image).ok().flatten();
        let ours = found
            .is_some_and(|found| verify(&image, &found, &sealed.root_hash).unwrap().is_empty());
        assert_eq!(ours, theirs, "byte {place} flipped by {mask:#x}");
        unfound += usize::from(ours);
    }
    unfound
}

#[test]
fn a_changed_byte_is_found_where_veritysetup_finds_it() {
    let scratch = Scratch::new("verity-flips");
    let superblock = (DATA_BYTES..DATA_BYTES + 512).step_by(11);
    let others = (0..END_BYTES).step_by(409);
    let unfound = compare(&scratch, &[7; 32], 0x01, superblock.chain(others));
    // One of the UUID, two behind the hash's name, the others behind the salt.
    assert_eq!(unfound, 40);
}

/// Linux reads it; veritysetup does not take it for a tree, and neither do we.
#[test]
fn hashes_with_something_behind_them_are_refused() {
    let scratch = Scratch::new("verity-spare");
    let mut image = Vec::new();
    let mut writer = Writer::new(&OPTIONS, &mut image).unwrap();
    std::io::Write::write_all(&mut writer, &bytes(&mut Random::new(1), DATA_BYTES)).unwrap();
    writer.finish().unwrap();
    let found = find(&image).unwrap().unwrap();
    // The block at the top holds two hashes.
    let top = DATA_BYTES + 512;
    for (place, is_good) in [(None, true), (Some(top + 2 * 64), false), (Some(top + 511), false)] {
        let mut image = image.clone();
        if let Some(place) = place {
            image[place] = 1;
        }
        let root_hash = root_hash(&image, &found).unwrap();
        let path = scratch.path("image");
        std::fs::write(&path, &image).unwrap();
        assert_eq!(verifies(&path, DATA_BYTES as u64, &hexadecimal(&root_hash)), is_good);
        assert_eq!(verify(&image, &found, &root_hash).unwrap().is_empty(), is_good, "{place:?}");
    }
}
