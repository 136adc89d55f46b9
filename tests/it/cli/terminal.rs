//! What a terminal sees, and what goes into pipes and files instead.

use super::*;

/// Bytes that begin every escape sequence.
const ESCAPE: char = '\u{1b}';

/// What a terminal of this name sees of a line of the shell that runs `credimg`.
fn on_a_terminal(host: &Host, term: &str, line: &str) -> String {
    let program = env!("CARGO_BIN_EXE_credimg");
    let line = line.replace("credimg", program);
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(host.path(""));
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        script.env_remove(variable);
    }
    stdout(&script.env("TERM", term).stdin(Stdio::null()).output().unwrap())
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let host = Host::new("files: [{path: /a, test: x}]\n");
    for command in ["check secrets.yaml", "biuld", "check --help", "--help", ""] {
        for (term, before, behind, expected) in [
            ("xterm", "", "", true),
            ("xterm", "", "2>&1 | cat", false),
            ("xterm", "", ">out 2>&1; cat out", false),
            ("dumb", "", "", false),
            ("xterm", "NO_COLOR=1", "", false),
            ("xterm", "", "--color never", false),
            ("xterm", "", "--color=always 2>&1 | cat", true),
            ("xterm", "CLICOLOR_FORCE=1", "2>&1 | cat", true),
        ] {
            let line = format!("{before} credimg {command} {behind}");
            let seen = on_a_terminal(&host, term, &line);
            assert!(!seen.is_empty(), "{line}");
            assert_eq!(seen.contains(ESCAPE), expected, "{term}: {line}: {seen:?}");
        }
    }
}

#[test]
fn the_word_alone_is_coloured() {
    let host = Host::empty();
    let seen = on_a_terminal(&host, "xterm", "credimg check secrets.yaml");
    let first = "credimg: \u{1b}[1;31merror:\u{1b}[0m secrets.yaml: cannot read the manifest: ";
    assert!(seen.starts_with(first), "{seen:?}");
}
