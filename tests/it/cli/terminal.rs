//! What a terminal sees, and what goes into pipes and files instead.

use std::io::Read;

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

/// What wipes the line.
const WIPED: &str = "\r\u{1b}[2K";

#[test]
fn a_terminal_sees_which_entry_waits_for_which_command() {
    let manifest = format!("files: [{{path: /api/token, shell: 'sleep 2.5; echo {CANARY}'}}]\n");
    let host = Host::new(&manifest);
    let line = "credimg build secrets.yaml -o out.erofs";
    let seen = on_a_terminal(&host, "xterm", line);
    for seconds in [1, 2] {
        let running =
            format!("running the shell command for /api/token: {seconds} s (entry 1 of 1)");
        assert_eq!(seen.matches(&running).count(), 1, "{seen:?}");
    }
    // The line is gone, and the summary stands alone on its own.
    assert!(seen.contains(&format!("{WIPED}wrote out.erofs: ")), "{seen:?}");
    assert!(!seen.contains(CANARY), "{seen:?}");

    for (term, line) in [
        ("xterm", format!("{line} 2>&1 | cat")),
        ("xterm", format!("{line} 2>out; cat out")),
        ("xterm", format!("{line} --quiet")),
        ("dumb", line.to_owned()),
    ] {
        let seen = on_a_terminal(&host, term, &line);
        assert!(!seen.contains(ESCAPE) && !seen.contains("running"), "{line}: {seen:?}");
        assert!(seen.contains("-drive if=none"), "{line}: {seen:?}");
    }
}

#[test]
fn of_several_commands_the_oldest_is_shown_with_their_number() {
    let host = Host::new(
        "files:\n- {path: /a, shell: 'sleep 1.5; echo x'}\n- {path: /b, text: x}\n\
         - {path: /c, shell: 'sleep 3.2; echo x'}\n- {path: /d, shell: 'sleep 1.5; echo x'}\n",
    );
    let seen = on_a_terminal(&host, "xterm", "credimg build secrets.yaml -o out.erofs");
    for expected in [
        "running the shell command for /a: 1 s (entry 1 of 4), and 2 more",
        "running the shell command for /c: 2 s (entry 3 of 4)",
    ] {
        assert!(seen.contains(expected), "{expected}: {seen:?}");
    }
    assert!(!seen.contains("for /c: 2 s (entry 3 of 4), and"), "{seen:?}");
}

/// The agent of a command, which is none of its processes, asks for a passphrase: gpg-agent does
/// that, and ssh-agent. The line is not drawn over it.
#[test]
fn a_passphrase_is_asked_for_in_peace() {
    let agent = "until [ -e asks ]; do sleep 0.1; done; stty -F /dev/tty -echo; printf 'Passphrase: '; \
                 touch asked; sleep 2.5; stty -F /dev/tty echo; echo; \
                 touch unlocked";
    let command = "sleep 1.5; touch asks; until [ -e unlocked ]; do sleep 0.1; done; echo x";
    let host = Host::new(&format!("files: [{{path: /a, shell: '{command}'}}]\n"));
    let line = format!("({agent}) & credimg build secrets.yaml -o out.erofs");
    let seen = on_a_terminal(&host, "xterm", &line);
    assert!(seen.contains("for /a: 1 s"), "{seen:?}");
    let (_, behind) = seen.split_once("Passphrase: ").unwrap();
    // Not even a part of the line, until the newline that follows the answer.
    assert!(behind.starts_with("\r\n"), "{seen:?}");
    assert!(behind.contains("wrote out.erofs: "), "{seen:?}");
}

#[test]
fn messages_and_what_commands_say_stand_on_lines_of_their_own() {
    let host = Host::new(
        "files:\n- {path: /a, shell: 'sleep 1.5; echo x'}\n\
         - {path: /b, shell: 'echo said >&2; echo x'}\n- {path: /l, symlink: nowhere}\n",
    );
    let line = "credimg build secrets.yaml -o out.erofs --command-stderr";
    let seen = on_a_terminal(&host, "xterm", line);
    assert!(!seen.contains("running"), "{seen:?}");
    let line = "credimg build secrets.yaml -o out.erofs --color never";
    let seen = on_a_terminal(&host, "xterm", line);
    assert!(seen.contains("running"), "{seen:?}");
    assert!(seen.contains(&format!("{WIPED}credimg: warning: ")), "{seen:?}");
}

/// A file with this many bytes that are no hole, on a disk that is slow enough.
fn large(host: &Host, name: &str, length_bytes: u64) {
    let mut file = fs::File::create(host.path(name)).unwrap();
    std::io::copy(&mut std::io::repeat(1).take(length_bytes), &mut file).unwrap();
}

#[test]
fn bytes_that_are_written_are_told_with_rate_and_time_left() {
    let host = Host::new("files: [{path: /large, file: large}]\n");
    large(&host, "large", 64 << 20);
    // A reader that takes its time, most of all at the start.
    let line = "credimg build secrets.yaml --format erofs -o - | python3 slow.py";
    let slow = "import sys, time\n\
                time.sleep(1.5)\n\
                while sys.stdin.buffer.read(4 << 20): time.sleep(0.2)\n";
    host.write("slow.py", slow);
    let seen = on_a_terminal(&host, "xterm", line);
    let drawn = seen.split(WIPED).find(|drawn| drawn.contains("writing: ")).expect(&seen);
    for part in [" MiB of 64.01 MiB, ", "/s, ", "s left"] {
        assert!(drawn.contains(part), "{part}: {drawn:?}");
    }
    // It reads 20 MiB a second, and nothing at first.
    let rate = drawn.split(", ").nth(1).and_then(|rate| rate.strip_suffix(" MiB/s")).expect(drawn);
    assert!((0.5..200.0).contains(&rate.parse::<f64>().unwrap()), "{drawn}");
    assert!(
        seen.ends_with(&format!("{WIPED}wrote standard output: erofs, 1 file, 64 MiB\r\n")),
        "{seen:?}"
    );
}

/// The names in an image may be those of a stranger. Each of these is in UTF-8 what it says.
#[test]
fn no_report_drives_a_terminal() {
    const NAME: &str = "a\u{7f}\u{9b}2J\u{202e}\u{e0001}é'";
    let host = Host::new("files: [{path: /d, dir: d}]\n");
    host.write(Path::new("d").join(NAME), "x");
    host.write("named.yaml", format!("files: [{{path: '/d/{}', text: x}}]\n", "b\u{202e}"));
    for (image, source) in [("a.erofs", "secrets.yaml"), ("b.erofs", "named.yaml")] {
        assert!(host.run(&format!("build {source} -o {image} -q")).status.success());
    }
    for (command, name) in [
        ("ls a.erofs -R --json", NAME),
        ("diff a.erofs b.erofs --json", NAME),
        ("verify a.erofs --manifest named.yaml --json", NAME),
        ("check named.yaml --json", "b\u{202e}"),
    ] {
        let shown = stdout(&host.run(command));
        let kept = |character: char| character == 'é' || matches!(character, ' '..='~' | '\n');
        assert!(shown.chars().all(kept), "{command}: {shown:?}");
        let report: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let path = format!("/d/{name}");
        let lists = ["entries", "differences"].map(|name| report[name].as_array());
        let mut told = lists.into_iter().flatten().flatten();
        assert!(told.any(|it| it["path"] == path.as_str()), "{command}: {report}");
    }
}
