//! What the audit costs grows with the length of a text, and no faster.

use std::time::Duration;

use credimg::audit::audit;
use rustix::time::{ClockId, clock_gettime};

use super::shapes::{nested, shapes};

/// What a measurement may be off by, whatever it measures.
const FLOOR: Duration = Duration::from_millis(10);

/// Measurements, of which the least counts: other programs make caches cold.
const REPETITIONS: usize = 3;

/// Whether a text that is so many times as long costs no more than what a lexer without ways
/// back may take. Twice that is granted; four times the length, squared, takes four times.
fn is_linear(small: Duration, large: Duration, growth: u32) -> bool {
    large <= small * growth * 2 + FLOOR
}

/// Processor time of this thread for a text.
fn cost(text: &str) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let begin = now();
    audit(text.as_bytes());
    now().checked_sub(begin).unwrap()
}

/// What the texts cost, one of which is so many times the other, if it is too much.
fn judge(small: &str, large: &str, growth: u32) -> Result<(), (Duration, Duration)> {
    let measure = || {
        let costs = (cost(small), cost(large));
        if is_linear(costs.0, costs.1, growth) { Ok(()) } else { Err(costs) }
    };
    (1..REPETITIONS).fold(measure(), |outcome, _| outcome.or_else(|_| measure()))
}

#[test]
fn cost_grows_with_length() {
    const SIZE: usize = 3 << 10;
    let mut failed = Vec::new();
    for (name, make) in shapes() {
        if let Err(costs) = judge(&make(SIZE), &make(4 * SIZE), 4) {
            failed.push((name, costs));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// Where a text stands in two readings of what is around it, each level would double the cost.
#[test]
fn cost_grows_with_depth() {
    let mut failed = Vec::new();
    for ((name, small), (_, large)) in nested(2).into_iter().zip(nested(8)) {
        // Four times the depth, and what it takes to write it down.
        let growth = 4 * u32::try_from(large.len().div_ceil(small.len())).unwrap();
        if let Err(costs) = judge(&small, &large, growth) {
            failed.push((name, costs));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn the_judge_tells_a_square() {
    let millis = Duration::from_millis;
    for small in [10, 100, 1000] {
        // n, and n log n from 1 KiB to 4 KiB.
        assert!(is_linear(millis(small), millis(small * 4), 4));
        assert!(is_linear(millis(small), millis(small * 24 / 5), 4));
        assert!(!is_linear(millis(small), millis(small * 16), 4));
        // Six levels more, of which each doubles the cost.
        assert!(!is_linear(millis(small), millis(small * 64), 4));
    }
    // Too short to tell.
    assert!(is_linear(Duration::ZERO, FLOOR, 4));

    // What is a square is found by a measurement as well.
    let square = |size: usize| {
        let begin = clock_gettime(ClockId::ThreadCPUTime);
        let text = "a".repeat(size);
        let found = (0..size).filter(|at| text.bytes().skip(*at).any(|byte| byte == b'b')).count();
        assert_eq!(found, 0);
        Duration::try_from(clock_gettime(ClockId::ThreadCPUTime) - begin).unwrap()
    };
    assert!(!is_linear(square(1 << 11), square(1 << 13), 4));
}

/// As large as a file may be, and a quarter of it, within limits of the system: some 10 s of
/// what is shipped, which is ten times as fast as a build for debugging, and 256 MiB beside
/// the program itself.
#[cfg(feature = "long")]
#[test]
fn the_largest_files_cost_little() {
    use std::fs;
    use std::process::Command;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    let seconds = if cfg!(debug_assertions) { 150 } else { 10 };
    let mut failed = Vec::new();
    for (name, make) in shapes() {
        let text = make(16 << 20);
        assert!(text.len() <= 16 << 20, "{name}");
        fs::write(&path, text).unwrap();
        let output = Command::new("sh")
            .args(["-c", "ulimit -v $((320 << 10)); ulimit -t $1; shift; exec \"$@\""])
            .args(["sh", &seconds.to_string(), env!("CARGO_BIN_EXE_credimg"), "audit"])
            .arg(&path)
            .output()
            .unwrap();
        if !matches!(output.status.code(), Some(0 | 5)) {
            failed.push((name, output.status));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
