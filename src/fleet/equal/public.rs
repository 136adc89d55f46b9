//! Values that are public by their form, and so may be equal on all machines: certificates and public
//! keys.

/// What stands in front of the name of a block of PEM (RFC 7468).
const BEGIN: &str = "-----BEGIN ";
/// Blocks of PEM that hold nothing secret.
const PUBLIC_BLOCKS: [&str; 6] = [
    "CERTIFICATE",
    "TRUSTED CERTIFICATE",
    "X509 CRL",
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "DH PARAMETERS",
];
/// The first words of public keys in files of OpenSSH (sshd(8)). `sk-` alone would not do: tokens
/// of several services begin with it.
const PUBLIC_KEYS: [&str; 6] = [
    "ssh-ed25519 ",
    "ssh-rsa ",
    "ssh-dss ",
    "ecdsa-sha2-nistp",
    "sk-ssh-ed25519@openssh.com ",
    "sk-ecdsa-sha2-nistp256@openssh.com ",
];

/// Whether `bytes` hold nothing but certificates, public keys and comments.
pub(super) fn is_public(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    let mut block = None;
    let mut is_any = false;
    for line in text.lines().map(str::trim_end) {
        match block {
            Some(name) => {
                if line.strip_prefix("-----END ").and_then(|it| it.strip_suffix("-----"))
                    == Some(name)
                {
                    block = None;
                }
            }
            None if line.is_empty() || line.starts_with('#') => {}
            None if PUBLIC_KEYS.iter().any(|begin| line.starts_with(begin)) => is_any = true,
            None => {
                let name = line.strip_prefix(BEGIN).and_then(|it| it.strip_suffix("-----"));
                block = name.filter(|name| PUBLIC_BLOCKS.contains(name));
                if block.is_none() {
                    return false;
                }
                is_any = true;
            }
        }
    }
    is_any && block.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_and_public_keys_are_public_and_nothing_else_is() {
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
        for (text, expected) in [
            (certificate.to_owned(), true),
            (format!("# our authority\n\n{certificate}{certificate}"), true),
            (certificate.replace('\n', "\r\n"), true),
            ("ssh-ed25519 AAAA root@host\n".to_owned(), true),
            ("sk-ssh-ed25519@openssh.com AAAA\n".to_owned(), true),
            ("sk-0123456789abcdef0123456789abcdef\n".to_owned(), false),
            ("ecdsa-sha2-nistp256 AAAA\nssh-rsa AAAA\n".to_owned(), true),
            (format!("{certificate}{key}"), false),
            (key.to_owned(), false),
            (format!("password\n{certificate}"), false),
            (format!("{certificate}password"), false),
            ("-----BEGIN CERTIFICATE-----\npassword\n".to_owned(), false),
            ("# only a comment\n".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_public(text.as_bytes()), expected, "{text}");
        }
        assert!(!is_public(b"ssh-rsa \xff"));
    }
}
