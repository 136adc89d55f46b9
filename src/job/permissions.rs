//! Who may read what is written: `--owner`, `--mode` and `--reader`, with the names of
//! this host's users and groups, as its name service tells them.

use std::path::Path;

use credimg_formats::Mode;
use nix::unistd::{Gid, Group, Uid, User};

use crate::host::output;
use crate::report::{self, Exit, Failure};

/// The owner, mode and reader of a file that is written.
pub(crate) fn of_options(
    owner: Option<&str>,
    mode: &str,
    reader: Option<&str>,
) -> Result<output::Permissions, Failure> {
    Ok(output::Permissions {
        owner: owner.map(self::owner).transpose()?,
        mode: Some(self::mode(mode)?),
        reader: reader.map(|text| user("--reader", text)).transpose()?.map(|(uid, _)| uid),
    })
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

/// `--owner`: a user and a group, each by name or number, or a user alone with the
/// user's primary group.
fn owner(text: &str) -> Result<(u32, u32), Failure> {
    let option = "--owner";
    let Some((user_text, group_text)) = text.split_once(':') else {
        let (uid, gid) = user(option, text)?;
        let gid = gid.ok_or_else(|| {
            unknown(option, "user", text)
                .hint("write UID:GID for numbers that this host does not use")
        })?;
        return Ok((uid, gid));
    };
    Ok((user(option, user_text)?.0, group(option, group_text)?))
}

/// A user by name or number, with the primary group where the host knows the user.
fn user(option: &str, text: &str) -> Result<(u32, Option<u32>), Failure> {
    let number = number(option, text)?;
    let found = match number {
        Some(uid) => User::from_uid(Uid::from_raw(uid)),
        None => User::from_name(text),
    };
    let found = found.map(|user| user.map(|user| (user.uid.as_raw(), user.gid.as_raw())));
    match (found, number) {
        (Ok(Some((uid, gid))), _) => Ok((uid, Some(gid))),
        // A number needs no user of its name.
        (_, Some(uid)) => Ok((uid, None)),
        (Ok(None), None) => Err(unknown(option, "user", text)),
        (Err(error), None) => Err(not_told(option, "user", text, error)),
    }
}

fn group(option: &str, text: &str) -> Result<u32, Failure> {
    if let Some(gid) = number(option, text)? {
        return Ok(gid);
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(Gid::as_raw(group.gid)),
        Ok(None) => Err(unknown(option, "group", text)),
        Err(error) => Err(not_told(option, "group", text, error)),
    }
}

/// What consists of digits is a number, as it is for chown(1). None for a name.
fn number(option: &str, text: &str) -> Result<Option<u32>, Failure> {
    if text.is_empty() || text.contains(['\0', ':']) {
        let form = if option == "--owner" { "USER, USER:GROUP or UID:GID" } else { "USER or UID" };
        return Err(Failure::new(Exit::Usage, format!("{option}: expected {form}")));
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    // The highest one says "unchanged" to chown(2).
    let number = text.parse().ok().filter(|number| *number != u32::MAX);
    let message = format!("{option}: expected numbers of at most 4294967294");
    number.map(Some).ok_or_else(|| Failure::new(Exit::Usage, message))
}

fn unknown(option: &str, what: &str, text: &str) -> Failure {
    let message = format!("{option}: this host has no {what} {}", report::shown(Path::new(text)));
    // A static program loads no modules of the name service, as for LDAP.
    let is_static = cfg!(target_env = "musl");
    let hint = if is_static { static_hint(what, text) } else { hint(what) };
    Failure::new(Exit::Usage, message).hint(hint)
}

fn hint(what: &str) -> String {
    format!("`getent {}` lists those that it has", database(what))
}

/// What a static program says of a name that it has not found.
fn static_hint(what: &str, text: &str) -> String {
    let name = report::shell_word(Path::new(text));
    let teller = if what == "user" { "id -u" } else { "getent group" };
    format!(
        "this program is static and reads /etc/{} alone: write the number, which `{teller} {name}` \
         tells where another name service knows it",
        database(what)
    )
}

fn database(what: &str) -> &'static str {
    if what == "user" { "passwd" } else { "group" }
}

fn not_told(option: &str, what: &str, text: &str, error: nix::Error) -> Failure {
    let (name, reason) = (report::shown(Path::new(text)), report::reason(&error.into()));
    Failure::new(Exit::Usage, format!("{option}: cannot look up the {what} {name}: {reason}"))
        .hint("give its number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_tells_how_to_find_the_number_of_a_name() {
        for (what, text, expected) in [
            (
                "user",
                "ldap user",
                "/etc/passwd alone: write the number, which `id -u 'ldap user'` ",
            ),
            ("group", "admins", "/etc/group alone: write the number, which `getent group admins` "),
        ] {
            let hint = static_hint(what, text);
            assert!(hint.contains(expected), "{hint}");
        }
    }
}
