//! AES-XTS against another one, and sectors so far behind that their number, or the byte
//! that they begin at, no longer fits in 32 bits.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use credimg_formats::luks::{Header, Version, VolumeKey};

use crate::luks::{Job, Spec, encrypted_by_python};
use crate::support::generator::Random;
use crate::support::host::{Scratch, run};

#[test]
fn ten_thousand_sectors_agree_with_python() {
    let mut random = Random::new(0x5851);
    let mut sectors = Vec::new();
    for index in 0..400_u64 {
        let key: [u8; 64] = *random.bytes(64).first_chunk().unwrap();
        let sector_bytes = random.pick(&[512, 4096]);
        // Over all 64 bits, also where the numbers wrap; 25 sectors on average.
        let near = [0, (1 << 32) - 20, (1 << 63) - 3, u64::MAX - 10];
        let sector = if index < 40 { random.pick(&near) } else { random.next() };
        let length = (1 + random.below(50) as usize) * sector_bytes;
        sectors.push((key, sector, sector_bytes, random.bytes(length)));
    }
    let count: usize = sectors.iter().map(|(_, _, bytes, data)| data.len() / bytes).sum();
    assert_eq!(count, 10_310, "sectors");
    let jobs: Vec<_> = sectors
        .iter()
        .map(|(key, sector, sector_bytes, data)| Job {
            key,
            sector: *sector,
            sector_bytes: *sector_bytes,
            data,
        })
        .collect();
    let expected = encrypted_by_python(&jobs);
    for (job, expected) in jobs.iter().zip(expected) {
        let key = VolumeKey::new(job.key.try_into().unwrap()).unwrap();
        let mut data = job.data.to_vec();
        key.encrypt(job.sector, job.sector_bytes, &mut data);
        assert!(data == expected, "sector {} of {} bytes", job.sector, job.sector_bytes);
        key.decrypt(job.sector, job.sector_bytes, &mut data);
        assert!(data == job.data, "sector {} of {} bytes", job.sector, job.sector_bytes);
    }
}

/// Sectors, in units of 512 bytes, that hold something in a volume of more than 2 TiB.
pub(crate) const FAR: [u64; 5] = [8, (1 << 32) - 8, 1 << 32, (1 << 32) + 8, (5 << 30) + 16];

/// What the eight units of 512 bytes at `sector` hold: one byte each.
pub(crate) fn far_content(sector: u64) -> Vec<u8> {
    (1..=8_u8).flat_map(|unit| [unit | (sector >> 28) as u8; 512]).collect()
}

/// A sparse volume of 2.5 TiB.
pub(crate) fn write_far(spec: &Spec, path: &Path) {
    let file = File::create(path).unwrap();
    let key = VolumeKey::new(&spec.key).unwrap();
    spec.planned(|plan| {
        let mut head = Vec::new();
        plan.begin(&mut head).finish().unwrap();
        file.write_all_at(&head, 0).unwrap();
        for sector in FAR {
            let mut data = far_content(sector);
            key.encrypt(sector, spec.sector_bytes, &mut data);
            file.write_all_at(&data, plan.payload_offset_bytes() + sector * 512).unwrap();
        }
        file.set_len(plan.payload_offset_bytes() + (FAR[4] + 8) * 512).unwrap();
    })
    .unwrap();
}

#[test]
fn qemu_reads_sectors_behind_two_tebibytes() {
    let scratch = Scratch::new("luks-far");
    let (image, passphrase) = (scratch.path("image"), scratch.path("passphrase"));
    let spec = Spec::new(7, Version::Luks1);
    write_far(&spec, &image);
    std::fs::write(&passphrase, &spec.passphrase).unwrap();
    let secret = format!("secret,id=passphrase,file={}", passphrase.display());
    let options = format!("driver=luks,key-secret=passphrase,file.filename={}", image.display());
    let mut qemu = Command::new("qemu-io");
    qemu.args(["-r", "--object", &secret, "--image-opts", &options]);
    for sector in FAR {
        for (unit, data) in (0_u64..).zip(far_content(sector).chunks(512)) {
            qemu.args(["-c", &format!("read -P {} {} 512", data[0], (sector + unit) * 512)]);
        }
    }
    let output = run(&mut qemu).stdout;
    let text = String::from_utf8_lossy(&output);
    assert!(!text.contains("Pattern verification failed"), "{text}");
    assert_eq!(text.matches("read 512/512 bytes").count(), 8 * FAR.len(), "{text}");

    let mut file = File::open(&image).unwrap();
    let mut reader = Header::read(&mut file).unwrap().open(file, &spec.passphrase).unwrap();
    for sector in FAR {
        reader.seek(SeekFrom::Start(sector * 512)).unwrap();
        let mut data = [0; 4096];
        reader.read_exact(&mut data).unwrap();
        assert!(data[..] == far_content(sector), "sector {sector}");
    }
}
