//! Volumes that cryptsetup and QEMU made, opened by our reader.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use credimg_formats::ErrorKind;
use credimg_formats::luks::{Header, Version};

use crate::luks::{Job, cryptsetup, encrypted_by_python, opened};
use crate::support::generator::Random;
use crate::support::host::{Scratch, run};

const PASSPHRASE: &[u8] = b"a passphrase\nof two lines";
const PAYLOAD_BYTES: usize = 160 << 10;

/// How `cryptsetup luksFormat` is called, and what its volume is like.
struct Format {
    options: &'static str,
    key_bytes: usize,
    /// 0: whatever cryptsetup takes.
    sector_bytes: usize,
    hash: &'static str,
    kdf: &'static str,
}

const FORMATS: [Format; 13] = [
    luks("--type luks1 --pbkdf-force-iterations 1000", 64, 512, "sha256", "pbkdf2 sha256, 1000 "),
    luks(
        "--type luks1 -s 256 --hash sha512 --pbkdf-force-iterations 1000",
        32,
        512,
        "sha512",
        "pbkdf2 sha512, ",
    ),
    luks(
        "--type luks1 --align-payload 8192 --pbkdf-force-iterations 1000",
        64,
        512,
        "sha256",
        "pbkdf2 sha256, ",
    ),
    luks(
        "--type luks1 --key-slot 3 --pbkdf-force-iterations 1000",
        64,
        512,
        "sha256",
        "pbkdf2 sha256, ",
    ),
    // All defaults but the time.
    luks("--type luks2 --iter-time 1", 64, 0, "sha256", "argon2id, 4 passes, "),
    luks(
        "--type luks2 --pbkdf-memory 1000 --pbkdf-force-iterations 4 --pbkdf-parallel 1 --sector-size 512",
        64,
        512,
        "sha256",
        "argon2id, 4 passes, 1000 KiB, 1 lane",
    ),
    luks(
        "--type luks2 --pbkdf argon2i --pbkdf-memory 65536 --pbkdf-force-iterations 5 \
         --pbkdf-parallel 4 --sector-size 4096 --label LABEL",
        64,
        4096,
        "sha256",
        "argon2i, 5 passes, 64 MiB, ",
    ),
    luks(
        "--type luks2 --pbkdf pbkdf2 --hash sha512 --pbkdf-force-iterations 1234 --sector-size 512",
        64,
        512,
        "sha512",
        "pbkdf2 sha512, 1234 iterations",
    ),
    luks(
        "--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 -s 256 --sector-size 512",
        32,
        512,
        "sha256",
        "pbkdf2 sha256, ",
    ),
    luks(
        "--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 -s 256 --sector-size 4096 --key-slot 5",
        32,
        4096,
        "sha256",
        "pbkdf2 sha256, ",
    ),
    luks(
        "--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --sector-size 2048 --luks2-metadata-size 64k",
        64,
        2048,
        "sha256",
        "pbkdf2 sha256, ",
    ),
    luks(
        "--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --luks2-metadata-size 4m --luks2-keyslots-size 1m --sector-size 512",
        64,
        512,
        "sha256",
        "pbkdf2 sha256, ",
    ),
    luks(
        "--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --luks2-metadata-size 16k --luks2-keyslots-size 256k \
         --offset 40960 --keyslot-key-size 256 --keyslot-cipher aes-xts-plain64 --sector-size 512",
        64,
        512,
        "sha256",
        "pbkdf2 sha256, ",
    ),
];

const fn luks(
    options: &'static str,
    key_bytes: usize,
    sector_bytes: usize,
    hash: &'static str,
    kdf: &'static str,
) -> Format {
    Format { options, key_bytes, sector_bytes, hash, kdf }
}

struct Files {
    scratch: Scratch,
    image: std::path::PathBuf,
    passphrase: std::path::PathBuf,
    volume_key: std::path::PathBuf,
}

impl Files {
    fn new(purpose: &str) -> Self {
        let scratch = Scratch::new(purpose);
        let [image, passphrase, volume_key] =
            ["image", "passphrase", "volume-key"].map(|name| scratch.path(name));
        std::fs::write(&passphrase, PASSPHRASE).unwrap();
        Self { scratch, image, passphrase, volume_key }
    }

    /// Makes an empty volume of 32 MiB.
    fn format(&self, options: &str, key: &[u8]) {
        std::fs::write(&self.volume_key, key).unwrap();
        std::fs::File::create(&self.image).unwrap().set_len(32 << 20).unwrap();
        let mut format = cryptsetup();
        format.args(["luksFormat", "-q"]).args(options.split_whitespace());
        format.arg("--volume-key-file").arg(&self.volume_key);
        format.arg(&self.image).arg(&self.passphrase);
        run(&mut format);
    }

    /// Puts a payload there, encrypted by another hand, up to the image's end.
    fn fill(&self, key: &[u8], plaintext: &[u8]) {
        let mut file = std::fs::File::open(&self.image).unwrap();
        let header = Header::read(&mut file).unwrap();
        let (offset, sector_bytes) = (header.payload_offset_bytes(), header.sector_bytes());
        let job = Job { key, sector: 0, sector_bytes, data: plaintext };
        let file = std::fs::File::options().write(true).open(&self.image).unwrap();
        file.set_len(offset + plaintext.len() as u64).unwrap();
        file.write_all_at(&encrypted_by_python(&[job])[0], offset).unwrap();
    }
}

#[test]
fn volumes_of_cryptsetup_open() {
    let files = Files::new("luks-cryptsetup");
    for (seed, format) in (0..).zip(&FORMATS) {
        let options = format.options;
        let mut random = Random::new(seed);
        let key = random.bytes(format.key_bytes);
        let plaintext = random.bytes(PAYLOAD_BYTES);
        files.format(options, &key);
        files.fill(&key, &plaintext);

        let mut file = std::fs::File::open(&files.image).unwrap();
        let header = Header::read(&mut file).unwrap();
        assert_eq!(header.key_bytes(), format.key_bytes, "{options}");
        // By default it depends on the disk beneath.
        let is_default = format.sector_bytes == 0;
        assert!(is_default || header.sector_bytes() == format.sector_bytes, "{options}");
        assert_eq!(header.hash(), format.hash, "{options}");
        let [slot] = header.slots() else { panic!("{options}: {} slots", header.slots().len()) };
        assert!(slot.kdf.starts_with(format.kdf), "{options}: {}", slot.kdf);
        let index = options
            .split("--key-slot ")
            .nth(1)
            .map_or(0, |index| index.split(' ').next().unwrap().parse().unwrap());
        assert_eq!(slot.index, index, "{options}");
        assert_eq!(header.label(), if options.contains("LABEL") { "LABEL" } else { "" });
        let uuid = run(cryptsetup().arg("luksUUID").arg(&files.image)).stdout;
        assert_eq!(header.uuid(), str::from_utf8(&uuid).unwrap().trim(), "{options}");
        assert!(opened(&files.image, PASSPHRASE).unwrap() == plaintext, "{options}");
        let error = opened(&files.image, b"another one").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key, "{options}");
    }
}

#[test]
fn each_of_several_passphrases_opens_and_a_removed_one_does_not() {
    let files = Files::new("luks-slots");
    let fast = "--pbkdf-force-iterations 1000 --pbkdf pbkdf2";
    for (version, slots) in [("--type luks1", [3, 1, 7]), ("--type luks2", [3, 11, 4])] {
        let mut random = Random::new(9);
        let (key, plaintext) = (random.bytes(64), random.bytes(PAYLOAD_BYTES));
        files.format(&format!("{version} {fast}"), &key);
        let passphrase = |slot: usize| format!("the passphrase of slot {slot}").into_bytes();
        for slot in slots {
            let new = files.scratch.path("new");
            std::fs::write(&new, passphrase(slot)).unwrap();
            let mut add = cryptsetup();
            add.args(["luksAddKey", "-q", "--key-slot", &slot.to_string(), "--key-file"]);
            add.arg(&files.passphrase).args(fast.split(' ')).arg(&files.image).arg(new);
            run(&mut add);
        }
        run(cryptsetup().args(["luksKillSlot", "-q"]).arg(&files.image).arg("0"));
        files.fill(&key, &plaintext);
        let mut file = std::fs::File::open(&files.image).unwrap();
        let mut indexes = slots;
        indexes.sort_unstable();
        let header = Header::read(&mut file).unwrap();
        let found: Vec<_> = header.slots().iter().map(|slot| slot.index).collect();
        assert_eq!(found, indexes);
        for slot in slots {
            assert!(opened(&files.image, &passphrase(slot)).unwrap() == plaintext, "slot {slot}");
        }
        assert_eq!(opened(&files.image, PASSPHRASE).unwrap_err().kind(), ErrorKind::Key);
    }
}

#[test]
fn the_second_header_of_cryptsetup_takes_the_place_of_the_first() {
    let files = Files::new("luks-second");
    for size in ["16k", "128k", "4m"] {
        let options = format!(
            "--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --luks2-metadata-size {size} --label L"
        );
        let (key, plaintext) = (Random::new(3).bytes(64), Random::new(4).bytes(PAYLOAD_BYTES));
        files.format(&options, &key);
        files.fill(&key, &plaintext);
        let image = std::fs::File::options().write(true).open(&files.image).unwrap();
        // The JSON; then the magic number, too.
        for offset in [4096 + 20, 0] {
            image.write_all_at(b"\xff\xff\xff\xff", offset).unwrap();
            assert!(opened(&files.image, PASSPHRASE).unwrap() == plaintext, "{size} {offset}");
        }
    }
}

#[test]
fn what_else_cryptsetup_makes_is_not_supported() {
    let files = Files::new("luks-unsupported");
    let key = Random::new(5).bytes(64);
    let fast = "--pbkdf pbkdf2 --pbkdf-force-iterations 1000";
    let cases = [
        ("--type luks1 -c aes-cbc-essiv:sha256 -s 512", "aes-cbc-essiv:sha256"),
        ("--type luks1 -c aes-xts-plain", "aes-xts-plain"),
        ("--type luks1 --hash sha1", "sha1"),
        ("--type luks2 -c aes-xts-plain", "aes-xts-plain"),
        ("--type luks2 --hash ripemd160", "ripemd160"),
    ];
    for (options, text) in cases {
        let key = if options.contains("cbc") { &key[..32] } else { &key };
        let options = options.replace("-s 512", "-s 256");
        files.format(&format!("{options} {fast}"), key);
        let error = opened(&files.image, PASSPHRASE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{options}: {error}");
        assert!(error.to_string().contains(text), "{options}: {error}");
    }
    // A header of its own.
    for version in ["luks1", "luks2"] {
        let header = files.scratch.path("header");
        let _ = std::fs::remove_file(&header);
        std::fs::File::create(&header).unwrap().set_len(32 << 20).unwrap();
        files.format(&format!("--type {version} {fast} --header {}", header.display()), &key);
        let error = opened(&header, PASSPHRASE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{version}: {error}");
        assert!(error.to_string().contains("detached"), "{version}: {error}");
    }
    // Without any key.
    files.format(&format!("--type luks2 {fast}"), &key);
    run(cryptsetup().args(["luksErase", "-q"]).arg(&files.image));
    assert_eq!(opened(&files.image, PASSPHRASE).unwrap_err().kind(), ErrorKind::Key);
}

#[test]
fn volumes_of_qemu_open() {
    let scratch = Scratch::new("luks-qemu");
    let [plain, image, passphrase] = ["plain", "image", "key"].map(|name| scratch.path(name));
    let text = b"0123456789abcdef".repeat(4);
    std::fs::write(&passphrase, &text).unwrap();
    let secret = format!("secret,id=key,file={}", passphrase.display());
    let cases = [
        ("", 64, "sha256"),
        (",cipher-alg=aes-128,hash-alg=sha512", 32, "sha512"),
        (",hash-alg=sha512", 64, "sha512"),
    ];
    for (seed, (options, key_bytes, hash)) in (0..).zip(cases) {
        let plaintext = Random::new(seed).bytes(300 << 10);
        std::fs::write(&plain, &plaintext).unwrap();
        let options = format!("key-secret=key,iter-time=10{options}");
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "--object", &secret, "-O", "luks", "-o", &options]);
        make_volume(convert.args([&plain, &image]));
        let mut file = std::fs::File::open(&image).unwrap();
        let header = Header::read(&mut file).unwrap();
        assert_eq!((header.version(), header.hash()), (Version::Luks1, hash), "{options}");
        assert_eq!(header.key_bytes(), key_bytes, "{options}");
        assert!(opened(&image, &text).unwrap() == plaintext, "{options}");
        assert_created(&image, &secret, &options, &text);
    }
    let options = "key-secret=key,iter-time=10,cipher-mode=cbc,ivgen-alg=essiv,\
                   ivgen-hash-alg=sha256";
    let mut create = Command::new("qemu-img");
    create.args(["create", "-q", "--object", &secret, "-f", "luks", "-o", options]);
    make_volume(create.arg(&image).arg("1M"));
    assert_eq!(opened(&image, &text).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Runs qemu-img until it has made a volume: it measures the processor's speed first, and
/// fails where a busy host's clock of CPU time stood still meanwhile.
fn make_volume(command: &mut Command) {
    let has_made = (0..20).any(|_| {
        let output = command.output().expect("`make setup` installs qemu-img");
        let errors = String::from_utf8_lossy(&output.stderr);
        let is_clock = errors.contains("Unable to get accurate CPU usage");
        assert!(output.status.success() || is_clock, "{command:?}: {errors}");
        output.status.success()
    });
    assert!(has_made, "{command:?}");
}

/// An empty volume has the length that was asked for.
fn assert_created(image: &Path, secret: &str, options: &str, passphrase: &[u8]) {
    let mut create = Command::new("qemu-img");
    create.args(["create", "-q", "--object", secret, "-f", "luks", "-o", options]);
    make_volume(create.arg(image).arg("1M"));
    assert_eq!(opened(image, passphrase).unwrap().len(), 1 << 20, "{options}");
}
