//! Mutations: images that are changed at random, by a seed, and read whole. None panics, and
//! none takes more than 2 s of the processor's time or 64 MiB.
//!
//! What does is written as text into a file, which is kept as a case under `kept/`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use credimg_formats::read::RegionKind;

use super::{Base, Format, bytes, read};
use crate::alone::{child, is_alone, limited, watch};
use crate::support::generator::Random;

const RANGE: &str = "CREDIMG_MUTATIONS_RANGE";
/// Larger images take longer and hold nothing else.
const IMAGE_MAX_BYTES: usize = 256 << 10;

/// Runs so many mutations of the images of `format`, in as many processes as there are
/// processors. `test` is the path of the test that calls this.
pub(crate) fn run(test: &str, format: &Format, count: u64) {
    if is_alone(test) {
        return run_range(format);
    }
    let start = Instant::now();
    let processes = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let share = count.div_ceil(processes);
    let children: Vec<_> = (0..processes)
        .map(|number| {
            let range = number * share..count.min((number + 1) * share);
            let progress = found(format).join(format!("progress-{number}"));
            let argument = format!("{} {} {}", range.start, range.end, progress.display());
            let mut command = child(test);
            command.env(RANGE, argument).stdout(std::process::Stdio::piped());
            (range, progress, command.stderr(std::process::Stdio::piped()).spawn().unwrap())
        })
        .collect();
    let (mut counts, mut faults) = (BTreeMap::new(), String::new());
    for (range, progress, child) in children {
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        for line in errors.lines() {
            if let Some((kind, count)) = line.strip_prefix("count ").and_then(|l| l.split_once(' '))
            {
                *counts.entry(kind.to_owned()).or_insert(0) += count.parse::<u64>().unwrap();
            }
        }
        if !output.status.success() {
            let seed = fs::read(&progress).ok().and_then(|seed| Some(*seed.first_chunk()?));
            let seed = seed.map_or(range.start, u64::from_le_bytes);
            let file = keep(format, &Bases::new(format), seed);
            let file = file.display();
            writeln!(faults, "seed {seed}, {file}: {}\n{errors}", output.status).unwrap();
        }
    }
    let (name, milliseconds) = (format.name, start.elapsed().as_millis() as u64 + 1);
    let rate = count * 1000 / milliseconds;
    eprintln!("{name}: {count} mutations in {} s, {rate} a second", milliseconds / 1000);
    for (kind, count) in &counts {
        eprintln!("{name}: {kind}: {count}");
    }
    assert!(faults.is_empty(), "{faults}");
    assert_eq!(counts.values().sum::<u64>(), count, "each mutation ends in one way");
}

/// Runs the mutations of the range that the parent asks for, and tells how many ended how.
fn run_range(format: &Format) {
    watch();
    let argument = std::env::var(RANGE).unwrap();
    let parts: Vec<_> = argument.splitn(3, ' ').collect();
    let [start, end, progress] = parts[..] else { panic!("{argument}: no range") };
    let progress = File::create(progress).unwrap();
    let bases = Bases::new(format);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut panics = 0;
    for seed in start.parse::<u64>().unwrap()..end.parse().unwrap() {
        // What breaks a limit ends the process: the parent finds its seed there.
        progress.write_all_at(&seed.to_le_bytes(), 0).unwrap();
        let image = bases.mutated(format, seed);
        let run = || catch_unwind(AssertUnwindSafe(|| read::outcome(image, seed % 16 == 0)));
        let Ok(outcome) = limited(run).0 else {
            eprintln!("seed {seed}, {}: a panic", keep(format, &bases, seed).display());
            panics += 1;
            assert!(panics < 20, "too many panics");
            continue;
        };
        let kind = outcome.as_deref().unwrap_or("sound").split([' ', ':']).next();
        *counts.entry(kind.unwrap_or_default().to_owned()).or_default() += 1;
    }
    for (kind, count) in counts {
        eprintln!("count {kind} {count}");
    }
    assert_eq!(panics, 0, "panics");
}

/// Where what was found is written.
fn found(format: &Format) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations").join(format.name);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Writes the image of `seed` as text.
fn keep(format: &Format, bases: &Bases, seed: u64) -> PathBuf {
    let path = found(format).join(format!("seed-{seed}.txt"));
    let image = bases.mutated(format, seed);
    fs::write(&path, bytes::to_text("what it must end in", &image)).unwrap();
    path
}

/// The images to be changed.
struct Bases(Vec<Target>);

struct Target {
    image: Vec<u8>,
    /// Where the records are, or all that is not zero where the reader does not tell.
    records: Vec<Range<usize>>,
}

impl Bases {
    fn new(format: &Format) -> Self {
        let mut targets = Vec::new();
        for (name, make) in format.bases {
            let base = Base::new(name, make());
            if base.image.len() > IMAGE_MAX_BYTES {
                continue;
            }
            let mut records: Vec<_> = (base.regions.iter())
                .filter(|region| region.kind == RegionKind::Record)
                .map(|region| {
                    let start = region.offset_bytes as usize;
                    start..start + region.length_bytes as usize
                })
                .filter(|range| !range.is_empty() && range.end <= base.image.len())
                .collect();
            if records.is_empty() {
                let places = (0..base.image.len()).filter(|at| base.image[*at] != 0);
                records = places.map(|at| at..at + 1).collect();
            }
            targets.push(Target { image: base.image, records });
        }
        assert!(!targets.is_empty(), "{}: no image is small enough", format.name);
        Self(targets)
    }

    /// The image that `seed` makes, always the same.
    fn mutated(&self, format: &Format, seed: u64) -> Vec<u8> {
        let mut random = Random::new(seed);
        let target = &self.0[random.below(self.0.len() as u64) as usize];
        let mut image = target.image.clone();
        for _ in 0..=random.below(4).min(random.below(4)) {
            mutate(&mut image, target, &mut random);
        }
        if random.below(2) == 0 {
            (format.mend)(&mut image);
        }
        image
    }
}

/// One change.
fn mutate(image: &mut Vec<u8>, target: &Target, random: &mut Random) {
    if image.is_empty() {
        return;
    }
    let at = place(image, target, random);
    match random.below(16) {
        0..=2 => image[at] ^= 1 << random.below(8),
        3 | 4 => image[at] = random.pick(&[0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, b'.', b'/']),
        5 => image[at] = random.next() as u8,
        6..=8 => number(image, at, 2, random),
        9..=11 => number(image, at, 4, random),
        12 => number(image, at, 8, random),
        13 | 14 => {
            let from = place(image, target, random);
            let length = random.pick(&[1, 2, 4, 8, 12, 16, 32, 64, 128, 512, 2048, 4096]);
            let length = length.min(image.len() - at.max(from));
            image.copy_within(from..from + length, at);
        }
        _ if random.below(4) == 0 => {
            let unit = random.pick(&[1, 512, 2048, 4096]);
            image.truncate(random.below(image.len() as u64) as usize / unit * unit);
        }
        _ => image[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
    }
}

/// A byte, most often of a record.
fn place(image: &[u8], target: &Target, random: &mut Random) -> usize {
    if random.below(8) != 0 {
        let range = &target.records[random.below(target.records.len() as u64) as usize];
        let at = range.start + random.below(range.len() as u64) as usize;
        if at < image.len() {
            return at;
        }
    }
    random.below(image.len() as u64) as usize
}

/// Puts a number at the edge of something there, in one byte order or in both.
fn number(image: &mut [u8], at: usize, length: usize, random: &mut Random) {
    let at = at & !(random.pick(&[0, 1, length - 1]));
    let Some(bytes) = image.get(at..at + length) else { return };
    let old = super::number(bytes, true);
    let size = image.len() as u64;
    let edges = [
        0,
        1,
        2,
        old.wrapping_add(1),
        old.wrapping_sub(1),
        old << 1,
        old << 8,
        size,
        size - 1,
        size / 2048,
        size / 4096,
        size / 32,
        0x7fff,
        0x8000,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        u64::from(u32::MAX),
        1 << 24,
        1 << 40,
        u64::MAX >> 1,
        u64::MAX,
        u64::MAX - size,
    ];
    let new = random.pick(&edges);
    let little = &new.to_le_bytes()[..length];
    let big = &new.to_be_bytes()[8 - length..];
    match random.below(4) {
        0 => image[at..at + length].copy_from_slice(big),
        1 if at + 2 * length <= image.len() => {
            image[at..at + 2 * length].copy_from_slice(&[little, big].concat());
        }
        _ => image[at..at + length].copy_from_slice(little),
    }
}
