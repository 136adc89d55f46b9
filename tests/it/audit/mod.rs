//! `credimg audit` over a corpus of files that leak and of files that do not, and as a
//! program that reads files, directories and processes.

mod corpus;
mod cost;
mod hostile;
mod inputs;
mod report;
mod shapes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use credimg::audit::Finding;

/// The files of a part of the corpus, in their order.
fn corpus(name: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/audit").join(name);
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
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

fn credimg(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    command.arg("audit").args(arguments);
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}
