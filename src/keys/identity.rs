//! The key of a blob: one age identity of the kind X25519, as age-keygen writes it.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;

use ::age::secrecy::ExposeSecret;
use ::age::x25519;
use credimg_formats::{Buffer, Secret};

use super::file::{is_there, read_or_make_as};
use super::{held, hold, random, without_traces};
use crate::host::output;
use crate::host::private::{self, Owners};
use crate::report::{Exit, Failure, shown};

/// Largest file that is looked at in bytes: an identity with many comments.
const FILE_MAX_BYTES: usize = 64 << 10;

/// How age begins the line of an identity (age(1), "IDENTITIES").
const PREFIX: &[u8] = b"AGE-SECRET-KEY-1";
/// How a file begins that age encrypted, plain and armoured.
const ENCRYPTED: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"];

/// What the file of a new identity says to people. Without the public key, which
/// age-keygen would write there: it is what makes blobs.
const COMMENT: &[u8] = b"# Made by credimg: opens the sealed blobs of one virtual machine.\n\
    # Keep its public key as private as this file: who knows it can make a blob that opens.\n";

/// An X25519 identity. Not shown by `Debug`, and wiped when dropped. Kept as its line of
/// text: the library's own form would be wherever the compiler puts it.
pub struct Identity(Rc<Secret>);

impl Identity {
    /// A new identity from the system's random numbers; where it gives none, an error of
    /// [`Exit::Policy`].
    pub fn generate() -> Result<Self, Failure> {
        without_traces(|| random::guarded(|| Self::of(&x25519::Identity::generate())))
    }

    fn of(identity: &x25519::Identity) -> Self {
        Self(Rc::new(held(Secret::from(identity.to_string().expose_secret().as_bytes()))))
    }

    /// The identity in the file at `path`. A file that is no identity is an error of
    /// [`Exit::Source`], one that every user may read or write is of [`Exit::Policy`].
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let (owners, missing) = (Owners::Trusted(None), "--key-out FILE makes one");
        let text = private::read(path, "the key file", FILE_MAX_BYTES, owners, missing)?
            .ok_or_else(|| failure(path, "is too large to be an identity file"))?;
        Self::parse(text.expose()).map_err(|fault| failure(path, fault.message()))
    }

    /// Refuses what [`read_or_make`](Self::read_or_make) would refuse of a file that is there.
    pub fn check(path: &Path) -> Result<(), Failure> {
        if is_there(path)? { Self::read(path).map(drop) } else { Ok(()) }
    }

    /// The identity in the file at `path`, which is made where there is none and never
    /// replaced: whatever fails, it opens the old blob and the new one. Returns whether
    /// it was made here. Beyond the errors of [`read`](Self::read) there are those of
    /// [`Exit::Output`].
    pub fn read_or_make(path: &Path) -> Result<(Self, bool), Failure> {
        let permissions = output::Permissions::default();
        read_or_make_as(path, permissions, Self::read, Self::generate, |identity| {
            Rc::new(identity.file_text())
        })
    }

    /// Reads the text of an identity file: one line of an identity, and any number
    /// of empty lines and of comments, which begin with `#`.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::Empty);
        }
        if ENCRYPTED.iter().any(|start| text.starts_with(start)) {
            return Err(Fault::Encrypted);
        }
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        let line = lines.next().ok_or(Fault::OnlyComments)?;
        let identity = without_traces(|| {
            let text = std::str::from_utf8(line).ok().filter(|_| line.starts_with(PREFIX))?;
            text.parse().ok().map(|identity| Self::of(&identity))
        });
        let identity = identity.ok_or_else(|| Fault::of(line))?;
        match lines.next() {
            None => Ok(identity),
            Some(more) if more.starts_with(PREFIX) => Err(Fault::Several),
            Some(more) => Err(Fault::of(more)),
        }
    }

    /// The line of the identity, without a newline.
    pub fn line(&self) -> &Secret {
        &self.0
    }

    /// The text of an identity file.
    pub fn file_text(&self) -> Secret {
        let text = [COMMENT, self.0.expose(), b"\n"];
        let mut file = Buffer::zeroed(text.iter().map(|part| part.len()).sum());
        hold(&file);
        let mut rest = &mut *file;
        for part in text {
            // Into a slice that is long enough.
            let _ = rest.write_all(part);
        }
        let length_bytes = file.len();
        file.into_secret(length_bytes)
    }

    /// The public half, to encrypt to. It is always there, as the text was parsed before.
    pub(crate) fn recipient(&self) -> Option<x25519::Recipient> {
        without_traces(|| {
            let text = std::str::from_utf8(self.0.expose()).ok()?;
            text.parse().ok().map(|identity: x25519::Identity| identity.to_public())
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

fn failure(path: &Path, fault: &str) -> Failure {
    let message = format!("the key file {} {fault}", shown(path));
    let hint = "name a file that is not there yet, and one is made; this one is left as it is";
    Failure::new(Exit::Source, message).hint(hint)
}

/// Why a text is no identity file. Nothing of the text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file is empty.
    Empty,
    /// There are comments and empty lines only.
    OnlyComments,
    /// age encrypted it, as a rule with a passphrase.
    Encrypted,
    /// An identity that a plugin of age understands.
    Plugin,
    /// An identity of age's post-quantum kind.
    PostQuantum,
    /// A private key of SSH.
    Ssh,
    /// A public key: of age or of SSH.
    PublicKey,
    /// More than one identity.
    Several,
    /// An X25519 identity that is cut, mistyped or otherwise damaged.
    Damaged,
    /// Anything else.
    Unknown,
}

impl Fault {
    /// What a line is that is no X25519 identity.
    fn of(line: &[u8]) -> Self {
        let starts: [(&[u8], Self); 7] = [
            (b"AGE-PLUGIN-", Self::Plugin),
            (b"AGE-SECRET-KEY-PQ-", Self::PostQuantum),
            (PREFIX, Self::Damaged),
            (b"-----BEGIN OPENSSH PRIVATE KEY-----", Self::Ssh),
            (b"-----BEGIN RSA PRIVATE KEY-----", Self::Ssh),
            (b"age1", Self::PublicKey),
            (b"ssh-", Self::PublicKey),
        ];
        let found = starts.iter().find(|(start, _)| line.starts_with(start));
        found.map_or(Self::Unknown, |(_, fault)| *fault)
    }

    /// Goes on from "the key file".
    pub fn message(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::OnlyComments => "holds comments and no identity",
            Self::Encrypted => "is encrypted: the guest has nobody who types its passphrase",
            Self::Plugin => "holds the identity of a plugin, which the guest has not",
            Self::PostQuantum => "holds a post-quantum identity, which is not supported",
            Self::Ssh => "holds a key of SSH, not an identity of age",
            Self::PublicKey => "holds a public key, not an identity",
            Self::Several => "holds several identities, of which the guest gets one",
            Self::Damaged => "holds an identity that is cut or damaged",
            Self::Unknown => "is no identity file of age",
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    /// The identity of age's own test vectors.
    const LINE: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";

    #[test]
    fn what_age_keygen_writes_is_read() {
        for text in [
            LINE.to_owned(),
            format!("{LINE}\n"),
            format!("# created: 2024-02-29T12:00:00Z\n# public key: age1…\n{LINE}\n"),
            format!("\r\n{LINE}\r\n# end"),
        ] {
            let identity = Identity::parse(text.as_bytes()).unwrap();
            assert_eq!(identity.line().expose(), LINE.as_bytes());
        }
    }

    #[test]
    fn a_new_identity_is_read_again() {
        let identity = Identity::generate().unwrap();
        let text = identity.file_text();
        let again = Identity::parse(text.expose()).unwrap();
        assert_eq!(again.line(), identity.line());
        assert_ne!(Identity::generate().unwrap().line(), identity.line());
        assert!(!format!("{identity:?}").contains("AGE-"));
    }

    #[test]
    fn what_is_none_is_told_apart() {
        let (cut, _) = LINE.split_at(40);
        for (text, expected) in [
            ("", Fault::Empty),
            ("\n# nothing\n\n", Fault::OnlyComments),
            ("age-encryption.org/v1\n-> scrypt x 18\n", Fault::Encrypted),
            ("-----BEGIN AGE ENCRYPTED FILE-----\n", Fault::Encrypted),
            ("AGE-PLUGIN-YUBIKEY-1QQQ\n", Fault::Plugin),
            ("AGE-SECRET-KEY-PQ-1QQQ\n", Fault::PostQuantum),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", Fault::Ssh),
            ("age1qqqq\n", Fault::PublicKey),
            ("ssh-ed25519 AAAA\n", Fault::PublicKey),
            (cut, Fault::Damaged),
            (&LINE.replace("GQ9", "GQ8"), Fault::Damaged),
            (&LINE.to_lowercase(), Fault::Unknown),
            (&format!("{LINE}\n{LINE}\n"), Fault::Several),
            (&format!("{LINE}\nAGE-PLUGIN-X-1QQQ\n"), Fault::Plugin),
            ("hunter2\n", Fault::Unknown),
        ] {
            assert_eq!(Identity::parse(text.as_bytes()).unwrap_err(), expected, "{text}");
        }
        assert_eq!(Identity::parse(b"\xff\0").unwrap_err(), Fault::Unknown);
    }
}
