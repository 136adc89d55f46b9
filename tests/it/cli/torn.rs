//! Inputs that the program reads itself, written to while it reads them: strace makes each
//! `read` of the file take a while.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::Output;

use super::*;

/// More than is read at once.
const LENGTH: usize = 40_000;

/// Runs the program in `host` while every `read` of the file `slow` takes a tenth of a
/// second, and rewrites that file in place after the first.
fn run_slowly(host: &Host, slow: &str, arguments: &[&str]) -> Output {
    let (trace, path) = (host.path("trace"), host.path(slow));
    let mut command = Command::new("strace");
    command.arg("-o").arg(&trace).arg("-P").arg(&path);
    command.args(["-e", "trace=read", "-e", "inject=read:delay_exit=100000"]);
    command.arg(env!("CARGO_BIN_EXE_credimg")).args(arguments).current_dir(host.path(""));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(|| fs::metadata(&trace).ok().filter(|found| found.len() > 0));
    let text = fs::read(&path).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().write_all(&text).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn every_input_that_is_rewritten_while_it_is_read_is_named() {
    let comments = "# a comment\n".repeat(LENGTH / 12);
    let manifest = "files: [{path: /a, text: a}]\n";
    let build = ["build", "secrets.yaml", "-o", "out.erofs"];
    let with_pseudo_file = [&build[..], &["--pseudo-file", "extra.pf"]].concat();
    for (name, arguments) in [("secrets.yaml", &build[..]), ("extra.pf", &with_pseudo_file[..])] {
        let host = Host::new(&format!("{manifest}{comments}"));
        fs::write(host.path("extra.pf"), format!("/d d 700 0 0\n{comments}")).unwrap();
        fs::write(host.path("out.erofs"), "the old image").unwrap();
        let output = run_slowly(&host, name, arguments);
        let (code, message) = (output.status.code(), stderr(&output));
        assert_eq!(code, Some(4), "{name}: {message}");
        assert!(message.contains(&format!("{name} changed while it was read")), "{message}");
        assert_eq!(fs::read(host.path("out.erofs")).unwrap(), b"the old image");
    }
}

/// What is audited may be a log: it is read once more, so that no line is looked at by halves.
#[test]
fn an_audited_file_that_is_rewritten_is_read_once_more() {
    let host = Host::new("files: []\n");
    fs::write(host.path("script.sh"), "# a comment\n".repeat(LENGTH / 12)).unwrap();
    let output = run_slowly(&host, "script.sh", &["audit", "script.sh"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let opened = fs::read_to_string(host.path("trace")).unwrap();
    let ends = opened.lines().filter(|line| line.contains("\"\"")).count();
    assert_eq!(ends, 2, "{opened}");
}

/// A file of the kernel says that it is empty.
#[test]
fn inputs_whose_size_says_nothing_are_refused() {
    let host = Host::new("files: [{path: /a, text: a}]\n");
    let cases = [
        ["build", "/proc/self/mounts", "-o", "out.erofs"].to_vec(),
        ["build", "secrets.yaml", "-o", "out.erofs", "--pseudo-file", "/proc/self/mounts"].to_vec(),
        ["check", "/proc/self/mounts"].to_vec(),
    ];
    for arguments in cases {
        let output = host.credimg().args(&arguments).output().unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {message}");
        let expected = "/mounts changed while it was read: expected 0 bytes, got ";
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

/// An image that somebody else could write to is not taken for unchanged.
#[test]
fn an_old_image_that_is_open_for_writing_is_made_again() {
    let host = Host::new("files: [{path: /a, text: a}]\n");
    let build = |options: &[&str]| {
        let output = host.build(options);
        assert!(output.status.success(), "{}", stderr(&output));
        fs::metadata(host.path("out.erofs")).unwrap().ino()
    };
    let first = build(&["--uuid", UUID]);
    assert_eq!(build(&["--if-changed", "--uuid", UUID]), first);
    let writer = OpenOptions::new().write(true).open(host.path("out.erofs")).unwrap();
    let second = build(&["--if-changed", "--uuid", UUID]);
    assert_ne!(second, first);
    drop(writer);
    assert_eq!(build(&["--if-changed", "--uuid", UUID]), second);
}

/// Some file systems of the network say of every file that it is open for writing.
#[test]
fn thousands_of_open_files_are_not_waited_for_one_by_one() {
    const FILES: usize = 150;
    // On the disk: of files in memory the times do not tell as much.
    let open = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let host = Host::new(&format!("files: [{{path: /open, dir: {}}}]\n", open.path().display()));
    let create = |n: usize| {
        let mut file = fs::File::create(open.path().join(n.to_string())).unwrap();
        // Every other one is empty.
        file.write_all(if n.is_multiple_of(2) { b"" } else { b"demo" }).unwrap();
        file
    };
    let _writers: Vec<_> = (0..FILES).map(create).collect();
    // Nothing is wrong with them any more when they are read.
    std::thread::sleep(Duration::from_millis(400));
    let mut command = Command::new("strace");
    command.args(["-o", "trace", "-e", "trace=openat,futex"]);
    command.arg(env!("CARGO_BIN_EXE_credimg")).current_dir(host.path(""));
    command.args(["build", "secrets.yaml", "-o", "out.erofs", "--quiet", "--args", "none"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let trace = fs::read_to_string(host.path("trace")).unwrap();
    let count = |what: &str| trace.lines().filter(|line| line.contains(what)).count();
    // By the thread that meets files ahead, or else once more by the walk.
    assert!((1..=2).contains(&count("\"148\"")), "{trace}");
    // Once for all of them; that of process 1 is there on every machine.
    assert!((1..=3).contains(&count("\"/proc/1/maps\"")), "{trace}");
    // A thousand of a millisecond, and those before the second readings.
    assert!(count("futex(") < 1100, "{}", count("futex("));
}
