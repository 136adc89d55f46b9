//! Calls that change names: done in spite of the error that they report, as on NFS and
//! FUSE, or not done, or the last ones before a kill. What is said is true of what is on
//! the disk, and nothing is a mixture.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;
use tempfile::TempDir;

use crate::tracer::{Action, Call, Errno, Outcome, Signal, Stop, Tracer};

/// Files by their names.
type Set = BTreeMap<String, Vec<u8>>;

/// The calls that change names, or bring them onto the disk.
const CALLS: &[&str] = &["mkdirat", "linkat", "renameat", "renameat2", "unlinkat", "fsync"];
const FAULTS: &[Action] = &[
    Action::RunAndFail(Errno::EIO),
    // What a request that is sent twice is answered the second time; see `Bench::run`.
    Action::RunAndFail(Errno::ENOENT),
    Action::Fail(Errno::EIO),
    Action::Signal(Signal::SIGKILL),
];
const OLD: &[u8] = b"old";

/// What the file system can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    /// All of it, as ext4.
    Full,
    /// No files without names, no exchange of names, no renaming without replacing, as NFS.
    Plain,
    /// Nor links, as a shared folder of `VirtualBox`, where no key is made.
    Renames,
}

#[test]
fn a_build_says_what_is_true_of_calls_that_are_done_in_spite_of_an_error() {
    let bench =
        Bench::new(&["build", "secrets.yaml", "--uuid=00000000-0000-4000-8000-000000000001"]);
    bench.old("out/a.erofs");
    bench.old("out/a.erofs.smbios");
    bench.old("out/a.erofs.fw_cfg.gone");
    bench.old_index("fw_cfg.gone\nsmbios\n");
    bench.judge_every_call("a.erofs");
}

#[test]
fn so_does_a_first_build_that_makes_its_key() {
    let bench = Bench::new(&["build", "secrets.yaml", "--encrypt=luks1", "--key-out=out/key"]);
    bench.judge_every_call("a.erofs");
}

/// After every rename, and every link, the name may be taken from the new file at once.
#[test]
fn a_file_or_a_link_that_takes_the_place_of_the_new_image_is_told() {
    for swap in [swap_file, swap_link] {
        let bench = Bench::new(&["build", "secrets.yaml"]);
        bench.old("out/a.erofs");
        bench.reset();
        let image = bench.path("out/a.erofs");
        let outcome = Tracer::new(&bench.command()).run(|stop| {
            if let Stop::Exit(call, 0) = stop
                && call.name() == "renameat"
                && call.names("a.erofs")
            {
                swap(&image);
            }
            Action::Run
        });
        assert_eq!(outcome.code(), Some(7), "{}", outcome.stderr());
        let told = "error: cannot find out/a.erofs: another file has taken its place since";
        assert!(outcome.stderr().contains(told), "{}", outcome.stderr());
        assert!(!outcome.stderr().contains("unchanged"), "{}", outcome.stderr());
        assert_eq!(bench.temporaries(), [""; 0]);
    }
}

#[test]
fn a_key_that_another_one_takes_the_place_of_is_told() {
    let bench = Bench::new(&["genkey", "out/key"]);
    let key = bench.path("out/key");
    let outcome = Tracer::new(&bench.command()).run(|stop| {
        if let Stop::Exit(call, 0) = stop
            && call.name() == "linkat"
        {
            swap_file(&key);
        }
        Action::Run
    });
    assert_eq!(outcome.code(), Some(7), "{}", outcome.stderr());
    let told = "error: cannot find out/key: another file has taken its place";
    assert!(outcome.stderr().contains(told), "{}", outcome.stderr());
}

#[test]
fn genkey_says_what_is_true_of_calls_that_are_done_in_spite_of_an_error() {
    let bench = Bench::new(&["genkey", "out/key"]);
    bench.judge_every_call("key");
}

/// Whether it makes a file that has a name.
fn is_creating(call: &Call) -> bool {
    let flag = u64::try_from(libc::O_CREAT).unwrap();
    call.name() == "openat" && call.arguments[2] & flag != 0
}

fn swap_file(path: &Path) {
    fs::write(path.with_file_name("other"), "other").unwrap();
    fs::rename(path.with_file_name("other"), path).unwrap();
}

fn swap_link(path: &Path) {
    fs::remove_file(path).unwrap();
    std::os::unix::fs::symlink("/dev/null", path).unwrap();
}

struct Bench {
    directory: TempDir,
    arguments: Vec<String>,
    old: std::cell::RefCell<Set>,
}

impl Bench {
    fn new(arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("out")).unwrap();
        let manifest = "label: CHIMERA\ncredentials:\n  - {name: token, text: demo}\n  \
                        - {name: new, text: demo, via: fw_cfg}\nfiles:\n  - {path: /t, text: demo}\n";
        fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Self { directory, arguments, old: std::cell::RefCell::default() }
    }

    /// An old file that is there before.
    fn old(&self, name: &str) {
        let name = name.strip_prefix("out/").unwrap().to_owned();
        self.old.borrow_mut().insert(name, OLD.to_vec());
    }

    fn old_index(&self, text: &str) {
        self.old.borrow_mut().insert("a.erofs.sidecars".to_owned(), text.as_bytes().to_vec());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.current_dir(self.directory.path()).args(&self.arguments);
        if self.arguments[0] == "build" {
            command.args(["-o", "out/a.erofs", "--quiet", "--args", "none"]);
            command.env("SOURCE_DATE_EPOCH", "1700000000");
        }
        command
    }

    fn reset(&self) {
        fs::remove_dir_all(self.path("out")).unwrap();
        fs::create_dir(self.path("out")).unwrap();
        for (name, content) in &*self.old.borrow() {
            fs::write(self.path("out").join(name), content).unwrap();
        }
    }

    /// The files in `out` and in the private directories there.
    fn names(&self) -> Vec<String> {
        let out = self.path("out");
        let entries = walkdir::WalkDir::new(&out).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        let name = |path: &Path| path.strip_prefix(&out).unwrap().to_str().unwrap().to_owned();
        files.map(|entry| name(entry.path())).collect()
    }

    fn has_private_directory(&self) -> bool {
        let mut entries = fs::read_dir(self.path("out")).unwrap();
        entries.any(|entry| entry.unwrap().file_type().unwrap().is_dir())
    }

    fn temporaries(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| name.contains(".credimg-")).collect()
    }

    fn files(&self) -> Set {
        let names = self.names().into_iter().filter(|name| !name.contains(".credimg-"));
        names.map(|name| (name.clone(), fs::read(self.path("out").join(name)).unwrap())).collect()
    }

    /// Lets each call that changes the directory meet each fault, and compares what is said
    /// with what is there.
    fn judge_every_call(&self, main: &str) {
        let makes_key = self.arguments.iter().any(|argument| argument.contains("key"));
        let disks = [Disk::Full, Disk::Plain, Disk::Renames];
        for disk in disks.into_iter().filter(|disk| !makes_key || *disk != Disk::Renames) {
            let count = self.run(disk, None).1;
            assert!(count >= 3, "{disk:?}: only {count} calls");
            for place in 0..count {
                for fault in FAULTS {
                    let (outcome, _) = self.run(disk, Some((place, *fault)));
                    let context = format!("{disk:?}, {fault:?} at call {place}");
                    if outcome.signal() == Some(Signal::SIGKILL) {
                        self.judge_kill(main, &context);
                    } else {
                        self.judge(&outcome, disk, main, &context);
                    }
                }
            }
        }
    }

    /// Runs on such a disk, with a fault at one of the calls; returns how many of them
    /// there are.
    fn run(&self, disk: Disk, fault: Option<(usize, Action)>) -> (Outcome, usize) {
        self.reset();
        let directory = self.path("out").canonicalize().unwrap();
        let mut count = 0;
        let outcome = Tracer::new(&self.command()).run(|stop| {
            let Stop::Entry(call) = stop else { return Action::Run };
            if let Some(error) = disk.refusal(call) {
                return Action::Fail(error);
            }
            let is_here = || call.paths().iter().any(|path| path.starts_with(&directory));
            if !(CALLS.contains(&call.name()) || is_creating(call)) || !is_here() {
                return Action::Run;
            }
            count += 1;
            match fault {
                Some((place, fault)) if place + 1 == count => match fault {
                    Action::RunAndFail(Errno::ENOENT)
                        if ["linkat", "openat"].contains(&call.name()) =>
                    {
                        Action::RunAndFail(Errno::EEXIST)
                    }
                    fault => fault,
                },
                _ => Action::Run,
            }
        });
        (outcome, count)
    }

    /// Each file is the old one or a whole one, and the next run cleans up.
    fn judge_kill(&self, main: &str, context: &str) {
        let (files, temporaries) = (self.files(), self.temporaries());
        let context = format!("{context}: {:?}, {temporaries:?}", files.keys());
        assert!(files.values().all(|content| !content.is_empty()), "{context}");
        assert!(self.old.borrow().is_empty() || files.contains_key(main), "{context}");
        // One a file of the set: on plain disks it may have two names for an instant.
        let inode = |name: &String| fs::metadata(self.path("out").join(name)).unwrap().ino();
        let in_place: HashSet<_> = files.keys().map(inode).collect();
        let inodes: HashSet<_> = temporaries.iter().map(inode).collect();
        let inodes = &inodes - &in_place;
        assert!(inodes.len() <= if main == "key" { 1 } else { 4 }, "{context}");
        let next = self.command().output().unwrap();
        let has_key = main == "key" && files.contains_key("key");
        assert_eq!(next.status.code(), Some(if has_key { 7 } else { 0 }), "{context}");
        assert_eq!(self.temporaries(), [""; 0], "{context}");
        assert!(has_key || !self.has_private_directory(), "{context}");
    }

    fn judge(&self, outcome: &Outcome, disk: Disk, main: &str, context: &str) {
        let (files, old, errors) = (self.files(), self.old.borrow(), outcome.stderr());
        let context = format!("{context}: {:?}: {:?}: {errors}", outcome.code(), files.keys());
        let is_new = files.get(main).is_some_and(|content| content != OLD);
        let beside: Vec<_> =
            files.iter().filter(|(name, _)| name.starts_with("a.erofs.")).collect();
        // Nothing is a mixture.
        if is_new {
            let names: Vec<_> = beside.iter().map(|(name, _)| name.as_str()).collect();
            let expected = ["a.erofs.fw_cfg.new", "a.erofs.sidecars", "a.erofs.smbios"];
            assert!(main == "key" || names == expected, "{context}");
            assert!(beside.iter().all(|(_, content)| *content != OLD), "{context}");
        } else {
            // A key that is made already stays.
            let mut rest = files.clone();
            rest.retain(|name, _| name != "key" || old.contains_key(name));
            // Without links and exchanges nothing keeps what is replaced: that is told.
            let is_told = |name: &String| errors.contains(&format!("{name} is of the new build"));
            let differs = |name: &String| rest.get(name) != old.get(name);
            let mut names = rest.keys().chain(old.keys()).filter(|name| differs(name));
            assert!(names.all(|name| disk == Disk::Renames && is_told(name)), "{context}");
        }
        match outcome.code() {
            Some(0) => assert!(is_new && !errors.contains("credimg: error:"), "{context}"),
            Some(7) => assert!(errors.contains("error: cannot "), "{context}"),
            _ => panic!("{context}"),
        }
        assert!(!errors.contains("unchanged") || !is_new, "{context}");
        assert!(!errors.contains("new image is in place") || is_new, "{context}");
        for name in self.temporaries() {
            assert!(errors.contains(&name), "{name} is not named: {context}");
        }
    }
}

impl Disk {
    fn refusal(self, call: &Call) -> Option<Errno> {
        if self == Self::Full {
            return None;
        }
        match call.name() {
            "openat" => {
                let unnamed = u64::try_from(libc::O_TMPFILE).unwrap();
                (call.arguments[2] & unnamed == unnamed).then_some(Errno::EOPNOTSUPP)
            }
            "renameat2" => Some(Errno::EINVAL),
            "linkat" if self == Self::Renames => Some(Errno::EPERM),
            _ => None,
        }
    }
}
