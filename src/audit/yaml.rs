//! Finds the scalars of a YAML text, with their places and the keys around them. It
//! follows well-formed documents, and goes on in others as well as it can; anchors
//! and tags are passed over, aliases not followed.

use super::word::{Line, Text, Word, Words, lines};

/// Collections within one another that are told apart.
const DEPTH_MAX: usize = 64;

/// Members of one mapping that are judged together.
const MEMBERS_MAX: usize = 4096;

/// Longest key that begins in its line (YAML 1.2, 7.4.2): what is longer is a value.
const KEY_MAX_BYTES: usize = 1024;

/// What the lexer finds.
pub(super) enum Event<'a> {
    /// The scalars of a sequence.
    Sequence(&'a [Word]),
    /// The members of a mapping whose values are scalars: key and value.
    Mapping(&'a [(Word, Word)]),
}

/// Calls `emit` for every sequence and mapping, where it ends, with the keys around it.
pub(super) fn lex(text: Text<'_>, emit: &mut dyn FnMut(&[&[u8]], Event<'_>)) {
    let mut lexer = Lexer { text, at: 0, open: Vec::new(), emit };
    while lexer.at < text.bytes.len() {
        lexer.line();
    }
    lexer.close(|_| true);
}

struct Lexer<'a, 'e> {
    text: Text<'a>,
    at: usize,
    open: Vec<Level>,
    emit: &'e mut dyn FnMut(&[&[u8]], Event<'_>),
}

/// A collection that is open.
struct Level {
    /// Where it begins in its lines; nothing is below a collection in braces.
    column: usize,
    content: Content,
}

enum Content {
    Sequence(Words),
    Mapping { key: Word, members: Vec<(Word, Word)> },
}

impl Level {
    fn is_sequence(&self) -> bool {
        match self.content {
            Content::Sequence(_) => true,
            Content::Mapping { .. } => false,
        }
    }

    /// The key of a mapping whose value is being read.
    fn key(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Mapping { key, .. } => Some(key.bytes()),
            Content::Sequence(_) => None,
        }
    }
}

impl Content {
    fn mapping() -> Self {
        Self::Mapping { key: Word::default(), members: Vec::new() }
    }
}

impl Lexer<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.bytes.get(self.at).copied()
    }

    /// Ends collections, the innermost first, while they are to end.
    fn close(&mut self, is_over: impl Fn(&Level) -> bool) {
        while let Some(level) = self.open.pop_if(|level| is_over(level)) {
            let path: Vec<&[u8]> = self.open.iter().filter_map(Level::key).collect();
            match &level.content {
                Content::Sequence(words) => (self.emit)(&path, Event::Sequence(words.as_slice())),
                Content::Mapping { members, .. } => (self.emit)(&path, Event::Mapping(members)),
            }
        }
    }

    fn begin(&mut self, column: usize, content: Content) {
        // What is deeper counts for the innermost one that is told apart.
        if self.open.len() < DEPTH_MAX {
            self.open.push(Level { column, content });
        }
    }

    /// One line, and those that its last value takes up.
    fn line(&mut self) {
        let rest = self.text.rest(self.at);
        let Some(line) = lines(rest).next() else { return };
        let blanks = line.text.bytes.len() - line.text.bytes.trim_ascii_start().len();
        let content = line.text.bytes.trim_ascii();
        if content.is_empty() || content.starts_with(b"#") || content.starts_with(b"%") {
            self.at += line.next;
            return;
        }
        if blanks == 0 && (content == b"---" || content == b"...") {
            self.close(|_| true);
            self.at += line.next;
            return;
        }
        let (begin, end) = (self.at, self.at + line.text.bytes.len());
        self.at += blanks;
        let mut column = blanks;
        while self.peek() == Some(b'-') && self.is_blank(self.at + 1) {
            self.item(column);
            self.at += 1;
            while self.at < end && self.is_blank(self.at) {
                self.at += 1;
            }
            column = self.at - begin;
        }
        if let Some(key_end) = self.key_end(end) {
            self.key(column, key_end);
            self.at = key_end + 1;
        }
        self.value(end);
    }

    /// Whether white space or the end stands there.
    fn is_blank(&self, at: usize) -> bool {
        self.text.bytes.get(at).is_none_or(u8::is_ascii_whitespace)
    }

    /// A hyphen at the column: the next item of a sequence.
    fn item(&mut self, column: usize) {
        self.close(|level| level.column > column);
        let is_open =
            self.open.last().is_some_and(|level| level.column == column && level.is_sequence());
        if !is_open {
            self.begin(column, Content::Sequence(Words::default()));
        }
    }

    /// The colon that ends the key at this place of the line, if there is one.
    fn key_end(&self, end: usize) -> Option<usize> {
        let end = end.min(self.at + KEY_MAX_BYTES);
        let mut at = self.at;
        if let Some(quote @ (b'"' | b'\'')) = self.peek() {
            at += 1 + self.text.bytes.get(at + 1..end)?.iter().position(|byte| *byte == quote)?;
            at += 1;
            return (self.text.bytes.get(at) == Some(&b':') && self.is_blank(at + 1)).then_some(at);
        }
        if matches!(self.peek(), Some(b'{' | b'[' | b'|' | b'>')) {
            return None;
        }
        while at < end {
            let byte = self.text.bytes.get(at)?;
            if *byte == b':' && self.is_blank(at + 1) {
                return Some(at);
            }
            if *byte == b'#' && at > self.at && self.is_blank(at - 1) {
                return None;
            }
            at += 1;
        }
        None
    }

    /// A key at the column, up to its colon.
    fn key(&mut self, column: usize, key_end: usize) {
        self.close(|level| {
            let is_sequence = level.is_sequence();
            level.column > column || level.column == column && is_sequence
        });
        if self.open.last().is_none_or(|level| level.column < column) {
            self.begin(column, Content::mapping());
        }
        self.set_key(self.text.part(self.at, key_end).trimmed());
    }

    fn set_key(&mut self, text: Text<'_>) {
        let quotes: &[u8] = b"\"'";
        let is_quoted =
            text.bytes.len() > 1 && text.bytes.first().is_some_and(|b| quotes.contains(b));
        let name = if is_quoted { text.part(1, text.bytes.len() - 1) } else { text };
        if let Some(Level { content: Content::Mapping { key, .. }, .. }) = self.open.last_mut() {
            *key = name.to_word();
        }
    }

    /// What stands behind a key or a hyphen, or alone, in a line that ends at `end`.
    fn value(&mut self, end: usize) {
        loop {
            while self.at < end && self.is_blank(self.at) {
                self.at += 1;
            }
            // An anchor or a tag stands before the value.
            if !matches!(self.peek(), Some(b'&' | b'!')) || self.at >= end {
                break;
            }
            while self.at < end && !self.is_blank(self.at) {
                self.at += 1;
            }
        }
        let parent = self.open.last().map_or(0, |level| level.column);
        match self.peek().filter(|_| self.at < end) {
            None | Some(b'#') => self.at = end + 1,
            Some(style @ (b'|' | b'>')) => {
                self.at = end + 1;
                let word = self.block(parent, if style == b'|' { b'\n' } else { b' ' });
                self.add(word);
            }
            Some(b'"' | b'\'') => {
                let word = self.quoted();
                self.add(word);
                self.skip_line();
            }
            Some(b'{' | b'[') => {
                self.flow();
                self.skip_line();
            }
            Some(_) => {
                let word = self.plain(end, parent);
                self.add(word);
            }
        }
    }

    fn skip_line(&mut self) {
        let rest = self.text.rest(self.at);
        self.at += rest.find(b'\n').map_or(rest.bytes.len(), |length| length + 1);
    }

    /// Adds a scalar to the innermost collection. Very many are judged in parts, as if
    /// there were no keys around them.
    fn add(&mut self, word: Word) {
        let emit = &mut self.emit;
        match self.open.last_mut().map(|level| &mut level.content) {
            Some(Content::Sequence(words)) => {
                words.push(word, |words| emit(&[], Event::Sequence(words)));
            }
            Some(Content::Mapping { key, members }) => {
                // A key has one value. What follows without one has none.
                members.push((std::mem::take(key), word));
                if members.len() >= MEMBERS_MAX {
                    emit(&[], Event::Mapping(members));
                    members.clear();
                }
            }
            None => emit(&[], Event::Sequence(&[word])),
        }
    }

    /// The lines that follow and are deeper than `parent`, without their common indent,
    /// each with this end.
    fn block(&mut self, parent: usize, end: u8) -> Word {
        let mut word = Word::at(self.text.offset(self.at));
        let mut indent = None;
        for line in lines(self.text.rest(self.at)) {
            let bytes = line.text.bytes;
            let blanks = bytes.iter().take_while(|byte| **byte == b' ').count();
            let is_empty = blanks == bytes.len();
            // A document's whole text may be a block.
            if !is_empty && blanks <= parent && !(self.open.is_empty() && blanks == 0) {
                self.at += line.begin;
                return word;
            }
            let indent = if is_empty { blanks } else { *indent.get_or_insert(blanks) };
            push_line(&mut word, &line, indent.min(blanks), end);
        }
        self.at = self.text.bytes.len();
        word
    }

    /// A scalar in quotes, which may go over lines.
    fn quoted(&mut self) -> Word {
        let quote = self.peek().unwrap_or_default();
        self.at += 1;
        let mut word = Word::at(self.text.offset(self.at));
        while let Some(byte) = self.peek() {
            let offset = self.text.offset(self.at);
            let next = self.text.bytes.get(self.at + 1).copied();
            self.at += 1;
            match (byte, next) {
                (b'\'', Some(b'\'')) if quote == b'\'' => {
                    word.push(b'\'', offset);
                    self.at += 1;
                }
                (b'\\', Some(next)) if quote == b'"' => {
                    let byte = match next {
                        b'n' => b'\n',
                        b't' => b'\t',
                        _ => next,
                    };
                    word.push(byte, offset);
                    self.at += 1;
                }
                _ if byte == quote => break,
                _ => word.push(byte, offset),
            }
        }
        word
    }

    /// A scalar without quotes: to the end of its line or a comment, and the deeper
    /// lines below.
    fn plain(&mut self, end: usize, parent: usize) -> Word {
        let line = self.text.part(self.at, end);
        let mut word = uncommented(line).trimmed().to_word();
        self.at = end + 1;
        for line in lines(self.text.rest(self.at)) {
            let bytes = line.text.bytes;
            let blanks = bytes.len() - bytes.trim_ascii_start().len();
            let content = line.text.trimmed();
            let is_over = content.is_empty() || blanks <= parent || content.bytes.starts_with(b"#");
            if is_over || self.open.is_empty() {
                self.at += line.begin;
                return word;
            }
            word.push(b' ', line.text.offset(0));
            let content = uncommented(content).trimmed();
            for (index, byte) in content.bytes.iter().enumerate() {
                word.push(*byte, content.offset(index));
            }
        }
        self.at = self.text.bytes.len();
        word
    }

    /// A collection in brackets or braces, up to its end.
    fn flow(&mut self) {
        let below = self.open.len();
        let mut beyond = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'{' | b'[' => {
                    self.at += 1;
                    let content = if byte == b'{' {
                        Content::mapping()
                    } else {
                        Content::Sequence(Words::default())
                    };
                    if self.open.len() >= DEPTH_MAX {
                        beyond += 1;
                    }
                    self.begin(usize::MAX, content);
                }
                b'}' | b']' => {
                    self.at += 1;
                    if beyond > 0 {
                        beyond -= 1;
                    } else if self.open.len() > below {
                        let depth = self.open.len();
                        self.close_to(depth - 1);
                    }
                    if beyond == 0 && self.open.len() <= below {
                        return;
                    }
                }
                b',' | b'?' => self.at += 1,
                b'#' if self.at > 0 && self.is_blank(self.at - 1) => self.skip_line(),
                _ if byte.is_ascii_whitespace() => self.at += 1,
                _ => self.flow_scalar(),
            }
        }
        self.close_to(below);
    }

    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            let closed = std::cell::Cell::new(false);
            self.close(|_| !closed.replace(true));
        }
    }

    /// A scalar within brackets or braces; before a colon it is a key.
    fn flow_scalar(&mut self) {
        let (begin, mut is_quoted) = (self.at, false);
        let word = if matches!(self.peek(), Some(b'"' | b'\'')) {
            is_quoted = true;
            self.quoted()
        } else {
            self.at += 1;
            while let Some(byte) = self.peek() {
                let is_key = byte == b':' && self.is_flow_end(self.at + 1);
                let is_comment = byte == b'#' && self.is_blank(self.at - 1);
                if is_key || is_comment || matches!(byte, b',' | b'}' | b']' | b'\n') {
                    break;
                }
                self.at += 1;
            }
            self.text.part(begin, self.at).trimmed().to_word()
        };
        while self.peek().is_some_and(|byte| byte == b' ') {
            self.at += 1;
        }
        let is_key = self.peek() == Some(b':') && word.bytes().len() <= KEY_MAX_BYTES;
        if is_key && (is_quoted || self.is_flow_end(self.at + 1)) {
            self.at += 1;
            if let Some(Level { content: Content::Mapping { key, .. }, .. }) = self.open.last_mut()
            {
                *key = word;
            }
        } else {
            self.add(word);
        }
    }

    fn is_flow_end(&self, at: usize) -> bool {
        self.is_blank(at) || matches!(self.text.bytes.get(at), Some(b',' | b'}' | b']'))
    }
}

/// The text up to a comment.
fn uncommented(text: Text<'_>) -> Text<'_> {
    let is_comment = |pair: &[u8]| matches!(pair, [blank, b'#'] if blank.is_ascii_whitespace());
    let length = text.bytes.windows(2).position(is_comment).unwrap_or(text.bytes.len());
    text.part(0, length)
}

/// Adds a line from `indent` on, and then `end`.
fn push_line(word: &mut Word, line: &Line<'_>, indent: usize, end: u8) {
    for (index, byte) in line.text.bytes.iter().enumerate().skip(indent) {
        word.push(*byte, line.text.offset(index));
    }
    word.push(end, line.text.offset(line.text.bytes.len()));
}
