//! Tells the commands of a shell script whose words only its user gets to see:
//! `echo`, `printf`, `cat`, and functions of the script that print messages.

use std::collections::BTreeMap;

use super::secrecy::{assignment, is_name_byte};
use super::word::Word;

/// Words before a command that are not its name.
const LEADERS: [&[u8]; 9] =
    [b"{", b"!", b"if", b"then", b"else", b"elif", b"do", b"while", b"builtin"];

/// Commands that print their arguments.
const PRINTERS: [&[u8]; 4] = [b"echo", b"printf", b"cat", b":"];

/// Commands that neither run nor store their arguments. `case` and `for` stand for
/// the line they begin.
const HARMLESS: [&[u8]; 14] = [
    b"[",
    b"[[",
    b"case",
    b"exit",
    b"let",
    b"logger",
    b"return",
    b"set",
    b"shift",
    b"systemd-cat",
    b"test",
    b"tput",
    b"true",
    b"until",
];

/// What a message may be piped through.
const FILTERS: [&[u8]; 9] =
    [b"cat", b"column", b"fmt", b"fold", b"logger", b"sed", b"systemd-cat", b"tee", b"tr"];

/// Words of which the names of message functions are made.
const MESSAGES: [&[u8]; 28] = [
    b"abort",
    b"bail",
    b"croak",
    b"debug",
    b"die",
    b"err",
    b"error",
    b"fail",
    b"fatal",
    b"hint",
    b"info",
    b"log",
    b"message",
    b"msg",
    b"note",
    b"notice",
    b"oops",
    b"panic",
    b"say",
    b"status",
    b"success",
    b"trace",
    b"usage",
    b"verbose",
    b"warn",
    b"warning",
    b"warnings",
    b"whine",
];

/// Variables of one function that are followed.
const VARIABLES_MAX: usize = 32;

/// The functions of a script, told by what they do with their arguments.
#[derive(Default)]
pub(super) struct Functions {
    /// Name, and whether it only prints what it is given.
    known: BTreeMap<Vec<u8>, bool>,
    /// What `function NAME` names, until its body begins.
    pending: Option<Vec<u8>>,
    body: Option<Body>,
}

/// The body of the function that is being read.
struct Body {
    name: Vec<u8>,
    /// Braces that are open.
    depth: usize,
    printed: Printed,
    /// Arguments are run, or go to another program.
    hands_on: bool,
    /// The command before was piped and had arguments of the function.
    is_piped: bool,
    /// Variables that hold arguments of the function.
    variables: Vec<Vec<u8>>,
}

/// What a function does with its arguments, apart from handing them on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Printed {
    Nothing,
    Shown,
    /// Into a file, which may be a script or a configuration.
    Written,
}

/// How a command's output goes on.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub(super) is_piped: bool,
    pub(super) is_redirected: bool,
}

impl Functions {
    /// Whether the command only talks to whoever runs the script.
    pub(super) fn is_talk(&self, words: &[Word]) -> bool {
        command_name(words).is_some_and(|name| PRINTERS.contains(&name) || self.is_message(name))
    }

    /// The script's own function if it has one of that name, else what the name says.
    fn is_message(&self, name: &[u8]) -> bool {
        self.known.get(name).copied().unwrap_or_else(|| is_message_name(name))
    }

    /// Notes that `NAME()` stands here, with a body in braces or another one.
    pub(super) fn declare(&mut self, words: &[Word], has_braces: bool) {
        let Some(name) = words.last().map(|name| name.bytes().to_vec()) else { return };
        if !has_braces {
            // Of such a body nothing is known.
            self.known.insert(name, false);
        } else if self.body.is_none() {
            self.body = Some(Body::of(name));
        }
    }

    /// Reads a command, in the order of the script.
    pub(super) fn read(&mut self, words: &[Word], output: Output) {
        let mut words = words;
        if let [keyword, name, rest @ ..] = words
            && keyword.bytes() == b"function"
        {
            self.pending = Some(name.bytes().to_vec());
            words = rest;
        }
        let Some(first) = words.first().map(Word::bytes) else { return };
        if let Some(name) = self.pending.take_if(|_| self.body.is_none() && first == b"{") {
            self.body = Some(Body::of(name));
        }
        let Some(body) = &mut self.body else { return };
        let leaders = words.iter().take_while(|word| LEADERS.contains(&word.bytes()));
        body.depth += leaders.filter(|word| word.bytes() == b"{").count();
        let name = command_name(words).unwrap_or_default();
        let is_talk = PRINTERS.contains(&name)
            || self.known.get(name).copied().unwrap_or_else(|| is_message_name(name));
        body.command(words, name, is_talk, output);
        if first == b"}" {
            body.depth = body.depth.saturating_sub(1);
            if body.depth == 0
                && let Some(body) = self.body.take()
            {
                let is_talk = body.is_talk(output.is_redirected);
                let known = self.known.entry(body.name).or_insert(true);
                *known &= is_talk;
            }
        }
    }
}

impl Body {
    fn of(name: Vec<u8>) -> Self {
        Self {
            name,
            depth: 0,
            printed: Printed::Nothing,
            hands_on: false,
            is_piped: false,
            variables: Vec::new(),
        }
    }

    fn command(&mut self, words: &[Word], name: &[u8], is_talk: bool, output: Output) {
        let was_piped = std::mem::replace(&mut self.is_piped, false);
        self.hands_on |= was_piped && !FILTERS.contains(&name);
        if !words.iter().any(|word| self.has_argument(word.bytes())) {
            self.is_piped = was_piped && output.is_piped;
            return;
        }
        let is_declaration =
            matches!(name, b"" | b"local" | b"declare" | b"typeset" | b"readonly" | b"export");
        if is_talk {
            let printed = if output.is_redirected { Printed::Written } else { Printed::Shown };
            self.printed = self.printed.max(printed);
            self.is_piped = output.is_piped;
        } else if is_declaration {
            for word in words {
                if let Some((variable, value)) = assignment(word.text())
                    && self.has_argument(value.bytes)
                {
                    self.follow(variable);
                }
            }
        } else if let [keyword, variable, ..] = words
            && keyword.bytes() == b"for"
        {
            self.follow(variable.bytes());
        } else if !HARMLESS.contains(&name) {
            self.hands_on = true;
        }
    }

    /// From here on a variable holds arguments of the function.
    fn follow(&mut self, variable: &[u8]) {
        self.hands_on |= self.variables.len() >= VARIABLES_MAX;
        if !self.hands_on {
            self.variables.push(variable.to_vec());
        }
    }

    /// Whether an argument of the function is expanded in a word.
    fn has_argument(&self, word: &[u8]) -> bool {
        word.split(|byte| *byte == b'$').skip(1).any(|rest| {
            let rest = rest.strip_prefix(b"{").unwrap_or(rest);
            let end = rest.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or_default();
            matches!(rest.first(), Some(b'@' | b'*' | b'1'..=b'9'))
                || self.variables.iter().any(|variable| variable == name)
        })
    }

    fn is_talk(&self, is_redirected: bool) -> bool {
        let is_shown = self.printed == Printed::Shown && !is_redirected;
        !self.hands_on && (is_message_name(&self.name) || is_shown)
    }
}

/// Whether a function of this name most likely prints a message: `die`, `log_error`,
/// `print_info`. The words of a program's name stand between hyphens.
pub(super) fn is_message_name(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|byte| *byte == b'_').filter(|word| !word.is_empty());
    let is_message = |word: &[u8]| MESSAGES.contains(&word);
    let Some(first) = words.next() else { return false };
    is_message(first) || words.next_back().is_some_and(is_message)
}

/// The word that is run, behind what may precede it.
fn command_name(words: &[Word]) -> Option<&[u8]> {
    words.iter().map(Word::bytes).find(|word| {
        let is_assignment = word.iter().position(|byte| *byte == b'=').is_some_and(|end| {
            end > 0 && word.iter().take(end).all(|byte| is_name_byte(*byte) || *byte == b'+')
        });
        !LEADERS.contains(word) && !is_assignment
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_message_functions_are_told_from_programs() {
        for name in ["die", "LOG", "log_error", "msg_ok", "print_info", "error_exit", "_warn"] {
            assert!(is_message_name(name.as_bytes()), "{name}");
        }
        for name in ["", "virt-log", "logger", "run", "login", "/usr/bin/info", "qemu_run"] {
            assert!(!is_message_name(name.as_bytes()), "{name}");
        }
    }
}
