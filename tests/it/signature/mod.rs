//! Signatures of root hashes, judged by OpenSSL.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credimg::keys::signer::Signer;
use serde_json::Value;

use crate::support::host::{Host, stderr};
use crate::support::systemd::oem_strings;

const MANIFEST: &str = "label: CHIMERA\nfiles:\n- {path: /token, text: hunter2}\n";
const TEXT: &str = "8f3a5b0c3e6f1d2a7b4c5d6e8f9a0b1c2d3e4f5061728394a5b6c7d8e9f00112";

/// Runs openssl with these arguments, which no white space is in.
#[track_caller]
fn openssl(host: &Host, arguments: &str) {
    let output = host.command("openssl").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", stderr(&output));
}

/// Makes a key and a certificate, of which these options say more.
fn make(host: &Host, name: &str, options: &str) {
    openssl(
        host,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.crt -days 2 {options}"
        ),
    );
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(host.path(format!("{name}.key")), private).unwrap();
}

fn read(host: &Host, key: &str, certificate: &str) -> Result<Signer, String> {
    let signer = Signer::read(&host.path(key), &host.path(certificate));
    signer.map_err(|failure| format!("{failure:?}"))
}

#[test]
fn a_signature_is_that_of_openssl_byte_for_byte() {
    let host = Host::new(MANIFEST);
    fs::write(host.path("text"), TEXT).unwrap();
    let long = format!("/O={}/CN=x", "long".repeat(15));
    for (name, options) in [
        ("short", "-subj /CN=chimera".to_owned()),
        // A serial number with its highest bit set, and an issuer whose length takes two bytes.
        ("long", format!("-set_serial 0xf123456789abcdef -subj {long}")),
    ] {
        make(&host, name, &options);
        openssl(
            &host,
            &format!(
                "smime -sign -nocerts -noattr -binary -outform DER -md sha256 -in text \
                 -inkey {name}.key -signer {name}.crt -out {name}.theirs"
            ),
        );
        let signer = read(&host, &format!("{name}.key"), &format!("{name}.crt")).unwrap();
        let ours = signer.sign(TEXT).unwrap();
        assert!(ours == host.read(&format!("{name}.theirs")), "{name}");
        fs::write(host.path("ours"), &ours).unwrap();
        let verify = format!(
            "smime -verify -binary -inform DER -in ours -content text -certfile {name}.crt \
             -nointern -noverify -out verified"
        );
        openssl(&host, &verify);
        assert_eq!(host.read("verified"), TEXT.as_bytes());
    }
}

/// The unit in the OEM strings of the file.
fn unit(host: &Host, structure: &str) -> String {
    let structure = host.read(structure);
    let start = "io.systemd.credential.binary:systemd.extra-unit.credimg-chimera.service=";
    let strings = oem_strings(&structure);
    let value = strings.iter().find_map(|string| string.strip_prefix(start)).unwrap();
    String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
}

#[test]
fn the_guest_is_given_the_signature_with_the_root_hash() {
    let host = Host::new(MANIFEST);
    make(&host, "one", "-subj /CN=one");
    for (image, options) in [
        ("a.erofs", "--verity-sign one.key --verity-cert one.crt"),
        ("b.iso", "--verity --verity-sign one.key --verity-cert one.crt"),
    ] {
        let build = format!("build secrets.yaml -o {image} --json --label CHIMERA {options}");
        let output = host.credimg().args(build.split(' ')).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let root_hash = report["root_hash"].as_str().unwrap();
        let unit = unit(&host, &format!("{image}.smbios"));
        let (_, behind) = unit.split_once(",root-hash-signature=base64:").unwrap();
        let signature = STANDARD.decode(behind.lines().next().unwrap()).unwrap();
        assert!(unit.contains(&format!(" {root_hash} hash-offset=")), "{unit}");
        fs::write(host.path("text"), root_hash).unwrap();
        fs::write(host.path("signature"), signature).unwrap();
        let verify = "smime -verify -binary -inform DER -in signature -content text \
                      -certfile one.crt -nointern -noverify -out verified";
        openssl(&host, verify);
    }
    // Where the unit goes nowhere, so does the signature.
    for output in ["c.erofs --target firecracker", "- --format erofs"] {
        let build = format!("build secrets.yaml -o {output} --label CHIMERA");
        let options = "--verity-sign one.key --verity-cert one.crt";
        let output = host.credimg().args(build.split(' ')).args(options.split(' ')).output();
        let said = stderr(&output.unwrap());
        assert!(said.contains("the signature of the root hash is not in it"), "{build}: {said}");
    }
}

/// The key that signs every disk is for no guest, and Make builds again where what signs is another.
#[test]
fn the_key_that_signs_is_an_input_and_no_source() {
    let host = Host::new(MANIFEST);
    make(&host, "one", "-subj /CN=one");
    let options = "--verity-sign one.key --verity-cert one.crt";
    let build = |manifest: &str| {
        let build = format!("build {manifest} -o a.erofs --depfile a.d {options}");
        host.credimg().args(build.split(' ')).output().unwrap()
    };
    fs::write(host.path("cert.yaml"), "label: A\nfiles: [{path: /a, file: one.crt}]\n").unwrap();
    let output = build("cert.yaml");
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(host.read("a.d")).unwrap();
    assert!(text.contains("one.key:") && text.contains("one.crt:"), "{text}");

    fs::create_dir(host.path("tree")).unwrap();
    fs::hard_link(host.path("one.key"), host.path("tree/one.key")).unwrap();
    for source in ["file: one.key", "dir: tree"] {
        let manifest = format!("label: A\nfiles: [{{path: /a, {source}}}]\n");
        fs::write(host.path("key.yaml"), manifest).unwrap();
        let output = build("key.yaml");
        let said = stderr(&output);
        assert!(said.contains("one.key is a key, which no guest is to have"), "{said}");
        assert_eq!(output.status.code(), Some(4));
    }
}

#[test]
fn no_output_takes_the_place_of_what_signs() {
    let host = Host::new(MANIFEST);
    make(&host, "one", "-subj /CN=one");
    let (key, certificate) = (host.read("one.key"), host.read("one.crt"));
    for (options, expected) in [
        (
            "-o one.key --format erofs --verity-sign one.key --verity-cert one.crt",
            "replace the key",
        ),
        ("-o one.crt --format erofs --verity-sign one.key --verity-cert one.crt", "certificate"),
        ("-o a.erofs --verity-sign one.key", "--verity-cert"),
        ("-o a.erofs --verity-cert one.crt", "--verity-sign"),
    ] {
        let build = format!("build secrets.yaml {options}");
        let output = host.credimg().args(build.split(' ')).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options}");
        assert!(stderr(&output).contains(expected), "{options}: {}", stderr(&output));
    }
    assert!(key == host.read("one.key") && certificate == host.read("one.crt"));
}

#[test]
fn what_cannot_sign_is_refused() {
    let host = Host::new(MANIFEST);
    make(&host, "one", "-subj /CN=one");
    make(&host, "two", "-subj /CN=two");
    openssl(&host, "pkcs8 -topk8 -passout pass:x -in one.key -out encrypted.key");
    openssl(&host, "rsa -traditional -in one.key -out old.key");
    openssl(&host, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out curve.key");
    let key = String::from_utf8(host.read("one.key")).unwrap();
    let lines: Vec<_> = key.lines().collect();
    let cut_off = [&lines[..3], &lines[lines.len() - 1..]].concat().join("\n");
    for (name, text) in [
        ("empty.key", ""),
        ("text.key", "hunter2"),
        ("cut.key", &cut_off),
        ("large.key", &"x".repeat(70_000)),
    ] {
        fs::write(host.path(name), text).unwrap();
    }
    let private = fs::Permissions::from_mode(0o600);
    for (name, expected) in [
        ("encrypted.key", "is encrypted"),
        ("old.key", "is in PKCS#1"),
        ("curve.key", "is no private key of RSA in PEM"),
        ("empty.key", "is no private key of RSA in PEM"),
        ("text.key", "is no private key of RSA in PEM"),
        ("cut.key", "is no private key of RSA in PEM"),
        ("large.key", "has over 65536 bytes"),
        ("two.key", "is not that of the key"),
        ("missing.key", "makes both"),
    ] {
        if name != "missing.key" {
            fs::set_permissions(host.path(name), private.clone()).unwrap();
        }
        let message = read(&host, name, "one.crt").err().unwrap();
        assert!(message.contains(expected), "{name}: {message}");
        assert!(!message.contains("hunter2") && !message.contains(lines[1]), "{name}: {message}");
    }
    for (certificate, expected) in [
        ("one.key", "is no certificate in PEM"),
        ("large.key", "is no certificate in PEM"),
        ("missing.crt", "missing.crt"),
    ] {
        let message = read(&host, "one.key", certificate).err().unwrap();
        assert!(message.contains(expected), "{certificate}: {message}");
        assert!(!message.contains(lines[1]), "{certificate}: {message}");
    }
    fs::set_permissions(host.path("one.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let message = read(&host, "one.key", "one.crt").err().unwrap();
    assert!(message.contains("Policy"), "{message}");
}
