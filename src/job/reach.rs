//! Finds files that a user or a group of the guest should read, but that a directory above keeps
//! out.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use credimg_formats::{Inode, InodeId, Kind, Metadata, Tree};

use crate::report::shown;
use crate::sources::rehearsal::Rehearsal;

/// Somebody whom a file is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reader {
    /// Its owner.
    User(u32),
    /// Its group.
    Group(u32),
}

/// A warning for each directory and each reader whom it keeps out. Sources of which not everything
/// is known, and directories with an access control list, count as open.
pub(crate) fn foresee(rehearsal: &Rehearsal) -> Vec<String> {
    let mut search = Search { rehearsal, above: Vec::new(), path: Vec::new() };
    let mut closed: BTreeMap<(Vec<u8>, Reader), (Vec<u8>, usize)> = BTreeMap::new();
    search.descend(Tree::ROOT, &mut |directory, reader, path| {
        let (_, files) =
            closed.entry((directory.to_vec(), reader)).or_insert_with(|| (path.to_vec(), 0));
        *files += 1;
    });
    let warning = |((directory, reader), (path, files)): ((Vec<u8>, Reader), (Vec<u8>, usize))| {
        let (directory, path) = (display(&directory), display(&path));
        let more = match files {
            1 => String::new(),
            _ => format!(" and {} more", files - 1),
        };
        let reader = match reader {
            Reader::User(uid) => format!("the user {uid}"),
            Reader::Group(gid) => format!("the group {gid}"),
        };
        format!(
            "{path}{more}: {reader} cannot pass the directory {directory}: let everybody pass, as \
             with `defaults: {{dir_mode: \"0711\"}}`"
        )
    };
    closed.into_iter().map(warning).collect()
}

struct Search<'a> {
    rehearsal: &'a Rehearsal,
    /// The directories above, each with the length of its path.
    above: Vec<(&'a Metadata, usize)>,
    path: Vec<u8>,
}

impl Search<'_> {
    /// Calls `found` with the directory, the reader and the file.
    fn descend(&mut self, id: InodeId, found: &mut impl FnMut(&[u8], Reader, &[u8])) {
        let Rehearsal { tree, opaque, kept } = self.rehearsal;
        let Some(inode) = tree.get(id) else { return };
        let metadata = &inode.metadata;
        match inode.kind() {
            Kind::Directory(children) => {
                let is_known = !kept.contains(&id);
                if is_known && opaque.contains(&id) {
                    // Everything that the source brings has this owner, too.
                    self.require_open(metadata, found);
                }
                if is_known {
                    self.above.push((metadata, self.path.len()));
                }
                for (name, child) in children {
                    let is_directory =
                        matches!(tree.get(*child).map(Inode::kind), Some(Kind::Directory(_)));
                    if is_directory && opaque.contains(&id) {
                        // The source may bring this directory with another mode.
                        continue;
                    }
                    let length = self.path.len();
                    self.path.push(b'/');
                    self.path.extend(name.as_bytes());
                    self.descend(*child, found);
                    self.path.truncate(length);
                }
                if is_known {
                    self.above.pop();
                }
            }
            // Whoever may read the target is not known here.
            Kind::Symlink(_) => {}
            Kind::File(_)
            | Kind::CharDevice(_)
            | Kind::BlockDevice(_)
            | Kind::Fifo
            | Kind::Socket => {
                if !kept.contains(&id) {
                    self.require_open(metadata, found);
                }
            }
        }
    }

    /// Calls `found` for each reader of the file whom a directory above keeps out.
    fn require_open(&self, metadata: &Metadata, found: &mut impl FnMut(&[u8], Reader, &[u8])) {
        for reader in readers(metadata).into_iter().flatten() {
            let above = self.above.iter().find(|(above, _)| !passes(reader, above));
            if let Some((_, length)) = above {
                found(self.path.get(..*length).unwrap_or_default(), reader, &self.path);
            }
        }
    }
}

/// The users and groups to which the file's mode gives any right. Nothing stops root.
fn readers(file: &Metadata) -> [Option<Reader>; 2] {
    let Metadata { mode, uid, gid, .. } = file;
    let user = *uid != 0 && mode.bits() & 0o700 != 0;
    let group = *gid != 0 && mode.bits() & 0o070 != 0;
    [user.then_some(Reader::User(*uid)), group.then_some(Reader::Group(*gid))]
}

/// Whether the reader may pass the directory. A user may be in any group, so its group counts as
/// well.
fn passes(reader: Reader, directory: &Metadata) -> bool {
    let Metadata { mode, uid, gid, xattrs, .. } = directory;
    let bits = match reader {
        Reader::User(user) if user == *uid => 0o100,
        Reader::Group(group) if group == *gid => 0o010,
        Reader::User(_) | Reader::Group(_) => 0o011,
    };
    mode.bits() & bits != 0 || xattrs.contains_key(&b"system.posix_acl_access"[..])
}

fn display(path: &[u8]) -> String {
    shown(Path::new(OsStr::from_bytes(if path.is_empty() { b"/" } else { path })))
}
