//! Passwords on the kernel's command line: where such a line stands, and which of
//! its words give a password away.

use super::judge::Found;
use super::rules::Rule;
use super::secrecy::{is_hash, is_secret_name, is_secret_value};
use super::word::{Text, Word, properties, words};

/// Options that take the kernel's command line, of QEMU, virt-install,
/// cloud-hypervisor, kexec, ukify and mkosi.
const OPTIONS: [&[u8]; 8] = [
    b"append",
    b"cmdline",
    b"command-line",
    b"extra-args",
    b"kernel-args",
    b"kernel-cmdline",
    b"kernel-command-line",
    b"kernel-command-line-extra",
];

/// What the names of variables and settings have that hold such a line.
const SETTINGS: [&[u8]; 7] = [
    b"cmdline",
    b"kernelcommandline",
    b"kernelargs",
    b"bootargs",
    b"extraargs",
    b"kargs",
    b"append",
];

/// Commands of boot loaders' configurations that take such a line.
const COMMANDS: [&[u8]; 6] = [b"linux", b"linux16", b"linuxefi", b"append", b"options", b"kernel"];

/// Words that only a kernel's command line begins with.
const MARKS: [&[u8]; 7] = [b"auto=", b"console=", b"initrd=", b"inst.", b"ip=", b"rd.", b"root="];

/// Parameters of Anaconda, dracut and the installer of Debian, whose names alone say that they
/// belong on the kernel's command line.
const PARAMETERS: [&[u8]; 8] = [
    b"inst.vncpassword",
    b"inst.rdp.password",
    b"rd.iscsi.password",
    b"rd.iscsi.in.password",
    b"passwd/root-password",
    b"passwd/root-password-again",
    b"passwd/user-password",
    b"passwd/user-password-again",
];

/// Whether an option takes the kernel's command line. Where it is not quoted, as `ps`
/// shows it, it goes on up to the next option.
pub(super) fn is_option(name: &[u8]) -> bool {
    OPTIONS.contains(&name)
}

/// Whether a variable, a key or a setting of this name holds the kernel's command line.
pub(super) fn is_setting(name: &[u8]) -> bool {
    let mut name = name.to_ascii_lowercase();
    name.retain(u8::is_ascii_alphanumeric);
    SETTINGS.iter().any(|setting| name.windows(setting.len()).any(|window| window == *setting))
}

/// Judges a command of a boot loader's configuration.
pub(super) fn loader(command: &[Word], found: &mut Found) {
    let [name, arguments @ ..] = command else { return };
    let is_mark = |word: &Word| MARKS.iter().any(|mark| word.bytes().starts_with(mark));
    let is_loader = COMMANDS.contains(&name.bytes().to_ascii_lowercase().as_slice());
    if is_loader && arguments.iter().any(is_mark) {
        for word in arguments {
            parameter(word.text(), found);
        }
    }
}

/// Judges the kernel's command line.
pub(super) fn command_line(text: Text<'_>, found: &mut Found) {
    words(text).for_each(|word| parameter(word, found));
}

/// Judges virt-install's `--boot kernel=…,kernel_args=…`.
pub(super) fn boot(text: Text<'_>, found: &mut Found) {
    let is_line = |key: &[u8]| matches!(key, b"kernel_args" | b"cmdline" | b"extra_args");
    for property in properties(text).filter(|property| is_line(property.key.bytes)) {
        command_line(property.value, found);
    }
}

/// Judges a word that tells by itself that it belongs on the kernel's command line.
pub(super) fn named(text: Text<'_>, found: &mut Found) {
    if text.split(b'=').is_some_and(|(name, _)| PARAMETERS.contains(&name.bytes)) {
        parameter(text, found);
    }
}

fn parameter(text: Text<'_>, found: &mut Found) {
    let Some((name, value)) = text.split(b'=') else { return };
    // Anaconda and others call root's password so; the name is one word, unlike those of secrets.
    let is_root = matches!(name.bytes, b"rootpw" | b"rootpwd");
    // Options are no parameters, and credentials of systemd have a rule of their own.
    let is_other = name.bytes.starts_with(b"-") || name.bytes.starts_with(b"systemd.set_cred");
    if is_root || is_secret_name(name.bytes) && !is_other {
        // The value may be quoted inside the line.
        let value = value.after(b"\"").or_else(|| value.after(b"'")).unwrap_or(value);
        if is_secret_value(value.bytes) && !is_hash(value.bytes) {
            found.add(Rule::KernelPassword, value);
        }
    } else if let Some(target) = value.after(b"iscsi:").filter(|_| name.bytes == b"netroot") {
        // dracut's `netroot=iscsi:USER:PASSWORD@HOST`.
        let at = target.bytes.iter().rposition(|byte| *byte == b'@').unwrap_or(0);
        if let Some((_, password)) = target.part(0, at).split(b':').filter(|(_, it)| !it.is_empty())
        {
            found.add(Rule::KernelPassword, password);
        }
    }
}
