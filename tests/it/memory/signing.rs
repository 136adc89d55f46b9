//! Builds that sign the root hash of a hash tree.

use super::*;

/// Makes a key of RSA with its certificate, as people make it.
fn make_key(host: &Host) {
    let request = "req -x509 -newkey rsa:2048 -nodes -keyout sign.key -out sign.crt -days 3650 \
                   -subj /CN=one";
    openssl(host, request);
}

fn openssl(host: &Host, arguments: &str) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.split(' ')).current_dir(host.path("")).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", stderr(&output));
    output.stdout
}

/// The key's text, and its numbers but the public ones, as they are written and as they are in
/// memory, the lowest byte first (RFC 8017, A.1.2).
fn needles(host: &Host) -> Needles {
    let mut needles = known();
    let text = String::from_utf8(host.read("sign.key")).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('-')).collect();
    let [_, .., second_last, _] = &lines[..] else { panic!("{text}") };
    needles.raw("the signing key's text", second_last.as_bytes());
    let der = openssl(host, "rsa -in sign.key -traditional -outform DER");
    let mut numbers = integers(&der);
    // The version, the modulus and the public exponent.
    numbers.drain(..3);
    for (name, number) in ["d", "p", "q", "dP", "dQ", "qInv"].into_iter().zip(numbers) {
        let turned: Vec<_> = number.iter().rev().copied().collect();
        needles.raw(&format!("the signing key's {name}"), &number);
        needles.raw(&format!("the signing key's {name} in memory"), &turned);
    }
    needles
}

/// The integers of a sequence in DER, without a zero at their start.
fn integers(der: &[u8]) -> Vec<Vec<u8>> {
    let (_, mut left) = element(der);
    let mut integers = Vec::new();
    while !left.is_empty() {
        let (length, content) = element(left);
        integers.push(content[usize::from(content[0] == 0)..].to_vec());
        left = &left[length..];
    }
    integers
}

/// The whole length of the first element, and its content.
fn element(der: &[u8]) -> (usize, &[u8]) {
    let digits = if der[1] < 0x80 { 0 } else { usize::from(der[1] & 0x7f) };
    let long = der[2..2 + digits].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let length = if digits == 0 { usize::from(der[1]) } else { long };
    (2 + digits + length, &der[2 + digits..][..length])
}

#[test]
fn no_build_leaves_a_signing_key_in_memory() {
    let host = host();
    make_key(&host);
    let needles = needles(&host);
    for (arguments, stops) in [
        ("build secrets.yaml -o a.erofs", 2),
        ("build secrets.yaml -o a.erofs --if-changed", 1),
        ("exec secrets.yaml", 0),
    ] {
        let arguments = format!("{arguments} --verity-sign sign.key --verity-cert sign.crt");
        let mut command = credimg(&host, &arguments);
        if stops == 0 {
            command.args(["--", "true"]);
        }
        let dumps = take(&command, b"");
        assert_eq!(dumps.outcome.code(), Some(0), "{arguments}: {}", dumps.outcome.stderr());
        assert!(dumps.count() >= stops, "{arguments}: no fsync was seen");
        dumps.assert_clean(&arguments, &needles);
        // It is in locked memory, and found there.
        assert!(dumps.holds(&needles, "the signing key"), "{arguments}: there is no key");
    }
}
