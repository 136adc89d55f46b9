//! Who may read what is written: `--owner`, `--mode` and `--reader`, and the same of one machine
//! of a fleet, with the names of this host's users and groups.

use std::path::Path;

use credimg_formats::Mode;

use crate::host::output::{DirectoryPermissions, Permissions};
use crate::host::users::{Key, User, Users};
use crate::report::{self, Exit, Failure};

/// The mode of a file that its owner alone reads.
const PRIVATE: Mode = Mode::of::<0o600>();
/// The mode of root's file that the reader's group reads.
const FOR_GROUP: Mode = Mode::of::<0o440>();

/// Who may read a file that is written, as the options of a command say.
pub(crate) fn of_options(
    owner: Option<&str>,
    mode: Option<&str>,
    reader: Option<&str>,
) -> Result<Permissions, Failure> {
    let names = Names { users: &Users::default(), dashes: "--", exit: Exit::Usage };
    let mode = mode.map(self::mode).transpose()?;
    if let (None, None, Some(reader)) = (owner, mode, reader) {
        return names.reader(reader);
    }
    let reader = reader.map(|text| names.user("reader", text)).transpose()?;
    Ok(Permissions {
        owner: owner.map(|text| names.owner(text)).transpose()?,
        mode: Some(mode.unwrap_or(PRIVATE)),
        reader: reader.map(|(uid, _)| uid),
    })
}

/// Who may read the files of one machine of a fleet, and get into a directory that is made for
/// them. `users` is one for all machines.
///
/// `owner` owns the files. `reader` reads files of root by the primary group. Either one gets
/// through the directory, which is root's, and lists it in no case. Where the caller is not root,
/// directories are the caller's, and an access control list lets the reader in.
#[cfg_attr(not(test), expect(dead_code, reason = "`fleet build` will call it"))]
pub(crate) fn of_machine(
    users: &Users,
    owner: Option<&str>,
    reader: Option<&str>,
) -> Result<(Permissions, DirectoryPermissions), Failure> {
    let names = Names { users, dashes: "", exit: Exit::Manifest };
    let permissions = match (owner, reader) {
        (None, Some(reader)) => names.reader(reader)?,
        (owner, reader) => {
            let reader = reader.map(|text| names.user("reader", text)).transpose()?;
            Permissions {
                owner: owner.map(|text| names.owner(text)).transpose()?,
                mode: Some(PRIVATE),
                reader: reader.map(|(uid, _)| uid),
            }
        }
    };
    let group = permissions.owner.map(|(_, gid)| gid).filter(|_| is_root());
    Ok((permissions, DirectoryPermissions { group, passer: permissions.reader }))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `--mode`. The world never reads an image of secrets.
fn mode(option: &str) -> Result<Mode, Failure> {
    let mode = option.parse::<Mode>().ok().filter(|mode| mode.bits() <= 0o777);
    match mode {
        None => Err(Failure::new(Exit::Usage, "--mode: expected octal digits, at most 0770")),
        Some(mode) if mode.bits() & 0o007 != 0 => {
            let message = "--mode: what holds secrets is not for every user of the host";
            Err(Failure::new(Exit::Policy, message).hint("give --owner and a mode such as 0440"))
        }
        Some(mode) => Ok(mode),
    }
}

/// Looks names up, and says where they stand.
struct Names<'a> {
    users: &'a Users,
    /// What stands before the word `owner` or `reader`.
    dashes: &'static str,
    /// The exit code of what is wrong with a name.
    exit: Exit,
}

impl Names<'_> {
    /// A user and a group, each by name or number, or a user alone with the user's primary
    /// group.
    fn owner(&self, text: &str) -> Result<(u32, u32), Failure> {
        let what = "owner";
        let Some((user_text, group_text)) = text.split_once(':') else {
            let (uid, user) = self.user(what, text)?;
            let user = user.ok_or_else(|| {
                self.unknown(what, "user", text)
                    .hint("write UID:GID for numbers that this host does not use")
            })?;
            return Ok((uid, user.gid));
        };
        Ok((self.user(what, user_text)?.0, self.group(what, group_text)?))
    }

    /// The file of a reader: root's, which the reader's primary group reads, since nobody can
    /// change or open it then but root. The list is for callers who are not root, and for a
    /// number that the host does not know, which has no group.
    fn reader(&self, text: &str) -> Result<Permissions, Failure> {
        let (uid, user) = self.user("reader", text)?;
        let Some(user) = user.filter(|_| is_root()) else {
            return Ok(Permissions { owner: None, mode: Some(PRIVATE), reader: Some(uid) });
        };
        if user.is_local {
            let other = self.users.other_in_group(user);
            match other.map_err(|reason| self.not_told("reader", "user", text, &reason))? {
                None => {}
                Some(other) => {
                    let who = report::shown(Path::new(other));
                    return Err(self.shared(text, user.gid, &format!("which {who} is in, too")));
                }
            }
        } else {
            // A name service need not tell whose primary group it is.
            return Err(self.shared(
                text,
                user.gid,
                "of which this host does not tell who is in it",
            ));
        }
        Ok(Permissions { owner: Some((0, user.gid)), mode: Some(FOR_GROUP), reader: None })
    }

    fn shared(&self, text: &str, gid: u32, why: &str) -> Failure {
        let name = report::shown(Path::new(text));
        let message = format!("{}reader: the primary group of {name} is {gid}, {why}", self.dashes);
        let mend = match self.dashes {
            "" => "`owner:` gives it the files",
            _ => "--owner gives it the file, and --mode 0600 makes --reader an access control list",
        };
        Failure::new(Exit::Policy, message).hint(format!("give it a group of its own; {mend}"))
    }

    /// The number of a user, and the user where the host has one. A number needs no user.
    fn user(&self, what: &str, text: &str) -> Result<(u32, Option<User>), Failure> {
        if let Some(uid) = self.number(what, text)? {
            return Ok((uid, self.users.user(Key::Number(uid)).unwrap_or(None)));
        }
        match self.users.user(Key::Name(text)) {
            Ok(Some(user)) => Ok((user.uid, Some(user))),
            Ok(None) => Err(self.unknown(what, "user", text)),
            Err(reason) => Err(self.not_told(what, "user", text, &reason)),
        }
    }

    fn group(&self, what: &str, text: &str) -> Result<u32, Failure> {
        if let Some(gid) = self.number(what, text)? {
            return Ok(gid);
        }
        match self.users.group(text) {
            Ok(Some(gid)) => Ok(gid),
            Ok(None) => Err(self.unknown(what, "group", text)),
            Err(reason) => Err(self.not_told(what, "group", text, &reason)),
        }
    }

    /// What consists of digits is a number, as it is for chown(1). None for a name.
    fn number(&self, what: &str, text: &str) -> Result<Option<u32>, Failure> {
        if text.is_empty() || text.contains(['\0', ':']) {
            let form = if what == "owner" { "USER, USER:GROUP or UID:GID" } else { "USER or UID" };
            return Err(self.failure(what, &format!("expected {form}")));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        // The highest one says "unchanged" to chown(2).
        let number = text.parse().ok().filter(|number| *number != u32::MAX);
        let message = "expected numbers of at most 4294967294";
        number.map(Some).ok_or_else(|| self.failure(what, message))
    }

    fn unknown(&self, what: &str, kind: &str, text: &str) -> Failure {
        let name = report::shown(Path::new(text));
        let database = if kind == "user" { "passwd" } else { "group" };
        self.failure(what, &format!("this host has no {kind} {name}"))
            .hint(format!("`getent {database}` lists those that it has"))
    }

    fn not_told(&self, what: &str, kind: &str, text: &str, reason: &str) -> Failure {
        let name = report::shown(Path::new(text));
        self.failure(what, &format!("cannot look up the {kind} {name}: {reason}"))
            .hint("give its number")
    }

    fn failure(&self, what: &str, fault: &str) -> Failure {
        Failure::new(self.exit, format!("{}{what}: {fault}", self.dashes))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    /// Who gets at files and directory; the caller is root or not, as the test is run.
    #[test]
    fn a_machine_s_user_gets_through_its_directory() {
        let users = Users::default();
        let of = |owner, reader| of_machine(&users, owner, reader).unwrap();
        let root_s = |gid: u32| is_root().then_some(gid);
        for (owner, reader, permissions, directory) in [
            (None, None, (None, PRIVATE, None), (None, None)),
            (Some("990:991"), None, (Some((990, 991)), PRIVATE, None), (root_s(991), None)),
            // The host does not know the number, so it has no group.
            (None, Some("4000000"), (None, PRIVATE, Some(4_000_000)), (None, Some(4_000_000))),
            (
                Some("990:991"),
                Some("4000000"),
                (Some((990, 991)), PRIVATE, Some(4_000_000)),
                (root_s(991), Some(4_000_000)),
            ),
        ] {
            let (found, made) = of(owner, reader);
            let found = (found.owner, found.mode.unwrap(), found.reader);
            assert_eq!(found, permissions, "{owner:?} {reader:?}");
            assert_eq!((made.group, made.passer), directory, "{owner:?} {reader:?}");
        }
        let daemon = users.user(Key::Name("daemon")).unwrap().unwrap();
        let (found, made) = of(None, Some("daemon"));
        if is_root() {
            let found = (found.owner, found.mode, found.reader);
            assert_eq!(found, (Some((0, daemon.gid)), Some(FOR_GROUP), None));
            assert_eq!((made.group, made.passer), (Some(daemon.gid), None));
        } else {
            assert_eq!((found.owner, found.reader), (None, Some(daemon.uid)));
            assert_eq!((made.group, made.passer), (None, Some(daemon.uid)));
        }
    }

    #[test]
    fn what_is_wrong_with_a_machine_s_user_is_wrong_with_the_manifest() {
        for (owner, reader, expected) in [
            (Some("no-such-user"), None, "owner: this host has no user no-such-user"),
            (Some("4000000"), None, "owner: this host has no user 4000000"),
            (Some(""), None, "owner: expected USER, USER:GROUP or UID:GID"),
            (None, Some("a:b"), "reader: expected USER or UID"),
        ] {
            let failure = of_machine(&Users::default(), owner, reader).unwrap_err();
            assert_eq!((failure.exit, &*failure.message), (Exit::Manifest, expected));
        }
    }
}
