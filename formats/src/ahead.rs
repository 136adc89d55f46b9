//! Work that threads do ahead of whoever needs it. What is done is taken in the order of the
//! jobs, so that nothing depends on which thread did it, or on how many there are.
//!
//! Whoever takes helps: where the next job is not done yet, it does one itself. So one thread
//! besides keeps two processors busy, and where no thread can be started the work is done all
//! the same.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::wipe::without_traces;

/// How many threads read or compress where nobody says otherwise, the caller's among them.
pub const THREADS: usize = 2;
/// How many jobs of each thread may be done or under way and not yet taken.
const WAITING_PER_THREAD: usize = 2;
/// More threads than this have nothing to do on most machines, and each takes memory.
const THREADS_MAX: usize = 16;

/// Does `jobs` with so many threads, the caller's among them, while `take` takes what is done,
/// in order. `work` does one job; it may use again what [`Taker::give_back`] got, with whatever
/// is in it. Where `take` ends early, jobs that are under way are done in vain.
pub fn work_ahead<J: Send, D: Send, T>(
    threads: usize,
    jobs: impl Iterator<Item = J> + Send,
    work: impl Fn(J, Option<D>) -> D + Sync,
    take: impl FnOnce(&Taker<'_, D>) -> T,
) -> T {
    let threads = threads.clamp(1, THREADS_MAX);
    let desk =
        Desk { jobs, pieces: VecDeque::new(), taken: 0, spare: Vec::new(), is_closed: false };
    let capacity = threads * WAITING_PER_THREAD;
    let team =
        Team { desk: Mutex::new(desk), capacity, work, done: Condvar::new(), room: Condvar::new() };
    thread::scope(|scope| {
        // Also where `take` panics: the scope waits for its threads.
        let _close = Close { turns: &team, always: true };
        for _ in 1..threads {
            // The system keeps the stacks of threads that have ended.
            let help = || without_traces(|| team.help());
            if thread::Builder::new().spawn_scoped(scope, help).is_err() {
                break;
            }
        }
        take(&Taker(&team))
    })
}

/// Takes what is done, in the order of the jobs.
pub struct Taker<'a, D>(&'a (dyn Turns<D> + 'a));

impl<D> Taker<'_, D> {
    /// What became of the next job; none where there is no other, or where a thread panicked,
    /// as its caller will then.
    pub fn next(&self) -> Option<D> {
        self.0.next()
    }

    /// Gives back what is used up, for the next job.
    pub fn give_back(&self, done: D) {
        self.0.give_back(done);
    }
}

trait Turns<D> {
    fn next(&self) -> Option<D>;
    fn give_back(&self, done: D);
    fn close(&self);
}

/// What the threads share.
struct Team<I, W, D> {
    desk: Mutex<Desk<I, D>>,
    /// How many pieces there may be at once.
    capacity: usize,
    work: W,
    /// Somebody waits for this until the first piece is done.
    done: Condvar,
    /// Threads wait for this until there may be another piece.
    room: Condvar,
}

struct Desk<I, D> {
    jobs: I,
    /// The pieces that are not yet taken, in order; none of one that is under way.
    pieces: VecDeque<Option<D>>,
    /// How many were taken.
    taken: usize,
    spare: Vec<D>,
    /// Nobody takes any more, or a thread panicked.
    is_closed: bool,
}

impl<J, D, I, W> Team<I, W, D>
where
    I: Iterator<Item = J>,
    W: Fn(J, Option<D>) -> D,
{
    fn desk(&self) -> MutexGuard<'_, Desk<I, D>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the next job, if there is one. The desk is left meanwhile.
    fn do_one<'t>(
        &'t self,
        mut desk: MutexGuard<'t, Desk<I, D>>,
    ) -> (MutexGuard<'t, Desk<I, D>>, bool) {
        let Some(job) = desk.jobs.next() else { return (desk, false) };
        let number = desk.taken + desk.pieces.len();
        desk.pieces.push_back(None);
        let spare = desk.spare.pop();
        drop(desk);
        let close = Close { turns: self, always: false };
        let done = (self.work)(job, spare);
        drop(close);
        let mut desk = self.desk();
        let place = number - desk.taken;
        if let Some(piece) = desk.pieces.get_mut(place) {
            *piece = Some(done);
        }
        if place == 0 {
            self.done.notify_one();
        }
        (desk, true)
    }

    /// What each thread does.
    fn help(&self) {
        let mut desk = self.desk();
        while !desk.is_closed {
            if desk.pieces.len() >= self.capacity {
                desk = self.room.wait(desk).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (left, was_one) = self.do_one(desk);
            if !was_one {
                return;
            }
            desk = left;
        }
    }
}

impl<J, D, I, W> Turns<D> for Team<I, W, D>
where
    I: Iterator<Item = J>,
    W: Fn(J, Option<D>) -> D,
{
    fn next(&self) -> Option<D> {
        let mut desk = self.desk();
        loop {
            if let Some(done) = desk.pieces.front_mut().and_then(Option::take) {
                desk.pieces.pop_front();
                desk.taken += 1;
                self.room.notify_one();
                return Some(done);
            }
            if desk.is_closed {
                return None;
            }
            let mut has_helped = false;
            if desk.pieces.len() < self.capacity {
                (desk, has_helped) = self.do_one(desk);
            }
            if !has_helped {
                if desk.pieces.is_empty() {
                    return None;
                }
                let is_under_way = |desk: &mut Desk<I, D>| {
                    !desk.is_closed && desk.pieces.front().is_some_and(Option::is_none)
                };
                let waited = self.done.wait_while(desk, is_under_way);
                desk = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn give_back(&self, done: D) {
        self.desk().spare.push(done);
    }

    fn close(&self) {
        self.desk().is_closed = true;
        self.done.notify_all();
        self.room.notify_all();
    }
}

/// Closes the desk when dropped: always, or by a panic alone.
struct Close<'t, D> {
    turns: &'t dyn Turns<D>,
    always: bool,
}

impl<D> Drop for Close<'_, D> {
    fn drop(&mut self) {
        if self.always || thread::panicking() {
            self.turns.close();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::collections::BTreeSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_done_comes_in_order_from_any_number_of_threads() {
        for threads in [0, 1, 2, 5, usize::MAX] {
            let work = |job: u64, _: Option<u64>| {
                thread::sleep(Duration::from_micros(job * 7 % 50));
                2 * job
            };
            let all = work_ahead(threads, 0..300, work, |taker| {
                std::iter::from_fn(|| taker.next()).collect::<Vec<_>>()
            });
            assert_eq!(all, (0..300).map(|job| 2 * job).collect::<Vec<_>>(), "{threads}");
        }
    }

    /// Each waits for the other: with one thread alone this would never end.
    #[test]
    fn a_thread_works_beside_the_caller() {
        let both = Barrier::new(2);
        let work = |job: u32, _: Option<_>| {
            both.wait();
            (job, thread::current().id())
        };
        let workers = work_ahead(2, 0..4, work, |taker| {
            std::iter::from_fn(|| taker.next()).map(|(_, thread)| thread).collect::<Vec<_>>()
        });
        let different: Vec<_> =
            workers.iter().filter(|id| **id == thread::current().id()).collect();
        assert_eq!((workers.len(), different.len()), (4, 2));
    }

    #[test]
    fn no_more_is_done_than_there_is_room_for_and_what_is_given_back_is_used() {
        let begun = Mutex::new(0);
        let work = |_: u32, spare: Option<Box<u32>>| {
            *begun.lock().unwrap() += 1;
            spare.unwrap_or_default()
        };
        let places = work_ahead(2, 0..100, work, |taker| {
            let mut places = BTreeSet::new();
            for taken in 1..=100 {
                let done = taker.next().unwrap();
                assert!(*begun.lock().unwrap() <= taken + 2 * WAITING_PER_THREAD);
                places.insert(std::ptr::from_ref(&*done).addr());
                taker.give_back(done);
            }
            assert!(taker.next().is_none());
            places
        });
        assert!(places.len() <= 2 * WAITING_PER_THREAD + 1, "{}", places.len());
    }

    #[test]
    fn who_takes_no_more_waits_for_no_job_that_is_not_begun() {
        let begun = Mutex::new(0_usize);
        let work = |_: u64, _: Option<()>| *begun.lock().unwrap() += 1;
        let taken =
            work_ahead(5, 0..u64::MAX, work, |taker| (0..10).map_while(|_| taker.next()).count());
        assert_eq!(taken, 10);
        assert!(*begun.lock().unwrap() <= 10 + 5 * WAITING_PER_THREAD);
    }

    #[test]
    fn a_panic_of_a_thread_is_one_of_its_caller() {
        for threads in [1, 2, 5] {
            let work = |job: u32, _: Option<()>| assert!(job != 50, "job 50");
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                work_ahead(threads, 0..100, work, |taker| {
                    std::iter::from_fn(|| taker.next()).count()
                })
            }));
            assert!(panicked.is_err(), "{threads}");
        }
    }
}
