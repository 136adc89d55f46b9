//! Passwords in the answers for installers: kickstarts of Anaconda and preseeds of
//! Debian's installer.

use super::config::{logical_lines, split};
use super::judge::{Found, option_of};
use super::programs::options;
use super::rules::Rule;
use super::secrecy::is_hash;
use super::word::{Text, Word, first_word, lines};

/// Commands of which a kickstart begins with one.
const FIRST_COMMANDS: [&[u8]; 28] = [
    b"auth",
    b"authconfig",
    b"authselect",
    b"autopart",
    b"bootloader",
    b"cdrom",
    b"clearpart",
    b"cmdline",
    b"eula",
    b"firewall",
    b"firstboot",
    b"graphical",
    b"ignoredisk",
    b"install",
    b"keyboard",
    b"lang",
    b"network",
    b"part",
    b"poweroff",
    b"reboot",
    b"repo",
    b"rootpw",
    b"selinux",
    b"text",
    b"timezone",
    b"url",
    b"user",
    b"zerombr",
];

/// Types of debconf's questions.
const TYPES: [&[u8]; 8] =
    [b"boolean", b"multiselect", b"note", b"password", b"seen", b"select", b"string", b"text"];

/// Whether a text is a kickstart: `first` is its first line that is no comment. It has
/// a section, or a password at once.
pub(super) fn is_kickstart(first: &[u8], bytes: &[u8]) -> bool {
    let mut words = first.split(u8::is_ascii_whitespace);
    let command = words.next().unwrap_or_default();
    let has_option = words.next().is_some_and(|word| word.starts_with(b"--"));
    let is_section =
        |line: &[u8]| line.trim_ascii_end() == b"%end" || line.trim_ascii_end() == b"%packages";
    let has_section = || bytes.split(|byte| *byte == b'\n').any(is_section);
    let is_alone = matches!(command, b"rootpw" | b"user" | b"autopart" | b"bootloader");
    is_alone && has_option
        || (FIRST_COMMANDS.contains(&command) || first.starts_with(b"%")) && has_section()
}

/// Whether a preseed begins with this line: `OWNER NAME/QUESTION TYPE VALUE`.
pub(super) fn is_preseed(line: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(1);
    words.next().is_some_and(|question| question.contains(&b'/'))
        && words.next().is_some_and(|kind| TYPES.contains(&kind))
}

/// What the lexers find.
#[derive(Clone, Copy)]
pub(super) enum Event<'a> {
    Command(&'a [Word]),
    /// A script, or the kernel's command line.
    Document(Text<'a>),
    /// An answer to a question of debconf.
    Answer(&'a [u8], Text<'a>),
}

/// Calls `emit` for every command and script of a kickstart.
pub(super) fn kickstart_file(text: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    // The place where the script begins that has not ended yet, and whether this line belongs to
    // any section. Sections that are no scripts, as lists of packages, are skipped.
    let (mut script, mut is_section) = (None, false);
    for line in lines(text) {
        let name = line.text.bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        match name {
            b"%pre" | b"%post" | b"%pre-install" | b"%onerror" | b"%traceback" => {
                script = Some(line.next);
                is_section = true;
            }
            b"%end" => {
                if let Some(script) = script.take() {
                    emit(Event::Document(text.part(script, line.begin)));
                }
                is_section = false;
            }
            b"%packages" | b"%addon" | b"%anaconda" | b"%certificate" => is_section = true,
            // What a section holds, comments, and directives of one line such as %include.
            _ if is_section || name.starts_with(b"#") || name.starts_with(b"%") => {}
            _ => split(line.text, &mut |words| emit(Event::Command(words))),
        }
    }
    if let Some(script) = script {
        emit(Event::Document(text.rest(script)));
    }
}

/// Calls `emit` for every answer of a preseed: owner, question, type and value.
pub(super) fn preseed_file(text: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    logical_lines(text, &mut |line| {
        let question = first_word(line).and_then(|(_, rest)| first_word(rest));
        if let Some((question, rest)) = question
            && let Some((_, value)) = first_word(rest)
        {
            emit(Event::Answer(question.bytes, value.trimmed()));
        }
    });
}

/// Judges a command that looks like a line of a kickstart or preseed, also where a script writes
/// such a line into a file by `echo`.
pub(super) fn line(words: &[Word], found: &mut Found) {
    let words = match words {
        [print, words @ ..] if matches!(print.bytes(), b"echo" | b"printf") => words,
        words => words,
    };
    match words {
        [name, arguments @ ..] if matches!(name.bytes(), b"rootpw" | b"sshpw") => {
            user_password(arguments, found);
        }
        [owner, question, _, value, ..] if owner.bytes() == b"d-i" => {
            answer(question.bytes(), value.text(), found);
        }
        _ => {}
    }
}

/// `rootpw PASSWORD`, `sshpw --username NAME PASSWORD`
fn user_password(arguments: &[Word], found: &mut Found) {
    let mut takes_value = false;
    for word in arguments {
        let text = word.text();
        let (name, attached) = option_of(text);
        if name.is_empty() && !takes_value {
            return clear_text(Rule::GuestPassword, is_crypted(arguments), text, found);
        }
        takes_value = matches!(name, b"username") && attached.is_none();
    }
}

/// Judges a command in a file that is a kickstart.
pub(super) fn kickstart_line(words: &[Word], found: &mut Found) {
    let Some((command, arguments)) = words.split_first() else { return };
    let is_crypted = is_crypted(arguments);
    for (name, value) in options(arguments) {
        let rule = match (command.bytes(), name) {
            (b"user" | b"bootloader", b"password")
            | (b"realm", b"one-time-password")
            | (b"authselect" | b"auth" | b"authconfig", b"ldappassword") => Rule::GuestPassword,
            (b"vnc" | b"rdp", b"password") => Rule::DisplayPassword,
            (b"iscsi", b"password" | b"reverse-password") => Rule::DrivePassword,
            (_, b"passphrase") => Rule::DiskPassphrase,
            _ => continue,
        };
        clear_text(rule, is_crypted, value, found);
    }
}

/// Whether an option says that the password is a hash.
fn is_crypted(arguments: &[Word]) -> bool {
    arguments.iter().any(|word| word.bytes() == b"--iscrypted")
}

/// Notes a password that is no hash.
fn clear_text(rule: Rule, is_crypted: bool, value: Text<'_>, found: &mut Found) {
    if !is_crypted && !is_hash(value.bytes) && !value.is_empty() {
        found.add_written(rule, value);
    }
}

/// Judges the answer to a question of debconf.
pub(super) fn answer(question: &[u8], value: Text<'_>, found: &mut Found) {
    let name = question.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let ends = |end: &[u8]| {
        name.ends_with(end) || name.strip_suffix(b"-again").is_some_and(|name| name.ends_with(end))
    };
    let rule = if ends(b"passphrase") {
        Rule::DiskPassphrase
    } else if ends(b"password") || ends(b"_pass") || ends(b"wpa") {
        Rule::GuestPassword
    } else {
        return;
    };
    if !value.is_empty() && !is_hash(value.bytes) {
        found.add_written(rule, value);
    }
}
