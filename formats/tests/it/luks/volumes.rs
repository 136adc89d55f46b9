//! Our volumes, read by cryptsetup and by QEMU.

use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;

use credimg_formats::luks::{Header, Kdf, Version};
use credimg_formats::probe::{Probe, probe};
use credimg_formats::{ErrorKind, ForwardOnly, Sink};

use crate::luks::{Inner, Job, Spec, cryptsetup, dump, encrypted_by_python, hexadecimal, opened};
use crate::support::generator::Random;
use crate::support::host::{Scratch, run};

const VOLUMES: u64 = 72;

/// The volume of `seed`: all combinations of version, sector size, inner format and kind
/// of passphrase come.
pub(crate) fn spec(seed: u64) -> Spec {
    let mut random = Random::new(seed ^ 0x4c55_4b53);
    let version = if seed.is_multiple_of(3) { Version::Luks1 } else { Version::Luks2 };
    let mut spec = Spec::new(seed, version);
    spec.sector_bytes = if seed % 3 == 1 { 4096 } else { 512 };
    spec.inner = [Inner::Erofs, Inner::Squashfs, Inner::Iso9660][(seed / 3 % 3) as usize];
    // Sizes around those of a sector, of a page, of the writer's buffers.
    let sizes = [0, 1, 511, 512, 513, 4095, 4096, 4097, 28_000, 32_768, 70_000, 262_144, 700_001];
    let size = random.pick(&sizes);
    spec.content = random.bytes(size);
    spec.passphrase = match seed / 9 % 4 {
        0 => hexadecimal(&random.bytes(32)).into_bytes(),
        1 => "pässwörd \u{1f511} ключ".to_owned().into_bytes(),
        2 => hexadecimal(&random.bytes(32)).repeat(8).into_bytes(),
        _ => b" two  spaces, a \"quote\", a comma, and \\ at the end ".to_vec(),
    };
    let iterations = 1000 + random.below(500) as u32;
    spec.kdf = Kdf::Pbkdf2 { iterations };
    if version == Version::Luks2 {
        let longest = "x".repeat(47);
        random.pick(&["", "CHIMERA", "a b'c\"d", "größe", &longest]).clone_into(&mut spec.label);
        let argon2 = [(1, 1024, 1), (2, 100, 3), (3, 64, 4), (1, 1025, 2)];
        let (passes, memory_kib, lanes) = random.pick(&argon2);
        if random.below(2) == 0 {
            spec.kdf = Kdf::Argon2id { passes, memory_kib, lanes };
        }
    }
    if seed == 1 {
        spec.kdf = Kdf::Argon2id { passes: 1, memory_kib: 64 << 10, lanes: 4 };
    }
    spec
}

/// All volumes that the tests judge.
pub(crate) fn specs() -> impl Iterator<Item = (u64, Spec)> {
    (0..VOLUMES).map(|seed| (seed, spec(seed)))
}

#[test]
fn cryptsetup_and_qemu_agree_on_72_volumes() {
    let scratch = Scratch::new("luks-volumes");
    let (image, passphrase) = (scratch.path("image"), scratch.path("passphrase"));
    let mut kinds = BTreeSet::new();
    let mut payloads = Vec::new();
    for (seed, spec) in specs() {
        spec.write_file(&image);
        std::fs::write(&passphrase, &spec.passphrase).unwrap();
        let mut open = cryptsetup();
        open.args(["open", "--test-passphrase", "--key-file"]).arg(&passphrase).arg(&image);
        run(&mut open);
        assert_dump(seed, &spec, &dump(&image));
        if spec.version == Version::Luks1 {
            let plaintext = scratch.path("plaintext");
            convert(&image, &passphrase, &plaintext);
            let same = std::fs::read(&plaintext).unwrap() == spec.plaintext();
            assert!(same, "seed {seed}: QEMU reads something else");
        }
        assert_own_reader(seed, &spec, &image);
        let payload = if spec.version == Version::Luks1 { 2 << 20 } else { 1 << 20 };
        payloads.push((spec.clone(), spec.plaintext(), spec.image().split_off(payload)));
        kinds.insert((spec.version == Version::Luks1, spec.sector_bytes, spec.inner as u8));
    }
    assert_eq!(kinds.len(), 9, "a combination is missing");
    // cryptsetup has compared the volume key with its digest: so here it is the right one.
    let jobs = payloads.iter().map(|(Spec { key, sector_bytes, .. }, data, _)| Job {
        key,
        sector: 0,
        sector_bytes: *sector_bytes,
        data,
    });
    let expected = encrypted_by_python(&jobs.collect::<Vec<_>>());
    for (seed, ((.., found), expected)) in payloads.iter().zip(&expected).enumerate() {
        assert!(found == expected, "seed {seed}: other ciphertext");
    }
}

fn assert_dump(seed: u64, spec: &Spec, dump: &str) {
    let uuid = format!("UUID: {}", spec.uuid_text());
    let sector = format!("sector: {} [bytes]", spec.sector_bytes);
    // cryptsetup's text is squeezed, so is the label.
    let label = spec.label.split_whitespace().collect::<Vec<_>>().join(" ");
    let label = if label.is_empty() { "(no label)".to_owned() } else { label };
    let label = format!("Label: {label}");
    let kdf = match spec.kdf {
        Kdf::Pbkdf2 { iterations } => format!("Iterations: {iterations}"),
        Kdf::Argon2id { memory_kib, .. } => format!("Memory: {memory_kib}"),
    };
    let lines: Vec<&str> = match spec.version {
        Version::Luks1 => vec![
            "Version: 1",
            "Cipher name: aes",
            "Cipher mode: xts-plain64",
            "Hash spec: sha256",
            "Payload offset: 4096",
            "MK bits: 512",
            "Key Slot 0: ENABLED",
            "Key Slot 7: DISABLED",
            &uuid,
            &kdf,
        ],
        Version::Luks2 => vec![
            "Version: 2",
            "Metadata area: 16384 [bytes]",
            "offset: 1048576 [bytes]",
            "length: (whole device)",
            "cipher: aes-xts-plain64",
            "Cipher key: 512 bits",
            &sector,
            &label,
            &uuid,
            &kdf,
        ],
    };
    for line in lines {
        assert!(dump.lines().any(|found| found == line), "seed {seed}: no {line:?} in\n{dump}");
    }
}

/// Decrypts by QEMU.
pub(crate) fn convert(image: &Path, passphrase: &Path, plaintext: &Path) {
    let secret = format!("secret,id=passphrase,file={}", passphrase.display());
    let options = format!("driver=luks,key-secret=passphrase,file.filename={}", image.display());
    run(Command::new("qemu-img")
        .args(["convert", "--object", &secret, "--image-opts", &options, "-O", "raw"])
        .arg(plaintext));
}

fn assert_own_reader(seed: u64, spec: &Spec, image: &Path) {
    let mut file = std::fs::File::open(image).unwrap();
    let header = Header::read(&mut file).unwrap();
    assert_eq!(header.version(), spec.version, "seed {seed}");
    assert_eq!(header.label(), spec.label, "seed {seed}");
    assert_eq!(header.uuid(), spec.uuid_text(), "seed {seed}");
    assert_eq!(header.sector_bytes(), spec.sector_bytes, "seed {seed}");
    assert_eq!((header.cipher().as_str(), header.key_bytes()), ("aes-xts-plain64", 64));
    assert_eq!((header.slots().len(), header.slots()[0].index), (1, 0));
    assert!(opened(image, &spec.passphrase).unwrap() == spec.plaintext(), "seed {seed}");
    file.rewind().unwrap();
    let expected = Probe::Luks {
        version: spec.version,
        label: spec.label.clone().into_bytes(),
        uuid: spec.uuid_text(),
    };
    assert_eq!(probe(&mut file).unwrap(), expected, "seed {seed}");
}

/// A sink whose start is rewritten at any moment, in any place, against the same into
/// plain memory.
#[test]
fn what_is_rewritten_is_as_if_written_at_once() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut spec = Spec::new(seed, Version::Luks2);
        spec.sector_bytes = random.pick(&[512, 4096]);
        let mut plaintext = Vec::new();
        let mut image = Vec::new();
        spec.planned(|plan| {
            let mut writer = plan.begin(&mut image);
            for _ in 0..20 {
                let length = random.pick(&[1, 100, 512, 5000, 40_000]);
                let piece = random.bytes(length);
                writer.write_all(&piece).unwrap();
                plaintext.write_all(&piece).unwrap();
                if random.below(3) == 0 {
                    writer.flush().unwrap();
                }
                let end = plaintext.len().min(4096) as u64;
                let offset = random.below(end + 1);
                let length = random.below(end - offset + 1) as usize;
                let patch = random.bytes(length);
                let back = plaintext.len() as u64 - offset;
                writer.rewrite(back, &patch).unwrap();
                plaintext.rewrite(back, &patch).unwrap();
            }
            let missing = plaintext.len().next_multiple_of(spec.sector_bytes) - plaintext.len();
            writer.write_all(&vec![0; missing]).unwrap();
            plaintext.extend(vec![0; missing]);
            let end = plaintext.len() as u64;
            for (back, length) in [(end - 4000, 97), (end + 1, 1), (0, 1)] {
                let beyond = writer.rewrite(back, &vec![0; length]).unwrap_err();
                assert_eq!(beyond.kind(), std::io::ErrorKind::InvalidInput);
            }
            writer.finish().unwrap();
        })
        .unwrap();
        let mut image = std::io::Cursor::new(image);
        let header = Header::read(&mut image).unwrap();
        let mut reader = header.open(image, &spec.passphrase).unwrap();
        let mut found = Vec::new();
        std::io::copy(&mut reader, &mut found).unwrap();
        assert!(found == plaintext, "seed {seed}");
        // From any place.
        let offset = random.below(plaintext.len() as u64);
        reader.seek(SeekFrom::Start(offset)).unwrap();
        found.clear();
        std::io::copy(&mut reader, &mut found).unwrap();
        assert!(found == plaintext[offset as usize..], "seed {seed}");
        assert_eq!(reader.seek(SeekFrom::End(-1)).unwrap(), plaintext.len() as u64 - 1);
        assert_eq!(
            reader.seek(SeekFrom::Current(-(1 << 40))).unwrap_err().kind(),
            std::io::ErrorKind::InvalidInput
        );
    }
}

#[test]
fn a_pipe_and_a_full_disk_are_errors_at_once() {
    struct Pipe(usize);
    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            let length = bytes.len().min(self.0);
            self.0 -= length;
            Ok(length)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let spec = Spec::new(1, Version::Luks1);
    spec.planned(|plan| {
        let whole = plan.payload_offset_bytes() as usize;
        for room in [0, 1000, whole - 1] {
            let error = plan.begin(&mut ForwardOnly::new(Pipe(room))).finish().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
        }
        let mut pipe = ForwardOnly::new(Pipe(whole));
        let mut writer = plan.begin(&mut pipe);
        let refused = writer.rewrite(0, &[]).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::Unsupported);
        writer.write_all(&[1; 512]).unwrap();
        let full = writer.flush().unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        // Nothing is encrypted twice.
        assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::Io);
    })
    .unwrap();
}

#[test]
fn a_volume_is_the_same_from_the_same_and_zero_between_its_records() {
    for (version, head) in [(Version::Luks1, 4096 + 258_048), (Version::Luks2, 32_768 + 258_048)] {
        let spec = Spec::new(5, version);
        let image = spec.image();
        assert!(image == spec.image(), "{version:?}: not the same again");
        let payload = if version == Version::Luks1 { 2 << 20 } else { 1 << 20 };
        let is_zero = |range: &[u8]| range.iter().all(|byte| *byte == 0);
        assert!(is_zero(&image[head - 2048..payload]), "{version:?}: bytes of no record");
        if version == Version::Luks1 {
            assert!(is_zero(&image[592..4096]));
        } else {
            let json = image[4096..].iter().position(|byte| *byte == 0).unwrap();
            assert!(is_zero(&image[4096 + json..16_384]));
            assert!(image[4096..16_384] == image[20_480..32_768], "copies of other JSON");
            assert!(image[104..168] != image[16_384 + 104..16_384 + 168], "one salt twice");
        }
        // No plaintext and no key, from the key material on.
        let key = &spec.key[..16];
        assert!(!image.windows(16).any(|window| window == key));
        assert!(!image.windows(16).any(|window| window == &spec.content[..16]));
    }
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let good = Spec::new(1, Version::Luks2);
    let luks1 = Spec::new(1, Version::Luks1);
    let iterations = |iterations| Kdf::Pbkdf2 { iterations };
    let argon2 = |passes, memory_kib, lanes| Kdf::Argon2id { passes, memory_kib, lanes };
    let label = |label: &str, of: &Spec| Spec { label: label.to_owned(), ..of.clone() };
    let cases = [
        (label(&"x".repeat(48), &good), ErrorKind::Unrepresentable, "48 bytes long"),
        (label("a\0b", &good), ErrorKind::Unrepresentable, "NUL"),
        (label("a", &luks1), ErrorKind::Unrepresentable, "no label"),
        (Spec { sector_bytes: 1024, ..good.clone() }, ErrorKind::Unrepresentable, "1024"),
        (Spec { sector_bytes: 4096, ..luks1.clone() }, ErrorKind::Unrepresentable, "4096"),
        (Spec { kdf: argon2(1, 64, 1), ..luks1.clone() }, ErrorKind::Unrepresentable, "argon2id"),
        (Spec { kdf: iterations(999), ..luks1.clone() }, ErrorKind::Limit, "1000"),
        (Spec { kdf: argon2(0, 64, 1), ..good.clone() }, ErrorKind::Limit, "argon2"),
        (Spec { kdf: argon2(1, 7, 1), ..good.clone() }, ErrorKind::Limit, "argon2"),
        (Spec { kdf: argon2(1, 64, 5), ..good.clone() }, ErrorKind::Limit, "5 lanes"),
        (Spec { kdf: argon2(1, 8 << 20, 1), ..good.clone() }, ErrorKind::Limit, "8388608 KiB"),
        (Spec { passphrase: Vec::new(), ..good.clone() }, ErrorKind::Key, "empty"),
        (Spec { random: vec![1; 9], ..good.clone() }, ErrorKind::Key, "got 9"),
        (Spec { key: [1; 64], ..good.clone() }, ErrorKind::Key, "halves"),
    ];
    for (spec, kind, text) in cases {
        let error = spec.planned(|_| ()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    let mut image = Vec::new();
    good.planned(|plan| {
        let mut writer = plan.begin(&mut image);
        writer.write_all(&[1; 513]).unwrap();
        let error = writer.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unrepresentable);
        assert_eq!(error.to_string(), "expected whole sectors of 512 bytes, got 513 bytes");
    })
    .unwrap();
}
