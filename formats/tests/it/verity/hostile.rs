//! Superblocks that lie.

use std::io::Write;

use credimg_formats::ErrorKind;
use credimg_formats::verity::format::SuperBlock;
use credimg_formats::verity::{Options, Writer, find, verify};

/// Where the superblock is.
const DATA_BYTES: usize = 1 << 20;

/// An image with a tree, and its root hash.
fn image() -> (Vec<u8>, Vec<u8>) {
    let mut image = Vec::new();
    let mut writer = Writer::new(&Options::default(), &mut image).unwrap();
    writer.write_all(&vec![5; DATA_BYTES]).unwrap();
    let root_hash = writer.finish().unwrap().root_hash;
    (image, root_hash)
}

/// What becomes of an image with these bytes at that place of its superblock.
fn found(field: usize, bytes: &[u8]) -> Option<ErrorKind> {
    let (mut image, root_hash) = image();
    let place = DATA_BYTES + field;
    image[place..place + bytes.len()].copy_from_slice(bytes);
    match find(&image) {
        Ok(None) => None,
        Ok(Some(found)) => {
            assert!(!verify(&image, &found, &root_hash).unwrap().is_empty(), "{field}: {bytes:x?}");
            None
        }
        Err(error) => Some(error.kind()),
    }
}

#[test]
fn a_superblock_that_lies_is_none_or_refused() {
    use std::mem::offset_of;
    let unsupported = Some(ErrorKind::Unsupported);
    let number = u32::to_le_bytes;
    for (field, bytes, expected) in [
        (offset_of!(SuperBlock, signature), b"veritY".to_vec(), None),
        (offset_of!(SuperBlock, version), number(0).to_vec(), unsupported),
        (offset_of!(SuperBlock, version), number(2).to_vec(), unsupported),
        (offset_of!(SuperBlock, hash_type), number(2).to_vec(), unsupported),
        (offset_of!(SuperBlock, algorithm), b"sha1\0\0\0".to_vec(), unsupported),
        (offset_of!(SuperBlock, algorithm), vec![0xff; 32], unsupported),
        (offset_of!(SuperBlock, data_block_bytes), number(0).to_vec(), None),
        (offset_of!(SuperBlock, data_block_bytes), number(u32::MAX).to_vec(), None),
        (offset_of!(SuperBlock, data_block_bytes), number(512).to_vec(), None),
        (offset_of!(SuperBlock, hash_block_bytes), number(0).to_vec(), unsupported),
        (offset_of!(SuperBlock, hash_block_bytes), number(8192).to_vec(), unsupported),
        (offset_of!(SuperBlock, hash_block_bytes), number(512).to_vec(), None),
        (offset_of!(SuperBlock, data_blocks), vec![0; 8], None),
        (offset_of!(SuperBlock, data_blocks), vec![0xff; 8], None),
        (offset_of!(SuperBlock, salt_bytes), vec![0xff, 0xff], unsupported),
        (offset_of!(SuperBlock, salt_bytes), vec![0, 1], None),
    ] {
        assert_eq!(found(field, &bytes), expected, "{field}: {bytes:x?}");
    }
}

/// Blocks of data so large that their number times their size is that of the data.
#[test]
fn blocks_larger_than_any_page_are_refused() {
    let (mut image, _) = image();
    let superblock = &mut image[DATA_BYTES..];
    superblock[64..68].copy_from_slice(&8192_u32.to_le_bytes());
    superblock[72..80].copy_from_slice(&128_u64.to_le_bytes());
    assert_eq!(find(&image).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn an_image_that_is_cut_off_has_no_tree_or_a_bad_one() {
    let (image, root_hash) = image();
    for end in [0, 1, 511, DATA_BYTES, DATA_BYTES + 511, DATA_BYTES + 4096, image.len() - 1] {
        let image = image[..end].to_vec();
        assert_eq!(find(&image).unwrap(), None, "{end}");
    }
    // One that is cut off once the tree was found.
    let found = find(&image).unwrap().unwrap();
    for end in [0, DATA_BYTES, image.len() - 1] {
        let problems = verify(&image[..end].to_vec(), &found, &root_hash).unwrap();
        assert!(problems.kept[0].message.contains("it is cut off"), "{end}");
    }
    for wrong in [&root_hash[..31], b"", &[0; 32], &[root_hash.as_slice(), &[0]].concat()] {
        let problems = verify(&image, &found, wrong).unwrap();
        assert_eq!(problems.kept[0].message, "the image has another root hash");
    }
}
