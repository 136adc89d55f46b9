//! Dumps of a program's memory at its stops, and the search in them.

use std::fs::File;
use std::io::{Seek, Write};
use std::process::Command;

use memchr::memmem::Finder;

use super::needles::{Kind, Needles};
use crate::support::tracer::{Action, Call, Outcome, Stop, Tracer};

/// What lasts, or hands the memory's owner on.
const STOPS: [&str; 7] =
    ["fsync", "fdatasync", "syncfs", "execve", "exit_group", "tgkill", "tkill"];
/// Those after which the memory is not the program's any more, where it makes them itself: by the
/// last two a program dies of a signal, with glibc by the first of them and with musl by the other.
const ENDS: [&str; 4] = ["execve", "exit_group", "tgkill", "tkill"];

/// A piece of memory that was not empty.
struct Piece {
    start: u64,
    name: String,
    is_locked: bool,
    bytes: Vec<u8>,
}

/// The memory at one stop.
struct Dump {
    /// The call, and its place among those of the program.
    stop: String,
    /// Whether nothing secret may be left: the program ends, or becomes another.
    is_end: bool,
    pieces: Vec<Piece>,
}

/// Every dump of a run.
pub(super) struct Dumps {
    pub(super) outcome: Outcome,
    dumps: Vec<Dump>,
}

/// Runs the program with this on standard input, and takes its dumps.
pub(super) fn take(command: &Command, input: &[u8]) -> Dumps {
    let mut stdin = tempfile::tempfile().unwrap();
    stdin.write_all(input).unwrap();
    stdin.rewind().unwrap();
    take_from(command, stdin, &mut |_| Action::Run)
}

/// Does the same with an empty standard input, while `decide` is asked what becomes of each call.
pub(super) fn take_failing(command: &Command, decide: &mut dyn FnMut(&Call) -> Action) -> Dumps {
    take_from(command, tempfile::tempfile().unwrap(), decide)
}

fn take_from(command: &Command, stdin: File, decide: &mut dyn FnMut(&Call) -> Action) -> Dumps {
    let mut dumps = Vec::new();
    let mut process = None;
    let outcome = Tracer::new(command).stdin(stdin).run(|stop| {
        let Stop::Entry(call) = stop else { return Action::Run };
        let own = *process.get_or_insert(call.process);
        if STOPS.contains(&call.name()) {
            let is_end = call.process == own && ENDS.contains(&call.name());
            let of = if call.process == own { "" } else { " of a command" };
            let stop = format!("{}{of}, call {}", call.name(), call.ordinal);
            let pieces =
                call.memory().into_iter().filter(|mapping| mapping.bytes.iter().any(|it| *it != 0));
            let pieces = pieces.map(|mapping| Piece {
                start: mapping.start,
                name: mapping.name,
                is_locked: mapping.is_locked,
                bytes: mapping.bytes,
            });
            dumps.push(Dump { stop, is_end, pieces: pieces.collect() });
        }
        decide(call)
    });
    Dumps { outcome, dumps }
}

impl Dumps {
    /// How many there are that are not of the end.
    pub(super) fn count(&self) -> usize {
        self.dumps.iter().filter(|dump| !dump.is_end).count()
    }

    /// Everything that is where it must not be, a line each.
    pub(super) fn faults(&self, needles: &Needles) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, kind, bytes) in needles.all() {
            let finder = Finder::new(bytes);
            for dump in &self.dumps {
                for piece in &dump.pieces {
                    let is_allowed = match kind {
                        Kind::Key => piece.is_locked && !dump.is_end,
                        Kind::Content => !dump.is_end,
                    };
                    if let Some(at) = finder.find(&piece.bytes).filter(|_| !is_allowed) {
                        let address = piece.start + at as u64;
                        let lock = if piece.is_locked { ", locked" } else { "" };
                        let place = format!("{address:#x} {}{lock}", piece.name);
                        faults.push(format!("{}: {name} at {place}", dump.stop));
                    }
                }
            }
        }
        faults
    }

    /// The stored things that are in memory whenever the program stops so, in turn.
    pub(super) fn stored_at(&self, needles: &Needles, stop: &str) -> Vec<Vec<String>> {
        let stored = needles.all().filter(|(_, kind, _)| *kind == Kind::Content);
        let stored: Vec<_> = stored.map(|(name, _, bytes)| (name, Finder::new(bytes))).collect();
        let dumps = self.dumps.iter().filter(|dump| dump.stop.starts_with(stop));
        dumps
            .map(|dump| {
                let is_there = |finder: &Finder| {
                    dump.pieces.iter().any(|piece| finder.find(&piece.bytes).is_some())
                };
                let found = stored.iter().filter(|(_, finder)| is_there(finder));
                found.map(|(name, _)| (*name).to_owned()).collect()
            })
            .collect()
    }

    /// Whether a needle of this name is in any dump, where it may be or not.
    pub(super) fn holds(&self, needles: &Needles, wanted: &str) -> bool {
        needles.all().filter(|(name, ..)| name.contains(wanted)).any(|(.., bytes)| {
            let finder = Finder::new(bytes);
            let mut pieces = self.dumps.iter().flat_map(|dump| &dump.pieces);
            pieces.any(|piece| finder.find(&piece.bytes).is_some())
        })
    }

    /// Fails with a line for each fault.
    #[track_caller]
    pub(super) fn assert_clean(&self, what: &str, needles: &Needles) {
        let faults = self.faults(needles);
        let last = self.dumps.last().map_or("none", |dump| &dump.stop);
        assert!(self.dumps.last().is_some_and(|dump| dump.is_end), "{what}: the last is {last}");
        assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
    }
}
