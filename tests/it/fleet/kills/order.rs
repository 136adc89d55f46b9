//! What waits for the disk, and when: a crash of the machine must find bytes before names, and
//! names before anybody is told of them.

use std::fs;
use std::process::Command;

use crate::support::host::{CREDIMG, Host};

/// The calls of each worker, a letter each: W begins a temporary, S waits for files, L and R give
/// names, D waits for a directory. A batch is `W…S…(L|R)…D…`.
fn letters(trace: &str) -> Vec<String> {
    let mut threads: Vec<(&str, String)> = Vec::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let is_directory = !call.contains("(deleted)") && !call.contains("/#");
        let letter = match call.split('(').next().unwrap() {
            "openat" if call.contains("O_TMPFILE") => 'W',
            "syncfs" => 'S',
            "fsync" => {
                if is_directory {
                    'D'
                } else {
                    'S'
                }
            }
            "linkat" => 'L',
            "renameat" | "renameat2" => 'R',
            _ => continue,
        };
        match threads.iter_mut().find(|(known, _)| *known == thread) {
            Some((_, letters)) => letters.push(letter),
            None => threads.push((thread, letter.to_string())),
        }
    }
    threads.into_iter().map(|(_, letters)| letters).collect()
}

/// Whether the calls are batches, each of which waits at its two places.
fn is_in_order(letters: &str) -> bool {
    let mut rest = letters;
    while !rest.is_empty() {
        for (of, least) in [("W", 1), ("S", 1), ("LR", 1), ("D", 1)] {
            let after = rest.trim_start_matches(|letter| of.contains(letter));
            if rest.len() - after.len() < least {
                return false;
            }
            rest = after;
        }
    }
    true
}

fn trace(machines: usize) -> Vec<String> {
    let host = Host::empty();
    let last = machines - 1;
    host.write("fleet.yaml", format!(
        "machines:\n  m[000-{last:03}]: {{}}\nfiles: [{{path: /a, to: all, text: x, shared: true}}]\n\
         credentials: [{{name: a, to: all, text: x, shared: true, via: smbios}}]\n"
    ));
    fs::create_dir(host.path("out")).unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-o", "trace"]);
    command.args(["-e", "trace=openat,fsync,syncfs,linkat,renameat,renameat2", CREDIMG]);
    command.args(["fleet", "build", "fleet.yaml", "-q", "-o", "out/{machine}/disk.erofs"]);
    let output = command.current_dir(host.path("")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    letters(&String::from_utf8(host.read("trace")).unwrap())
}

#[test]
fn bytes_are_on_the_disk_before_names_and_names_before_the_end() {
    let few = trace(2);
    assert!(few.iter().all(|letters| is_in_order(letters)), "{few:?}");
    let threads = trace(150);
    assert!(threads.iter().all(|letters| is_in_order(letters)), "{threads:?}");
    let count = |letter| threads.iter().map(|it| it.matches(letter).count()).sum::<usize>();
    // An image, its sidecar and their index.
    assert_eq!(count('W'), 3 * 150);
    // Each batch waits for its files once.
    let batches = count('S');
    assert!((3..=12).contains(&batches), "{batches}");
}

#[test]
fn a_wrong_order_is_seen() {
    for (letters, expected) in [
        ("WWSLRD", true),
        ("WWSLLRRDDWSLRD", true),
        ("WLRSD", false),
        ("WSLR", false),
        ("WSLRWSLRD", false),
        ("WLRD", false),
    ] {
        assert_eq!(is_in_order(letters), expected, "{letters}");
    }
}
