//! Faults at the system calls of the output: whatever fails or kills, the key opens
//! the blob that lies in the share, the old one or the new one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Output};

use crate::seal::{BLOB, identity, open};
use crate::support::host::Host;

/// What the key file, its structure and the blob are made with, beside openat.
const CALLS: &str = "write,fsync,fchmod,flock,renameat,renameat2";

fn strace(host: &Host, options: &[&str]) -> ExitStatus {
    traced(host, options).status
}

fn traced(host: &Host, options: &[&str]) -> Output {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(host.path("log")).args(options);
    command.arg(env!("CARGO_BIN_EXE_credimg")).current_dir(host.path(""));
    command.args(["seal", "secrets.yaml", "-o", BLOB, "--key-out", "key", "--quiet"]);
    command.output().expect("strace must be installed")
}

/// Each of these calls that a build makes, as strace's name and number for it.
fn points(host: &Host) -> Vec<(String, usize)> {
    assert!(strace(host, &["-e", &format!("trace={CALLS}")]).success());
    let log = fs::read_to_string(host.path("log")).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let calls = log.lines().filter_map(|line| line.split_whitespace().nth(1)?.split('(').next());
    calls
        .filter(|call| CALLS.split(',').any(|known| known == *call))
        .map(|call| {
            let count = counts.entry(call).or_default();
            *count += 1;
            (call.to_owned(), *count)
        })
        .collect()
}

fn host() -> Host {
    let host = Host::with_share("files: [{path: /a, text: x}, {path: /large, file: large}]\n");
    fs::write(host.path("large"), vec![b'l'; 300_000]).unwrap();
    host
}

#[test]
fn an_old_blob_stays_whole_or_gives_way_to_a_whole_new_one() {
    let host = host();
    let old = host.sealed(&[]);
    let (key, identity) = (fs::read(host.path("key")).unwrap(), identity(&host));
    let points = points(&host);
    assert!(points.len() > 12, "{points:?}");
    let mut replaced = 0;
    for fault in ["signal=SIGKILL", "error=ENOSPC", "error=EIO"] {
        for (call, occurrence) in &points {
            fs::write(host.path(BLOB), &old).unwrap();
            let status =
                strace(&host, &["-e", &format!("inject={call}:{fault}:when={occurrence}")]);
            let context = format!("{fault} at {call} {occurrence}: {status}");
            assert_eq!(fault.ends_with("KILL"), status.signal() == Some(9), "{context}");
            assert!(fs::read(host.path("key")).unwrap() == key, "{context}");
            let blob = fs::read(host.path(BLOB)).unwrap();
            assert_eq!(open(&identity, &blob).unwrap().len(), 303_104, "{context}");
            replaced += usize::from(blob != old);
            let structure = fs::read(host.path("key.smbios")).unwrap();
            assert_eq!(structure.len(), 149, "{context}");
            assert!(
                blob == old
                    || fault.ends_with("KILL")
                    || status.code() == Some(7)
                    || status.success(),
                "{context}"
            );
        }
    }
    assert!(replaced > 0 && replaced < 3 * points.len(), "{replaced} of {}", points.len());
    host.sealed(&[]);
    assert_eq!(host.temporaries(), [""; 0]);
}

#[test]
fn a_key_in_the_making_is_whole_or_not_there() {
    let host = host();
    let points = points(&host);
    let reset = || {
        for name in ["key", "key.smbios", BLOB] {
            let _ = fs::remove_file(host.path(name));
        }
    };
    let mut kept = 0;
    for fault in ["signal=SIGKILL", "error=ENOSPC"] {
        for (call, occurrence) in &points {
            reset();
            strace(&host, &["-e", &format!("inject={call}:{fault}:when={occurrence}")]);
            let context = format!("{fault} at {call} {occurrence}");
            // What is there opens, and what a kill leaves is private.
            let blob = fs::read(host.path(BLOB)).ok();
            let key = fs::read(host.path("key")).ok();
            if let Some(blob) = blob {
                assert!(open(&identity(&host), &blob).is_ok(), "{context}");
            }
            for name in host.temporaries() {
                let place = ["", "share"].map(|place| host.path(place).join(&name));
                let mode = place.iter().find_map(|path| path.metadata().ok()).unwrap().mode();
                assert_eq!(mode, 0o100_600, "{context}: {name}");
            }
            let new = host.sealed(&[]);
            assert!(open(&identity(&host), &new).is_ok(), "{context}");
            assert_eq!(host.temporaries(), [""; 0], "{context}");
            if let Some(key) = key {
                assert!(fs::read(host.path("key")).unwrap() == key, "{context}");
                kept += 1;
            }
        }
    }
    assert!(kept > 5 && kept < 2 * points.len(), "{kept}");
}

/// Whatever cannot be looked at, opened or written before the blob has its name, it is said that
/// the old blob is there.
#[test]
fn every_error_says_which_blob_is_in_place() {
    let host = host();
    let old = host.sealed(&[]);
    let mut early = 0;
    for call in ["newfstatat", "fchmod", "linkat"] {
        for occurrence in 1.. {
            fs::write(host.path(BLOB), &old).unwrap();
            let inject = format!("inject={call}:error=EDQUOT:when={occurrence}");
            let output = traced(&host, &["-e", &inject, "-e", &format!("trace={call}")]);
            if !fs::read_to_string(host.path("log")).unwrap().contains("(INJECTED)") {
                break;
            }
            let said = String::from_utf8_lossy(&output.stderr);
            let is_old = fs::read(host.path(BLOB)).unwrap() == old;
            if output.status.code() == Some(7) {
                let news = if is_old { "the old blob is unchanged" } else { "the new blob " };
                assert!(said.contains(news), "{call} {occurrence}: {said}");
                early += usize::from(is_old);
            }
        }
    }
    assert!(early > 5, "{early}");
}

/// A file system that cannot refuse to replace gives the key a second name first.
#[test]
fn a_key_is_made_where_names_cannot_be_kept_from_replacing() {
    let host = host();
    let status = strace(&host, &["-e", "inject=renameat2:error=EINVAL"]);
    assert!(status.success(), "{status}");
    let key = fs::read(host.path("key")).unwrap();
    assert_eq!(host.path("key").metadata().unwrap().nlink(), 1);
    assert_eq!(host.temporaries(), [""; 0]);
    assert!(open(&identity(&host), &host.sealed(&[])).is_ok());
    assert!(fs::read(host.path("key")).unwrap() == key);
}
