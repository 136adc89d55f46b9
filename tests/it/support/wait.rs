//! Patience, for tests of what another process does.

use std::time::{Duration, Instant};

/// Asks until there is an answer; a minute is more than any answer takes.
pub(crate) fn wait_for<T>(ask: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no answer within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}
