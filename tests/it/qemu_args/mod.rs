//! QEMU itself judges the arguments: whatever the image's path looks like, the
//! monitor reports exactly the intended file, read-only, on the intended device.

mod encrypted;
mod paths;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;
use credimg::monitors::{
    Block, Bus, Drive, DriveId, Firmware, FwCfgItem, Machine, Place, PublicCredential, Serial,
    SmbiosFile, Style, qemu,
};
use credimg::report::{Exit, Failure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::monitor::Qemu;
use paths::{long_path, make_odd_files};

/// How many odd paths each style is tried with.
const PATHS: usize = 320;
/// Drives of one QEMU: a PC has 32 slots, some of them taken.
const BATCH: usize = 24;
/// Items of `fw_cfg` of one QEMU, which is asked to have slots for them.
const FW_CFG_BATCH: usize = 40;
/// A machine that is built whole but never runs.
const MACHINE: &str = "-machine pc -accel tcg -m 16 -nodefaults -S -display none -monitor none -qmp stdio \
     -global fw_cfg_io.x-file-slots=64";

#[test]
fn shell_style_opens_exactly_the_intended_file_from_sh() {
    let carried = open_every_path(|args| shell_command("sh", args), Style::Shell);
    assert_eq!(carried, PATHS);
}

#[test]
fn shell_style_opens_exactly_the_intended_file_from_bash() {
    let carried = open_every_path(|args| shell_command("bash", args), Style::Shell);
    assert_eq!(carried, PATHS);
}

#[test]
fn blockdev_style_opens_exactly_the_intended_file() {
    let carried = open_every_path(|args| shell_command("sh", args), Style::Blockdev);
    assert_eq!(carried, 222);
}

#[test]
fn lines_style_opens_exactly_the_intended_file() {
    let carried = open_every_path(lines_command, Style::Lines);
    assert_eq!(carried, 285);
}

#[test]
fn json_style_opens_exactly_the_intended_file() {
    let carried = open_every_path(json_command, Style::Json);
    assert_eq!(carried, 224);
}

#[test]
fn readconfig_style_opens_exactly_the_intended_file() {
    let carried = open_every_path(config_command, Style::Readconfig);
    assert_eq!(carried, 261);
}

/// Two drives a bus in one machine: each style realises both devices, the
/// serials arrive, and neither the drives nor their controllers clash.
#[test]
fn every_bus_carries_two_drives_with_their_serials() {
    let directory = TempDir::new().unwrap();
    let serials = ["0123456789abcdefg-._", "B"];
    let places = [(serials[0], Place::Nth(1)), (serials[1], Place::Nth(16))];
    for bus in Bus::value_variants() {
        for style in [Style::Shell, Style::Blockdev, Style::Readconfig] {
            let args = places.map(|(serial, place)| {
                let path = directory.path().join(format!("{serial}.erofs"));
                File::create(&path).unwrap().set_len(4096).unwrap();
                let drive = Drive { bus: *bus, place, block: Block::Cd, ..drive(path, serial) };
                let file = directory.path().join(format!("{serial}.args"));
                fs::write(&file, qemu::render(&drive.into(), style).unwrap()).unwrap();
                file
            });
            let mut command = match style {
                Style::Readconfig => config_command(&args),
                _ => shell_command("sh", &args),
            };
            let mut qemu = Qemu::start(command.current_dir(directory.path()));
            let blocks = qemu.execute(&json!({"execute": "query-block"}));
            let mut seen = BTreeSet::new();
            for block in blocks.as_array().unwrap() {
                assert_eq!(block["inserted"]["ro"], true, "{bus:?} {style:?}");
                let is_cdrom = matches!(bus, Bus::Cdrom | Bus::Sata);
                assert_eq!(block["removable"], is_cdrom, "{bus:?} {style:?}");
                seen.insert(qemu.serial_of(block));
            }
            assert_eq!(seen, serials.map(str::to_owned).into(), "{bus:?} {style:?}");
        }
    }
}

/// The firmware's files are opened, whatever their names: a QEMU that was told
/// of another one would not start, as there is no other.
#[test]
fn firmware_files_are_found_in_every_style() {
    let directory = TempDir::new().unwrap();
    let args = TempDir::new().unwrap();
    let paths = make_odd_files(directory.path());
    // An empty structure of OEM strings.
    let structure = [11, 5, 0, 14, 0, 0, 0];
    for path in &paths {
        fs::write(directory.path().join(path), structure).unwrap();
    }
    for (style, expected) in [
        (Style::Shell, PATHS),
        (Style::Blockdev, PATHS),
        (Style::Lines, 285),
        (Style::Json, 224),
        (Style::Readconfig, 261),
    ] {
        let firmware = |(index, path): (usize, &PathBuf)| {
            let name = format!("opt/org.credimg/{index}, {style:?}");
            let fw_cfg = vec![FwCfgItem { name, file: path.clone() }];
            let smbios = vec![SmbiosFile::Structure(path.clone())];
            let smbios = if style == Style::Readconfig { Vec::new() } else { smbios };
            Firmware { smbios, fw_cfg, ..Firmware::default() }
        };
        let mut carried = Vec::new();
        for firmware in paths.iter().enumerate().map(firmware) {
            let machine = Machine { firmware, ..Machine::default() };
            match qemu::render(&machine, style) {
                Ok(text) => {
                    let file = args.path().join(format!("{style:?}{}", carried.len()));
                    fs::write(&file, text).unwrap();
                    carried.push(file);
                }
                Err(failure) => assert_eq!(failure.exit, Exit::Usage, "{failure:?}"),
            }
        }
        assert_eq!(carried.len(), expected, "{style:?}");
        for batch in carried.chunks(FW_CFG_BATCH) {
            let mut command = match style {
                Style::Lines => lines_command(batch),
                Style::Json => json_command(batch),
                Style::Readconfig => config_command(batch),
                _ => shell_command("sh", batch),
            };
            Qemu::start(command.current_dir(directory.path()));
        }
    }
}

#[test]
fn firmware_looks_as_documented() {
    let public = PublicCredential { name: "fstab.extra".into(), value: "a b\n".into() };
    let mut firmware = Firmware {
        smbios: vec![SmbiosFile::String("/vm/a,b.smbios.x y".into())],
        fw_cfg: vec![FwCfgItem { name: "opt/io.systemd.credentials/a,b".into(), file: "f".into() }],
        public: vec![public],
        ..Firmware::default()
    };
    let machine = Machine { firmware: firmware.clone(), ..Machine::default() };
    assert_eq!(
        String::from_utf8(qemu::render(&machine, Style::Shell).unwrap()).unwrap(),
        "-smbios 'type=11,path=/vm/a,,b.smbios.x y' \
         -smbios type=11,value=io.systemd.credential.binary:fstab.extra=YSBiCg== \
         -fw_cfg name=opt/io.systemd.credentials/a,,b,file=f\n"
    );
    let refusal = |firmware: &Firmware| {
        let machine = Machine { firmware: firmware.clone(), ..Machine::default() };
        let failure = qemu::render(&machine, Style::Readconfig).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        failure.message
    };
    let expected = "the style readconfig cannot carry OEM strings: QEMU ignores them in a file";
    assert_eq!(refusal(&firmware), expected);
    firmware.smbios.clear();
    assert_eq!(refusal(&firmware), expected);
    firmware.public.clear();
    firmware.fw_cfg[0].name = "opt/\"".into();
    let expected = "the style readconfig cannot carry a credential's name: it holds a quote";
    assert_eq!(refusal(&firmware), expected);
}

#[test]
fn styles_look_as_documented() {
    let mut drive = Drive {
        place: Place::default(),
        block: Block::Page,
        ..drive("/vm/a,b c.erofs".into(), "chimera")
    };
    let text = |drive: &Drive, style| {
        String::from_utf8(qemu::render(&drive.clone().into(), style).unwrap()).unwrap()
    };
    assert_eq!(
        text(&drive, Style::Shell),
        "-drive 'if=none,id=credimg-chimera,file=/vm/a,,b c.erofs,format=raw,read-only=on' \
         -device virtio-blk,addr=0x19,drive=credimg-chimera,serial=chimera,\
         logical_block_size=4096,physical_block_size=4096\n"
    );
    assert_eq!(
        text(&drive, Style::Lines),
        "-drive\nif=none,id=credimg-chimera,file=/vm/a,,b c.erofs,format=raw,read-only=on\n\
         -device\nvirtio-blk,addr=0x19,drive=credimg-chimera,serial=chimera,\
         logical_block_size=4096,physical_block_size=4096\n"
    );
    assert_eq!(
        text(&drive, Style::Json),
        "[\"-drive\",\"if=none,id=credimg-chimera,file=/vm/a,,b c.erofs,format=raw,read-only=on\",\
         \"-device\",\"virtio-blk,addr=0x19,drive=credimg-chimera,serial=chimera,\
         logical_block_size=4096,physical_block_size=4096\"]\n"
    );
    assert_eq!(text(&drive, Style::None), "");
    drive.bus = Bus::Usb;
    drive.place = Place::Nth(2);
    drive.block = Block::Cd;
    let line = text(&drive, Style::Shell);
    assert_eq!(
        line.split_once(" -device ").unwrap().1,
        "qemu-xhci,id=credimg-chimera-usb,addr=0x18 \
         -device usb-bot,id=credimg-chimera-bot,bus=credimg-chimera-usb.0,serial=chimera \
         -device scsi-hd,bus=credimg-chimera-bot.0,drive=credimg-chimera,serial=chimera,\
         logical_block_size=2048,physical_block_size=2048\n"
    );
    drive.bus = Bus::Scsi;
    assert_eq!(
        text(&drive, Style::Readconfig),
        "[drive \"credimg-chimera\"]\n  if = \"none\"\n  file = \"/vm/a,b c.erofs\"\n  \
         format = \"raw\"\n  read-only = \"on\"\n\n\
         [device \"credimg-chimera-scsi\"]\n  driver = \"virtio-scsi\"\n  addr = \"0x18\"\n\n\
         [device]\n  driver = \"scsi-hd\"\n  bus = \"credimg-chimera-scsi.0\"\n  \
         drive = \"credimg-chimera\"\n  serial = \"chimera\"\n  \
         logical_block_size = \"2048\"\n  physical_block_size = \"2048\"\n"
    );
    drive.path = "x'".into();
    drive.place = Place::Auto;
    drive.block = Block::Small;
    assert_eq!(
        text(&drive, Style::Blockdev),
        r#"-blockdev '{"auto-read-only":false,"driver":"raw","file":{"driver":"file","#.to_owned()
            + r#""filename":"x'\''"},"node-name":"credimg-chimera","read-only":true}' "#
            + "-device virtio-scsi,id=credimg-chimera-scsi "
            + "-device scsi-hd,bus=credimg-chimera-scsi.0,drive=credimg-chimera,serial=chimera\n"
    );
    drive.path = long_path(1012).into();
    assert_eq!(text(&drive, Style::Readconfig).lines().nth(2).map(str::len), Some(1023));
    drive.path = "/dev/fdset/3".into();
    assert!(text(&drive, Style::Lines).contains(",file=/./dev/fdset/3,"));
}

#[test]
fn a_style_that_cannot_carry_a_path_says_so() {
    let refused = |path: &[u8], style| -> Failure {
        let path = PathBuf::from(OsStr::from_bytes(path));
        qemu::render(&drive(path, "s").into(), style).unwrap_err()
    };
    for (path, style, expected) in [
        (&b"a\nb"[..], Style::Lines, "lines cannot carry a path: it holds a newline"),
        (b"\xff", Style::Json, "json cannot carry a path: it is not UTF-8"),
        (
            b"\xff",
            Style::Blockdev,
            "blockdev cannot carry a path: it holds something that QEMU's JSON cannot",
        ),
        (
            b"a\"b",
            Style::Readconfig,
            "readconfig cannot carry a path: it holds a double quote or a newline",
        ),
        (&[b'x'; 1013], Style::Readconfig, "readconfig cannot carry a path: it is too long"),
    ] {
        let failure = refused(path, style);
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.message, format!("the style {expected}"));
        assert_eq!(failure.hint.unwrap(), "use --args shell, or another path");
    }
    for path in [&b""[..], b"a\0b"] {
        assert_eq!(refused(path, Style::Shell).exit, Exit::Usage);
    }
}

/// Renders all odd paths, starts QEMU on those that `style` carries and
/// compares; returns how many they were.
fn open_every_path(command: impl Fn(&[PathBuf]) -> Command, style: Style) -> usize {
    let directory = TempDir::new().unwrap();
    let args_directory = TempDir::new().unwrap();
    let paths = make_odd_files(directory.path());
    let mut carried = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        match qemu::render(&drive(path.clone(), &format!("d{index}")).into(), style) {
            Ok(text) => {
                let file = args_directory.path().join(index.to_string());
                fs::write(&file, text).unwrap();
                carried.push((index, directory.path().join(path), file));
            }
            Err(failure) => assert_eq!(failure.exit, Exit::Usage, "{failure:?}"),
        }
    }
    for batch in carried.chunks(BATCH) {
        let args: Vec<_> = batch.iter().map(|(.., file)| file.clone()).collect();
        let mut qemu = Qemu::start(command(&args).current_dir(directory.path()));
        let mut sizes = BTreeSet::new();
        let mut inodes = BTreeSet::new();
        for (index, path, _) in batch {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!(metadata.len(), size_bytes(*index));
            sizes.insert((format!("d{index}"), metadata.len()));
            inodes.insert(metadata.ino());
        }
        assert_eq!(qemu.drives(), sizes, "{style:?}");
        assert_eq!(qemu.inodes_below(directory.path()), inodes, "{style:?}");
    }
    carried.len()
}

/// Each odd file has a length of its own: the monitor's answer tells which one is open.
fn size_bytes(index: usize) -> u64 {
    512 * (1 + u64::try_from(index).unwrap())
}

fn drive(path: PathBuf, serial: &str) -> Drive {
    let serial = Serial::new(serial).unwrap();
    let id = DriveId::from_serial(&serial);
    // A machine has more drives here than there are places.
    let (bus, place, block) = (Bus::Virtio, Place::Auto, Block::Small);
    Drive { id, serial, path, descriptor: None, bus, place, block, machine_type: None, key: None }
}

fn qemu_command() -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(MACHINE.split(' '));
    command
}

/// The documented way: the shell's own `eval` of what the program prints.
fn shell_command(shell: &str, args: &[PathBuf]) -> Command {
    let sets: Vec<_> = args.iter().map(|file| format!("$(cat '{}')", file.display())).collect();
    let script = format!("eval \"exec qemu-system-x86_64 {MACHINE} {}\"", sets.join(" "));
    let mut command = Command::new(shell);
    command.args(["-c", &script]);
    command
}

fn lines_command(args: &[PathBuf]) -> Command {
    let mut command = qemu_command();
    for file in args {
        let text = fs::read(file).unwrap();
        let text = text.strip_suffix(b"\n").unwrap();
        command.args(text.split(|byte| *byte == b'\n').map(OsStr::from_bytes));
    }
    command
}

fn json_command(args: &[PathBuf]) -> Command {
    let mut command = qemu_command();
    for file in args {
        let text = fs::read(file).unwrap();
        command.args(serde_json::from_slice::<Vec<String>>(&text).unwrap());
    }
    command
}

fn config_command(args: &[PathBuf]) -> Command {
    let mut command = qemu_command();
    for file in args {
        command.arg("-readconfig").arg(file);
    }
    command
}
