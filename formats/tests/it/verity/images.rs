//! Images of every format, in LUKS or not, with a tree: made in one pass, and read again.

use std::io::{Cursor, Write};
use std::sync::Arc;

use credimg_formats::luks::{self, Header, Kdf, RANDOM_BYTES, Version, VolumeKey};
use credimg_formats::read::{
    Digests, Limits, Seekable, Storage, dump, open, verify, verify_volume,
};
use credimg_formats::verity::{self, Data, Options, Writer, find};
use credimg_formats::{Format, Image, Secret, Sink, Spec, Tree, erofs, iso9660, squashfs};

use super::veritysetup::format;
use super::{bytes, hexadecimal};
use crate::support::generator::Random;
use crate::support::host::Scratch;
use crate::support::{BUILD_TIME, file, name, plain};

const PASSPHRASE: &str = "a passphrase of the tests";

fn options(format: Format) -> Options {
    let data_block_bytes = if format == Format::Iso9660 { 2048 } else { 4096 };
    Options { salt: vec![9; 32], uuid: [7; 16], data_block_bytes, ..Options::default() }
}

/// Lays out one file of this content.
fn planned<T>(format: Format, content: &[u8], make: impl FnOnce(&dyn Image) -> T) -> T {
    let mut tree = Tree::new(plain(0o755));
    tree.insert(Tree::ROOT, name("secret"), plain(0o400), file(content)).unwrap();
    let spec = match format {
        Format::Erofs => Spec::Erofs(erofs::Options::new().build_time(BUILD_TIME)),
        Format::Squashfs => Spec::Squashfs(squashfs::Options::new().build_time(BUILD_TIME)),
        Format::Iso9660 => Spec::Iso9660(iso9660::Options::new().build_time(BUILD_TIME)),
    };
    make(&*spec.plan(&tree).unwrap())
}

/// Writes an image into whatever `adapter` puts around a sink.
fn volume(version: Version, make: impl FnOnce(&luks::Plan<'_>)) {
    let mut random = Random::new(4);
    let volume_key = VolumeKey::new(random.bytes(64).first_chunk().unwrap()).unwrap();
    let passphrase = Secret::from(PASSPHRASE);
    let noise = Secret::new(random.bytes(RANDOM_BYTES));
    let options = luks::Options::new(version, &passphrase, &volume_key, &noise)
        .kdf(Kdf::Pbkdf2 { iterations: 1000 });
    make(&luks::Plan::new(options).unwrap());
}

/// Has veritysetup make the tree of the same data anew.
fn assert_is_of_veritysetup(
    scratch: &Scratch,
    image: &[u8],
    sealed: &verity::Sealed,
    options: &Options,
) {
    let path = scratch.path("image");
    std::fs::write(&path, &image[..sealed.data_bytes as usize]).unwrap();
    assert_eq!(format(&path, sealed.data_bytes, options), hexadecimal(&sealed.root_hash));
    assert!(std::fs::read(&path).unwrap() == image);
    assert_eq!(sealed.size_bytes, image.len() as u64);
}

/// Reads an image as one without a tree, and looks at each of its bytes.
fn assert_is_read(storage: &Arc<dyn Storage>, sealed: &verity::Sealed, content: &[u8]) {
    let found = find(storage).unwrap().unwrap();
    assert_eq!(found.data_bytes, sealed.data_bytes);
    assert!(verity::verify(storage, &found, &sealed.root_hash).unwrap().is_empty());
    let data = Box::new(Data::new(Arc::clone(storage), &found));
    let limits = Limits::for_image(found.data_bytes);
    let reader = open(data, limits).unwrap();
    let secret = reader.lookup(reader.root(), b"secret").unwrap().unwrap();
    let mut read = vec![0; content.len() + 1];
    assert_eq!(reader.read_at(secret, 0, &mut read).unwrap(), content.len());
    assert!(read[..content.len()] == *content);
    let report = verify(&*reader, storage, limits).unwrap();
    assert_eq!(report.problems.kept, []);
    let mut text = Vec::new();
    let problems = dump(&*reader, storage, Digests::Shown, &mut text).unwrap();
    assert_eq!(problems.kept, []);
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("# dm-verity superblock") && text.contains("hashes of level 0"),
        "{text}"
    );
}

#[test]
fn every_format_is_sealed_in_one_pass() {
    let scratch = Scratch::new("verity-images");
    for format in Format::ALL {
        let content = bytes(&mut Random::new(1), 700_001);
        let options = options(format);
        planned(format, &content, |plan| {
            let mut image = Vec::new();
            let mut writer = Writer::new(&options, &mut image).unwrap();
            plan.write(&mut writer).unwrap();
            let sealed = writer.finish().unwrap();
            let mut alone = Vec::new();
            plan.write(&mut alone).unwrap();
            assert!(image.starts_with(&alone), "{format}");
            assert_is_of_veritysetup(&scratch, &image, &sealed, &options);
            let storage: Arc<dyn Storage> = Arc::new(image);
            assert_is_read(&storage, &sealed, &content);
        });
    }
}

/// LUKS2 is inside the tree, which is made of ciphertext.
#[test]
fn every_format_is_sealed_around_luks2() {
    let scratch = Scratch::new("verity-luks2");
    for format in Format::ALL {
        let content = bytes(&mut Random::new(2), 70_001);
        let options = Options { data_block_bytes: 4096, ..options(format) };
        let (mut image, mut sealed) = (Vec::new(), None);
        volume(Version::Luks2, |plan| {
            let writer = Writer::new(&options, &mut image).unwrap();
            let mut writer = writer.rewritable_at(plan.payload_offset_bytes());
            planned(format, &content, |image| plan.write(image, &mut writer).unwrap());
            sealed = Some(writer.finish().unwrap());
        });
        let sealed = sealed.unwrap();
        assert_is_of_veritysetup(&scratch, &image, &sealed, &options);
        assert_eq!(verify_volume(&image).unwrap().kept, [], "{format}");
        let found = find(&image).unwrap().unwrap();
        assert_eq!(found.data_bytes, sealed.data_bytes);
        image.truncate(found.data_bytes as usize);
        let mut volume = Cursor::new(image);
        let header = Header::read(&mut volume).unwrap();
        let plain = Seekable::new(header.open(volume, PASSPHRASE.as_bytes()).unwrap());
        let limits = Limits::for_image(found.data_bytes);
        let reader = open(Box::new(plain), limits).unwrap();
        assert!(reader.lookup(reader.root(), b"secret").unwrap().is_some(), "{format}");
    }
}

/// The tree is inside LUKS1, which QEMU opens.
#[test]
fn every_format_is_sealed_inside_luks1() {
    for format in Format::ALL {
        let content = bytes(&mut Random::new(3), 700_001);
        let options = options(format);
        let (mut image, mut sealed) = (Vec::new(), None);
        volume(Version::Luks1, |plan| {
            let mut volume = plan.begin(&mut image);
            let mut writer = Writer::new(&options, &mut volume).unwrap();
            planned(format, &content, |image| image.write(&mut writer).unwrap());
            sealed = Some(writer.finish().unwrap());
            volume.finish().unwrap();
        });
        assert_eq!(find(&image).unwrap(), None, "{format}");
        let mut volume = Cursor::new(image);
        let header = Header::read(&mut volume).unwrap();
        let plain = header.open(volume, PASSPHRASE.as_bytes()).unwrap();
        let storage: Arc<dyn Storage> = Arc::new(Seekable::new(plain));
        assert_is_read(&storage, &sealed.unwrap(), &content);
    }
}

/// A disk may be larger than the image on it.
#[test]
fn a_tree_is_found_on_a_larger_disk() {
    for format in Format::ALL {
        planned(format, b"secret", |plan| {
            let mut image = Vec::new();
            let mut writer = Writer::new(&options(format), &mut image).unwrap();
            plan.write(&mut writer).unwrap();
            let sealed = writer.finish().unwrap();
            image.write_zeros(1 << 20).unwrap();
            let found = find(&image).unwrap().unwrap();
            assert_eq!(found.data_bytes, sealed.data_bytes, "{format}");
            assert!(verity::verify(&image, &found, &sealed.root_hash).unwrap().is_empty());
        });
    }
}

/// A file that holds an image with a tree is content, even if it ends where the image does.
#[test]
fn a_tree_inside_a_file_is_none_of_the_image() {
    let mut image = Vec::new();
    planned(Format::Erofs, &vec![1; 700_000], |plan| plan.write(&mut image).unwrap());
    assert_eq!(find(&image).unwrap(), None);
    // The file system says that it is all of this: so the tree is within it.
    let data_bytes = image.len();
    let mut planted = image.clone();
    let mut writer = Writer::new(&Options::default(), &mut image).unwrap();
    writer.write_all(&planted).unwrap();
    let sealed = writer.finish().unwrap();
    planted.extend(&image[2 * data_bytes..]);
    assert_eq!(planted.len() as u64, sealed.size_bytes);
    assert!(find(&planted).unwrap().is_some());
    let blocks = (planted.len() / 4096) as u32;
    let field = 1024 + std::mem::offset_of!(erofs::format::SuperBlock, blocks);
    planted[field..field + 4].copy_from_slice(&blocks.to_le_bytes());
    assert_eq!(find(&planted).unwrap(), None);
}
