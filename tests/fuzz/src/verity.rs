//! Hash trees of dm-verity: images as they come, superblocks in an image of their size, and trees
//! of any data, of which one byte is changed.

use std::io::Write;

use credimg_formats::verity::format::SUPER_BLOCK_BYTES;
use credimg_formats::verity::{Algorithm, Data, Found, Options, Writer, find, root_hash, verify};
use credimg_formats::{ErrorKind, read::Storage};

use super::Target;

pub const TARGET: Target =
    Target { name: "verity", max_bytes: 32 << 10, memory_max_bytes: 4 << 20, run, seeds };

const PAGE_BYTES: usize = 4096;

fn run(data: &[u8]) {
    read(data.to_vec());
    superblock(data);
    tree(data);
}

/// Looks for a tree, and compares it with the data.
fn read(image: Vec<u8>) {
    let found = match find(&image) {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}"),
    };
    assert!(found.data_bytes > 0 && found.data_bytes < found.end_bytes);
    assert!(found.end_bytes <= image.len() as u64);
    let root_hash = root_hash(&image, &found).expect("the tree is in the image");
    let problems = verify(&image, &found, &root_hash).expect("it can be read");
    // With the tree's own root hash only what is below can be wrong.
    assert!(problems.kept.iter().all(|problem| problem.offset_bytes.is_some()));
    assert_eq!(Data::new(image, &found).size_bytes().expect("memory"), found.data_bytes);
}

/// Puts the bytes behind a page of data whose blocks are as many as they say.
fn superblock(data: &[u8]) {
    let mut image = vec![1; PAGE_BYTES];
    image.extend_from_slice(b"verity\0\0\x01\0\0\0\x01\0\0\0");
    image.extend_from_slice(data.get(..data.len().min(PAGE_BYTES)).unwrap_or_default());
    image.resize(2 * PAGE_BYTES, 0);
    let start = PAGE_BYTES + 64;
    let size = image.get(start..start + 4).and_then(|size| size.first_chunk().copied());
    let blocks =
        (PAGE_BYTES as u64).checked_div(u32::from_le_bytes(size.unwrap_or_default()).into());
    image[start + 8..start + 16].copy_from_slice(&blocks.unwrap_or(1).to_le_bytes());
    for pages in [2, 3] {
        image.resize(pages * PAGE_BYTES, 0);
        read(image.clone());
    }
}

/// Makes a tree of the bytes as the first of them say, and changes one.
fn tree(data: &[u8]) {
    let Some((head, data)) = data.split_first_chunk::<8>() else { return };
    let [salt, sizes, place @ ..] = head;
    let size = |bits: u8| 512_u32 << (bits & 3);
    let options = Options {
        salt: vec![*salt; usize::from(*salt)],
        uuid: [*sizes; 16],
        data_block_bytes: size(*sizes),
        hash_block_bytes: size(*sizes >> 2),
        algorithm: Algorithm::ALL[usize::from(*sizes >> 4 & 1)],
    };
    let mut image = Vec::new();
    let mut writer = Writer::new(&options, &mut image).expect("sizes that there are");
    for piece in data.chunks(usize::from(*sizes) * 37 + 1) {
        writer.write_all(piece).expect("room in memory");
    }
    let Ok(sealed) = writer.finish() else { return assert!(data.is_empty()) };
    // What begins like a file system may say that it is larger than it is.
    let Some(found) = find(&image).ok().flatten() else { return };
    if found.data_bytes != sealed.data_bytes {
        return;
    }
    assert_eq!(found.options, options);
    assert_eq!(root_hash(&image, &found).expect("it is there"), sealed.root_hash);
    assert!(verify(&image, &found, &sealed.root_hash).expect("memory").is_empty());
    change(
        image,
        &found,
        &sealed.root_hash,
        u64::from_le_bytes([0, 0, place[0], place[1], place[2], place[3], place[4], place[5]]),
    );
}

/// Changes one byte of the data or the tree.
fn change(mut image: Vec<u8>, found: &Found, root_hash: &[u8], place: u64) {
    let hash_block_bytes = u64::from(found.options.hash_block_bytes);
    let tree_start = (found.data_bytes + SUPER_BLOCK_BYTES).next_multiple_of(hash_block_bytes);
    let places = found.data_bytes + found.end_bytes - tree_start;
    let place = place % places;
    let behind = place.checked_sub(found.data_bytes);
    let place = behind.map_or(place, |behind| tree_start + behind);
    image[usize::try_from(place).expect("in memory")] ^= 1;
    assert!(!verify(&image, found, root_hash).expect("memory").is_empty(), "byte {place}");
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (algorithm, data_block_bytes, hash_block_bytes) in [
        (Algorithm::Sha256, 4096, 4096),
        (Algorithm::Sha512, 512, 512),
        (Algorithm::Sha256, 2048, 1024),
    ] {
        let salt = vec![7; 32];
        let options =
            Options { salt, uuid: [9; 16], data_block_bytes, hash_block_bytes, algorithm };
        let mut image = Vec::new();
        let mut writer = Writer::new(&options, &mut image).expect("sizes that there are");
        writer.write_all(&[3; 5000]).expect("room in memory");
        let sealed = writer.finish().expect("room in memory");
        // Behind the signature, version and hash type, as `superblock` has them.
        let start = usize::try_from(sealed.data_bytes).expect("in memory");
        seeds.push(image[start + 16..start + 512].to_vec());
        seeds.push(image);
    }
    seeds
}
