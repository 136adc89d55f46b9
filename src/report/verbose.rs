//! What `--verbose` tells: each step, what was chosen and why, and how long it took.
//!
//! Invariant: it tells places, names and numbers, and never a value nor an argument of a command.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static IS_WANTED: AtomicBool = AtomicBool::new(false);

/// Tells everything from now on.
pub fn want() {
    IS_WANTED.store(true, Ordering::Relaxed);
}

/// Tells this where it is wanted.
pub(crate) fn tell(text: impl FnOnce() -> String) {
    if IS_WANTED.load(Ordering::Relaxed) {
        super::say("info", super::GREEN, &text());
    }
}

/// A step that is under way.
pub(crate) struct Step(Instant);

impl Step {
    /// It begins now.
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Tells what was done, and how long it took.
    pub(crate) fn end(self, text: impl FnOnce() -> String) {
        tell(|| format!("{}, in {}", text(), human_time(self.0.elapsed())));
    }
}

/// A time for people.
fn human_time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (milliseconds, expected) in [(0, "0 ms"), (999, "999 ms"), (61_950, "61.9 s")] {
            assert_eq!(human_time(Duration::from_millis(milliseconds)), expected);
        }
    }
}
