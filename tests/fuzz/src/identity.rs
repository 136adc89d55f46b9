//! The text of age's identities.

use credimg::keys::identity::Identity;

use super::{Target, messages};

pub const TARGET: Target =
    Target { name: "identity", max_bytes: 1024, memory_max_bytes: 4 << 20, run, seeds };

/// An identity that opens nothing.
const LINE: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

fn run(data: &[u8]) {
    match Identity::parse(data) {
        Ok(identity) => {
            // The system may have no more memory to lock: that is no fault of the text.
            let text = identity.file_text();
            let again = Identity::parse(text.expose()).expect("what was written can be read");
            assert_eq!(again.line().expose(), identity.line().expose());
            let line = identity.line();
            let is_line = |words: &[u8]| words.eq_ignore_ascii_case(line.expose());
            assert!(data.split(u8::is_ascii_whitespace).any(is_line));
        }
        Err(fault) => messages::assert_hides(fault.message(), data),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![
        format!("{LINE}\n").into_bytes(),
        format!("# created: 2024-02-29\n# public key: age1\n\n{LINE}").into_bytes(),
        format!("{LINE}\n{LINE}\n").into_bytes(),
        b"age-encryption.org/v1\n-> scrypt".to_vec(),
        b"-----BEGIN AGE ENCRYPTED FILE-----\n".to_vec(),
        b"AGE-PLUGIN-YUBIKEY-1AAAA\n".to_vec(),
        b"AGE-SECRET-KEY-PQ-1AAAA\n".to_vec(),
        b"ssh-ed25519 AAAA\n".to_vec(),
    ]
}
