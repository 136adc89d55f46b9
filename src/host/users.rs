//! Users and groups of this host, by name or number.
//!
//! `/etc/passwd` and `/etc/group` are read, once a run. Whoever does not stand there is asked of
//! getent(1), which knows every name service that the host is set up with, as for LDAP. So a
//! static program, which loads no modules of the name service, knows the same users.

use std::collections::HashMap;
use std::io;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::report::reason;

/// What getent(1) exits with where a database does not have the key.
const NOT_FOUND: i32 = 2;

/// A user of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    /// The primary group.
    pub(crate) gid: u32,
    /// Whether `/etc/passwd` has the user. Of others it is not known who shares their group.
    pub(crate) is_local: bool,
}

/// What names a user.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    Name(&'a str),
    Number(u32),
}

/// The users and groups of the host, each looked up once.
#[derive(Default)]
pub(crate) struct Users {
    local: OnceLock<Result<Local, String>>,
    /// What getent has told, by its arguments.
    told: Mutex<HashMap<(&'static str, String), Option<Entry>>>,
}

impl Users {
    /// A user; none where the host has none of this name or number. An error is a text.
    pub(crate) fn user(&self, key: Key<'_>) -> Result<Option<User>, String> {
        let local = self.local()?;
        let found = match key {
            Key::Name(name) => local.users.get(name),
            Key::Number(uid) => local.numbers.get(&uid),
        };
        if found.is_some() {
            return Ok(found.copied());
        }
        let key = match key {
            Key::Name(name) => name.to_owned(),
            Key::Number(uid) => uid.to_string(),
        };
        let told = self.told("passwd", key)?;
        Ok(told.and_then(|(uid, gid)| Some(User { uid, gid: gid?, is_local: false })))
    }

    /// The number of the group of this name.
    pub(crate) fn group(&self, name: &str) -> Result<Option<u32>, String> {
        match self.local()?.groups.get(name) {
            Some(gid) => Ok(Some(*gid)),
            None => Ok(self.told("group", name.to_owned())?.map(|(gid, _)| gid)),
        }
    }

    /// The name of somebody else in the primary group of a user whom `/etc/passwd` has: it is
    /// their primary group as well, or the group lists them.
    pub(crate) fn other_in_group(&self, user: User) -> Result<Option<&str>, String> {
        let local = self.local()?;
        let members = local.members.get(&user.gid).map(Vec::as_slice).unwrap_or_default();
        let is_other =
            |name: &&String| local.users.get(*name).is_none_or(|member| member.uid != user.uid);
        Ok(members.iter().find(is_other).map(String::as_str))
    }

    fn local(&self) -> Result<&Local, String> {
        self.local.get_or_init(Local::read).as_ref().map_err(Clone::clone)
    }

    /// What getent tells of a name or number that the files do not have.
    fn told(&self, database: &'static str, key: String) -> Result<Option<Entry>, String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (database, key);
        if let Some(found) = told.get(&key) {
            return Ok(*found);
        }
        let found = getent(database, &key.1)?;
        told.insert(key, found);
        Ok(found)
    }
}

/// The numbers of a line: the user's or the group's own, and the user's primary group.
type Entry = (u32, Option<u32>);

/// What stands in `/etc/passwd` and `/etc/group`.
#[derive(Default)]
struct Local {
    users: HashMap<String, User>,
    numbers: HashMap<u32, User>,
    groups: HashMap<String, u32>,
    /// Names of users by the group's number.
    members: HashMap<u32, Vec<String>>,
}

impl Local {
    fn read() -> Result<Self, String> {
        Ok(Self::parse(&text("/etc/passwd")?, &text("/etc/group")?))
    }

    /// Of two lines for one name or number the first counts, as for getpwnam(3).
    fn parse(passwd: &str, group: &str) -> Self {
        let mut local = Self::default();
        for line in passwd.lines() {
            let Some((name, (uid, Some(gid)))) = entry(line, true) else { continue };
            local.members.entry(gid).or_default().push(name.to_owned());
            let user = User { uid, gid, is_local: true };
            local.numbers.entry(uid).or_insert(user);
            local.users.entry(name.to_owned()).or_insert(user);
        }
        for line in group.lines() {
            let Some((name, (gid, _))) = entry(line, false) else { continue };
            local.groups.entry(name.to_owned()).or_insert(gid);
            let members = line.split(':').nth(3).unwrap_or_default();
            let members = members.split(',').map(str::trim).filter(|name| !name.is_empty());
            local.members.entry(gid).or_default().extend(members.map(str::to_owned));
        }
        local
    }
}

/// The text of a file that may be missing, as in a container.
fn text(path: &str) -> Result<String, String> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("cannot read {path}: {}", reason(&error))),
    }
}

/// Name and numbers of a line of passwd(5) or group(5); none for what is neither, such as a
/// comment.
fn entry(line: &str, is_user: bool) -> Option<(&str, Entry)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let number = fields.nth(1)?.parse().ok()?;
    let group = if is_user { Some(fields.next()?.parse().ok()?) } else { None };
    Some((name, (number, group)))
}

/// Asks the host's name service. The program gets nothing of our environment but `PATH`: there
/// may be secrets in it.
fn getent(database: &str, key: &str) -> Result<Option<Entry>, String> {
    // It would be an option, or a number with a sign.
    if key.starts_with(|first: char| "+-".contains(first) || first.is_whitespace()) {
        return Ok(None);
    }
    let mut command = Command::new("getent");
    command.args([database, key]).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    let output =
        command.output().map_err(|error| format!("cannot run getent: {}", reason(&error)))?;
    match output.status.code() {
        Some(0) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let found = text.lines().find_map(|line| entry(line, database == "passwd"));
            found.map(|(_, entry)| Some(entry)).ok_or_else(|| "getent told nothing".to_owned())
        }
        Some(NOT_FOUND) => Ok(None),
        Some(_) | None => Err("getent failed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn users(passwd: &str, group: &str) -> Users {
        Users { local: OnceLock::from(Ok(Local::parse(passwd, group))), ..Users::default() }
    }

    #[test]
    fn others_of_a_group_are_whoever_has_it_or_is_listed_in_it() {
        let passwd = "a:x:1:10::/:\nb:x:2:20::/:\nc:x:3:20::/:\nd:x:4:40::/:\nalias:x:4:40::/:\n";
        let group = "a:x:10:\nbc:x:20:\nd:x:40:d\nmore:x:40: alias , e\n";
        let users = users(passwd, group);
        let other = |name| users.other_in_group(users.user(Key::Name(name)).unwrap().unwrap());
        assert_eq!(other("a"), Ok(None));
        assert_eq!(other("b"), Ok(Some("c")));
        assert_eq!(other("c"), Ok(Some("b")));
        // One user of two names is nobody else; a member whom only another service knows is.
        assert_eq!(other("d"), Ok(Some("e")));
    }

    #[test]
    fn lines_that_are_none_are_passed_over_and_the_first_one_counts() {
        let users =
            users("# x\n+::::::\nbad:x:y:1\nshort:x\na:x:1:10:::\na:x:2:20:::\n\n", "+:::\n");
        let found = users.user(Key::Name("a")).unwrap().unwrap();
        assert_eq!(found, User { uid: 1, gid: 10, is_local: true });
        assert_eq!(users.user(Key::Number(2)).unwrap().unwrap().uid, 2);
    }

    /// What the files do not have is asked of getent, which knows all users that this host has.
    #[test]
    fn the_name_service_tells_of_whom_the_files_do_not_have() {
        let users = users("", "");
        let daemon = users.user(Key::Name("daemon")).unwrap().unwrap();
        assert_eq!(users.user(Key::Number(daemon.uid)), Ok(Some(daemon)));
        assert_eq!(
            daemon,
            User {
                is_local: false,
                ..Users::default().user(Key::Name("daemon")).unwrap().unwrap()
            }
        );
        assert_eq!(users.group("daemon"), Users::default().group("daemon"));
        for unknown in ["no-such-user", "-s", "--help", "+0", " 0", ""] {
            assert_eq!(users.user(Key::Name(unknown)), Ok(None), "{unknown:?}");
            assert_eq!(users.group(unknown), Ok(None), "{unknown:?}");
        }
    }
}
