//! The manual pages: groff and mandoc read them without a complaint, and what stands under
//! EXAMPLES can be copied from the terminal and run.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use crate::documents::shell::search_path;
use crate::support::host::{Host, assert_done, stdout};

/// What an example finds.
const PREPARE: &str = include_str!("pages.sh");
/// The page of the manifest, whose example is one.
const MANIFEST: &str = "credimg-manifest.5";

/// A directory with all pages, and their names.
fn written() -> (Host, Vec<String>) {
    let host = Host::empty();
    fs::create_dir(host.path("pages")).unwrap();
    assert_done(&host.run("man pages"));
    let entries = fs::read_dir(host.path("pages")).unwrap();
    let names: BTreeSet<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.contains("credimg.1") && names.contains(MANIFEST), "{names:?}");
    (host, names.into_iter().collect())
}

/// What a terminal shows of a page.
fn rendered(host: &Host, program: &[&str], name: &str) -> String {
    let mut command = host.command(program[0]);
    command.args(&program[1..]).arg(host.path("pages").join(name));
    command.env("MANWIDTH", "120").env("LC_ALL", "C.UTF-8");
    let output = command.output().unwrap();
    assert_done(&output);
    // Bold and underlined letters are struck over.
    let mut text = String::new();
    for letter in stdout(&output).chars() {
        if letter == '\u{8}' {
            text.pop();
        } else {
            text.push(letter);
        }
    }
    text
}

/// The lines below a heading.
fn section<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = page.lines().skip_while(|line| *line != heading).skip(1);
    lines.take_while(|line| line.is_empty() || line.starts_with(' ')).collect()
}

/// The examples, which are further in than what is said of them.
fn examples(page: &str) -> Vec<String> {
    let mut examples = vec![String::new()];
    for line in section(page, "EXAMPLES") {
        let indent = line.len() - line.trim_start().len();
        match examples.last_mut().unwrap() {
            example if indent >= 9 => {
                let code = line.strip_prefix("           ").or(line.strip_prefix("         "));
                example.push_str(code.unwrap());
                example.push('\n');
            }
            example if example.is_empty() => {}
            _ => examples.push(String::new()),
        }
    }
    examples.retain(|example| !example.is_empty());
    examples
}

#[test]
fn readers_of_pages_have_no_complaint() {
    let (host, names) = written();
    for name in &names {
        let page = host.path("pages").join(name);
        for (program, arguments) in
            [("mandoc", &["-T", "lint"][..]), ("groff", &["-man", "-ww", "-z"])]
        {
            let output = host.command(program).args(arguments).arg(&page).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            assert!(said.is_empty(), "{name}: {}", String::from_utf8_lossy(&said));
        }
    }
}

#[test]
fn every_page_has_its_sections_and_names_pages_that_exist() {
    let (host, names) = written();
    for name in &names {
        let page = rendered(&host, &["mandoc", "-T", "utf8"], name);
        for heading in ["NAME", "DESCRIPTION", "EXAMPLES", "SEE ALSO"] {
            let words: usize =
                section(&page, heading).iter().map(|line| line.split_whitespace().count()).sum();
            assert!(words > 0, "{name} says nothing in {heading}");
        }
        let words = page.split(|it: char| it.is_whitespace() || ",.:".contains(it));
        let ours = words.map(|word| word.trim_start_matches('(')).filter(|word| {
            word.starts_with("credimg") && (word.contains("(1)") || word.contains("(5)"))
        });
        for word in ours {
            let file = word.trim_end_matches(')').replace('(', ".");
            let file = file.trim_end_matches(')');
            assert!(names.iter().any(|name| name == file), "{name} names {word}");
        }
    }
}

#[test]
fn how_a_command_is_called_is_what_its_help_says() {
    let (host, _) = written();
    for (name, expected) in [
        ("credimg-exec.1", "credimg exec MANIFEST [OPTIONS] -- PROGRAM [ARG] ..."),
        ("credimg-secret-wrap.1", "credimg secret wrap [OPTIONS] --master-key FILE --id ID"),
        ("credimg-build.1", "credimg build [OPTIONS] --output IMAGE MANIFEST"),
    ] {
        let page = rendered(&host, &["mandoc", "-T", "utf8"], name);
        assert_eq!(section(&page, "SYNOPSIS").join("").trim(), expected);
    }
}

#[test]
fn examples_are_copied_from_the_page_and_run() {
    let (host, names) = written();
    let mut waiting = Vec::new();
    for name in &names {
        let copied = examples(&rendered(&host, &["mandoc", "-T", "utf8", "-O", "width=120"], name));
        assert_eq!(examples(&rendered(&host, &["man", "-l"], name)), copied, "{name}");
        assert!(!copied.is_empty(), "{name} has no example");
        waiting.extend(copied.into_iter().map(|example| (name.clone(), example)));
    }
    let (waiting, problems) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((name, example)) = waiting.lock().unwrap().pop() else { break };
                    problems.lock().unwrap().extend(problem(&name, &example));
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// What is wrong with an example.
fn problem(name: &str, example: &str) -> Option<String> {
    let host = Host::empty();
    let prepared = bash(&host, PREPARE, example).output().unwrap();
    if !prepared.status.success() {
        return Some(format!("{name}: {example}nothing is prepared for it: {prepared:?}"));
    }
    // It has to run as long as the example asks for it.
    let mut machine = example.contains("pidof").then(|| {
        let arguments = ["-S", "-display", "none", "-monitor", "none"];
        let mut machine = Command::new("qemu-system-x86_64");
        machine.args(arguments).stdin(Stdio::null()).spawn().unwrap()
    });
    let script = if name == MANIFEST {
        host.write("chimera.yaml", example);
        "credimg build chimera.yaml -o chimera.erofs && credimg cat chimera.erofs /db/password"
    } else {
        example
    };
    let output = bash(&host, &format!("set -e -o pipefail\n{script}"), "").output().unwrap();
    if let Some(machine) = &mut machine {
        machine.kill().unwrap();
        machine.wait().unwrap();
    }
    // The machine that runs this may have scripts of its own, with or without secrets.
    let expected: &[i32] = if example.contains("credimg audit") { &[0, 4, 5] } else { &[0] };
    let is_done = output.status.code().is_some_and(|code| expected.contains(&code));
    (!is_done).then(|| format!("{name}: {example}{}", String::from_utf8_lossy(&output.stderr)))
}

fn bash(host: &Host, script: &str, argument: &str) -> Command {
    let domains = format!("test://{}", host.path("node.xml").display());
    let mut command = host.command("bash");
    command.args(["-c", script, "bash", argument]).env("HOME", host.path(""));
    command.env("PATH", search_path());
    command.env("CREDIMG_CACHE", concat!(env!("CARGO_MANIFEST_DIR"), "/.cache"));
    command.env("LIBVIRT_DEFAULT_URI", domains).env("CREDIMG_DB", "hunter2");
    command.stdin(Stdio::null());
    command
}
