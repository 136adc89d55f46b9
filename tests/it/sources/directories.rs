//! `dir:` sources.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, Instant};

use credimg::manifest::Source;
use credimg::report::Exit;
use credimg_formats::ErrorKind;
use credimg_formats::tree::DEPTH_MAX;
use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, openat};
use walkdir::WalkDir;

use super::files::set_time;
use super::*;

/// A tree with a bit of everything, and more than fits in memory.
fn everything() -> Host {
    let host = Host::empty();
    let big = vec![7; 5 << 20];
    host.write("tree/small", "small");
    host.write("tree/empty", "");
    host.write("tree/z/big", &big);
    host.write("tree/z/also/big", &big);
    host.write(OsStr::from_bytes(b"tree/odd\n\xff name"), "odd");
    host.write(format!("tree/{}", "n".repeat(255)), "long");
    for number in 0..600 {
        host.write(format!("tree/many/{number}"), vec![b'm'; 20_000]);
    }
    host.write("tree/zz/after", "after memory is full".repeat(40));
    host.write("tree/zz/empty", "");
    fs::create_dir_all(host.path("tree/nothing/in/here")).unwrap();
    fs::hard_link(host.path("tree/small"), host.path("tree/z/same")).unwrap();
    fs::hard_link(host.path("tree/z/big"), host.path("tree/z/again")).unwrap();
    symlink("../../etc/passwd", host.path("tree/z/out")).unwrap();
    symlink("/dev/zero", host.path("tree/device")).unwrap();
    symlink("round", host.path("tree/round")).unwrap();
    symlink(".", host.path("tree/here")).unwrap();
    let target = OsStr::from_bytes(b"\xfe\n");
    symlink(target, host.path("tree/bytes")).unwrap();
    fs::hard_link(host.path("tree/bytes"), host.path("tree/bytes-too")).unwrap();
    fs::set_permissions(host.path("tree/small"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::set_permissions(host.path("tree/nothing"), fs::Permissions::from_mode(0o1777)).unwrap();
    set_time(&host.path("tree/round"), 12, 34);
    set_time(&host.path("tree/z/big"), -56, 78);
    set_time(&host.path("tree/nothing"), 1 << 33, 999_999_999);
    host
}

#[test]
fn a_tree_comes_through_as_another_walk_sees_it() {
    let host = everything();
    let root = host.path("tree");
    let tree = build(vec![entry_with("/t", Source::Dir(root.clone()), keep())]).unwrap();
    let mut seen = 2;
    let mut names_of: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for found in WalkDir::new(&root) {
        let found = found.unwrap();
        let below = found.path().strip_prefix(&root).unwrap();
        let mut id = find(&tree, "/t").unwrap();
        for name in below {
            id = tree.child(id, name.as_bytes()).unwrap_or_else(|| panic!("no {below:?}"));
        }
        let (ours, theirs) = (tree.get(id).unwrap(), fs::symlink_metadata(found.path()).unwrap());
        match ours.kind() {
            Kind::Directory(_) => assert!(theirs.is_dir(), "{below:?}"),
            Kind::Symlink(target) => {
                let real = fs::read_link(found.path()).unwrap();
                assert_eq!(&**target, real.as_os_str().as_bytes());
            }
            Kind::File(content) => {
                assert!(theirs.is_file(), "{below:?}");
                let bytes = read_content(content).unwrap();
                assert!(bytes == fs::read(found.path()).unwrap(), "{below:?}");
            }
            other => panic!("{below:?} became {other:?}"),
        }
        let mode = if theirs.is_symlink() { 0o777 } else { theirs.mode() & 0o7777 };
        let nanoseconds = u32::try_from(theirs.mtime_nsec()).unwrap();
        let mode = u16::try_from(mode).unwrap();
        let expected = (mode, theirs.uid(), theirs.gid(), theirs.mtime(), nanoseconds);
        assert_eq!(attributes(&ours.metadata), expected, "{below:?}");
        if !theirs.is_dir() {
            assert_eq!(u64::from(ours.links()), theirs.nlink(), "{below:?}");
            names_of.entry(theirs.ino()).or_default().push(id);
        }
        seen += 1;
    }
    let names = names_of.values();
    assert_eq!(names.clone().filter(|ids| ids.len() == 2).count(), 3);
    assert!(names.clone().all(|ids| ids.iter().all(|id| *id == ids[0])));
    // The root and the hard links' second names: everything else was seen once.
    assert_eq!(tree.len(), seen - 1 - 3);
    // Even now that memory is full: a file of /proc only looks empty.
    assert!(matches!(content_of(&tree, "/t/zz/empty"), Content::Memory(_)));
    assert!(matches!(content_of(&tree, "/t/zz/after"), Content::Stream { .. }));
}

#[test]
fn without_keep_the_manifest_decides() {
    let host = everything();
    let tree = build(vec![entry("/t", Source::Dir(host.path("tree")))]).unwrap();
    let time = BUILD_TIME.seconds();
    assert_eq!(attributes(&inode(&tree, "/t/small").metadata), (0o400, 0, 0, time, 0));
    assert_eq!(attributes(&inode(&tree, "/t/nothing").metadata), (0o500, 0, 0, time, 0));
    assert_eq!(attributes(&inode(&tree, "/t").metadata), (0o500, 0, 0, time, 0));
    assert_eq!(attributes(&inode(&tree, "/t/round").metadata), (0o777, 0, 0, time, 0));
}

#[test]
fn the_order_in_which_a_directory_was_filled_does_not_matter() {
    let names: Vec<String> = (0..300).map(|n| format!("d{}/f{n}", n % 7)).collect();
    let (one, other) = (Host::empty(), Host::empty());
    for name in &names {
        one.write(name, name);
    }
    for name in names.iter().rev() {
        other.write(name, name);
    }
    let of = |host: &Host| dump(&build(vec![entry("/", Source::Dir(host.path("")))]).unwrap());
    assert_eq!(of(&one), of(&other));
    assert_eq!(of(&one).len(), 308);
    // Where a file system lists by a hash of the names, the order of filling shows nothing.
    let tree = build(vec![entry("/", Source::Dir(one.path("d0")))]).unwrap();
    let paths: Vec<_> = tree.inodes().map(|(id, _)| tree.path_of(id)).collect();
    assert!(paths.is_sorted());
}

#[test]
fn special_files_are_refused_at_once_and_named() {
    for (kind, name) in [
        (FileType::Fifo, "a FIFO"),
        (FileType::Socket, "a socket"),
        (FileType::CharacterDevice, "a character device"),
        (FileType::BlockDevice, "a block device"),
    ] {
        let host = Host::empty();
        host.write("sub/a-file", "x");
        host.node("sub/odd", kind);
        let started = Instant::now();
        let entries = vec![entry("/a", Source::Dir(host.path("")))];
        let failure = failure(entries, &settings());
        assert_contains(&failure.message, &format!("sub/odd is {name}: only regular files"));
        assert_contains(&failure.hint.unwrap(), "take it out of the directory");
        assert_eq!(failure.exit, Exit::Source);
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn files_of_proc_are_refused_at_once() {
    let started = Instant::now();
    let (exit, message) = failure_of(Source::Dir("/proc/self/net".into()));
    assert_contains(&message, "/proc/self/net/");
    assert_eq!(exit, Exit::Source);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn what_cannot_be_walked_is_named() {
    let host = Host::empty();
    let file = host.write("file", "x");
    symlink("loop", host.path("loop")).unwrap();
    let (_, message) = failure_of(Source::Dir(host.path("missing")));
    assert_contains(&message, "missing: no such file or directory");
    let (_, message) = failure_of(Source::Dir(host.path("loop")));
    assert_contains(&message, "loop: too many levels of symbolic links");
    let failure = failure(vec![entry("/a", Source::Dir(file))], &settings());
    assert_contains(&failure.message, "file: not a directory");
    assert_contains(&failure.hint.unwrap(), "write `file:`");
}

#[test]
fn the_directory_itself_may_be_a_symbolic_link() {
    let host = Host::empty();
    host.write("real/file", "x");
    symlink("real", host.path("link")).unwrap();
    let tree = build(vec![entry("/a", Source::Dir(host.path("link")))]).unwrap();
    assert_eq!(read(&tree, "/a/file"), b"x");
}

#[test]
fn no_descriptor_is_left_open_for_what_is_streamed() {
    let host = everything();
    let entries = vec![entry("/", Source::Dir(host.path("tree")))];
    let tree = build(entries).unwrap();
    let streamed = |inode: &Inode| matches!(inode.kind(), Kind::File(Content::Stream { .. }));
    assert_eq!(tree.inodes().filter(|(_, inode)| streamed(inode)).count(), 600);
    let open = || {
        let descriptors = fs::read_dir("/proc/self/fd").unwrap();
        let targets = descriptors.filter_map(|found| fs::read_link(found.unwrap().path()).ok());
        targets.filter(|target| target.starts_with(host.path(""))).count()
    };
    assert_eq!(open(), 0);
    for directory in 0..9 {
        host.write(format!("more/{directory}/big"), vec![1; 2 << 20]);
    }
    let more = build(vec![entry("/", Source::Dir(host.path("more")))]).unwrap();
    read(&tree, "/many/599");
    read(&tree, "/z/also/big");
    for directory in 0..9 {
        read(&more, &format!("/{directory}/big"));
    }
    // Four of each.
    assert!(open() <= 4 + 4, "{} directories are open", open());
}

/// Where there are many files a thread meets them ahead; nothing else may come of it.
#[test]
fn many_files_of_one_directory_come_through_whatever_they_are() {
    let host = Host::empty();
    let length = |number: usize| match number % 50 {
        0 => 0,
        1 => 512,
        2 => 513,
        3 => 20_000,
        _ => number * 7 % 512,
    };
    let content = |number: usize| vec![u8::try_from(number % 251).unwrap(); length(number)];
    for number in 0..1000 {
        host.write(format!("tree/{number:04}"), content(number));
    }
    fs::create_dir(host.path("tree/0500-directory")).unwrap();
    symlink("0001", host.path("tree/0500-link")).unwrap();
    fs::hard_link(host.path("tree/0004"), host.path("tree/0600-same")).unwrap();
    let open = fs::OpenOptions::new().append(true).open(host.path("tree/0700")).unwrap();
    let tree = build(vec![entry("/", Source::Dir(host.path("tree")))]).unwrap();
    drop(open);
    assert_eq!(tree.len(), 1 + 1000 + 2);
    assert_eq!(tree.find("/0600-same"), tree.find("/0004"));
    for number in 0..1000 {
        assert_eq!(read(&tree, &format!("/{number:04}")), content(number), "{number}");
    }
    let is_kept =
        |number: usize| matches!(content_of(&tree, &format!("/{number:04}")), Content::Memory(_));
    // The first 64 KiB of those that are not tiny, and all that are.
    for number in 200..1000 {
        assert_eq!(is_kept(number), length(number) <= 512, "{number}");
    }
    fs::write(host.path("tree/0800-fifo"), "").unwrap();
    fs::remove_file(host.path("tree/0800-fifo")).unwrap();
    rustix::fs::mkfifoat(CWD, host.path("tree/0800-fifo"), Mode::RUSR).unwrap();
    let failure = build(vec![entry("/", Source::Dir(host.path("tree")))]).unwrap_err();
    assert_contains(&failure.message, "0800-fifo is a FIFO");
}

/// Where there are many subdirectories a thread meets them ahead; nothing else may come of it.
#[test]
fn many_subdirectories_come_through_whatever_is_in_them() {
    let host = Host::empty();
    let content = |directory: usize, file: usize| {
        let byte = u8::try_from((directory * 7 + file) % 251).unwrap();
        // Up to the longest that are tiny, and a few longer ones.
        vec![byte; if file.is_multiple_of(60) { 9000 + directory } else { 512 - file % 20 }]
    };
    // In some there are so many files that threads of their own meet those.
    let files = |directory: usize| 90 + directory % 3 * 37;
    host.write("tree/first", "first");
    for directory in 0..20 {
        let place = format!("tree/sub/{directory:02}");
        for file in 0..files(directory) {
            host.write(format!("{place}/{file:03}"), content(directory, file));
        }
        host.write(format!("{place}/below/{directory}/key"), place.as_bytes());
        fs::hard_link(host.path("tree/first"), host.path(format!("{place}/same"))).unwrap();
        symlink("../first", host.path(format!("{place}/link"))).unwrap();
    }
    let source = || vec![entry("/", Source::Dir(host.path("tree")))];
    let open = fs::OpenOptions::new().append(true).open(host.path("tree/sub/07/003")).unwrap();
    let tree = build(source()).unwrap();
    drop(open);
    let all: usize = (0..20).map(files).sum();
    assert_eq!(tree.len(), 1 + 2 + 20 * (1 + 3 + 1) + all);
    for directory in 0..20 {
        let place = format!("/sub/{directory:02}");
        for file in 0..files(directory) {
            let read = read(&tree, &format!("{place}/{file:03}"));
            assert!(read == content(directory, file), "{place}/{file:03}");
        }
        let below = read(&tree, &format!("{place}/below/{directory}/key"));
        assert_eq!(below, format!("tree{place}").as_bytes());
        assert_eq!(tree.find(format!("{place}/same")), tree.find("/first"));
        assert!(matches!(content_of(&tree, &format!("{place}/001")), Content::Memory(_)));
    }
    rustix::fs::mkfifoat(CWD, host.path("tree/sub/13/fifo"), Mode::RUSR).unwrap();
    let message = build(source()).map(drop).unwrap_err().message;
    assert_contains(&message, "sub/13/fifo is a FIFO");
}

#[test]
fn a_directory_that_was_swapped_is_not_read() {
    let host = Host::empty();
    let big = vec![1; 2 << 20];
    host.write("tree/sub/big", &big);
    host.write("other/big", &big);
    let tree = build(vec![entry("/", Source::Dir(host.path("tree")))]).unwrap();
    fs::rename(host.path("tree/sub"), host.path("tree/gone")).unwrap();
    symlink("../other", host.path("tree/sub")).unwrap();
    let error = read_content(content_of(&tree, "/sub/big")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert_contains(&error.to_string(), "sub changed while it was read");
}

#[test]
fn a_file_of_a_directory_that_changed_is_named() {
    let host = Host::empty();
    let path = host.write("tree/sub/big", vec![1; 2 << 20]);
    let tree = build(vec![entry("/", Source::Dir(host.path("tree")))]).unwrap();
    fs::write(&path, vec![2; (2 << 20) - 1]).unwrap();
    let mut bytes = Vec::new();
    let error = content_of(&tree, "/sub/big").stream(&mut bytes).unwrap_err();
    assert!(bytes.is_empty(), "{} bytes of another file got through", bytes.len());
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert_contains(&error.to_string(), "tree/sub/big changed while it was read");
    fs::remove_file(&path).unwrap();
    symlink("elsewhere", &path).unwrap();
    let error = read_content(content_of(&tree, "/sub/big")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
}

/// A chain of directories, deeper than a path can say.
fn chain(host: &Host, depth: usize) {
    let open = |parent, name: &str| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(parent, name, flags, Mode::empty()).unwrap()
    };
    fs::create_dir(host.path("chain")).unwrap();
    let mut parent = openat(CWD, host.path("chain"), OFlags::RDONLY, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&parent, "d", 0o700.into()).unwrap();
        parent = open(parent, "d");
    }
}

#[test]
fn a_tree_is_as_deep_as_the_format_allows() {
    let host = Host::empty();
    chain(&host, DEPTH_MAX - 1);
    let tree = build(vec![entry("/t", Source::Dir(host.path("chain")))]).unwrap();
    assert_eq!(tree.len(), DEPTH_MAX + 1);
}

#[test]
fn a_tree_that_is_too_deep_is_refused() {
    let host = Host::empty();
    chain(&host, DEPTH_MAX);
    let (exit, message) = {
        let failure = failure(vec![entry("/t", Source::Dir(host.path("chain")))], &settings());
        (failure.exit, failure.message)
    };
    assert_eq!(exit, Exit::Source);
    assert_contains(&message, "nested more than 2048 directories deep");
}
