//! Headers of LUKS1 and LUKS2 as they come, and the JSON of LUKS2 in a header whose
//! checksum is right.

use std::io::{self, Read, Seek, SeekFrom};

use credimg_formats::luks::{Header, Kdf, Label, Options, Plan, RANDOM_BYTES, Version, VolumeKey};
use credimg_formats::{ErrorKind, Secret, probe};
use sha2::{Digest, Sha256};

use super::{Target, messages};

pub const TARGET: Target =
    Target { name: "luks", max_bytes: 33 << 10, memory_max_bytes: 16 << 20, run, seeds };
pub const JSON_TARGET: Target = Target {
    name: "luks_json",
    max_bytes: JSON_MAX_BYTES,
    memory_max_bytes: 16 << 20,
    run: run_json,
    seeds: json_seeds,
};

/// Length of one copy of a header of LUKS2, the least that there is.
const HEADER_BYTES: usize = 16 << 10;
/// Length of the record before the JSON area.
const RECORD_BYTES: usize = 4096;
const JSON_MAX_BYTES: usize = HEADER_BYTES - RECORD_BYTES;
/// Where the record's checksum is, and its length with its padding.
const CHECKSUM: std::ops::Range<usize> = 448..512;
/// As long as the images are: key material and payload lie behind the header.
const IMAGE_BYTES: u64 = 3 << 20;
/// The most iterations that are run: what is dear has a limit of its own.
const ITERATIONS_MAX: u32 = 1000;

fn run(data: &[u8]) {
    read(data);
    let _ = probe::probe(&mut &data[..]);
}

fn run_json(data: &[u8]) {
    thread_local! { static HEAD: Vec<u8> = heads()[1].clone(); }
    let mut head = HEAD.with(|head| head[..HEADER_BYTES].to_vec());
    let (record, area) = head.split_at_mut(RECORD_BYTES);
    area.fill(0);
    area[..data.len()].copy_from_slice(data);
    record[CHECKSUM].fill(0);
    let sum = Sha256::new().chain_update(&*record).chain_update(&*area).finalize();
    record[CHECKSUM.start..CHECKSUM.start + sum.len()].copy_from_slice(&sum);
    read(&head);
}

fn read(data: &[u8]) {
    let mut image = Sparse { data, position: 0 };
    let header = match Header::read(&mut image) {
        Ok(header) => header,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{error}");
            return;
        }
    };
    assert!([32, 64].contains(&header.key_bytes()), "{} bytes of key", header.key_bytes());
    assert!([512, 1024, 2048, 4096].contains(&header.sector_bytes()));
    assert!(header.slots().len() <= 32);
    assert!(header.uuid().len() <= 3 * 40 && header.label().len() <= 3 * 48);
    let costs = header.slots().iter().map(|slot| slot.kdf.as_str());
    if super::is_one_of(data, 64) && costs.chain([""]).all(is_cheap) && is_cheap_digest(&header) {
        open(&header, data);
    }
}

fn is_cheap_digest(header: &Header) -> bool {
    header.digest_iterations() <= ITERATIONS_MAX
}

/// Whether a derivation, as people are told of it, takes a millisecond or is none.
fn is_cheap(kdf: &str) -> bool {
    if !kdf.starts_with("pbkdf2") {
        return !kdf.starts_with("argon2");
    }
    let number = kdf.split(' ').find_map(|word| word.parse::<u32>().ok());
    number.is_some_and(|iterations| iterations <= ITERATIONS_MAX)
}

fn open(header: &Header, data: &[u8]) {
    match header.open(Sparse { data, position: 0 }, PASSPHRASE) {
        Ok(mut reader) => {
            let mut plain = [0; 1024];
            let got = reader.read(&mut plain).expect("an image in memory");
            assert!(got <= plain.len());
        }
        Err(error) => {
            assert!(!matches!(error.kind(), ErrorKind::Io | ErrorKind::Source), "{error}");
            messages::assert_hides(&error.to_string(), PASSPHRASE);
        }
    }
}

const PASSPHRASE: &[u8] = b"hunter2000";

/// An image that goes on with zeros.
struct Sparse<'a> {
    data: &'a [u8],
    position: u64,
}

impl Read for Sparse<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(IMAGE_BYTES.saturating_sub(self.position)).unwrap_or(0);
        let length = into.len().min(left);
        let start = usize::try_from(self.position).unwrap_or(usize::MAX).min(self.data.len());
        let there = &self.data[start..];
        let copied = there.len().min(length);
        into[..copied].copy_from_slice(&there[..copied]);
        into[copied..length].fill(0);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Sparse<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => IMAGE_BYTES.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// The first 32 KiB of a volume of LUKS1 and of one of LUKS2.
pub fn heads() -> [Vec<u8>; 2] {
    let passphrase = Secret::from(PASSPHRASE);
    let random = Secret::new((0..RANDOM_BYTES).map(|at| at.to_le_bytes()[0]).collect());
    let key: [u8; 64] = std::array::from_fn(|at| at.to_le_bytes()[0]);
    let volume_key = VolumeKey::new(&key).expect("a key of two different halves");
    [(Version::Luks1, ""), (Version::Luks2, "CHIMERA")].map(|(version, label)| {
        let options = Options::new(version, &passphrase, &volume_key, &random)
            .label(Label::new(label).expect("a label"))
            .uuid([0x5a; 16])
            .kdf(Kdf::Pbkdf2 { iterations: ITERATIONS_MAX });
        let mut image = Vec::new();
        let plan = Plan::new(options).expect("a good volume");
        plan.begin(&mut image).finish().expect("room in memory");
        image.truncate(2 * HEADER_BYTES);
        image
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let heads = heads();
    // One whose first copy is damaged.
    let mut second = heads[1].clone();
    second[0] = 0;
    heads.into_iter().chain([second]).collect()
}

fn json_seeds() -> Vec<Vec<u8>> {
    let [_, head] = heads();
    let area = head[RECORD_BYTES..HEADER_BYTES].split(|byte| *byte == 0).next();
    let json = String::from_utf8_lossy(area.unwrap_or_default()).into_owned();
    let argon2 = json.replace(
        "\"type\":\"pbkdf2\",\"salt\"",
        "\"type\":\"argon2id\",\"time\":4,\"memory\":65536,\"cpus\":4,\"salt\"",
    );
    [json.clone(), argon2, json.replace("\"dynamic\"", "\"4096\""), "{}".to_owned()]
        .map(String::into_bytes)
        .to_vec()
}
