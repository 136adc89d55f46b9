//! Encrypted images from outside: what people give as keys, which options go together,
//! that a key is never lost, replaced or shown, and what QEMU, cryptsetup and another
//! cipher's author make of the result.

mod ciphertext;
mod cost;
mod faults;
mod genkey;
mod if_changed;
mod inspect;
mod key_files;
mod key_out;
mod only_copy;
mod options;
mod plan;
mod secrecy;
mod secret;
mod streams;
mod torn_keys;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use credimg_formats::luks::Header;

use crate::support::host::{Host, stderr, stdout};

const MANIFEST: &str = "label: CHIMERA\nfiles: [{path: /motd, text: hello}]\n";
/// A key with the form of a random one: it costs little.
const KEY: &str = "00112233445566778899aabbccddeeff0123456789abcdef0123456789ABCDEF";
/// A master key: 32 bytes in base64.
const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const UUID: &str = "12345678-9abc-4def-8012-3456789abcde";

/// A host with a manifest, the key `key` and the master key `master`.
fn host(manifest: &str) -> Host {
    let host = Host::new(manifest);
    host.private("key", KEY);
    host.private("master", MASTER);
    host
}

/// Runs the program with these arguments, which no white space is in.
fn run(host: &Host, arguments: &str) -> Output {
    run_with(host, arguments, b"")
}

/// Runs the program with these arguments and this on standard input. What hangs is ended, with exit code 124.
fn run_with(host: &Host, arguments: &str, input: &[u8]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("60").arg(env!("CARGO_BIN_EXE_credimg")).args(arguments.split(' '));
    command.current_dir(host.path("")).env_remove("SOURCE_DATE_EPOCH");
    feed(&mut command, input)
}

fn feed(command: &mut Command, input: &[u8]) -> Output {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("what the tests need must be installed");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // Who refuses the options does not read it.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[track_caller]
fn assert_done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// The program ended with this exit code and exactly this message, and printed nothing.
#[track_caller]
fn assert_refused(output: &Output, exit: i32, message: &str, hint: Option<&str>) {
    let hint = hint.map_or_else(String::new, |hint| format!("credimg: hint: {hint}\n"));
    let expected = format!("credimg: error: {message}\n{hint}");
    assert_eq!((output.status.code(), stderr(output)), (Some(exit), expected));
    assert!(output.stdout.is_empty(), "{output:?}");
}

/// What is inside an encrypted image, by our own reader, which `formats` has judged.
fn open(image: &[u8], key: &str) -> Option<Vec<u8>> {
    let mut image = Cursor::new(image);
    let header = Header::read(&mut image).ok()?;
    let mut plain = Vec::new();
    header.open(&mut image, key.as_bytes()).ok()?.read_to_end(&mut plain).ok()?;
    Some(plain)
}

/// Which file it is, when it was written, and its bytes where it has any.
type Entry = (u64, i64, i64, Option<Vec<u8>>);

/// The directory's entries by their names.
fn entries(host: &Host) -> BTreeMap<String, Entry> {
    let entry = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        let bytes = found.is_file().then(|| fs::read(path).unwrap());
        (found.ino(), found.mtime(), found.mtime_nsec(), bytes)
    };
    let entries = fs::read_dir(host.path("")).unwrap().map(Result::unwrap);
    entries.map(|it| (it.file_name().into_string().unwrap(), entry(&it.path()))).collect()
}

fn mode(host: &Host, name: &str) -> u32 {
    fs::symlink_metadata(host.path(name)).unwrap().mode() & 0o7777
}
