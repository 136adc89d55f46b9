//! Programs that take a secret among their arguments, with options of their own.

use super::judge::{Found, mkosi_credential, option_of, root_password};
use super::rules::Rule;
use super::secrecy::{is_expansion, is_secret_name, is_secret_value};
use super::word::{Text, Word};
use super::{containers, installer, kernel};

/// Judges the arguments of the first program that is known, wherever in the command
/// it stands: `sudo`, `ssh HOST` or an assignment may precede it. An engine's arguments
/// are judged as well as those of the program that it runs.
pub(super) fn judge(words: &[Word], found: &mut Found) {
    let monitor = words.iter().position(|word| word.bytes() == b"set_password");
    if let Some(arguments) = monitor.and_then(|at| words.get(at + 1..)) {
        set_password(arguments, found);
    }
    installer::line(words, found);
    let engine = words.iter().position(|word| containers::is_engine(program(word)));
    if let Some(arguments) = engine.and_then(|at| words.get(at + 1..)) {
        containers::judge(arguments, found);
    }
    for (index, word) in words.iter().enumerate() {
        let arguments = words.get(index + 1..).unwrap_or_default();
        match program(word) {
            b"curl" => curl(arguments, found),
            b"wget" => wget(arguments, found),
            b"sshpass" => sshpass(arguments, found),
            b"virsh" => virsh(arguments, found),
            b"virt-customize" | b"virt-sysprep" | b"virt-builder" => customize(arguments, found),
            b"mkosi" => mkosi(arguments, found),
            b"virt-install" => kernel_line(&[b"x"], arguments, found),
            b"crosvm" => kernel_line(&[b"p", b"params"], arguments, found),
            b"grubby" => kernel_line(&[b"args"], arguments, found),
            b"qm" | b"pct" | b"pvesh" => proxmox(arguments, found),
            _ => continue,
        }
        return;
    }
}

/// A program's name without its directory and what systemd's Exec= lines put before it.
fn program(word: &Word) -> &[u8] {
    let path = word.bytes().trim_ascii_start();
    let begin = path.iter().position(|byte| !b"@-:+!|".contains(byte)).unwrap_or(0);
    let path = path.get(begin..).unwrap_or_default();
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn curl(arguments: &[Word], found: &mut Found) {
    for (name, value) in curl_options(arguments) {
        match name {
            b"u" | b"user" | b"U" | b"proxy-user" => user_and_password(value, found),
            b"oauth2-bearer" | b"pass" | b"proxy-pass" | b"tlspassword" | b"proxy-tlspassword" => {
                password(Rule::DownloadPassword, value, found);
            }
            b"H" | b"header" | b"proxy-header" => header(value, found),
            b"E" | b"cert" => {
                // `FILE:PASSWORD`, the password of the certificate's key; or the file alone.
                let is_file = !value.bytes.starts_with(b"pkcs11:");
                if let Some((_, secret)) = value.split(b':').filter(|_| is_file) {
                    password(Rule::DownloadPassword, secret, found);
                }
            }
            b"b" | b"cookie" if value.bytes.contains(&b'=') => found.add(Rule::HttpHeader, value),
            _ => {}
        }
    }
}

/// curl's options and their values. Of short options in one word the first that
/// takes a value takes the rest of the word, else the next word.
fn curl_options(words: &[Word]) -> impl Iterator<Item = (&[u8], Text<'_>)> {
    const WITH_VALUE: &[u8] = b"AbcCdDeEFHKmoPQrtTuUwxXyYz";
    words.iter().enumerate().filter_map(|(index, word)| {
        let text = word.text();
        let next = || words.get(index + 1).map(Word::text);
        if text.bytes.starts_with(b"--") {
            let (name, value) = option_of(text);
            return value.or_else(next).map(|value| (name, value));
        }
        let short = text.after(b"-")?;
        let at = short.bytes.iter().position(|byte| WITH_VALUE.contains(byte))?;
        let name = short.part(at, at + 1).bytes;
        let rest = short.rest(at + 1);
        let value = if rest.is_empty() { next()? } else { rest };
        Some((name, value))
    })
}

fn wget(arguments: &[Word], found: &mut Found) {
    for (name, value) in options(arguments) {
        match name {
            b"password" | b"http-password" | b"ftp-password" | b"proxy-password" => {
                password(Rule::DownloadPassword, value, found);
            }
            b"header" => header(value, found),
            _ => {}
        }
    }
}

fn sshpass(arguments: &[Word], found: &mut Found) {
    for (index, word) in arguments.iter().enumerate() {
        let Some(value) = word.text().after(b"-p") else {
            // sshpass's own options end before the command that it runs.
            if word.bytes().starts_with(b"-") {
                continue;
            }
            return;
        };
        let next = arguments.get(index + 1).map(Word::text);
        if let Some(value) = Some(value).filter(|value| !value.is_empty()).or(next) {
            found.add(Rule::Sshpass, value);
        }
        return;
    }
}

/// `virsh secret-set-value UUID VALUE` or `--base64 VALUE`, and `virsh set-user-password
/// DOMAIN USER PASSWORD`.
fn virsh(words: &[Word], found: &mut Found) {
    let after = |command: &[u8]| {
        let at = words.iter().position(|word| word.bytes() == command)?;
        words.get(at + 1..)
    };
    let secret = after(b"secret-set-value");
    let secret = secret.and_then(|words| argument(words, &[b"secret", b"base64"], &[b"file"]));
    if let Some(value) = secret {
        found.add(Rule::LibvirtSecret, value);
    }
    let user = after(b"set-user-password");
    let user = user.and_then(|words| argument(words, &[b"domain", b"user", b"password"], &[]));
    if let Some(value) = user {
        found.add(Rule::GuestPassword, value);
    }
}

/// The last of a command's arguments, which virsh takes in their order or by name;
/// `others` are further options that have a value.
fn argument<'a>(words: &'a [Word], names: &[&[u8]], others: &[&[u8]]) -> Option<Text<'a>> {
    let mut unnamed: Vec<&[u8]> = names.to_vec();
    let mut words = words.iter().map(Word::text);
    while let Some(word) = words.next() {
        let is_last = |name: &[u8]| names.last() == Some(&name);
        let (name, value) = match option_of(word) {
            (b"", _) if unnamed.is_empty() => continue,
            (b"", _) => (unnamed.remove(0), Some(word)),
            (name, value) if names.contains(&name) || others.contains(&name) => {
                unnamed.retain(|other| *other != name);
                (name, value.or_else(|| words.next()))
            }
            _ => continue,
        };
        if is_last(name) {
            return value.filter(|value| !value.is_empty());
        }
    }
    None
}

/// `--root-password password:VALUE`, `--password USER:password:VALUE`
fn customize(arguments: &[Word], found: &mut Found) {
    for (name, value) in options(arguments) {
        let selector = match name {
            b"root-password" => Some(value),
            b"password" => value.split(b':').map(|(_, selector)| selector),
            _ => None,
        };
        if let Some(value) = selector.and_then(|selector| selector.after(b"password:")) {
            password(Rule::GuestPassword, value, found);
        }
    }
}

fn proxmox(arguments: &[Word], found: &mut Found) {
    let is_password = |name: &[u8]| matches!(name, b"cipassword" | b"password");
    for (_, value) in options(arguments).filter(|(name, _)| is_password(name)) {
        password(Rule::GuestPassword, value, found);
    }
}

/// `set_password PROTOCOL PASSWORD` of the monitor's own language.
fn set_password(arguments: &[Word], found: &mut Found) {
    if let [protocol, value, ..] = arguments
        && matches!(protocol.bytes(), b"vnc" | b"spice")
    {
        found.add_written(Rule::DisplayPassword, value.text());
    }
}

/// `--credential NAME=VALUE` and `--root-password VALUE` of mkosi.
fn mkosi(arguments: &[Word], found: &mut Found) {
    for (name, value) in options(arguments) {
        match name {
            b"credential" => mkosi_credential(value, found),
            b"root-password" => root_password(value, found),
            _ => {}
        }
    }
}

/// The kernel's command line in options whose names mean something else elsewhere.
fn kernel_line(names: &[&[u8]], arguments: &[Word], found: &mut Found) {
    for (_, value) in options(arguments).filter(|(name, _)| names.contains(name)) {
        kernel::command_line(value, found);
    }
}

/// Options and their values, be they attached by `=` or the next word.
pub(super) fn options(words: &[Word]) -> impl Iterator<Item = (&[u8], Text<'_>)> {
    words.iter().enumerate().filter_map(|(index, word)| {
        let (name, value) = option_of(word.text());
        let value = value.or_else(|| words.get(index + 1).map(Word::text))?;
        (!name.is_empty()).then_some((name, value))
    })
}

/// `USER:PASSWORD`, or a variable whose name says that it holds one.
fn user_and_password(value: Text<'_>, found: &mut Found) {
    match value.split(b':') {
        Some((_, secret)) => password(Rule::DownloadPassword, secret, found),
        None if is_expansion(value.bytes) && is_secret_name(value.bytes) => {
            found.add(Rule::DownloadPassword, value);
        }
        None => {}
    }
}

fn password(rule: Rule, value: Text<'_>, found: &mut Found) {
    if !value.is_empty() {
        found.add(rule, value);
    }
}

/// A header by value; `@FILE` names a file of headers.
fn header(header: Text<'_>, found: &mut Found) {
    let Some((name, value)) = header.split(b':') else { return };
    let lower = name.bytes.to_ascii_lowercase();
    let is_named =
        matches!(lower.as_slice(), b"authorization" | b"proxy-authorization" | b"cookie");
    let value = value.trimmed();
    let is_by_value = !header.bytes.starts_with(b"@") && is_secret_value(value.bytes);
    if is_by_value && (is_named || is_secret_name(&lower)) {
        found.add(Rule::HttpHeader, value);
    }
}
