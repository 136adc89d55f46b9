//! Paths in the grammar of each target: Perl's shell words read Proxmox VE's
//! arguments, a second reading of its grammar all others.

use super::*;

type Render = fn(&Machine) -> Result<Vec<u8>, Failure>;

/// Reads the path from the printed arguments of a target.
type Read = fn(&str) -> String;

/// Each target either gives back the very path by its own grammar, or refuses
/// it: no path becomes another one, or an option.
#[test]
fn every_path_arrives_as_it_is_or_is_refused() {
    let read_back: [(&str, Read, usize); 5] = [
        ("proxmox", proxmox_path, 19),
        ("vmspawn", vmspawn_path, 6),
        ("cloud-hypervisor", cloud_hypervisor_path, 0),
        ("crosvm", crosvm_path, 0),
        ("firecracker", firecracker_path, 0),
    ];
    for (name, path_of, refusals) in read_back {
        let monitor = other(name);
        let mut refused = Vec::new();
        for path in odd_paths() {
            let bus = if name == "vmspawn" { Bus::Cdrom } else { Bus::Virtio };
            match render(monitor, &with_disk(&path, bus)) {
                Ok(text) => {
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(path_of(&text), path.to_str().unwrap(), "{name}");
                }
                Err(failure) => {
                    assert_eq!(failure.exit, Exit::Usage);
                    refused.push(path);
                }
            }
        }
        assert_eq!(refused.len(), refusals, "{name}: {refused:?}");
    }
}

#[test]
fn a_path_that_cannot_be_carried_is_named() {
    for (name, render, path, expected) in [
        (
            "libvirt",
            (|machine| credimg::monitors::libvirt::render(machine, Style::Shell)) as Render,
            "a.erofs",
            "the path a.erofs: it is not absolute",
        ),
        (
            "libvirt",
            |machine| credimg::monitors::libvirt::render(machine, Style::Shell),
            "/a\nb",
            "the path \"/a\\nb\": it holds a control character",
        ),
        (
            "proxmox",
            proxmox::render,
            "/a b",
            "the path /a b: it holds a space, a quote, a backslash or something that is not ASCII",
        ),
        ("crosvm", crosvm::render, "", "the path : it is empty or holds a NUL byte"),
    ] {
        let failure = render(&with_disk(path, Bus::Virtio)).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.message, format!("{name} cannot carry {expected}"));
        assert_eq!(failure.hint.unwrap(), "use another path");
    }
}

#[test]
fn proxmox_splits_the_firmware_arguments_as_they_were() {
    let mut machine = Machine::default();
    for path in odd_paths() {
        let one = SmbiosFile::Structure(path.clone());
        machine.firmware.smbios = vec![one.clone()];
        let Ok(text) = proxmox::render(&machine) else { continue };
        let options = shell_words(std::str::from_utf8(&text).unwrap());
        assert_eq!(options[0], "--args");
        let arguments = perl_words(&options[1]);
        let path = path.to_str().unwrap().replace(',', ",,");
        assert_eq!(arguments, ["-smbios".to_owned(), format!("file={path}")]);
    }
    machine.firmware.smbios = vec![SmbiosFile::Structure("/a b".into())];
    assert_eq!(
        proxmox::render(&machine).unwrap_err().message,
        "proxmox cannot carry the path /a b: it holds a space, a quote, a backslash or something \
         that is not ASCII"
    );
}

#[test]
fn vmspawn_gets_public_values_by_its_escapes() {
    let mut machine = Machine::default();
    let value = "a\\b\nc\td 'e' \"f\" \u{e9}".to_owned();
    machine.firmware.public = vec![PublicCredential { name: "motd".into(), value }];
    let text = vmspawn::render(&machine).unwrap();
    let words = shell_words(std::str::from_utf8(&text).unwrap());
    assert_eq!(words, ["--set-credential=motd:a\\\\b\\nc\\x09d 'e' \"f\" \u{e9}"]);
}

/// The words that `eval` of a shell makes of a line.
pub(crate) fn shell_words(line: &str) -> Vec<String> {
    let script = "eval \"set -- $1\"; printf '%s\\0' \"$@\"";
    words(Command::new("sh").args(["-c", script, "sh", line]))
}

/// The words that Proxmox VE makes of `args`.
pub(crate) fn perl_words(line: &str) -> Vec<String> {
    let script = "print map { \"$_\\0\" } shellwords($ARGV[0])";
    words(Command::new("perl").args(["-MText::ParseWords", "-e", script, "--", line]))
}

fn words(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn proxmox_path(text: &str) -> String {
    let words = shell_words(text);
    let [args, value] = &words[..] else { panic!("{words:?}") };
    assert_eq!(args, "--args");
    let arguments = perl_words(value);
    let [drive, path, device, disk] = &arguments[..] else { panic!("{arguments:?}") };
    assert_eq!((&drive[..], &device[..]), ("-drive", "-device"));
    let disk = disk.strip_prefix("virtio-blk,bus=pci.2,addr=0x1f,drive=credimg-chimera,").unwrap();
    assert_eq!(disk, "serial=chimera,logical_block_size=4096,physical_block_size=4096");
    let path = path.strip_prefix("if=none,id=credimg-chimera,file=").unwrap();
    let path = path.strip_suffix(",format=raw,read-only=on").unwrap();
    assert!(!path.replace(",,", "").contains(','), "{path}");
    path.replace(",,", ",")
}

fn vmspawn_path(text: &str) -> String {
    let words = shell_words(text);
    assert_eq!(words.len(), 1);
    words[0].strip_prefix("--extra-drive=raw:scsi-cd:").unwrap().to_owned()
}

/// Splits at commas outside of quotes and brackets; a doubled quote is one.
fn cloud_hypervisor_path(text: &str) -> String {
    let words = shell_words(text);
    assert_eq!(words[0], "--disk");
    let (mut values, mut is_quoted, mut brackets) = (vec![String::new()], false, 0);
    for character in words[1].trim().chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            '[' if !is_quoted => brackets += 1,
            ']' if !is_quoted => brackets -= 1,
            ',' if !is_quoted && brackets == 0 => {
                values.push(String::new());
                continue;
            }
            _ => {}
        }
        values.last_mut().unwrap().push(character);
    }
    assert!(!is_quoted && brackets == 0, "{text}");
    assert_eq!(values[1..], ["readonly=on", "serial=chimera", "image_type=raw"]);
    let value = values[0].strip_prefix("path=").unwrap().trim();
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => value.to_owned(),
    }
}

/// A value in double quotes has two escapes; a bare one ends at a comma.
fn crosvm_path(text: &str) -> String {
    let words = shell_words(text);
    assert_eq!(words[0], "--block");
    let value = words[1].strip_prefix("path=").unwrap();
    let Some(quoted) = value.strip_prefix('"') else {
        let (path, rest) = value.split_once(',').unwrap();
        assert!(!path.contains(['"', '\'', '[', ']']), "{path}");
        assert_eq!(rest, "ro,id=chimera");
        return path.to_owned();
    };
    let (mut path, mut characters) = (String::new(), quoted.chars());
    loop {
        match characters.next().unwrap() {
            '"' => break,
            '\\' => {
                let escaped = characters.next().unwrap();
                assert!(matches!(escaped, '"' | '\\'), "{text}");
                path.push(escaped);
            }
            other => path.push(other),
        }
    }
    assert_eq!(characters.as_str(), ",ro,id=chimera");
    path
}

fn firecracker_path(text: &str) -> String {
    let drive: Value = serde_json::from_str(text).unwrap();
    assert_eq!(drive.as_object().unwrap().len(), 4);
    assert_eq!((&drive["is_read_only"], &drive["is_root_device"]), (&true.into(), &false.into()));
    assert_eq!(drive["drive_id"], "credimg_chimera");
    drive["path_on_host"].as_str().unwrap().to_owned()
}
