//! LUKS volumes judged by others: cryptsetup, QEMU's own driver, Linux's dm-crypt in a
//! guest, and AES-XTS of python3-cryptography. Theirs are opened by our reader in turn. A
//! missing tool fails the test; `make setup` installs them.

mod account;
mod foreign;
mod guest;
mod hostile;
mod sectors;
mod volumes;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use credimg_formats::iso9660::VolumeId;
use credimg_formats::luks::{Header, Kdf, Label, Options, Plan, RANDOM_BYTES, Version, VolumeKey};
use credimg_formats::{Result, Secret, Sink, Tree, erofs, iso9660, squashfs};

use crate::support::generator::Random;
use crate::support::host::{SparseSink, run};
use crate::support::{BUILD_TIME, file, name, plain};

/// A file system as the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inner {
    Erofs,
    /// Its start is written last.
    Squashfs,
    Iso9660,
}

/// What a volume is made of.
#[derive(Clone, Debug)]
struct Spec {
    version: Version,
    label: String,
    uuid: [u8; 16],
    sector_bytes: usize,
    passphrase: Vec<u8>,
    kdf: Kdf,
    key: [u8; 64],
    random: Vec<u8>,
    inner: Inner,
    /// What the file `secret` of the inner image holds.
    content: Vec<u8>,
}

impl Spec {
    /// A plain one.
    fn new(seed: u64, version: Version) -> Self {
        let mut random = Random::new(seed);
        Self {
            version,
            label: String::new(),
            uuid: *random.bytes(16).first_chunk().unwrap(),
            sector_bytes: 512,
            passphrase: b"correct horse battery staple".to_vec(),
            kdf: Kdf::Pbkdf2 { iterations: 1000 },
            key: *random.bytes(64).first_chunk().unwrap(),
            random: random.bytes(RANDOM_BYTES),
            inner: Inner::Erofs,
            content: random.bytes(10_000),
        }
    }

    /// Calls `make` with the plan.
    fn planned<T>(&self, make: impl FnOnce(&Plan<'_>) -> T) -> Result<T> {
        let passphrase = Secret::from(self.passphrase.as_slice());
        let random = Secret::from(self.random.as_slice());
        let volume_key = VolumeKey::new(&self.key)?;
        let options = Options::new(self.version, &passphrase, &volume_key, &random)
            .label(Label::new(&self.label)?)
            .uuid(self.uuid)
            .sector_bytes(self.sector_bytes)
            .kdf(self.kdf);
        Ok(make(&Plan::new(options)?))
    }

    /// Writes the volume with the inner image in it.
    fn write(&self, sink: &mut dyn Sink) {
        self.planned(|plan| {
            let mut writer = plan.begin(sink);
            self.write_inner(&mut writer);
            writer.finish().unwrap();
        })
        .unwrap();
    }

    fn write_file(&self, path: &Path) {
        let mut sink = SparseSink::create(path);
        self.write(&mut sink);
        sink.finish();
    }

    fn image(&self) -> Vec<u8> {
        let mut image = Vec::new();
        self.write(&mut image);
        image
    }

    fn plaintext(&self) -> Vec<u8> {
        let mut plaintext = Vec::new();
        self.write_inner(&mut plaintext);
        plaintext
    }

    fn write_inner(&self, sink: &mut dyn Sink) {
        let mut tree = Tree::new(plain(0o755));
        tree.insert(Tree::ROOT, name("secret"), plain(0o400), file(&self.content)).unwrap();
        match self.inner {
            Inner::Erofs => {
                let options = erofs::Options::new().build_time(BUILD_TIME);
                erofs::Plan::new(&tree, options).unwrap().write(sink).unwrap();
            }
            Inner::Squashfs => {
                let compression = "zstd:1".parse().unwrap();
                let options = squashfs::Options::new().compression(compression);
                let options = options.build_time(BUILD_TIME);
                squashfs::Plan::new(&tree, options).unwrap().write(sink).unwrap();
            }
            Inner::Iso9660 => {
                let volume_id = VolumeId::new(b"cidata").unwrap();
                let options = iso9660::Options::new().volume_id(volume_id).build_time(BUILD_TIME);
                iso9660::Plan::new(&tree, options).unwrap().write(sink).unwrap();
            }
        }
    }

    fn uuid_text(&self) -> String {
        let hex = hexadecimal(&self.uuid);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The plaintext of the volume at `path`, by our reader.
fn opened(path: &Path, passphrase: &[u8]) -> Result<Vec<u8>> {
    let mut image = File::open(path).unwrap();
    let mut reader = Header::read(&mut image)?.open(image, passphrase)?;
    let mut plaintext = Vec::new();
    reader.read_to_end(&mut plaintext)?;
    Ok(plaintext)
}

fn cryptsetup() -> Command {
    let mut command = Command::new("cryptsetup");
    command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    command
}

/// What cryptsetup prints of a header, with single spaces.
fn dump(path: &Path) -> String {
    let output = run(cryptsetup().arg("luksDump").arg(path)).stdout;
    let text = String::from_utf8(output).unwrap();
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

/// One call of AES-XTS: the key, the first sector's number, the sectors' size.
struct Job<'d> {
    key: &'d [u8],
    sector: u64,
    sector_bytes: usize,
    data: &'d [u8],
}

/// Encrypts by python3-cryptography.
fn encrypted_by_python(jobs: &[Job<'_>]) -> Vec<Vec<u8>> {
    // Debian's own: another Python may lack the module.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/luks/xts.py");
    let mut python = Command::new("/usr/bin/python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = Vec::new();
    for job in jobs {
        for number in [job.key.len(), job.sector_bytes, job.data.len()] {
            input.extend((number as u64).to_le_bytes());
        }
        input.extend(job.sector.to_le_bytes());
        input.extend(job.key);
        input.extend(job.data);
    }
    python.stdin.take().unwrap().write_all(&input).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "python3-cryptography is missing: run `make setup`");
    let mut rest = output.stdout.as_slice();
    let outputs = jobs.iter().map(|job| {
        let (data, behind) = rest.split_at(job.data.len());
        rest = behind;
        data.to_vec()
    });
    outputs.collect()
}
