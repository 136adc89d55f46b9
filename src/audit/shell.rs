//! Splits shell scripts into commands and words, well enough to judge them: it
//! never expands anything, and what it misreads it still passes on as words.

use super::secrecy::placeholder_length;
use super::talk::{Functions, Output};
use super::word::{Text, Word, Words, find};

/// Substitutions and subshells within one another that are looked into.
const DEPTH_MAX: usize = 32;

/// Here-documents that may begin in one line.
const DOCUMENTS_MAX: usize = 64;

/// Longest template within a word.
const TEMPLATE_MAX_BYTES: usize = 256;

/// What the lexer finds.
pub(super) enum Event<'a> {
    /// A command that runs: assignments and arguments, without redirections.
    Command(&'a [Word]),
    /// One whose arguments go through a pipe into another.
    Piped(&'a [Word]),
    /// One that writes its arguments into a file.
    Written(&'a [Word]),
    /// The body of a here-document that a program reads or a file receives.
    Document(Text<'a>),
}

/// Calls `emit` for every command of the script and of its substitutions.
/// Comments are left out, and so is what `echo`, `printf`, `cat <<EOF` or a
/// message function of the script only show to whoever runs the script.
pub(super) fn lex<'a>(text: Text<'a>, emit: &mut dyn FnMut(Event<'_>)) {
    let mut functions = Functions::default();
    if find(text.bytes, b"()").is_some() || find(text.bytes, b"function ").is_some() {
        // What a function does is known only when all of it was read.
        let mut ignore = |_: Event<'_>| {};
        let mut lexer = Lexer::of(text, Functions::default(), &mut ignore);
        lexer.learns = true;
        lexer.list(false);
        functions = lexer.functions;
    }
    Lexer::of(text, functions, emit).list(false);
}

struct Lexer<'a, 'e> {
    text: Text<'a>,
    at: usize,
    depth: usize,
    /// Substitutions around this place: what is printed there goes into a word.
    captures: usize,
    /// Here-documents that begin after this line.
    documents: Vec<Document>,
    /// A here-document had no end: no other one is looked for, or a hostile file
    /// would have each searched for to its end.
    is_unterminated: bool,
    /// Up to here no arithmetic has an end, for the same reason.
    unclosed_until: usize,
    functions: Functions,
    /// Only the script's functions are of interest.
    learns: bool,
    emit: &'e mut dyn FnMut(Event<'_>),
}

/// A here-document whose body is still to come.
struct Document {
    delimiter: Vec<u8>,
    strips_tabs: bool,
    is_shown_only: bool,
}

/// The command that is being read.
#[derive(Default)]
struct Command {
    words: Words,
    /// Its output goes into a file.
    is_redirected: bool,
    /// Here-documents that were pending before it.
    documents_before: usize,
    /// Within `name=( … )`, where newlines are blanks.
    is_array: bool,
}

impl<'a, 'e> Lexer<'a, 'e> {
    fn of(text: Text<'a>, functions: Functions, emit: &'e mut dyn FnMut(Event<'_>)) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            captures: 0,
            documents: Vec::new(),
            is_unterminated: false,
            unclosed_until: 0,
            functions,
            learns: false,
            emit,
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.bytes.get(self.at + ahead).copied()
    }

    fn follows(&self, bytes: &[u8]) -> bool {
        self.text.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(bytes))
    }

    /// Commands up to the end, or to the parenthesis that closes them.
    fn list(&mut self, is_enclosed: bool) {
        let mut command = self.begin();
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\\' if self.peek(1) == Some(b'\n') => self.at += 2,
                b'#' => self.skip_line(),
                b'\n' => {
                    self.at += 1;
                    if !command.is_array {
                        self.end(&mut command, false);
                    }
                    self.read_documents();
                    command.documents_before = self.documents.len();
                }
                b')' if command.is_array => {
                    self.at += 1;
                    command.is_array = false;
                }
                b')' => {
                    self.at += 1;
                    if is_enclosed {
                        break;
                    }
                    self.end(&mut command, false);
                }
                b'(' => self.open(&mut command),
                b'&' if self.peek(1) == Some(b'>') => self.at += 1,
                b';' | b'&' | b'|' => {
                    self.at += 1;
                    let is_pipe = byte == b'|' && self.peek(0) != Some(b'|');
                    self.end(&mut command, is_pipe);
                    // The second of `||`, `&&` and `;;`.
                    self.at += usize::from(self.peek(0) == Some(byte));
                }
                b'<' | b'>' => self.redirect(&mut command),
                _ => {
                    let word = self.word();
                    self.add(&mut command, word);
                }
            }
        }
        self.end(&mut command, false);
    }

    fn begin(&self) -> Command {
        Command { documents_before: self.documents.len(), ..Command::default() }
    }

    /// Hands the command on, unless it only talks.
    fn end(&mut self, command: &mut Command, is_pipe: bool) {
        let ended = std::mem::replace(command, self.begin());
        let words = ended.words.as_slice();
        if self.learns {
            let output = Output { is_piped: is_pipe, is_redirected: ended.is_redirected };
            self.functions.read(words, output);
        }
        let is_printed = self.functions.is_talk(words);
        let is_talk = !is_pipe && self.captures == 0 && is_printed;
        let is_shown_only = is_talk && !ended.is_redirected;
        for document in self.documents.iter_mut().skip(ended.documents_before) {
            document.is_shown_only = is_shown_only;
        }
        command.documents_before = self.documents.len();
        if is_talk && !is_shown_only {
            (self.emit)(Event::Written(words));
        } else if is_pipe && is_printed {
            (self.emit)(Event::Piped(words));
        } else if !words.is_empty() && !is_shown_only {
            (self.emit)(Event::Command(words));
        }
    }

    fn add(&mut self, command: &mut Command, word: Word) {
        let emit = &mut self.emit;
        command.words.push(word, |words| emit(Event::Command(words)));
    }

    /// `(`: an array, an arithmetic command or a subshell.
    fn open(&mut self, command: &mut Command) {
        let is_adjacent = self.at > 0 && self.text.bytes.get(self.at - 1) == Some(&b'=');
        if is_adjacent && !command.words.as_slice().is_empty() {
            self.at += 1;
            command.is_array = true;
        } else if self.follows(b"((") {
            self.skip_arithmetic();
        } else {
            if self.learns && self.follows(b"()") {
                let body = self.text.bytes.get(self.at + 2..).unwrap_or_default();
                let has_braces = body.iter().find(|byte| !byte.is_ascii_whitespace());
                self.functions.declare(command.words.as_slice(), has_braces == Some(&b'{'));
                *command = self.begin();
            }
            self.end(command, false);
            self.at += 1;
            self.enclosed();
        }
    }

    /// The commands behind an opening parenthesis.
    fn enclosed(&mut self) {
        // Beyond the limit the rest is read as if there were no parenthesis.
        if self.depth < DEPTH_MAX {
            self.depth += 1;
            self.list(true);
            self.depth -= 1;
        }
    }

    /// `$((1 << 3))` and `((x << 3))`, in which `<<` begins no document.
    fn skip_arithmetic(&mut self) {
        let mut end = None;
        if self.at >= self.unclosed_until {
            let rest = self.text.rest(self.at).bytes;
            let is_end = |pair: &[u8]| pair == b"))" || pair.first() == Some(&b'\n');
            let length = rest.windows(2).position(is_end).unwrap_or(rest.len());
            end = Some(length).filter(|length| rest.get(*length) == Some(&b')'));
            if end.is_none() {
                self.unclosed_until = self.at + length;
            }
        }
        // Two subshells, or arithmetic over several lines: go on behind the parentheses.
        self.at += end.unwrap_or(0) + 2;
    }

    fn redirect(&mut self, command: &mut Command) {
        if let Some(length) = placeholder_length(self.text.rest(self.at).bytes) {
            let begin = self.at;
            self.at += length;
            self.add(command, self.text.part(begin, begin + length).to_word());
            return;
        }
        let byte = self.peek(0).unwrap_or_default();
        if self.peek(1) == Some(b'(') {
            let word = self.placeholder(2);
            self.add(command, word);
            return;
        }
        if byte == b'<' && self.follows(b"<<") && !self.follows(b"<<<") {
            self.at += 2;
            let strips_tabs = self.peek(0) == Some(b'-');
            self.at += usize::from(strips_tabs);
            self.skip_blanks();
            let delimiter = self.word().bytes().to_vec();
            if self.documents.len() < DOCUMENTS_MAX {
                self.documents.push(Document { delimiter, strips_tabs, is_shown_only: false });
            }
            return;
        }
        let mut is_descriptor = false;
        while let Some(byte @ (b'<' | b'>' | b'&' | b'|')) = self.peek(0) {
            is_descriptor |= byte == b'&';
            self.at += 1;
        }
        self.skip_blanks();
        // A file's name, or a here-string: no argument, so nobody sees it.
        let target = self.word();
        let is_shown = [&b"/dev/fd/"[..], b"/dev/null", b"/dev/std", b"/dev/tty"]
            .iter()
            .any(|device| target.bytes().starts_with(device));
        command.is_redirected |= byte == b'>' && !is_descriptor && !is_shown;
    }

    /// A substitution that opens with `length` bytes: its commands are handed on,
    /// and a word stands for what it prints.
    fn placeholder(&mut self, length: usize) -> Word {
        let mut word = Word::at(self.text.offset(self.at));
        self.substitution(&mut word, length);
        word
    }

    fn substitution(&mut self, word: &mut Word, length: usize) {
        word.push_all(b"$()", self.text.offset(self.at));
        self.at += length;
        self.captures += 1;
        self.enclosed();
        self.captures -= 1;
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        let rest = self.text.rest(self.at);
        self.at += rest.find(b'\n').unwrap_or(rest.bytes.len());
    }

    /// The bodies of the here-documents of the line that just ended.
    fn read_documents(&mut self) {
        for document in std::mem::take(&mut self.documents) {
            let begin = self.at;
            let Some(end) = self.find_end(&document) else { return };
            if !document.is_shown_only {
                (self.emit)(Event::Document(self.text.part(begin, end)));
            }
        }
    }

    /// Where a document's body ends; the lexer then stands behind its last line.
    fn find_end(&mut self, document: &Document) -> Option<usize> {
        if self.is_unterminated {
            return None;
        }
        let mut begin = self.at;
        let rest = self.text.bytes.get(begin..).unwrap_or_default();
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            let tabs = bare.iter().take_while(|byte| **byte == b'\t').count();
            let bare = bare.get(if document.strips_tabs { tabs } else { 0 }..).unwrap_or_default();
            if bare == document.delimiter {
                self.at = begin + line.len();
                return Some(begin);
            }
            begin += line.len();
        }
        self.is_unterminated = true;
        None
    }

    /// One word, from here to the next blank or operator.
    fn word(&mut self) -> Word {
        let mut word = Word::at(self.text.offset(self.at));
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => {
                    break;
                }
                b'\\' => self.escape(&mut word, None),
                b'\'' => self.single_quoted(&mut word),
                b'"' => self.double_quoted(&mut word),
                b'$' => self.dollar(&mut word, false),
                b'`' => self.backticks(&mut word),
                b'{' if self.follows(b"{{") => self.template(&mut word),
                _ => self.take(&mut word),
            }
        }
        word
    }

    /// `{{ name }}`, which a template's engine replaces before the shell sees it.
    fn template(&mut self, word: &mut Word) {
        let rest = self.text.rest(self.at).bytes;
        let rest = rest.get(..rest.len().min(TEMPLATE_MAX_BYTES)).unwrap_or_default();
        let is_end = |pair: &[u8]| pair == b"}}" || matches!(pair.first(), Some(b'\n' | b'{'));
        // It begins with two braces, and holds no other one.
        let inner = rest.get(2..).unwrap_or_default();
        let end = inner.windows(2).position(is_end).filter(|end| inner.get(*end) == Some(&b'}'));
        for _ in 0..end.map_or(2, |end| end + 4) {
            self.take(word);
        }
    }

    /// Adds the byte here as it is.
    fn take(&mut self, word: &mut Word) {
        if let Some(byte) = self.peek(0) {
            word.push(byte, self.text.offset(self.at));
            self.at += 1;
        }
    }

    /// A backslash; where only some bytes can be escaped it stays before others.
    fn escape(&mut self, word: &mut Word, escapable: Option<&[u8]>) {
        let next = self.peek(1);
        match next {
            Some(b'\n') => self.at += 2,
            Some(next) if escapable.is_none_or(|escapable| escapable.contains(&next)) => {
                self.at += 1;
                self.take(word);
            }
            _ => self.take(word),
        }
    }

    fn single_quoted(&mut self, word: &mut Word) {
        self.at += 1;
        while self.peek(0).is_some_and(|byte| byte != b'\'') {
            self.take(word);
        }
        self.at += 1;
    }

    fn double_quoted(&mut self, word: &mut Word) {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'"' => break,
                b'\\' => self.escape(word, Some(b"$`\"\\")),
                b'$' => self.dollar(word, true),
                b'`' => self.backticks(word),
                _ => self.take(word),
            }
        }
        self.at += 1;
    }

    fn dollar(&mut self, word: &mut Word, is_quoted: bool) {
        match self.peek(1) {
            Some(b'(') if self.peek(2) == Some(b'(') => {
                word.push_all(b"$()", self.text.offset(self.at));
                self.at += 1;
                self.skip_arithmetic();
            }
            Some(b'(') => self.substitution(word, 2),
            Some(b'{') => self.parameter(word),
            Some(b'\'') if !is_quoted => {
                self.at += 2;
                while let Some(byte) = self.peek(0).filter(|byte| *byte != b'\'') {
                    if byte == b'\\' { self.escape(word, None) } else { self.take(word) }
                }
                self.at += 1;
            }
            Some(b'"') if !is_quoted => self.at += 1,
            _ => self.take(word),
        }
    }

    /// `${NAME…}`: of a default or a pattern nothing is kept. A default may be
    /// arguments, so it is handed on.
    fn parameter(&mut self, word: &mut Word) {
        self.take(word);
        self.take(word);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_!#@*".contains(&byte);
        while self.peek(0).is_some_and(is_name) {
            self.take(word);
        }
        let begin = self.at + usize::from(self.peek(0) == Some(b':')) + 1;
        let is_default = matches!(self.text.bytes.get(begin - 1), Some(b'-' | b'=' | b'+'));
        let mut open = 1;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'}' if open == 1 => {
                    if is_default {
                        (self.emit)(Event::Document(self.text.part(begin, self.at)));
                    }
                    return self.take(word);
                }
                b'}' => open -= 1,
                b'{' => open += 1,
                b'\\' => self.at += 1,
                // Whatever this is, a parameter has an end on its line.
                b'\n' => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn backticks(&mut self, word: &mut Word) {
        let begin = self.at + 1;
        let mut end = begin;
        loop {
            match self.text.bytes.get(end) {
                Some(b'`') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                // An opening one alone.
                None => return self.take(word),
            }
        }
        let whole = self.text;
        self.text = whole.part(0, end);
        let pending = std::mem::take(&mut self.documents);
        self.substitution(word, 1);
        self.documents = pending;
        self.text = whole;
        self.at = end + 1;
    }
}
