//! One page, written in the macros of man(7).

use roff::{Inline, Roff, bold, roman};

use super::{DATE, File};

/// The longest line of the source, which no reader minds.
const WIDTH: usize = 78;

/// A page to which sections are added.
#[derive(Debug)]
pub(super) struct Page {
    name: String,
    section: u8,
    text: String,
}

impl Page {
    /// A page with its title and the section NAME.
    pub(super) fn new(name: &str, section: u8, summary: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let title = format!(
            ".TH {} {section} {DATE} \"credimg {version}\" \"User Commands\"\n",
            name.to_uppercase().replace('-', "\\-")
        );
        let title =
            if section == 5 { title.replace("User Commands", "File Formats") } else { title };
        // Neither hyphens that nobody typed nor wide spaces: people copy from these pages.
        let text = title + ".nh\n.ad l\n";
        let mut page = Self { name: name.to_owned(), section, text };
        page.heading("NAME");
        // Programs that make a list of all pages want this form.
        page.text(&[roman(format!("{name} - {summary}"))]);
        page
    }

    /// Begins a section.
    pub(super) fn heading(&mut self, title: &str) {
        self.line(&format!(".SH {title}"));
    }

    /// Begins a part of a section.
    pub(super) fn subheading(&mut self, title: &str) {
        self.line(&format!(".SS \"{}\"", escaped(title)));
    }

    /// Begins a paragraph.
    pub(super) fn paragraph(&mut self, text: &str) {
        self.begin_paragraph();
        self.text(&marked(text));
    }

    /// An item of a list, of which `head` is what it is about.
    pub(super) fn item(&mut self, head: &[Inline], body: &str) {
        self.line(".TP");
        let head = source(head);
        self.line(&head);
        self.text(&marked(body));
    }

    /// A line further in the item that was begun last: a word, and what it means.
    pub(super) fn add_line(&mut self, word: &str, meaning: &str) {
        let mut inlines = vec![bold(word)];
        if !meaning.is_empty() {
            inlines.push(roman(": "));
            inlines.extend(marked(meaning));
        }
        self.line(".br");
        self.text(&inlines);
    }

    /// Lines as they are, to be copied.
    pub(super) fn example(&mut self, lines: &[&str]) {
        self.begin_paragraph();
        self.line(".RS 4\n.EX");
        for line in lines {
            let line = source(&[roman(*line)]);
            self.line(&line);
        }
        self.line(".EE\n.RE");
    }

    /// Text that fills its lines.
    pub(super) fn text(&mut self, inlines: &[Inline]) {
        let text = source(inlines);
        let mut line = String::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                let full = std::mem::take(&mut line);
                self.line(&full);
            }
            if !line.is_empty() {
                line.push(' ');
            } else if word.starts_with(['.', '\'']) {
                line.push_str("\\&");
            }
            line.push_str(word);
        }
        self.line(&line);
    }

    /// What is written by hand, in macros.
    pub(super) fn raw(&mut self, prose: &str) {
        self.text.push_str(prose);
    }

    pub(super) fn into_file(self) -> File {
        let Self { name, section, text } = self;
        File { name: format!("{name}.{section}"), text }
    }

    /// Leaves a line free, but not below a heading.
    fn begin_paragraph(&mut self) {
        let is_heading = |line: &str| line.starts_with(".SH ") || line.starts_with(".SS ");
        if !self.text.lines().last().is_some_and(is_heading) {
            self.line(".PP");
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// Text in which what stands in backquotes is bold.
pub(super) fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(place, part)| if place % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// One line of a page's source.
fn source(inlines: &[Inline]) -> String {
    let mut line = Roff::new();
    line.text(inlines);
    in_ascii(line.to_roff().trim_end())
}

/// Text without fonts, as an argument of a macro takes it.
fn escaped(text: &str) -> String {
    source(&[roman(text)]).replace('"', "\\(dq")
}

/// The escapes of groff and mandoc for what is not ASCII, and for quotes, which both would print
/// as curved ones.
fn in_ascii(text: &str) -> String {
    let escape = |character: char| match character {
        '\'' => "\\(aq".to_owned(),
        '`' => "\\(ga".to_owned(),
        '^' => "\\(ha".to_owned(),
        '~' => "\\(ti".to_owned(),
        '\0'..='\x7f' => character.to_string(),
        _ => format!("\\[u{:04X}]", u32::from(character)),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_a_reader_prints() {
        for (inlines, expected) in [
            (vec![roman("a-b 'c' \\n")], r"a\-b \(aqc\(aq \\n"),
            (vec![roman(".x"), bold("--y")], r"\&.x\fB\-\-y\fR"),
            (vec![roman("a\u{2026}")], r"a\[u2026]"),
        ] {
            assert_eq!(source(&inlines), expected);
        }
        let mut page = Page::new("a", 1, "b");
        page.text.clear();
        page.text(&marked(&format!("{} .hidden `x y`", "word ".repeat(15))));
        assert_eq!(page.text, format!("{}\n\\&.hidden \\fBx y\\fR\n", "word ".repeat(15).trim()));
    }
}
