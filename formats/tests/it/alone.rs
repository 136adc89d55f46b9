//! Tests that have a process for themselves, in which memory and time are limited.

use std::alloc::System;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cap::Cap;
use rustix::time::{ClockId, clock_gettime};

/// Refuses what a run takes beyond its memory, which ends the process.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What one run may take besides what was there before.
pub(crate) const MEMORY_MAX_BYTES: usize = 64 << 20;
/// How long one run may take of the processor's time.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(2);
const VARIABLE: &str = "CREDIMG_TEST_ALONE";

/// Runs `body`, the test of this path, in a process of its own, where no other test runs.
/// What it prints is shown where it fails; the last line tells of the run that ended it.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if is_alone(test) {
        return body();
    }
    let output = child(test).output().unwrap();
    let (shown, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test}: {}\n{shown}\n{errors}", output.status);
}

/// This program once more, for the test of this path alone.
pub(crate) fn child(test: &str) -> Command {
    let path = test.split_once("::").map_or(test, |(_, path)| path);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([path, "--exact", "--nocapture", "--test-threads=1"]).env(VARIABLE, test);
    command
}

/// Whether this is the process of the test of this path.
pub(crate) fn is_alone(test: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|name| name == test)
}

/// Runs something within the limits of memory and time, and returns how long it took of the
/// processor's time. Beyond them the process ends. Only for a process of its own.
pub(crate) fn limited<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = used();
    BEGUN_NANOSECONDS.store(start.as_nanos() as u64, Ordering::Relaxed);
    // Refused only where more is there already.
    let _ = ALLOCATOR.set_limit(ALLOCATOR.allocated().saturating_add(MEMORY_MAX_BYTES));
    let outcome = run();
    let _ = ALLOCATOR.set_limit(usize::MAX);
    let taken = used().saturating_sub(start);
    BEGUN_NANOSECONDS.store(0, Ordering::Relaxed);
    (outcome, taken)
}

/// When the present run began, by the processor's time of the process; 0 between two.
static BEGUN_NANOSECONDS: AtomicU64 = AtomicU64::new(0);

/// Ends the process when a run takes too long.
pub(crate) fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let begun = Duration::from_nanos(BEGUN_NANOSECONDS.load(Ordering::Relaxed));
            if !begun.is_zero() && used().saturating_sub(begun) > TIME_MAX {
                eprintln!("a run takes longer than {TIME_MAX:?}");
                std::process::exit(101);
            }
        }
    });
}

/// The processor's time of this process, which others do not lengthen.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}
