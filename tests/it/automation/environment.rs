//! `NAME.env`, which the hook reads as systemd reads it for the unit: systemd's own code is
//! the judge. Nothing in it is run.

use std::collections::BTreeMap;

use super::hooks::{hook_with, host, options_among, program_that_prints_its_arguments};
use super::*;

/// What people write, and each rule of systemd's once.
const FILES: [&str; 34] = [
    "",
    "CREDIMG_OPTIONS=",
    "CREDIMG_OPTIONS=--lossy",
    "CREDIMG_OPTIONS=\"--owner 64055:64055\"\n",
    "CREDIMG_OPTIONS='--owner 64055:64055'\n",
    "CREDIMG_OPTIONS=--owner 64055:64055\n",
    "CREDIMG_OPTIONS=--label \"A B\" 'C D'\n",
    "CREDIMG_OPTIONS=\"--label 'A B' \\\"C D\\\"\"\n",
    "# one\n; two\n\n  # three\nCREDIMG_OPTIONS=--lossy # four\n",
    "CREDIMG_OPTIONS=--lossy\nCREDIMG_OPTIONS=--joliet\n",
    "OTHER=x\nCREDIMG_OPTIONS=--lossy\nOTHER=y\n",
    "CREDIMG_OPTIONS=--lossy \\\n  --joliet\n",
    "CREDIMG_OPTIONS=\"--lossy \\\n  --joliet\"\n",
    "CREDIMG_OPTIONS='--lossy \\\n  --joliet'\n",
    "CREDIMG_OPTIONS=\"--lossy\n--joliet\"\n",
    "CREDIMG_OPTIONS=\"--lossy\" \"--joliet\"\n",
    "CREDIMG_OPTIONS=\"--lossy\"--joliet\n",
    "export CREDIMG_OPTIONS=--lossy\n",
    "  CREDIMG_OPTIONS  =  --lossy  \n",
    "CREDIMG_OPTIONS=--lossy\r\nOTHER=x\r\n",
    "CREDIMG_OPTIONS=--label $HOME ${HOME} $(touch ran) `touch ran` ; touch ran & * ~ ?\n",
    "CREDIMG_OPTIONS=\"--label \\$HOME \\`id\\` \\\\ \\x \\n\"\n",
    "CREDIMG_OPTIONS=--label a\\ b\\\\ c\\'d\\\"e\n",
    "CREDIMG_OPTIONS=--label '' \"\"\n",
    "CREDIMG_OPTIONS=\"''\"\n",
    "CREDIMG_OPTIONS=--label 'open\n",
    "CREDIMG_OPTIONS='open\nOTHER=x\n",
    "CREDIMG_OPTIONS=\"open\\",
    "CREDIMG_OPTIONS=end\\",
    "CREDIMG_OPTIONS=end\\\n",
    "CREDIMG_OPTIONS\nCREDIMG_OPTIONS=--lossy\n",
    "CREDIMG_OPTIONS=a=b==c\n",
    "touch ran\nCREDIMG_OPTIONS=--lossy\n[ -e ran ]\n",
    "CREDIMG_OPTIONS=ä\u{3000}ö \u{a0} -%s\\t\n",
];
/// Contents by chance besides.
const RANDOM_FILES: usize = 150;

#[test]
fn the_hook_reads_the_environment_file_as_systemd_does() {
    let host = host();
    let mut files: Vec<_> = FILES.map(str::to_owned).into();
    files.extend((0..RANDOM_FILES).map(random_file));
    for (index, content) in files.iter().enumerate() {
        host.write(format!("files/{index}"), content);
    }
    let mut python = host.command("python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/automation/environment.py");
    let judged = python.arg(script).arg("files").output().unwrap();
    assert_done(&judged);
    let judged: BTreeMap<String, Vec<String>> = serde_json::from_slice(&judged.stdout).unwrap();
    assert_eq!(judged.len(), files.len());
    for (index, content) in files.iter().enumerate() {
        assert_eq!(options(&host, content), judged[&index.to_string()], "{content:?}");
    }
    assert!(!host.path("ran").exists());
}

/// systemd before 254 would go on with the comment in the next line.
#[test]
fn a_comment_ends_with_its_line() {
    let host = host();
    assert_eq!(options(&host, "# one \\\nCREDIMG_OPTIONS=--lossy\n"), ["--lossy"]);
}

/// A file that cannot be read stops the machine rather than to lose its options.
#[test]
fn an_environment_file_that_cannot_be_read_stops_the_machine() {
    let host = host();
    host.write("etc/101.env/file", "");
    let output = hook_with(&host, &["101", "pre-start"], &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!host.path("run/101/disk.erofs").exists());
}

/// The options that the hook gives to the program with this content of the file.
fn options(host: &Host, content: &str) -> Vec<String> {
    host.write("etc/101.env", content);
    let program = program_that_prints_its_arguments(host);
    let output = hook_with(host, &["101", "pre-start"], &[("CREDIMG", &program)]);
    assert_done(&output);
    options_among(&output)
}

/// An assignment of what has a meaning in such a file, the same on every run.
fn random_file(seed: usize) -> String {
    const PIECES: [&str; 14] = [
        "a",
        "-b",
        " ",
        "\t",
        "\n",
        "\r",
        "'",
        "\"",
        "\\",
        "$",
        "`",
        "=",
        "\\\n",
        "\nCREDIMG_OPTIONS=",
    ];
    let mut state = u32::try_from(seed).unwrap() + 1;
    let mut content = "CREDIMG_OPTIONS=".to_owned();
    for _ in 0..4 + seed % 16 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        content.push_str(PIECES[usize::try_from(state >> 24).unwrap() % PIECES.len()]);
    }
    content
}
