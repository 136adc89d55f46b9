//! What something costs, however busy the machine is: the processor's time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What this process has used so far.
pub(crate) fn process_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap()
}

/// What this thread has used so far.
pub(crate) fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}
