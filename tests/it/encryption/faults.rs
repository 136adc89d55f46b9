//! Faults at every system call of a build with `--key-out`: whatever happens, a key that
//! is there is whole, and opens the image that is there.

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rustix::process::Signal;

use super::*;

const CALLS: &str = "openat,flock,fstat,fchmod,write,fsync,renameat,renameat2,unlinkat,linkat,ftruncate,lseek,pwrite64";
/// What every temporary's name holds.
const MARK: &str = ".credimg-";

/// Where a build begins.
#[derive(Clone, Copy)]
enum Start {
    /// With neither key nor image.
    Nothing,
    /// With the key and the image of an earlier build.
    Earlier,
}

struct Bench {
    host: Host,
    start: Start,
    version: &'static str,
    old_key: Vec<u8>,
    old_image: Vec<u8>,
    plain: Vec<u8>,
}

/// One system call: the n-th of its name.
#[derive(Debug)]
struct Point {
    call: String,
    occurrence: usize,
}

impl Bench {
    fn new(start: Start, version: &'static str) -> Self {
        let host = Host::new(MANIFEST);
        fs::create_dir(host.path("out")).unwrap();
        let (old_key, old_image, plain) = Default::default();
        let mut bench = Self { host, start, version, old_key, old_image, plain };
        assert_done(&bench.command(env!("CARGO_BIN_EXE_credimg")).output().unwrap());
        bench.old_key = fs::read(bench.path("key")).unwrap();
        bench.old_image = fs::read(bench.path("a.erofs")).unwrap();
        bench.plain = bench.opened().unwrap();
        bench
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.host.path("out").join(name)
    }

    /// A build whose plaintext is always the same.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.host.path("")).env("SOURCE_DATE_EPOCH", "1700000000");
        if program == "strace" {
            command.args(["-f", "-qq", "-o", "log", "-s", "0"]);
        }
        self.add_arguments(&mut command, program);
        command
    }

    fn add_arguments(&self, command: &mut Command, program: &str) {
        if program == "strace" {
            return;
        }
        command.args(["build", "secrets.yaml", "-o", "out/a.erofs", "--uuid", UUID, "--quiet"]);
        command.args(["--args", "none", "--encrypt", self.version, "--key-out", "out/key"]);
    }

    fn strace(&self, options: &[&str]) -> std::process::ExitStatus {
        self.reset();
        let mut command = self.command("strace");
        command.args(options).arg(env!("CARGO_BIN_EXE_credimg"));
        self.add_arguments(&mut command, "");
        command.output().expect("strace must be installed").status
    }

    fn reset(&self) {
        fs::remove_dir_all(self.path("")).unwrap();
        fs::create_dir(self.path("")).unwrap();
        if let Start::Earlier = self.start {
            fs::write(self.path("a.erofs"), &self.old_image).unwrap();
            fs::write(self.path("key"), &self.old_key).unwrap();
            fs::set_permissions(self.path("key"), PermissionsExt::from_mode(0o600)).unwrap();
        }
    }

    /// The files in `out` and in the private directories there.
    fn names(&self) -> Vec<String> {
        let out = self.host.path("out");
        let entries = walkdir::WalkDir::new(&out).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        let name = |path: &Path| path.strip_prefix(&out).unwrap().to_str().unwrap().to_owned();
        files.map(|entry| name(entry.path())).collect()
    }

    fn has_temporaries(&self) -> bool {
        self.names().iter().any(|name| name.contains(MARK))
    }

    /// The system calls that have the output's directory among their arguments.
    fn points(&self) -> Vec<Point> {
        assert!(self.strace(&["-y", "-e", &format!("trace={CALLS}")]).success());
        let log = fs::read_to_string(self.host.path("log")).unwrap();
        let main_thread = log.split(' ').next().unwrap();
        let directory = self.host.path("out").canonicalize().unwrap().display().to_string();
        let mut counts = HashMap::new();
        let mut points = Vec::new();
        for line in log.lines().filter_map(|line| line.strip_prefix(main_thread)) {
            let Some((call, arguments)) = line.trim_start().split_once('(') else { continue };
            let occurrence = counts.entry(call.to_owned()).or_insert(0);
            *occurrence += 1;
            if arguments.contains(&directory) || arguments.contains("\"out/") {
                points.push(Point { call: call.to_owned(), occurrence: *occurrence });
            }
        }
        points
    }

    fn fault(&self, Point { call, occurrence }: &Point, fault: &str) -> std::process::ExitStatus {
        self.strace(&["-e", &format!("inject={call}:{fault}:when={occurrence}")])
    }

    /// What the image holds, opened by the key; none where there is no image.
    fn opened(&self) -> Option<Vec<u8>> {
        let image = fs::read(self.path("a.erofs")).ok()?;
        let key = fs::read_to_string(self.path("key")).expect("an image without its key");
        Some(open(&image, &key).expect("the key does not open the image"))
    }

    /// The rule; returns whether there is a key.
    fn assert_whole(&self, context: &str) -> bool {
        let key = fs::read(self.path("key")).ok();
        if let Some(key) = &key {
            assert_eq!(key.len(), 64, "{context}");
            let found = fs::metadata(self.path("key")).unwrap();
            assert_eq!(found.mode() & 0o7777, 0o600, "{context}");
        }
        match self.start {
            Start::Nothing => {}
            Start::Earlier => assert!(key.as_ref() == Some(&self.old_key), "{context}"),
        }
        let opened = self.opened();
        assert!(opened.is_none_or(|plain| plain == self.plain), "{context}");
        for name in self.names().iter().filter(|name| name.contains(MARK)) {
            let mode = fs::metadata(self.path(name)).unwrap().mode();
            assert_eq!(mode & 0o7777, 0o600, "{context}: {name}");
        }
        key.is_some()
    }

    fn assert_next_run_is_clean(&self, context: &str) {
        let key = fs::read(self.path("key")).ok();
        assert_done(&self.command(env!("CARGO_BIN_EXE_credimg")).output().unwrap());
        assert!(self.opened().unwrap() == self.plain, "{context}");
        let is_kept = key.is_none_or(|key| key == fs::read(self.path("key")).unwrap());
        assert!(is_kept, "the key was made again: {context}");
        assert!(!self.has_temporaries(), "{context}: {:?}", self.names());
    }
}

fn kill_everywhere(bench: &Bench) {
    let points = bench.points();
    assert!(points.len() > 15, "{points:?}");
    let (mut keys, mut leftovers) = (0, 0);
    for point in &points {
        let status = bench.fault(point, "signal=SIGKILL");
        let context = format!("SIGKILL at {point:?}: {status}");
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{context}");
        keys += usize::from(bench.assert_whole(&context));
        leftovers += usize::from(bench.has_temporaries());
        bench.assert_next_run_is_clean(&context);
    }
    assert!(keys > 0 && leftovers > 0, "nothing was tested");
}

#[test]
fn a_kill_of_the_first_build_leaves_a_whole_key_or_none() {
    kill_everywhere(&Bench::new(Start::Nothing, "luks1"));
}

#[test]
fn a_kill_of_a_later_build_leaves_the_key_and_an_image_that_it_opens() {
    kill_everywhere(&Bench::new(Start::Earlier, "luks2"));
}

#[test]
fn a_full_disk_leaves_a_whole_key_or_none_and_no_temporary() {
    for (start, version) in [(Start::Nothing, "luks2"), (Start::Earlier, "luks1")] {
        let bench = Bench::new(start, version);
        let mut failures = 0;
        for point in bench.points() {
            // What is searched and removed may fail without harm.
            if ["fstat", "unlinkat", "lseek"].contains(&&*point.call) {
                continue;
            }
            let status = bench.fault(&point, "error=ENOSPC");
            let context = format!("ENOSPC at {point:?}: {status}");
            // The old key is read like any other.
            assert!([Some(0), Some(4), Some(7)].contains(&status.code()), "{context}");
            failures += usize::from(!status.success());
            bench.assert_whole(&context);
            assert!(!bench.has_temporaries(), "{context}: {:?}", bench.names());
        }
        assert!(failures > 8, "only {failures} calls failed");
    }
}

/// Some network file systems cannot refuse to replace: a second name does as well.
#[test]
fn a_file_system_without_noreplace_gets_the_key_by_a_link() {
    let bench = Bench::new(Start::Nothing, "luks1");
    let no_rename = "inject=renameat2:error=EINVAL";
    // Nor does such a one know files without a name.
    assert!(bench.strace(&["-e", "trace=openat"]).success());
    let log = fs::read_to_string(bench.host.path("log")).unwrap();
    let opened: Vec<_> = log.lines().filter(|line| line.contains("openat(")).collect();
    let unnamed = opened.iter().position(|line| line.contains("O_TMPFILE")).unwrap() + 1;
    let no_unnamed = format!("inject=openat:error=EOPNOTSUPP:when={unnamed}");
    let faults = ["-e", no_rename, "-e", &no_unnamed];
    bench.reset();
    assert!(bench.strace(&faults).success());
    assert!(bench.assert_whole("a link") && !bench.has_temporaries());
    let log = fs::read_to_string(bench.host.path("log")).unwrap();
    assert!(log.contains("linkat("), "{log}");

    bench.reset();
    let kill = ["-e", "inject=unlinkat:signal=SIGKILL:when=1"];
    let killed = bench.strace(&[&faults[..], &kill].concat());
    assert_eq!(killed.signal(), Some(Signal::KILL.as_raw()));
    assert!(bench.assert_whole("two names") && bench.has_temporaries());
    bench.assert_next_run_is_clean("two names");
}

/// A build that was killed after another one had made the key leaves one that nobody uses.
#[test]
fn the_key_of_a_build_that_lost_and_was_killed_is_removed() {
    let bench = Bench::new(Start::Earlier, "luks2");
    bench.reset();
    let directory = format!(".key.credimg-{}", rustix::process::geteuid().as_raw());
    let inside = |name: &str| bench.path(&format!("{directory}/{name}"));
    fs::DirBuilder::new().mode(0o700).create(bench.path(&directory)).unwrap();
    fs::write(inside("abcdefghij"), KEY).unwrap();
    // Not ours: a second name of something else.
    fs::hard_link(bench.path("a.erofs"), inside("bcdefghijk")).unwrap();
    assert_done(&bench.command(env!("CARGO_BIN_EXE_credimg")).output().unwrap());
    assert!(!inside("abcdefghij").exists());
    assert!(inside("bcdefghijk").exists());
    assert!(fs::read(bench.path("key")).unwrap() == bench.old_key);
}
