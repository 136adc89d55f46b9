//! One boot of a real Linux guest with eleven disks, attached on each bus by the
//! arguments exactly as the program printed them. `make setup` installs what
//! this needs; without it the test fails.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// The guest's side of the test: functions that the generated lines call.
const CHECKS: &str = concat!(include_str!("../support/checks.sh"), include_str!("guest/checks.sh"));

/// Name, bus, format and label of each disk.
const DISKS: [(&str, &str, &str, &str); 11] = [
    ("virtio", "virtio", "erofs", "CHIMERA"),
    ("scsi", "scsi", "erofs", "CHIMERA-SCSI"),
    ("usb", "usb", "erofs", "CHIMERA-USB"),
    ("nvme", "nvme", "erofs", "CHIMERA-NVME"),
    ("cdrom", "cdrom", "erofs", "CHIMERA-CDROM"),
    ("sata", "sata", "iso9660", "CHIMERA-SATA"),
    ("squashfs", "virtio", "squashfs", "CHIMERA-SQUASH"),
    ("iso9660", "virtio", "iso9660", "a-label-of-32-bytes-on-iso9660.@"),
    ("joliet", "scsi", "iso9660", "CHIMERA-JOLIET"),
    // LUKS1, which QEMU opens: the guest sees the plain disk.
    ("luks", "virtio", "erofs", "CHIMERA-LUKS1"),
    ("wrapped", "usb", "iso9660", "CHIMERA-WRAPPED"),
];

/// How much of a name Linux shows from ISO 9660.
const ISO9660_NAME_BYTES: usize = 253;

/// The checks that `disk` makes besides those of the entries.
const CHECKS_A_DISK: usize = 19;

/// `dir_mode` lets every user pass through the root and the parents, so that a
/// refusal in the guest is about the file itself.
const MANIFEST: &str = r#"
defaults: {dir_mode: "0711"}
files:
  - path: /ssh/host_key
    file: host_key
  - path: /motd
    text: "for all\n"
    mode: "0444"
  - path: /service/token
    text: demo-token
    owner: "990:990"
  - path: /tls
    dir: tls
    mode: keep
    dir_mode: keep
  - path: /wg
    tar: wg.tar.gz
    mode: keep
    dir_mode: keep
    owner: keep
  - path: /current
    symlink: tls/cert.pem
  - path: /deep/2/3/4/5/6/7/8/9/10/11/12/file
    text: "below the eight levels of ISO 9660"
"#;

#[test]
fn guest_reads_its_secrets_and_nobody_else_does() {
    let scratch = tempfile::tempdir().unwrap();
    let entries = write_sources(scratch.path());
    let images = scratch.path().join("it's a, disk");
    fs::create_dir(&images).unwrap();

    let genkey = ["genkey", "the master's"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_credimg"));
    assert!(command.args(genkey).current_dir(&images).status().unwrap().success());

    let built: Vec<_> = DISKS
        .iter()
        .zip(1..)
        .map(|(disk, place)| build(scratch.path(), &images, disk, place))
        .collect();
    let before: Vec<_> = built.iter().map(|(image, _)| digest(&fs::read(image).unwrap())).collect();

    let payload = scratch.path().join("payload");
    fs::write(&payload, payload_text(&entries)).unwrap();
    let arguments: Vec<_> = built.iter().map(|(_, arguments)| arguments.as_str()).collect();
    let guest = Command::new("sh")
        .args(["-c", r#"eval "exec \"\$0\" \"\$1\" -- $2""#])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest-boot"))
        .arg(&payload)
        .arg(arguments.join(" "))
        // Keys have relative names.
        .current_dir(&images)
        .output()
        .unwrap();

    let stdout = String::from_utf8_lossy(&guest.stdout);
    let stderr = String::from_utf8_lossy(&guest.stderr);
    assert!(guest.status.success(), "{}\n{stdout}\n{stderr}", guest.status);
    let contents: usize = entries.iter().map(Entry::checks).sum();
    let checks = DISKS.len() * (CHECKS_A_DISK + contents) + 1;
    let closing = format!("{checks} checks, 0 failures\n");
    assert!(stdout.ends_with(&closing), "expected {closing}, got {stdout}");

    for ((image, _), before) in built.iter().zip(before) {
        assert_eq!(digest(&fs::read(image).unwrap()), before, "{} changed", image.display());
    }
}

/// What the guest must find at a path of the image.
struct Entry {
    path: Vec<u8>,
    mode: u32,
    owner: &'static str,
    kind: Kind,
}

enum Kind {
    Directory,
    Regular(Vec<u8>),
    Link(&'static str),
}

impl Entry {
    fn new(path: &[u8], mode: u32, owner: &'static str, kind: Kind) -> Self {
        Self { path: path.to_vec(), mode, owner, kind }
    }

    /// The number of checks that the entry's line makes.
    fn checks(&self) -> usize {
        match self.kind {
            Kind::Directory | Kind::Link(_) => 2,
            Kind::Regular(_) => 3,
        }
    }

    /// The call of a function of `checks.sh`, for names of at most so many bytes.
    fn line(&self, name_max_bytes: usize) -> Vec<u8> {
        let names = self.path.split(|byte| *byte == b'/');
        let names: Vec<_> = names.map(|name| name.get(..name_max_bytes).unwrap_or(name)).collect();
        let path = shell_quote(&names.join(&b'/'));
        let (function, rest) = match &self.kind {
            Kind::Directory => ("directory", format!("{:o} {}", self.mode, self.owner)),
            Kind::Regular(content) => {
                ("regular", format!("{:o} {} {}", self.mode, self.owner, digest(content)))
            }
            Kind::Link(target) => ("link", (*target).to_owned()),
        };
        [function.as_bytes(), b" ", &path, b" ", rest.as_bytes(), b"\n"].concat()
    }
}

/// Runs the program for one disk; returns the image and the arguments it printed.
fn build(
    sources: &Path,
    images: &Path,
    disk: &(&str, &str, &str, &str),
    place: u8,
) -> (PathBuf, String) {
    let (name, bus, format, label) = disk;
    let image = images.join(format!("{name}.img"));
    let options: &[&str] = match *name {
        "iso9660" | "sata" => &["--lossy"],
        "joliet" => &["--lossy", "--joliet"],
        "luks" => &["--encrypt", "luks1", "--key-out", "a, key"],
        // The key is in no file, only in the arguments.
        "wrapped" => &["--lossy", "--master-key", "the master's"],
        _ => &[],
    };
    let manifest = if *name == "wrapped" { "generate.yaml" } else { "secrets.yaml" };
    let output = Command::new(env!("CARGO_BIN_EXE_credimg"))
        .arg("build")
        .arg(sources.join(manifest))
        .arg("-o")
        .arg(&image)
        .args(["--format", format, "--bus", bus, "--label", label])
        .args(options)
        .args(["--place", &place.to_string()])
        .args(["--serial", &format!("serial-{name}"), "--id", &format!("disk-{name}")])
        .current_dir(images)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}: {stderr}", output.status);
    let arguments = String::from_utf8(output.stdout).unwrap();
    assert_eq!(arguments.lines().count(), 1, "{name}: expected one line, got {arguments:?}");
    (image, arguments.trim_end().to_owned())
}

/// Writes the manifest and its sources; returns what the image must hold.
fn write_sources(directory: &Path) -> Vec<Entry> {
    let host_key = pattern(411);
    fs::write(directory.join("secrets.yaml"), MANIFEST).unwrap();
    let encrypted = format!("encrypt: {{luks: 1, key: generate}}{MANIFEST}");
    fs::write(directory.join("generate.yaml"), encrypted).unwrap();
    fs::write(directory.join("host_key"), &host_key).unwrap();

    let root = "0:0";
    let mut entries = vec![
        Entry::new(b"/", 0o711, root, Kind::Directory),
        Entry::new(b"/ssh", 0o711, root, Kind::Directory),
        Entry::new(b"/ssh/host_key", 0o400, root, Kind::Regular(host_key)),
        Entry::new(b"/motd", 0o444, root, Kind::Regular(b"for all\n".to_vec())),
        Entry::new(b"/service", 0o711, root, Kind::Directory),
        Entry::new(b"/service/token", 0o400, "990:990", Kind::Regular(b"demo-token".to_vec())),
        Entry::new(b"/current", 0o777, root, Kind::Link("tls/cert.pem")),
    ];
    let mut deep = "/deep".to_owned();
    entries.push(Entry::new(deep.as_bytes(), 0o711, root, Kind::Directory));
    for level in 2..=12 {
        deep = format!("{deep}/{level}");
        entries.push(Entry::new(deep.as_bytes(), 0o711, root, Kind::Directory));
    }
    let content = b"below the eight levels of ISO 9660".to_vec();
    let deep = format!("{deep}/file");
    entries.push(Entry::new(deep.as_bytes(), 0o400, root, Kind::Regular(content)));
    entries.extend(write_tree(directory));
    entries.extend(write_archive(directory));
    entries
}

/// The tree of `dir: tls`, with odd names and with sizes around the block's.
fn write_tree(directory: &Path) -> Vec<Entry> {
    let longest = [b'n'; 255];
    let files: [(&[u8], usize, u32); 9] = [
        (b"cert.pem", 1300, 0o644),
        (b"private/key.pem", 100 * 1024 + 7, 0o600),
        (b"private/empty", 0, 0o400),
        (b"private/block", 4096, 0o440),
        (b"private/more than a block", 4097, 0o400),
        (b"private/-rf *", 1, 0o400),
        (b"private/it's \"quoted\" $HOME `id` \\", 2, 0o400),
        (b"private/line\nfeed \xc3\xa9 \xff\x01", 3, 0o400),
        (&longest, 4, 0o4755),
    ];
    let mut entries = Vec::new();
    for (name, mode) in [("tls", 0o750), ("tls/private", 0o700)] {
        let path = directory.join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        entries.push(Entry::new(format!("/{name}").as_bytes(), mode, "0:0", Kind::Directory));
    }
    for (name, size, mode) in files {
        let content = pattern(size);
        let path = directory.join("tls").join(OsStr::from_bytes(name));
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let path = [b"/tls/", name].concat();
        entries.push(Entry::new(&path, mode, "0:0", Kind::Regular(content)));
    }
    entries
}

/// The archive of `tar: wg.tar.gz`, which carries its own root.
fn write_archive(directory: &Path) -> Vec<Entry> {
    let content = pattern(5000);
    let file = fs::File::create(directory.join("wg.tar.gz")).unwrap();
    let gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    let members: [(&str, tar::EntryType, u32, &[u8]); 2] = [
        ("./", tar::EntryType::Directory, 0o750, b""),
        ("./wg0.conf", tar::EntryType::Regular, 0o640, &content),
    ];
    for (name, kind, mode, data) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(990);
        header.set_gid(991);
        header.set_size(data.len().try_into().unwrap());
        archive.append_data(&mut header, name, data).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap().flush().unwrap();
    vec![
        Entry::new(b"/wg", 0o750, "990:991", Kind::Directory),
        Entry::new(b"/wg/wg0.conf", 0o640, "990:991", Kind::Regular(content)),
    ]
}

/// The script that the guest runs; names go into it byte for byte.
fn payload_text(entries: &[Entry]) -> Vec<u8> {
    let mut text = CHECKS.as_bytes().to_vec();
    for (function, name_max_bytes) in
        [("contents", usize::MAX), ("iso9660_contents", ISO9660_NAME_BYTES)]
    {
        text.extend(format!("{function}() {{\n").as_bytes());
        text.extend(entries.iter().flat_map(|entry| entry.line(name_max_bytes)));
        text.extend(format!("total {}\n}}\n", entries.len()).as_bytes());
    }
    for (name, _, format, label) in DISKS {
        let line = match format {
            "squashfs" => format!("disk_without_label serial-{name} {format} contents\n"),
            "iso9660" => format!("disk {label} {format} iso9660_contents\n"),
            _ => format!("disk {label} {format} contents\n"),
        };
        text.extend(line.as_bytes());
    }
    // The link that the serial gives the disk on the default bus.
    text.extend(b"label=serial\ncheck link [ -b /dev/disk/by-id/virtio-serial-virtio ]\nfinish\n");
    text
}

/// Bytes of that number in which no two blocks are the same.
fn pattern(size: usize) -> Vec<u8> {
    let digests = (0_u32..).flat_map(|counter| Sha256::digest(counter.to_le_bytes()));
    digests.take(size).collect()
}

fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn shell_quote(bytes: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in bytes {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}
