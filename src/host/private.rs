//! Private files, such as those of keys: read whole and as they are, or not at all.
//!
//! Half a key is a key as well, one that opens nothing or that anybody guesses. So a file
//! is read to its end, has to be as long as it says, and has to be the same file
//! afterwards.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use credimg_formats::content::read_full;
use credimg_formats::{Buffer, Secret};
use rustix::fs::{Stat, fstat, fstatfs};

use super::at_rest::{require_unmapped, wait_apart, wait_for_rest};
use super::identity::Identity;
use super::lease::{Hold, is_open_for_writing};
use super::memory::hold;
use super::open::open_file;
use crate::report::{Exit, Failure, reason, shell_word, shown};

/// File systems whose files are made up by the kernel as they are read (linux/magic.h):
/// proc, sysfs, cgroup 1 and 2, debugfs, tracefs, securityfs, efivarfs.
const PSEUDO: [i64; 8] = [
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xde5e_81e4,
];

/// Whose private files are taken.
#[derive(Clone, Copy, Debug)]
pub enum Owners {
    /// Anybody's: the key opens what is there already.
    Any,
    /// The caller's own, root's, and those of this user, whom the image is given to:
    /// whoever has planted a key would open what is encrypted to it.
    Trusted(Option<u32>),
}

impl Owners {
    fn include(self, uid: u32) -> bool {
        match self {
            Self::Any => true,
            Self::Trusted(other) => {
                let own = rustix::process::geteuid().as_raw();
                uid == own || uid == 0 || Some(uid) == other
            }
        }
    }
}

/// Reads the private file at `path`, which messages call `what`, such as "the key file"; none where
/// it has more than `max_bytes`. `missing` is the hint where there is none.
///
/// A file that every user can read or change, or its group can change, or that somebody else
/// owns, is an error of exit code 5. One that is no regular file, changes while it is read, or is not as long
/// as it says, is an error of exit code 4.
pub(crate) fn read(
    path: &Path,
    what: &str,
    max_bytes: usize,
    owners: Owners,
    missing: &str,
) -> Result<Option<Secret>, Failure> {
    let (file, stat) = open_file(path).map_err(|failure| {
        // Its hints speak of sources in a manifest, but for that of a policy.
        let hint = failure.hint.filter(|_| failure.exit == Exit::Policy);
        let message = format!("{what}: {}", failure.message);
        let failure = Failure { exit: failure.exit, message, hint };
        let is_missing =
            std::fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if is_missing { failure.hint(missing) } else { failure }
    })?;
    let name = format!("{what} {}", shown(path));
    require_private(path, &name, &stat, owners)?;
    wait_for_rest(&stat, &mut || {})?;
    let is_open = is_open_for_writing(&file, Hold::Briefly);
    let size_bytes = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    let torn = || {
        Err(if is_pseudo(&file) {
            let message = format!("{name} is made up by the kernel as it is read");
            Failure::new(Exit::Source, format!("{message}: its size says nothing"))
                .hint("copy what it holds into a private file, and name that one")
        } else {
            Failure::new(Exit::Source, format!("{name} changed while it was read"))
                .hint("do it again when nothing writes to it")
        })
    };
    if size_bytes > max_bytes {
        return if is_pseudo(&file) { torn() } else { Ok(None) };
    }
    let failure = |error: &io::Error| {
        if let Some(failure) = Failure::inside(error) {
            return failure.clone();
        }
        Failure::new(Exit::Source, format!("cannot read {name}: {}", reason(error)))
    };
    // No larger than the file: what is reserved is locked and wiped, read or not. One byte
    // more tells whether it has grown.
    let mut bytes = Buffer::zeroed(size_bytes + 1);
    hold(&bytes);
    let length = read_full(&file, &mut bytes).map_err(|error| failure(&error))?;
    if is_open {
        require_unmapped(&file, || path.to_owned()).map_err(|error| failure(&error))?;
        // Two readings apart, as what is open for writing may change without a trace.
        wait_apart()?;
        let mut again = Buffer::zeroed(size_bytes + 1);
        hold(&again);
        (&file).rewind().map_err(|error| failure(&error))?;
        read_full(&file, &mut again).map_err(|error| failure(&error))?;
        if again[..] != bytes[..] {
            return torn();
        }
    }
    let after = fstat(&file).map_err(|errno| failure(&errno.into()))?;
    if length == size_bytes && Identity::of(&after) == Identity::of(&stat) {
        return Ok(Some(bytes.into_secret(length)));
    }
    torn()
}

/// An error of exit code 5 where others can read or change the file, or have made it.
fn require_private(path: &Path, name: &str, stat: &Stat, owners: Owners) -> Result<(), Failure> {
    let mode = stat.st_mode & 0o7777;
    if mode & 0o007 != 0 {
        let message = format!("{name} is open to every user of the host (mode {mode:04o})");
        let hint = format!(
            "chmod 600 {}, and make a new key if others may have read this one",
            shell_word(path)
        );
        return Err(Failure::new(Exit::Policy, message).hint(hint));
    }
    if mode & 0o020 != 0 {
        let message = format!("{name} can be written by its group (mode {mode:04o})");
        let hint = format!(
            "chmod g-w {}, and make a new key if the group may have put another one there",
            shell_word(path)
        );
        return Err(Failure::new(Exit::Policy, message).hint(hint));
    }
    if !owners.include(stat.st_uid) {
        let message = format!("{name} belongs to another user (uid {})", stat.st_uid);
        return Err(Failure::new(Exit::Policy, message)
            .hint("whoever made it could open what is encrypted to it: make one of your own"));
    }
    Ok(())
}

/// Whether the file is in one of the file systems of the kernel's own.
fn is_pseudo(file: &File) -> bool {
    let kind = fstatfs(file).map(|found| found.f_type);
    kind.is_ok_and(|kind| PSEUDO.contains(&kind))
}
