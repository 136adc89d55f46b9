//! Linux's dm-crypt as the judge, in one boot of a real guest.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use credimg_formats::luks::Version;
use sha2::{Digest, Sha256};

use crate::luks::sectors::{FAR, far_content, write_far};
use crate::luks::volumes::{spec, specs};
use crate::luks::{Inner, Spec, hexadecimal};
use crate::support::host::{Scratch, run};

#[test]
fn linux_reads_what_was_written() {
    let scratch = Scratch::new("luks-guest");
    let volumes = scratch.path("volumes");
    std::fs::create_dir_all(&volumes).unwrap();
    let mut expected = String::new();
    // A guest is slow: each combination of sector size and inner format comes twice or more.
    for (seed, spec) in specs().take(28).filter(|(seed, _)| seed % 3 != 0 || seed % 24 == 0) {
        spec.write_file(&volumes.join(format!("{seed:02}.luks")));
        std::fs::write(volumes.join(format!("{seed:02}.key")), &spec.passphrase).unwrap();
        let plaintext = spec.plaintext();
        writeln!(expected, "{seed:02} {} {}", plaintext.len(), digest(&plaintext)).unwrap();
    }
    // One passphrase opens the disks.
    let passphrase = spec(0).passphrase;
    let of = |seed, sector_bytes, inner| {
        let passphrase = passphrase.clone();
        Spec { sector_bytes, passphrase, inner, ..Spec::new(seed, Version::Luks2) }
    };
    for (name, block, volume) in [
        ("erofs", 4096, of(100, 4096, Inner::Erofs)),
        ("iso9660", 2048, of(101, 512, Inner::Iso9660)),
    ] {
        volume.write_file(&scratch.path(name));
        writeln!(expected, "{name} {block} {}", digest(&volume.content)).unwrap();
    }
    write_far(&of(102, 4096, Inner::Erofs), &scratch.path("far"));
    let mut list = String::new();
    for sector in FAR {
        writeln!(list, "{sector}").unwrap();
        writeln!(expected, "far {sector} {}", digest(&far_content(sector))).unwrap();
    }
    std::fs::write(volumes.join("far"), list).unwrap();

    let output = boot(&scratch, &volumes);
    assert_eq!(output, expected);
}

fn digest(data: &[u8]) -> String {
    hexadecimal(&Sha256::digest(data))
}

/// Boots the guest on the volumes; returns what it printed.
fn boot(scratch: &Scratch, volumes: &Path) -> String {
    run(Command::new("mkfs.erofs").arg("--quiet").arg(scratch.path("container")).arg(volumes));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut guest = Command::new(tests.join("../scripts/guest-boot"));
    guest.env("GUEST_PROGRAMS", "cryptsetup");
    guest.env("GUEST_MODULES", "dm-crypt xts ecb aes_generic algif_skcipher");
    guest.arg(tests.join("tests/it/luks/guest.sh")).arg("--");
    // Blocks as those that credimg's arguments ask for.
    let disks = [
        ("volumes", "container", 4096),
        ("erofs", "erofs", 4096),
        ("iso9660", "iso9660", 2048),
        ("far", "far", 4096),
    ];
    for (serial, file, block) in disks {
        let path = scratch.path(file).into_os_string().into_string().unwrap().replace(',', ",,");
        let drive = format!("if=none,id={serial},format=raw,read-only=on,file={path}");
        let blocks = format!("logical_block_size={block},physical_block_size={block}");
        let device = format!("virtio-blk-pci,drive={serial},serial={serial},{blocks}");
        guest.args(["-drive", &drive, "-device", &device]);
    }
    String::from_utf8(run(&mut guest).stdout).unwrap()
}
