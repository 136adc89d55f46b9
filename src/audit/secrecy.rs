//! What counts as a secret and what is plainly public.

use super::word::{Text, find};

/// Credentials of systemd (systemd.system-credentials(7)) whose values everybody
/// may read: mounts, host names, public keys and the like.
const PUBLIC_CREDENTIALS: [&[u8]; 10] = [
    b"fstab.extra",
    b"login.issue",
    b"login.motd",
    b"ssh.ephemeral-authorized_keys-all",
    b"ssh.listen",
    b"sysctl.extra",
    b"system.hostname",
    b"system.machine_id",
    b"vmm.notify_socket",
    b"network.hosts",
];

/// What the names of credentials begin with that are no secret.
const PUBLIC_FAMILIES: [&[u8]; 11] = [
    b"firstboot.",
    b"getty.",
    b"journal.",
    b"network.conf.",
    b"network.dns",
    b"network.link.",
    b"network.network.",
    b"network.search_domains",
    b"passwd.shell.",
    b"ssh.authorized_keys.",
    b"udev.",
];

/// Longest name of a placeholder.
const PLACEHOLDER_MAX_BYTES: usize = 64;

/// Fewest bytes that hide a value: `***`.
const MASK_MIN_BYTES: usize = 3;

/// Firmware items that are settings of the firmware itself, or of a provisioner.
const PUBLIC_ITEMS: [&[u8]; 5] = [
    b"opt/ovmf/",
    b"opt/org.tianocore/",
    b"opt/org.seabios/",
    b"opt/io.cloud-init/cloud-init/meta-data",
    b"etc/",
];

/// Whether a credential of this name and value would give something away: it has
/// a value, which is neither one of the public ones nor an SSH public key.
pub(super) fn is_secret_credential(name: &[u8], value: &[u8]) -> bool {
    let is_public = PUBLIC_CREDENTIALS.contains(&name)
        || PUBLIC_FAMILIES.iter().any(|family| name.starts_with(family));
    !value.is_empty() && !is_public && !is_public_key(value) && !is_placeholder(value)
}

/// Whether a firmware item of this name, given by value, would give something away.
pub(super) fn is_secret_item(name: &[u8], value: &[u8]) -> bool {
    if let Some(credential) = name.strip_prefix(b"opt/io.systemd.credentials/") {
        return is_secret_credential(credential, value);
    }
    !value.is_empty() && !PUBLIC_ITEMS.iter().any(|public| name.starts_with(public))
}

/// Whether an OEM string that is no credential of systemd looks like a secret:
/// it is written by its variable alone, or what stands before `=` or `:` says so,
/// or it is a private key.
pub(super) fn is_secret_string(string: &[u8]) -> bool {
    let end = string.iter().position(|byte| b"=:".contains(byte));
    let (name, value) = end.and_then(|end| string.split_at_checked(end)).unwrap_or_default();
    is_expansion(string)
        || is_secret_name(name) && value.len() > 1
        || has_secret_variable(string)
        || find(string, b"PRIVATE KEY-----").is_some()
}

/// Whether a variable, header or the like of this name holds a secret: one of its
/// words says so and the last one does not say that it is about the secret only,
/// as in `TOKEN_FILE`.
pub(super) fn is_secret_name(name: &[u8]) -> bool {
    const SECRET: [&[u8]; 16] = [
        b"apikey",
        b"authtoken",
        b"credential",
        b"credentials",
        b"key",
        b"pass",
        b"passphrase",
        b"passwd",
        b"password",
        b"passwords",
        b"pw",
        b"pwd",
        b"secret",
        b"secrets",
        b"token",
        b"tokens",
    ];
    // What words end with that are written in one, as `PGPASSWORD` and `apiToken` are.
    const ENDS: [&[u8]; 7] =
        [b"apikey", b"passphrase", b"passwd", b"password", b"secret", b"sshpass", b"token"];
    // A key alone is most often a name, a button or a public one.
    const KEYS: [&[u8]; 9] = [
        b"access",
        b"api",
        b"auth",
        b"deploy",
        b"encryption",
        b"master",
        b"private",
        b"secret",
        b"signing",
    ];
    const ABOUT: [&[u8]; 16] = [
        b"age",
        b"dir",
        b"directory",
        b"endpoint",
        b"file",
        b"id",
        b"length",
        b"name",
        b"path",
        b"policy",
        b"store",
        b"timeout",
        b"ttl",
        b"type",
        b"uri",
        b"url",
    ];
    let name = name.to_ascii_lowercase();
    let words = || name.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    // The shell's working directory.
    let is_harmless =
        words().next_back().is_none_or(|last| ABOUT.contains(&last)) || name == b"pwd";
    let mut before: &[u8] = b"";
    !is_harmless
        && words().any(|word| {
            let is_key = word != b"key" || KEYS.contains(&before);
            before = word;
            is_key && (SECRET.contains(&word) || ENDS.iter().any(|end| word.ends_with(end)))
        })
}

/// Whether a value that is given to a secret's name gives it away: not where it
/// is empty, a path, a switch, or a reference to a credential's file.
pub(super) fn is_secret_value(value: &[u8]) -> bool {
    const HARMLESS: [&[u8]; 8] = [b"", b"on", b"off", b"yes", b"no", b"true", b"false", b"none"];
    const PLACES: [&[u8]; 5] =
        [b"/", b"%d/", b"%t/", b"$CREDENTIALS_DIRECTORY/", b"${CREDENTIALS_DIRECTORY}/"];
    !HARMLESS.contains(&value) && !PLACES.iter().any(|place| value.starts_with(place))
}

/// The length of the placeholder that a text begins with, as `<newpassword>` in a
/// manual, up to what may follow one.
pub(super) fn placeholder_length(text: &[u8]) -> Option<usize> {
    let name = text.strip_prefix(b"<")?;
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b" -_".contains(byte);
    let length = name.iter().take(PLACEHOLDER_MAX_BYTES).take_while(|byte| is_name_byte(byte));
    let length = length.count();
    let begins = name.first().is_some_and(u8::is_ascii_alphabetic);
    let ends = length > 0 && !name.get(length - 1).is_some_and(u8::is_ascii_whitespace);
    let rest = name.get(length..)?.strip_prefix(b">")?;
    let is_alone = rest.first().is_none_or(|byte| !is_name_byte(byte) || *byte == b' ');
    (begins && ends && is_alone).then_some(length + 2)
}

/// Whether a value stands for one that is not there: a placeholder, or what a
/// program puts over its arguments to hide them, as sshpass does.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let is_mask = value.len() >= MASK_MIN_BYTES
        && value.first().is_some_and(|first| b"*xXz".contains(first))
        && value.iter().all(|byte| Some(byte) == value.first());
    is_mask || placeholder_length(value).is_some()
}

/// Whether a value is what `crypt` makes of a password, `$6$…`, or one that lets
/// nobody in, such as `!` or `*`.
pub(super) fn is_hash(value: &[u8]) -> bool {
    let id = value.strip_prefix(b"$").and_then(|rest| rest.split(|byte| *byte == b'$').next());
    let is_crypt = id.is_some_and(|id| {
        matches!(id, [b'1' | b'2' | b'5' | b'6' | b'y' | b'7'] | [b'2' | b'g', _])
            && value.get(id.len() + 1) == Some(&b'$')
    });
    is_crypt || matches!(value.first(), Some(b'!' | b'*'))
}

/// Whether all of it is one expansion, so that nothing tells what it holds.
pub(super) fn is_expansion(value: &[u8]) -> bool {
    let Some(name) = value.strip_prefix(b"$") else { return false };
    let name = name.strip_prefix(b"{").and_then(|name| name.strip_suffix(b"}")).unwrap_or(name);
    !name.is_empty() && (name == b"()" || name.iter().all(|byte| is_name_byte(*byte)))
}

/// Whether a variable is expanded in it whose name is that of a secret.
fn has_secret_variable(value: &[u8]) -> bool {
    value.split(|byte| *byte == b'$').skip(1).any(|rest| {
        let rest = rest.strip_prefix(b"{").unwrap_or(rest);
        let end = rest.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(rest.len());
        is_secret_name(rest.get(..end).unwrap_or_default())
    })
}

/// Where the userinfo of a URL holds a password: the index behind its separator.
pub(super) fn url_password(text: Text<'_>) -> Option<usize> {
    let mut from = 0;
    while let Some(scheme) = find(text.bytes.get(from..)?, b"://") {
        let begin = from + scheme + b"://".len();
        let rest = text.bytes.get(begin..)?;
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"/?#'\"<>".contains(byte);
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        let authority = rest.get(..length)?;
        if let Some(at) = authority.iter().rposition(|byte| *byte == b'@') {
            let userinfo = authority.get(..at)?;
            // `[user[:password]@]host` of a manual: brackets stand in no userinfo.
            let userinfo = if userinfo.contains(&b'[') { b"" } else { userinfo };
            // libiscsi writes `iscsi://user%password@host`.
            let is_iscsi = text.bytes.get(..from + scheme)?.ends_with(b"iscsi");
            let separator = if is_iscsi { b'%' } else { b':' };
            let colon = userinfo.iter().position(|byte| *byte == separator);
            if let Some(colon) = colon.filter(|colon| colon + 1 < userinfo.len()) {
                return Some(begin + colon + 1);
            }
        }
        from = begin + length;
    }
    None
}

/// What a word assigns, as in `NAME=value` or `NAME+=value`: name and value.
pub(super) fn assignment(text: Text<'_>) -> Option<(&[u8], Text<'_>)> {
    let (name, value) = text.split(b'=')?;
    let name = name.bytes.strip_suffix(b"+").unwrap_or(name.bytes);
    let is_name = !name.is_empty() && name.iter().all(|byte| is_name_byte(*byte));
    is_name.then_some((name, value))
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_public_key(value: &[u8]) -> bool {
    [&b"ssh-"[..], b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-"]
        .iter()
        .any(|kind| value.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for name in [
            "TOKEN",
            "API_TOKEN",
            "DB_PASSWORD",
            "AWS_SECRET_ACCESS_KEY",
            "api-key",
            "DBPWD_PWD",
            "db.password",
            "X-Auth-Token",
            "SSH_PRIVATE_KEY",
            "PGPASS_SECRET",
            "PGPASSWORD",
            "SSHPASS",
            "dbPassword",
            "X-AuthToken",
        ] {
            assert!(is_secret_name(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "PATH",
            "TOKEN_FILE",
            "AWS_ACCESS_KEY_ID",
            "PASSWORD_STORE_DIR",
            "KEY",
            "PWD",
            "KEYMAP",
            "SECRETARY",
            "PUBLIC_KEY",
            "TOKENS_URL",
            "COMPASS",
            "PGPASSFILE",
            "SSH_ASKPASS",
            "passwordFile",
        ] {
            assert!(!is_secret_name(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_found_behind_its_user() {
        for (url, expected) in [
            ("https://me:pw@host/x", Some(11)),
            ("file=iscsi://me%pw@host/iqn", Some(16)),
            ("https://a/b https://me:pw@host", Some(23)),
            ("https://me:p@w@host", Some(11)),
            ("https://me@host:80/a:b@c", None),
            ("https://me:@host", None),
            ("https://[[user][:pass]@]host[:port]/", None),
            ("ssh://git@host:22/x", None),
            ("https://host/?a:b@c", None),
        ] {
            assert_eq!(url_password(Text::file(url.as_bytes())), expected, "{url}");
        }
    }
}
