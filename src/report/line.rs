//! The one line that stands on a terminal while something takes long, and how messages pass it.
//!
//! It is drawn by those who work or wait, at most ten times a second, and never by a thread of
//! its own. There is one for the whole process, since there is one standard error.
//!
//! Invariant: it is drawn on terminals alone, and not while one has its echo off: then some
//! program, such as that of a command's agent, asks there for a passphrase.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::{LocalModes, tcgetattr};

use super::terminal;

/// What takes no longer shows no line.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line is drawn again.
const INTERVAL: Duration = Duration::from_millis(100);
/// More than there are draws, so that nobody but this file leaves any out.
const DRAWS_PER_SECOND: u8 = 100;

static LINE: Mutex<Option<Line>> = Mutex::new(None);
/// Whether there is one: as a rule there is none, and the lock would have workers of a fleet wait
/// for each other many times an image.
static IS_STANDING: AtomicBool = AtomicBool::new(false);

/// The line of something that is under way.
struct Line {
    /// When it may be drawn for the first time.
    first_draw: Instant,
    next_look: Instant,
    /// Whether it tells of many things that are done at a time, and not of the steps of one.
    is_of_many: bool,
    /// What draws it; hidden before that, it learns the rate all the same.
    bar: ProgressBar,
    is_drawn: bool,
    /// What it tells; nothing yet.
    kind: Option<Kind>,
    /// What it told last, where that is text.
    text: String,
}

/// What the line tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Bytes of a known number.
    Bytes,
}

impl Line {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            first_draw: now + PATIENCE,
            next_look: now,
            is_of_many: false,
            bar: ProgressBar::hidden(),
            is_drawn: false,
            kind: None,
            text: String::new(),
        }
    }

    /// Removes it until it is shown again.
    fn wipe(&mut self) {
        if self.is_drawn {
            self.bar.finish_and_clear();
            let Self { first_draw, is_of_many, .. } = *self;
            *self = Self { first_draw, is_of_many, ..Self::new() };
        }
    }
}

impl Kind {
    fn style(self) -> ProgressStyle {
        let template = match self {
            Self::Text => "{msg}",
            Self::Bytes => {
                "{msg}: {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left"
            }
        };
        // Both are understood: a test draws them.
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
    }
}

/// As long as it lives there may be a line; it wipes it at its end.
pub(crate) struct Standing(());

/// Lets a line stand, where that is wanted and standard error can show one.
pub(crate) fn begin(is_wanted: bool) -> Standing {
    if is_wanted && terminal::can_redraw(&io::stderr()) {
        *line() = Some(Line::new());
        IS_STANDING.store(true, Ordering::Relaxed);
    }
    Standing(())
}

/// Lets a line stand as [`begin`] does, on which [`show_many`] alone shows anything: it tells of
/// many things that are done at a time.
pub(crate) fn begin_many(is_wanted: bool) -> Standing {
    let standing = begin(is_wanted);
    if let Some(line) = line().as_mut() {
        line.is_of_many = true;
    }
    standing
}

impl Drop for Standing {
    fn drop(&mut self) {
        end();
    }
}

/// Wipes the line for good: what is printed on the terminal from now on shows how far it is.
pub(crate) fn end() {
    wipe();
    *line() = None;
    IS_STANDING.store(false, Ordering::Relaxed);
}

/// Shows this text, now and then, where a line may stand that is not of many things.
pub(crate) fn show(text: impl FnOnce() -> String) {
    show_text(false, text);
}

/// Shows this text, now and then, where a line may stand that is of many things.
pub(crate) fn show_many(text: impl FnOnce() -> String) {
    show_text(true, text);
}

fn show_text(is_of_many: bool, text: impl FnOnce() -> String) {
    draw(Kind::Text, is_of_many, |line, _| {
        let text = text();
        if text != line.text {
            line.bar.set_message(text.clone());
            line.text = text;
        }
    });
}

/// Shows how many of all bytes are done, how fast, and how long the rest will take.
pub(crate) fn show_bytes(doing: &'static str, done_bytes: u64, total_bytes: u64) {
    draw(Kind::Bytes, false, |line, is_first| {
        if is_first {
            // Rate and time left are those of the bytes alone.
            line.bar.reset();
            line.bar.set_message(doing);
            line.text.clear();
        }
        line.bar.update(|state| {
            state.set_pos(done_bytes);
            state.set_len(total_bytes.max(done_bytes));
        });
    });
}

/// Draws by `draw`, which hears whether it is the first time for this kind of line.
fn draw(kind: Kind, is_of_many: bool, draw: impl FnOnce(&mut Line, bool)) {
    if !IS_STANDING.load(Ordering::Relaxed) {
        return;
    }
    let mut guard = line();
    let Some(line) = guard.as_mut().filter(|line| line.is_of_many == is_of_many) else { return };
    let now = Instant::now();
    let is_first = line.kind != Some(kind);
    if now < line.next_look && !is_first {
        return;
    }
    line.next_look = now + INTERVAL;
    let may_draw = now >= line.first_draw && has_echo();
    if line.is_drawn && !may_draw {
        return;
    }
    if is_first {
        // What is new to the line is drawn once it knows all of it.
        line.wipe();
        line.kind = Some(kind);
        line.bar.set_style(kind.style());
    }
    draw(line, is_first);
    if may_draw && !line.is_drawn {
        line.is_drawn = true;
        line.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        line.bar.tick();
    }
}

/// Removes the line until it is shown again: something else is going to write.
pub(crate) fn wipe() {
    if let Some(line) = line().as_mut() {
        line.wipe();
    }
}

/// Runs `print`, whose output stands above the line.
pub(crate) fn above<T>(print: impl FnOnce() -> T) -> T {
    // What has panicked may hold the line.
    if std::thread::panicking() {
        return print();
    }
    match line().as_ref() {
        Some(Line { is_drawn: true, bar, .. }) => bar.suspend(print),
        Some(Line { is_drawn: false, .. }) | None => print(),
    }
}

fn line() -> MutexGuard<'static, Option<Line>> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the terminal shows what is typed.
fn has_echo() -> bool {
    let modes = tcgetattr(io::stderr()).map(|modes| modes.local_modes);
    modes.is_ok_and(|modes| modes.contains(LocalModes::ECHO))
}
