//! Values made of what strangers have: texts, numbers, times, files.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, SystemTime};

use credimg_formats::squashfs::{BlockSize, Compression};
use credimg_formats::{
    Content, DateTime, ErrorKind, Image, Kind, Metadata, Name, Secret, Sink, Timestamp, Tree,
    erofs, iso9660, luks, squashfs,
};

use crate::strangers::scratch;

#[test]
fn labels_and_sizes_are_checked_when_they_are_made() {
    assert_eq!("SECRETS".parse::<erofs::Label>().unwrap().as_bytes(), b"SECRETS");
    assert_eq!(iso9660::VolumeId::try_from("cidata").unwrap().as_bytes(), b"cidata");
    assert_eq!("größe".parse::<luks::Label>().unwrap().as_str(), "größe");
    assert_eq!(BlockSize::try_from(4096).unwrap().bytes(), 4096);
    let long = "x".repeat(48);
    let faults = [
        erofs::Label::try_from(long.as_str()).unwrap_err(),
        erofs::Label::try_from(&b"a\0b"[..]).unwrap_err(),
        long.parse::<iso9660::VolumeId>().unwrap_err(),
        iso9660::VolumeId::try_from(&b"\xff"[..]).unwrap_err(),
        luks::Label::try_from(long.as_str()).unwrap_err(),
        "a\0b".parse::<luks::Label>().unwrap_err(),
    ];
    for fault in faults {
        assert_eq!(fault.kind(), ErrorKind::Unrepresentable, "{fault}");
        assert!(fault.to_string().starts_with("the label "), "{fault}");
    }
    for bytes in [0, 2048, 4097, 2 << 20] {
        assert_eq!(BlockSize::try_from(bytes).unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert_eq!("lzma".parse::<Compression>().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn times_are_those_of_the_system_and_of_texts() {
    let epoch = SystemTime::UNIX_EPOCH;
    for (time, seconds, nanoseconds) in [
        (epoch, 0, 0),
        (epoch + Duration::new(5, 7), 5, 7),
        (epoch - Duration::new(5, 0), -5, 0),
        (epoch - Duration::new(5, 7), -6, 999_999_993),
        (epoch - Duration::new(0, 1), -1, 999_999_999),
    ] {
        assert_eq!(Timestamp::from(time), Timestamp::new(seconds, nanoseconds).unwrap());
    }
    // By `date -u -d TEXT +%s`.
    for (text, seconds) in
        [("951827696", 951_827_696), ("2000-02-29T12:34:56Z", 951_827_696), ("-1", -1)]
    {
        assert_eq!(text.parse::<Timestamp>().unwrap(), Timestamp::from_seconds(seconds));
    }
    let leap = "2000-02-29T12:34:56Z";
    assert_eq!(leap.parse::<DateTime>().unwrap().to_string(), leap);
    for text in ["", "now", "+1", "1.5", "2001-02-29T12:34:56Z", "2000-02-29 12:34:56"] {
        assert_eq!(text.parse::<Timestamp>().unwrap_err().kind(), ErrorKind::Unrepresentable);
    }
}

/// A tree of one file.
fn holding(content: impl Into<Content>) -> Tree {
    let mut tree = Tree::new(Metadata::default());
    let metadata = Metadata::default();
    tree.insert_at("file", metadata.clone(), Kind::file(content), &metadata).unwrap();
    tree
}

#[test]
fn content_of_an_open_file_is_that_of_memory_and_held_to_its_length() {
    let path = scratch("content");
    let bytes = vec![3; 300_000];
    std::fs::write(&path, &bytes).unwrap();
    let image = |tree: &Tree| {
        let plan = erofs::Plan::new(tree, erofs::Options::new()).unwrap();
        let mut image = Vec::new();
        Image::write(&plan, &mut image).map(|_| image)
    };
    let open = || Content::from_file(File::open(&path).unwrap()).unwrap();
    let tree = holding(open());
    let expected = image(&holding(bytes)).unwrap();
    // Twice: from its start on each time.
    assert!(image(&tree).unwrap() == expected);
    assert!(image(&tree).unwrap() == expected);
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(image(&tree).unwrap_err().kind(), ErrorKind::Changed);
    file.set_len(299_999).unwrap();
    let shrunk = image(&tree).unwrap_err();
    assert_eq!((shrunk.kind(), shrunk.path()), (ErrorKind::Changed, Some(&b"/file"[..])));
    let write_only = File::options().write(true).open(&path).unwrap();
    let unreadable = holding(Content::from_file(write_only).unwrap());
    assert_eq!(image(&unreadable).unwrap_err().kind(), ErrorKind::Source);
}

/// EROFS compares such files when it plans: what one holds later must not be another's.
#[test]
fn an_equal_file_that_changes_between_plan_and_writing_is_found() {
    let paths = ["first", "second"].map(|name| scratch(&format!("equal-{name}")));
    for changed in &paths {
        let mut tree = Tree::new(Metadata::default());
        for (name, path) in ["a", "b"].iter().zip(&paths) {
            std::fs::write(path, vec![b'x'; 9000]).unwrap();
            let content = Content::from_file(File::open(path).unwrap()).unwrap();
            let name = Name::new(name.as_bytes()).unwrap();
            tree.insert(Tree::ROOT, name, Metadata::default(), Kind::File(content)).unwrap();
        }
        let plan = erofs::Plan::new(&tree, erofs::Options::new()).unwrap();
        // Longer than a tick.
        std::thread::sleep(Duration::from_millis(25));
        let mut file = File::options().write(true).open(changed).unwrap();
        file.write_all(b"yes").unwrap();
        drop(file);
        assert_eq!(plan.write(&mut Vec::new()).unwrap_err().kind(), ErrorKind::Changed);
    }
}

/// What is announced before is what is written, through the one trait.
#[test]
fn every_plan_is_an_image() {
    let tree = holding(Secret::from(b"hunter2"));
    let erofs = erofs::Plan::new(&tree, erofs::Options::new()).unwrap();
    let squashfs = squashfs::Plan::new(&tree, squashfs::Options::new()).unwrap();
    let iso9660 = iso9660::Plan::new(&tree, iso9660::Options::new()).unwrap();
    let volume_key = luks::VolumeKey::new(&std::array::from_fn(|at| at.to_le_bytes()[0])).unwrap();
    let (passphrase, random) = (Secret::from("key"), Secret::from(vec![1; luks::RANDOM_BYTES]));
    let options = luks::Options::new(luks::Version::Luks1, &passphrase, &volume_key, &random);
    let volume = luks::Plan::new(options.kdf(luks::Kdf::FOR_RANDOM_KEY)).unwrap();
    let images: [&dyn Image; 3] = [&erofs, &squashfs, &iso9660];
    for image in images {
        let mut bytes = b"before".to_vec();
        let size_bytes = image.write(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, 6 + size_bytes);
        assert!(size_bytes.is_multiple_of(4096));
        assert!(image.size_bytes().is_none_or(|planned| planned == size_bytes));
        let mut encrypted = Vec::new();
        let encrypted_bytes = volume.write(image, &mut encrypted).unwrap();
        assert_eq!(encrypted_bytes, volume.payload_offset_bytes() + size_bytes);
        assert_eq!(encrypted.len() as u64, encrypted_bytes);
    }
    assert_eq!(Image::size_bytes(&squashfs), None);
}

/// Whatever an image of a stranger says of itself, the size of the volume is what was written.
#[test]
fn a_volume_is_as_large_as_what_was_written() {
    struct Liar(Option<u64>);
    impl Image for Liar {
        fn size_bytes(&self) -> Option<u64> {
            self.0
        }
        fn write(&self, sink: &mut dyn Sink) -> credimg_formats::Result<u64> {
            sink.write_all(&[1; 8192])?;
            Ok(u64::MAX)
        }
    }
    let volume_key = luks::VolumeKey::new(&std::array::from_fn(|at| at.to_le_bytes()[0])).unwrap();
    let (passphrase, random) = (Secret::from("key"), Secret::from(vec![1; luks::RANDOM_BYTES]));
    let options = luks::Options::new(luks::Version::Luks2, &passphrase, &volume_key, &random);
    let volume = luks::Plan::new(options.kdf(luks::Kdf::FOR_RANDOM_KEY)).unwrap();
    for claim in [None, Some(0), Some(u64::MAX)] {
        let mut image = Vec::new();
        let size_bytes = volume.write(&Liar(claim), &mut image).unwrap();
        assert_eq!((image.len() as u64, size_bytes), (size_bytes, (1 << 20) + 8192));
    }
}
