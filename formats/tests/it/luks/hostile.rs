//! Headers that were damaged, or made to harm.

use std::io::{Cursor, Read};
use std::time::{Duration, Instant};

use credimg_formats::ErrorKind::{Corrupt, Cost, Key, Unsupported};
use credimg_formats::Result;
use credimg_formats::luks::{Header, Kdf, Version};
use credimg_formats::probe::{Probe, probe};
use sha2::{Digest, Sha256};

use crate::luks::Spec;
use crate::support::generator::Random;

const JSON_FAULTS: &str = include_str!("json-faults.txt");

fn open(image: &[u8], passphrase: &[u8]) -> Result<Vec<u8>> {
    let mut image = Cursor::new(image);
    let mut reader = Header::read(&mut image)?.open(image, passphrase)?;
    let mut plaintext = Vec::new();
    reader.read_to_end(&mut plaintext)?;
    Ok(plaintext)
}

/// Makes the checksums of both LUKS2 headers right.
fn seal(image: &mut [u8]) {
    for start in [0, 16_384] {
        image[start + 448..start + 512].fill(0);
        let sum = Sha256::digest(&image[start..start + 16_384]);
        image[start + 448..start + 480].copy_from_slice(&sum);
    }
}

/// Replaces text in both copies of the JSON.
fn with_json(image: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut image = image.to_vec();
    for start in [4096, 16_384 + 4096] {
        let area = &image[start..start + 12_288];
        let text = area.split(|byte| *byte == 0).next().unwrap();
        let text = str::from_utf8(text).unwrap();
        assert!(text.contains(from), "no {from} in {text}");
        let mut text = text.replacen(from, to, 1).into_bytes();
        text.resize(12_288, 0);
        image[start..start + 12_288].copy_from_slice(&text);
    }
    seal(&mut image);
    image
}

#[test]
fn damage_to_any_field_of_luks1_is_told() {
    let spec = Spec::new(1, Version::Luks1);
    let image = spec.image();
    let number = |number: u32| number.to_be_bytes().to_vec();
    let text = |text: &str| [text.as_bytes(), &[0]].concat();
    let cases = [
        (0, b"LUKZ".to_vec(), Corrupt, "not a LUKS volume"),
        (6, vec![0, 3], Unsupported, "version 3"),
        (6, vec![0, 2], Corrupt, "the length of a LUKS2 header cannot be"),
        (8, text("twofish"), Unsupported, "twofish-xts-plain64"),
        (40, text("cbc-plain64"), Unsupported, "aes-cbc-plain64"),
        (40, text("xts-\u{1b}[m"), Unsupported, "xts-\\u{1b}[m"),
        (72, text("md5"), Unsupported, "md5"),
        (104, number(0), Unsupported, "detached"),
        (104, number(507), Corrupt, "overlaps"),
        (104, number(u32::MAX), Corrupt, "too early"),
        (108, number(16), Unsupported, "got 16"),
        (108, number(u32::MAX), Unsupported, "got 4294967295"),
        (108, number(32), Key, "no key slot opens"),
        (112, number(1), Key, "no key slot opens"),
        (132, number(1), Key, "no key slot opens"),
        (164, number(0), Corrupt, "no iterations"),
        (164, number(1001), Key, "no key slot opens"),
        (164, number(u32::MAX), Cost, "hashes of pbkdf2"),
        (208, number(1), Corrupt, "state 0x1"),
        (208, number(0xdead), Key, "no key slot opens"),
        (212, number(0), Corrupt, "no iterations"),
        (212, number(999), Key, "no key slot opens"),
        (212, number(u32::MAX), Cost, "hashes of pbkdf2"),
        (216, number(1), Key, "no key slot opens"),
        (248, number(0), Corrupt, "overlaps"),
        (248, number(9), Key, "no key slot opens"),
        (248, number(u32::MAX), Corrupt, "overlaps"),
        (252, number(3999), Unsupported, "got 3999"),
        (252, number(u32::MAX), Unsupported, "got 4294967295"),
        (208 + 7 * 48, number(7), Corrupt, "key slot 7 is in state 0x7"),
        (4096, number(1), Key, "no key slot opens"),
        (4096 + 255_996, number(1), Key, "no key slot opens"),
    ];
    for (offset, bytes, kind, text) in cases {
        let mut damaged = image.clone();
        damaged[offset..offset + bytes.len()].copy_from_slice(&bytes);
        assert!(damaged != image, "{offset}: nothing is changed");
        let start = Instant::now();
        let Err(error) = open(&damaged, &spec.passphrase) else { panic!("{offset}: it opens") };
        assert_eq!(error.kind(), kind, "{offset}: {error}");
        assert!(error.to_string().contains(text), "{offset}: {error}");
        assert!(start.elapsed() < Duration::from_secs(2), "{offset}: {:?}", start.elapsed());
    }
}

#[test]
fn damage_to_any_field_of_luks2_is_told() {
    let spec = Spec { label: "L".to_owned(), ..Spec::new(2, Version::Luks2) };
    let image = spec.image();
    let plaintext = spec.plaintext();
    let fields = [0, 6, 8, 16, 24, 72, 104, 168, 208, 256, 264, 448, 512, 4096, 16_383];
    for offset in fields {
        let mut damaged = image.clone();
        damaged[offset] ^= 0x40;
        // The other copy is whole.
        assert!(open(&damaged, &spec.passphrase).unwrap() == plaintext, "{offset}");
        let found = probe(&mut damaged.as_slice()).unwrap();
        assert!(matches!(found, Probe::Luks { version: Version::Luks2, .. }), "{offset}");
        damaged[16_384 + offset] ^= 0x40;
        let error = open(&damaged, &spec.passphrase).unwrap_err();
        // A version, and a checksum's hash, that there may be some day.
        let kind = if matches!(offset, 6 | 72) { Unsupported } else { Corrupt };
        assert_eq!(error.kind(), kind, "{offset}: {error}");
    }
    // The copy of the larger number is the newer one.
    let mut newer =
        with_json(&image, "\"iterations\":1000,\"salt\"", "\"iterations\":9999,\"salt\"");
    newer[..16_384].copy_from_slice(&image[..16_384]);
    assert!(open(&newer, &spec.passphrase).unwrap() == plaintext);
    newer[16_384 + 23] = 2;
    seal(&mut newer);
    assert_eq!(open(&newer, &spec.passphrase).unwrap_err().kind(), Key);
}

#[test]
fn what_the_json_may_not_say_is_told() {
    let spec = Spec::new(3, Version::Luks2);
    let argon2 = Kdf::Argon2id { passes: 1, memory_kib: 64, lanes: 1 };
    let argon2 = Spec { kdf: argon2, ..spec.clone() };
    let images = [spec.image(), argon2.image()];
    let mut count = 0;
    for line in JSON_FAULTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let columns: Vec<_> = line.split(" | ").collect();
        let [volume, from, to, kind, text] = columns[..] else { panic!("{line}: not 5 columns") };
        let image = &images[usize::from(volume == "argon2id")];
        let start = Instant::now();
        let outcome = open(&with_json(image, from, to), &spec.passphrase);
        let Err(error) = outcome else { panic!("{line}: it opens") };
        assert_eq!(format!("{:?}", error.kind()), kind, "{line}: {error}");
        assert!(error.to_string().contains(text), "{line}: {error}");
        assert!(start.elapsed() < Duration::from_secs(2), "{line}: {:?}", start.elapsed());
        count += 1;
    }
    assert_eq!(count, 46, "lines");
    // What is harmless.
    let plaintext = spec.plaintext();
    for (from, to) in [
        ("\"tokens\":{}", "\"tokens\":{\"0\":{\"type\":\"systemd-tpm2\",\"keyslots\":[\"0\"]}}"),
        ("\"size\":\"dynamic\"", &format!("\"size\":\"{}\"", plaintext.len())),
        ("\"key_size\":64,\"af\"", "\"key_size\":64,\"priority\":2,\"af\""),
    ] {
        let image = with_json(&images[0], from, to);
        assert!(open(&image, &spec.passphrase).unwrap() == plaintext, "{to}");
    }
    let tweaked = with_json(&images[0], "\"iv_tweak\":\"0\"", "\"iv_tweak\":\"8\"");
    assert!(open(&tweaked, &spec.passphrase).unwrap()[..4096] != plaintext[..4096]);
}

/// Every slot counts, and the digest with each: a volume is refused before one is tried.
#[test]
fn what_all_key_slots_ask_for_together_is_limited() {
    let image = Spec::new(5, Version::Luks1).image();
    // A key of 64 bytes is two hashes; the digest of each try takes 1,000 more.
    let with = |iterations: &[u32]| {
        let mut image = image.clone();
        for (index, iterations) in iterations.iter().enumerate() {
            image.copy_within(208..256, 208 + 48 * index);
            image[212 + 48 * index..][..4].copy_from_slice(&iterations.to_be_bytes());
        }
        Header::read(&mut Cursor::new(&image)).unwrap().require_cheap()
    };
    for (allowed, refused) in [
        (&[15_999_500][..], &[15_999_501][..]),
        (&[7_999_500, 7_999_500], &[7_999_501, 7_999_500]),
        (&[1_999_500; 8], &[1_999_500, 1, 1_999_500, 1_999_500, 12_000_000]),
    ] {
        with(allowed).unwrap();
        let error = with(refused).unwrap_err();
        assert_eq!(error.kind(), Cost, "{error}");
        assert!(error.to_string().ends_with(" at most 32000000 are allowed"), "{error}");
    }
    let argon2 = Kdf::Argon2id { passes: 1, memory_kib: 64, lanes: 1 };
    let image = Spec { kdf: argon2, ..Spec::new(6, Version::Luks2) }.image();
    let with = |time: u32, memory: u32| {
        let image = with_json(&image, "\"time\":1", &format!("\"time\":{time}"));
        let image = with_json(&image, "\"memory\":64", &format!("\"memory\":{memory}"));
        Header::read(&mut Cursor::new(&image)).unwrap().require_cheap()
    };
    for (allowed, refused) in [((16, 1 << 20), (17, 1 << 20)), ((1, 1 << 20), (1, (1 << 20) + 1))] {
        with(allowed.0, allowed.1).unwrap();
        assert_eq!(with(refused.0, refused.1).unwrap_err().kind(), Cost);
    }
    assert_eq!(with(u32::MAX, u32::MAX).unwrap_err().kind(), Cost);
}

#[test]
fn another_passphrase_and_a_cut_image_are_told() {
    for version in [Version::Luks1, Version::Luks2] {
        let spec = Spec::new(4, version);
        let image = spec.image();
        for other in [b"".as_slice(), b"correct horse battery stapl", b"x", &[0xff; 1000]] {
            let error = open(&image, other).unwrap_err();
            assert_eq!(error.kind(), Key);
            assert_eq!(
                error.to_string(),
                "no key slot opens: the passphrase or key is another one"
            );
        }
        let payload = if version == Version::Luks1 { 2 << 20 } else { 1 << 20 };
        for length in [0, 1, 6, 8, 591, 592, 4096, 5000, 16_384, 100_000, 280_000, payload - 1] {
            let error = open(&image[..length], &spec.passphrase).unwrap_err();
            assert_eq!(error.kind(), Corrupt, "{length}: {error}");
        }
        let error = open(&image[..image.len() - 1], &spec.passphrase).unwrap_err();
        assert_eq!(error.kind(), Corrupt, "{error}");
        assert!(open(&image[..payload], &spec.passphrase).unwrap().is_empty());
    }
}

/// Hundreds of headers with random changes: whatever comes, no panic, and soon.
#[test]
fn mutated_headers_end_in_an_answer() {
    let start = Instant::now();
    let argon2 = Kdf::Argon2id { passes: 1, memory_kib: 64, lanes: 1 };
    let specs = [
        Spec::new(1, Version::Luks1),
        Spec::new(2, Version::Luks2),
        Spec { kdf: argon2, ..Spec::new(3, Version::Luks2) },
    ];
    let images = specs.each_ref().map(Spec::image);
    let (mut opened, mut refused) = (0, 0);
    for seed in 0..600_u64 {
        let mut random = Random::new(seed);
        let index = (seed % 3) as usize;
        let mut image = images[index].clone();
        let is_luks1 = index == 0;
        let json = images[1][4096..].iter().position(|byte| *byte == 0).unwrap();
        for _ in 0..=random.below(3) {
            // In the header, mostly in its text; one time in ten anywhere before the payload.
            let offset = match random.below(10) {
                0 => random.below(300_000) as usize,
                _ if is_luks1 => random.below(592) as usize,
                1 => random.below(512) as usize,
                _ => 4096 + random.below(json as u64) as usize,
            };
            // More than 65,535 iterations of the digest only cost time.
            if is_luks1 && (164..166).contains(&offset) {
                continue;
            }
            image[offset] = match random.below(3) {
                0 => random.next() as u8,
                1 => image[offset] ^ (1 << random.below(8)),
                _ => random.pick(b"0123456789{}[]\":,-e\0\xff"),
            };
        }
        if !is_luks1 {
            let (first, second) = image.split_at_mut(16_384);
            second[4096..16_384].copy_from_slice(&first[4096..]);
            seal(&mut image);
        }
        if random.below(20) == 0 {
            image.truncate(random.below(image.len() as u64) as usize);
        }
        let header = Header::read(&mut Cursor::new(&image));
        let is_cheap = |header: &Header| header.slots().iter().all(|slot| is_cheap(&slot.kdf));
        if let Ok(header) = header
            && is_cheap(&header)
            && header.open(Cursor::new(&image), &specs[index].passphrase).is_ok()
        {
            opened += 1;
        } else {
            refused += 1;
        }
    }
    assert_eq!((opened, refused), (112, 488), "opened and refused");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

/// Whether a derivation is over in no time, or refused.
fn is_cheap(kdf: &str) -> bool {
    let numbers = kdf.split(' ').filter_map(|word| word.parse::<u64>().ok());
    numbers.product::<u64>() < 20_000
}
