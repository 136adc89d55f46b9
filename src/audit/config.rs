//! Splits systemd unit files and Proxmox configurations into settings, and a
//! command within a setting into words.

use super::word::{Text, Word, Words, lines};

/// Settings of mkosi that may be lists over several lines.
const LISTS: [&[u8]; 4] =
    [b"Credentials", b"Environment", b"KernelCommandLine", b"KernelCommandLineExtra"];

/// Calls `emit` with key and value of every `Key=Value` of a unit file, or of
/// mkosi's, where an indented line goes on with the value above it.
pub(super) fn unit(text: Text<'_>, emit: &mut dyn FnMut(&[u8], Text<'_>)) {
    let mut above: &[u8] = b"";
    logical_lines(text, &mut |line| {
        let key = line.split(b'=').map(|(key, _)| key.trimmed().bytes);
        if line.bytes.first().is_some_and(u8::is_ascii_whitespace) && !above.is_empty() {
            emit(above, line.trimmed());
        } else {
            let lists = LISTS.iter().find(|list| key == Some(**list));
            above = lists.copied().unwrap_or_default();
        }
        setting(line, b'=', emit);
    });
}

/// Calls `emit` with every line that is no comment. A line that ends with a backslash
/// goes on in the next one, comments between them left out (systemd.syntax(7)).
pub(super) fn logical_lines(text: Text<'_>, emit: &mut dyn FnMut(Text<'_>)) {
    let mut logical = Word::default();
    for line in lines(text).map(|line| line.text) {
        if matches!(line.trimmed().bytes.first(), Some(b'#' | b';')) {
            continue;
        }
        let (line, goes_on) = match line.bytes.strip_suffix(b"\\") {
            Some(rest) => (line.part(0, rest.len()), true),
            None => (line, false),
        };
        for (index, byte) in line.bytes.iter().enumerate() {
            logical.push(*byte, line.offset(index));
        }
        if goes_on {
            logical.push(b' ', line.offset(line.bytes.len()));
            continue;
        }
        emit(logical.text());
        logical = Word::default();
    }
    emit(logical.text());
}

/// Calls `emit` with key and value of every `key: value` of a Proxmox virtual
/// machine's configuration.
pub(super) fn proxmox(text: Text<'_>, emit: &mut dyn FnMut(&[u8], Text<'_>)) {
    for line in lines(text).map(|line| line.text) {
        if line.bytes.first() != Some(&b'#') {
            setting(line, b':', emit);
        }
    }
}

fn setting(line: Text<'_>, separator: u8, emit: &mut dyn FnMut(&[u8], Text<'_>)) {
    if let Some((key, value)) = line.split(separator) {
        emit(key.trimmed().bytes, value.trimmed());
    }
}

/// Gives `judge` the words of a command line without a shell: blanks separate, quotes join, a
/// backslash takes the next byte as it is (systemd.service(5), "Command lines";
/// Proxmox splits `args` in much the same way).
pub(super) fn split(text: Text<'_>, judge: &mut dyn FnMut(&[Word])) {
    let mut words = Words::default();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut at = 0;
    while let Some(byte) = text.bytes.get(at).copied() {
        let offset = text.offset(at);
        let mut add = |byte: u8, offset: usize| {
            word.get_or_insert_with(|| Word::at(offset)).push(byte, offset);
        };
        match (quote, byte) {
            (_, b'\\') => {
                at += 1;
                if let Some(next) = text.bytes.get(at) {
                    add(*next, text.offset(at));
                }
            }
            (Some(open), _) if byte == open => quote = None,
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.get_or_insert_with(|| Word::at(offset + 1));
            }
            (None, _) if byte.is_ascii_whitespace() => {
                if let Some(word) = word.take() {
                    words.push(word, &mut *judge);
                }
            }
            _ => add(byte, offset),
        }
        at += 1;
    }
    if let Some(word) = word {
        words.push(word, &mut *judge);
    }
    judge(words.as_slice());
}
