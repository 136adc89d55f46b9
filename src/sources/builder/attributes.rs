//! Mode, owner and time of an inode: what the manifest says, or where that is `keep` the
//! source's own, or else the default.

use credimg_formats::{Mode, Timestamp};
use rustix::fs::Stat;

use crate::host::open;
use crate::manifest::{Attributes, Keep};

/// The mode of directories where neither the manifest nor the source gives one.
const DIRECTORY_MODE: Mode = Mode::of::<0o500>();
/// The mode of files where neither the manifest nor the source gives one.
const FILE_MODE: Mode = Mode::of::<0o400>();

/// Mode, owner and time of one inode, as it has them at its source or is to have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InodeAttributes {
    /// Permission bits.
    pub mode: Mode,
    /// User and group id.
    pub owner: (u32, u32),
    /// Modification time, where it has one of its own.
    pub mtime: Option<Timestamp>,
}

impl InodeAttributes {
    /// The attributes of a file of the host.
    pub(crate) fn of_host(stat: &Stat) -> Self {
        Self {
            mode: Mode::of_st_mode(stat.st_mode),
            owner: (stat.st_uid, stat.st_gid),
            mtime: Some(open::modification_time(stat)),
        }
    }

    /// The attributes of a regular file: each is that of `wanted`, or where it says `keep` that
    /// of the file's source, `own`, or else that of `defaults`.
    pub(super) fn of_file(wanted: &Attributes, own: Option<Self>, defaults: &Attributes) -> Self {
        let mode = decide(wanted.mode, own.map(|own| own.mode), defaults.mode, FILE_MODE);
        Self::with_mode(mode, wanted, own, defaults)
    }

    /// The attributes of a directory, chosen as [`Self::of_file`] does it.
    pub(super) fn of_directory(
        wanted: &Attributes,
        own: Option<Self>,
        defaults: &Attributes,
    ) -> Self {
        let own_mode = own.map(|own| own.mode);
        let mode = decide(wanted.dir_mode, own_mode, defaults.dir_mode, DIRECTORY_MODE);
        Self::with_mode(mode, wanted, own, defaults)
    }

    /// The attributes of a symbolic link, which has no mode of its own.
    pub(super) fn of_symlink(
        wanted: &Attributes,
        own: Option<Self>,
        defaults: &Attributes,
    ) -> Self {
        Self::with_mode(Mode::SYMLINK, wanted, own, defaults)
    }

    /// These attributes, with the time of `defaults` where they have none.
    pub(crate) fn dated_by(self, defaults: &Attributes) -> Self {
        let default = match defaults.mtime {
            Keep::Set(mtime) => mtime,
            Keep::Keep => None,
        };
        Self { mtime: self.mtime.or(default), ..self }
    }

    fn with_mode(
        mode: Mode,
        wanted: &Attributes,
        own: Option<Self>,
        defaults: &Attributes,
    ) -> Self {
        let owner = decide(wanted.owner, own.map(|own| own.owner), defaults.owner, (0, 0));
        let mtime = decide(wanted.mtime, own.map(|own| own.mtime), defaults.mtime, None);
        Self { mode, owner, mtime }
    }
}

/// The manifest's value; where that is `keep`, the source's own, else the manifest's default,
/// and where even that is `keep`, `otherwise`.
fn decide<T>(wanted: Keep<T>, own: Option<T>, default: Keep<T>, otherwise: T) -> T {
    let default = match default {
        Keep::Set(value) => value,
        Keep::Keep => otherwise,
    };
    match wanted {
        Keep::Set(value) => value,
        Keep::Keep => own.unwrap_or(default),
    }
}
