//! What is in the program's memory at each moment at which somebody could keep a copy of
//! it: keys in locked pages alone, which no swap gets, and nothing secret at the end.
//!
//! A dump is taken at every `fsync`, when a command of the manifest starts, when `exec`
//! becomes the monitor, and at the last system call. The keys that are looked for are found out
//! afterwards, by cryptsetup among others: a build makes some of them itself.

#![cfg(target_arch = "x86_64")]
mod builds;
mod commands;
mod dump;
mod fleets;
mod needles;
mod signing;

use std::fs;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::initrd::guests;
use crate::support::host::{Host, stderr};
use crate::support::tracer::{Action, Errno, Signal};
use dump::{Dumps, take, take_failing};
use needles::Needles;

/// What is stored, in files, in the manifest and by a command.
const CONTENTS: [&str; 4] = [
    "cAnArY-of-a-small-file-1c9f",
    "cAnArY-of-the-manifest-77ab",
    "cAnArY-of-a-command-0e5d-xy",
    "cAnArY-of-a-credential-3b2c",
];
/// A key that somebody chose.
const PASSPHRASE: &str = "cAnArY correct horse battery staple 51c0e8";
/// A key of the random kind, and the bytes that its digits say.
const RANDOM: &str = "c0ffee42917fd1a5be8803ee7d2fa9061b54c87e3a90d2f6457b1e08ac63f95d";
const MASTER: &[u8; 32] = b"e94d27bM4sterK3y-9a8f01-Zq7&vT2x";
const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

/// A host with every kind of source and of key.
fn host() -> Host {
    let [small, text, command, credential] = CONTENTS;
    let manifest = format!(
        "label: CHIMERA\nfiles:\n- {{path: /small, file: small}}\n- {{path: /text, text: {text}}}\n\
         - {{path: /command, command: [printf, '%s', 'cAnArY-of-a-command-0e5d-xy']}}\n\
         - {{path: /large, file: large}}\n\
         credentials: [{{name: token, file: credential}}]\n"
    );
    assert!(manifest.contains(command));
    let host = Host::new(&manifest);
    fs::write(host.path("small"), small).unwrap();
    fs::write(host.path("credential"), credential).unwrap();
    let large = [vec![b'l'; 300_000], small.as_bytes().to_vec(), vec![b'l'; 300_000]].concat();
    fs::write(host.path("large"), large).unwrap();
    let plain =
        "label: CHIMERA\nfiles:\n- {path: /small, file: small}\n- {path: /large, file: large}\n";
    fs::write(host.path("plain.yaml"), plain).unwrap();
    host.private("passphrase", PASSPHRASE);
    host.private("random", RANDOM);
    host.private("master", STANDARD.encode(MASTER));
    host.private("identity", IDENTITY);
    fs::create_dir(host.path("share")).unwrap();
    guests::write(&host, guests::DRACUT, &["cat"]);
    host
}

/// What is searched for in every case.
fn known() -> Needles {
    let mut needles = Needles::default();
    needles.key("the passphrase", PASSPHRASE.as_bytes());
    needles.key("the random key", RANDOM.as_bytes());
    needles.key("the random key's bytes", &from_hex(RANDOM));
    needles.cipher("the master key", MASTER);
    needles.key("the master key", MASTER);
    needles.key("the identity", IDENTITY.as_bytes());
    needles.raw("the identity's scalar", &needles::scalar(IDENTITY));
    for content in CONTENTS {
        needles.content("a source", content.as_bytes());
    }
    needles
}

fn from_hex(digits: &str) -> Vec<u8> {
    let (pairs, _) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(|pair| byte(&pair[..])).collect()
}

fn credimg(host: &Host, arguments: &str) -> Command {
    let mut command = host.credimg();
    command.args(arguments.split(' '));
    command
}
