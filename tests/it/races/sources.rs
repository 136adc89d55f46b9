//! Sources that are rewritten while they are read, by every kind of writer.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::chance::Chance;
use super::versions::{log, require_log, require_version, version};
use super::{build, content, share, stderr};

/// How the file gets its next version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    InPlace,
    Truncate,
    Rename,
    Append,
    /// One `write` that lasts longer than the clock's ticks.
    Slow,
    /// Through a shared mapping, by another process.
    Mapping,
}

/// Several builders and writers at once, each pair with a file of its own: they wait more than
/// they work.
const PAIRS: usize = 8;

/// Fills a mapping with one number after the other, in bursts and with rests.
const MAPPER: &str = "
import itertools, mmap, random, sys, time
random.seed(int(sys.argv[2]))
with open(sys.argv[1], 'r+b') as file:
    mapping = mmap.mmap(file.fileno(), 0)
for number in itertools.count(1001):
    mapping[:] = number.to_bytes(8, 'little') * (len(mapping) // 8)
    if random.random() < 0.02:
        time.sleep(random.random())
";

impl Writer {
    /// How many builds the whole campaign makes against it.
    fn runs(self) -> usize {
        match self {
            Self::InPlace | Self::Truncate | Self::Rename | Self::Append => 900,
            Self::Mapping => 800,
            Self::Slow => 200,
        }
    }

    /// Lengths in bytes: of less than a page, of some, and more than is kept in memory.
    fn length(self, chance: &mut Chance) -> usize {
        match self {
            Self::Slow => 48 << 20,
            _ => [800, 24_000, 3 << 19][usize::try_from(chance.below(3)).unwrap()],
        }
    }

    fn require(self, bytes: &[u8], length: usize) -> Result<(), String> {
        match self {
            Self::Append => require_log(bytes),
            _ => require_version(bytes, length),
        }
    }

    /// Writes one version after the other until it is told to stop.
    fn run(self, path: &Path, length: usize, chance: &mut Chance, stop: &AtomicBool) {
        for number in 1.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let bytes = version(number, length);
            match self {
                Self::InPlace | Self::Slow => {
                    let file = OpenOptions::new().write(true).open(path).unwrap();
                    assert_eq!(file.write_at(&bytes, 0).unwrap(), length);
                }
                Self::Truncate => {
                    let mut file = File::create(path).unwrap();
                    chance.pause(2);
                    assert_eq!(file.write(&bytes).unwrap(), length);
                }
                Self::Rename => {
                    let new = path.with_extension("new");
                    fs::write(&new, &bytes).unwrap();
                    fs::rename(new, path).unwrap();
                }
                Self::Append => {
                    let mut file = OpenOptions::new().append(true).open(path).unwrap();
                    let next = file.metadata().unwrap().len() / 8;
                    for records in 0..chance.below(20) {
                        let first = next + 3 * records;
                        assert_eq!(file.write(&log(first..first + 3)).unwrap(), 24);
                        chance.pause(3);
                    }
                }
                Self::Mapping => unreachable!("it has a process of its own"),
            }
            chance.pause(150);
        }
    }
}

/// What came of the builds.
#[derive(Default)]
struct Counts {
    whole: AtomicUsize,
    named: AtomicUsize,
}

/// Ends a mapper.
struct Mapper(Child);

impl Drop for Mapper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds against one writer in `directory`.
fn pair(directory: &Path, writer: Writer, stream: usize, runs: usize, counts: &Counts) {
    let mut chance = Chance::new(stream as u64);
    let length = writer.length(&mut chance);
    let source = directory.join("source");
    let first = if writer == Writer::Append { log(0..9) } else { version(0, length) };
    fs::write(&source, first).unwrap();
    fs::write(directory.join("m.yaml"), "files: [{path: /f, file: source}]\n").unwrap();
    let mapper = || {
        let mut command = Command::new("python3");
        command.args(["-c", MAPPER]).arg(&source).arg(stream.to_string());
        Mapper(command.spawn().unwrap())
    };
    let _mapper = (writer == Writer::Mapping).then(mapper);
    while writer == Writer::Mapping && fs::read(&source).unwrap()[0] == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if writer != Writer::Mapping {
            scope.spawn(|| writer.run(&source, length, &mut chance, &stop));
        }
        let _stop = Stop(&stop);
        for _ in 0..runs {
            let output = build(directory, "m.yaml", "out.erofs").output().unwrap();
            let message = stderr(&output);
            match output.status.code() {
                Some(0) => {
                    let bytes = content(&directory.join("out.erofs"), "f");
                    if let Err(fault) = writer.require(&bytes, length) {
                        panic!("{writer:?}, {length} bytes: {fault}");
                    }
                    counts.whole.fetch_add(1, Ordering::Relaxed);
                }
                Some(4) => {
                    assert!(message.contains("source"), "{writer:?} is not named: {message}");
                    counts.named.fetch_add(1, Ordering::Relaxed);
                }
                code => panic!("{writer:?}: exit {code:?}: {message}"),
            }
        }
    });
}

/// Ends a writer, whether the test passes or fails.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Builds `whole` times (of the whole campaign) within `directory` against such writers.
fn campaign(name: &str, directory: &Path, writer: Writer, whole: usize) {
    let (runs, counts) = (share(whole), Counts::default());
    let pairs = PAIRS.min(runs);
    std::thread::scope(|scope| {
        for stream in 0..pairs {
            let place: PathBuf = directory.join(format!("{name}-{stream}"));
            fs::create_dir(&place).unwrap();
            let runs = runs / pairs + usize::from(stream < runs % pairs);
            let counts = &counts;
            scope.spawn(move || pair(&place, writer, stream, runs, counts));
        }
    });
    let (whole, named) = (counts.whole.into_inner(), counts.named.into_inner());
    assert_eq!(whole + named, runs, "{name}");
    println!("{name}: {runs} builds, {whole} whole, {named} refused by name");
}

fn on_disk(name: &str, writer: Writer) {
    campaign(name, TempDir::new().unwrap().path(), writer, writer.runs());
}

#[test]
fn in_place() {
    on_disk("in place", Writer::InPlace);
}

#[test]
fn truncated_and_written() {
    on_disk("truncated and written", Writer::Truncate);
}

#[test]
fn renamed_over() {
    on_disk("renamed over", Writer::Rename);
}

#[test]
fn appended() {
    on_disk("appended", Writer::Append);
}

#[test]
fn one_long_write() {
    on_disk("one long write", Writer::Slow);
}

#[test]
fn mapped() {
    on_disk("mapped", Writer::Mapping);
}

#[test]
fn mapped_in_memory() {
    let directory = TempDir::new_in("/dev/shm").unwrap();
    campaign("mapped in memory", directory.path(), Writer::Mapping, 200);
}

/// A file system that counts whole seconds.
struct WholeSeconds(TempDir);

impl WholeSeconds {
    fn new() -> Self {
        let disk = Self(TempDir::new().unwrap());
        let (image, place) = (disk.0.path().join("image"), disk.place());
        File::create(&image).unwrap().set_len(256 << 20).unwrap();
        fs::create_dir(&place).unwrap();
        let run = |command: &mut Command| assert!(command.status().unwrap().success());
        run(Command::new("mkfs.ext4").args(["-q", "-I", "128"]).arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &place]));
        disk
    }

    fn place(&self) -> PathBuf {
        self.0.path().join("mounted")
    }
}

impl Drop for WholeSeconds {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.place()).status();
    }
}

#[test]
fn whole_seconds() {
    let disk = WholeSeconds::new();
    campaign("whole seconds, in place", &disk.place(), Writer::InPlace, 300);
    campaign("whole seconds, renamed over", &disk.place(), Writer::Rename, 200);
}

/// The campaign is able to fail: an image of a torn file is no whole version.
#[test]
fn an_image_of_a_torn_file_is_seen() {
    let directory = TempDir::new().unwrap();
    let place = directory.path();
    let torn = [version(1, 24_000), version(2, 24_000)].concat();
    fs::write(place.join("source"), &torn[12_000..36_000]).unwrap();
    fs::write(place.join("m.yaml"), "files: [{path: /f, file: source}]\n").unwrap();
    assert!(build(place, "m.yaml", "out.erofs").output().unwrap().status.success());
    let bytes = content(&place.join("out.erofs"), "f");
    assert!(Writer::InPlace.require(&bytes, 24_000).is_err());
}
