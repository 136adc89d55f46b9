//! The rules at work: what the lexers found is judged here, one command, setting
//! or element at a time.

use std::collections::BTreeMap;

use super::kernel;
use super::rules::Rule;
use super::secrecy::{
    assignment, is_expansion, is_hash, is_placeholder, is_secret_credential, is_secret_item,
    is_secret_name, is_secret_string, is_secret_value, url_password,
};
use super::word::{Property, Text, Word, find, properties};
use super::xml::Element;

/// Longest name of a credential: that of a file.
const CREDENTIAL_NAME_MAX_BYTES: usize = 255;

/// Collects what is found.
#[derive(Default)]
pub(super) struct Found {
    /// Offset in the file and rule.
    pub(super) places: Vec<(usize, Rule)>,
    /// What is judged is printed by the shell's own `echo` into a pipe. No process has it among
    /// its arguments, so values of variables are not seen there.
    pub(super) is_piped: bool,
    /// How many bytes of texts inside words may still be read. It is limited because one text
    /// may be found in several readings of a line, and their number doubles with each level.
    pub(super) within_bytes: usize,
    /// The memory of all texts that are being read at this moment, one inside the other.
    pub(super) open_bytes: usize,
}

impl Found {
    /// Notes a secret that begins with the first byte of `text`, unless that is a placeholder.
    pub(super) fn add(&mut self, rule: Rule, text: Text<'_>) {
        if !is_placeholder(text.bytes) {
            self.places.push((text.offset(0), rule));
        }
    }

    /// Notes a secret, unless it is a variable that goes through a pipe: that is seen neither in
    /// the script nor among the arguments of a process.
    pub(super) fn add_written(&mut self, rule: Rule, text: Text<'_>) {
        // `%s` stands for an argument of `printf`.
        let is_open = is_expansion(text.bytes) || text.bytes.starts_with(b"%s");
        let is_hidden = self.is_piped && is_open;
        if !text.is_empty() && !is_hidden {
            self.add(rule, text);
        }
    }
}

/// Judges the words of a command, or of any list of arguments.
pub(super) fn command(words: &[Word], found: &mut Found) {
    let mut option: &[u8] = b"";
    // Whether the words that follow are the kernel's command line, which is one argument, but
    // which `ps` shows without its quotes.
    let mut is_kernel_line = false;
    for word in words {
        let text = word.text();
        self::word(text, found);
        let (name, attached) = option_of(text);
        is_kernel_line &= name.is_empty();
        if let Some(value) = attached {
            self::option(name, value, found);
        } else if !option.is_empty() {
            self::option(option, text, found);
        }
        if is_kernel_line {
            kernel::command_line(text, found);
        }
        is_kernel_line |= kernel::is_option(name);
        option = if attached.is_none() { name } else { b"" };
    }
    kernel::loader(words, found);
    super::programs::judge(words, found);
}

/// Judges a word for secrets that are known by their own form, whatever command they belong to.
pub(super) fn word(text: Text<'_>, found: &mut Found) {
    // Each of these forms has a `=` or a `:`; most words have none.
    if !text.bytes.contains(&b'=') && !text.bytes.contains(&b':') {
        return;
    }
    oem_credentials(text, found);
    if let Some(index) = url_password(text) {
        found.add(Rule::UrlPassword, text.rest(index));
    }
    // They may also stand inside a word, as in `--property=SetCredential=…`.
    for (rule, marker) in [
        (Rule::KernelCredential, &b"systemd.set_credential="[..]),
        (Rule::KernelCredential, b"systemd.set_credential_binary="),
        (Rule::SetCredential, b"SetCredential="),
    ] {
        if let Some(index) = find(text.bytes, marker) {
            credential(rule, text.rest(index + marker.len()), found);
        }
    }
    kernel::named(text, found);
    list(text, found);
    if let Some((name, value)) = assignment(text) {
        list(value, found);
        if kernel::is_setting(name) {
            kernel::command_line(value, found);
        }
    }
}

/// Judges a setting of a unit file, other than a command.
pub(super) fn unit_setting(key: &[u8], value: Text<'_>, found: &mut Found) {
    match key {
        b"SetCredential" => credential(Rule::SetCredential, value, found),
        b"Environment" => {
            super::config::split(value, &mut |words| {
                for word in words {
                    if let Some((name, value)) = assignment(word.text()) {
                        environment(name, value, found);
                    }
                    self::word(word.text(), found);
                }
            });
        }
        // mkosi's settings.
        b"Credentials" => mkosi_credentials(value, found),
        b"RootPassword" => root_password(value, found),
        _ => {
            if kernel::is_setting(key) {
                kernel::command_line(value, found);
            }
            word(value, found);
        }
    }
}

/// `NAME=VALUE` and paths, between blanks.
fn mkosi_credentials(text: Text<'_>, found: &mut Found) {
    super::config::split(text, &mut |words| {
        for word in words {
            mkosi_credential(word.text(), found);
        }
    });
}

/// `NAME=VALUE` of mkosi, where systemd has `NAME:VALUE`.
pub(super) fn mkosi_credential(text: Text<'_>, found: &mut Found) {
    if let Some((name, value)) = text.split(b'=')
        && is_secret_credential(name.bytes, value.bytes)
        && !is_hash(value.bytes)
    {
        found.add(Rule::SetCredential, value);
    }
}

/// The password of mkosi's root: in clear unless it says `hashed:`.
pub(super) fn root_password(text: Text<'_>, found: &mut Found) {
    if text.after(b"hashed:").is_none() && !text.is_empty() {
        found.add(Rule::GuestPassword, text);
    }
}

/// Judges a setting of a Proxmox configuration, other than arguments.
pub(super) fn proxmox_setting(key: &[u8], value: Text<'_>, found: &mut Found) {
    // Proxmox keeps a hash, which begins so, where it was set by its own tools.
    let is_hash = value.bytes.starts_with(b"$");
    if key == b"cipassword" && !value.bytes.is_empty() && !is_hash {
        found.add(Rule::GuestPassword, value);
    }
    word(value, found);
}

/// Judges an element of libvirt's XML, with those around it.
pub(super) fn element(around: &[Element], element: &Element, found: &mut Found) {
    let parent = around.last();
    let within = |name: &[u8]| parent.is_some_and(|parent| parent.name == name);
    let text = element.text.text().trimmed();
    match element.name.as_slice() {
        b"entry" if within(b"oemStrings") => oem_string(text, found),
        b"entry" if within(b"sysinfo") => {
            let name = element.attribute(b"name").map_or(&b""[..], Word::bytes);
            let is_item = parent.and_then(|parent| parent.attribute(b"type"));
            if is_item.is_some_and(|kind| kind.bytes() == b"fwcfg")
                && is_secret_item(name, text.bytes)
            {
                found.add(Rule::FwCfgString, text);
            }
        }
        b"value" if within(b"secret") && !text.is_empty() => found.add(Rule::LibvirtSecret, text),
        b"env" => {
            let name = element.attribute(b"name").map_or(&b""[..], Word::bytes);
            if let Some(value) = element.attribute(b"value") {
                environment(name, value.text(), found);
            }
        }
        _ => {}
    }
    if kernel::is_setting(&element.name) {
        kernel::command_line(text, found);
    }
    word(text, found);
    for (name, value) in &element.attributes {
        if matches!(name.as_slice(), b"passwd" | b"password") && !value.bytes().is_empty() {
            let is_display = element.name == b"graphics";
            let rule = if is_display { Rule::DisplayPassword } else { Rule::LibvirtSecret };
            found.add(rule, value.text());
        }
        word(value.text(), found);
    }
}

/// Judges an object of JSON, such as `-object` and `-blockdev` take.
pub(super) fn object(members: &[(Word, Word)], found: &mut Found) {
    let member = |name: &[u8]| {
        let member = members.iter().find(|(key, _)| key.bytes() == name);
        member.map(|(_, value)| value.text()).filter(|value| !value.is_empty())
    };
    for (_, value) in members.iter().filter(|(key, _)| kernel::is_setting(key.bytes())) {
        kernel::command_line(value.text(), found);
    }
    let kind = member(b"qom-type").or_else(|| member(b"qom_type"));
    if let Some(data) = member(b"data")
        && kind.is_some_and(|kind| kind.bytes == b"secret")
        && (member(b"keyid").is_none() || member(b"iv").is_none())
    {
        found.add(Rule::SecretData, data);
    }
    // Of what lies below, too, as in `file.password`.
    let option = |name: &[u8]| {
        let is_it = |(key, _): &&(Word, Word)| {
            key.bytes().rsplit(|byte| *byte == b'.').next() == Some(name)
        };
        let member = members.iter().find(is_it);
        member.map(|(_, value)| value.text()).filter(|value| !value.is_empty())
    };
    let is = |name: &[u8], value: &[u8]| member(name).is_some_and(|other| other.bytes == value);
    if is(b"device", b"vnc")
        && is(b"target", b"password")
        && let Some(password) = member(b"arg")
    {
        found.add(Rule::DisplayPassword, password);
    }
    let Some(password) = option(b"password") else { return };
    if is(b"execute", b"change-vnc-password") {
        return found.add(Rule::DisplayPassword, password);
    }
    // A drive's options, and what monitor and guest agent are told to set.
    for (companion, rule) in [
        (&b"driver"[..], Rule::DrivePassword),
        (b"protocol", Rule::DisplayPassword),
        (b"username", Rule::GuestPassword),
    ] {
        if option(companion).is_some() {
            return found.add(rule, password);
        }
    }
}

/// Judges a word that QEMU reads as a list of properties.
fn list(text: Text<'_>, found: &mut Found) {
    const KEYS: [&[u8]; 7] = [b"type", b"qom-type", b"data", b"keyid", b"iv", b"name", b"string"];
    rbd_key(text, found);
    // Whatever else gives something away is the value of a property.
    if !text.bytes.contains(&b'=') {
        return;
    }
    let mut values = [None; KEYS.len()];
    let mut has_entries = false;
    for Property { key, value } in properties(text) {
        if let Some((_, first)) = KEYS.iter().zip(&mut values).find(|(name, _)| **name == key.bytes)
        {
            first.get_or_insert(value);
        } else if key.bytes.starts_with(b"oemStrings.entry") {
            oem_string(value, found);
        }
        has_entries |= key.bytes.starts_with(b"entry");
    }
    let [kind, qom_type, data, keyid, iv, name, string] =
        values.map(|value: Option<Text<'_>>| value.filter(|value| !value.is_empty()));
    if kind.is_some_and(|kind| kind.bytes == b"11") {
        for property in properties(text).filter(|property| property.key.bytes == b"value") {
            oem_string(property.value, found);
        }
    }
    if has_entries {
        entries(text, found);
    }
    let Some(first) = properties(text).next() else { return };
    let is_secret = first.key.bytes == b"secret" && first.value.is_empty()
        || qom_type.is_some_and(|kind| kind.bytes == b"secret");
    if let Some(data) = data.filter(|_| is_secret && (keyid.is_none() || iv.is_none())) {
        found.add(Rule::SecretData, data);
    }
    let name = name.unwrap_or(first.key);
    if name.bytes.starts_with(b"opt/") || name.bytes.starts_with(b"etc/") {
        item(name, string, found);
    }
}

/// Judges the entries of virt-install's `--sysinfo type=fwcfg,entry0.name=NAME,entry0=VALUE`.
fn entries(text: Text<'_>, found: &mut Found) {
    let names = || {
        properties(text).filter_map(|property| {
            let entry = property.key.bytes.strip_suffix(b".name")?;
            entry.starts_with(b"entry").then_some((entry, property.value))
        })
    };
    // A map, as a list may have very many entries, and a search for each would be quadratic.
    let mut values: BTreeMap<&[u8], Option<Text<'_>>> = BTreeMap::new();
    for (entry, _) in names() {
        values.insert(entry, None);
    }
    if values.is_empty() {
        return;
    }
    for property in properties(text) {
        if let Some(value) = values.get_mut(property.key.bytes) {
            value.get_or_insert(property.value);
        }
    }
    for (entry, name) in names() {
        let value = values.get(entry).copied().flatten();
        item(name, value.filter(|value| !value.is_empty()), found);
    }
}

/// Judges the value of an option that must be known to tell what the value means.
fn option(name: &[u8], value: Text<'_>, found: &mut Found) {
    match name {
        b"spice" | b"vnc" | b"graphics" | b"display" => {
            passwords(Rule::DisplayPassword, value, found);
        }
        b"drive" | b"blockdev" | b"iscsi" | b"hda" | b"hdb" | b"hdc" | b"hdd" | b"cdrom"
        | b"disk" | b"image-opts" => passwords(Rule::DrivePassword, value, found),
        b"key" => key_of_disk(value, found),
        b"boot" => kernel::boot(value, found),
        _ if kernel::is_option(name) => kernel::command_line(value, found),
        b"set-credential" => credential(Rule::SetCredential, value, found),
        b"fw_cfg" => {
            let list = || properties(value);
            let named = list().find(|property| property.key.bytes == b"name");
            let name =
                named.map(|name| name.value).or_else(|| list().next().map(|first| first.key));
            let string = list().find(|property| property.key.bytes == b"string");
            if let Some(name) = name {
                item(name, string.map(|string| string.value), found);
            }
        }
        b"smbios" => {
            // A type that is not written out may be 11.
            let of_any_type = properties(value).find(|property| property.key.bytes == b"type");
            if of_any_type.is_some_and(|property| is_expansion(property.value.bytes)) {
                let strings = properties(value).filter(|property| property.key.bytes == b"value");
                strings.for_each(|property| oem_string(property.value, found));
            }
        }
        _ => {}
    }
}

/// The name of an option without its hyphens, and the value where it follows an
/// equals sign at once. No name where the word is no option.
pub(super) fn option_of(text: Text<'_>) -> (&[u8], Option<Text<'_>>) {
    let Some(name) = text.after(b"--").or_else(|| text.after(b"-")) else { return (b"", None) };
    match name.split(b'=') {
        Some((name, value)) => (name.bytes, Some(value)),
        None => (name.bytes, None),
    }
}

/// `ID:key:PASSPHRASE`, as guestfish, guestmount and virt-cat take it.
fn key_of_disk(text: Text<'_>, found: &mut Found) {
    const SELECTOR: &[u8] = b":key:";
    let passphrase = find(text.bytes, SELECTOR).map(|index| text.rest(index + SELECTOR.len()));
    if let Some(passphrase) = passphrase.filter(|passphrase| !passphrase.is_empty()) {
        found.add(Rule::DiskPassphrase, passphrase);
    }
}

fn passwords(rule: Rule, text: Text<'_>, found: &mut Found) {
    let is_password = |property: &Property<'_>| {
        let key = property.key.bytes;
        let key = key.rsplit(|byte| *byte == b'.').next().unwrap_or(key);
        matches!(key, b"password" | b"passwd") && is_secret_value(property.value.bytes)
    };
    if let Some(property) = properties(text).find(is_password) {
        found.add(rule, property.value);
    }
}

/// Judges `NAME:VALUE`.
fn credential(rule: Rule, text: Text<'_>, found: &mut Found) {
    if let Some((name, value)) = text.split(b':') {
        let value = value.trimmed();
        if is_secret_credential(name.bytes, value.bytes) {
            found.add(rule, value);
        }
    } else if is_expansion(text.bytes) {
        found.add(rule, text);
    }
}

/// Judges an OEM string: systemd's credentials by name, any other by its look.
fn oem_string(text: Text<'_>, found: &mut Found) {
    let is_credential = text.bytes.starts_with(b"io.systemd.credential");
    if !is_credential && is_secret_string(text.bytes) {
        found.add(Rule::SmbiosValue, text);
    }
}

/// Whether it is a credential's whole OEM string whose value is yet to be filled
/// in, as a script writes it into a file for `type=11,path=FILE`.
pub(super) fn is_oem_template(text: Text<'_>) -> bool {
    let is_credential = text.bytes.starts_with(b"io.systemd.credential");
    let value = text.split(b'=').filter(|_| is_credential).map(|(_, value)| value.bytes);
    value.is_some_and(|value| matches!(value.first(), Some(b'$' | b'%')))
}

/// Judges each `io.systemd.credential:NAME=VALUE` of a text.
fn oem_credentials(text: Text<'_>, found: &mut Found) {
    const PREFIX: &[u8] = b"io.systemd.credential";
    let mut from = 0;
    while let Some(index) = text.bytes.get(from..).and_then(|rest| find(rest, PREFIX)) {
        let begin = from + index;
        from = begin + PREFIX.len();
        let rest = text.rest(from);
        let Some(rest) = rest.after(b".binary:").or_else(|| rest.after(b":")) else { continue };
        let name_and_more = rest.part(0, rest.bytes.len().min(CREDENTIAL_NAME_MAX_BYTES + 1));
        if let Some(length) = name_and_more.find(b'=') {
            // In a list of properties the value may be empty.
            let value = rest.rest(length + 1);
            let is_empty = matches!(value.bytes.first(), None | Some(b',' | b']'));
            if !is_empty && is_secret_credential(rest.part(0, length).bytes, value.bytes) {
                found.add(Rule::SmbiosValue, text.rest(begin));
            }
        } else if is_expansion(name_and_more.bytes) {
            found.add(Rule::SmbiosValue, text.rest(begin));
        }
    }
}

fn item(name: Text<'_>, string: Option<Text<'_>>, found: &mut Found) {
    if let Some(string) = string.filter(|string| is_secret_item(name.bytes, string.bytes)) {
        found.add(Rule::FwCfgString, string);
    }
}

/// `rbd:POOL/IMAGE:id=USER:key=KEY:…`
fn rbd_key(text: Text<'_>, found: &mut Found) {
    const KEY: &[u8] = b":key=";
    let Some(rbd) = find(text.bytes, b"rbd:").map(|index| text.rest(index)) else { return };
    let key = find(rbd.bytes, KEY).map(|index| rbd.rest(index + KEY.len()));
    let is_key = |key: &Text<'_>| key.bytes.first().is_some_and(|byte| !b":,".contains(byte));
    if let Some(key) = key.filter(is_key) {
        found.add(Rule::DrivePassword, key);
    }
}

fn environment(name: &[u8], value: Text<'_>, found: &mut Found) {
    if is_secret_name(name) && is_secret_value(value.bytes) {
        found.add(Rule::Environment, value);
    }
}
