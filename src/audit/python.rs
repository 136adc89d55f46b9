//! Finds the strings of a Python script, as the arguments of commands: the items of each
//! list or call, in their order. Nothing is evaluated; what is no string stands as a
//! variable.

use super::talk::is_message_name;
use super::word::{Text, Word, Words};

/// Brackets within one another that are told apart.
const DEPTH_MAX: usize = 64;

/// Memory of one item, in bytes: what is put together from more names is judged in parts.
const ITEM_MAX_BYTES: usize = 1 << 20;

/// Functions that print, beside those whose names say so.
const PRINTERS: [&[u8]; 7] = [
    b"print",
    b"SystemExit",
    b"critical",
    b"exception",
    b"exit",
    b"add_argument",
    b"ArgumentParser",
];

/// Whether a text is Python: its first line says so, or its first statement imports.
pub(super) fn is_python(bytes: &[u8], first: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_named = line.starts_with(b"#!") && line.windows(6).any(|window| window == b"python");
    let has_import = || {
        let mut words = first.split(u8::is_ascii_whitespace).skip(2);
        first.starts_with(b"from ") && words.next() == Some(b"import")
    };
    // ImageMagick has a program of that name.
    let imports = first.strip_prefix(b"import ").is_some_and(|names| {
        names.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_., ".contains(byte))
            && !names.ends_with(b".png")
    });
    is_named || has_import() || imports
}

/// Calls `emit` for the items of every list, call and statement.
pub(super) fn lex(text: Text<'_>, emit: &mut dyn FnMut(&[Word])) {
    let mut lexer = Lexer { text, at: 0, open: vec![List::default()], beyond: 0, emit };
    lexer.run();
    while let Some(list) = lexer.open.pop() {
        lexer.end(list);
    }
}

struct Lexer<'a, 'e> {
    text: Text<'a>,
    at: usize,
    /// The lists and calls that are open, from the outermost on. The first stands for the
    /// statement itself.
    open: Vec<List>,
    /// How many more brackets are open: deeper ones are not told apart.
    beyond: usize,
    emit: &'e mut dyn FnMut(&[Word]),
}

#[derive(Default)]
struct List {
    words: Words,
    item: Item,
    /// It is printed, for whoever runs the script, and passed to no program.
    is_talk: bool,
    /// Something other than a string has stood in the statement.
    has_begun: bool,
}

/// An item that is being read.
#[derive(Default)]
struct Item {
    word: Option<Word>,
    /// The last name in it, which may be called.
    name: Vec<u8>,
    /// What was read last of it is a string.
    is_string: bool,
    /// The last name is a method of a string, such as `encode`.
    is_method: bool,
}

impl Lexer<'_, '_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.bytes.get(self.at + ahead).copied()
    }

    fn run(&mut self) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'#' => {
                    let rest = self.text.rest(self.at);
                    self.at += rest.find(b'\n').unwrap_or(rest.bytes.len());
                }
                b'"' | b'\'' => self.string(false, false),
                b'(' | b'[' | b'{' => self.open(),
                b')' | b']' | b'}' => {
                    self.at += 1;
                    self.close();
                }
                b',' | b':' => {
                    self.at += 1;
                    self.end_item();
                }
                b'\\' => self.at += 2,
                b'\n' => {
                    self.at += 1;
                    if self.open.len() == 1 {
                        self.statement();
                    }
                }
                _ if byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80 => self.name(),
                b'=' => {
                    self.at += 1;
                    // What is assigned, or given by name.
                    if let Some(list) = self.open.last_mut() {
                        list.item = Item::default();
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// A statement ends.
    fn statement(&mut self) {
        if let Some(list) = self.open.pop() {
            self.end(list);
        }
        self.open.push(List::default());
    }

    fn open(&mut self) {
        self.at += 1;
        if self.open.len() >= DEPTH_MAX {
            self.beyond += 1;
            return;
        }
        let around = self.open.last();
        let name = around.map(|list| list.item.name.as_slice()).unwrap_or_default();
        let is_call = !name.is_empty() && self.text.bytes.get(self.at - 1) == Some(&b'(');
        let is_talk = if is_call {
            PRINTERS.contains(&name) || is_message_name(name) || name.ends_with(b"Error")
        } else {
            around.is_some_and(|list| list.is_talk)
        };
        self.open.push(List { is_talk, has_begun: true, ..List::default() });
    }

    fn close(&mut self) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else if self.open.len() > 1
            && let Some(list) = self.open.pop()
        {
            self.end(list);
            self.expression(self.at - 1);
        }
    }

    fn end(&mut self, mut list: List) {
        if let Some(word) = list.item.word.take() {
            let emit = &mut self.emit;
            list.words.push(word, |words| emit(words));
        }
        if !list.is_talk {
            (self.emit)(list.words.as_slice());
        }
    }

    fn end_item(&mut self) {
        let emit = &mut self.emit;
        if let Some(list) = self.open.last_mut()
            && let Some(word) = std::mem::take(&mut list.item).word
        {
            let is_talk = list.is_talk;
            list.words.push(word, |words| {
                if !is_talk {
                    emit(words);
                }
            });
        }
    }

    /// A name, number or keyword, or the prefix of a string.
    fn name(&mut self) {
        let begin = self.at;
        while let Some(byte) = self.peek(0)
            && (byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80)
        {
            self.at += 1;
        }
        let name = self.text.part(begin, self.at);
        let lower = name.bytes.to_ascii_lowercase();
        let is_prefix = lower.len() <= 2 && lower.iter().all(|byte| b"rbfu".contains(byte));
        if is_prefix && matches!(self.peek(0), Some(b'"' | b'\'')) {
            return self.string(lower.contains(&b'r'), lower.contains(&b'f'));
        }
        let Some(list) = self.open.last_mut() else { return };
        list.has_begun = true;
        list.item.name = name.bytes.to_vec();
        let is_attribute = begin > 0 && self.text.bytes.get(begin - 1) == Some(&b'.');
        list.item.is_method = is_attribute && list.item.is_string;
        if list.item.is_method {
            return;
        }
        list.item.is_string = false;
        if self.text.bytes.get(self.at) != Some(&b'.') {
            self.variable(name);
        }
    }

    /// A variable that is an item, or is put behind a string.
    fn variable(&mut self, name: Text<'_>) {
        const KEYWORDS: [&[u8]; 8] =
            [b"None", b"True", b"False", b"for", b"if", b"else", b"in", b"return"];
        if KEYWORDS.contains(&name.bytes) || name.bytes.first().is_some_and(u8::is_ascii_digit) {
            return;
        }
        let offset = name.offset(0);
        // Names outside of all brackets are no arguments of a command.
        let is_statement = self.open.len() == 1;
        let Some(list) = self.open.last_mut() else { return };
        if !is_statement {
            if list.item.word.as_ref().is_some_and(|word| word.text().size() > ITEM_MAX_BYTES) {
                let word = list.item.word.take().unwrap_or_default();
                if !list.is_talk {
                    (self.emit)(&[word]);
                }
            }
            let word = list.item.word.get_or_insert_with(|| Word::at(offset));
            word.push_all(b"$", offset);
            for (index, byte) in name.bytes.iter().enumerate() {
                word.push(*byte, name.offset(index));
            }
        } else if let Some(word) = &mut list.item.word {
            word.push_all(b"$()", offset);
        }
    }

    /// Adds a mark to a string that a call or an index follows: its value is not known then.
    fn expression(&mut self, at: usize) {
        let offset = self.text.offset(at);
        if let Some(list) = self.open.last_mut()
            && !std::mem::take(&mut list.item.is_method)
            && let Some(word) = &mut list.item.word
            && word.bytes().last() != Some(&b')')
        {
            word.push_all(b"$()", offset);
        }
    }

    /// A string, which goes on with the one before it.
    fn string(&mut self, is_raw: bool, is_formatted: bool) {
        let quote = self.peek(0).unwrap_or_default();
        let is_triple = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        self.at += if is_triple { 3 } else { 1 };
        let mut word = Word::at(self.text.offset(self.at));
        while let Some(byte) = self.peek(0) {
            let is_end = byte == quote
                && (!is_triple || self.peek(1) == Some(quote) && self.peek(2) == Some(quote));
            if is_end || !is_triple && byte == b'\n' {
                break;
            }
            let offset = self.text.offset(self.at);
            match (byte, self.peek(1)) {
                (b'\\', Some(next)) if !is_raw => {
                    if next != b'\n' {
                        word.push(if next == b'n' { b'\n' } else { next }, offset);
                    }
                    self.at += 2;
                }
                (b'{', Some(b'{')) | (b'}', Some(b'}')) if is_formatted => {
                    word.push(byte, offset);
                    self.at += 2;
                }
                (b'{', _) if is_formatted => self.replacement(&mut word, quote),
                _ => {
                    word.push(byte, offset);
                    self.at += 1;
                }
            }
        }
        self.at += if is_triple { 3 } else { usize::from(self.peek(0) == Some(quote)) };
        self.add(word);
    }

    /// `{name}` in a string, which becomes `${name}`.
    fn replacement(&mut self, word: &mut Word, quote: u8) {
        word.push_all(b"$", self.text.offset(self.at));
        while let Some(byte) = self.peek(0).filter(|byte| *byte != quote && *byte != b'\n') {
            word.push(byte, self.text.offset(self.at));
            self.at += 1;
            if byte == b'}' {
                break;
            }
        }
    }

    fn add(&mut self, word: Word) {
        let is_statement = self.open.len() == 1;
        let Some(list) = self.open.last_mut() else { return };
        // A string alone is documentation.
        if is_statement && !list.has_begun {
            return;
        }
        list.item.is_string = true;
        match &mut list.item.word {
            None => list.item.word = Some(word),
            Some(before) => {
                let text = word.text();
                for (index, byte) in text.bytes.iter().enumerate() {
                    before.push(*byte, text.offset(index));
                }
            }
        }
    }
}
