//! The options of every command.

use clap::{Arg, Command, CommandFactory};

use super::{FIRST, table};

/// Options that came after the first version: command, option, version.
const LATER: [(&str, &str, &str); 0] = [];
const HEADER: [&str; 4] = ["argument", "meaning", "default", "since"];

/// One table a command, and one of what every command takes.
pub(super) fn tables() -> Vec<(String, String)> {
    let mut program = credimg::commands::Cli::command();
    program.build();
    let everywhere = program.get_arguments().filter(|argument| argument.is_global_set());
    let rows = everywhere.map(|argument| row("credimg", argument));
    let mut tables = vec![("options of every command".to_owned(), table(HEADER, rows))];
    of_subcommands(&program, &mut tables);
    tables
}

fn of_subcommands(command: &Command, tables: &mut Vec<(String, String)>) {
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        if command.has_subcommands() {
            of_subcommands(command, tables);
        } else {
            let path = command.get_bin_name().unwrap();
            tables.push((format!("options of {path}"), of_command(path, command)));
        }
    }
}

fn of_command(path: &str, command: &Command) -> String {
    let is_shown = |argument: &&Arg| {
        !argument.is_hide_set() && !argument.is_global_set() && argument.get_id() != "help"
    };
    let arguments: Vec<_> = command.get_arguments().filter(is_shown).collect();
    let (places, options): (Vec<&Arg>, Vec<&Arg>) =
        arguments.into_iter().partition(|argument| argument.is_positional());
    let rows = places.into_iter().chain(options).map(|argument| row(path, argument));
    table(HEADER, rows)
}

fn row(path: &str, argument: &Arg) -> [String; 4] {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    // A default that no single value stands for is told at the end of the help.
    let (meaning, told) = match help.rsplit_once(" [default: ") {
        Some((meaning, default)) => (meaning.to_owned(), default.trim_end_matches(']').to_owned()),
        None => (help, String::new()),
    };
    let defaults: Vec<_> = argument.get_default_values().iter().map(|it| it.display()).collect();
    let has_default = argument.get_action().takes_values() && !defaults.is_empty();
    let default = match (argument.is_required_set(), has_default) {
        (true, _) => "required".to_owned(),
        (false, true) => format!("`{}`", defaults[0]),
        (false, false) => told,
    };
    let name = names(argument);
    let later = LATER.iter().find(|(command, option, _)| *command == path && name.contains(option));
    let since = later.map_or(FIRST, |(_, _, version)| version);
    [name, meaning + &values(argument), default, since.to_owned()]
}

/// How it is written, with its value.
fn names(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let value = names.first().map(ToString::to_string).unwrap_or_default();
    if argument.is_positional() {
        return format!("`{value}`");
    }
    let long = argument.get_long().map(|long| format!("--{long}"));
    let short = argument.get_short().map(|short| format!("-{short}"));
    let value = match argument.get_action().takes_values() {
        true if argument.is_require_equals_set() => format!("[={value}]"),
        true => format!(" {value}"),
        false => String::new(),
    };
    let written: Vec<_> = short.into_iter().chain(long).collect();
    format!("`{}{value}`", written.join("`, `"))
}

/// What it may be, with what that means.
fn values(argument: &Arg) -> String {
    if !argument.get_action().takes_values() || argument.is_hide_possible_values_set() {
        return String::new();
    }
    let values = argument.get_possible_values();
    let told = values.iter().map(|value| match value.get_help() {
        Some(help) => format!("`{}`: {help}", value.get_name()),
        None => format!("`{}`", value.get_name()),
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { String::new() } else { format!("<br>{}", told.join("<br>")) }
}
