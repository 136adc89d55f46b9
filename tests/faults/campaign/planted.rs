//! Each rule of the judge is broken once, and the judge has to see it.

use super::bench::{Bench, Entry, State};
use super::fault::{Fault, Point};
use super::judge::{Evidence, judge, judge_next};
use super::scenarios::{Scenario, all};
use crate::tracer::{Errno, Outcome, Signal};

const IMAGE: &str = "a.erofs";
const KEPT: &str = "a.erofs.fw_cfg.kept";
const TEMPORARY: &str = ".a.erofs.credimg-0/abcdefghij";
const FAILED: &str =
    "credimg: error: cannot write a.erofs\ncredimg: hint: the old image is unchanged\n";
const PLACED: &str =
    "credimg: error: cannot write a.erofs\ncredimg: hint: the new image is in place\n";
const IO: Fault = Fault::Fail(Errno::EIO);
const KILL: Fault = Fault::Signal(Signal::SIGKILL);

/// A run that nobody made.
struct Planted<'a> {
    bench: &'a Bench<'a>,
    fault: Fault,
    outcome: Outcome,
    now: State,
    is_synced: bool,
}

impl<'a> Planted<'a> {
    /// Everything is done.
    fn done(bench: &'a Bench) -> Self {
        let outcome = Outcome::made_up(0, "");
        Self { bench, fault: IO, outcome, now: bench.new.clone(), is_synced: true }
    }

    /// An error, and all is as it was.
    fn failed(bench: &'a Bench) -> Self {
        let outcome = Outcome::made_up(7, FAILED);
        let now = State { stdout: Vec::new(), ..bench.old.clone() };
        Self { outcome, now, ..Self::done(bench) }
    }

    fn killed(bench: &'a Bench) -> Self {
        let outcome = Outcome::made_up_end(Signal::SIGKILL);
        Self { fault: KILL, outcome, ..Self::failed(bench) }
    }

    fn says(self, code: i32, stderr: &str) -> Self {
        Self { outcome: Outcome::made_up(code, stderr), ..self }
    }

    /// With a file of this content, or without it.
    fn with(mut self, name: &str, entry: Option<&Entry>) -> Self {
        let named = |name: &str| name.contains(".credimg-");
        let files = if named(name) { &mut self.now.temporaries } else { &mut self.now.files };
        match entry {
            Some(entry) => drop(files.insert(name.to_owned(), entry.clone())),
            None => drop(files.remove(name)),
        }
        self
    }

    fn rules(self) -> Vec<&'static str> {
        let Self { bench, fault, outcome, now, is_synced } = self;
        let point = Point::made_up();
        let (is_hit, outcome, point) = (true, &outcome, &point);
        let findings = judge(&Evidence { bench, point, fault, is_hit, is_synced, outcome, now });
        let mut rules: Vec<_> = findings.iter().map(|finding| finding.rule).collect();
        rules.dedup();
        rules
    }
}

fn scenario(name: &str) -> Scenario {
    all().into_iter().find(|scenario| scenario.name == name).unwrap()
}

fn entry(bytes: &[u8]) -> Entry {
    Entry { bytes: bytes.to_vec(), mode: 0o600, owner: (0, 0) }
}

#[test]
fn the_judge_finds_nothing_in_good_runs() {
    let scenario = scenario("erofs sidecars luks2");
    let bench = Bench::new(&scenario);
    let temporary = entry(b"half");
    let told_new = format!("{FAILED}credimg: hint: out/{KEPT} is of the new build: build again\n");
    let told_moved = format!("{FAILED}credimg: hint: out/{KEPT} is called out/{TEMPORARY} now\n");
    let stale = &bench.old.files["a.erofs.fw_cfg.gone"];
    let new_image = State { files: bench.new.files.clone(), ..State::default() };
    for good in [
        Planted::done(&bench),
        Planted::failed(&bench),
        Planted::killed(&bench),
        Planted::killed(&bench).with(TEMPORARY, Some(&temporary)),
        // A kill between two names.
        Planted::killed(&bench).with(KEPT, bench.new.files.get(KEPT)),
        Planted { now: new_image.clone(), ..Planted::killed(&bench) }
            .with("a.erofs.fw_cfg.gone", Some(stale)),
        Planted { now: new_image, ..Planted::failed(&bench) }.says(7, PLACED),
        Planted::failed(&bench).with(KEPT, bench.new.files.get(KEPT)).says(7, &told_new),
        Planted::failed(&bench)
            .with(TEMPORARY, bench.old.files.get(KEPT))
            .with(KEPT, None)
            .says(7, &told_moved),
        Planted::failed(&bench)
            .with(TEMPORARY, Some(&temporary))
            .says(7, &format!("{FAILED}credimg: warning: cannot remove out/{TEMPORARY}\n")),
    ] {
        assert_eq!(good.rules(), [""; 0]);
    }
}

#[test]
fn the_judge_finds_every_planted_fault_of_files() {
    let scenario = scenario("erofs sidecars luks2");
    let bench = Bench::new(&scenario);
    let new = &bench.new.files;
    let torn = entry(&new[IMAGE].bytes[..new[IMAGE].bytes.len() / 2]);
    let other_key = entry(&[b"0".repeat(60), b"1234".to_vec()].concat());
    let wide = Entry { mode: 0o644, ..new[IMAGE].clone() };
    let temporary = entry(b"half");
    let many: Vec<_> = (0..9).map(|n| format!("{TEMPORARY}{n}")).collect();
    let littered =
        many.iter().fold(Planted::killed(&bench), |it, name| it.with(name, Some(&temporary)));
    for (rules, planted) in [
        (vec!["torn"], Planted::killed(&bench).with(IMAGE, Some(&torn))),
        (vec!["torn"], Planted::killed(&bench).with(KEPT, Some(&torn))),
        (vec!["lost"], Planted::killed(&bench).with("a.erofs.smbios", None)),
        (vec!["torn", "key"], Planted::killed(&bench).with("key", Some(&other_key))),
        (vec!["lost", "key"], Planted::killed(&bench).with("key", None)),
        (
            vec!["access", "mute"],
            Planted::done(&bench).with(IMAGE, Some(&wide)).says(7, "credimg: error: it"),
        ),
        (vec!["mixed"], Planted::failed(&bench).with(KEPT, new.get(KEPT))),
        (vec!["mixed", "untrue"], Planted::failed(&bench).with(IMAGE, new.get(IMAGE))),
        (vec!["mixed"], Planted::killed(&bench).with(IMAGE, new.get(IMAGE))),
        (vec!["mixed", "untrue"], Planted::failed(&bench).with(IMAGE, None)),
        (vec!["temporary"], Planted::failed(&bench).with(TEMPORARY, Some(&temporary))),
        (
            vec!["temporary"],
            Planted::killed(&bench)
                .with(TEMPORARY, Some(&Entry { mode: 0o644, ..temporary.clone() })),
        ),
        (vec!["temporary"], littered),
    ] {
        let found = planted.rules();
        assert!(rules.iter().all(|rule| found.contains(rule)), "{rules:?}: {found:?}");
    }
}

#[test]
fn the_judge_finds_every_planted_fault_of_words_and_ends() {
    let scenario = scenario("erofs sidecars");
    let bench = Bench::new(&scenario);
    let failed = || Planted::failed(&bench);
    let done = || Planted::done(&bench);
    let named = format!("{FAILED}credimg: warning: cannot remove out/{TEMPORARY}\n");
    let orphaned = Outcome { orphans: 1, ..Outcome::made_up(7, FAILED) };
    let hung = Outcome { is_hung: true, ..Outcome::made_up(7, FAILED) };
    let aborted = Outcome::made_up_end(Signal::SIGABRT);
    let unprinted = State { stdout: Vec::new(), ..bench.new.clone() };
    let told_moved = format!("{FAILED}credimg: hint: out/{KEPT} is called out/{TEMPORARY} now\n");
    let interrupted = Fault::Signal(Signal::SIGTERM);
    for (rule, planted) in [
        ("untrue", failed().says(7, PLACED)),
        ("untrue", Planted { now: bench.new.clone(), ..failed() }),
        ("untrue", failed().says(7, &named)),
        ("lost", failed().with(KEPT, None).says(7, &told_moved)),
        ("mute", failed().says(7, "")),
        ("mute", failed().says(7, "credimg: error: cannot write a.erofs\n")),
        ("code", failed().says(101, FAILED)),
        ("code", failed().says(1, FAILED)),
        ("code", Planted { fault: interrupted, ..failed() }),
        ("code", Planted { outcome: aborted, ..failed() }),
        ("orphan", Planted { outcome: orphaned, ..failed() }),
        ("hung", Planted { outcome: hung, ..failed() }),
        ("panic", failed().says(7, &format!("{FAILED}thread 'x' panicked at"))),
        ("leak", failed().says(7, &format!("{FAILED}c4n4ry-new"))),
        ("silent", Planted { now: bench.old.clone(), ..done() }),
        ("silent", Planted { now: unprinted, ..done() }),
        ("silent", Planted { is_synced: false, ..done() }),
        ("silent", done().with(KEPT, None)),
    ] {
        let found = planted.rules();
        assert!(found.contains(&rule), "{rule}: {found:?}");
    }
}

#[test]
fn the_judge_finds_what_the_next_run_does_not_mend() {
    let scenario = scenario("erofs sidecars");
    let bench = Bench::new(&scenario);
    let littered = Planted::done(&bench).with(TEMPORARY, Some(&entry(b"half"))).now;
    assert!(judge_next(&bench, &(Ok(()), bench.new.clone()), false).is_empty());
    let refused = (Err("the key is there already".to_owned()), bench.new.clone());
    assert!(judge_next(&bench, &refused, true).is_empty());
    for run in [
        refused,
        (Err("it fails".to_owned()), bench.new.clone()),
        (Ok(()), bench.old.clone()),
        (Ok(()), littered),
    ] {
        assert_eq!(judge_next(&bench, &run, false).len(), 1);
    }
}
