//! Completions, by real shells: what a line becomes when the tabulator is pressed at its end.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use crate::support::host::{CREDIMG, Host, assert_done, stderr, stdout};

const DRIVER: &str = include_str!("completions.py");

/// What is typed, and what it becomes in every shell.
const LINES: &[(&str, &str)] = &[
    ("credimg bui", "credimg build"),
    ("credimg secret unw", "credimg secret unwrap"),
    ("credimg build m.yaml --if-ch", "credimg build m.yaml --if-changed"),
    // Values, behind a space and behind an equals sign.
    ("credimg build m.yaml --format squ", "credimg build m.yaml --format squashfs"),
    ("credimg build m.yaml --format=squ", "credimg build m.yaml --format=squashfs"),
    ("credimg build m.yaml --target fire", "credimg build m.yaml --target firecracker"),
    ("credimg build m.yaml --bus=nv", "credimg build m.yaml --bus=nvme"),
    ("credimg build m.yaml --args read", "credimg build m.yaml --args readconfig"),
    ("credimg build m.yaml --compression zs", "credimg build m.yaml --compression zstd"),
    ("credimg check m.yaml --machine mic", "credimg check m.yaml --machine microvm"),
    ("credimg check m.yaml --encrypt=l", "credimg check m.yaml --encrypt=luks"),
    ("credimg check m.yaml --encrypt=", "credimg check m.yaml --encrypt=luks"),
    ("credimg completions fi", "credimg completions fish"),
    // Files and directories.
    ("credimg build manifest-of", "credimg build manifest-of-mine.yaml"),
    (
        "credimg build m.yaml --key-file manif",
        "credimg build m.yaml --key-file manifest-of-mine.yaml",
    ),
    ("credimg man ma", "credimg man man-pages"),
    // The program that is started.
    ("credimg exec m.yaml --verif", "credimg exec m.yaml --verify"),
    ("credimg exec m.yaml -- monitor-of", "credimg exec m.yaml -- monitor-of-a-test"),
];

/// The other program's own completions, which bash alone does not find.
const OTHER: (&str, &str) = (
    "credimg exec m.yaml -q -- monitor-of-a-test --al",
    "credimg exec m.yaml -q -- monitor-of-a-test --alpha",
);

/// Lets the shell complete all lines.
fn complete(shell: &str, other: (&str, &str)) {
    let host = Host::empty();
    host.write("manifest-of-mine.yaml", "");
    host.write("manual-of-mine", "");
    fs::create_dir(host.path("man-pages")).unwrap();
    let monitor = host.write("bin/monitor-of-a-test", "#!/bin/sh\n");
    fs::set_permissions(monitor, PermissionsExt::from_mode(0o755)).unwrap();
    symlink(CREDIMG, host.path("bin/credimg")).unwrap();
    let script = host.run(&format!("completions {}", shell.split('-').next().unwrap()));
    assert_done(&script);
    host.write("script", &script.stdout);
    host.write("driver.py", DRIVER);

    let lines: Vec<_> = LINES.iter().copied().chain([other]).collect();
    let typed: String = lines.iter().flat_map(|(typed, _)| [*typed, "\n"]).collect();
    let mut driver = host.command("python3");
    driver.arg("driver.py").arg(host.path("bin")).arg(shell).arg(host.path("script"));
    driver.env("HOME", host.path("")).stdin(Stdio::piped());
    let mut driver = driver.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    driver.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = driver.wait_with_output().unwrap();
    assert!(output.status.success(), "{shell}: {}", stderr(&output));
    // Whether a slash stays behind a directory is the shell's own business.
    let became = stdout(&output);
    let became: Vec<_> = became.lines().map(|line| line.trim_end_matches('/')).collect();
    let expected: Vec<_> = lines.iter().map(|(_, expected)| *expected).collect();
    assert_eq!(became, expected, "{shell}");
}

#[test]
fn bash_completes() {
    complete("bash", (OTHER.0, OTHER.0));
}

#[test]
fn bash_completes_with_the_completions_of_others() {
    complete("bash-completion", OTHER);
}

#[test]
fn zsh_completes() {
    complete("zsh", OTHER);
}

#[test]
fn fish_completes() {
    complete("fish", OTHER);
}
