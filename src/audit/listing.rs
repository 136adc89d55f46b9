//! Reads what processes left behind: the log files of libvirt, QEMU and the system,
//! listings of `ps`, and the journal as `journalctl -o export` writes it.

use super::config::logical_lines;
use super::json;
use super::word::{Text, Word, Words, find, first_word, lines, words};

/// Begins the journal's export format.
const CURSOR: &[u8] = b"__CURSOR=";

/// What the lexers find.
#[derive(Clone, Copy)]
pub(super) enum Event<'a> {
    /// Words between blanks, as `ps` shows them: quotes and the like are gone.
    Command(&'a [Word]),
    /// What may be a command with quotes.
    Script(Text<'a>),
    /// JSON.
    Document(Text<'a>),
}

pub(super) fn is_journal(bytes: &[u8]) -> bool {
    bytes.starts_with(CURSOR)
}

/// Whether a listing of processes begins with this line: with the header of `ps`, with a
/// process as `pgrep -a` shows it, or with a unit as `systemctl status` does.
pub(super) fn is_processes(first: &[u8]) -> bool {
    let mut fields = first.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let is_last = |word: Option<&[u8]>| matches!(word, Some(b"CMD" | b"COMMAND" | b"ARGS"));
    let has_header =
        fields.clone().any(|word| word == b"PID") && is_last(fields.clone().next_back());
    let is_process = fields.next().is_some_and(|word| word.iter().all(u8::is_ascii_digit))
        && fields.next().is_some_and(|word| word.contains(&b'/') || word.starts_with(b"qemu"));
    let is_unit = first.starts_with("●".as_bytes()) || first.starts_with("○".as_bytes());
    has_header || is_process || is_unit
}

/// Whether a log begins with this line: with a time as libvirt, QEMU, syslog or
/// `journalctl` writes it, or with the journal's first line.
pub(super) fn is_log(first: &[u8]) -> bool {
    const MONTHS: [&[u8]; 12] = [
        b"Jan ", b"Feb ", b"Mar ", b"Apr ", b"May ", b"Jun ", b"Jul ", b"Aug ", b"Sep ", b"Oct ",
        b"Nov ", b"Dec ",
    ];
    let shape: Vec<u8> = first
        .iter()
        .take(13)
        .map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte })
        .collect();
    // QEMU's traces begin `PID@SECONDS.`.
    let is_trace = first.split(|byte| *byte == b'@').next().is_some_and(|pid| {
        !pid.is_empty() && pid.len() < first.len() && pid.iter().all(u8::is_ascii_digit)
    });
    shape.starts_with(b"0000-00-00 00")
        || shape.starts_with(b"0000-00-00T00")
        || MONTHS.iter().any(|month| first.starts_with(month))
        || first.starts_with(b"-- ")
        || is_trace
}

/// Reads a log. libvirt writes a command that it has started over several lines.
pub(super) fn log(text: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    logical_lines(text, &mut |line| log_line(line, emit));
}

/// Reads one line of a log. It is read as a script only if its quotes are paired: an apostrophe,
/// as in `can't`, is no quote.
fn log_line(line: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    let object = find(line.bytes, b"{").map(|begin| {
        let end = line.bytes.iter().rposition(|byte| *byte == b'}').map_or(begin, |end| end + 1);
        line.part(begin, end)
    });
    if let Some(object) = object.filter(|object| json::is_json(object.bytes)) {
        emit(Event::Document(object));
    }
    // A quote that stands an even number of times splits the line into an odd number of parts.
    let is_paired = |quote: u8| line.bytes.split(|byte| *byte == quote).count() % 2 == 1;
    let has_quotes = line.bytes.iter().any(|byte| matches!(byte, b'\'' | b'"'));
    if has_quotes && is_paired(b'\'') && is_paired(b'"') && find(line.bytes, b" #").is_none() {
        emit(Event::Script(line));
    } else {
        process(line, emit);
    }
}

/// Reads a listing of processes.
pub(super) fn processes(text: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    lines(text).for_each(|line| process(line.text, emit));
}

/// A process with its arguments between blanks.
fn process(line: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    let mut command = Words::default();
    let mut rest = line;
    while let Some((word, after)) = first_word(rest) {
        let is_header = matches!(word.bytes, b"-H" | b"--header");
        command.push(word.to_word(), |words| emit(Event::Command(words)));
        rest = after;
        if is_header {
            // The header was one quoted argument: it ends before the next option or the URL.
            let is_next = |word: &Text<'_>| {
                word.bytes.starts_with(b"-") || find(word.bytes, b"://").is_some()
            };
            let value = words(rest).take_while(|word| !is_next(word));
            let count = value.count();
            let mut end = rest;
            for _ in 0..count {
                end = first_word(end).map_or(end, |(_, after)| after);
            }
            let length = rest.bytes.len() - end.bytes.len();
            command.push(rest.part(0, length).trimmed().to_word(), |words| {
                emit(Event::Command(words));
            });
            rest = end;
        }
    }
    emit(Event::Command(command.as_slice()));
}

/// Reads entries of `NAME=VALUE` lines; a value of several lines follows its name
/// alone, after its length in 8 bytes.
pub(super) fn journal(text: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    let mut at = 0;
    while at < text.bytes.len() {
        let rest = text.rest(at);
        let length = rest.find(b'\n').unwrap_or(rest.bytes.len());
        let line = rest.part(0, length);
        at += length + 1;
        let (name, value) = if let Some((name, value)) = line.split(b'=') {
            (name, value)
        } else if line.is_empty() {
            continue;
        } else {
            let Some(size) = text.bytes.get(at..at + 8).and_then(|size| size.try_into().ok())
            else {
                return;
            };
            let begin = at + 8;
            let size = usize::try_from(u64::from_le_bytes(size)).unwrap_or(usize::MAX);
            let end = begin.saturating_add(size).min(text.bytes.len());
            at = end + 1;
            (line, text.part(begin, end))
        };
        match name.bytes {
            b"_CMDLINE" | b"COREDUMP_CMDLINE" => field(value, emit),
            b"MESSAGE" => log(value, emit),
            _ => {}
        }
    }
}

/// The command line of a process: newer journals have it in quotes.
fn field(value: Text<'_>, emit: &mut dyn FnMut(Event<'_>)) {
    if value.bytes.iter().any(|byte| b"'\"\\".contains(byte)) {
        log_line(value, emit);
    }
    process(value, emit);
}
