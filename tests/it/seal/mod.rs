//! Sealed blobs from outside: what GNU tar, bsdtar and busybox unpack, what age opens
//! and what it refuses, which key files are taken, what faults leave, and a guest that
//! mounts the share. A missing tool fails the test; `make setup` installs them.

mod archive;
mod blob;
mod faults;
mod guest;
mod keys;
mod refusals;
mod streams;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

use crate::formats::host::run;
use crate::support::host::{Host, stderr};

/// What no output may hold.
const CANARY: &str = "c4n4ry-5ea1-do-not-show";
/// How the line of an identity begins, of which no output may hold more.
const IDENTITY: &str = "AGE-SECRET-KEY-1";
const BLOB: &str = "share/chimera.tar.age";
/// In every blob: a header, its MAC and a nonce before chunks of 64 KiB and their tags.
const CHUNK_BYTES: usize = (64 << 10) + 16;

impl Host {
    /// A host with an empty share.
    fn with_share(manifest: &str) -> Self {
        let host = Self::new(manifest);
        fs::create_dir(host.path("share")).unwrap();
        host
    }

    fn seal(&self, options: &[&str]) -> Output {
        let arguments = ["seal", "secrets.yaml", "-o", BLOB, "--key-out", "key"];
        let output = self.credimg().args(arguments).args(options).output().unwrap();
        for said in [&output.stdout, &output.stderr] {
            let said = String::from_utf8_lossy(said);
            assert!(!said.contains(CANARY) && !said.contains(IDENTITY), "{said}");
        }
        output
    }

    /// Seals, which must succeed; returns the blob.
    fn sealed(&self, options: &[&str]) -> Vec<u8> {
        let output = self.seal(options);
        assert!(output.status.success(), "{}", stderr(&output));
        fs::read(self.path(BLOB)).unwrap()
    }

    /// The archive in a blob, opened by the age program with the key file.
    fn opened(&self, blob: &str) -> Vec<u8> {
        let mut age = Command::new("age");
        run(age.args(["-d", "-i"]).arg(self.path("key")).arg(self.path(blob))).stdout
    }

    /// Names in the directory that a build leaves when it is killed.
    fn temporaries(&self) -> Vec<String> {
        let names = |directory: &Path| {
            let entries = fs::read_dir(directory).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap())
        };
        let all = names(&self.path("")).chain(names(&self.path("share")));
        all.filter(|name| name.contains(".credimg-")).collect()
    }
}

/// Opens a blob in this process: the whole archive, or why not.
fn open(identity: &age::x25519::Identity, blob: &[u8]) -> Result<Vec<u8>, String> {
    let decryptor = age::Decryptor::new(blob).map_err(|error| error.to_string())?;
    let mut reader = decryptor
        .decrypt(std::iter::once(identity as &dyn age::Identity))
        .map_err(|error| error.to_string())?;
    let mut archive = Vec::new();
    reader.read_to_end(&mut archive).map_err(|error| error.to_string())?;
    Ok(archive)
}

/// The identity in a key file.
fn identity(host: &Host) -> age::x25519::Identity {
    let text = fs::read_to_string(host.path("key")).unwrap();
    text.lines().last().unwrap().parse().unwrap()
}
