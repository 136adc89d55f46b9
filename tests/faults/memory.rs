//! Too little memory for what is read is an error of that source.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

/// For programs that are not optimised, with what they are linked to; a smaller limit would
/// be one for the loader.
const SMALLEST_KIB: usize = 24 << 10;
const LARGEST_KIB: usize = 96 << 10;
const STEP_KIB: usize = 6 << 10;

#[test]
fn no_memory_for_what_is_read_is_an_error_of_the_source() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("data"), vec![b'd'; 15 << 20]).unwrap();
    fs::write(directory.path().join("small.yaml"), "files: [{path: /t, text: demo}]\n").unwrap();
    let manifest = "files: [{path: /c, command: [head, -c, '15000000', data]}]\n";
    fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
    let build = |manifest: &str, limit: usize| -> Output {
        let script = format!("ulimit -v {limit}; exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_credimg"), "build", manifest]);
        command.args(["-o", "a.erofs", "--args", "none"]).current_dir(directory.path());
        command.output().unwrap()
    };
    let mut codes = BTreeSet::new();
    for limit in (SMALLEST_KIB..=LARGEST_KIB).step_by(STEP_KIB) {
        if build("small.yaml", limit).status.success() {
            let output = build("secrets.yaml", limit);
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code().is_some(), "{limit} KiB: {}: {errors}", output.status);
            let is_told = errors.contains("printed more than there is memory for");
            assert_eq!(output.status.success(), !is_told, "{limit} KiB: {errors}");
            codes.insert(output.status.code());
        }
    }
    // Both ends of it are seen. Between them more address space is not always more memory: the C
    // library reserves some for each thread in pieces of 64 MiB, where these just fit.
    assert_eq!(codes, BTreeSet::from([Some(6), Some(0)]));
}
