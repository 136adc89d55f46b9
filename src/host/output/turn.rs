//! Of several builders of one path, one at a time puts its files in place.
//!
//! Whose turn it is has its complete image under a name that all of them know, and a
//! lock on that file. The rename that puts the image in place gives the name away; the
//! lock stays on the file until its builder has looked at it there, and the next one
//! waits for that too. A kill ends both: the lock goes with the process, and the file
//! without a lock is a leftover that the next builder removes. Nobody who only reads
//! the directory, or the image, can hold up a turn, as both take leave to write.
//!
//! Where somebody else has put a file at that name, or the file system knows no locks or
//! cannot give the name to one alone, builders go on without turns; each looks at the end
//! whether its files are there.

use std::fs::File;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::Permissions;
use super::leftovers::{Fate, remove_unused, turn_name};
use super::lock::{self, Holder};
use super::output_name::OutputName;
use super::temporary::{Taken, Temporary};
use crate::host::signals;
use crate::report::Failure;

/// How long to wait for other builders; each needs only a few renames.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait for the last builder, which looks whether its image is in place. If it takes
/// longer, only its own message can be wrong.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(20);

/// Waits for the turn of the complete image, which has a name after that.
pub(super) fn take(
    target: &OutputName,
    file: &mut File,
    temporary: &mut Temporary,
    permissions: Permissions,
) -> Result<(), Failure> {
    let name = turn_name(target);
    let mut pauses = Pauses::new(PATIENCE);
    loop {
        match temporary.take_name(target, file, &name, permissions)? {
            Taken::Yes => break,
            Taken::No => {}
            Taken::Never => return Ok(()),
        }
        match remove_unused(target, &name, permissions) {
            Ok(Fate::Gone | Fate::InUse) if pauses.pause()? => {}
            Ok(Fate::Gone | Fate::InUse) => {
                let reason = "another build of it has not finished for a minute";
                return Err(target.subject.refusal("replace", reason));
            }
            // Removing it is tried again, with a warning, at the end of the build.
            Ok(Fate::Foreign | Fate::Stays(_)) | Err(_) => {
                temporary.take_any_name(target, file, permissions)?;
                return Ok(());
            }
        }
    }
    wait_for_the_last(target)
}

/// Waits until the image that is in place has been looked at by its builder.
fn wait_for_the_last(target: &OutputName) -> Result<(), Failure> {
    // What cannot be opened has no builder of this user.
    let Ok(image) = target.entry.open(OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()) else {
        return Ok(());
    };
    let mut pauses = Pauses::new(LOOK_PATIENCE);
    while lock::holder(&image) == Ok(Holder::Builder) && pauses.pause()? {}
    Ok(())
}

/// Pauses that grow longer, within a limit.
struct Pauses {
    started: Instant,
    patience: Duration,
    next: Duration,
}

impl Pauses {
    fn new(patience: Duration) -> Self {
        Self { started: Instant::now(), patience, next: FIRST_PAUSE }
    }

    /// Waits a little; false when the time is over.
    fn pause(&mut self) -> Result<bool, Failure> {
        signals::check()?;
        if self.started.elapsed() >= self.patience {
            return Ok(false);
        }
        signals::pause(self.next);
        self.next = LAST_PAUSE.min(self.next * 2);
        Ok(true)
    }
}
