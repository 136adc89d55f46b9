//! Runs a page's steps in a shell, in a mount namespace of its own: nothing of the host changes.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::matching::lines_match;
use super::page::{self, Page, Step};
use crate::support::cache;
use crate::support::host::CREDIMG;
use crate::tidy::root;

/// How long a page may take.
const SECONDS: &str = "120";

/// The host of a page: `/srv/vm` and `/run` are empty, and nothing that is written to the system's
/// own directories stays. `$1` is a directory for that.
const HOST: &str = r#"
umask 022
layers=$1/layers
mkdir "$layers" && mount -t tmpfs tmpfs "$layers" || exit
for directory in etc srv usr var/lib; do
    mkdir -p "$layers/$directory/upper" "$layers/$directory/work"
    mount -t overlay overlay -o "lowerdir=/$directory" -o "upperdir=$layers/$directory/upper" \
        -o "workdir=$layers/$directory/work" "/$directory" || exit
done
mount -t tmpfs tmpfs /run && mkdir -p /srv/vm && mount -t tmpfs tmpfs /srv/vm || exit
cd /srv/vm || exit
steps=$1/steps
"#;

/// Runs the page and returns what is wrong with it.
pub(super) fn run(page: &Page) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let (home, steps) = (directory.path().join("home"), directory.path().join("steps"));
    for path in [&home, &steps] {
        fs::create_dir(path).unwrap();
    }
    let script = script(page, &steps);
    fs::write(steps.join("script"), script).unwrap();
    let status = Command::new("timeout")
        .args(["--kill-after=5", SECONDS, "unshare", "--mount", "bash", "--noprofile", "--norc"])
        .args([&steps.join("script"), directory.path()])
        .env_clear()
        .envs([("LANG", "C.UTF-8"), ("TZ", "UTC"), ("TERM", "dumb")])
        .env("HOME", home)
        .env("PATH", search_path())
        .env("checkout", root())
        .env("cache", cache())
        .status()
        .unwrap();
    let mut problems = Vec::new();
    if status.code() == Some(124) {
        problems.push(format!("{}: it takes more than {SECONDS} seconds", page.name));
    }
    let mut blessed = Vec::new();
    for (step, at) in page.steps.iter().zip(0..) {
        let status = fs::read_to_string(steps.join(format!("{at}.status"))).unwrap_or_default();
        let printed = fs::read(steps.join(format!("{at}.output"))).unwrap_or_default();
        let printed = lines(&String::from_utf8_lossy(&printed));
        match step {
            Step::File { name, .. } if status.trim() != "0" => {
                problems.push(format!("{}: cannot write {name}: {printed:?}", page.name));
            }
            Step::Setup { line, command } if status.trim() != "0" => {
                let place = format!("{}:{line}", page.name);
                problems.push(format!("{place}: the setup `{command}` failed: {printed:?}"));
            }
            Step::File { .. } | Step::Setup { .. } => {}
            Step::Command(command) => {
                let Some(problem) = problem(command, status.trim(), &printed) else { continue };
                problems.push(format!("{}:{}: {problem}", page.name, command.line));
                blessed.push((command, printed));
            }
        }
    }
    if env::var_os("CREDIMG_BLESS").is_some() {
        bless(&page.path, &blessed);
    }
    problems
}

/// The shell's script: each step's output and exit status go into files.
fn script(page: &Page, steps: &Path) -> String {
    let mut script = HOST.to_owned();
    if page.name.starts_with("docs/examples/") {
        let example = page.path.parent().unwrap();
        writeln!(script, "cp -r '{}/.' .", example.display()).unwrap();
    }
    for (step, at) in page.steps.iter().zip(0..) {
        let (text, run) = match step {
            Step::File { name, content } => {
                (content, format!("install -D -m 644 \"$steps/{at}\" '{name}'"))
            }
            Step::Setup { command, .. } => (command, format!("source \"$steps/{at}\"")),
            Step::Command(command) => (&command.text, format!("source \"$steps/{at}\"")),
        };
        fs::write(steps.join(at.to_string()), text).unwrap();
        writeln!(script, "{run} </dev/null >\"$steps/{at}.output\" 2>&1").unwrap();
        writeln!(script, "echo $? >\"$steps/{at}.status\"").unwrap();
    }
    script
}

/// Stand-ins for what cannot run here come first, then the program under test.
pub(crate) fn search_path() -> String {
    let built = Path::new(CREDIMG).parent().unwrap().to_owned();
    let found = env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = [root().join("docs/tests/bin"), built]
        .into_iter()
        .chain(env::split_paths(&found))
        .collect();
    env::join_paths(places).unwrap().into_string().unwrap()
}

fn lines(text: &str) -> Vec<String> {
    text.trim_end_matches('\n').lines().map(|line| line.trim_end().to_owned()).collect()
}

/// What is wrong with a command.
fn problem(command: &page::Command, status: &str, printed: &[String]) -> Option<String> {
    let expected = lines(&command.output.join("\n"));
    if status.is_empty() {
        return Some(format!(
            "$ {}\nthe shell ended before it could say how this ended",
            command.text
        ));
    }
    if lines_match(&expected, printed) {
        let is_silent = status != "0" && expected.is_empty();
        return is_silent
            .then(|| format!("$ {}\nfailed, and nothing is shown of it", command.text));
    }
    let marked = |mark: &str, lines: &[String]| -> String {
        lines.iter().flat_map(|line| [mark, line, "\n"]).collect()
    };
    let (expected, printed) = (marked("-", &expected), marked("+", printed));
    Some(format!("$ {}\n{expected}{printed}", command.text))
}

/// Puts what was printed into the page.
fn bless(path: &Path, printed: &[(&page::Command, Vec<String>)]) {
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (command, printed) in printed.iter().rev() {
        let indent = " ".repeat(command.indent);
        let printed = printed.iter().map(|line| format!("{indent}{line}"));
        lines.splice(command.output_lines.clone(), printed);
    }
    fs::write(path, lines.join("\n") + "\n").unwrap();
}
