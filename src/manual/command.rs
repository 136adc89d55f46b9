//! The pages of the program and its commands.

use clap::{Arg, ArgAction, Command};
use roff::{Inline, bold, italic, roman};

use super::page::Page;
use super::prose;
use crate::report::Exit;

/// The page of the program itself.
const PROGRAM: &str = "credimg";
/// How a sentence about exit codes begins in a help.
const EXITS: &str = "Exit codes: ";
/// How the examples in a help begin.
const EXAMPLES: [&str; 2] = ["Example:\n", "Examples:\n"];

/// The page of `command` and of all below it.
pub(super) fn pages(command: &Command) -> Vec<Page> {
    let below = subcommands(command).flat_map(pages);
    std::iter::once(page(command)).chain(below).collect()
}

/// The name of the page.
fn name(command: &Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).replace(' ', "-")
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|it| it.get_name() != "help" && !it.is_hide_set())
}

fn page(command: &Command) -> Page {
    let name = name(command);
    let mut page = Page::new(&name, 1, &summary(command));
    page.heading("SYNOPSIS");
    page.text(&synopsis(command));
    let prose = prose::of(&name);
    page.heading("DESCRIPTION");
    page.raw(prose.description);
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (examples, notes): (Vec<_>, Vec<_>) = parts(&help).partition(|part| is_examples(part));
    let (exits, notes): (Vec<_>, Vec<_>) =
        notes.into_iter().partition(|note| note.starts_with(EXITS));
    for note in notes {
        add_note(&mut page, note);
    }
    add_subcommands(&mut page, command);
    add_arguments(&mut page, command);
    add_exits(&mut page, &name, exits.first().copied());
    page.raw(prose.sections);
    if !examples.is_empty() || !prose.examples.is_empty() {
        page.heading("EXAMPLES");
    }
    for example in examples.iter().flat_map(|part| of_part(part)) {
        add_example(&mut page, &example);
    }
    page.raw(prose.examples);
    page.heading("SEE ALSO");
    if name != PROGRAM {
        page.raw(".BR credimg (1),\n");
    }
    page.raw(prose.see_also);
    page
}

/// What it does, as the list of all pages has it: with a small letter and without a full stop.
fn summary(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut letters = about.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// How it is called, with the fonts of a manual page.
fn synopsis(command: &Command) -> Vec<Inline> {
    let usage = command.clone().render_usage().to_string();
    let mut inlines = Vec::new();
    for word in usage.trim_start_matches("Usage:").split_whitespace() {
        if !inlines.is_empty() {
            inlines.push(roman(" "));
        }
        let (word, repeats) = match word.strip_suffix("...") {
            Some(word) => (word, " ..."),
            None => (word, ""),
        };
        let inside = |open, close| word.strip_prefix(open)?.strip_suffix(close);
        match (inside('<', '>'), inside('[', ']')) {
            (Some(value), _) => inlines.push(italic(value)),
            (_, Some(value)) => inlines.extend([roman("["), italic(value), roman("]")]),
            (None, None) => inlines.push(bold(word)),
        }
        inlines.push(roman(repeats));
    }
    inlines
}

/// The paragraphs of the text below a command's options.
fn parts(help: &str) -> impl Iterator<Item = &str> {
    // An example may have several lines, but no empty one.
    help.split("\n\n").filter(|part| !part.is_empty())
}

fn is_examples(part: &str) -> bool {
    EXAMPLES.iter().any(|heading| part.starts_with(heading))
}

/// A paragraph; what is indented in it is to be copied.
fn add_note(page: &mut Page, note: &str) {
    let (copied, filled): (Vec<_>, Vec<_>) = note.lines().partition(|line| line.starts_with("  "));
    page.paragraph(&filled.join(" "));
    if !copied.is_empty() {
        page.example(&copied.iter().map(|line| line.trim_start()).collect::<Vec<_>>());
    }
}

fn add_subcommands(page: &mut Page, command: &Command) {
    if subcommands(command).next().is_none() {
        return;
    }
    page.heading("COMMANDS");
    for below in subcommands(command) {
        let head = [bold(below.get_name()), roman("  ("), bold(name(below)), roman("(1))")];
        let about = below.get_about().map(ToString::to_string).unwrap_or_default();
        page.item(&head, &format!("{about}."));
    }
}

fn add_arguments(page: &mut Page, command: &Command) {
    let is_shown = |argument: &&Arg| !argument.is_hide_set();
    let mut shown: Vec<_> = command.get_arguments().filter(is_shown).collect();
    // As in help: those of every command stand last.
    shown.sort_by_key(|argument| (is_built_in(argument), argument.is_global_set()));
    let (places, options): (Vec<&Arg>, Vec<&Arg>) =
        shown.into_iter().partition(|argument| argument.is_positional());
    for (heading, arguments) in [("ARGUMENTS", places), ("OPTIONS", options)] {
        if arguments.is_empty() {
            continue;
        }
        page.heading(heading);
        for argument in arguments {
            add_argument(page, argument);
        }
    }
}

/// Whether it is an option of the parser's own: for help, or the version.
fn is_built_in(argument: &Arg) -> bool {
    use ArgAction::{Help, HelpLong, HelpShort, Version};
    matches!(argument.get_action(), Help | HelpLong | HelpShort | Version)
}

fn add_argument(page: &mut Page, argument: &Arg) {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let takes_values = argument.get_action().takes_values();
    let mut body = format!("{}.", help.trim_end_matches('.'));
    // A default that is told in words stands at the end of the help.
    if let Some((meaning, default)) = help.trim_end_matches(']').rsplit_once(" [default") {
        body = format!("{}. Default{default}.", meaning.trim_end_matches('.'));
    }
    let default = argument.get_default_values().first().filter(|_| takes_values);
    if let Some(default) = default.and_then(|it| it.to_str()) {
        body = format!("{body} Default: `{default}`.");
    }
    page.item(&head(argument), &body);
    let lists = takes_values && !argument.is_hide_possible_values_set();
    let values = if lists { argument.get_possible_values() } else { Vec::new() };
    for value in values.iter().filter(|value| !value.is_hide_set()) {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        page.add_line(value.get_name(), &help);
    }
}

/// All codes on the page of the program; elsewhere those that the command's help explains.
fn add_exits(page: &mut Page, name: &str, note: Option<&str>) {
    page.heading("EXIT STATUS");
    if name == PROGRAM {
        page.paragraph("Each code says the same in every command.");
        page.item(&[bold("0")], &sentence(Exit::DONE));
        for exit in Exit::ALL {
            page.item(&[bold((exit as u8).to_string())], &sentence(exit.meaning()));
        }
        return;
    }
    let list = "says what went wrong: `credimg`(1) has a list.";
    match note.and_then(|note| note.strip_prefix(EXITS)) {
        Some(note) => {
            page.paragraph(&sentence(&note.trim_end_matches('.').replace('\n', " ")));
            page.paragraph(&format!("Any other code {list}"));
        }
        None => page.paragraph(&format!("0 says that all is done. Any other code {list}")),
    }
}

/// Words with a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    format!("{}.", first.chain(letters).collect::<String>())
}

/// How an argument is written, with its value.
fn head(argument: &Arg) -> Vec<Inline> {
    let names = argument.get_value_names().unwrap_or_default();
    let value = names.first().map(ToString::to_string).unwrap_or_default();
    if argument.is_positional() {
        return vec![italic(value)];
    }
    let mut head = Vec::new();
    if let Some(short) = argument.get_short() {
        head.extend([bold(format!("-{short}")), roman(", ")]);
    }
    head.extend(argument.get_long().map(|long| bold(format!("--{long}"))));
    if argument.get_long().is_none() {
        head.pop();
    }
    if !argument.get_action().takes_values() {
        return head;
    }
    if argument.is_require_equals_set() {
        head.extend([roman("[="), italic(value), roman("]")]);
    } else {
        head.extend([roman(" "), italic(value)]);
    }
    head
}

/// An example of a command's help.
struct Example<'a> {
    /// What stands above or behind it, as a comment of the shell.
    remark: Option<&'a str>,
    lines: Vec<&'a str>,
}

/// The examples of one part of a help, each of which may have several lines.
fn of_part(part: &str) -> Vec<Example<'_>> {
    let mut examples: Vec<Example<'_>> = Vec::new();
    let mut continues = false;
    let mut comment = None;
    for line in part.lines().skip(1) {
        let line = line.strip_prefix("  ").unwrap_or(line);
        if let Some(line) = line.strip_prefix("# ") {
            comment = Some(line);
            continue;
        }
        let (code, remark) = match line.split_once("  # ") {
            Some((code, remark)) => (code.trim_end(), Some(remark)),
            None => (line, None),
        };
        match examples.last_mut().filter(|_| continues) {
            Some(example) => {
                example.lines.push(code);
                example.remark = example.remark.or(remark);
            }
            None => examples.push(Example { remark: comment.take().or(remark), lines: vec![code] }),
        }
        continues = ["\\", "&&", "|"].iter().any(|end| code.ends_with(end));
    }
    examples
}

fn add_example(page: &mut Page, example: &Example<'_>) {
    if let Some(remark) = example.remark {
        page.paragraph(&sentence(remark).replace('.', ":"));
    }
    page.example(&example.lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines_and_what_is_said_of_them() {
        let part = "Examples:\n  one\n  # Above\n  two \\\n    more\n  a=$(b) &&\n  c  # behind\n";
        let examples = of_part(part);
        let told: Vec<_> = examples.iter().map(|it| (it.remark, it.lines.join("\n"))).collect();
        let expected = [
            (None, "one".to_owned()),
            (Some("Above"), "two \\\n  more".to_owned()),
            (Some("behind"), "a=$(b) &&\nc".to_owned()),
        ];
        assert_eq!(told, expected);
    }
}
