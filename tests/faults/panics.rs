//! What would be a panic is an error of its code, or none; a bug tells its place and
//! nothing that it has met.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use credimg::host::output::{OutputFile, Permissions};
use credimg::host::panics;
use tempfile::TempDir;

use crate::tracer::{Action, Errno, Stop, Tracer};

/// Tells the test below that it is the program that has a bug, and where it builds.
const BUG: &str = "CREDIMG_TEST_BUG";

#[test]
fn directories_that_cannot_be_closed_are_no_panic() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("tree/below")).unwrap();
    fs::create_dir(at("share")).unwrap();
    fs::write(at("tree/below/a"), "a").unwrap();
    std::os::unix::fs::symlink("below/a", at("tree/link")).unwrap();
    fs::write(at("secrets.yaml"), "files: [{path: /t, dir: tree, links: follow}]\n").unwrap();
    for arguments in [
        &["build", "secrets.yaml", "-o", "a.erofs", "--depfile=a.d"][..],
        &["build", "secrets.yaml", "-o", "a.erofs", "--if-changed"],
        &["check", "secrets.yaml"],
        &["args", "a.erofs"],
        &["inspect", "a.erofs"],
        &["ls", "-lR", "a.erofs"],
        &["cat", "a.erofs", "t/below/a"],
        &["extract", "a.erofs", "out"],
        &["audit", "tree"],
        &["audit", "--running"],
        &["seal", "secrets.yaml", "-o", "share/a.age", "--key-out=key"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
        command.current_dir(directory.path()).args(arguments);
        let mut count = 0;
        let outcome = Tracer::new(&command).run(|stop| match stop {
            Stop::Entry(call) if call.name() == "close" => {
                let is_directory = call.paths().iter().any(|path| path.is_dir());
                count += usize::from(is_directory);
                if is_directory { Action::RunAndFail(Errno::EIO) } else { Action::Run }
            }
            Stop::Entry(_) | Stop::Exit(..) => Action::Run,
        });
        assert_eq!(outcome.code(), Some(0), "{arguments:?}: {}", outcome.stderr());
        let has_none = ["inspect", "ls", "cat"].contains(&arguments[0]);
        assert!(count > 0 || has_none, "{arguments:?} closes no directory");
    }
}

#[test]
fn a_wait_that_fails_is_no_panic() {
    let directory = TempDir::new().unwrap();
    let manifest = "files:\n- {path: /c, shell: 'echo hi; exec >&-; sleep 0.2'}\n\
                    - {path: /f, file: open}\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    // Held open for writing, which has it read twice.
    let _open = fs::File::create(directory.path().join("open")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.current_dir(directory.path()).args(["build", "secrets.yaml", "-o", "a.erofs"]);
    let mut failed = 0;
    let outcome = Tracer::new(&command).run(|stop| match stop {
        // A wait with a limit of time is a sleep by another name.
        Stop::Entry(call)
            if call.name().ends_with("nanosleep")
                || call.name() == "futex" && call.argument(3) != 0 =>
        {
            failed += 1;
            Action::Fail(Errno::EIO)
        }
        Stop::Entry(_) | Stop::Exit(..) => Action::Run,
    });
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr());
    assert!(failed > 0, "nothing waits");
}

#[test]
fn a_bug_tells_its_place_alone_and_leaves_the_old_image() {
    if let Some(directory) = std::env::var_os(BUG) {
        let outcome = panics::catch(|| bug(Path::new(&directory)));
        std::process::exit(outcome.map_or_else(|exit| exit as i32, |()| 0));
    }
    let directory = TempDir::new().unwrap();
    let image = directory.path().join("image");
    fs::write(&image, "old").unwrap();
    let output = in_a_process_of_its_own(directory.path());
    assert_eq!(output.status.code(), Some(7));
    let errors = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines.len(), 2, "{errors}");
    assert!(lines[0].starts_with("credimg: error: a bug of credimg at tests/faults/panics.rs:"));
    assert_eq!(lines[1], "credimg: hint: please report it, with this line");
    assert_eq!(fs::read(&image).unwrap(), b"old");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

fn bug(directory: &Path) {
    let mut output = OutputFile::create(&directory.join("image"), Permissions::default()).unwrap();
    std::io::Write::write_all(&mut output, b"hunter2").unwrap();
    panic!("this holds hunter2");
}

fn in_a_process_of_its_own(directory: &Path) -> Output {
    let name = "panics::a_bug_tells_its_place_alone_and_leaves_the_old_image";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--quiet"]).env(BUG, directory);
    command.output().unwrap()
}
