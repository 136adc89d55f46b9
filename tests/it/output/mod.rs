//! The output file's promises, each against the real file system.

mod crowded;
mod leftovers;
mod umask;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use credimg::host::output::{OutputFile, Permissions, StreamOutput};
use credimg::report::{Exit, Failure};
use credimg_formats::{Mode, Sink};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{CWD, FlockOperation, OFlags, XattrFlags};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::support::host::Host;

#[test]
fn a_commit_replaces_the_image_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("chimera.erofs");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut reader = File::open(&path).unwrap();

    let mut output = create(&path);
    output.write_all(b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old", "the old image stays until the commit");
    assert_eq!(names(directory.path()), ["chimera.erofs"], "until then it has no name");
    output.commit().unwrap();

    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(mode_of(&path), 0o600, "the old mode is not inherited");
    assert_eq!(names(directory.path()), ["chimera.erofs"]);
    let mut kept = String::new();
    reader.read_to_string(&mut kept).unwrap();
    assert_eq!(kept, "old", "who has the old image open keeps its bytes");
}

#[test]
fn a_drop_leaves_no_trace() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image");
    fs::write(&path, "old").unwrap();
    let mut output = create(&path);
    output.write_all(&vec![7; 1 << 20]).unwrap();
    drop(output);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(directory.path()), ["image"]);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let directory = TempDir::new().unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let socket = directory.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let below = directory.path().join("directory");
    fs::create_dir(&below).unwrap();
    let descriptor = directory.path().join("stdout");
    symlink("/proc/self/fd/1", &descriptor).unwrap();

    let started = Instant::now();
    for (path, reason) in [
        (fifo.clone(), "it is a FIFO"),
        (socket.clone(), "it is a socket"),
        (below.clone(), "it is a directory"),
        ("/dev/full".into(), "it is a device"),
        (below.join("."), "it names a directory, not a file"),
        (below.join(""), "it names a directory, not a file"),
        (below.join(".."), "it names a directory, not a file"),
        (PathBuf::new(), "it names a directory, not a file"),
        (descriptor.clone(), "it stands for an open descriptor"),
    ] {
        let failure = refused(&path);
        let expected = format!("cannot write {}: {reason}", path.display());
        assert_eq!(failure.message, expected);
    }
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    assert_eq!(names(directory.path()), ["directory", "fifo", "socket", "stdout"]);
    assert!(names(&below).is_empty());
}

#[test]
fn a_missing_directory_is_named() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("missing");
    let failure = refused(&missing.join("image"));
    let expected = format!(
        "cannot write {0}/image: cannot open the directory {0}/: no such file or directory",
        missing.display()
    );
    assert_eq!(failure.message, expected);
    assert!(failure.hint.unwrap().contains("must exist"));
    fs::write(&missing, "").unwrap();
    assert!(refused(&missing.join("image")).message.ends_with(": not a directory"));
}

#[test]
fn a_symbolic_link_is_replaced_and_never_followed() {
    let directory = TempDir::new().unwrap();
    let (path, victim) = (directory.path().join("image"), directory.path().join("victim"));
    fs::write(&victim, "precious").unwrap();
    for target in ["victim", "missing", ".", "/dev/null"] {
        let _ = fs::remove_file(&path);
        symlink(target, &path).unwrap();
        let mut output = create(&path);
        output.write_all(b"new").unwrap();
        output.commit().unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{target}");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(names(directory.path()), ["image", "victim"]);
    }
}

#[test]
fn a_swapped_directory_does_not_lead_astray() {
    let directory = TempDir::new().unwrap();
    let (here, moved) = (directory.path().join("here"), directory.path().join("moved"));
    fs::create_dir(&here).unwrap();
    let mut output = create(&here.join("image"));
    output.write_all(b"new").unwrap();
    fs::rename(&here, &moved).unwrap();
    fs::create_dir(&here).unwrap();
    output.commit().unwrap();
    assert_eq!(names(&moved), ["image"]);
    assert!(names(&here).is_empty());
}

#[test]
fn builders_of_one_path_leave_each_other_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image");
    let mut first = create(&path);
    first.write_all(b"first").unwrap();
    let mut second = create(&path);
    second.write_all(b"second").unwrap();
    second.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    first.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names(directory.path()), ["image"]);
}

#[test]
fn of_racing_builders_one_wins_whole() {
    const LENGTH: usize = 300_000;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image");
    fs::write(&path, vec![0; LENGTH]).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let builders: Vec<_> = (1..=8_u8)
            .map(|builder| {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..25 {
                        let mut output = create(path);
                        for piece in vec![builder; LENGTH].chunks(70_001) {
                            output.write_all(piece).unwrap();
                        }
                        output.commit().unwrap();
                    }
                })
            })
            .collect();
        let watcher = scope.spawn(|| {
            let mut looks = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                let bytes = fs::read(&path).unwrap();
                assert_eq!(bytes.len(), LENGTH);
                assert!(bytes.iter().all(|byte| Some(byte) == bytes.first()), "a mixture");
                looks += 1;
            }
            looks
        });
        let outcomes: Vec<_> = builders.into_iter().map(ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(outcomes.iter().all(Result::is_ok));
        assert!(watcher.join().unwrap() > 0);
    });
    assert_eq!(names(directory.path()), ["image"]);
}

#[test]
fn names_up_to_the_limit_work() {
    let directory = TempDir::new().unwrap();
    for length in [1, 234, 235, 236, 245, 254, 255] {
        let path = directory.path().join("n".repeat(length));
        let mut output = create(&path);
        output.write_all(b"new").unwrap();
        output.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::remove_file(&path).unwrap();
        assert!(names(directory.path()).is_empty());
    }
    let failure = refused(&directory.path().join("n".repeat(256)));
    assert!(failure.message.ends_with(": file name too long"), "{}", failure.message);
}

/// The name of its index would be too long.
#[test]
fn an_image_with_the_longest_name_is_built_without_sidecars() {
    let host = Host::empty();
    host.write("m.yaml", "label: CHIMERA\nfiles: [{path: /a, text: x}]\n");
    for length in [246, 247, 255] {
        let image = "n".repeat(length);
        for options in [&[][..], &["--if-changed"], &[]] {
            let mut command = host.credimg();
            let output = command
                .args(["build", "m.yaml", "--format", "erofs", "-o", &image])
                .args(options)
                .output();
            let output = output.unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{length} {options:?}: {stderr}");
        }
    }
}

#[test]
fn owner_and_mode_are_given_on_request() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image");
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let owner = if own.0 == 0 { (990, 991) } else { own };
    let options = Permissions {
        owner: Some(owner),
        mode: Some(Mode::of::<0o640>()),
        ..Permissions::default()
    };
    let mut output = OutputFile::create(&path, options).unwrap();
    output.write_all(b"new").unwrap();
    output.commit().unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), owner);
    assert_eq!(mode_of(&path), 0o640);

    create(&path).commit().unwrap();
    assert_eq!((fs::metadata(&path).unwrap().uid(), mode_of(&path)), (own.0, 0o600));
}

/// With a default ACL on the directory, the group bits of a new file's mode are
/// its mask: a wider mode would let in whom the directory names.
#[test]
fn a_wider_mode_does_not_wake_an_inherited_acl() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image");
    // Version 2, then tag, permissions and id of: owner rwx, user 990 r, group -, mask r, other -.
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, u32::MAX), (2, 4, 990), (4, 0, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        acl.extend(tag.to_le_bytes());
        acl.extend(permissions.to_le_bytes());
        acl.extend(id.to_le_bytes());
    }
    let default = "system.posix_acl_default";
    rustix::fs::setxattr(directory.path(), default, &acl, XattrFlags::empty()).unwrap();

    let options =
        Permissions { owner: None, mode: Some(Mode::of::<0o640>()), ..Permissions::default() };
    OutputFile::create(&path, options).unwrap().commit().unwrap();
    assert_eq!(mode_of(&path), 0o640);
    let inherited = rustix::fs::getxattr_query(&path, "system.posix_acl_access");
    assert_eq!(inherited, Err(Errno::NODATA));
}

/// Writes and copies of every size around the buffers' arrive in order and whole.
#[test]
fn writes_and_copies_arrive_in_order() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image");
    let edges = [0, 1, 32 << 10, 64 << 10, 256 << 10, 1 << 20];
    let sizes: Vec<usize> =
        edges.iter().flat_map(|edge: &usize| [edge.saturating_sub(1), *edge, edge + 1]).collect();
    let content: Vec<u8> = (0..=250).cycle().take((1 << 20) + 1).collect();
    let source_path = directory.path().join("source");
    fs::write(&source_path, &content).unwrap();
    let mut source = File::open(&source_path).unwrap();

    let mut output = create(&path);
    let mut expected: Vec<u8> = Vec::new();
    for (index, size) in sizes.iter().enumerate() {
        for other in [1, 4097, 300_000] {
            output.write_all(content.get(..other).unwrap()).unwrap();
            expected.extend(content.get(..other).unwrap());
            let start = index.min(content.len() - size);
            source.seek(SeekFrom::Start(start as u64)).unwrap();
            assert_eq!(output.copy_from_file(&source, *size as u64).unwrap(), *size as u64);
            expected.extend(content.get(start..start + size).unwrap());
        }
    }
    output.commit().unwrap();
    assert!(fs::read(&path).unwrap() == expected, "the image is not what was written");
}

/// Pipes, files of other file systems and files of no length: what the kernel
/// does not copy goes through the buffer, and an early end shows in the count.
#[test]
fn what_the_kernel_does_not_copy_is_copied_all_the_same() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("image");
    let short = directory.path().join("short");
    fs::write(&short, vec![b's'; 100_000]).unwrap();
    let mut output = create(&path);

    let copied = output.copy_from_file(&File::open(&short).unwrap(), 200_000).unwrap();
    assert_eq!(copied, 100_000);
    let status = fs::read("/proc/version").unwrap();
    let copied = output.copy_from_file(&File::open("/proc/version").unwrap(), 100_000).unwrap();
    assert_eq!(copied, status.len() as u64);
    let copied = output.copy_from_file(&File::open("/dev/zero").unwrap(), 100_000).unwrap();
    assert_eq!(copied, 100_000);
    let (from, into) = rustix::pipe::pipe().unwrap();
    let feeder = thread::spawn(move || File::from(into).write_all(&vec![b'p'; 100_000]).unwrap());
    assert_eq!(output.copy_from_file(&File::from(from), 100_000).unwrap(), 100_000);
    feeder.join().unwrap();
    output.commit().unwrap();

    let expected = [vec![b's'; 100_000], status, vec![0; 100_000], vec![b'p'; 100_000]].concat();
    assert!(fs::read(&path).unwrap() == expected, "the image is not what was copied");
}

#[test]
fn an_error_tells_which_side_failed() {
    let directory = TempDir::new().unwrap();
    let unreadable = File::open(directory.path()).unwrap();
    let mut output = create(&directory.path().join("image"));
    for length_bytes in [10, 100_000] {
        let error = output.copy_from_file(&unreadable, length_bytes).unwrap_err();
        assert!(Failure::inside(&error).is_none(), "{error:?}");
        assert_eq!(error.kind(), std::io::ErrorKind::IsADirectory);
    }

    let source = directory.path().join("source");
    fs::write(&source, vec![1; 1 << 20]).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut stream = StreamOutput::new(full.into()).unwrap();
    let error = stream.copy_from_file(&File::open(&source).unwrap(), 1 << 20).unwrap_err();
    let failure = Failure::inside(&error).unwrap();
    assert_eq!(failure.exit, Exit::Output);
    assert_eq!(failure.message, "cannot write standard output: no space left on device");
}

#[test]
fn a_stream_arrives_whole_through_a_pipe_that_does_not_block() {
    let (from, into) = rustix::pipe::pipe().unwrap();
    rustix::fs::fcntl_setfl(&into, OFlags::NONBLOCK).unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        File::from(from).read_to_end(&mut bytes).unwrap();
        bytes
    });
    let content: Vec<u8> = (0..=250).cycle().take(3_000_000).collect();
    let mut stream = StreamOutput::new(into).unwrap();
    for piece in content.chunks(700_001) {
        stream.write_all(piece).unwrap();
    }
    stream.finish().unwrap();
    assert!(reader.join().unwrap() == content, "the stream is not what was written");
}

#[test]
fn a_stream_that_nobody_reads_and_a_terminal_are_errors() {
    let (from, into) = rustix::pipe::pipe().unwrap();
    drop(from);
    let mut stream = StreamOutput::new(into).unwrap();
    stream.write_all(b"new").unwrap();
    let failure = stream.finish().unwrap_err();
    assert_eq!(failure.exit, Exit::Output);
    assert_eq!(failure.message, "cannot write standard output: broken pipe");

    let terminal = File::options().read(true).write(true).open("/dev/ptmx").unwrap();
    let failure = StreamOutput::new(terminal.into()).err().unwrap();
    assert_eq!(failure.exit, Exit::Usage);
}

fn create(path: &Path) -> OutputFile {
    OutputFile::create(path, Permissions::default()).unwrap()
}

fn refused(path: &Path) -> Failure {
    let failure = OutputFile::create(path, Permissions::default()).err().unwrap();
    assert_eq!(failure.exit, Exit::Output);
    failure
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// Locks the whole file, as an open file description.
fn lock(file: &File, kind: libc::c_int) {
    let l_type = kind.try_into().unwrap();
    let whole = libc::flock { l_type, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(file, FcntlArg::F_OFD_SETLK(&whole)).unwrap();
}
