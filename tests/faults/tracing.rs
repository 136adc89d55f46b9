//! The tracer itself, against what strace tells and what is on the disk.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::tracer::{Action, Errno, Signal, Stop, Tracer};

const MANIFEST: &str =
    "files:\n  - path: /token\n    text: demo\n  - path: /large\n    base64: AAAA\n";

fn bench() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("secrets.yaml"), MANIFEST).unwrap();
    directory
}

fn build(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.current_dir(directory).args(["build", "secrets.yaml", "-o", "a.erofs"]);
    command.args(["--quiet", "--args", "none"]);
    command
}

#[test]
fn its_record_is_that_of_strace() {
    let bench = bench();
    // What was written just now is waited for.
    assert!(build(bench.path()).status().unwrap().success());
    fs::remove_file(bench.path().join("a.erofs")).unwrap();
    let mut seen = Vec::new();
    let outcome = Tracer::new(&build(bench.path())).run(|stop| {
        // The watchdog over signals has a thread of its own, which strace is not asked for.
        if let Stop::Entry(call) = stop
            && call.thread_index == 0
        {
            assert_eq!(call.ordinal, seen.len());
            let paths = call.paths();
            let is_output = paths.iter().any(|path| path.display().to_string().contains("a.erofs"));
            seen.push((call.name(), is_output));
        }
        Action::Run
    });
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr());

    fs::remove_file(bench.path().join("a.erofs")).unwrap();
    let mut command = Command::new("strace");
    let traced = build(bench.path());
    command.args(["-qq", "-y", "-s", "4096", "-o", "log"]).arg(traced.get_program());
    command.args(traced.get_args()).current_dir(bench.path());
    // As the tracer does it: of streams that are files a build asks more.
    command.stdout(tempfile::tempfile().unwrap()).stderr(tempfile::tempfile().unwrap());
    assert!(command.status().expect("strace must be installed").success());
    let log = fs::read_to_string(bench.path().join("log")).unwrap();
    // The first call is the one that starts the program.
    let told = log.lines().skip(1).filter_map(|line| line.split_once('('));
    let told: Vec<_> = told.map(|(name, rest)| (name, rest.contains("a.erofs"))).collect();
    assert_eq!(seen, told);
    assert!(seen.contains(&("renameat", true)), "{seen:?}");
}

#[test]
fn calls_fail_are_done_in_spite_of_an_error_and_are_shortened() {
    // The action at the rename; whether it is done, and the exit code.
    for (action, is_done, code) in [
        (Action::Run, true, 0),
        (Action::Fail(Errno::EIO), false, 7),
        (Action::RunAndFail(Errno::EIO), true, 0),
    ] {
        let bench = bench();
        let outcome = Tracer::new(&build(bench.path())).run(|stop| match stop {
            Stop::Entry(call) if call.name() == "renameat" && call.names("a.erofs") => action,
            Stop::Entry(_) | Stop::Exit(..) => Action::Run,
        });
        assert_eq!(outcome.code(), Some(code), "{action:?}: {}", outcome.stderr());
        assert_eq!(bench.path().join("a.erofs").exists(), is_done, "{action:?}");
    }
    let bench = bench();
    let mut shortened = None;
    let outcome = Tracer::new(&build(bench.path())).run(|stop| match stop {
        Stop::Entry(call) if call.name() == "write" && shortened.is_none() => {
            let (place, _) = call.length().unwrap();
            Action::Replace(place, 3)
        }
        Stop::Exit(call, result) if call.name() == "write" => {
            shortened = shortened.or(Some(result));
            Action::Run
        }
        Stop::Entry(_) | Stop::Exit(..) => Action::Run,
    });
    assert_eq!((outcome.code(), shortened), (Some(0), Some(3)), "{}", outcome.stderr());
}

#[test]
fn signals_come_before_and_after_a_call() {
    for (signal, is_after) in [(Signal::SIGKILL, false), (Signal::SIGKILL, true)] {
        let bench = bench();
        let outcome = Tracer::new(&build(bench.path())).run(|stop| match stop {
            Stop::Entry(call) if call.name() == "renameat" && !is_after => Action::Signal(signal),
            Stop::Exit(call, _) if call.name() == "renameat" => Action::Signal(signal),
            Stop::Entry(_) | Stop::Exit(..) => Action::Run,
        });
        assert_eq!(outcome.signal(), Some(signal));
        assert_eq!(bench.path().join("a.erofs").exists(), is_after, "{signal}");
    }
    let bench = bench();
    let outcome = Tracer::new(&build(bench.path())).run(|stop| match stop {
        Stop::Entry(call) if call.name() == "fsync" => Action::Signal(Signal::SIGTERM),
        Stop::Entry(_) | Stop::Exit(..) => Action::Run,
    });
    assert_eq!(outcome.signal(), Some(Signal::SIGTERM));
    assert!(!bench.path().join("a.erofs").exists());
}

#[test]
fn the_memory_of_a_stopped_program_is_read_with_its_locks() {
    let bench = bench();
    let mut command = build(bench.path());
    command.args(["--encrypt", "luks1", "--key-out", "a.key"]).env("CANARY", "of-the-environment");
    let mut found = Vec::new();
    let outcome = Tracer::new(&command).run(|stop| {
        if let Stop::Entry(call) = stop
            && call.name() == "fsync"
        {
            let memory = call.memory();
            let holds = |text: &str, name: &str| {
                let has = |bytes: &[u8]| bytes.windows(text.len()).any(|w| w == text.as_bytes());
                memory.iter().any(|mapping| mapping.name == name && has(&mapping.bytes))
            };
            found.push((holds("of-the-environment", "[stack]"), holds("nowhere to be", "[stack]")));
            assert!(memory.iter().any(|mapping| mapping.is_locked), "no key is locked");
            assert!(
                memory.iter().any(|mapping| mapping.name == "[heap]" && !mapping.bytes.is_empty())
            );
            return Action::Release;
        }
        Action::Run
    });
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr());
    assert_eq!(found, [(true, false)]);
}

#[test]
fn what_a_program_leaves_running_is_counted() {
    for (script, orphans) in [("sleep 60 & sleep 60 & exit", 2), ("sleep 0; sleep 0; exit", 0)] {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut starts = 0;
        let outcome = Tracer::new(&command).run(|stop| {
            starts += usize::from(matches!(stop, Stop::Entry(call) if call.name() == "execve"));
            Action::Run
        });
        assert_eq!((outcome.code(), outcome.orphans), (Some(0), orphans));
        assert!(orphans > 0 || starts == 2, "what is started is the program until then: {starts}");
    }
}
