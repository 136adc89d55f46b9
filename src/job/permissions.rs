//! Who may read what is written: `--owner`, `--mode` and `--reader`, and the same of one machine
//! of a fleet, with the names of this host's users and groups.

use std::path::Path;

use credimg_formats::Mode;

use crate::host::output::{DirectoryPermissions, Permissions};
use crate::host::users::{Key, User, Users};
use crate::manifest::{At, MachineContext};
use crate::report::{self, Exit, Failure, Position};

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
    let users = Users::default();
    let owner = owner.map(|text| Name { text, at: Place::Option("--owner"), users: &users });
    let reader = reader.map(|text| Name { text, at: Place::Option("--reader"), users: &users });
    of_names(owner, mode.map(self::mode).transpose()?, reader)
}

/// Who may read what a build writes: whom the options name, else whom the fleet names for its
/// machine, where the manifest is of one.
pub(crate) fn of_build(
    machine: Option<&MachineContext>,
    owner: Option<&str>,
    mode: Option<&str>,
    reader: Option<&str>,
) -> Result<Permissions, Failure> {
    let Some(machine) = machine.filter(|_| owner.is_none() && reader.is_none()) else {
        return of_options(owner, mode, reader);
    };
    let users = Users::default();
    of_names(
        machine.owner.as_ref().map(|text| Name::in_manifest(text, &users)),
        mode.map(self::mode).transpose()?,
        machine.reader.as_ref().map(|text| Name::in_manifest(text, &users)),
    )
}

/// Who may read the files of one machine of a fleet, and get into a directory that is made for
/// them. `users` is one for all machines.
///
/// `owner` owns the files. `reader` reads files of root by the primary group. Either one gets
/// through the directory, which is root's, and lists it in no case. Where the caller is not root,
/// directories are the caller's, and an access control list lets the reader in.
pub(crate) fn of_machine(
    users: &Users,
    owner: Option<&At<String>>,
    reader: Option<&At<String>>,
) -> Result<(Permissions, DirectoryPermissions), Failure> {
    let permissions = of_names(
        owner.map(|text| Name::in_manifest(text, users)),
        None,
        reader.map(|text| Name::in_manifest(text, users)),
    )?;
    let group = permissions.owner.map(|(_, gid)| gid).filter(|_| is_root());
    Ok((permissions, DirectoryPermissions { group, passer: permissions.reader }))
}

/// Where nothing but a reader is asked for, that is root's file for a group of one.
fn of_names(
    owner: Option<Name<'_>>,
    mode: Option<Mode>,
    reader: Option<Name<'_>>,
) -> Result<Permissions, Failure> {
    if let (None, None, Some(reader)) = (&owner, mode, &reader) {
        return reader.of_group();
    }
    Ok(Permissions {
        owner: owner.map(|owner| owner.as_owner()).transpose()?,
        mode: Some(mode.unwrap_or(PRIVATE)),
        reader: reader.map(|reader| reader.user(reader.text)).transpose()?.map(|(uid, _)| uid),
    })
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

/// Users and groups as somebody has written them.
struct Name<'a> {
    text: &'a str,
    at: Place<'a>,
    users: &'a Users,
}

/// Where a name stands.
#[derive(Clone, Copy)]
enum Place<'a> {
    Option(&'static str),
    /// Messages show nothing of what stands there: it may be a variable's value.
    Manifest(&'a Position),
}

impl<'a> Name<'a> {
    fn in_manifest(text: &'a At<String>, users: &'a Users) -> Self {
        Self { text: &text.value, at: Place::Manifest(&text.at), users }
    }

    /// A user and a group, each by name or number, or a user alone with the user's primary
    /// group.
    fn as_owner(&self) -> Result<(u32, u32), Failure> {
        let Some((user_text, group_text)) = self.text.split_once(':') else {
            let (uid, user) = self.user(self.text)?;
            let user = user.ok_or_else(|| {
                self.unknown("user", self.text)
                    .hint("write UID:GID for numbers that this host does not use")
            })?;
            return Ok((uid, user.gid));
        };
        Ok((self.user(user_text)?.0, self.group(group_text)?))
    }

    /// The file of a reader: root's, which the reader's primary group reads, since nobody can
    /// change or open it then but root. The list is for callers who are not root, and for a
    /// number that the host does not know, which has no group.
    fn of_group(&self) -> Result<Permissions, Failure> {
        let (uid, user) = self.user(self.text)?;
        let Some(user) = user.filter(|_| is_root()) else {
            return Ok(Permissions { owner: None, mode: Some(PRIVATE), reader: Some(uid) });
        };
        if !user.is_local {
            // A name service need not tell whose primary group it is.
            return Err(self.shared(user.gid, "whose members this host cannot list"));
        }
        let other = self.users.other_in_group(user);
        match other.map_err(|reason| self.not_told("user", self.text, &reason))? {
            None => {
                Ok(Permissions { owner: Some((0, user.gid)), mode: Some(FOR_GROUP), reader: None })
            }
            Some(other) => {
                let why = format!("which {} is in, too", report::shown(Path::new(other)));
                Err(self.shared(user.gid, &why))
            }
        }
    }

    fn shared(&self, gid: u32, why: &str) -> Failure {
        let mend = match self.at {
            Place::Option(_) => {
                "--owner gives it the file, and --mode 0600 makes --reader an access control list"
            }
            Place::Manifest(_) => "`owner:` gives it the files",
        };
        let message = format!("the primary group of {} is {gid}, {why}", self.shown(self.text));
        Failure { exit: Exit::Policy, ..self.failure(&message) }
            .hint(format!("give the user a group of its own; {mend}"))
    }

    /// The number of a user, and the user where the host has one. A number needs no user.
    fn user(&self, text: &str) -> Result<(u32, Option<User>), Failure> {
        if let Some(uid) = self.number(text)? {
            return Ok((uid, self.users.user(Key::Number(uid)).unwrap_or(None)));
        }
        match self.users.user(Key::Name(text)) {
            Ok(Some(user)) => Ok((user.uid, Some(user))),
            Ok(None) => Err(self.unknown("user", text)),
            Err(reason) => Err(self.not_told("user", text, &reason)),
        }
    }

    fn group(&self, text: &str) -> Result<u32, Failure> {
        if let Some(gid) = self.number(text)? {
            return Ok(gid);
        }
        match self.users.group(text) {
            Ok(Some(gid)) => Ok(gid),
            Ok(None) => Err(self.unknown("group", text)),
            Err(reason) => Err(self.not_told("group", text, &reason)),
        }
    }

    /// What consists of digits is a number, as it is for chown(1). None for a name.
    fn number(&self, text: &str) -> Result<Option<u32>, Failure> {
        if text.is_empty() || text.contains(['\0', ':']) {
            let form = if self.is_owner() { "USER, USER:GROUP or UID:GID" } else { "USER or UID" };
            return Err(self.failure(&format!("expected {form}")));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        // The highest one says "unchanged" to chown(2).
        let number = text.parse().ok().filter(|number| *number != u32::MAX);
        let message = "expected numbers of at most 4294967294";
        number.map(Some).ok_or_else(|| self.failure(message))
    }

    fn is_owner(&self) -> bool {
        match self.at {
            Place::Option(option) => option == "--owner",
            Place::Manifest(position) => position.key_path.ends_with("owner"),
        }
    }

    fn unknown(&self, kind: &str, text: &str) -> Failure {
        let message = match self.at {
            Place::Option(_) => format!("this host has no {kind} {}", self.shown(text)),
            Place::Manifest(_) => format!("this host has no such {kind}"),
        };
        let hint = if kind == "user" {
            "`getent passwd` lists those that it has, and `useradd --system --user-group NAME` \
             makes one"
        } else {
            "`getent group` lists those that it has"
        };
        self.failure(&message).hint(hint)
    }

    fn not_told(&self, kind: &str, text: &str, reason: &str) -> Failure {
        self.failure(&format!("cannot look up the {kind} {}: {reason}", self.shown(text)))
            .hint("give its number")
    }

    /// What messages call the user or group.
    fn shown(&self, text: &str) -> String {
        match self.at {
            Place::Option(_) => report::shown(Path::new(text)),
            Place::Manifest(_) => "that is named here".to_owned(),
        }
    }

    fn failure(&self, fault: &str) -> Failure {
        match self.at {
            Place::Option(option) => Failure::new(Exit::Usage, format!("{option}: {fault}")),
            Place::Manifest(position) => {
                Failure::new(Exit::Manifest, format!("{position}: {fault}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::sync::Arc;

    use super::*;

    fn at(key: &str, value: &str) -> At<String> {
        let at = Position::new(&Arc::from("fleet.yaml"), 3, 5, format!("machines.chimera.{key}"));
        At { value: value.to_owned(), at }
    }

    fn machine(
        owner: Option<&str>,
        reader: Option<&str>,
    ) -> Result<(Permissions, DirectoryPermissions), Failure> {
        let owner = owner.map(|text| at("owner", text));
        let reader = reader.map(|text| at("reader", text));
        of_machine(&Users::default(), owner.as_ref(), reader.as_ref())
    }

    /// Who gets at files and directory; the caller is root or not, as the test is run.
    #[test]
    fn a_machine_s_user_gets_through_its_directory() {
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
            let (found, made) = machine(owner, reader).unwrap();
            let found = (found.owner, found.mode.unwrap(), found.reader);
            assert_eq!(found, permissions, "{owner:?} {reader:?}");
            assert_eq!((made.group, made.passer), directory, "{owner:?} {reader:?}");
        }
        let daemon = Users::default().user(Key::Name("daemon")).unwrap().unwrap();
        let (found, made) = machine(None, Some("daemon")).unwrap();
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
            (Some("no-such-user"), None, "owner: this host has no such user"),
            (Some("4000000"), None, "owner: this host has no such user"),
            (Some(""), None, "owner: expected USER, USER:GROUP or UID:GID"),
            (None, Some("a:b"), "reader: expected USER or UID"),
        ] {
            let failure = machine(owner, reader).unwrap_err();
            let expected = format!("fleet.yaml:3:5: machines.chimera.{expected}");
            assert_eq!((failure.exit, failure.message), (Exit::Manifest, expected));
        }
    }
}
