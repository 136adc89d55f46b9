//! Images with a hash tree from outside: veritysetup judges the tree, every command reads the image
//! as one without, and what a guest is told is what it needs.

use std::fs;
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::host::{Host, stderr, stdout};
use crate::support::systemd::oem_strings;

const UUID: &str = "6f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81";
const MANIFEST: &str = "label: CHIMERA\nverity: true\nfiles:\n\
                        - {path: /extra, text: more}\n\
                        - {path: /big, shell: 'seq 1 20000'}\n";

/// Runs the program with these arguments, none of which holds white space.
fn run(host: &Host, arguments: &str) -> Output {
    host.credimg().args(arguments.split(' ')).output().unwrap()
}

#[track_caller]
fn done(host: &Host, arguments: &str) -> Output {
    let output = run(host, arguments);
    assert!(output.status.success(), "{arguments}: {}", stderr(&output));
    output
}

/// The report of a command that prints one.
#[track_caller]
fn report(host: &Host, arguments: &str) -> Value {
    serde_json::from_str(&stdout(&done(host, arguments))).unwrap()
}

/// Root hash and hash offset in a report.
fn tree(report: &Value) -> (String, u64) {
    let root_hash = report["root_hash"].as_str().unwrap().to_owned();
    (root_hash, report["hash_offset_bytes"].as_u64().unwrap())
}

/// Builds an image, with the same bytes each time if it is not encrypted; returns the report.
fn build(host: &Host, image: &str, options: &str) -> Value {
    let build = format!("build secrets.yaml -o {image} --json --mtime 0");
    report(host, format!("{build} {options}").trim_end())
}

/// Changes one bit of the byte at `offset_bytes`.
fn flip(host: &Host, image: &str, offset_bytes: u64) {
    let mut bytes = host.read(image);
    bytes[offset_bytes as usize] ^= 1;
    fs::write(host.path(image), bytes).unwrap();
}

/// Whether `veritysetup verify` accepts the image.
fn is_verified(host: &Host, image: &str, (root_hash, offset_bytes): &(String, u64)) -> bool {
    let offset = format!("--hash-offset={offset_bytes}");
    let mut command = host.command("veritysetup");
    let output = command.args(["verify", image, image, root_hash, &offset]).output().unwrap();
    output.status.success()
}

const IMAGES: [(&str, &str); 5] = [
    ("a.erofs", ""),
    ("a.squashfs", ""),
    ("a.iso", ""),
    ("b.erofs", "--encrypt luks2 --key-out key"),
    ("b.iso", "--encrypt luks2 --key-out key"),
];

#[test]
fn veritysetup_and_every_report_agree_on_the_tree() {
    let host = Host::new(MANIFEST);
    for (image, options) in IMAGES {
        let built = tree(&build(&host, image, format!("{options} --verify").trim_start()));
        assert!(is_verified(&host, image, &built), "{image}");
        assert_eq!(tree(&report(&host, &format!("inspect {image} --json"))), built, "{image}");
        assert_eq!(tree(&report(&host, &format!("args {image} --json"))), built, "{image}");
        let verified = report(&host, &format!("verify {image} --root-hash {} --json", built.0));
        assert_eq!(verified["root_hash"], built.0, "{image}");
        // The disk's blocks may not be larger than those of the tree.
        let block = if image.contains("iso") { 2048 } else { 4096 };
        let arguments = stdout(&done(&host, &format!("args {image}")));
        assert!(arguments.contains(&format!("logical_block_size={block},")), "{arguments}");
    }
    // LUKS1 is opened by QEMU, so the tree is inside of it.
    let built = tree(&build(&host, "c.erofs", "--encrypt luks1 --key-out key --verify"));
    assert_eq!(report(&host, "inspect c.erofs --json")["root_hash"], Value::Null);
    let inside = &report(&host, "inspect c.erofs --json --key-file key")["inside"];
    assert_eq!(tree(inside), built);
    let plain = fs::read(host.path("c.erofs")).unwrap();
    assert!(built.1 < plain.len() as u64 - (2 << 20));
    done(&host, &format!("verify c.erofs --key-file key --root-hash {}", built.0));
}

#[test]
fn an_image_with_a_tree_is_read_as_one_without() {
    let host = Host::new(MANIFEST);
    host.write("plain.yaml", MANIFEST.replace("verity: true\n", ""));
    for (image, options) in IMAGES {
        build(&host, image, options);
        let plain = format!("plain-{image}");
        done(
            &host,
            format!("build plain.yaml -o {plain} --mtime 0 --args none {options}").trim_end(),
        );
        let key = if options.is_empty() { "" } else { " --key-file key" };
        for command in ["ls -l", "cat /big"] {
            let (name, rest) = command.split_once(' ').unwrap();
            let of = |image: &str| match name {
                "ls" => stdout(&done(&host, &format!("ls {rest} {image}{key}"))),
                _ => stdout(&done(&host, &format!("cat {image} {rest}{key}"))),
            };
            assert_eq!(of(image), of(&plain), "{command} {image}");
        }
        done(&host, &format!("dump {image}{key}"));
        done(&host, &format!("extract {image} into-{image}{key}"));
        assert_eq!(host.read(format!("into-{image}/extra").as_str()), b"more");
        let key = if options.is_empty() { "" } else { " --key-file key --encrypt luks2" };
        done(&host, &format!("verify {image} --manifest secrets.yaml --mtime 0{key}"));
        // A manifest that says so misses the tree in an image that has none.
        let output = run(&host, &format!("verify {plain} --manifest secrets.yaml --mtime 0{key}"));
        assert_eq!(output.status.code(), Some(1), "{image}");
        let missed = "the hash tree is not that of the manifest";
        assert!(stderr(&output).contains(missed), "{}", stderr(&output));
    }
}

/// What `verify` says is not as the manifest has it, which says this of the tree.
#[track_caller]
fn differences(host: &Host, image: &str, verity: &str, options: &str) -> Vec<String> {
    host.write("other.yaml", MANIFEST.replace("verity: true\n", verity));
    let command = format!("verify {image} --manifest other.yaml --mtime 0 --json {options}");
    let output = run(host, command.trim_end());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let differences = report["differences"].as_array().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!differences.is_empty())), "{verity}");
    let respect = |difference: &Value| {
        assert_eq!(difference["change"], "volume", "{verity}: {report}");
        difference["respects"][0].as_str().unwrap().to_owned()
    };
    differences.iter().map(respect).collect()
}

/// The shape of the tree is a part of what the manifest says, for images of ours and for trees
/// that veritysetup has made.
#[test]
fn a_tree_of_another_shape_is_not_that_of_the_manifest() {
    let host = Host::new(MANIFEST);
    let none: [&str; 0] = [];
    let luks2 = "--encrypt luks2 --key-file key";
    for (image, options) in IMAGES {
        build(&host, image, options);
        let with = if options.is_empty() { "" } else { luks2 };
        for (verity, expected) in [
            ("", &["hash tree"][..]),
            ("verity: true\n", &none),
            ("verity: {hash_block: 4096}\n", &none),
            (
                "verity: {data_block: 512, hash_block: 1024}\n",
                &["hash tree's block of data", "hash tree's block of hashes"],
            ),
            ("verity: {salt: '00ff'}\n", &["hash tree's salt"]),
            ("verity: {salt: '-'}\n", &["hash tree's salt"]),
            (&format!("verity: {{uuid: {UUID}}}\n"), &["hash tree's UUID"]),
        ] {
            assert_eq!(differences(&host, image, verity, with), expected, "{image} {verity}");
        }
        assert_eq!(differences(&host, image, "", format!("--verity {with}").trim_end()), none);
    }
    // Of other shapes from the beginning, one inside an encryption.
    for (image, options) in [("c.erofs", ""), ("d.erofs", "--encrypt luks1 --key-out key1")] {
        let shape = format!("verity: {{salt: '00ff', uuid: {UUID}, data_block: 512}}\n");
        host.write("secrets.yaml", MANIFEST.replace("verity: true\n", &shape));
        build(&host, image, options);
        let with = options.replace("--key-out", "--key-file");
        assert_eq!(differences(&host, image, &shape, &with), none, "{image}");
        // A salt and a UUID that nobody asks for may be any.
        let blocks = "verity: {data_block: 512}\n";
        assert_eq!(differences(&host, image, blocks, &with), none, "{image}");
        let other = shape.replace("00ff", "00fe");
        assert_eq!(differences(&host, image, &other, &with), ["hash tree's salt"], "{image}");
        let larger = differences(&host, image, "verity: true\n", &with);
        assert_eq!(larger, ["hash tree's block of data"], "{image}");
    }
    // Trees of veritysetup behind an image of ours.
    host.write("secrets.yaml", MANIFEST.replace("verity: true\n", ""));
    for (options, expected) in [
        ("", &none[..]),
        ("--hash=sha512", &["hash tree's hash"]),
        ("--format=0", &["hash tree's hash"]),
        ("--data-block-size=1024", &["hash tree's block of data"]),
    ] {
        build(&host, "v.erofs", "");
        let offset = format!("--hash-offset={}", host.read("v.erofs").len());
        let mut command = host.command("veritysetup");
        command.args(["format", "v.erofs", "v.erofs", &offset]).args(options.split_terminator(' '));
        assert!(command.status().unwrap().success());
        assert_eq!(differences(&host, "v.erofs", "verity: true\n", ""), expected, "{options}");
    }
}

#[test]
fn the_same_again_has_the_same_tree() {
    let host = Host::new(MANIFEST);
    let options = format!("--uuid {UUID}");
    let first = tree(&build(&host, "a.erofs", &options));
    assert_eq!(tree(&build(&host, "b.erofs", &options)), first);
    assert_eq!(host.read("a.erofs"), host.read("b.erofs"));
    assert_ne!(
        tree(&build(&host, "c.erofs", "--uuid 7f1c2ad0-0b5e-4c77-9a34-1d2f00fe9b81")),
        first
    );
    let squashfs = tree(&build(&host, "a.squashfs", ""));
    assert_eq!(tree(&build(&host, "b.squashfs", "")), squashfs);
    // What the manifest says is what veritysetup sees.
    let shape = format!("{{salt: '00ff', uuid: {UUID}, data_block: 512, hash_block: 1024}}");
    let manifest = MANIFEST.replace("verity: true", &format!("verity: {shape}"));
    let host = Host::new(&manifest);
    let built = tree(&build(&host, "a.erofs", ""));
    assert!(is_verified(&host, "a.erofs", &built));
    let offset = format!("--hash-offset={}", built.1);
    let mut command = host.command("veritysetup");
    let dump = stdout(&command.args(["dump", "a.erofs", &offset]).output().unwrap());
    for line in [
        format!("UUID:            \t{UUID}"),
        "Salt:            \t00ff".to_owned(),
        "Data block size: \t512".to_owned(),
        "Hash block size: \t1024".to_owned(),
    ] {
        assert!(dump.contains(&line), "{line}:\n{dump}");
    }
    // The disk's blocks are no larger than the smallest.
    let arguments = stdout(&done(&host, "args a.erofs"));
    assert!(!arguments.contains("logical_block_size"), "{arguments}");
}

#[test]
fn what_would_be_made_again_is_kept_with_its_tree() {
    for (image, options) in IMAGES {
        let host = Host::new(MANIFEST);
        let rebuild = || build(&host, image, format!("{options} --if-changed").trim_start());
        let first = rebuild();
        assert_eq!(first["changed"], true);
        let again = rebuild();
        assert_eq!(
            (&again["changed"], tree(&again)),
            (&Value::Bool(false), tree(&first)),
            "{image}"
        );
        let (_, offset_bytes) = tree(&first);
        // In data, superblock and tree.
        for place in [offset_bytes - 1, offset_bytes + 20, offset_bytes + 4096] {
            flip(&host, image, place);
            assert_eq!(rebuild()["changed"], true, "{image}: {place}");
            assert_eq!(rebuild()["changed"], false, "{image}: {place}");
        }
        let suffix = format!("{image}.smbios");
        fs::write(host.path(&suffix), "x").unwrap();
        assert_eq!(rebuild()["changed"], true, "{image}");
        host.write("secrets.yaml", MANIFEST.replace("verity: true\n", ""));
        let without = rebuild();
        assert_eq!(
            (&without["changed"], &without["root_hash"]),
            (&Value::Bool(true), &Value::Null)
        );
        assert_eq!(rebuild()["changed"], false, "{image}");
        let with = build(&host, image, format!("{options} --if-changed --verity").trim_start());
        assert_eq!(with["changed"], true, "{image}");
    }
}

#[test]
fn verify_finds_each_change_as_veritysetup_does() {
    let host = Host::new(MANIFEST);
    for (image, options) in IMAGES {
        let built = tree(&build(&host, image, options));
        let whole = host.read(image);
        let (root_hash, offset_bytes) = &built;
        // Data, the superblock's signature and salt, the tree's top and its hashes.
        for place in [0, offset_bytes / 2, offset_bytes + 1, offset_bytes + 90, offset_bytes + 4099]
        {
            flip(&host, image, place);
            let output = run(&host, &format!("verify {image} --root-hash {root_hash}"));
            assert_eq!(output.status.code(), Some(8), "{image} {place}: {}", stderr(&output));
            assert!(!is_verified(&host, image, &built), "{image} {place}");
            fs::write(host.path(image), &whole).unwrap();
        }
        let other = "0".repeat(64);
        let output = run(&host, &format!("verify {image} --root-hash {other}"));
        assert_eq!(output.status.code(), Some(8), "{image}");
        assert!(stderr(&output).contains("the image has another root hash"), "{}", stderr(&output));
    }
    host.write("secrets.yaml", MANIFEST.replace("verity: true\n", ""));
    build(&host, "plain.erofs", "");
    let output = run(&host, &format!("verify plain.erofs --root-hash {}", "0".repeat(64)));
    assert_eq!(output.status.code(), Some(8));
    assert!(stderr(&output).contains("it has no hash tree"), "{}", stderr(&output));
    let output = run(&host, "verify plain.erofs --root-hash 00");
    assert_eq!(output.status.code(), Some(2));
}

/// The value of the OEM string of this credential.
fn credential(structure: &[u8], name: &str) -> String {
    let start = format!("io.systemd.credential.binary:{name}=");
    let strings = oem_strings(structure);
    let value = strings.iter().find_map(|string| string.strip_prefix(&start)).unwrap();
    String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
}

const UNIT: &str = "systemd.extra-unit.credimg-chimera.service";

#[test]
fn the_guest_is_told_to_check_the_whole_disk_before_it_mounts_it() {
    let host = Host::new(MANIFEST);
    let (root_hash, offset_bytes) = tree(&build(&host, "a.erofs", ""));
    let structure = host.read("a.erofs.smbios");
    let unit = credential(&structure, UNIT);
    let expected = format!(
        "[Unit]
Description=Open the secrets of this machine
DefaultDependencies=no
IgnoreOnIsolate=yes
Wants=systemd-udevd.service
After=systemd-udevd.service systemd-udev-trigger.service veritysetup-pre.target \
         cryptsetup-pre.target
Before=veritysetup.target umount.target
Conflicts=umount.target

[Service]
Type=oneshot
RemainAfterExit=yes
StandardOutput=null
StandardError=journal
ExecStart=udevadm wait --timeout=90 /dev/disk/by-id/virtio-chimera
ExecStart=/usr/lib/systemd/systemd-veritysetup attach credimg-chimera \
         /dev/disk/by-id/virtio-chimera /dev/disk/by-id/virtio-chimera {root_hash} \
         hash-offset={offset_bytes}
ExecStart=cat /dev/mapper/credimg-chimera
ExecStopPost=/usr/lib/systemd/systemd-veritysetup detach credimg-chimera
"
    );
    assert_eq!(unit, expected);
    // The unchecked disk has the same label, so the guest must never mount by label.
    let fstab = "/dev/mapper/credimg-chimera /run/secrets erofs \
                 ro,nosuid,nodev,noexec,x-systemd.requires=credimg-chimera.service,\
                 x-systemd.device-timeout=0 0 0\n";
    assert_eq!(credential(&structure, "fstab.extra"), fstab);

    // Encrypted: the tree is around the ciphertext.
    build(&host, "b.erofs", "--encrypt luks2 --key-out key");
    let structure = host.read("b.erofs.smbios");
    let unit = credential(&structure, UNIT);
    let lines: Vec<_> = unit.lines().filter(|line| line.starts_with("ExecSt")).collect();
    assert!(lines[1].contains(" attach credimg-chimera-verity /dev/disk/by-id/virtio-chimera "));
    assert_eq!(lines[2], "ExecStart=cat /dev/mapper/credimg-chimera-verity");
    assert_eq!(
        lines[3],
        "ExecStart=systemd-cryptsetup attach credimg-chimera /dev/mapper/credimg-chimera-verity \
         %d/luks.chimera luks,read-only,headless"
    );
    assert_eq!(credential(&structure, "fstab.extra"), fstab);

    // On another bus than virtio it is found by its label, as nothing else tells it.
    build(&host, "c.erofs", "--bus scsi");
    let unit = credential(&host.read("c.erofs.smbios"), UNIT);
    assert!(unit.contains("wait --timeout=20 /dev/disk/by-label/CHIMERA\n"), "{unit}");
    // By fw_cfg the unit has a short name.
    build(&host, "d.erofs", "--machine microvm");
    let unit = host.read("d.erofs.fw_cfg.systemd.extra-unit.c.service");
    assert!(String::from_utf8(unit).unwrap().contains("hash-offset="));
    let fstab = String::from_utf8(host.read("d.erofs.fw_cfg.fstab.extra")).unwrap();
    assert!(fstab.contains(",x-systemd.requires=c.service,"), "{fstab}");
    let output = run(&host, "build secrets.yaml -o e.squashfs --bus nvme");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

/// The unit is no secret, so it is an argument where no private file can be used.
#[test]
fn an_argument_tells_of_the_tree_where_no_file_can() {
    let host = Host::new(MANIFEST);
    let built = build(&host, "a.erofs", "--target proxmox --args none");
    assert!(built["root_hash"].is_string());
    let warning = "nothing tells the guest to check and mount the disk";
    // An image on standard output has no arguments either.
    for options in ["b.erofs --target crosvm", "- --format erofs"] {
        let output = done(&host, &format!("build secrets.yaml -o {options}"));
        assert!(stderr(&output).contains(warning), "{options}: {}", stderr(&output));
    }
}

#[test]
fn units_of_the_guest_are_for_one_image() {
    let host = Host::new(MANIFEST);
    let output = run(&host, "guest-unit secrets.yaml");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("another one after each build"), "{}", stderr(&output));
    let (root_hash, offset_bytes) = tree(&build(&host, "a.erofs", ""));
    let text = stdout(&done(&host, "guest-unit secrets.yaml --image a.erofs"));
    let device = "/dev/disk/by-id/virtio-chimera";
    let line = format!(
        "# /etc/veritytab\ncredimg-chimera {device} {device} {root_hash} hash-offset={offset_bytes}\n"
    );
    assert!(text.starts_with(&line), "{text}");
    assert!(text.contains("\nWhat=/dev/mapper/credimg-chimera\n"), "{text}");
    build(&host, "b.erofs", "--encrypt luks2 --key-out key");
    let text = stdout(&done(&host, "guest-unit secrets.yaml --image b.erofs --encrypt luks2"));
    assert!(text.starts_with("# /etc/veritytab\ncredimg-chimera-verity "), "{text}");
    let line = "# /etc/crypttab\ncredimg-chimera /dev/mapper/credimg-chimera-verity ";
    assert!(text.contains(line), "{text}");
    build(&host, "c.erofs", "--encrypt luks1 --key-out key");
    let output = run(&host, "guest-unit secrets.yaml --image c.erofs");
    assert_eq!(output.status.code(), Some(2));
    done(&host, "guest-unit secrets.yaml --image c.erofs --key-file key");
}

/// Without the key nobody can say that there is no tree.
#[test]
fn the_tree_inside_a_luks1_image_is_checked_with_its_key() {
    let host = Host::new(MANIFEST);
    let (root_hash, _) = tree(&build(&host, "a.erofs", "--encrypt luks1 --key-out key"));
    let verify = format!("verify a.erofs --root-hash {root_hash}");
    let output = run(&host, &verify);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("--key-file"), "{}", stderr(&output));
    done(&host, &format!("{verify} --key-file key"));
}

#[test]
fn what_no_guest_could_read_is_refused() {
    for (verity, message) in [
        ("{data_block: 4096}", "Linux reads no such image from a disk of larger sectors"),
        ("{data_block: 8192}", "expected 512, 1024, 2048 or 4096"),
        ("{salt: 'xy'}", "expected hexadecimal digits"),
        ("yes", "expected true, false or a mapping, got text"),
    ] {
        let host = Host::new(&MANIFEST.replace("true", verity));
        let output = run(&host, "build secrets.yaml -o a.iso");
        assert_eq!(output.status.code(), Some(3), "{verity}");
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
}

/// `exec` hands on the image and the unit of this very image.
#[test]
fn a_monitor_inherits_what_belongs_together() {
    let host = Host::new(MANIFEST);
    let script = "cat {image} >image; for word; do case $word in \
                  file=/proc/self/fd/*) cat \"${word#file=}\" >structure;; esac; done";
    let mut command = host.credimg();
    command.args(["exec", "secrets.yaml", "--quiet", "--", "sh", "-c", script, "sh", "{}"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let unit = credential(&host.read("structure"), UNIT);
    let (root_hash, _) = tree(&report(&host, "inspect image --json"));
    assert!(unit.contains(&format!(" {root_hash} hash-offset=")), "{unit}");
}

#[test]
fn each_machine_of_a_fleet_has_its_root_hash() {
    let host = Host::new(
        "machines: {a: , b: }\noutput: '{machine}.erofs'\nverity: true\n\
         files: [{path: /name, text: 'of {machine}', to: all}]\n",
    );
    let built = report(&host, "fleet build secrets.yaml --json");
    let machines = built["machines"].as_array().unwrap();
    assert_eq!(machines.len(), 2);
    for machine in machines {
        let image = machine["output"].as_str().unwrap();
        assert_eq!(tree(machine), tree(&report(&host, &format!("inspect {image} --json"))));
    }
    assert_ne!(tree(&machines[0]), tree(&machines[1]));
}

/// The guest is told by the build which serial the disk has, so what is printed later has it, too:
/// another one would leave it waiting for a disk that is there.
#[test]
fn args_gives_the_disk_the_serial_that_the_guest_looks_for() {
    let host = Host::new(MANIFEST);
    let initrd = "mkdir -p t/usr/bin && touch t/usr/bin/systemd-tmpfiles && cd t &&
                  find . | cpio -o -H newc --quiet >../guest.img";
    assert!(host.command("sh").args(["-c", initrd]).status().unwrap().success());
    fs::write(host.path("plain.yaml"), MANIFEST.replace("true", "false")).unwrap();
    for (image, options) in [
        ("a.erofs", ""),
        ("a.squashfs", ""),
        ("a.iso", "--label B"),
        ("a.erofs", "--encrypt luks2 --key-out key"),
        ("a.erofs", "--smbios path"),
        ("a.erofs", "--target cloud-hypervisor --initrd guest.img"),
        ("a.erofs", "--target libvirt --machine q35"),
        ("a.erofs", "--target crosvm --initrd guest.img"),
    ] {
        let build = format!("build secrets.yaml -o {image} -q --serial told.by-me {options}");
        let first = stdout(&done(&host, build.trim_end()));
        let target = options.strip_prefix("--target ").and_then(|it| it.split(' ').next());
        let target = target.unwrap_or("qemu");
        let args = format!("args {image} --target {target}");
        let printed = done(&host, &args);
        assert!(first.contains("told.by-me") && stdout(&printed).contains("told.by-me"), "{args}");
        assert_eq!(stderr(&printed), "", "{args}");
        let expected = "credimg: warning: the guest looks for this disk by the serial told.by-me \
                        on the bus virtio, and finds it nowhere else: build the image with these \
                        options as well\n";
        assert_eq!(stderr(&done(&host, &format!("{args} --serial other"))), expected, "{args}");
        assert_eq!(stderr(&done(&host, &format!("{args} --serial told.by-me"))), "", "{args}");
    }
    assert!(stderr(&done(&host, "args a.squashfs --bus scsi")).contains("told.by-me"));
    // What is found by its label has whichever serial.
    done(&host, "build plain.yaml -o b.erofs --serial x");
    assert!(!stdout(&done(&host, "args b.erofs")).contains("serial=x"));
}
