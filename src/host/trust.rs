//! What another user of the host can write, where the caller may read and write everything:
//! whoever changes the manifest of root runs commands as root.
//!
//! A path is looked at from `/` downwards, links followed. What was found to be in the hands
//! of root and the caller stays so while the rest is looked at: nobody else can exchange it. In a
//! sticky directory that ends when its owner takes it away, as a program may that cleans `/tmp`: who
//! keeps what is known for longer calls [`Census::look_again`].

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Stat, readlinkat, statat};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};

use super::follow::LINKS_MAX;
use super::identity::{FileId, file_id};
use crate::report::{Exit, Failure, shell_word, shown};

/// The owner of files whose owner has no number in a user namespace (`overflowuid` of Linux).
const UNMAPPED: u32 = 65534;
/// So many directories and links are known from one machine of a fleet to the next.
const SEEN_MAX: usize = 1024;

/// What is known already of the files and directories of this host. There is one only where
/// the permissions of files do not bind the caller.
pub(crate) struct Census {
    /// The user that the program runs as.
    uid: u32,
    /// The working directory, once it was asked for.
    here: Option<PathBuf>,
    seen: HashMap<PathBuf, Seen>,
    /// The directories and links of `seen` that lie in a sticky directory. Once one is removed, any
    /// user can make another one of its name.
    in_sticky: Vec<(PathBuf, Standing)>,
}

/// What is known of a directory or link.
struct Seen {
    /// What of the path to it other users can change, with itself.
    faults: Vec<Fault>,
    /// Whether it is a sticky directory that others can write in: they can add to it, and can
    /// neither remove nor rename what is not theirs.
    is_sticky: bool,
}

/// What a directory or link was when it was seen. The number alone would not tell it from one that
/// another user makes later: file systems use numbers of inodes again.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    id: FileId,
    uid: u32,
    mode: u32,
}

/// A file or directory that another user can change, and how.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    path: PathBuf,
    /// Device and inode number: one directory may have several paths.
    id: (u64, u64),
    exposure: Exposure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exposure {
    Owner(u32),
    Group(u32),
    Everybody,
}

impl Census {
    /// A new one where the caller is root, or may read and write what root may.
    pub(crate) fn of_privileged() -> Option<Self> {
        let uid = geteuid().as_raw();
        let bypass = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        let has_bypass = || capabilities(None).is_ok_and(|sets| sets.effective.intersects(bypass));
        (crate::host::KEEPS_PROMISES && (uid == 0 || has_bypass())).then(|| Self {
            uid,
            here: None,
            seen: HashMap::new(),
            in_sticky: Vec::new(),
        })
    }

    /// Forgets what is known where that is much, as of the directories of thousands of machines.
    pub(crate) fn limit(&mut self) {
        if self.seen.len() > SEEN_MAX {
            self.forget();
        }
    }

    /// Looks at what was seen in sticky directories. If any of it is gone or is another one now,
    /// everything that is known is forgotten.
    pub(crate) fn look_again(&mut self) {
        let stands = |(path, was): &(PathBuf, Standing)| {
            statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| Standing::of(&stat) == *was)
        };
        if !self.in_sticky.iter().all(stands) {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.seen.clear();
        self.in_sticky.clear();
    }

    /// An error of exit code 5 where another user can change the file at `path`, which
    /// messages call `what`, or exchange it. One that is not there brings none.
    pub(crate) fn require(&mut self, what: &str, path: &Path) -> Result<(), Failure> {
        let faults = self.faults(path);
        let Some(first) = faults.first() else { return Ok(()) };
        let message =
            format!("another user can change the {what} {}: {}", shown(path), first.describe());
        let mends: Vec<String> = faults.iter().map(Fault::mend).collect();
        // Moving comes first: nobody shall take a user's home from him by a hint.
        Err(Failure::new(Exit::Policy, message).hint(format!(
            "keep it where root alone writes, such as /etc/credimg; --trust takes it as it is; or \
             let root alone change it: {}",
            mends.join(" && ")
        )))
    }

    /// What lies in the hands of others on the way to `path`, the topmost first, and at its end.
    fn faults(&mut self, path: &Path) -> Vec<Fault> {
        if path.is_absolute() {
            return self.walk(path, LINKS_MAX);
        }
        // Without a working directory nothing is found by this path.
        let here = self.here.take().or_else(|| std::env::current_dir().ok());
        let Some(here) = here else { return Vec::new() };
        let faults = self.walk(&here.join(path), LINKS_MAX);
        self.here = Some(here);
        faults
    }

    /// The faults of an absolute path, as far as there is something.
    fn walk(&mut self, path: &Path, links_left: usize) -> Vec<Fault> {
        if let Some(known) = self.seen.get(path) {
            return known.faults.clone();
        }
        let mut faults = path.parent().map_or_else(Vec::new, |above| self.walk(above, links_left));
        let Ok(stat) = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) else { return faults };
        self.add(path, &stat, &mut faults);
        let mut is_sticky = stat.st_mode & 0o1000 != 0 && stat.st_mode & 0o022 != 0;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let behind = self.behind(path, links_left);
                is_sticky = behind.is_sticky;
                for fault in behind.faults {
                    if !faults.iter().any(|known| known.id == fault.id) {
                        faults.push(fault);
                    }
                }
            }
            FileType::Directory => {}
            FileType::RegularFile
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => return faults,
        }
        if path.parent().and_then(|above| self.seen.get(above)).is_some_and(|it| it.is_sticky) {
            self.in_sticky.push((path.to_owned(), Standing::of(&stat)));
        }
        self.seen.insert(path.to_owned(), Seen { faults: faults.clone(), is_sticky });
        faults
    }

    /// What is known of what the link at `path` leads to.
    fn behind(&mut self, path: &Path, links_left: usize) -> Seen {
        let target = readlinkat(CWD, path, Vec::new());
        let (Ok(target), Some(left), Some(above)) =
            (target, links_left.checked_sub(1), path.parent())
        else {
            return Seen { faults: Vec::new(), is_sticky: false };
        };
        let target = above.join(OsStr::from_bytes(target.as_bytes()));
        if statat(CWD, &target, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            let faults = self.walk(&target, left);
            let is_sticky = self.seen.get(&target).is_some_and(|it| it.is_sticky);
            return Seen { faults, is_sticky };
        }
        // A link of /proc leads to what may have no name, such as a pipe.
        let mut faults = Vec::new();
        if let Ok(stat) = statat(CWD, path, AtFlags::empty()) {
            self.add(path, &stat, &mut faults);
        }
        Seen { faults, is_sticky: false }
    }

    /// Adds what is wrong with the file or directory itself. An access control list shows in
    /// the bits of the group.
    fn add(&self, path: &Path, stat: &Stat, faults: &mut Vec<Fault>) {
        let id = (stat.st_dev, stat.st_ino);
        let mut add = |exposure| faults.push(Fault { path: path.to_owned(), id, exposure });
        let (uid, mode) = (stat.st_uid, stat.st_mode);
        if uid != 0 && uid != self.uid && !(uid == UNMAPPED && is_mapped()) {
            add(Exposure::Owner(uid));
        }
        let kind = FileType::from_raw_mode(mode);
        // A link has no mode; to a sticky directory others add, and cannot exchange what is there.
        let is_safe =
            kind == FileType::Symlink || (kind == FileType::Directory && mode & 0o1000 != 0);
        if is_safe {
            return;
        }
        if mode & 0o002 != 0 {
            add(Exposure::Everybody);
        } else if mode & 0o020 != 0 && stat.st_gid != 0 {
            add(Exposure::Group(stat.st_gid));
        }
    }
}

impl Standing {
    fn of(stat: &Stat) -> Self {
        Self { id: file_id(stat), uid: stat.st_uid, mode: stat.st_mode }
    }
}

/// Whether this is a user namespace, such as that of a container without root: what belongs
/// to users outside of it cannot be told from what belongs to the host's root.
fn is_mapped() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.split_whitespace().eq(["0", "0", "4294967295"])
}

impl Fault {
    fn describe(&self) -> String {
        let path = shown(&self.path);
        match self.exposure {
            Exposure::Owner(uid) => format!("{path} belongs to uid {uid}"),
            Exposure::Group(gid) => format!("the group {gid} can write to {path}"),
            Exposure::Everybody => format!("everybody can write to {path}"),
        }
    }

    /// The command that mends it.
    fn mend(&self) -> String {
        let path = shell_word(&self.path);
        match self.exposure {
            Exposure::Owner(_) => format!("chown -h root {path}"),
            Exposure::Group(_) => format!("chmod g-w {path}"),
            Exposure::Everybody => format!("chmod go-w {path}"),
        }
    }
}

/// The sources that another user can exchange, gathered for one message.
pub(crate) struct Exchangeable {
    census: Census,
    first: Option<Fault>,
    places: HashSet<(u64, u64)>,
}

impl Exchangeable {
    pub(crate) fn new(census: Census) -> Self {
        Self { census, first: None, places: HashSet::new() }
    }

    /// Looks at a source, and at the directories above it.
    pub(crate) fn look_at(&mut self, path: &Path) {
        let faults = self.census.faults(path);
        self.note(faults);
    }

    /// Looks at a directory in one that was looked at, itself no link: its path is followed only
    /// where that finds something.
    pub(crate) fn look_at_directory(&mut self, path: &Path, stat: &Stat) {
        let mut faults = Vec::new();
        self.census.add(path, stat, &mut faults);
        if !faults.is_empty() {
            self.look_at(path);
        }
    }

    /// Looks at an entry of a directory that was looked at.
    pub(crate) fn look_at_entry(&mut self, path: impl Fn() -> PathBuf, stat: &Stat) {
        let mut faults = Vec::new();
        self.census.add(Path::new(""), stat, &mut faults);
        for fault in &mut faults {
            fault.path = path();
        }
        self.note(faults);
    }

    fn note(&mut self, faults: Vec<Fault>) {
        for fault in faults {
            self.places.insert(fault.id);
            self.first.get_or_insert(fault);
        }
    }

    /// What is known now of the files and directories of this host.
    pub(crate) fn into_census(self) -> Census {
        self.census
    }

    /// What people should know, if anything was found.
    pub(crate) fn message(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let more = match self.places.len() {
            1 => String::new(),
            2 => ", and one more file or directory is like that".to_owned(),
            count => format!(", and {} more files and directories are like that", count - 1),
        };
        Some(format!(
            "another user of the host can choose what is read: {} ({} mends that){more}",
            first.describe(),
            first.mend()
        ))
    }
}
