//! Finds secrets that stand inline in scripts, configurations of every kind that
//! `kind` tells apart, logs and command lines of processes.
//!
//! One lexer a kind of file gives words, settings or elements, each knowing where
//! it stood; `judge` looks at these. Nothing is expanded or run, and no text of
//! the file leaves this module: a finding is a place and a rule.

mod cloud;
mod config;
mod containers;
mod ignore;
mod installer;
mod json;
mod judge;
mod kernel;
mod kind;
mod listing;
mod programs;
mod python;
mod rules;
mod secrecy;
mod shell;
mod talk;
mod word;
mod xml;
mod yaml;

use judge::Found;
use kind::Kind;
pub use rules::Rule;
use word::{Text, Word};

/// Largest file that is looked at, in bytes.
pub const FILE_MAX_BYTES: u64 = 16 << 20;

/// Texts within one another that are looked into: a script within a unit's
/// `sh -c`, XML within a here-document.
const DEPTH_MAX: usize = 8;

/// What is read in all of texts within one another, in bytes. A small file may have twice
/// its size read at each depth.
const WITHIN_MAX_BYTES: usize = 64 << 20;

/// Memory of texts within one another, in bytes.
const OPEN_MAX_BYTES: usize = 48 << 20;

/// One inline secret. It holds nothing of the file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Counted from 1. In a text with NUL bytes, such as /proc/PID/cmdline, each
    /// NUL ends a line, so that arguments count like lines.
    pub line: usize,
    /// Counted from 1, in characters; where the secret begins.
    pub column: usize,
    /// What it is.
    pub rule: Rule,
}

/// What is to be said about a text.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Every inline secret, in the order in which they stand.
    pub findings: Vec<Finding>,
    /// How many others are not told of, as a comment in the text says so.
    pub ignored: usize,
    /// Lines of such comments that name a rule which does not exist.
    pub unknown_rules: Vec<usize>,
}

/// Judges a text of any bytes, of which the content tells the kind. Comments that let a finding
/// stand count in files that people write, not in logs and in arguments of processes.
pub fn audit(text: &[u8]) -> Judgement {
    let kind = Kind::of(text);
    let within_bytes = text.len().saturating_mul(2 * DEPTH_MAX).min(WITHIN_MAX_BYTES);
    let mut found = Found { within_bytes, ..Found::default() };
    judge(kind, Text::file(text), 0, &mut found);
    let mut found = found.places;
    found.sort_unstable();
    found.dedup();
    let findings = place(text, kind == Kind::Arguments, &found);
    if kind.has_comments() {
        ignore::apply(text, findings)
    } else {
        Judgement { findings, ..Judgement::default() }
    }
}

/// Whether a file may be of a kind that is looked at: text, or the arguments of a
/// process, which hold no control characters but the NUL that ends each.
pub fn is_text(begin: &[u8]) -> bool {
    let is_control = |byte: &u8| *byte < b' ' && !b"\0\t\n\r\x0c\x1b".contains(byte);
    !begin.contains(&0) || !begin.iter().any(is_control)
}

/// Judges a text that stands in another one at `depth`.
fn document(text: Text<'_>, depth: usize, found: &mut Found) {
    let (length, size) = (text.bytes.len(), text.size());
    let is_affordable =
        length <= found.within_bytes && found.open_bytes.saturating_add(size) <= OPEN_MAX_BYTES;
    if depth <= DEPTH_MAX && is_affordable {
        found.within_bytes -= length;
        found.open_bytes += size;
        judge(Kind::of(text.bytes), text, depth, found);
        found.open_bytes -= size;
    }
}

/// Judges a text of a kind.
fn judge(kind: Kind, text: Text<'_>, depth: usize, found: &mut Found) {
    match kind {
        Kind::Arguments => arguments(text, depth, found),
        Kind::Json => json::lex(text, &mut |event| match event {
            json::Event::Array(words) => command(words, depth, found),
            json::Event::Object { members, own } => {
                judge::object(members, found);
                for (_, value) in members.iter().take(own) {
                    command(std::slice::from_ref(value), depth, found);
                }
            }
        }),
        Kind::Xml => domain(text, depth, found),
        Kind::Unit => unit(text, depth, found),
        Kind::Proxmox => config::proxmox(text, &mut |key, value| {
            if key == b"args" {
                config::split(value, &mut |words| command(words, depth, found));
            } else {
                judge::proxmox_setting(key, value, found);
            }
        }),
        Kind::Kickstart => installer::kickstart_file(text, &mut |event| {
            answers(event, depth, found);
        }),
        Kind::Preseed => installer::preseed_file(text, &mut |event| answers(event, depth, found)),
        Kind::CloudConfig => yaml(text, true, depth, found),
        Kind::Yaml => yaml(text, false, depth, found),
        Kind::Python => python::lex(text, &mut |words| command(words, depth, found)),
        Kind::Log => listing::log(text, &mut |event| listed(event, depth, found)),
        Kind::Processes => listing::processes(text, &mut |event| listed(event, depth, found)),
        Kind::Journal => listing::journal(text, &mut |event| listed(event, depth, found)),
        Kind::Shell => script(text, depth, found),
    }
}

/// Judges a unit file.
fn unit(text: Text<'_>, depth: usize, found: &mut Found) {
    config::unit(text, &mut |key, value| {
        if key.starts_with(b"Exec") {
            config::split(value, &mut |words| command(words, depth, found));
        } else {
            judge::unit_setting(key, value, found);
        }
        if key == b"Environment" {
            // A variable may hold the arguments of a command.
            config::split(value, &mut |words| within(words, depth, found));
        }
    });
}

/// Judges a shell script.
fn script(text: Text<'_>, depth: usize, found: &mut Found) {
    shell::lex(text, &mut |event| match event {
        // A line that a script writes into a file, and no command.
        shell::Event::Command([word, ..]) if judge::is_oem_template(word.text()) => {}
        shell::Event::Command(words) => command(words, depth, found),
        shell::Event::Piped(words) => {
            let was_piped = std::mem::replace(&mut found.is_piped, true);
            command(words, depth, found);
            found.is_piped = was_piped;
        }
        shell::Event::Written(words) => {
            let parts = words.split(|word| judge::is_oem_template(word.text()));
            parts.for_each(|words| command(words, depth, found));
        }
        shell::Event::Document(text) => document(text, depth + 1, found),
    });
}

/// Judges YAML, which may be a cloud-config.
fn yaml(text: Text<'_>, is_cloud_config: bool, depth: usize, found: &mut Found) {
    yaml::lex(text, &mut |path, event| match event {
        yaml::Event::Sequence(words) => {
            cloud::sequence(path, words, found);
            command(words, depth, found);
        }
        yaml::Event::Mapping(members) => {
            cloud::mapping(path, members, is_cloud_config, found);
            for (_, value) in members {
                command(std::slice::from_ref(value), depth, found);
            }
        }
    });
}

/// Judges what logs and listings hold.
fn listed(event: listing::Event<'_>, depth: usize, found: &mut Found) {
    match event {
        listing::Event::Command(words) => command(words, depth, found),
        // A line of a log that has quotes is read as a script, whatever it looks like.
        listing::Event::Script(text) if depth < DEPTH_MAX => script(text, depth + 1, found),
        listing::Event::Script(_) => {}
        listing::Event::Document(text) => document(text, depth + 1, found),
    }
}

/// Judges the answers for an installer.
fn answers(event: installer::Event<'_>, depth: usize, found: &mut Found) {
    match event {
        installer::Event::Command(words) => {
            installer::kickstart_line(words, found);
            command(words, depth, found);
        }
        installer::Event::Document(text) => document(text, depth + 1, found),
        installer::Event::Answer(question, value) => {
            installer::answer(question, value, found);
            if question.ends_with(b"kernel-opts") {
                kernel::command_line(value, found);
            }
            document(value, depth + 1, found);
        }
    }
}

/// Judges a command, and what stands in its words: scripts, arguments, JSON, XML.
fn command(words: &[Word], depth: usize, found: &mut Found) {
    judge::command(words, found);
    within(words, depth, found);
}

/// Judges what stands in words.
fn within(words: &[Word], depth: usize, found: &mut Found) {
    for word in words {
        let text = word.text();
        let text = secrecy::assignment(text).map_or(text, |(_, value)| value);
        // In place of a file's name QEMU takes the description of a block device.
        let text = text.after(b"json:").unwrap_or(text);
        let has_blanks = text.bytes.iter().any(u8::is_ascii_whitespace);
        let is_compound = matches!(text.bytes.first(), Some(b'{' | b'[' | b'<'));
        if has_blanks || is_compound && Kind::of(text.bytes).is_bracketed() {
            document(text, depth + 1, found);
        }
    }
}

/// Judges the NUL-separated arguments of a process.
fn arguments(text: Text<'_>, depth: usize, found: &mut Found) {
    let mut words = word::Words::default();
    let mut begin = 0;
    for argument in text.bytes.split(|byte| *byte == 0) {
        let word = text.part(begin, begin + argument.len()).to_word();
        words.push(word, |words| command(words, depth, found));
        begin += argument.len() + 1;
    }
    command(words.as_slice(), depth, found);
}

/// Judges libvirt's XML: each element, and the emulator's arguments as a command.
fn domain(text: Text<'_>, depth: usize, found: &mut Found) {
    let mut arguments = word::Words::default();
    xml::lex(text, &mut |around, element| {
        judge::element(around, element, found);
        match element.name.as_slice() {
            b"arg" => {
                if let Some(value) = element.attribute(b"value") {
                    arguments.push(value.clone(), |words| command(words, depth, found));
                }
            }
            // The kernel's command line, or an argument that another element carries.
            b"cmdline" => document(element.text.text(), depth + 1, found),
            _ => {}
        }
    });
    command(arguments.as_slice(), depth, found);
}

/// Turns offsets, in ascending order, into lines and columns; a NUL byte may end a line.
fn place(text: &[u8], has_nul: bool, found: &[(usize, Rule)]) -> Vec<Finding> {
    let (mut line, mut column, mut at) = (1, 1, 0);
    let mut findings = Vec::with_capacity(found.len());
    for (offset, rule) in found {
        for byte in text.get(at..*offset).unwrap_or_default() {
            if *byte == b'\n' || has_nul && *byte == 0 {
                (line, column) = (line + 1, 1);
            } else if *byte & 0xc0 != 0x80 {
                // The later bytes of a character in UTF-8 do not count.
                column += 1;
            }
        }
        at = *offset;
        findings.push(Finding { line, column, rule: *rule });
    }
    findings
}
