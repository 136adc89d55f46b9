//! Mode, owner and time of an inode: what the manifest says, or where that is `keep` the
//! source's own, or else the default.

use credimg_formats::{Metadata, Mode, Timestamp, Xattrs};
use rustix::fs::Stat;

use super::TreeBuilder;
use crate::manifest::{Attributes, Keep};
use crate::sources::files;

/// The mode of directories where neither the manifest nor the source gives one.
const DIRECTORY_MODE: Mode = Mode::of::<0o500>();
/// The mode of files where neither the manifest nor the source gives one.
const FILE_MODE: Mode = Mode::of::<0o400>();

/// What an inode has at its source; `keep` in the manifest asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    /// Permission bits.
    pub(crate) mode: Mode,
    /// User and group id.
    pub(crate) owner: (u32, u32),
    /// Modification time.
    pub(crate) mtime: Timestamp,
}

impl Own {
    /// The attributes of a host file.
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            mode: Mode::of_st_mode(stat.st_mode),
            owner: (stat.st_uid, stat.st_gid),
            mtime: files::modification_time(stat),
        }
    }
}

impl TreeBuilder<'_> {
    /// The time of what has none of its own.
    pub(crate) fn default_mtime(&self) -> Timestamp {
        given(self.manifest.parents.mtime, None).unwrap_or(self.build_time)
    }

    /// That of a file of the entry at hand.
    pub(super) fn file_metadata(&self, own: Option<Own>, xattrs: Xattrs) -> Metadata {
        let mode = resolve(self.attributes.mode, own.map(|own| own.mode), || {
            given(self.manifest.parents.mode, FILE_MODE)
        });
        self.metadata(self.attributes, mode, own, xattrs)
    }

    /// That of a directory, with attributes of its own or those of parents.
    pub(super) fn directory_metadata(&self, attributes: &Attributes, own: Option<Own>) -> Metadata {
        let mode = resolve(attributes.dir_mode, own.map(|own| own.mode), || {
            given(self.manifest.parents.dir_mode, DIRECTORY_MODE)
        });
        self.metadata(attributes, mode, own, Xattrs::new())
    }

    /// Owner, times and the mode that was found.
    pub(super) fn metadata(
        &self,
        attributes: &Attributes,
        mode: Mode,
        own: Option<Own>,
        xattrs: Xattrs,
    ) -> Metadata {
        let (uid, gid) = resolve(attributes.owner, own.map(|own| own.owner), || {
            given(self.manifest.parents.owner, (0, 0))
        });
        let mtime = resolve(attributes.mtime, own.map(|own| Some(own.mtime)), || {
            given(self.manifest.parents.mtime, None)
        });
        Metadata { mode, uid, gid, mtime: mtime.unwrap_or(self.build_time), xattrs }
    }
}

/// The manifest's value; where it says `keep`, the source's own, or else the default.
fn resolve<T>(wanted: Keep<T>, own: Option<T>, default: impl FnOnce() -> T) -> T {
    match wanted {
        Keep::Set(value) => value,
        Keep::Keep => own.unwrap_or_else(default),
    }
}

/// The manifest's default, or `otherwise` where even that says `keep`.
fn given<T>(default: Keep<T>, otherwise: T) -> T {
    match default {
        Keep::Set(value) => value,
        Keep::Keep => otherwise,
    }
}
