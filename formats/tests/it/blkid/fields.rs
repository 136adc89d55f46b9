//! Other fields of EROFS's superblock that lie where another file system has its magic.

use credimg_formats::erofs::format::{SuperBlock, checksum, is_mistaken_for_ext2};
use credimg_formats::erofs::{Label, Options, Plan};
use credimg_formats::{ErrorKind, Timestamp, Tree};
use zerocopy::{FromBytes, IntoBytes};

use crate::blkid::counts::{EROFS, LABEL, LARGE_BYTES};
use crate::blkid::judge::{all_say, assert_all};
use crate::support::host::Scratch;
use crate::support::plain;

/// A UUID of no version, with the magic of ext2 in it.
const EXT2: [u8; 16] = *b"\x12\x34\x56\x78\x9a\xbc\x4d\xef\x53\xef\x12\x34\x56\x78\x9a\xbc";

fn image(uuid: [u8; 16], seconds: i64) -> Result<Vec<u8>, credimg_formats::Error> {
    let tree = Tree::new(plain(0o755));
    let label = Label::new(LABEL.as_bytes()).unwrap();
    let build_time = Timestamp::from_seconds(seconds);
    let mut image = Vec::new();
    let options = Options::new().label(label).uuid(uuid).build_time(build_time);
    Plan::new(&tree, options)?.write(&mut image)?;
    Ok(image)
}

/// libblkid 2.38 finds ext2 at any time of the image, 2.42 at a time before 256: there the
/// block size of ext2 has its place.
#[test]
fn a_uuid_with_the_magic_of_ext2_is_refused() {
    assert!(is_mistaken_for_ext2(&EXT2));
    let error = image(EXT2, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrepresentable);
    let expected = "with a UUID whose fourth group is 53ef the image would pass for ext2";
    assert_eq!(error.to_string(), expected);

    // What it would have been.
    let scratch = Scratch::new("blkid-uuid");
    let path = scratch.path("image");
    let mut image = image([0; 16], 0).unwrap();
    let behind = &mut image[1024..4096];
    let (record, _) = SuperBlock::read_from_prefix(behind).unwrap();
    let mut record = SuperBlock { uuid: EXT2, checksum: 0.into(), ..record };
    behind[..128].copy_from_slice(record.as_bytes());
    record.checksum = checksum(behind).into();
    behind[..128].copy_from_slice(record.as_bytes());
    std::fs::write(&path, &image).unwrap();
    for said in all_say(&path) {
        assert!(said.contains("TYPE=\"ext2\""), "{said}");
    }
}

/// The time lies where the third MINIX file system has its magic.
#[test]
fn no_uuid_of_rfc_9562_and_no_time_of_the_image_hides_the_label() {
    let scratch = Scratch::new("blkid-fields");
    let minix_3 = [0x4d5a, 0x5a4d].map(|low| 0x6553_0000 | low);
    let uuids = (0x80..=0xbf).map(|ninth| {
        let mut uuid = EXT2;
        uuid[8] = ninth;
        uuid
    });
    let mut images = Vec::new();
    for (index, uuid) in uuids.enumerate() {
        for seconds in [0, 1, 255, -1].into_iter().chain(minix_3) {
            let path = scratch.path(&format!("{index}.{seconds}"));
            let mut image = image(uuid, seconds).unwrap();
            image.resize(LARGE_BYTES as usize, 0);
            std::fs::write(&path, image).unwrap();
            images.push(path);
        }
    }
    assert_all(&images, EROFS);
}
