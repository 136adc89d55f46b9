//! Labels as blkid sees them, which makes the guest's links by label.

use std::process::Output;

use super::*;
use crate::support::monitor::Qemu;

/// A machine of QEMU that is built whole and never runs; arguments go behind it.
const MACHINE: &str = "exec qemu-system-x86_64 -machine pc -accel tcg -m 16 -nodefaults -S -display none -monitor none \
     -qmp stdio ";
/// An image of so many files has 4991 inodes, which is a magic of MINIX.
const FILES: usize = 4990;

/// What blkid shows of the image that it reads from there.
fn blkid(host: &Host, image: &str) -> String {
    let mut blkid = Command::new("blkid");
    let output = blkid.args(["-p", "-o", "full"]).arg(host.path(image)).output();
    let output = output.expect("blkid starts; `make setup` installs it");
    format!("{}{}", stdout(&output), stderr(&output))
}

fn assert_shown(host: &Host, image: &str, values: &[&str]) {
    let shown = blkid(host, image);
    for value in values {
        assert!(shown.contains(value), "{image}: no {value} in {shown}");
    }
}

/// A random key, which takes cheap rounds.
fn write_key(host: &Host) {
    fs::write(host.path("key"), "0123456789abcdef".repeat(4)).unwrap();
    fs::set_permissions(host.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    output
}

#[test]
fn a_directory_of_any_number_of_files_has_its_label() {
    let host = Host::new("label: CHIMERA\nfiles:\n  - {path: /, dir: d}\n");
    fs::create_dir(host.path("d")).unwrap();
    for index in 0..FILES {
        fs::write(host.path(format!("d/{index}")), b"").unwrap();
    }
    write_key(&host);
    let build = |output: &str, options: &[&str]| {
        let mut command = host.credimg();
        command.args(["build", "secrets.yaml", "--args", "none", "-q", "-o", output]);
        command.args(options);
        succeed(command)
    };
    let erofs = ["LABEL=\"CHIMERA\"", "TYPE=\"erofs\""];
    for (extension, values) in [
        ("erofs", &erofs[..]),
        ("squashfs", &["TYPE=\"squashfs\""]),
        ("iso", &["LABEL=\"CHIMERA\"", "TYPE=\"iso9660\""]),
    ] {
        let image = format!("image.{extension}");
        build(&image, &[]);
        assert_shown(&host, &image, values);
        let format = if extension == "iso" { "iso9660" } else { extension };
        let streamed = build("-", &["--format", format]);
        fs::write(host.path("streamed"), streamed.stdout).unwrap();
        assert_shown(&host, "streamed", values);
        for (luks, label) in [("luks1", &[][..]), ("luks2", &["LABEL=\"CHIMERA-LUKS\""])] {
            build(&image, &["--encrypt", luks, "--key-file", "key"]);
            assert_shown(&host, &image, &[label, &["TYPE=\"crypto_LUKS\""]].concat());
            if luks == "luks1" {
                decrypt(&host, &image);
                assert_shown(&host, "decrypted", values);
            }
        }
    }
    let mut exec = host.credimg();
    exec.args(["exec", "secrets.yaml", "-q", "--", "sh", "-c", "cat \"$1\" >inherited", "sh"]);
    exec.arg("{image}");
    succeed(exec);
    assert_shown(&host, "inherited", &erofs);

    // A large one is looked at for every file system, and must be of one alone.
    fs::remove_file(host.path("d/0")).unwrap();
    fs::write(host.path("d/large"), vec![1; 3_000_000]).unwrap();
    build("image.erofs", &[]);
    assert_shown(&host, "image.erofs", &erofs);
}

/// Writes what a LUKS1 image holds, by QEMU.
fn decrypt(host: &Host, image: &str) {
    let options = format!("driver=luks,key-secret=key,file.filename={image}");
    let mut convert = Command::new("qemu-img");
    convert.current_dir(host.path("")).args(["convert", "--object", "secret,id=key,file=key"]);
    convert.args(["--image-opts", &options, "-O", "raw", "decrypted"]);
    succeed(convert);
}

#[test]
fn a_uuid_that_passes_for_ext2_is_a_wrong_option() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, text: hello}]\n");
    let uuid = "12345678-9abc-4def-53ef-123456789abc";
    let refused = host.build(&["--uuid", uuid]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(
        stderr(&refused),
        "credimg: error: --uuid: with 53ef as the fourth group guests would take the disk for ext2 \
         and see no label\ncredimg: hint: choose another UUID\n"
    );
    assert!(!host.path("out.erofs").exists());
    // It has no effect there.
    let warned = host.build(&["--uuid", uuid, "--format", "squashfs"]);
    assert!(warned.status.success(), "{}", stderr(&warned));
}

/// Their serials and ids come from their file names and their places.
#[test]
fn two_images_without_a_label_go_with_one_machine() {
    let host = Host::new("files: [{path: /a, text: hello}]\n");
    for (format, style) in [("erofs", "shell"), ("squashfs", "blockdev"), ("iso9660", "shell")] {
        let build = |image: &str, place: &str| {
            let mut command = host.credimg();
            command.args(["build", "secrets.yaml", "-q", "--format", format, "-o", image]);
            command.args(["--args", style, "--place", place]);
            stdout(&succeed(command))
        };
        let (first, second) = (build("Keys 1.img", "1"), build("tls.img", "2"));
        let mut qemu = Command::new("sh");
        qemu.current_dir(host.path("")).arg("-c").arg(
            "printf 'info qtree\\nquit\\n' | eval \"qemu-system-x86_64 -S -display none \
             -nodefaults -monitor stdio $1 $2\"",
        );
        qemu.args(["sh", first.trim_end(), second.trim_end()]);
        let shown = stdout(&succeed(qemu));
        for serial in ["serial = \"keys-1\"", "serial = \"tls-2\""] {
            assert!(shown.contains(serial), "no {serial} in {shown}");
        }
        let args = host.credimg().args(["args", "Keys 1.img"]).output().unwrap();
        assert!(stdout(&args).contains("serial=keys-1"), "{}", stdout(&args));
    }
    fs::create_dir_all(host.path("a")).unwrap();
    fs::create_dir_all(host.path("b")).unwrap();
    let build = |image: &str, options: &[&str]| {
        let mut command = host.credimg();
        command.args(["build", "secrets.yaml", "-q", "-o", image]).args(options);
        stdout(&succeed(command))
    };
    let (first, second) = (build("a/disk.erofs", &[]), build("b/disk.erofs", &["--place", "2"]));
    let started = format!("{MACHINE}{} {second}", first.trim_end());
    let mut qemu =
        Qemu::start(Command::new("sh").current_dir(host.path("")).args(["-c", &started]));
    let serials: Vec<_> = qemu.drives().into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(serials, ["disk", "disk-2"]);
    // Two in memory, the inner one at the place that the outer one leaves free.
    let exec = format!("{} exec secrets.yaml -q -- ", env!("CARGO_BIN_EXE_credimg"));
    let nested = format!("exec {exec}{exec}{}", MACHINE.trim_start_matches("exec "));
    let mut qemu = Qemu::start(Command::new("sh").current_dir(host.path("")).args(["-c", &nested]));
    let serials: Vec<_> = qemu.drives().into_iter().map(|(serial, _)| serial).collect();
    assert_eq!(serials, ["credimg", "credimg-2"]);
    let mut stream = host.credimg();
    stream.args(["build", "secrets.yaml", "--json=report", "--format", "erofs", "-o", "-"]);
    succeed(stream);
    let report = fs::read_to_string(host.path("report")).unwrap();
    assert!(report.contains("\"serial\":\"credimg\""), "{report}");
}

#[test]
fn content_that_hides_the_label_brings_a_warning() {
    let host = Host::new("label: CHIMERA\nfiles: [{path: /a, file: area}]\n");
    // An old swap area, its magic at the end of its first page.
    let area = [vec![1; 4086], b"SWAP-SPACE".to_vec(), vec![1; 2_000_000]].concat();
    fs::write(host.path("area"), area).unwrap();
    write_key(&host);
    // EROFS has its superblock before it.
    let warning = |offset_bytes: usize| {
        format!(
            "credimg: warning: what is stored lies at byte {offset_bytes} of the image as the \
             signature of swap would: guests may take the disk for that, and have no link to it \
             by label; to move it, add a file or take another format\n"
        )
    };
    let encrypted = ["-o", "encrypted", "--format", "erofs", "--encrypt", "luks2"];
    for options in [
        &["-o", "image.erofs"][..],
        &["-o", "-", "--format", "erofs"],
        &[&encrypted[..], &["--key-file", "key"]].concat(),
    ] {
        let mut build = host.credimg();
        build.args(["build", "secrets.yaml", "-q", "--args", "none"]).args(options);
        assert_eq!(stderr(&succeed(build)), warning(4096 + 4086), "{options:?}");
    }
    let shown = blkid(&host, "image.erofs");
    assert!(shown.contains("ambivalent result"), "{shown}");
    let mut exec = host.credimg();
    exec.args(["exec", "secrets.yaml", "-q", "--", "test", "-r", "{image}"]);
    assert_eq!(stderr(&succeed(exec)), warning(4096 + 4086));

    // Moved, it is where nobody looks.
    for image in ["image.iso", "image.squashfs"] {
        let mut build = host.credimg();
        build.args(["build", "secrets.yaml", "-q", "--args", "none", "-o", image]);
        assert_eq!(stderr(&succeed(build)), "", "{image}");
        let shown = blkid(&host, image);
        assert!(shown.contains("TYPE="), "{shown}");
    }
}
