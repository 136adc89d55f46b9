//! The campaign: every system call of every kind of run, and everything that can go
//! wrong there. `make test-faults` runs all of it; `make test` a sample.
//!
//! `CREDIMG_FAULT_RUNS` is the number of runs (`all`, or about how many are drawn),
//! `CREDIMG_SEED` repeats a draw, and `CREDIMG_FAULT` has the campaign make those runs alone
//! whose names, which findings tell, hold its text.

mod bench;
mod fault;
mod judge;
mod planted;
mod scenarios;
mod table;

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bench::Bench;
use fault::{Counter, Fault, Point, id, number};
use judge::{Evidence, Finding, judge, judge_next};
use scenarios::{Scenario, all};
use table::{Row, Table};

use crate::tracer::{Action, Call, Outcome, Stop, Tracer};

/// How many runs the sample of `make test` has for each scenario.
const SAMPLE: usize = 5;

#[test]
#[expect(clippy::print_stdout, reason = "the counts are the campaign's result")]
fn whatever_fails_files_are_whole_and_messages_true() {
    let scenarios = all();
    let draw = Draw::new(scenarios.len());
    let next = AtomicUsize::new(0);
    let table = Mutex::new(Table::new(&scenarios));
    let workers = std::thread::available_parallelism().map_or(2, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(place) else { return };
                    if draw.wants(scenario) {
                        work(scenario, place, &draw, &table);
                    }
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
        Self { most, seed, only: std::env::var("CREDIMG_FAULT").ok() }
    }

    fn wants(&self, scenario: &Scenario) -> bool {
        let scenario_of = |only: &String| only.split_once('/').map(|(name, _)| name.to_owned());
        self.only.as_ref().and_then(scenario_of).is_none_or(|name| name == scenario.name)
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
        while self.most.is_some_and(|most| jobs.len() > most) {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut number = state;
            number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            let place = usize::try_from((number ^ number >> 31) % jobs.len() as u64).unwrap();
            jobs.swap_remove(place);
        }
        jobs
    }
}

/// Makes the runs of a scenario.
fn work(scenario: &Scenario, place: usize, draw: &Draw, table: &Mutex<Table>) {
    let bench = Bench::new(scenario);
    for (point, fault) in draw.jobs(scenario, &record(&bench)) {
        let (row, findings, stderr) = run(&bench, &point, fault);
        let id = id(&scenario.name, &point, fault);
        table.lock().unwrap().add(place, row, findings, &id, &stderr);
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
