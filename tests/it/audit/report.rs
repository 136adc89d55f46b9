//! What the program prints, and its limits.

use std::fs;

use credimg::audit::FILE_MAX_BYTES;

use super::{credimg, texts};

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
    let report = serde_json::json!({"report_version": 1, "files": 2, "findings": [finding], "left_off": 0, "ignored": 0, "skipped": 0});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stdout).unwrap(), report);
    let clean = "{\"report_version\":1,\"files\":1,\"findings\":[],\"left_off\":0,\"ignored\":0,\"skipped\":0}\n";
    assert_eq!(run(&["--json", "b.sh"]), (clean.to_owned(), String::new(), Some(0)));

    // A file that cannot be read does not keep the others from being looked at.
    let missing = "cannot read missing: no such file or directory\n";
    let expected = (String::new(), format!("credimg: error: {missing}"), Some(4));
    assert_eq!(run(&["missing", "b.sh"]), expected);
    let expected = (line, format!("credimg: warning: {missing}{stderr}"), Some(5));
    assert_eq!(run(&["missing", "a.sh"]), expected);
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
