//! What opening an image may cost: whoever has made it writes into its header how much work
//! and memory a key takes.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::*;

const HINT: &str = "where you know who made the image, --allow-cost opens it";
/// Memory that a refusal gets by with.
const LITTLE_KIB: &str = "100000";

/// An image of LUKS1 whose only slot asks for so many iterations.
fn luks1(host: &Host, iterations: u32) {
    let build =
        "build secrets.yaml -o bad.erofs --encrypt luks1 --key-file key --quiet --args none";
    assert_done(&run(host, build));
    let mut image = fs::read(host.path("bad.erofs")).unwrap();
    image[212..216].copy_from_slice(&iterations.to_be_bytes());
    fs::write(host.path("bad.erofs"), image).unwrap();
}

/// An image of LUKS2 with a passphrase, whose only slot asks for this much of Argon2.
fn luks2(host: &Host, time: &str, memory: &str) {
    host.private("passphrase", "correct horse");
    let build = "build secrets.yaml -o bad.erofs --encrypt luks2 --key-file passphrase --quiet \
                 --args none";
    assert_done(&run(host, build));
    let mut image = fs::read(host.path("bad.erofs")).unwrap();
    for start in [0, 16_384] {
        let header = &mut image[start..start + 16_384];
        let text = header[4096..].split(|byte| *byte == 0).next().unwrap();
        let text = str::from_utf8(text).unwrap();
        let text = text.replacen("\"time\":3", &format!("\"time\":{time}"), 1);
        let text = text.replacen("\"memory\":65536", &format!("\"memory\":{memory}"), 1);
        assert!(text.contains(time) && text.contains(memory), "{text}");
        header[4096..].fill(0);
        header[4096..4096 + text.len()].copy_from_slice(text.as_bytes());
        header[448..512].fill(0);
        let sum = Sha256::digest(&*header);
        header[448..480].copy_from_slice(&sum);
    }
    fs::write(host.path("bad.erofs"), image).unwrap();
}

/// Runs the program where memory is short.
fn run_poorly(host: &Host, arguments: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {LITTLE_KIB} && exec \"$0\" {arguments}")]);
    command.arg(env!("CARGO_BIN_EXE_credimg")).current_dir(host.path("")).output().unwrap()
}

#[test]
fn a_header_that_asks_for_too_much_is_refused_before_anything_is_derived() {
    let host = host(MANIFEST);
    let refused = |key: &str, fault: &str| {
        let message = format!("bad.erofs: to open it would take {fault} are allowed");
        for command in ["inspect", "args"] {
            let output = run_poorly(&host, &format!("{command} bad.erofs --key-file {key}"));
            assert_refused(&output, 5, &message, Some(HINT));
        }
    };
    for iterations in [16_000_000, u32::MAX] {
        luks1(&host, iterations);
        // Two hashes make a key; the digest of the volume key takes 1,000 more.
        let hashes = 2 * u64::from(iterations) + 1000;
        refused("key", &format!("{hashes} hashes of pbkdf2, at most 32000000"));
    }
    luks2(&host, "4", "1048577");
    refused("passphrase", "1048577 KiB of memory for argon2, at most 1048576 KiB");
    luks2(&host, "4", "4294967295");
    refused("passphrase", "4294967295 KiB of memory for argon2, at most 1048576 KiB");
    luks2(&host, "300", "65536");
    refused("passphrase", "argon2 over 19660800 KiB in all, at most 16777216 KiB");
    // What the header says is told all the same.
    let output = run_poorly(&host, "inspect bad.erofs");
    assert_done(&output);
    assert!(stdout(&output).contains("argon2id, 300 passes, 64 MiB, 4 lanes\n"));
}

/// A build compares with no image that costs more than its own.
#[test]
fn a_build_makes_an_image_again_whose_header_asks_for_too_much() {
    let host = host(MANIFEST);
    luks1(&host, u32::MAX);
    let build = "build secrets.yaml -o bad.erofs --encrypt luks1 --key-file key --if-changed";
    assert_done(&run(&host, build));
    assert_done(&run(&host, "inspect bad.erofs --key-file key"));
}

#[test]
fn the_option_has_the_work_done() {
    let host = host(MANIFEST);
    luks1(&host, u32::MAX);
    let mut command = host.credimg();
    command.args(["inspect", "bad.erofs", "--key-file", "key", "--allow-cost"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let stat = format!("/proc/{}/stat", child.id());
    // In ticks: it is at work, and not refused.
    let worked = || -> u64 {
        let stat = fs::read_to_string(&stat).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(11).unwrap().parse().unwrap()
    };
    while worked() < 30 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.try_wait().unwrap().is_none(), "it was refused");
    child.kill().unwrap();
    child.wait().unwrap();
    let without = run(&host, "inspect bad.erofs --allow-cost");
    assert_eq!(without.status.code(), Some(2), "it means nothing without a key");
}
