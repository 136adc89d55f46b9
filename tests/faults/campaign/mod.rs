//! The campaign: every system call of every kind of run, and everything that can go
//! wrong there. `make test-faults` runs all of it; `make test` a sample.
//!
//! `CREDIMG_FAULT_RUNS` is the number of runs (`all`, or about how many are drawn),
//! `CREDIMG_SEED` repeats a draw, and `CREDIMG_FAULT` has the campaign make those runs alone
//! whose names, which findings tell, hold its text. After `CREDIMG_FAULT_SECONDS` it makes
//! no more runs, and tells of those that it has made.

mod bench;
mod fault;
mod judge;
mod planted;
mod scenarios;
mod table;

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bench::Bench;
use fault::{Counter, Fault, Point, id, number};
use judge::{Evidence, Finding, judge, judge_next};
use scenarios::{Scenario, all};
use table::{Row, Table};

use crate::tracer::{Action, Call, Outcome, Stop, Tracer};

/// How many runs the sample of `make test` has for each scenario.
const SAMPLE: usize = 5;
/// How many runs a scenario has before the next one's turn: what a limit of time leaves of
/// the campaign is of all scenarios.
const TURN: usize = 50;
/// No scenario has as many runs as so many turns.
const ROUNDS: usize = 500;

#[test]
#[expect(clippy::print_stdout, reason = "the counts are the campaign's result")]
fn whatever_fails_files_are_whole_and_messages_true() {
    let scenarios = all();
    let draw = Draw::new(scenarios.len());
    let next = AtomicUsize::new(0);
    let queue = |scenario| Queue { scenario, jobs: OnceLock::new() };
    let queues: Vec<_> = scenarios.iter().map(queue).collect();
    let table = Mutex::new(Table::new(&scenarios));
    let workers = std::thread::available_parallelism().map_or(2, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let (place, round) = (turn % scenarios.len(), turn / scenarios.len());
                    if round > ROUNDS || draw.is_over() {
                        return;
                    }
                    queues[place].work(place, round, &draw, &table);
                }
            });
        }
    });
    let table = table.into_inner().unwrap();
    println!("CREDIMG_SEED={}\n{table}", draw.seed);
    assert!(table.findings() == 0, "\n{}", table.told());
}

/// Something that goes wrong at a system call.
type Job = (Point, Fault);

/// Which runs are made.
struct Draw {
    /// Of each scenario; all without it.
    most: Option<usize>,
    seed: u64,
    /// What the names of the runs hold.
    only: Option<String>,
    started: Instant,
    /// From then on.
    limit: Option<Duration>,
}

impl Draw {
    fn new(scenarios: usize) -> Self {
        let most = match std::env::var("CREDIMG_FAULT_RUNS").as_deref() {
            Ok("all") => None,
            Ok(_) => number::<usize>("CREDIMG_FAULT_RUNS").map(|runs| runs.div_ceil(scenarios)),
            Err(_) => Some(SAMPLE),
        };
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // The sample is always the same.
        let drawn = if std::env::var_os("CREDIMG_FAULT_RUNS").is_some() { now() } else { 1 };
        let seed = number("CREDIMG_SEED").unwrap_or(drawn);
        let limit = number("CREDIMG_FAULT_SECONDS").map(Duration::from_secs);
        let only = std::env::var("CREDIMG_FAULT").ok();
        Self { most, seed, only, started: Instant::now(), limit }
    }

    fn wants(&self, scenario: &Scenario) -> bool {
        let scenario_of = |only: &String| only.split_once('/').map(|(name, _)| name.to_owned());
        self.only.as_ref().and_then(scenario_of).is_none_or(|name| name == scenario.name)
    }

    fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| self.started.elapsed() > limit)
    }

    /// The runs of a scenario.
    fn jobs(&self, scenario: &Scenario, points: &[Point]) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        for point in points {
            jobs.extend(point.faults().into_iter().map(|fault| (point.clone(), fault)));
        }
        if let Some(only) = &self.only {
            jobs.retain(|(point, fault)| id(&scenario.name, point, *fault).contains(only));
            return jobs;
        }
        let mut state = scenario
            .name
            .bytes()
            .fold(self.seed, |state, byte| state.wrapping_mul(31).wrapping_add(byte.into()));
        for end in (1..jobs.len()).rev() {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut number = state;
            number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            let other = usize::try_from((number ^ number >> 31) % (end as u64 + 1)).unwrap();
            jobs.swap(end, other);
        }
        jobs.truncate(self.most.unwrap_or(usize::MAX));
        jobs
    }
}

/// What is shared by those who make the runs of a scenario.
struct Queue<'a> {
    scenario: &'a Scenario,
    /// Known when the first run is to be made.
    jobs: OnceLock<Vec<Job>>,
}

impl Queue<'_> {
    /// Makes the runs of one turn, unless there are no more.
    fn work(&self, place: usize, round: usize, draw: &Draw, table: &Mutex<Table>) {
        let first = round * TURN;
        if self.jobs.get().is_some_and(|jobs| jobs.len() <= first) || !draw.wants(self.scenario) {
            return;
        }
        let bench = Bench::new(self.scenario);
        let jobs = self.jobs.get_or_init(|| draw.jobs(self.scenario, &record(&bench)));
        for (point, fault) in jobs.iter().skip(first).take(TURN) {
            if draw.is_over() {
                return;
            }
            let (row, findings, stderr) = run(&bench, point, *fault);
            let id = id(&self.scenario.name, point, *fault);
            table.lock().unwrap().add(place, row, findings, &id, &stderr);
        }
    }
}

/// The system calls of a run in which nothing fails, from where the program begins its own work.
fn record(bench: &Bench) -> Vec<Point> {
    let mut points = Vec::new();
    let mut counter = Counter::default();
    bench.reset();
    let absent = |call: &Call| bench.scenario.absent.and_then(|absent| absent(call));
    let outcome = trace(bench, |stop| {
        if let Stop::Entry(call) = stop {
            // Before it the C library and Rust's get ready.
            let occurrence = counter.count(call);
            if call.name() == "prctl" || !points.is_empty() {
                points.push(Point::new(call, occurrence));
            }
            if let Some(error) = absent(call) {
                return Action::Fail(error);
            }
        }
        Action::Run
    });
    let (name, stderr) = (&bench.scenario.name, outcome.stderr());
    assert_eq!(outcome.code(), Some(bench.scenario.code), "{name}: {stderr}");
    assert!(!points.is_empty(), "{}: no prctl", bench.scenario.name);
    points
}

fn trace(bench: &Bench, decide: impl FnMut(Stop) -> Action) -> Outcome {
    Tracer::new(&bench.command()).stdin(bench.stdin()).run(decide)
}

/// Makes one run and judges it.
fn run(bench: &Bench, point: &Point, fault: Fault) -> (Row, Vec<Finding>, String) {
    bench.reset();
    let (mut is_hit, mut is_inside) = (false, false);
    let mut is_synced = !point.is_sync() || matches!(fault, Fault::Signal(_));
    let absent = |call: &Call| bench.scenario.absent.and_then(|absent| absent(call));
    // Without a reason to look further the run goes on at full speed.
    let looks_on = fault.is_lasting() || point.is_sync() || bench.scenario.absent.is_some();
    let mut counter = Counter::default();
    let outcome = trace(bench, |stop| match stop {
        Stop::Entry(call) => {
            let here = (call.thread_index, call.name(), counter.count(call));
            if !is_hit && here == (point.thread, point.name, point.occurrence) {
                is_hit = true;
                is_inside = true;
                return fault.action(call);
            }
            let lasting = is_hit.then(|| fault.lasts(point, call)).flatten();
            let error = lasting.or_else(|| absent(call));
            error.map_or(Action::Run, Action::Fail)
        }
        Stop::Exit(call, result) => {
            // What the call that fails says itself is not what is told of it.
            let is_other = !std::mem::take(&mut is_inside);
            let is_sync = Point::new(call, 0).is_sync();
            is_synced |= is_hit && is_other && is_sync && result == 0;
            if is_hit && !looks_on { Action::Release } else { Action::Run }
        }
    });
    let now = bench.state(outcome.stdout.clone());
    let stderr = outcome.stderr();
    let row = Row::new(&outcome, is_hit, now.temporaries.len());
    let is_untidy = !now.temporaries.is_empty() || outcome.code() != Some(bench.scenario.code);
    let is_synced = is_synced || !is_hit;
    let evidence = Evidence { bench, point, fault, is_hit, is_synced, outcome: &outcome, now };
    let mut findings = judge(&evidence);
    if is_untidy {
        let says = |words| stderr.contains(words);
        let is_told = says("the new key is not used") || says("the file is in place");
        let may_refuse = is_told || matches!(fault, Fault::Signal(_));
        findings.extend(judge_next(bench, &bench.next_run(), may_refuse));
    }
    (row, findings, stderr)
}
