//! What came of each machine so far, and the line that tells of it.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::report::{Ended, Outcome, Report, Told};
use super::run::Order;
use crate::report::{self, About, Exit, Failure, line};

/// What came of the machines of an order.
pub(super) struct Progress<'a> {
    order: &'a Order<'a>,
    state: Mutex<State>,
}

struct State {
    /// What came of each machine, in the order's order; none of machines that have not ended.
    all: Vec<Option<Ended>>,
    done: usize,
    failed: usize,
    /// Images that are complete and wait for their batch.
    waiting: usize,
    /// Machines whose image found no room on the disk. They are tried again at the end, when no
    /// other image waits. None once that has begun.
    postponed: Option<Vec<usize>>,
    /// Hints that were told. Fifty machines that lack the same thing need one hint.
    hints: HashSet<String>,
    begun: Instant,
}

impl<'a> Progress<'a> {
    /// Begins a run in which no machine is built yet.
    pub(super) fn new(order: &'a Order<'a>) -> Self {
        let all = order.machines.iter().map(|_| None).collect();
        let hints = HashSet::new();
        let state = State {
            all,
            done: 0,
            failed: 0,
            waiting: 0,
            postponed: Some(Vec::new()),
            hints,
            begun: Instant::now(),
        };
        Self { order, state: Mutex::new(state) }
    }

    /// Notes that one more image is complete and waits for its batch.
    pub(super) fn wait(&self) {
        let mut state = self.state();
        state.waiting += 1;
        line::show_many(|| state.line());
    }

    /// Notes that `count` images wait no longer. What came of each is noted by [`Self::note`].
    pub(super) fn settle(&self, count: usize) {
        let mut state = self.state();
        state.waiting = state.waiting.saturating_sub(count);
    }

    /// The machines whose image found no room, of which nothing is noted yet. From now on such a
    /// failure is final.
    pub(super) fn postponed(&self) -> Vec<usize> {
        self.state().postponed.take().unwrap_or_default()
    }

    /// Notes what came of the machine at this place of the order, with its warnings. A failure is
    /// told at once; but a machine whose image found no room is tried again at the end.
    pub(super) fn note(&self, place: usize, warnings: Vec<String>, outcome: Result<Told, Failure>) {
        if outcome.as_ref().is_err_and(is_for_room)
            && let Some(postponed) = &mut self.state().postponed
        {
            postponed.push(place);
            return;
        }
        match &outcome {
            Ok(_) => {}
            // The signal is told once, at the end.
            Err(failure) if failure.exit == Exit::Interrupted => {}
            Err(failure) => {
                let _about = self.order.machine(place).map(|it| About::machine(&it.name));
                report::print_message(failure);
                if let Some(hint) = &failure.hint
                    && self.state().hints.insert(hint.clone())
                {
                    report::print_hint(hint);
                }
            }
        }
        let mut state = self.state();
        match &outcome {
            Ok(_) => state.done += 1,
            Err(_) => state.failed += 1,
        }
        if let Some(place) = state.all.get_mut(place) {
            let is_reported = self.order.is_reported;
            let warnings = if is_reported { warnings } else { Vec::new() };
            *place = Some(Ended { outcome: Outcome::new(outcome, is_reported), warnings });
        }
        line::show_many(|| state.line());
    }

    /// Ends the run; returns the report about all machines.
    pub(super) fn finish(self) -> Report {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        Report::new(state.all)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The line for a terminal.
    fn line(&self) -> String {
        let Self { all, done, failed, waiting, begun, hints: _, postponed: _ } = self;
        let total = all.len();
        // Images that wait have taken their time as well.
        let ended = done + failed + waiting;
        let left = total.saturating_sub(ended);
        let each = begun.elapsed().checked_div(u32::try_from(ended).unwrap_or(u32::MAX));
        let left = each.and_then(|each| each.checked_mul(u32::try_from(left).unwrap_or(u32::MAX)));
        format!(
            "{done} done, {failed} failed of {total} machines{}",
            left.map_or_else(String::new, time_left)
        )
    }
}

/// Whether the disk was full. There may be room later: until a waiting image is in place, the old
/// one takes room as well.
fn is_for_room(failure: &Failure) -> bool {
    let is_told = |errno: Errno| failure.message.ends_with(&report::reason(&errno.into()));
    failure.exit == Exit::Output && (is_told(Errno::NOSPC) || is_told(Errno::DQUOT))
}

fn time_left(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..60 => format!(", {seconds} s left"),
        seconds => format!(", {} min {} s left", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_is_short() {
        for (seconds, expected) in
            [(0, ", 0 s left"), (59, ", 59 s left"), (61, ", 1 min 1 s left")]
        {
            assert_eq!(time_left(Duration::from_secs(seconds)), expected);
        }
    }
}
