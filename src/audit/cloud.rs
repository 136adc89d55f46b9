//! Passwords in cloud-config and in the answers of Ubuntu's installer.

use super::judge::Found;
use super::kernel;
use super::rules::Rule;
use super::secrecy::is_hash;
use super::word::{Text, Word, lines};

/// Judges the members of a mapping whose values are scalars; `path` has the keys
/// around it, the outermost first.
pub(super) fn mapping(
    path: &[&[u8]],
    members: &[(Word, Word)],
    is_cloud_config: bool,
    found: &mut Found,
) {
    let member = |name: &[u8]| members.iter().find(|(key, _)| key.bytes() == name);
    let is_hashed = member(b"type").is_some_and(|(_, kind)| kind.bytes() == b"hash");
    // What the installer is told stands below a key of its own.
    let path = path.strip_prefix(&[&b"autoinstall"[..]]).unwrap_or(path);
    for (key, value) in members {
        let text = value.text();
        match (path, key.bytes()) {
            (_, b"plain_text_passwd")
            | ([.., b"users" | b"user"], b"passwd" | b"hashed_passwd")
            | ([.., b"identity"], b"password") => password(Rule::GuestPassword, text, found),
            ([], b"password") if is_cloud_config => password(Rule::GuestPassword, text, found),
            ([.., b"chpasswd", b"users"], b"password") if !is_hashed => {
                password(Rule::GuestPassword, text, found);
            }
            ([.., b"chpasswd"], b"list") => {
                lines(text).for_each(|line| user_and_password(line.text, found));
            }
            // `key: /…` names a file that holds the passphrase, which is safe.
            ([b"storage", ..], b"passphrase" | b"key") | ([b"storage", b"layout"], b"password")
                if !text.bytes.starts_with(b"/") =>
            {
                password(Rule::DiskPassphrase, text, found);
            }
            (_, name) if kernel::is_setting(name) => kernel::command_line(text, found),
            _ => {}
        }
    }
}

/// Judges the scalars of a sequence.
pub(super) fn sequence(path: &[&[u8]], words: &[Word], found: &mut Found) {
    if path.ends_with(&[b"chpasswd", b"list"]) {
        for word in words {
            user_and_password(word.text(), found);
        }
    } else if path.last().is_some_and(|name| kernel::is_setting(name)) {
        for word in words {
            kernel::command_line(word.text(), found);
        }
    }
}

/// `USER:PASSWORD` of chpasswd.
fn user_and_password(text: Text<'_>, found: &mut Found) {
    if let Some((_, value)) = text.split(b':') {
        password(Rule::GuestPassword, value.trimmed(), found);
    }
}

/// Notes a password that is no hash, and that cloud-init does not make itself.
fn password(rule: Rule, value: Text<'_>, found: &mut Found) {
    if !value.is_empty() && !is_hash(value.bytes) && !matches!(value.bytes, b"R" | b"RANDOM") {
        found.add(rule, value);
    }
}
