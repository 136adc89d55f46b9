//! `credimg secret`: what we wrap another implementation unwraps, and the other way
//! round, and QEMU itself reads it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credimg::keys::wrap::{MasterKey, Wrapped};
use credimg_formats::Secret;

use super::*;

const COUNT: usize = 10_000;

/// Reads lines of key, vector, ciphertext and secret, and compares; then prints as many
/// of its own.
const CRYPTOGRAPHY: &str = "
import base64, os, sys
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
decode = base64.b64decode
count = 0
for line in sys.stdin:
    key, iv, data, secret = map(decode, line.split())
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    padded = cipher.update(data) + cipher.finalize()
    assert unpadder.update(padded) + unpadder.finalize() == secret, line
    count += 1
for index in range(count):
    secret, key, iv = (os.urandom(n) for n in (1 + index % 300, 32, 16))
    padder = PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    data = cipher.update(padder.update(secret) + padder.finalize()) + cipher.finalize()
    print(*(base64.b64encode(it).decode() for it in (key, iv, data, secret)))
";

/// A secret of 1 to 300 bytes; all together hold every byte at every place.
fn secret(index: usize) -> Secret {
    let byte = |place: usize| u8::try_from((index * 7 + place * 31 + index / 256) % 256).unwrap();
    Secret::new((0..=index % 300).map(byte).collect())
}

fn master(index: usize) -> Secret {
    Secret::new((0..32).map(|place| u8::try_from((index + place * 5) % 256).unwrap()).collect())
}

#[test]
fn another_implementation_reads_ours_and_we_read_its() {
    let mut lines = String::new();
    for index in 0..COUNT {
        let (master, secret) = (master(index), secret(index));
        let Wrapped { iv, data } = MasterKey::new(master.clone()).unwrap().wrap(&secret).unwrap();
        let [master, secret] = [master, secret].map(|bytes| STANDARD.encode(bytes.expose()));
        lines.extend([&master, " ", &iv, " ", &data, " ", &secret, "\n"]);
    }
    // Debian's own, which has Debian's own module.
    let mut python = Command::new("/usr/bin/python3");
    let output = feed(python.args(["-c", CRYPTOGRAPHY]), lines.as_bytes());
    assert_done(&output);
    let mut count = 0;
    for line in stdout(&output).lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [key, iv, data, secret] = words[..] else { panic!("{line}") };
        let master = MasterKey::new(Secret::new(STANDARD.decode(key).unwrap())).unwrap();
        let wrapped = Wrapped { iv: iv.to_owned(), data: data.to_owned() };
        let expected = Secret::new(STANDARD.decode(secret).unwrap());
        assert_eq!(master.unwrap(&wrapped), Some(expected), "{line}");
        count += 1;
    }
    assert_eq!(count, COUNT);
}

fn wrap(host: &Host, options: &str, secret: &[u8]) -> Output {
    run_with(host, &format!("secret wrap --master-key master {options}"), secret)
}

fn unwrap(host: &Host, wrapped: &[u8]) -> Output {
    run_with(host, "secret unwrap --master-key master", wrapped)
}

#[test]
fn what_is_wrapped_comes_back_byte_for_byte() {
    let host = host(MANIFEST);
    let all: Vec<u8> = (0..=255).collect();
    for options in ["--id a", "--id a --json", "--id vnc0 --keyid other.master"] {
        for secret in [&b"x"[..], b"hunter2", b"\0", b"\xff\xfe", &[b'x'; 15], &[b'x'; 16], &all] {
            let wrapped = wrap(&host, options, secret);
            assert_done(&wrapped);
            assert!(wrapped.stderr.is_empty(), "{wrapped:?}");
            assert!(wrapped.stdout.ends_with(b"\n"));
            let unwrapped = unwrap(&host, &wrapped.stdout);
            assert_done(&unwrapped);
            assert_eq!(unwrapped.stdout, secret);
            assert_ne!(wrap(&host, options, secret).stdout, wrapped.stdout, "the same vector");
        }
    }
    let largest = vec![b'x'; 1 << 20];
    let wrapped = wrap(&host, "--id a", &largest);
    assert!(unwrap(&host, &wrapped.stdout).stdout == largest);
}

#[test]
fn objects_look_as_documented() {
    let host = host(MANIFEST);
    let text = stdout(&wrap(&host, "--id vnc0", b"hunter2"));
    let value = text.strip_prefix("-object secret,id=vnc0,keyid=credimg-master,iv=").unwrap();
    let (iv, data) = value.trim_end().split_once(",format=base64,data=").unwrap();
    assert_eq!(
        (STANDARD.decode(iv).unwrap().len(), STANDARD.decode(data).unwrap().len()),
        (16, 16)
    );
    let text = stdout(&wrap(&host, "--id vnc0 --keyid m --json", b"hunter2"));
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pairs = ["qom-type", "id", "keyid", "format"].map(|key| object[key].as_str().unwrap());
    assert_eq!(pairs, ["secret", "vnc0", "m", "base64"]);
    assert_eq!(object.as_object().unwrap().len(), 6);
}

#[test]
fn a_newline_is_told_and_trimmed_on_request() {
    let host = host(MANIFEST);
    let warning =
        "credimg: warning: the secret ends in a newline, which is a part of it; --trim drops it\n";
    for (options, secret, expected, warned) in [
        ("--id a", "x\n", "x\n", warning),
        ("--id a --trim", "x\n", "x", ""),
        ("--id a --trim", "x\n\n", "x\n", ""),
        ("--id a --trim", "x", "x", ""),
        ("--id a", "x\ny", "x\ny", ""),
    ] {
        let wrapped = wrap(&host, options, secret.as_bytes());
        assert_done(&wrapped);
        assert_eq!(stderr(&wrapped), warned);
        assert_eq!(stdout(&unwrap(&host, &wrapped.stdout)), expected);
    }
    for (options, secret) in [("--id a", ""), ("--id a --trim", "\n"), ("--id a --trim", "")] {
        let output = wrap(&host, options, secret.as_bytes());
        assert_refused(&output, 4, "the secret on standard input is empty", None);
    }
    let output = wrap(&host, "--id a", &vec![b'x'; (1 << 20) + 1]);
    assert_refused(&output, 4, "standard input holds more than 1 MiB", None);
}

#[test]
fn ids_are_those_of_qemu() {
    let host = host(MANIFEST);
    for (options, message) in [
        ("--id 1a", "--id: it must begin with a letter"),
        ("--id a,b", "--id: only letters, digits, `.`, `_` and `-` are possible"),
        ("--id a --keyid b=c", "--keyid: only letters, digits, `.`, `_` and `-` are possible"),
    ] {
        assert_refused(&wrap(&host, options, b"x"), 2, message, None);
    }
    let output = wrap(&host, "--trim", b"x");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn what_is_damaged_prints_nothing_but_an_error() {
    let host = host(MANIFEST);
    let canary = "cAnArY-of-a-secret";
    let good = stdout(&wrap(&host, "--id a", canary.as_bytes()));
    let (head, data) = good.trim_end().rsplit_once("data=").unwrap();
    let (before_iv, iv) = head.split_once("iv=").unwrap();
    let iv = iv.split(',').next().unwrap();
    let no_object = (
        "standard input holds no wrapped secret: expected iv= and data=",
        "give it what `credimg secret wrap` printed",
    );
    let closed = (
        "the master key does not open this secret, or it is damaged",
        "each machine has a master key of its own",
    );
    let object = |iv: &str, data: &str| format!("{before_iv}iv={iv},format=base64,data={data}\n");
    for (text, (message, hint)) in [
        (String::new(), no_object),
        ("x".to_owned(), no_object),
        (canary.to_owned(), no_object),
        ("{".to_owned(), no_object),
        (format!("{{\"iv\": \"{iv}\"}}"), no_object),
        (format!("iv={iv}"), no_object),
        (format!("data={data}"), no_object),
        (object(iv, ""), closed),
        (object("", data), closed),
        (object(&iv[..8], data), closed),
        (object("!", data), closed),
        (object(iv, &data[..8]), closed),
        (object(iv, &format!("!{data}")), closed),
        (object(iv, data.trim_end_matches('=').strip_suffix(|_| true).unwrap()), closed),
        (format!("{{\"iv\": \"{iv}\", \"data\": \"cAnArY\"}}"), closed),
    ] {
        let output = unwrap(&host, text.as_bytes());
        assert_refused(&output, 4, message, Some(hint));
        assert!(!stderr(&output).contains("cAnArY"));
    }
    // Nothing is authenticated: one of 256 wrong keys gives a padding by chance, and then nonsense.
    let is_refused = |number: u8| {
        host.private("other", STANDARD.encode([number; 32]));
        let output = run_with(&host, "secret unwrap --master-key other", good.as_bytes());
        let is_chance = output.status.success();
        if is_chance {
            assert!(!output.stdout.windows(canary.len()).any(|it| it == canary.as_bytes()));
        } else {
            assert_refused(&output, 4, closed.0, Some(closed.1));
        }
        !is_chance
    };
    assert!((9..17).map(is_refused).filter(|is_refused| *is_refused).count() >= 4);
    let output = unwrap(&host, b"\xff\xfe");
    assert_refused(&output, 4, no_object.0, Some(no_object.1));
    let output = unwrap(&host, &vec![b' '; (2 << 20) + 1]);
    assert_refused(&output, 4, "standard input holds more than 2 MiB", None);
}

/// What `sh` makes of the arguments, where `$wrapped` is what `secret wrap` prints.
fn shell(host: &Host, script: &str) -> Output {
    let mut command = Command::new("timeout");
    command.args(["60", "bash", "-c", &format!("set -eu; {script}")]);
    command.arg(env!("CARGO_BIN_EXE_credimg")).current_dir(host.path("")).output().unwrap()
}

const MASTER_OBJECT: &str = "--object secret,id=credimg-master,file=master,format=base64";

#[test]
fn qemu_opens_a_disk_with_a_wrapped_key() {
    let host = host(MANIFEST);
    let build = "build secrets.yaml -o a.erofs --encrypt luks1 --key-file key --quiet";
    assert_done(&run(&host, build));
    let convert = |object: &str| {
        let script = format!(
            "wrapped=$(\"$0\" secret wrap --master-key master --id k <key); wrapped=${{wrapped#-object }}; \
             qemu-img convert {MASTER_OBJECT} --object {object} \
             --image-opts driver=luks,key-secret=k,file.filename=a.erofs -O raw opened"
        );
        shell(&host, &script)
    };
    let good = convert("\"$wrapped\"");
    assert_done(&good);
    let image = fs::read(host.path("a.erofs")).unwrap();
    assert!(fs::read(host.path("opened")).unwrap() == open(&image, KEY).unwrap());
    for bad in [
        "\"${wrapped/iv=/iv=AAAA}\"",
        "\"${wrapped/iv=????/iv=AAAA}\"",
        "\"${wrapped/id=k/id=other}\"",
        "\"${wrapped/keyid=credimg-master/keyid=other}\"",
        "\"${wrapped/data=????/data=AAAA}\"",
    ] {
        let output = convert(bad);
        assert!(!output.status.success(), "{bad}: {output:?}");
    }
}

/// A machine that never runs takes the objects, in both forms, for a VNC password.
#[test]
fn qemu_takes_a_wrapped_password_for_vnc() {
    let host = host(MANIFEST);
    fs::write(host.path("password"), "hunter2").unwrap();
    let start = |form: &str, id: &str| {
        let script = format!(
            "wrapped=$(\"$0\" secret wrap --master-key master --id vnc0 {form} <password); \
             [ '{form}' = '' ] || wrapped=\"-object '$wrapped'\"; \
             printf '%s\\n' '{{\"execute\":\"qmp_capabilities\"}}' '{{\"execute\":\"query-vnc\"}}' \
             '{{\"execute\":\"quit\"}}' | \
             eval \"qemu-system-x86_64 -machine none -nodefaults -S -display none -qmp stdio \
             -{object} $wrapped -vnc unix:socket,password-secret={id}\"",
            object = &MASTER_OBJECT[1..]
        );
        shell(&host, &script)
    };
    for form in ["", "--json"] {
        let output = start(form, "vnc0");
        assert_done(&output);
        assert!(stdout(&output).contains(r#""auth": "vnc""#), "{output:?}");
        assert!(!start(form, "vnc1").status.success());
    }
    host.private("master", STANDARD.encode([9; 31]));
    assert!(!start("", "vnc0").status.success());
}
