//! `command:` and `shell:` sources: what they print, and that nothing is left of them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use credimg::manifest::Source;

use super::*;

fn command(host: &Host, argv: &[&str]) -> Source {
    let argv = argv.iter().map(OsString::from).collect();
    Source::Command { argv, directory: host.path(""), is_shell: false, trim: false }
}

pub(super) fn shell(host: &Host, script: &str) -> Source {
    let argv = ["/bin/sh", "-c", script].map(OsString::from).to_vec();
    Source::Command { argv, directory: host.path(""), is_shell: true, trim: false }
}

fn trimmed(source: Source) -> Source {
    match source {
        Source::Command { argv, directory, is_shell, .. } => {
            Source::Command { argv, directory, is_shell, trim: true }
        }
        other => other,
    }
}

/// The processes of a group that still run, by what the kernel says of each.
fn running(group: &str) -> usize {
    let stats = fs::read_dir("/proc").unwrap().filter_map(|found| {
        let path = found.unwrap().path().join("stat");
        let text = fs::read_to_string(path).ok()?;
        let fields = text.rsplit_once(") ")?.1.to_owned();
        Some(fields)
    });
    // After the name: state, parent, process group.
    let fields = stats.map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>());
    fields.filter(|fields| fields[2] == group && !"ZX".contains(&fields[0])).count()
}

/// Asserts that the group whose leader wrote its number to `leader` is gone, or
/// goes within moments: it was killed, and dies when the kernel gets to it.
#[track_caller]
fn assert_gone(host: &Host) {
    assert_named_group_gone(host, "leader");
}

/// Asserts that the group whose leader wrote its number to the file `name` is gone, or goes within
/// moments.
#[track_caller]
pub(super) fn assert_named_group_gone(host: &Host, name: &str) {
    let group = fs::read_to_string(host.path(name)).unwrap().trim().to_owned();
    assert!(!group.is_empty());
    let started = Instant::now();
    while running(&group) > 0 {
        assert!(started.elapsed() < Duration::from_secs(5), "group {group} is still there");
        std::thread::yield_now();
    }
}

/// Prints the process group of a shell, as /proc tells it.
pub(super) const GROUP: &str = "cut -d' ' -f5 /proc/$$/stat";

/// A shell script that first says who leads its group.
fn leading(host: &Host, script: &str) -> Source {
    shell(host, &format!("{GROUP} > leader; : {CANARY}; {script}"))
}

fn fails(source: Source, settings: &Settings) -> String {
    let failure = failure(vec![entry("/a", source)], settings);
    assert_eq!(failure.exit, Exit::Command);
    assert!(failure.hint.is_some(), "no hint for {}", failure.message);
    failure.message.strip_prefix("files[0] (/a): ").unwrap().to_owned()
}

#[test]
fn output_is_the_file() {
    let host = Host::empty();
    host.write("key", "from the manifest's directory\n");
    let entries = vec![
        entry("/argv", command(&host, &["printf", "%s|", "a b", "$HOME", ""])),
        entry("/cwd", command(&host, &["cat", "key"])),
        entry("/shell", shell(&host, "cat key | tr a-z A-Z")),
        entry("/trimmed", trimmed(shell(&host, "printf 'x\\n\\n'"))),
        entry("/binary", shell(&host, "head -c 3000000 /dev/zero")),
    ];
    let tree = build(entries).unwrap();
    assert_eq!(read(&tree, "/argv"), b"a b|$HOME||");
    assert_eq!(read(&tree, "/cwd"), b"from the manifest's directory\n");
    assert_eq!(read(&tree, "/shell"), b"FROM THE MANIFEST'S DIRECTORY\n");
    assert_eq!(read(&tree, "/trimmed"), b"x\n");
    assert_eq!(read(&tree, "/binary"), vec![0; 3_000_000]);
}

#[test]
fn a_command_has_no_input() {
    if !alone(concat!(module_path!(), "::a_command_has_no_input")) {
        return;
    }
    let host = Host::empty();
    let source = command(&host, &["readlink", "/proc/self/fd/0"]);
    assert_eq!(read(&build(vec![entry("/a", source)]).unwrap(), "/a"), b"/dev/null\n");
}

#[test]
fn commands_run_in_order_and_one_at_a_time_where_that_is_wanted() {
    let host = Host::empty();
    let append = |n: usize| shell(&host, &format!("echo {n} >> log; cat log"));
    let entries = (1..=5).map(|n| entry(&format!("/{}", 9 - n), append(n))).collect();
    let settings = Settings { commands: Limits { jobs: 1, ..limits() }, ..settings() };
    let tree = assemble(&plan(entries), &settings, &mut |_| {}).unwrap().tree;
    assert_eq!(read(&tree, "/4"), b"1\n2\n3\n4\n5\n");
}

#[test]
fn a_relative_manifest_means_the_working_directory() {
    let argv = vec![OsString::from("pwd")];
    let source = Source::Command { argv, directory: PathBuf::new(), is_shell: false, trim: true };
    let tree = build(vec![entry("/a", source)]).unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(read(&tree, "/a"), here.as_os_str().as_encoded_bytes());
}

#[test]
fn a_command_that_fails_is_named_without_its_arguments() {
    let host = Host::empty();
    let canary = format!("echo {CANARY}; echo {CANARY} >&2; exit 3");
    let script = host.write("not-executable", "");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    let cases = [
        (command(&host, &["false", CANARY]), "false exited with status 1"),
        (command(&host, &["sh", "-c", &canary]), "sh exited with status 3"),
        (shell(&host, &canary), "the shell command exited with status 3"),
        (shell(&host, "kill -KILL $$"), "the shell command was killed by SIGKILL"),
        (
            command(&host, &["no-such-program", CANARY]),
            "no-such-program cannot be started: no such file or directory",
        ),
        (
            command(&host, &["./not-executable", CANARY]),
            "./not-executable cannot be started: permission denied",
        ),
        (
            command(&host, &[&format!("echo {CANARY}")]),
            "the command cannot be started: no such file or directory",
        ),
        (
            command(&host, &["echo", &format!("{CANARY}\0")]),
            "echo cannot be started: invalid input parameter",
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(fails(source, &settings()), expected);
    }
}

#[test]
fn no_output_is_a_failure() {
    let host = Host::empty();
    assert_eq!(fails(command(&host, &["true"]), &settings()), "true printed nothing");
    let newline = trimmed(shell(&host, "echo"));
    assert_eq!(fails(newline, &settings()), "the shell command printed nothing");
    let failure = failure(vec![entry("/a", shell(&host, "echo no >&2"))], &settings());
    assert_contains(&failure.hint.unwrap(), "--command-stderr");
}

#[test]
fn a_silent_command_is_stopped_in_time_with_its_group() {
    let host = Host::empty();
    let source = leading(&host, "sleep 1000 & sleep 1000");
    let started = Instant::now();
    let message = fails(source, &with_timeout(Duration::from_millis(300)));
    assert_eq!(message, "the shell command did not finish within 300ms");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_gone(&host);
}

#[test]
fn a_command_that_closed_its_output_is_waited_for_in_time() {
    let host = Host::empty();
    let done = leading(&host, "echo early; exec >&-; sleep 0.2; echo done > proof");
    assert_eq!(read(&build(vec![entry("/a", done)]).unwrap(), "/a"), b"early\n");
    assert!(host.path("proof").exists());
    assert_gone(&host);
    let silent = leading(&host, "echo early; exec >&-; sleep 1000");
    let message = fails(silent, &with_timeout(Duration::from_millis(300)));
    assert_contains(&message, "did not finish within 300ms");
    assert_gone(&host);
}

#[test]
fn an_endless_command_is_stopped_at_the_cap() {
    let host = Host::empty();
    let started = Instant::now();
    let message = fails(leading(&host, "yes"), &settings());
    assert_eq!(message, "the shell command printed more than 16777216 bytes");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_gone(&host);
}

#[test]
fn the_cap_itself_is_allowed() {
    let host = Host::empty();
    let limits = Limits { output_max_bytes: 1000, ..limits() };
    let settings = Settings { commands: limits, ..settings() };
    let exact = plan(vec![entry("/a", command(&host, &["head", "-c", "1000", "/dev/zero"]))]);
    assert_eq!(read(&assemble(&exact, &settings, &mut |_| {}).unwrap().tree, "/a").len(), 1000);
    let message = fails(command(&host, &["head", "-c", "1001", "/dev/zero"]), &settings);
    assert_eq!(message, "head printed more than 1000 bytes");
}

#[test]
fn a_grandchild_does_not_outlive_a_command_that_succeeds() {
    let host = Host::empty();
    let source = leading(&host, "sleep 1000 > /dev/null & echo done");
    let tree = build(vec![entry("/a", source)]).unwrap();
    assert_eq!(read(&tree, "/a"), b"done\n");
    assert_gone(&host);
}

#[test]
fn a_grandchild_that_holds_the_output_cannot_hang_the_build() {
    let host = Host::empty();
    let source = leading(&host, "echo done; sleep 1000 & exit 0");
    let started = Instant::now();
    let message = fails(source, &with_timeout(Duration::from_millis(300)));
    assert_contains(&message, "a process that it started held its output open for 300ms");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_gone(&host);
}

#[test]
fn a_failure_is_told_at_once_though_a_grandchild_holds_the_output() {
    let host = Host::empty();
    let started = Instant::now();
    let message = fails(leading(&host, "sleep 1000 & exit 7"), &settings());
    assert_eq!(message, "the shell command exited with status 7");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_gone(&host);
}

#[test]
fn a_command_that_stops_as_if_on_the_terminal_is_told_at_once() {
    let host = Host::empty();
    let started = Instant::now();
    let message = fails(leading(&host, "kill -STOP $$"), &settings());
    assert_contains(&message, "was stopped, as if it asked on the terminal");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_gone(&host);
}

#[test]
fn a_signal_ends_the_build_and_the_command() {
    if !alone(concat!(module_path!(), "::a_signal_ends_the_build_and_the_command")) {
        return;
    }
    credimg::host::signals::install().unwrap();
    let host = Host::empty();
    let source = leading(&host, "kill -TERM $PPID; sleep 1000");
    let started = Instant::now();
    let failure = build(vec![entry("/a", source)]).unwrap_err();
    assert_eq!(failure.exit, Exit::Interrupted);
    assert_eq!(failure.message, "interrupted by SIGTERM");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_gone(&host);
}
