//! A page in Markdown as the steps that its reader takes.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A page of the manual.
pub(super) struct Page {
    /// Its path in the repository.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What a reader does, in order.
    pub steps: Vec<Step>,
}

/// What a reader of a page does.
pub(super) enum Step {
    /// Writes the file.
    File { name: String, content: String },
    /// Has what the page does not show.
    Setup { line: usize, command: String },
    /// Types a command, and sees what is printed.
    Command(Command),
}

/// A command of a console block.
pub(super) struct Command {
    /// Where it stands, from 1 on.
    pub line: usize,
    /// Without prompts.
    pub text: String,
    /// What is printed, by the page.
    pub output: Vec<String>,
    /// How far the block is indented.
    pub indent: usize,
    /// Where its output begins and ends in the page's lines, counted from 0.
    pub output_lines: Range<usize>,
}

impl Page {
    pub(super) fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let steps = steps(&name, &text.lines().collect::<Vec<_>>());
        Self { name, path: path.to_owned(), steps }
    }

    pub(super) fn commands(&self) -> impl Iterator<Item = &Command> {
        self.steps.iter().filter_map(|step| match step {
            Step::Command(command) => Some(command),
            Step::File { .. } | Step::Setup { .. } => None,
        })
    }
}

fn steps(page: &str, lines: &[&str]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut file = None;
    for part in parts(page, lines) {
        match part {
            Part::Text { .. } => {}
            Part::Comment { at, text } => {
                if let Some(command) = text.strip_prefix("setup:") {
                    steps.push(Step::Setup { line: at + 1, command: command.trim().to_owned() });
                } else if let Some(name) = text.strip_prefix("file:") {
                    file = Some(name.trim().to_owned());
                }
            }
            Part::Block { language, indent, content, .. } => {
                if let Some(name) = file.take() {
                    let content = lines[content].iter().map(|it| unindented(it, indent) + "\n");
                    steps.push(Step::File { name, content: content.collect() });
                } else if language == "console" {
                    steps.extend(commands(lines, content, indent).map(Step::Command));
                }
            }
        }
    }
    assert!(file.is_none(), "{page}: no block follows the comment that names {file:?}");
    steps
}

/// What a page is made of.
pub(super) enum Part {
    /// A line of text.
    Text { at: usize },
    /// A comment of HTML, without its marks.
    Comment { at: usize, text: String },
    /// A fenced block; `content` are the lines between the fences.
    Block { at: usize, language: String, indent: usize, content: Range<usize> },
}

/// The parts of a page, each with the line at which it begins, counted from 0.
pub(super) fn parts(page: &str, lines: &[&str]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let begin = line.trim_start();
        if let Some(comment) = begin.strip_prefix("<!--") {
            let end = at + find(&lines[at..], |line| line.contains("-->"), page, at);
            let text = if end == at {
                comment.to_owned()
            } else {
                [&[comment], &lines[at + 1..=end]].concat().join("\n")
            };
            let text = text.split("-->").next().unwrap().trim().to_owned();
            parts.push(Part::Comment { at, text });
            at = end + 1;
        } else if let Some(language) = begin.strip_prefix("```") {
            let start = at + 1;
            let end = start + find(&lines[start..], |line| line.trim() == "```", page, at);
            let (language, indent) = (language.to_owned(), line.len() - begin.len());
            parts.push(Part::Block { at, language, indent, content: start..end });
            at = end + 1;
        } else {
            parts.push(Part::Text { at });
            at += 1;
        }
    }
    parts
}

/// How far down the first such line is.
fn find(lines: &[&str], is_end: impl Fn(&str) -> bool, page: &str, at: usize) -> usize {
    let found = lines.iter().position(|line| is_end(line));
    found.unwrap_or_else(|| panic!("{page}:{}: this has no end", at + 1))
}

pub(super) fn unindented(line: &str, indent: usize) -> String {
    line.get(indent..).unwrap_or_default().to_owned()
}

/// A line that begins with `$ ` is a command. It goes on where it ends with a backslash, and
/// where the next line begins with `> `.
fn commands(lines: &[&str], block: Range<usize>, indent: usize) -> impl Iterator<Item = Command> {
    let mut commands: Vec<Command> = Vec::new();
    for at in block {
        let line = unindented(lines[at], indent);
        let continued = commands.last_mut().filter(|it| it.output.is_empty());
        if let Some(text) = line.strip_prefix("$ ") {
            let output_lines = at + 1..at + 1;
            let text = text.to_owned();
            commands.push(Command { line: at + 1, text, output: vec![], indent, output_lines });
        } else if let Some(command) =
            continued.filter(|it| line.starts_with("> ") || it.text.ends_with('\\'))
        {
            command.text =
                format!("{}\n{}", command.text, line.strip_prefix("> ").unwrap_or(&line));
            command.output_lines = at + 1..at + 1;
        } else if let Some(command) = commands.last_mut() {
            command.output.push(line);
            command.output_lines.end = at + 1;
        }
    }
    commands.into_iter()
}
