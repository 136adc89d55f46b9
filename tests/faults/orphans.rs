//! A builder that is killed at any instant leaves no process of its commands behind.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::tracer::{Action, Outcome, Signal, Stop, Tracer};

/// The first command leaves a process behind, the second is in no hurry, and the last one
/// leads a chain of processes, none of which heeds a friendly signal.
const MANIFEST: &str = "files:\n\
    - {path: /a, shell: 'sleep 60 > /dev/null & echo a'}\n\
    - {path: /b, shell: 'sleep 0.02; echo b'}\n\
    - {path: /c, shell: 'trap \"\" HUP INT TERM; (sleep 60; sleep 60) | cat > /dev/null & echo c'}\n";

/// Builds, and gives the builder SIGKILL at the stop of this number, counted from where it
/// starts the first process: its own stops and those of children that are not yet programs of
/// their own. Returns how many stops there were as well.
fn killed_at(directory: &TempDir, number: usize) -> (Outcome, usize, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.args(["build", "secrets.yaml", "-o", "a.erofs", "--quiet", "--args", "none"]);
    let (mut stops, mut place) = (0, String::new());
    let outcome = Tracer::new(command.current_dir(directory.path())).run(|stop| {
        let (call, side) = match &stop {
            Stop::Entry(call) => (call, "entry"),
            Stop::Exit(call, _) => (call, "exit"),
        };
        if stops == 0 && !["clone", "clone3", "vfork", "fork"].contains(&call.name()) {
            return Action::Run;
        }
        stops += 1;
        if stops != number {
            return Action::Run;
        }
        place = format!("{side} of {} by thread {}", call.name(), call.thread_index);
        Action::Signal(Signal::SIGKILL)
    });
    (outcome, stops, place)
}

/// At every stop, or every so many as `CREDIMG_ORPHAN_STEP` says.
#[test]
fn a_builder_killed_at_any_instant_leaves_no_process() {
    let step = std::env::var("CREDIMG_ORPHAN_STEP").map_or(23, |text| text.parse().unwrap());
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("secrets.yaml"), MANIFEST).unwrap();
    let (outcome, stops, _) = killed_at(&directory, 0);
    assert_eq!((outcome.code(), outcome.orphans), (Some(0), 0), "{}", outcome.stderr());
    let (mut kills, mut half_born) = (0, 0);
    for number in (1..stops).step_by(step) {
        let (outcome, _, place) = killed_at(&directory, number);
        assert_eq!(outcome.orphans, 0, "killed at stop {number}, the {place}");
        assert!(!outcome.is_hung, "killed at stop {number}, the {place}");
        if outcome.signal() == Some(Signal::SIGKILL) {
            kills += 1;
            half_born += usize::from(!place.ends_with(" 0"));
        }
    }
    eprintln!("{kills} of {stops} stops: killed, {half_born} while a child was half born");
    assert!(kills >= stops / step / 2 && half_born > 0, "{kills} kills, {half_born} half born");
}
