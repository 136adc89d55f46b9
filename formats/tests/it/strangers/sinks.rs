//! What strangers write images into: memory and files, from their start or from any place,
//! through references and buffers, and into what cannot go back.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Cursor, Read, Seek, SeekFrom, Write};

use credimg_formats::{
    Content, ErrorKind, ForwardOnly, Kind, Metadata, Name, Secret, Sink, Tree, erofs, iso9660,
    luks, squashfs,
};

use crate::strangers::scratch;

/// Longer than any start that a writer keeps.
const PREFIX: [u8; 5000] = [0xa5; 5000];

fn tree() -> Tree {
    let mut tree = Tree::new(Metadata::default());
    let content = Content::Memory(Secret::new(vec![7; 10_000]));
    let name = Name::new(b"token").unwrap();
    tree.insert(Tree::ROOT, name, Metadata::default(), Kind::File(content)).unwrap();
    tree
}

/// Writes one of the formats, the last one in LUKS.
fn write(format: usize, tree: &Tree, sink: &mut dyn Sink) -> credimg_formats::Result<()> {
    match format {
        0 => erofs::Plan::new(tree, erofs::Options::new())?.write(sink).map(drop),
        1 => iso9660::Plan::new(tree, iso9660::Options::new())?.write(sink).map(drop),
        2 => squashfs::Plan::new(tree, squashfs::Options::new())?.write(sink).map(drop),
        _ => {
            let key: [u8; 64] = std::array::from_fn(|at| u8::try_from(at).unwrap());
            let volume_key = luks::VolumeKey::new(&key)?;
            let passphrase = Secret::from(&b"correct horse"[..]);
            let random = Secret::new(vec![9; luks::RANDOM_BYTES]);
            let version = luks::Version::Luks2;
            let options = luks::Options::new(version, &passphrase, &volume_key, &random);
            let plan = luks::Plan::new(options.kdf(luks::Kdf::FOR_RANDOM_KEY))?;
            let mut writer = plan.begin(sink);
            write(2, tree, &mut writer)?;
            writer.finish().map(drop)
        }
    }
}

const FORMATS: std::ops::Range<usize> = 0..4;
/// Those that want their first bytes written last.
fn goes_back(format: usize) -> bool {
    format >= 2
}

fn expected(format: usize) -> Vec<u8> {
    let mut image = Vec::new();
    write(format, &tree(), &mut image).unwrap();
    image
}

fn content(file: &mut File, from: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn memory_keeps_what_it_holds_before_the_image() {
    for format in FORMATS {
        let (tree, expected) = (tree(), expected(format));
        let mut memory = PREFIX.to_vec();
        write(format, &tree, &mut memory).unwrap();
        assert!(memory == [&PREFIX[..], &expected].concat(), "{format}");

        // Two images, one behind the other, through references and a box.
        let mut both = Vec::new();
        write(format, &tree, &mut &mut both).unwrap();
        let mut boxed: Box<dyn Sink> = Box::new(&mut both);
        write(format, &tree, &mut boxed).unwrap();
        drop(boxed);
        assert!(both == expected.repeat(2), "{format}");

        let mut cursor = Cursor::new(vec![1; PREFIX.len() + 3]);
        cursor.set_position(PREFIX.len() as u64);
        write(format, &tree, &mut cursor).unwrap();
        assert_eq!(cursor.position(), (PREFIX.len() + expected.len()) as u64);
        assert!(cursor.into_inner() == [&[1; 5000][..], &expected].concat(), "{format}");

        let mut array = vec![0; expected.len()];
        write(format, &tree, &mut Cursor::new(array.as_mut_slice())).unwrap();
        assert!(array == expected, "{format}");
    }
}

#[test]
fn a_file_holds_the_image_from_its_offset_on() {
    let path = scratch("sink-file");
    for format in FORMATS {
        let (tree, expected) = (tree(), expected(format));
        let mut file = File::create(&path).unwrap();
        file.write_all(&PREFIX).unwrap();
        write(format, &tree, &mut file).unwrap();
        assert_eq!(file.stream_position().unwrap(), (PREFIX.len() + expected.len()) as u64);
        // Behind a buffer, and over what is there already.
        let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        assert!(content(&mut file, 0) == [&PREFIX[..], &expected].concat(), "{format}");
        file.seek(SeekFrom::Start(1000)).unwrap();
        let mut buffered = BufWriter::new(file);
        write(format, &tree, &mut buffered).unwrap();
        let mut file = buffered.into_inner().unwrap();
        let found = content(&mut file, 0);
        assert!(found[..1000] == PREFIX[..1000], "{format}");
        assert!(found[1000..1000 + expected.len()] == expected, "{format}");
    }
}

/// Linux writes to the end of such a file wherever it is told to write.
#[test]
fn a_file_that_is_appended_to_is_refused_before_the_first_byte_or_right() {
    let path = scratch("sink-append");
    for format in FORMATS {
        std::fs::write(&path, PREFIX).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        let outcome = write(format, &tree(), &mut file);
        let found = std::fs::read(&path).unwrap();
        if goes_back(format) {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Io, "{format}");
            assert!(found == PREFIX, "{format}");
        } else {
            outcome.unwrap();
            assert!(found == [&PREFIX[..], &expected(format)].concat(), "{format}");
        }
    }
}

#[test]
fn a_pipe_takes_what_is_written_front_to_back() {
    for format in FORMATS {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let all = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes).unwrap()
        });
        let mut sink = ForwardOnly::new(writer);
        let outcome = write(format, &tree(), &mut sink);
        // A pipe that was opened as a file knows what it is.
        let mut file = File::from(std::os::fd::OwnedFd::from(sink.into_inner()));
        assert!(file.rewrite(0, &[]).is_err());
        drop(file);
        let found = all.join().unwrap();
        if goes_back(format) {
            let error = outcome.unwrap_err();
            assert!(error.to_string().contains("start can be written last"), "{error}");
            assert!(found.is_empty(), "{format}");
        } else {
            outcome.unwrap();
            assert!(found == expected(format), "{format}");
        }
    }
}

#[test]
fn nothing_is_rewritten_that_was_not_written() {
    let mut memory = vec![0; 10];
    let mut cursor = Cursor::new(vec![0; 10]);
    cursor.set_position(10);
    let mut file = File::create(scratch("sink-rewrite")).unwrap();
    file.write_all(&[0; 10]).unwrap();
    let sinks: [&mut dyn Sink; 3] = [&mut memory, &mut cursor, &mut file];
    for sink in sinks {
        for (back, length) in [(0, 1), (3, 4), (11, 1), (u64::MAX, 1)] {
            let error = sink.rewrite(back, &vec![1; length]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{back} {length}");
        }
        sink.rewrite(10, &[2]).unwrap();
        sink.rewrite(1, &[3]).unwrap();
    }
    assert_eq!(memory, [2, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(cursor.into_inner(), memory);
}

/// Plans and what they borrow may go to other threads, and be written by several at once.
#[test]
fn trees_and_plans_are_shared_by_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Tree>();
    is_shared::<Content>();
    is_shared::<erofs::Plan<'_>>();
    is_shared::<squashfs::Plan<'_>>();
    is_shared::<iso9660::Plan<'_>>();
    is_shared::<luks::Plan<'_>>();
    is_shared::<credimg_formats::Error>();
    let tree = tree();
    let plan = squashfs::Plan::new(&tree, squashfs::Options::new()).unwrap();
    let image = || {
        let mut image = Vec::new();
        plan.write(&mut image).map(|_| image).unwrap()
    };
    let (one, other) = std::thread::scope(|scope| {
        let (one, other) = (scope.spawn(image), scope.spawn(image));
        (one.join().unwrap(), other.join().unwrap())
    });
    assert!(one == other && one == expected(2));
}
