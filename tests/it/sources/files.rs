//! `file:` sources, and what is found out when they are streamed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use credimg::manifest::Source;
use credimg::report::Exit;
use credimg_formats::{Content, ErrorKind};
use rustix::fs::{AtFlags, CWD, FileType, Timestamps, utimensat};

use super::*;

/// Too large to be kept in memory.
const LARGE: usize = (1 << 20) + 1;

fn large_file(host: &Host) -> PathBuf {
    let content: Vec<u8> = (0..LARGE).map(|i| u8::try_from(i % 251).unwrap()).collect();
    host.write("large", content)
}

/// How streaming fails after `change` was done to a file that is planned already.
#[track_caller]
fn kind_after(change: impl FnOnce(&Path)) -> ErrorKind {
    let host = Host::empty();
    let path = large_file(&host);
    let tree = build(vec![entry("/large", Source::File(path.clone()))]).unwrap();
    change(&path);
    let mut bytes = Vec::new();
    let error = content_of(&tree, "/large").stream(&mut bytes).unwrap_err();
    assert_contains(&error.to_string(), "large");
    assert!(bytes.is_empty(), "{} bytes of another file got through", bytes.len());
    error.kind()
}

#[test]
fn small_and_large_files_come_through() {
    let host = Host::empty();
    let small = host.write("small", "secret");
    let empty = host.write("empty", "");
    let large = large_file(&host);
    let entries = vec![
        entry("/a/b/small", Source::File(small)),
        entry("/empty", Source::File(empty)),
        entry("/large", Source::File(large.clone())),
    ];
    let tree = build(entries).unwrap();
    assert_eq!(read(&tree, "/a/b/small"), b"secret");
    assert!(matches!(content_of(&tree, "/a/b/small"), Content::Memory(_)));
    assert_eq!(read(&tree, "/empty"), b"");
    assert!(matches!(content_of(&tree, "/large"), Content::Stream { .. }));
    assert_eq!(read(&tree, "/large"), fs::read(large).unwrap());
}

#[test]
fn a_symbolic_link_to_a_file_is_followed() {
    let host = Host::empty();
    host.write("real", "secret");
    symlink("real", host.path("link")).unwrap();
    let large = large_file(&host);
    symlink(&large, host.path("large-link")).unwrap();
    let tree = build(vec![
        entry("/a", Source::File(host.path("link"))),
        entry("/b", Source::File(host.path("large-link"))),
    ]);
    let tree = tree.unwrap();
    assert_eq!(read(&tree, "/a"), b"secret");
    assert_eq!(read(&tree, "/b").len(), LARGE);
}

#[test]
fn keep_takes_the_attributes_of_the_file() {
    let host = Host::empty();
    let path = host.write("a", "x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
    set_time(&path, -3, 5);
    let tree = build(vec![
        entry_with("/kept", Source::File(path.clone()), keep()),
        entry("/given", Source::File(path.clone())),
    ]);
    let tree = tree.unwrap();
    let stat = fs::metadata(&path).unwrap();
    let kept = attributes(&inode(&tree, "/kept").metadata);
    assert_eq!(kept, (0o4751, stat.uid(), stat.gid(), -3, 5));
    let given = attributes(&inode(&tree, "/given").metadata);
    assert_eq!(given, (0o400, 0, 0, BUILD_TIME.seconds(), 0));
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let host = Host::empty();
    let _listener = std::os::unix::net::UnixListener::bind(host.path("socket")).unwrap();
    symlink("/dev/zero", host.path("to-device")).unwrap();
    symlink("loop", host.path("loop")).unwrap();
    fs::create_dir(host.path("directory")).unwrap();
    let cases = [
        (host.node("fifo", FileType::Fifo), "fifo is a FIFO, expected a regular file"),
        (host.path("socket"), "socket is a socket"),
        (PathBuf::from("/dev/zero"), "/dev/zero is a character device"),
        (host.path("to-device"), "is a character device"),
        (host.path("loop"), "too many levels of symbolic links"),
        (host.path("directory"), "directory is a directory"),
        (host.path("missing"), "no such file or directory"),
        (host.path("missing\u{1b}[2J\n"), r#"missing\u{1b}[2J\n""#),
    ];
    for (path, expected) in cases {
        let started = Instant::now();
        let (exit, message) = failure_of(Source::File(path));
        assert_contains(&message, expected);
        assert_eq!(exit, Exit::Source);
        assert!(started.elapsed() < Duration::from_secs(1), "{message} took too long");
    }
}

#[test]
fn files_that_lie_about_their_size_are_refused_at_once() {
    for path in ["/proc/self/environ", "/proc/self/mountinfo", "/proc/kallsyms"] {
        let started = Instant::now();
        let (exit, message) = failure_of(Source::File(path.into()));
        assert_contains(&message, "changed while it was read: expected 0 bytes, got more");
        assert_eq!(exit, Exit::Source);
        assert!(started.elapsed() < Duration::from_secs(1), "{path} took too long");
    }
    // Files of sysfs say 4096 and yield less.
    let (_, message) =
        failure_of(Source::File("/sys/kernel/mm/transparent_hugepage/enabled".into()));
    assert_contains(&message, "expected 4096 bytes, got ");
}

/// Ends the thread that waits for it, whether the test passes or fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_file_that_grows_while_it_is_planned_is_refused() {
    let host = Host::empty();
    // Eight bytes: a write that crosses a page may be seen by halves.
    let path = host.write("log", "a line.\n".repeat(1000));
    let done = AtomicBool::new(false);
    let deadline = Instant::now() + Duration::from_secs(20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = OpenOptions::new().append(true).open(&path).unwrap();
            while !done.load(Ordering::Relaxed) {
                log.write_all(b"a line.\n").unwrap();
                if log.metadata().unwrap().len() > 1 << 19 {
                    log.set_len(5000).unwrap();
                }
            }
        });
        let _stop = Stop(&done);
        let mut refused = 0;
        while refused < 3 && Instant::now() < deadline {
            let tree = build(vec![entry("/log", Source::File(path.clone()))]);
            // What is open for writing is read once more when it is streamed.
            let read = tree.map_err(|error| error.to_string()).and_then(|tree| {
                read_content(content_of(&tree, "/log")).map_err(|error| error.to_string())
            });
            match read {
                Ok(bytes) => assert_eq!(bytes.len() % 8, 0),
                Err(error) => {
                    assert_contains(&error, "log changed while it was read");
                    refused += 1;
                }
            }
        }
        assert_eq!(refused, 3, "growth was not noticed");
    });
}

#[test]
fn changes_between_planning_and_streaming_are_found() {
    let replace = |path: &Path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).unwrap();
        fs::rename(copy, path).unwrap();
    };
    assert_eq!(kind_after(append), ErrorKind::Changed);
    assert_eq!(kind_after(shrink), ErrorKind::Changed);
    assert_eq!(kind_after(replace), ErrorKind::Changed);
    assert_eq!(kind_after(rewrite), ErrorKind::Changed);
    assert_eq!(kind_after(|path| fs::remove_file(path).unwrap()), ErrorKind::Source);
}

#[test]
fn a_fifo_or_device_in_the_place_of_a_planned_file_is_not_opened() {
    let started = Instant::now();
    let fifo = |path: &Path| {
        fs::remove_file(path).unwrap();
        rustix::fs::mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap();
    };
    let device = |path: &Path| {
        fs::remove_file(path).unwrap();
        symlink("/dev/zero", path).unwrap();
    };
    assert_eq!(kind_after(fifo), ErrorKind::Changed);
    assert_eq!(kind_after(device), ErrorKind::Changed);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn changes_while_streaming_are_found() {
    let changes: [fn(&Path); 3] = [append, shrink, rewrite];
    for change in changes {
        let host = Host::empty();
        let path = large_file(&host);
        let tree = build(vec![entry("/large", Source::File(path.clone()))]).unwrap();
        let mut sink = Meddler { bytes: Vec::new(), meddle: || change(&path) };
        let error = content_of(&tree, "/large").stream(&mut sink).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed);
    }
}

#[test]
fn a_sink_that_fails_is_not_blamed_on_the_file() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(rustix::io::Errno::NOSPC.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Sink for Full {}
    let host = Host::empty();
    let tree = build(vec![entry("/large", Source::File(large_file(&host)))]).unwrap();
    let error = content_of(&tree, "/large").stream(&mut Full).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let cause = error.io_error().and_then(io::Error::raw_os_error);
    assert_eq!(cause, Some(rustix::io::Errno::NOSPC.raw_os_error()));
}

#[test]
fn small_files_leave_memory_once_it_is_full() {
    let host = Host::empty();
    let mut entries = Vec::new();
    for number in 0..20 {
        let path = host.write(format!("{number}"), vec![number; 4 << 10]);
        entries.push(entry(&format!("/{number}"), Source::File(path)));
        let path = host.write(format!("tiny-{number}"), vec![number; 512]);
        entries.push(entry(&format!("/tiny-{number}"), Source::File(path)));
    }
    let tree = build(entries).unwrap();
    let in_memory = |(_, inode): &(_, &Inode)| match inode.kind() {
        Kind::File(Content::Memory(secret)) => secret.len(),
        _ => 0,
    };
    let sum: usize = tree.inodes().map(|inode| in_memory(&inode)).sum();
    assert_eq!(sum, (64 << 10) + 20 * 512);
    for number in 0..20 {
        assert_eq!(read(&tree, &format!("/{number}")), vec![number; 4 << 10]);
    }
}

fn append(path: &Path) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(b"x").unwrap();
}

fn shrink(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(LARGE as u64 - 1).unwrap();
}

/// Writes other bytes of the same length, puts the time back, and does so until
/// the kernel's clock has moved on, as it counts in ticks.
fn rewrite(path: &Path) {
    let before = fs::metadata(path).unwrap();
    let changed = || {
        let now = fs::metadata(path).unwrap();
        (now.ctime(), now.ctime_nsec()) != (before.ctime(), before.ctime_nsec())
    };
    while !changed() {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        (&file).write_all(&[b'x'; 100]).unwrap();
        set_time(path, before.mtime(), u32::try_from(before.mtime_nsec()).unwrap());
    }
    let after = fs::metadata(path).unwrap();
    assert_eq!(
        (before.len(), before.modified().unwrap()),
        (after.len(), after.modified().unwrap())
    );
}

pub(crate) fn set_time(path: &Path, seconds: i64, nanoseconds: u32) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
