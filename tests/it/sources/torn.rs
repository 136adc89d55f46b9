//! Sources that are written to while they are read, by writers that the times of a file
//! do not betray.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use credimg::manifest::Source;
use credimg::report::Exit;
use credimg_formats::{Content, ErrorKind};

use super::*;

/// Too large to be kept in memory.
const LARGE: usize = 2 << 20;

/// Maps the file that it is told, dirties it, and then fills it with each byte that it reads.
const MAPPER: &str = r#"
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    mapping = mmap.mmap(file.fileno(), 0)
length = len(mapping)
# From now on a write is no fault of a page any more.
mapping[:] = b"a" * length
print(flush=True)
for line in sys.stdin:
    mapping[:] = line.strip().encode() * length
    print(flush=True)
"#;

/// Has a file mapped for writing, and no descriptor of it.
struct Mapper {
    child: Child,
    orders: ChildStdin,
    done: BufReader<ChildStdout>,
}

impl Mapper {
    /// Fills the file with `a`.
    fn new(path: &Path) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", MAPPER]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (orders, done) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut mapper = Self { child, orders, done: BufReader::new(done) };
        mapper.await_done();
        mapper
    }

    fn await_done(&mut self) {
        assert_eq!(self.done.read_line(&mut String::new()).unwrap(), 1, "the mapper is gone");
    }

    fn fill(&mut self, byte: char) {
        writeln!(self.orders, "{byte}").unwrap();
        self.await_done();
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory on the disk, and one in memory, whose files have no times of shared mappings.
fn hosts() -> [Host; 2] {
    [Host::empty(), Host::within("/dev/shm")]
}

/// Waits until the times of the file are those of the past.
fn let_settle() {
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn what_is_mapped_for_writing_is_refused_though_no_time_tells() {
    for host in hosts() {
        for (length, is_planned) in [(20_000, false), (LARGE, true)] {
            let path = host.write("mapped", vec![0; length]);
            let mut mapper = Mapper::new(&path);
            let_settle();
            let before = fs::metadata(&path).unwrap();
            let entries = || vec![entry("/mapped", Source::File(path.clone()))];
            let expected = "mapped: another process has it mapped for writing";
            if is_planned {
                let tree = build(entries()).unwrap();
                let error = content_of(&tree, "/mapped").stream(&mut Seen::default()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Changed);
                assert_contains(&error.to_string(), expected);
            } else {
                assert_contains(&failure(entries(), &settings()).message, expected);
            }
            mapper.fill('b');
            let after = fs::metadata(&path).unwrap();
            assert_eq!(before.modified().unwrap(), after.modified().unwrap(), "the time told it");
            drop(mapper);
            let tree = build(entries()).unwrap();
            assert!(read(&tree, "/mapped") == vec![b'b'; length]);
        }
    }
}

#[test]
fn an_archive_that_is_mapped_for_writing_is_refused() {
    let host = Host::empty();
    let path = host.write("a.tar", vec![0; 10_240]);
    let _mapper = Mapper::new(&path);
    let (exit, message) = failure_of(Source::Tar(path));
    assert_eq!(exit, Exit::Source);
    assert_contains(&message, "a.tar: another process has it mapped for writing");
}

/// Who has a descriptor and nothing else is told from who maps, and read twice.
#[test]
fn what_changes_between_two_readings_is_found() {
    let host = Host::empty();
    for length in [20_000, LARGE] {
        let path = host.write("open", vec![b'a'; length]);
        let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
        let tree = build(vec![entry("/open", Source::File(path.clone()))]).unwrap();
        assert!(matches!(content_of(&tree, "/open"), Content::Stream { .. }));
        assert!(read(&tree, "/open") == vec![b'a'; length]);
        writer.write_all(b"b").unwrap();
        let error = content_of(&tree, "/open").stream(&mut Seen::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
        drop(writer);
        let tree = build(vec![entry("/open", Source::File(path))]).unwrap();
        let is_small = matches!(content_of(&tree, "/open"), Content::Memory(_));
        assert_eq!(is_small, length < LARGE);
    }
}

#[test]
fn a_file_that_somebody_keeps_open_but_leaves_alone_can_be_stored() {
    let host = Host::empty();
    let (small, large) = (host.write("small", "secret"), host.write("large", vec![7; LARGE]));
    let mut open = OpenOptions::new();
    let _writers = [open.append(true).open(&small).unwrap(), open.open(&large).unwrap()];
    let files = [("/small", &small), ("/large", &large)];
    let entries = files.map(|(name, path)| entry(name, Source::File(path.clone())));
    let tree = build(entries.into()).unwrap();
    assert_eq!(read(&tree, "/small"), b"secret");
    assert!(read(&tree, "/large") == vec![7; LARGE]);
}

/// One `write` sets the times when it begins.
#[test]
fn one_long_write_is_found() {
    const LENGTH: usize = 256 << 20;
    let host = Host::empty();
    let path = host.write("long", "");
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(LENGTH as u64).unwrap();
    let new = vec![b'n'; LENGTH];
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = file;
            begun.store(true, Ordering::Relaxed);
            assert_eq!(std::os::unix::fs::FileExt::write_at(&file, &new, 0).unwrap(), LENGTH);
        });
        while !begun.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        // Now the change time is older than the clock's ticks.
        std::thread::sleep(Duration::from_millis(30));
        let tree = build(vec![entry("/long", Source::File(path.clone()))]).unwrap();
        let mut seen = Seen::default();
        match content_of(&tree, "/long").stream(&mut seen) {
            Ok(()) => assert!(seen.0 == [0].into() || seen.0 == [b'n'].into(), "{:?}", seen.0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Changed),
        }
    });
}

/// The bytes that occur, as far as they fill whole pieces; of others the first and the last.
#[derive(Default)]
struct Seen(std::collections::BTreeSet<u8>);

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A comparison of memory: a loop takes longer than the write that is waited for.
        if bytes.len() > 1 && bytes[1..] != bytes[..bytes.len() - 1] {
            self.0.extend([0, b'n']);
        }
        self.0.extend(bytes.first());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Seen {}

/// A file system that counts whole seconds: ext4 with the inodes of ext3.
struct WholeSeconds(Host);

impl WholeSeconds {
    fn new() -> Self {
        let host = Host::empty();
        let (image, place) = (host.write("image", ""), host.path("mounted"));
        File::create(&image).unwrap().set_len(16 << 20).unwrap();
        fs::create_dir(&place).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-I", "128"]).arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &place]));
        Self(host)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.0.write(Path::new("mounted").join(name), content)
    }
}

impl Drop for WholeSeconds {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path("mounted")).status();
    }
}

#[track_caller]
fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Two writes within a second leave the same times there.
#[test]
fn a_rewrite_within_a_whole_second_is_found() {
    let disk = WholeSeconds::new();
    let large = disk.write("large", vec![b'a'; LARGE]);
    let stat = rustix::fs::stat(&large).unwrap();
    assert_eq!(stat.st_ctime_nsec, 0, "this file system counts nanoseconds");
    let mut waits = 0;
    let mut progress = |step: Step| waits += u32::from(step.doing == Doing::Waiting);
    let plan = plan(vec![entry("/large", Source::File(large.clone()))]);
    let tree = assemble(&plan, &settings(), &mut progress).unwrap().tree;
    fs::write(&large, vec![b'b'; LARGE]).unwrap();
    let error = content_of(&tree, "/large").stream(&mut Seen::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert!(waits > 0, "nobody was told of the wait");
}

/// So do two changes of a directory.
#[test]
fn a_directory_is_listed_when_its_second_is_past() {
    let disk = WholeSeconds::new();
    disk.write("tree/a", "a");
    let tree = disk.0.path("mounted/tree");
    let (began, stat) = (SystemTime::now(), rustix::fs::stat(&tree).unwrap());
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(stat.st_ctime.unsigned_abs());
    build(vec![entry("/", Source::Dir(tree))]).unwrap();
    assert!(began < changed + Duration::from_secs(1), "the machine is too slow for this test");
    assert!(SystemTime::now() >= changed + Duration::from_secs(1));
}

/// An archive that is open is read twice as a whole, and its streamed members once more.
#[test]
fn an_open_archive_is_read_twice() {
    let host = Host::empty();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, length) in [("small", 10), ("large", LARGE)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(length as u64);
        header.set_mode(0o600);
        archive.append_data(&mut header, name, &*vec![b'x'; length]).unwrap();
    }
    let path = host.write("a.tar", archive.into_inner().unwrap());
    let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
    let tree = build(vec![entry("/", Source::Tar(path.clone()))]).unwrap();
    assert!(read(&tree, "/large") == vec![b'x'; LARGE]);
    writer.write_all(b"l").unwrap();
    let error = content_of(&tree, "/large").stream(&mut Seen::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert_contains(&error.to_string(), "a.tar changed while it was read");
}
