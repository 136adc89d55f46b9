//! Faults at every system call of the output: strace makes each one fail, be
//! interrupted or be the last one before SIGKILL. The output path always holds
//! the complete old or the complete new image, and the next run cleans up.

mod point;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use rustix::process::Signal;
use tempfile::TempDir;

use self::point::Point;

const OLD: &[u8] = b"the old image";
const IMAGE: &str = "image.erofs";
/// How strace shows the name that the image takes.
const IMAGE_RENAMED: &str = "\"image.erofs\")";
/// What the output is made with.
const CALLS: &str = "openat,fcntl,fstat,newfstatat,getdents64,fchmod,write,pwrite64,mkdirat,\
                     copy_file_range,fsync,fdatasync,linkat,renameat,renameat2,unlinkat";
/// Those that change what is on the disk, but for the bytes.
const CHANGES: &[&str] = &[
    "write",
    "copy_file_range",
    "fsync",
    "mkdirat",
    "linkat",
    "renameat",
    "renameat2",
    "unlinkat",
];
/// What every temporary's name holds.
const MARK: &str = ".credimg-";
/// The index of the sidecars. While some are removed and others are new, it holds both.
const INDEX: &str = "image.erofs.sidecars";
const OLD_INDEX: &[u8] = b"fw_cfg.gone\nsmbios\n";
const BOTH_INDEX: &[u8] = b"fw_cfg.gone\nfw_cfg.new\nsmbios\n";

/// Files by their names.
type Set = BTreeMap<String, Vec<u8>>;

#[test]
fn every_error_leaves_the_old_image_or_the_whole_new_one() {
    every_error_leaves_the_old_or_the_new(&Bench::new());
}

#[test]
fn every_error_leaves_the_old_set_or_the_whole_new_one() {
    every_error_leaves_the_old_or_the_new(&Bench::with_sidecars());
}

fn every_error_leaves_the_old_or_the_new(bench: &Bench) {
    for error in ["ENOSPC", "EIO", "EINTR"] {
        for point in bench.points() {
            let status = bench.build_with(&[&point.fault(&format!("error={error}"))]);
            let context = format!("{error} at {point:?}: {status}");
            let expected = if point.is_survived(error) { 0 } else { 7 };
            assert_eq!(status.code(), Some(expected), "{context}");
            let is_new = expected == 0 || point.is_after_rename;
            if is_new && expected == 7 {
                // Names that are gone may still be in the index.
                let index = bench.files().remove(INDEX);
                let known = [bench.new.get(INDEX).cloned(), Some(BOTH_INDEX.to_vec())];
                assert!(known.contains(&index), "{context}");
                assert!(bench.files_but_index() == without_index(&bench.new), "{context}");
            } else {
                assert!(
                    bench.files() == *if is_new { &bench.new } else { &bench.old },
                    "{context}"
                );
            }
            // What cannot be removed is named.
            let temporaries = bench.temporaries();
            let stays = point.call == "unlinkat" && !point.has("AT_REMOVEDIR");
            assert_eq!(temporaries.len(), usize::from(stays), "{context}");
            assert_eq!(bench.has_private_directory(), point.call == "unlinkat", "{context}");
            for path in temporaries {
                let log = bench.errors();
                assert!(log.contains(&path.display().to_string()), "{context}: {log}");
                fs::remove_file(path).unwrap();
            }
        }
    }
}

#[test]
fn a_kill_leaves_at_most_one_private_temporary_for_the_next_run() {
    let bench = Bench::new();
    let mut leftovers = 0;
    for point in bench.points() {
        let status = bench.build_with(&[&point.fault("signal=SIGKILL")]);
        let context = format!("{point:?}: {status}");
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{context}");
        let expected = if point.is_after_rename { &bench.new } else { &bench.old };
        assert!(bench.files() == *expected, "{context}");
        leftovers += bench.assert_private_temporaries_at_most(1, &context);
        bench.assert_next_run_is_clean(&context);
    }
    assert!(leftovers > 0, "no kill left a temporary: nothing was tested");
}

/// Each file is whole, and the image is the last one to be new.
#[test]
fn a_kill_leaves_each_file_of_a_set_whole() {
    let bench = Bench::with_sidecars();
    let mut mixed = 0;
    for point in bench.points() {
        let status = bench.build_with(&[&point.fault("signal=SIGKILL")]);
        let context = format!("{point:?}: {status}");
        let files = bench.files();
        for (name, content) in &files {
            let is_whole = |set: &Set| set.get(name) == Some(content);
            let is_both = name == INDEX && content == BOTH_INDEX;
            assert!(is_whole(&bench.old) || is_whole(&bench.new) || is_both, "{name}: {context}");
        }
        // Each sidecar is one that the next build knows.
        let index = String::from_utf8(files.get(INDEX).cloned().unwrap_or_default()).unwrap();
        for name in files.keys().filter(|name| ![IMAGE, INDEX].contains(&&***name)) {
            let suffix = name.strip_prefix(IMAGE).unwrap().strip_prefix('.').unwrap();
            assert!(index.lines().any(|line| line == suffix), "{name} is not in it: {context}");
        }
        let is_new = files.get(IMAGE) == bench.new.get(IMAGE);
        assert_eq!(is_new, point.is_after_rename, "{context}");
        let new = without_index(&bench.new);
        let has_all = new.iter().all(|(name, content)| files.get(name) == Some(content));
        assert!(!is_new || has_all, "{context}");
        mixed += usize::from(!is_new && files != bench.old);
        bench.assert_private_temporaries_at_most(bench.new.len(), &context);
        bench.assert_next_run_is_clean(&context);
    }
    assert!(mixed > 0, "no kill came between two names: nothing was tested");
}

#[test]
fn a_file_of_the_old_image_that_cannot_be_removed_is_an_error() {
    let bench = Bench::with_sidecars();
    let status = bench.build_with(&["inject=unlinkat:error=EIO"]);
    assert_eq!(status.code(), Some(7), "{status}");
    assert!(bench.files() == bench.new);
    // What was replaced and what is gone keep their temporary names.
    assert_eq!(bench.assert_private_temporaries_at_most(3, "EIO"), 3);
    let errors = bench.errors();
    assert!(errors.contains("of the old image: input/output error"), "{errors}");
    assert!(errors.contains("hint: the new image is in place: remove the file"), "{errors}");
    bench.assert_next_run_is_clean("EIO");
}

/// A file system that cannot exchange two names still replaces one by the other.
#[test]
fn names_that_cannot_be_exchanged_are_replaced() {
    let bench = Bench::with_sidecars();
    let status = bench.build_with(&["inject=renameat2:error=EINVAL"]);
    assert!(status.success(), "{status}");
    assert!(bench.files() == bench.new);
    assert!(bench.temporaries().is_empty());
    // A failure after that still leaves the old set. A file without an old one
    // takes its name by the first call, one that replaces another by the second.
    for call in 1..=4 {
        let last = format!("inject=renameat:error=EIO:when={call}");
        let status = bench.build_with(&["inject=renameat2:error=EINVAL", &last]);
        assert_eq!(status.code(), Some(7), "{status}");
        assert!(bench.files() == bench.old, "{last}");
        assert!(bench.temporaries().is_empty(), "{last}");
    }
}

/// Shared folders of virtual machines and some file systems of FUSE can do no more than
/// replace one name by another.
#[test]
fn names_that_can_neither_be_linked_nor_exchanged_are_replaced() {
    let bench = Bench::with_sidecars();
    let cannot = ["inject=renameat2:error=EINVAL", "inject=linkat:error=EPERM"];
    for _ in 0..2 {
        let status = bench.build_with(&cannot);
        assert!(status.success(), "{status}: {}", bench.errors());
        assert!(bench.files() == bench.new);
        assert!(bench.temporaries().is_empty());
    }
}

/// A call that does nothing and says so: the kernel's copy goes on through the
/// buffer, a write is an error.
#[test]
fn calls_that_do_nothing_are_noticed() {
    let bench = Bench::new();
    for point in bench.points() {
        if ["write", "copy_file_range"].contains(&&*point.call) {
            let status = bench.build_with(&[&point.fault("retval=0")]);
            let expected = if point.call == "write" { 7 } else { 0 };
            assert_eq!(status.code(), Some(expected), "{point:?}");
            let files = if point.call == "write" { &bench.old } else { &bench.new };
            assert!(bench.files() == *files, "{point:?}");
            assert!(bench.temporaries().is_empty(), "{point:?}");
        }
    }
}

#[test]
fn a_temporary_that_cannot_be_removed_goes_with_the_next_run() {
    let bench = Bench::new();
    let status = bench.build_with(&["inject=renameat:error=EIO", "inject=unlinkat:error=EROFS"]);
    assert_eq!(status.code(), Some(7));
    assert!(bench.files() == bench.old);
    let errors = bench.errors();
    let place = bench.path().with_file_name(".image.erofs.credimg-commitlock");
    let warning = format!("warning: cannot remove the temporary {}, ", place.display());
    assert!(errors.contains(&warning) && errors.contains("read-only file system"), "{errors}");
    assert_eq!(bench.assert_private_temporaries_at_most(1, "EIO"), 1);
    bench.assert_next_run_is_clean("EIO");
}

/// Some network file systems know no fsync of a directory.
#[test]
fn a_directory_that_cannot_be_synced_alone_is_synced_otherwise() {
    let bench = Bench::new();
    let points = bench.points();
    let last = points.iter().rfind(|point| point.call == "fsync").unwrap();
    let status = bench.build_with(&[&last.fault("error=EINVAL")]);
    assert!(status.success(), "{status}");
    let log = fs::read_to_string(bench.directory.path().join("log")).unwrap();
    assert!(log.contains("syncfs("), "{log}");
    assert!(bench.files() == bench.new);
}

/// The kernel writes what the limit allows and refuses the rest.
#[test]
fn a_short_write_and_a_full_limit_leave_the_old_image() {
    let bench = Bench::new();
    bench.reset();
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(env!("CARGO_BIN_EXE_credimg"));
    let output = bench.arguments(&mut command).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    let errors = String::from_utf8(output.stderr).unwrap();
    let image = bench.path().display().to_string();
    assert!(errors.contains(&format!("error: cannot write {image}: file too large")), "{errors}");
    assert!(errors.contains("hint: the old image is unchanged"), "{errors}");
    assert!(bench.files() == bench.old);
    assert!(bench.temporaries().is_empty());
}

#[test]
fn a_signal_ends_the_build_in_order() {
    for bench in [Bench::new(), Bench::with_sidecars()] {
        for point in bench.points() {
            // From the first new name on all is done to the end.
            if !point.has_begun {
                let status = bench.build_with(&[&point.fault("signal=SIGTERM")]);
                assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{point:?}: {status}");
                assert!(bench.files() == bench.old, "{point:?}");
                assert!(bench.temporaries().is_empty(), "{point:?}");
            }
        }
    }
}

fn without_index(set: &Set) -> Set {
    let mut set = set.clone();
    set.remove(INDEX);
    set
}

/// A manifest with enough content for several writes and a copy by the kernel,
/// and what it builds when nothing fails.
struct Bench {
    directory: TempDir,
    old: Set,
    new: Set,
}

impl Bench {
    fn new() -> Self {
        Self::build("", &[])
    }

    /// With a file beside the image that is replaced, one that is new and one that goes.
    fn with_sidecars() -> Self {
        let credentials = "label: CHIMERA\ncredentials:\n  - {name: token, text: demo}\n  \
                           - {name: new, text: demo, via: fw_cfg}\n";
        let mut bench =
            Self::build(credentials, &["image.erofs.smbios", "image.erofs.fw_cfg.gone"]);
        let names: Vec<_> = bench.new.keys().collect();
        assert_eq!(names, [IMAGE, "image.erofs.fw_cfg.new", INDEX, "image.erofs.smbios"]);
        bench.old.insert(INDEX.to_owned(), OLD_INDEX.to_vec());
        bench
    }

    fn build(credentials: &str, old: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("in")).unwrap();
        fs::create_dir(at("out")).unwrap();
        let manifest = "files:\n  - path: /token\n    text: demo\n  - path: /large\n    file: large\n  \
                        - path: /small\n    file: small\n";
        fs::write(at("in/secrets.yaml"), format!("{credentials}{manifest}")).unwrap();
        fs::write(at("in/large"), vec![b'l'; 3_000_000]).unwrap();
        fs::write(at("in/small"), vec![b's'; 50_000]).unwrap();
        let old = [IMAGE].iter().chain(old).map(|name| ((*name).to_owned(), OLD.to_vec()));
        let mut bench = Self { directory, old: old.collect(), new: Set::new() };
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        assert!(bench.arguments(&mut command).output().unwrap().status.success());
        bench.new = bench.files();
        assert!(bench.new[IMAGE].len() > 3_050_000);
        bench
    }

    fn path(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("out").join(IMAGE)
    }

    /// Everything but temporaries.
    fn files(&self) -> Set {
        let files = self.entries().into_iter().filter(|(name, _)| !name.contains(MARK));
        files.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
    }

    fn files_but_index(&self) -> Set {
        without_index(&self.files())
    }

    fn reset(&self) {
        assert!(self.temporaries().is_empty());
        let out = self.path().parent().unwrap().to_owned();
        fs::remove_dir_all(&out).unwrap();
        fs::create_dir(out).unwrap();
        for (name, content) in &self.old {
            fs::write(self.path().with_file_name(name), content).unwrap();
        }
    }

    /// The files of the output's directory and of those in it.
    fn entries(&self) -> BTreeMap<String, PathBuf> {
        let out = self.path().parent().unwrap().to_owned();
        let entries = walkdir::WalkDir::new(&out).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        let pair = |entry: walkdir::DirEntry| {
            let name = entry.path().strip_prefix(&out).unwrap().to_str().unwrap().to_owned();
            (name, entry.into_path())
        };
        files.map(pair).collect()
    }

    fn has_private_directory(&self) -> bool {
        let mut entries = fs::read_dir(self.path().parent().unwrap()).unwrap();
        entries.any(|entry| entry.unwrap().file_type().unwrap().is_dir())
    }

    /// Adds a reproducible build of the manifest to a command.
    fn arguments<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .arg("build")
            .arg(self.directory.path().join("in/secrets.yaml"))
            .arg("-o")
            .arg(self.path())
            .args(["--uuid", "00000000-0000-4000-8000-000000000001", "--args", "none", "--quiet"])
    }

    fn strace(&self, options: &[&str]) -> ExitStatus {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(self.directory.path().join("log"));
        command.args(options).arg(env!("CARGO_BIN_EXE_credimg"));
        let errors = fs::File::create(self.directory.path().join("errors")).unwrap();
        self.arguments(&mut command).stderr(errors).status().expect("strace must be installed")
    }

    /// Builds over the old image with these faults.
    fn build_with(&self, faults: &[&str]) -> ExitStatus {
        self.reset();
        let options: Vec<_> = faults.iter().flat_map(|fault| ["-e", fault]).collect();
        self.strace(&options)
    }

    /// What the last build under strace has said.
    fn errors(&self) -> String {
        fs::read_to_string(self.directory.path().join("errors")).unwrap()
    }

    /// The system calls of the output: those that have its directory, or a file
    /// in it, among their arguments (`-y` shows the paths of descriptors).
    fn points(&self) -> Vec<Point> {
        self.reset();
        assert!(self.strace(&["-y", "-e", &format!("trace={CALLS}")]).success());
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        let main_thread = log.split(' ').next().unwrap();
        let directory = self.path().parent().unwrap().display().to_string();
        let mut points = Vec::new();
        let mut counts = HashMap::new();
        let (mut has_begun, mut is_after_rename) = (false, false);
        for line in log.lines().filter_map(|line| line.strip_prefix(main_thread)) {
            let Some((call, arguments)) = line.trim_start().split_once('(') else { continue };
            let occurrence = counts.entry(call.to_owned()).or_insert(0);
            *occurrence += 1;
            // The runtime looks at its own descriptors in programs that are not optimised.
            if arguments.contains(&directory) && !arguments.contains("F_GETFD") {
                has_begun |= call.starts_with("renameat");
                has_begun |= call == "linkat" && !arguments.contains("commitlock");
                points.push(Point {
                    call: call.to_owned(),
                    occurrence: *occurrence,
                    arguments: arguments.to_owned(),
                    has_begun,
                    is_after_rename,
                });
                is_after_rename |= call == "renameat" && arguments.contains(IMAGE_RENAMED);
            }
        }
        let calls: Vec<_> = points.iter().map(|point| &*point.call).collect();
        let changes: Vec<_> = calls.iter().copied().filter(|call| CHANGES.contains(call)).collect();
        let end = ["fsync", "linkat", "renameat", "fsync"];
        let set_end = [
            // The index of both, the sidecars and the image.
            "write",
            "fsync",
            "fsync",
            "fsync",
            "fsync",
            "linkat",
            // The index takes the place of the old one.
            "linkat",
            "mkdirat",
            "linkat",
            "renameat2",
            // One that is new, and one that replaces another.
            "linkat",
            "linkat",
            "linkat",
            "renameat2",
            "renameat",
            "renameat",
            "unlinkat",
            "unlinkat",
            "unlinkat",
            // The index of the new ones.
            "write",
            "fsync",
            "linkat",
            "renameat",
            "unlinkat",
            "fsync",
        ];
        let end = if self.old.len() == 1 { &end[..] } else { &set_end };
        assert!(changes.ends_with(end), "not durable: {calls:?}");
        for call in ["openat", "write", "copy_file_range"] {
            assert!(calls.contains(&call), "no {call}: {calls:?}");
        }
        points
    }

    fn temporaries(&self) -> Vec<PathBuf> {
        let temporaries = self.entries().into_iter().filter(|(name, _)| name.contains(MARK));
        temporaries.map(|(_, path)| path).collect()
    }

    /// Returns how many temporaries there are. What was replaced may wait among
    /// them, with the mode that the test gave it.
    fn assert_private_temporaries_at_most(&self, most: usize, context: &str) -> usize {
        let temporaries = self.temporaries();
        assert!(temporaries.len() <= most, "{context}: {temporaries:?}");
        for path in &temporaries {
            let mode = fs::symlink_metadata(path).unwrap().permissions().mode();
            let bytes = fs::read(path).unwrap();
            let is_replaced = most > 1 && (bytes == OLD || bytes == OLD_INDEX);
            assert!(is_replaced || mode & 0o7777 == 0o600, "{context}: {mode:o}");
        }
        temporaries.len()
    }

    fn assert_next_run_is_clean(&self, context: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        let status = self.arguments(&mut command).output().unwrap().status;
        assert!(status.success(), "{context}");
        assert!(self.files() == self.new, "{context}");
        assert!(self.temporaries().is_empty(), "{context}");
        assert!(!self.has_private_directory(), "{context}");
    }
}
