//! What a run has to leave and to say, whatever failed in it.

use std::collections::{BTreeMap, BTreeSet};

use super::bench::{Bench, Entry, State};
use super::fault::{Fault, Point};
use super::scenarios::{CANARY, Start};
use crate::tracer::{Outcome, Signal};

/// The sentences that say which image is in place.
const SAYS_OLD: [&str; 3] =
    ["the old image is unchanged", "the old blob is unchanged", "the old file is unchanged"];
/// It may go on with what is not as it was beside it.
const SAYS_OLD_ALONE: &str = "the image is the old one";
const SAYS_WRITTEN: &str = "the image itself is written";

/// One run and what came of it.
pub(super) struct Evidence<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) point: &'a Point,
    pub(super) fault: Fault,
    /// Whether the run came to the point.
    pub(super) is_hit: bool,
    /// Whether what failed to come onto the disk came there in the end.
    pub(super) is_synced: bool,
    pub(super) outcome: &'a Outcome,
    pub(super) now: State,
}

/// A rule that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) rule: &'static str,
    pub(super) what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Old,
    New,
    /// Old and new are the same.
    Both,
}

impl Age {
    fn is_old(self) -> bool {
        self != Self::New
    }

    fn is_new(self) -> bool {
        self != Self::Old
    }
}

/// Everything that is wrong with a run.
pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let mut judge = Judge { evidence, stderr: evidence.outcome.stderr(), findings: Vec::new() };
    judge.end();
    judge.files();
    judge.keys();
    judge.temporaries();
    judge.secrecy();
    if judge.is_done() {
        judge.completeness();
    } else {
        judge.consistency();
        judge.messages();
    }
    judge.findings
}

/// Everything that is wrong with a run that follows a fault. It may refuse to replace a key
/// that the first run had made, if that was told, or nobody was left to tell (`may_refuse`).
pub(super) fn judge_next(
    bench: &Bench,
    run: &(Result<(), String>, State),
    may_refuse: bool,
) -> Vec<Finding> {
    let (outcome, state) = run;
    let mut findings = Vec::new();
    let mut find = |what: String| findings.push(Finding { rule: "next", what });
    let differing = differing(bench, state);
    match (outcome, differing) {
        (Err(said), None) if may_refuse && said.contains("is there already") => {}
        (Err(said), _) => find(format!("the next run fails: {said}")),
        (Ok(()), Some(name)) => find(format!("the next run does not mend {name}")),
        (Ok(()), None) => {}
    }
    if outcome.is_ok() && !state.temporaries.is_empty() {
        find(format!("the next run leaves {:?}", state.temporaries.keys()));
    }
    if outcome.is_ok() && !state.private_directories.is_empty() {
        find(format!("the next run leaves {:?}", state.private_directories));
    }
    findings
}

/// A file that is not as after a run in which nothing fails.
fn differing(bench: &Bench, state: &State) -> Option<String> {
    let mut names = bench.new.files.keys().chain(state.files.keys());
    names.find(|name| !bench.is_new(state, name)).cloned()
}

struct Judge<'a> {
    evidence: &'a Evidence<'a>,
    stderr: String,
    findings: Vec<Finding>,
}

impl Judge<'_> {
    fn find(&mut self, rule: &'static str, what: impl Into<String>) {
        self.findings.push(Finding { rule, what: what.into() });
    }

    /// The signal of the fault, where it came.
    fn signal(&self) -> Option<Signal> {
        match self.evidence.fault {
            Fault::Signal(signal) if self.evidence.is_hit => Some(signal),
            Fault::Signal(_)
            | Fault::Fail(_)
            | Fault::Done(_)
            | Fault::From(_)
            | Fault::Alike(_)
            | Fault::One
            | Fault::Half => None,
        }
    }

    fn is_killed(&self) -> bool {
        self.signal() == Some(Signal::SIGKILL)
    }

    /// Whether the run says that all is done.
    fn is_done(&self) -> bool {
        let Evidence { bench, outcome, now, .. } = self.evidence;
        let code = bench.scenario.code;
        let has_printed = || bench.plain_stdout(now) == bench.new_stdout;
        outcome.code() == Some(code) && (code == 0 || has_printed())
    }

    /// How the process ended.
    fn end(&mut self) {
        let outcome = self.evidence.outcome;
        if outcome.is_hung {
            self.find("hung", "it did not end within a minute");
        }
        if outcome.orphans > 0 {
            self.find("orphan", format!("{} processes are left", outcome.orphans));
        }
        match (outcome.code(), outcome.signal()) {
            (Some(0 | 2..=8), _) if self.signal().is_none() || self.is_done() => {}
            (Some(code), _) => self.find("code", format!("exit code {code}")),
            (None, signal) if signal.is_some() && signal == self.signal() => {}
            (None, signal) => self.find("code", format!("ended by {signal:?}")),
        }
    }

    /// Each file is the old or the new one, whole.
    fn files(&mut self) {
        let Evidence { bench, now, .. } = self.evidence;
        for name in now.files.keys() {
            if self.age(name).is_none() {
                self.find("torn", format!("{name} is neither the old nor the new one"));
            } else if !self.has_access(name) {
                self.find("access", format!("{name} has another mode or owner"));
            }
        }
        for name in bench.old.files.keys().filter(|name| !now.files.contains_key(*name)) {
            let goes = !bench.new.files.contains_key(name);
            // Those that the new image does not have wait under a temporary name.
            let is_kept = self.is_killed() && self.is_kept(name);
            let is_gone = goes && (self.image().is_none_or(Age::is_new) || is_kept);
            if !is_gone && !self.is_told_moved(name) {
                self.find("lost", format!("{name} is gone"));
            }
        }
    }

    /// Whether it is told that the file has a temporary name now, which it has.
    fn is_told_moved(&self, name: &str) -> bool {
        let Evidence { bench, now, .. } = self.evidence;
        let told = self.stderr.split_once(&format!("{name} is called "));
        let place = told.and_then(|(_, place)| place.split_whitespace().next());
        let place = place.and_then(|place| place.rsplit('/').next());
        let moved = now.temporaries.iter().find(|(there, _)| place == there.rsplit('/').next());
        moved.is_some_and(|(_, entry)| {
            bench.old.files.get(name).is_some_and(|old| old.bytes == entry.bytes)
        })
    }

    /// Whether a temporary is what had this name.
    fn is_kept(&self, name: &str) -> bool {
        let Evidence { bench, now, .. } = self.evidence;
        let is_it = |entry: &Entry| bench.old.files.get(name) == Some(entry);
        now.temporaries.values().any(is_it)
    }

    fn has_access(&self, name: &str) -> bool {
        let Evidence { bench, now, .. } = self.evidence;
        let access = |state: &State| state.files.get(name).map(|entry| (entry.mode, entry.owner));
        let found = access(now);
        found == access(&bench.old) || found == access(&bench.new)
    }

    /// Whether a file is of the old or of the new state; none where it is of neither.
    fn age(&self, name: &str) -> Option<Age> {
        let Evidence { bench, now, .. } = self.evidence;
        let found = now.files.get(name)?;
        // An old image is known by its bytes, an old key as well.
        let is_old = bench.old.files.get(name).is_some_and(|old| old.bytes == found.bytes);
        // While some sidecars are new and others are not yet removed, the index holds both.
        if !is_old && self.is_index_of_both(name, &found.bytes) {
            return Some(Age::Both);
        }
        match is_old {
            true if bench.stays(name) => Some(Age::Both),
            true => Some(Age::Old),
            false => bench.is_new(now, name).then_some(Age::New),
        }
    }

    fn is_index_of_both(&self, name: &str, bytes: &[u8]) -> bool {
        let Evidence { bench, .. } = self.evidence;
        let is_index =
            bench.scenario.image.is_some_and(|image| name == format!("{image}.sidecars"));
        if !is_index {
            return false;
        }
        let lines = |state: &State| {
            let bytes = state.files.get(name).map(|entry| entry.bytes.clone()).unwrap_or_default();
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let both: String =
            lines(&bench.old).union(&lines(&bench.new)).flat_map(|line| [line, "\n"]).collect();
        // A disk that fails for ever keeps it under the old image: that is told.
        let is_told = || self.stderr.contains(&format!("{name} is of the new build"));
        bytes == both.as_bytes() && (self.is_killed() || !self.is_image_old() || is_told())
    }

    fn is_image_old(&self) -> bool {
        let Evidence { bench, now, .. } = self.evidence;
        let image =
            |state: &State| state.files.get(bench.scenario.image?).map(|it| it.bytes.clone());
        image(now) == image(&bench.old)
    }

    /// Of the image, where one is there and is whole.
    fn image(&self) -> Option<Age> {
        self.age(self.evidence.bench.scenario.image?)
    }

    fn keys(&mut self) {
        let Evidence { bench, now, .. } = self.evidence;
        for name in bench.scenario.keys {
            let (old, found) = (bench.old.files.get(*name), now.files.get(*name));
            if old.is_some() && old != found {
                self.find("key", format!("{name} is not what it was"));
            }
            let has_image = bench.scenario.image.is_some_and(|image| now.files.contains_key(image));
            if has_image && found.is_none() {
                self.find("key", format!("the image is there without {name}"));
            }
        }
    }

    /// At most one a file, private, and named where the process lived to do so.
    fn temporaries(&mut self) {
        let Evidence { bench, now, .. } = self.evidence;
        let mut counts = BTreeMap::new();
        for (name, entry) in &now.temporaries {
            let is_replaced = bench.old.files.values().any(|old| old == entry);
            if entry.mode != 0o600 && !is_replaced && !self.has_final_access(entry.mode) {
                self.find("temporary", format!("{name} has mode {:o}", entry.mode));
            }
            let last = name.rsplit('/').next().unwrap_or_default();
            // They lie beside the file that they become, or in a private directory there.
            let start = name.rsplit_once(".credimg-").map_or(&**name, |(start, _)| start);
            let (folder, target) = start.rsplit_once('/').unwrap_or(("", start));
            *counts.entry((folder, target.trim_start_matches('.'))).or_insert(0) += 1;
            let is_told = self.is_killed() || self.evidence.point.is_message();
            if !is_told && !self.stderr.contains(last) {
                self.find("temporary", format!("{name} is left without a word"));
            }
        }
        for ((folder, target), count) in counts {
            // Those of sidecars are named by the image.
            let of_target = |name: &&String| {
                let last = name.rsplit_once('/').map_or(("", &***name), |(f, l)| (f, l));
                last.0 == folder && (last.1 == target || last.1.starts_with(&format!("{target}.")))
            };
            if count > bench.new.files.keys().filter(of_target).count().max(1) {
                self.find("temporary", format!("{count} of {target} are left"));
            }
        }
    }

    /// Whether it is a mode that the finished file has.
    fn has_final_access(&self, mode: u32) -> bool {
        self.evidence.bench.new.files.values().any(|entry| entry.mode == mode)
    }

    fn secrecy(&mut self) {
        let prints_secrets = self.evidence.bench.scenario.prints_secrets;
        let stdout = String::from_utf8_lossy(&self.evidence.now.stdout);
        if self.stderr.contains(CANARY) || stdout.contains(CANARY) && !prints_secrets {
            self.find("leak", "a secret is printed");
        }
        if self.stderr.contains("panicked") {
            self.find("panic", "it panicked");
        }
    }

    /// What says that all is done has done all.
    fn completeness(&mut self) {
        let Evidence { bench, now, .. } = self.evidence;
        if let Some(name) = differing(bench, now) {
            self.find("silent", format!("{name} is not new, in spite of the exit code"));
        }
        if bench.plain_stdout(now) != bench.new_stdout {
            self.find("silent", "standard output lacks something, in spite of the exit code");
        }
        if !self.evidence.is_synced {
            self.find("silent", "it is not on the disk, in spite of the exit code");
        }
    }

    /// After an error everything is old, or everything is new; after a kill no new image
    /// stands beside an old sidecar.
    fn consistency(&mut self) {
        let Evidence { bench, now, .. } = self.evidence;
        let Some(image) = bench.scenario.image else { return };
        let prefix = format!("{image}.");
        let names = || bench.old.files.keys().chain(bench.new.files.keys());
        let sidecars: Vec<_> = names().filter(|name| name.starts_with(&prefix)).collect();
        let is_image_new = self.image().is_some_and(Age::is_new);
        let is_image_old = self.image().map_or(bench.scenario.start == Start::Nothing, Age::is_old);
        let fits = |name: &&String, state: &State, is_of: fn(Age) -> bool| {
            let is_there = now.files.contains_key(*name);
            match self.age(name) {
                Some(age) => is_of(age) && state.files.contains_key(*name),
                None => !is_there && !state.files.contains_key(*name),
            }
        };
        // A disk that fails for ever keeps what was changed: that is told of each file.
        let fits_old = |name: &&String| {
            let is_told_new = self.stderr.contains(&format!("{name} is of the new build"));
            fits(name, &bench.old, Age::is_old) || is_told_new || self.is_told_moved(name)
        };
        let is_old = is_image_old && sidecars.iter().all(fits_old);
        // One that is to be removed by hand is named.
        let is_named = |name: &&String| self.stderr.contains(&***name);
        let is_stale = |name: &&String| !bench.new.files.contains_key(*name);
        let is_kept = |name: &&String| is_stale(name) && (self.is_killed() || is_named(name));
        let fits_new = |name: &&String| fits(name, &bench.new, Age::is_new) || is_kept(name);
        let is_new = is_image_new && sidecars.iter().all(fits_new);
        let is_between = self.is_killed() && is_image_old;
        if !(is_old || is_new || is_between) {
            self.find("mixed", "image and sidecars are of two builds");
        }
    }

    /// What is said is true, and what has to be said is said.
    fn messages(&mut self) {
        let Evidence { bench, outcome, now, .. } = self.evidence;
        let (point, code) = (self.evidence.point, outcome.code());
        let says_old = SAYS_OLD.iter().any(|words| self.stderr.contains(words));
        let says_placed = |line: &str| {
            let is_named = line.contains("image") || line.contains("blob");
            is_named && line.contains(" in place")
        };
        let says_new = self.stderr.contains(SAYS_WRITTEN) || self.stderr.lines().any(says_placed);
        let image = self.image();
        // Without an image it is said of another file that is replaced.
        let mut names = now.files.keys().filter(|name| bench.old.files.contains_key(*name));
        let is_old = match bench.scenario.image {
            Some(_) => image.is_some_and(Age::is_old),
            None => names.all(|name| self.age(name).is_some_and(Age::is_old)),
        };
        let says_old_alone = self.stderr.contains(SAYS_OLD_ALONE);
        if (says_old || says_old_alone) && !is_old {
            self.find("untrue", "the old image is not as it was");
        }
        if says_new && !image.is_some_and(Age::is_new) {
            self.find("untrue", "the new image is not in place");
        }
        for word in self.stderr.clone().split_whitespace().filter(|w| w.contains(".credimg-")) {
            let name = word.trim_end_matches([',', ':', ';', '.']).rsplit('/').next();
            let is_there = |there: &&String| name.is_some_and(|name| there.ends_with(name));
            if !now.temporaries.keys().any(|there| is_there(&there)) {
                self.find("untrue", format!("{word} is not there"));
            }
        }
        if self.is_killed() || point.is_message() {
            return;
        }
        if code.is_some() && !self.stderr.contains("credimg: error:") {
            self.find("mute", "there is no message");
        }
        let writes_image = bench.scenario.setup.is_none()
            && bench.scenario.image.is_some_and(|image| bench.old.files.contains_key(image));
        if code == Some(7) && writes_image && !(says_old || says_old_alone || says_new) {
            self.find("mute", "it is not said which image is in place");
        }
    }
}
