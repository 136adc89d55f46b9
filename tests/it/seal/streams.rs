//! What `seal` says of the blob where something fails: which one is in place.

use super::*;

const ARGUMENTS: &str = "seal secrets.yaml -o share/chimera.tar.age --key-out key --quiet";

/// Runs it by the shell with `start` in front and `end` behind; what it says beside its
/// warning, and whether the blob is another one.
fn seal(host: &Host, start: &str, end: &str) -> (Option<i32>, String, bool) {
    let old = fs::read(host.path(BLOB)).ok();
    let script = format!("exec {start} {} {ARGUMENTS} {end}", env!("CARGO_BIN_EXE_credimg"));
    let mut command = Command::new("sh");
    let output = command.args(["-c", &script]).current_dir(host.path("")).output().unwrap();
    let said = stderr(&output);
    let said = said.split_inclusive('\n');
    let said = said.filter(|line| !line.starts_with("credimg: warning: the guest can write"));
    let said = said.collect();
    (output.status.code(), said, fs::read(host.path(BLOB)).ok() != old)
}

#[test]
fn arguments_that_are_lost_are_an_error_beside_a_new_blob() {
    let host = Host::with_share("files: [{path: /a, text: x}]\n");
    for (end, reason) in [
        (">&-", "it is closed"),
        (">/dev/full", "no space left on device"),
        ("1</dev/null", "bad file descriptor"),
    ] {
        let said = format!(
            "credimg: error: cannot write the arguments to standard output: {reason}\n\
             credimg: hint: the new blob {BLOB} is in place: the same `credimg seal` makes \
             another and prints them\n"
        );
        assert_eq!(seal(&host, "", end), (Some(7), said, true));
    }
    assert_eq!(seal(&host, "", ">/dev/null"), (Some(0), String::new(), true));
}

#[test]
fn failing_renames_are_told_of_the_blob() {
    let host = Host::with_share("files: [{path: /a, text: x}]\n");
    host.sealed(&[]);
    let carrier = "cannot replace key.smbios: no space left on device";
    let blob = format!("cannot replace {BLOB}: no space left on device");
    for (occurrence, message) in [(1, carrier), (2, &blob)] {
        let start = format!(
            "strace -f -qq -o /dev/null -e trace=renameat \
             -e inject=renameat:error=ENOSPC:when={occurrence}"
        );
        let said = format!("credimg: error: {message}\ncredimg: hint: the old blob is unchanged\n");
        assert_eq!(seal(&host, &start, ">/dev/null"), (Some(7), said, false));
    }
}

#[test]
fn a_blob_on_a_lost_standard_output_is_an_error() {
    let host = Host::with_share("files: [{path: /a, shell: 'touch ran; echo x'}]\n");
    let build = "seal secrets.yaml -o - --key-out key --quiet";
    for (sink, reason) in [(">&-", "it is closed"), (">/dev/full", "no space left on device")] {
        let script = format!("exec {} {build} {sink}", env!("CARGO_BIN_EXE_credimg"));
        let mut command = Command::new("sh");
        let output = command.args(["-c", &script]).current_dir(host.path("")).output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{sink}");
        assert!(stderr(&output).contains(&format!("standard output: {reason}\n")), "{sink}");
        let has_run = fs::remove_file(host.path("ran")).is_ok();
        assert_eq!(has_run, sink != ">&-");
    }
}
