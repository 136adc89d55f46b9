//! The directory of one machine's files, which lets no other machine's user in.

use std::fs::File;
use std::io;
use std::path::Path;

use credimg_formats::Mode;
use rustix::fs::{CWD, Gid, Mode as FileMode, OFlags, XattrFlags, fchmod, fchown, mkdirat, openat};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{getegid, geteuid};

use super::access::{Access, Excess};
use super::acl;
use super::output_name::Id;
use super::sync_directory_at;
use crate::host::listing;
use crate::report::{Exit, Failure, reason, shell_word, shown};

/// Who gets through a directory: the caller, who owns it, and those who are named here. Nobody
/// but the caller can list it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryPermissions {
    /// The group that gets through.
    pub group: Option<u32>,
    /// A user who gets through besides, by an access control list.
    pub passer: Option<u32>,
}

impl DirectoryPermissions {
    fn mode(self) -> Mode {
        if self.group.is_some() { Mode::of::<0o710>() } else { Mode::of::<0o700>() }
    }

    /// The access control list, where one is wanted.
    fn list(self) -> Option<Vec<u8>> {
        self.passer.map(|user| acl::with_user(self.mode(), user, acl::PASS))
    }

    fn access(self) -> Access {
        let owner = geteuid().as_raw();
        let group = self.group.unwrap_or_else(|| getegid().as_raw());
        Access::of_directory(owner, group, self.mode(), self.passer)
    }
}

/// Makes the directory at `path`, and those above it that are missing, in which machines have
/// directories of their own. Everybody gets through where the caller is root, nobody else
/// otherwise, and only the caller can list it. One that is there stays as it is. What is made is
/// on the disk then.
pub fn common_directory(path: &Path) -> Result<(), Failure> {
    let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
    let missing: Vec<_> =
        path.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.exists()).collect();
    for path in missing.into_iter().rev() {
        match retry_on_intr(|| mkdirat(CWD, path, FileMode::RWXU)) {
            Ok(()) => {}
            // Another run has made it meanwhile.
            Err(Errno::EXIST) => continue,
            Err(error) => return Err(failure(path, "make", error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = FileMode::from_raw_mode(mode);
        retry_on_intr(|| openat(CWD, path, flags, FileMode::empty()))
            .and_then(|directory| fchmod(directory, mode))
            .map_err(|error| failure(path, "set the mode of", error))?;
        sync_directory_at(path.parent().unwrap_or(Path::new("")))?;
    }
    Ok(())
}

/// The directory of one machine's files.
#[derive(Clone, Copy, Debug)]
pub struct MachineDirectory {
    /// Whether it was missing. Its name is not yet on the disk then.
    pub is_new: bool,
    /// Which one it is, whatever takes its name later.
    pub(super) id: Id,
}

/// Makes the directory at `path`, in one that exists, if it is missing.
///
/// One that is there has to belong to the caller. It lets exactly those through whom `wanted`
/// names, or everybody without letting anybody list it (mode 0711), as systemd makes it for the
/// unit; else it is an error of [`Exit::Policy`], which says how to mend it. An empty one that lets
/// nobody through yet is mended here: a run that was killed may have left it.
pub fn machine_directory(
    path: &Path,
    wanted: DirectoryPermissions,
) -> Result<MachineDirectory, Failure> {
    // Whatever this reports: what is there afterwards decides.
    let made = retry_on_intr(|| mkdirat(CWD, path, FileMode::RWXU));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = retry_on_intr(|| openat(CWD, path, flags, FileMode::empty()));
    let directory = match (opened, made) {
        (Ok(directory), _) => File::from(directory),
        (Err(Errno::NOTDIR | Errno::LOOP), _) => {
            let message = format!("{} is no directory", shown(path));
            return Err(Failure::new(Exit::Policy, message).hint("name another place with -o"));
        }
        (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(failure(path, "make", error)),
    };
    let unread = |error: io::Error| failure(path, "look at", error);
    let found = directory.metadata().map_err(unread)?;
    let access = Access::of_file(&directory, &found).map_err(unread)?;
    let own = wanted.access();
    let is_it = MachineDirectory { is_new: made.is_ok(), id: Id::from(&found) };
    let excess = access.excess(&own);
    let is_own = access.owner == own.owner;
    if is_own && access.lets_all_pass() || excess.is_none() && own.excess(&access).is_none() {
        return Ok(is_it);
    }
    // A new one may have got a group and a list from the directory above.
    let is_unfinished = || Ok::<_, io::Error>(excess.is_none() && is_empty(&directory)?);
    if made.is_ok() || is_unfinished().map_err(unread)? {
        set(&directory, wanted).map_err(|error| failure(path, "set the mode of", error))?;
        return Ok(is_it);
    }
    Err(refusal(path, &access, excess, &own))
}

/// Gives the directory its group, mode and list. Nobody is let in before the group and the list
/// are the right ones.
fn set(directory: &File, wanted: DirectoryPermissions) -> rustix::io::Result<()> {
    match rustix::fs::fremovexattr(directory, acl::NAME) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
        Err(error) => return Err(error),
    }
    fchmod(directory, FileMode::RWXU)?;
    if let Some(gid) = wanted.group {
        fchown(directory, None, Some(Gid::from_raw(gid)))?;
    }
    fchmod(directory, FileMode::from_raw_mode(wanted.mode().into()))?;
    wanted.list().map_or(Ok(()), |list| {
        rustix::fs::fsetxattr(directory, acl::NAME, &list, XattrFlags::empty())
    })
}

fn is_empty(directory: &File) -> io::Result<bool> {
    let mut is_empty = true;
    listing::visit(directory, |_, _| is_empty = false)?;
    Ok(is_empty)
}

fn failure(path: &Path, operation: &str, error: impl Into<io::Error>) -> Failure {
    let message =
        format!("cannot {operation} the directory {}: {}", shown(path), reason(&error.into()));
    Failure::new(Exit::Output, message)
}

/// The failure of a directory that is there and lets others through than it should.
fn refusal(path: &Path, access: &Access, excess: Option<Excess>, own: &Access) -> Failure {
    let Access { owner, group, mode, .. } = access;
    let what = match excess {
        Some(Excess::Owner) => format!("belongs to the user {owner}"),
        Some(Excess::Mode) => format!("has the mode {mode:04o}"),
        Some(Excess::OtherGroup | Excess::Group) => format!("lets the group {group} in"),
        Some(Excess::List) => "has an access control list that lets others in".to_owned(),
        None => "does not let the machine's user through".to_owned(),
    };
    let message = format!("the directory {} {what}", shown(path));
    let (name, Access { owner, group, mode, .. }) = (shell_word(path), own);
    let list = own
        .named_user()
        .map_or_else(String::new, |user| format!(" && setfacl -m u:{user}:x {name}"));
    Failure::new(Exit::Policy, message).hint(format!(
        "it is for this machine alone: `setfacl -b {name}; chown {owner}:{group} {name} && chmod \
         {mode:04o} {name}{list}`, or name another place with -o"
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn refused(path: &Path, wanted: DirectoryPermissions) -> String {
        let failure = machine_directory(path, wanted).unwrap_err();
        assert_eq!(failure.exit, Exit::Policy);
        format!("{}\n{}", failure.message, failure.hint.unwrap_or_default())
    }

    #[test]
    fn a_directory_is_made_once_with_the_mode_that_is_wanted() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("chimera");
        let group = DirectoryPermissions { group: Some(getegid().as_raw()), passer: None };
        for (wanted, expected) in [
            (DirectoryPermissions::default(), 0o700),
            (group, 0o710),
            (DirectoryPermissions { passer: Some(990), ..DirectoryPermissions::default() }, 0o710),
            (DirectoryPermissions { passer: Some(990), ..group }, 0o710),
        ] {
            // A directory above that gives group and bits to what is made in it.
            set_mode(place.path(), 0o2777);
            assert!(machine_directory(&path, wanted).unwrap().is_new);
            assert_eq!(mode(&path), expected, "{wanted:?}");
            assert!(!machine_directory(&path, wanted).unwrap().is_new, "{wanted:?}");
            fs::remove_dir(&path).unwrap();
        }
    }

    #[test]
    fn what_a_killed_run_left_is_finished_as_long_as_it_is_empty() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("chimera");
        let wanted = DirectoryPermissions { group: Some(getegid().as_raw()), passer: Some(990) };
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o700);
        assert!(!machine_directory(&path, wanted).unwrap().is_new);
        assert!(!machine_directory(&path, wanted).unwrap().is_new);
        fs::remove_dir(&path).unwrap();
        fs::create_dir(&path).unwrap();
        set_mode(&path, 0o700);
        fs::write(path.join("file"), "").unwrap();
        let said = refused(&path, wanted);
        assert!(said.contains("chimera does not let the machine's user through\n"), "{said}");
        assert!(said.contains("chmod 0710") && said.contains("setfacl -m u:990:x"), "{said}");
    }

    #[test]
    fn a_directory_that_lets_others_in_is_refused_also_an_empty_one() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("chimera");
        fs::create_dir(&path).unwrap();
        let none = DirectoryPermissions::default();
        for wide in [0o755, 0o715, 0o750, 0o710, 0o2700, 0o731] {
            set_mode(&path, wide);
            let said = refused(&path, none);
            assert!(said.contains(&format!("has the mode {wide:04o}\n")), "{said}");
            assert!(said.contains(" && chmod 0700 "), "{said}");
            assert_eq!(mode(&path), wide);
        }
        set_mode(&path, 0o711);
        assert!(!machine_directory(&path, none).unwrap().is_new);
        // Somebody else than the one whom it is for.
        fs::remove_dir(&path).unwrap();
        let passer = DirectoryPermissions { passer: Some(991), ..none };
        machine_directory(&path, passer).unwrap();
        let said = refused(&path, DirectoryPermissions { passer: Some(990), ..none });
        assert!(said.contains("has an access control list that lets others in\n"), "{said}");
        symlink("chimera", place.path().join("link")).unwrap();
        let said = refused(&place.path().join("link"), passer);
        assert!(said.contains("link is no directory\n"), "{said}");
    }

    #[test]
    fn the_directory_of_all_machines_is_made_with_what_is_missing_above_it() {
        let place = tempfile::tempdir().unwrap();
        set_mode(place.path(), 0o750);
        let path = place.path().join("run/credimg");
        let expected = if geteuid().is_root() { 0o711 } else { 0o700 };
        common_directory(&path).unwrap();
        assert_eq!([mode(&place.path().join("run")), mode(&path)], [expected; 2]);
        assert_eq!(mode(place.path()), 0o750);
        set_mode(&path, 0o755);
        common_directory(&path).unwrap();
        assert_eq!(mode(&path), 0o755);
        symlink("nowhere", place.path().join("link")).unwrap();
        let failure = common_directory(&place.path().join("link/credimg")).unwrap_err();
        assert_eq!(failure.exit, Exit::Output);
        assert!(failure.message.contains("link/credimg: "), "{}", failure.message);
    }

    #[test]
    fn a_directory_whose_place_is_missing_is_not_made() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("missing/chimera");
        let failure = machine_directory(&path, DirectoryPermissions::default()).unwrap_err();
        assert_eq!(failure.exit, Exit::Output);
        assert!(failure.message.ends_with("no such file or directory"), "{}", failure.message);
    }
}
