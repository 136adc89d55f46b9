//! Commands that run at the same time: how many, whose failure is told, and that nothing is left
//! of the others.

use std::fs;
use std::time::Instant;

use credimg::manifest::Source;

use super::commands::{GROUP, assert_named_group_gone, shell};
use super::*;

use crate::support::host::{assert_done, stderr};

/// What a build is made with that runs so many commands at a time.
fn with_jobs(jobs: usize) -> Settings {
    Settings { commands: Limits { jobs, ..limits() }, ..settings() }
}

/// Waits until so many commands have come here; each is to have a number of its own.
fn meet(number: usize, commands: usize) -> String {
    format!(
        "mkdir -p met; touch met/{number}; \
         until [ $(ls met | wc -l) -ge {commands} ]; do sleep 0.01; done"
    )
}

/// Waits for a file.
fn await_file(name: &str) -> String {
    format!("until [ -s {name} ]; do sleep 0.01; done")
}

/// A shell script that first notes the process group that it leads.
fn leading(host: &Host, name: &str, script: &str) -> Source {
    shell(host, &format!("{GROUP} > {name}; {script}"))
}

#[test]
fn as_many_run_at_a_time_as_are_wanted_and_no_more() {
    for (jobs, commands) in [(1, 3), (3, 9), (4, 20)] {
        let host = Host::empty();
        fs::create_dir(host.path("running")).unwrap();
        let script = |number: usize| {
            // The first ones wait for each other, so that they must run at the same time.
            let meet = if number < jobs { meet(number, jobs) } else { "sleep 0.02".to_owned() };
            let script = format!(
                "touch running/{number}; {meet}; ls running | wc -l >> counts; sleep 0.02; \
                 rm running/{number}; echo {number}"
            );
            entry(&format!("/{number}"), shell(&host, &script))
        };
        let plan = plan((0..commands).map(script).collect());
        let tree = assemble(&plan, &with_jobs(jobs), &mut |_| {}).unwrap().tree;
        for number in 0..commands {
            let expected = format!("{number}\n");
            assert_eq!(read(&tree, &format!("/{number}")), expected.as_bytes());
        }
        let counts = fs::read_to_string(host.path("counts")).unwrap();
        let counts: Vec<usize> = counts.lines().map(|line| line.trim().parse().unwrap()).collect();
        assert_eq!(counts.len(), commands);
        assert_eq!(counts.iter().max(), Some(&jobs), "{counts:?}");
    }
}

#[test]
fn all_that_runs_a_command_runs_side_by_side_into_the_same_image() {
    let meet = |number| format!("{}; echo {number}", meet(number, 4));
    let manifest = format!(
        "files: [{{path: /a, shell: '{}'}}, {{path: /text, text: x}}]\n\
         credentials: [{{name: b, via: disk, shell: '{}'}}]\n\
         fw_cfg: [{{name: opt/org.example/c, shell: '{}'}}]\n\
         pseudo: ['/d f 400 0 0 {}']\n",
        meet(0),
        meet(1),
        meet(2),
        meet(3)
    );
    let host = Host::new(&manifest);
    let options = ["--uuid", "5c4d5e6f-0000-4000-8000-000000000000", "--mtime", "0"];
    let build = |jobs: &str| {
        assert_done(&host.build(&[&options[..], &["--jobs", jobs]].concat()));
        host.read("out.erofs")
    };
    let image = build("4");
    assert_eq!(host.read("out.erofs.fw_cfg.opt:org.example:c"), b"2\n");
    for (path, expected) in [("/a", "0\n"), ("/credstore/b", "1\n"), ("/d", "3\n")] {
        let output = host.run(&format!("cat out.erofs {path}"));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    }
    // They have met already.
    assert!(build("1") == image && build("2") == image && build("64") == image);
}

#[test]
fn a_failure_stops_the_others_and_is_the_one_told() {
    let host = Host::empty();
    let stubborn = "trap '' HUP INT TERM; sleep 1000 & sleep 1000";
    let waiting = format!("{}; {}; exit 3", await_file("first"), await_file("third"));
    let entries = vec![
        entry("/a", leading(&host, "first", stubborn)),
        entry("/b", shell(&host, &waiting)),
        entry("/c", leading(&host, "third", stubborn)),
        entry("/d", shell(&host, "echo d > fourth; sleep 1000")),
        entry("/e", shell(&host, "touch fifth; echo e")),
    ];
    let started = Instant::now();
    let failure = failure(entries, &with_jobs(4));
    assert_eq!(failure.exit, Exit::Command);
    assert_eq!(failure.message, "files[1] (/b): the shell command exited with status 3");
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_named_group_gone(&host, "first");
    assert_named_group_gone(&host, "third");
    assert!(!host.path("fifth").exists());
}

/// The builder itself is stopped until two of its commands have failed.
#[test]
fn of_failures_at_the_same_moment_the_first_in_the_manifest_is_told() {
    let is_dead = |name: &str| {
        format!("until grep -q '^[0-9]* (.*) Z' /proc/$(cat {name})/stat; do sleep 0.01; done")
    };
    let dying = |name: &str| format!("echo $$ > {name}; {}; exit 7", await_file("stopped"));
    let judge = format!(
        "{}; {}; kill -STOP $PPID; echo y > stopped; {}; {}; kill -CONT $PPID; sleep 1000",
        await_file("first"),
        await_file("second"),
        is_dead("second"),
        is_dead("first"),
    );
    let host = Host::empty();
    host.write("judge", judge);
    host.write("dies-first", dying("first"));
    host.write("dies-second", dying("second"));
    host.write(
        "secrets.yaml",
        "files:\n- {path: /judge, command: [sh, judge]}\n- {path: /a, command: [sh, dies-first]}\n\
         - {path: /b, command: [sh, dies-second]}\n",
    );
    let output = host.build(&[]);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(
        stderr(&output).starts_with("credimg: error: files[1] (/a): sh exited with status 7\n"),
        "{output:?}"
    );
}

#[test]
fn a_program_that_is_missing_stops_those_that_run() {
    let host = Host::empty();
    let argv = vec!["no-such-program".into()];
    let missing = Source::Command { argv, directory: host.path(""), is_shell: false, trim: false };
    let entries = vec![
        // Only once it has said so does the next one have its turn.
        entry("/a", leading(&host, "first", "sleep 1000 & echo a; sleep 1000")),
        entry("/b", shell(&host, &format!("{}; echo b", await_file("first")))),
        entry("/c", missing),
    ];
    let failure = failure(entries, &with_jobs(2));
    let expected = "files[2] (/c): no-such-program cannot be started: no such file or directory";
    assert_eq!(failure.message, expected);
    assert_named_group_gone(&host, "first");
}

#[test]
fn a_signal_ends_all_commands() {
    if !alone(concat!(module_path!(), "::a_signal_ends_all_commands")) {
        return;
    }
    credimg::host::signals::install().unwrap();
    let host = Host::empty();
    let names = ["first", "second", "third"];
    let mut entries: Vec<_> = (names.iter().enumerate())
        .map(|(index, name)| entry(&format!("/{index}"), leading(&host, name, "sleep 1000")))
        .collect();
    let waits = names.map(await_file).join("; ");
    entries.push(entry("/last", shell(&host, &format!("{waits}; kill -TERM $PPID; sleep 1000"))));
    let started = Instant::now();
    let failure = build(entries).unwrap_err();
    assert_eq!(failure.message, "interrupted by SIGTERM");
    assert!(started.elapsed() < Duration::from_secs(20));
    for name in names {
        assert_named_group_gone(&host, name);
    }
}

/// Together they take longer than one may.
#[test]
fn the_time_of_each_begins_with_its_own_start() {
    let host = Host::empty();
    let entries = (0..8).map(|n| entry(&format!("/{n}"), shell(&host, "sleep 0.75; echo x")));
    let commands = Limits { jobs: 2, timeout: Duration::from_millis(2900), ..limits() };
    let settings = Settings { commands, ..settings() };
    assemble(&plan(entries.collect()), &settings, &mut |_| {}).unwrap();
}

#[test]
fn what_stands_before_the_first_command_fails_before_it_runs() {
    let host = Host::empty();
    let ran = || entry("/b", shell(&host, "touch ran; echo b"));
    let missing = || entry("/a", Source::File(host.path("missing")));
    let failure_of = |entries| failure(entries, &settings()).message;
    assert_contains(&failure_of(vec![missing(), ran()]), "files[0] (/a): cannot read");
    assert!(!host.path("ran").exists());
    // Behind the first one stands what fails once it has run.
    assert_contains(&failure_of(vec![ran(), missing()]), "files[1] (/a): cannot read");
    assert!(host.path("ran").exists());
}

#[test]
fn a_file_is_read_when_the_commands_before_it_are_done() {
    for jobs in [1, 4] {
        let host = Host::empty();
        let entries = vec![
            entry("/a", shell(&host, "sleep 0.1; echo made > file; echo a")),
            entry("/b", Source::File(host.path("file"))),
            entry("/c", shell(&host, "echo c")),
        ];
        let tree = assemble(&plan(entries), &with_jobs(jobs), &mut |_| {}).unwrap().tree;
        assert_eq!(read(&tree, "/b"), b"made\n", "{jobs}");
    }
}

#[test]
fn with_their_standard_error_they_run_one_at_a_time() {
    let said = |name: &str| format!("printf {name}1 >&2; sleep 0.1; echo {name}2 >&2; echo x");
    let manifest = format!(
        "files: [{{path: /a, shell: '{}'}}, {{path: /b, shell: '{}'}}]\n",
        said("a"),
        said("b")
    );
    let output = Host::new(&manifest).build(&["--command-stderr", "--quiet", "--jobs", "4"]);
    assert_done(&output);
    assert_eq!(stderr(&output), "a1a2\nb1b2\n");
}

#[test]
fn a_number_of_jobs_is_between_1_and_64() {
    let host = Host::new("files: []\n");
    for (jobs, code) in [("0", 2), ("1", 0), ("64", 0), ("65", 2), ("", 2), ("-1", 2)] {
        let output = host.build(&[&format!("--jobs={jobs}")]);
        assert_eq!(output.status.code(), Some(code), "{jobs}: {output:?}");
    }
}

#[test]
fn what_all_commands_print_counts_together() {
    let host = Host::empty();
    // Each prints as much as one may, and 16 of them as much as all may.
    let entry = |n| entry(&format!("/{n}"), shell(&host, "head -c 16777216 /dev/zero"));
    let failure = failure((0..17).map(entry).collect(), &with_jobs(2));
    assert_eq!(failure.exit, Exit::Source);
    assert_contains(&failure.message, "takes more than 256 MiB of memory in all");
}
