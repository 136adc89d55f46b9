//! `credimg audit` over a corpus of files that leak and of files that do not.
//!
//! A leaking file says what is to be found: one `expect: RULE LINE:COLUMN` a
//! finding, in the comments at its top, or in `leaks/INDEX` where its format has
//! no comments.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use credimg::audit::{FILE_MAX_BYTES, Finding, Rule, audit};

/// Every leaking file holds at least one of these, or a variable.
const CANARIES: [&str; 3] = ["letmein", "hunter2", "bGV0bWVpbg"];

fn corpus(name: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/audit").join(name);
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| !path.ends_with("INDEX")).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn show(finding: &Finding) -> String {
    format!("{} {}:{}", finding.rule.name(), finding.line, finding.column)
}

fn expected(path: &Path, index: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let header = text.lines().map_while(|line| {
        let comment = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
        comment.or(line.strip_prefix("# "))?.strip_prefix("expect: ").map(str::to_owned)
    });
    let prefix = format!("{}: ", name(path));
    let indexed = index.lines().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned));
    header.chain(indexed).collect()
}

fn credimg(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.arg("audit").args(arguments);
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_leak_is_found_where_it_stands() {
    let index = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/audit/leaks/INDEX"),
    )
    .unwrap();
    let paths = corpus("leaks");
    assert!(paths.len() >= 60, "only {} leaking files", paths.len());
    let (mut faults, mut rules) = (String::new(), BTreeSet::new());
    for path in &paths {
        let want = expected(path, &index);
        assert!(!want.is_empty(), "{} does not say what it expects", name(path));
        let found = audit(&fs::read(path).unwrap());
        let got: Vec<String> = found.iter().map(show).collect();
        rules.extend(found.iter().map(|finding| finding.rule));
        if got != want {
            writeln!(faults, "{}\n  got  {got:?}\n  want {want:?}", name(path)).unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
    assert_eq!(rules, BTreeSet::from(Rule::ALL), "a rule without a leaking file");
}

#[test]
fn nothing_is_found_in_safe_files() {
    let paths = corpus("safe");
    assert!(paths.len() >= 60, "only {} safe files", paths.len());
    let mut faults = String::new();
    for path in &paths {
        for finding in audit(&fs::read(path).unwrap()) {
            writeln!(faults, "{}: {}", name(path), show(&finding)).unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn what_is_found_is_never_shown() {
    for path in corpus("leaks") {
        let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
        assert!(text.contains('$') || CANARIES.iter().any(|canary| text.contains(canary)));
        for options in [&[][..], &["--json"]] {
            let mut command = credimg(options);
            let output = command.arg(name(&path)).current_dir(path.parent().unwrap()).output();
            let output = output.unwrap();
            assert_eq!(output.status.code(), Some(5), "{}", name(&path));
            let (stdout, stderr) = texts(&output);
            for canary in CANARIES {
                assert!(!stdout.contains(canary) && !stderr.contains(canary), "{stdout}{stderr}");
            }
        }
    }
}

#[test]
fn findings_are_lines_or_json() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.sh"), "true\nsshpass -p letmein ssh host\n").unwrap();
    fs::write(directory.path().join("b.sh"), "true\n").unwrap();
    let run = |arguments: &[&str]| {
        let output = credimg(arguments).current_dir(directory.path()).output().unwrap();
        let (stdout, stderr) = texts(&output);
        (stdout, stderr, output.status.code())
    };
    let why = "every user of the host can read a password in arguments";
    let instead = "an SSH key, or sshpass -f FILE";
    let line = format!("a.sh:2:12: sshpass: {why}; instead: {instead}\n");
    let stderr = "credimg: error: 1 inline secret found\n\
                  credimg: hint: what stood there may be known by now: replace it as well\n";
    assert_eq!(run(&["a.sh", "b.sh"]), (line.clone(), stderr.to_owned(), Some(5)));
    assert_eq!(run(&["b.sh"]), (String::new(), String::new(), Some(0)));

    let (stdout, _, code) = run(&["--json", "a.sh", "b.sh"]);
    assert_eq!(code, Some(5));
    let finding = serde_json::json!({
        "file": "a.sh", "line": 2, "column": 12, "rule": "sshpass", "why": why, "instead": instead,
    });
    let report = serde_json::json!({"files": 2, "findings": [finding], "left_off": 0});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stdout).unwrap(), report);
    let clean = "{\"files\":1,\"findings\":[],\"left_off\":0}\n";
    assert_eq!(run(&["--json", "b.sh"]), (clean.to_owned(), String::new(), Some(0)));

    // A file that cannot be read does not keep the others from being looked at.
    let missing = "cannot read missing: no such file or directory\n";
    let expected = (String::new(), format!("credimg: error: {missing}"), Some(4));
    assert_eq!(run(&["missing", "b.sh"]), expected);
    let expected = (line, format!("credimg: warning: {missing}{stderr}"), Some(5));
    assert_eq!(run(&["missing", "a.sh"]), expected);
    let (_, stderr, code) = run(&["."]);
    let expected = "credimg: error: . is a directory, expected a regular file\n";
    assert_eq!((stderr.as_str(), code), (expected, Some(4)));
}

#[test]
fn standard_input_and_a_real_process_are_read() {
    let mut child = credimg(&["-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"sshpass -pletmein ssh host\n").unwrap();
    let (stdout, _) = texts(&child.wait_with_output().unwrap());
    assert!(stdout.starts_with("standard input:1:11: sshpass: "), "{stdout}");

    // A shell that waits for its input, with words that a shell does not look at.
    let mut process = Command::new("sh")
        .args(["-c", "echo started; read -r _", "sh", "-object", "secret,id=s,data=letmein"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut started = [0; 8];
    std::io::Read::read_exact(process.stdout.as_mut().unwrap(), &mut started).unwrap();
    let path = format!("/proc/{}/cmdline", process.id());
    let output = credimg(&[&path]).output().unwrap();
    drop(process.stdin.take());
    process.wait().unwrap();
    let (stdout, _) = texts(&output);
    assert!(stdout.starts_with(&format!("{path}:6:18: secret-data: ")), "{stdout}");
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("big.sh");
    let file = fs::File::create(&path).unwrap();
    file.set_len(FILE_MAX_BYTES + 1).unwrap();
    let output = credimg(&["big.sh"]).current_dir(directory.path()).output().unwrap();
    let expected = "credimg: error: big.sh is too large: more than 16777216 bytes\n";
    assert_eq!((texts(&output).1.as_str(), output.status.code()), (expected, Some(4)));
}

#[test]
fn a_long_list_of_findings_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.sh"), "sshpass -px\n".repeat(1001)).unwrap();
    let output = credimg(&["a.sh"]).current_dir(directory.path()).output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!(stdout.lines().count(), 1000);
    assert!(stderr.contains("warning: 1 finding of a.sh is not listed"), "{stderr}");
    assert!(stderr.contains("1001 inline secrets found"), "{stderr}");
}

/// Cut off anywhere, or with any byte changed to one that opens or closes
/// something, a file is judged without a panic.
#[test]
fn damaged_files_do_no_harm() {
    let mut judged = 0;
    for path in corpus("leaks").iter().chain(&corpus("safe")) {
        let text = fs::read(path).unwrap();
        for index in 0..text.len() {
            judged += audit(text.get(..index).unwrap()).len();
            let mut damaged = text.clone();
            let opening = b"'\"`$({[<\\\0\n#&=,:@%\xff";
            *damaged.get_mut(index).unwrap() = *opening.get(index % opening.len()).unwrap();
            judged += audit(&damaged).len();
        }
    }
    assert!(judged > 10_000, "only {judged} findings");
}

/// Half a mebibyte of arithmetic on one line takes minutes where each one looks for
/// the line's end.
#[test]
fn a_long_line_is_searched_once() {
    for unit in ["((a))", "$((a))", "((a", "a=(b) ", "${a} ", "<b> ", "`a` ", "f() { :; };"] {
        let mut text = format!("true\n{}", unit.repeat((1 << 19) / unit.len()));
        text.push_str("\nsshpass -p letmein ssh host\n");
        let start = Instant::now();
        let found: Vec<String> = audit(text.as_bytes()).iter().map(show).collect();
        assert_eq!(found, ["sshpass 3:12"], "{unit:?}");
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_secs(10), "{unit:?}: {elapsed:?}");
    }
}

/// What makes a lexer go deep, or back again and again.
#[test]
fn hostile_files_end_soon() {
    let patterns = [
        "$(",
        "`",
        "\"$(",
        "(",
        "((",
        "<<a\n",
        "<<a ",
        "'\"",
        "\\",
        "${",
        "${x:-",
        "a=(",
        "<(",
        "<a>",
        "<a b='",
        "&",
        "&#",
        "<![CDATA[",
        "<!--",
        "[[",
        "{\"a\":",
        "a ",
        "a=b,",
        "://a:",
        "io.systemd.credential:",
        "rbd:",
        "\"a\",",
        "x\\\n",
        "-u a:b ",
        "'a b' ",
        "type=11,value=$X ",
        "\0",
        "://a@",
    ];
    for pattern in patterns {
        for prefix in ["", "curl ", "[Service]\nExecStart=", "<domain>", "a\0"] {
            let text = format!("{prefix}{}", pattern.repeat((1 << 18) / pattern.len()));
            let start = Instant::now();
            audit(text.as_bytes());
            let elapsed = start.elapsed();
            assert!(elapsed < Duration::from_secs(10), "{prefix:?} {pattern:?}: {elapsed:?}");
        }
    }
}
