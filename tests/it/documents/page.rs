//! A page in Markdown as the steps that its reader takes.

use std::fs;
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
    pub output_lines: std::ops::Range<usize>,
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
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(comment) = content.strip_prefix("<!--") {
            let end = at + find(&lines[at..], |line| line.contains("-->"), page, at);
            let text = [&[comment], &lines[(at + 1).min(end)..end]].concat().join("\n");
            let text = if end > at { text + "\n" + lines[end] } else { text };
            let text = text.split("-->").next().unwrap().trim();
            if let Some(command) = text.strip_prefix("setup:") {
                steps.push(Step::Setup { line: at + 1, command: command.trim().to_owned() });
            } else if let Some(name) = text.strip_prefix("file:") {
                file = Some(name.trim().to_owned());
            }
            at = end + 1;
        } else if let Some(language) = content.strip_prefix("```") {
            let start = at + 1;
            let end = start + find(&lines[start..], |line| line.trim() == "```", page, at);
            if let Some(name) = file.take() {
                let content = lines[start..end].iter().map(|it| unindented(it, indent) + "\n");
                steps.push(Step::File { name, content: content.collect() });
            } else if language == "console" {
                steps.extend(commands(lines, start..end, indent).map(Step::Command));
            }
            at = end + 1;
        } else {
            at += 1;
        }
    }
    assert!(file.is_none(), "{page}: no block follows the comment that names {file:?}");
    steps
}

/// How far down the first such line is.
fn find(lines: &[&str], is_end: impl Fn(&str) -> bool, page: &str, at: usize) -> usize {
    let found = lines.iter().position(|line| is_end(line));
    found.unwrap_or_else(|| panic!("{page}:{}: this has no end", at + 1))
}

fn unindented(line: &str, indent: usize) -> String {
    line.get(indent..).unwrap_or_default().to_owned()
}

/// A line that begins with `$ ` is a command. It goes on where it ends with a backslash, and
/// where the next line begins with `> `.
fn commands(
    lines: &[&str],
    block: std::ops::Range<usize>,
    indent: usize,
) -> impl Iterator<Item = Command> {
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
