//! The machine type in QEMU's own arguments, which whoever starts it has written.

use std::ffi::OsStr;
use std::path::Path;

use crate::monitors::{Board, MachineType};

/// The machine that `words`, a program and its arguments, start: what `-machine` names,
/// else the default of the program. None where no word is a QEMU, as in a script of one's own.
/// A program handed to a shell by `-c` is read as well, as far as it is plain words.
pub fn read(words: &[impl AsRef<OsStr>]) -> Option<MachineType> {
    let texts: Vec<_> = words.iter().map(|word| word.as_ref().to_string_lossy()).collect();
    let (start, mut own) = texts.iter().enumerate().find_map(|(index, text)| {
        let words = shell_words(text);
        let at = words.iter().position(|word| program(word).is_some())?;
        Some((index, words.into_iter().skip(at)))
    })?;
    let name = own.next()?;
    let further = texts.get(start + 1..)?.iter().map(AsRef::as_ref);
    let options: Vec<&str> = own.chain(further).collect();
    let mut found = Found::default();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let option = option.strip_prefix('-').map(|rest| rest.strip_prefix('-').unwrap_or(rest));
        match option {
            Some("machine" | "M") => found.machine(options.next().copied().unwrap_or_default()),
            Some("no-acpi") => found.properties.push(("acpi".to_owned(), "off".to_owned())),
            Some("bios" | "pflash") => found.firmware(options.next().copied().unwrap_or_default()),
            // Where a drive is no flash memory a name alone does not make it one.
            Some("drive" | "blockdev") => {
                let value = options.next().copied().unwrap_or_default();
                if option == Some("blockdev") || value.contains("if=pflash") {
                    found.firmware(value);
                }
            }
            _ => {}
        }
    }
    let board = match &found.name {
        Some(name) => Board::of_machine(name).unwrap_or(Board::Unknown),
        None => default_board(program(name)?),
    };
    let board = if board == Board::Virt && found.has_uefi { Board::VirtUefi } else { board };
    let machine = MachineType::new(board);
    Some(found.properties.iter().fold(machine, |machine, (key, value)| machine.with(key, value)))
}

/// Where among `words` a QEMU stands as a word of its own, and the architecture that it emulates.
pub fn position(words: &[impl AsRef<OsStr>]) -> Option<(usize, &str)> {
    words
        .iter()
        .enumerate()
        .find_map(|(index, word)| Some((index, program(word.as_ref().to_str()?)?)))
}

/// Where the value of the last `-initrd` stands among `words`, a program and its arguments. None
/// where no word is a QEMU: a script may mean anything by the option.
pub fn initrd(words: &[impl AsRef<OsStr>]) -> Option<usize> {
    let (start, _) = position(words)?;
    let options = words.iter().enumerate().skip(start + 1);
    let is_option = |word: &OsStr| word == "-initrd" || word == "--initrd";
    let (at, _) = options.filter(|(_, word)| is_option(word.as_ref())).last()?;
    (at + 1 < words.len()).then_some(at + 1)
}

/// The words of a program for a shell, without the quotes around them; of any other word itself.
fn shell_words(text: &str) -> Vec<&str> {
    let is_mark = |letter: char| "\"';&|()".contains(letter);
    text.split_ascii_whitespace().map(|word| word.trim_matches(is_mark)).collect()
}

/// What the options say so far; the last one wins.
#[derive(Default)]
struct Found {
    name: Option<String>,
    properties: Vec<(String, String)>,
    has_uefi: bool,
}

impl Found {
    /// Takes the value of one `-machine`.
    fn machine(&mut self, value: &str) {
        for (index, part) in value.split(',').enumerate() {
            match part.split_once('=') {
                None if index == 0 => self.name = Some(part.to_owned()),
                Some(("type", name)) => self.name = Some(name.to_owned()),
                Some((key, value)) => self.properties.push((key.to_owned(), value.to_owned())),
                None => {}
            }
        }
    }

    /// Takes what names a firmware: one that is not UEFI, such as U-Boot, has its own tables.
    fn firmware(&mut self, value: &str) {
        let value = value.to_lowercase();
        self.has_uefi |= ["efi", "edk2", "ovmf", "aavmf"].iter().any(|name| value.contains(name));
    }
}

/// What follows the common part of a QEMU's name, where this word is one: an architecture.
fn program(word: &str) -> Option<&str> {
    let name = Path::new(word).file_name()?.to_str()?;
    if matches!(name, "qemu-kvm" | "kvm") {
        return Some(std::env::consts::ARCH);
    }
    let architecture = name.strip_prefix("qemu-system-")?;
    // A word with blanks in it is a program for a shell.
    let is_name = !architecture.is_empty() && !architecture.contains(char::is_whitespace);
    is_name.then_some(architecture)
}

/// The machine that a program starts which is not told of any.
fn default_board(architecture: &str) -> Board {
    match architecture {
        "x86_64" | "i386" => Board::Pc,
        "x86_64-microvm" => Board::Microvm,
        "s390x" => Board::S390,
        "ppc64" | "powerpc64" => Board::Pseries,
        _ => Board::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(line: &str) -> Option<Board> {
        let words: Vec<_> = line.split(' ').collect();
        read(&words).map(|machine| machine.board)
    }

    #[test]
    fn every_form_of_the_option_is_read() {
        for (options, expected) in [
            ("", Board::Pc),
            ("-m 1G", Board::Pc),
            ("-M q35", Board::Q35),
            ("-machine pc-q35-9.2,accel=kvm", Board::Q35),
            ("--machine type=microvm,pcie=on", Board::Microvm),
            ("-machine accel=kvm", Board::Pc),
            ("-machine accel=kvm,type=q35", Board::Q35),
            ("-M q35 -machine accel=tcg", Board::Q35),
            ("-M pc -M microvm", Board::Microvm),
            ("-M isapc", Board::Unknown),
            ("-M none", Board::Unknown),
            ("-M", Board::Unknown),
        ] {
            let line = format!("/usr/bin/qemu-system-x86_64 {options}");
            assert_eq!(board(line.trim_end()), Some(expected), "{line}");
        }
    }

    #[test]
    fn the_program_has_a_default() {
        for (line, expected) in [
            ("qemu-system-i386", Some(Board::Pc)),
            ("qemu-system-x86_64-microvm", Some(Board::Microvm)),
            ("qemu-system-s390x -m 1G", Some(Board::S390)),
            ("qemu-system-ppc64", Some(Board::Pseries)),
            ("qemu-system-aarch64", Some(Board::Unknown)),
            ("setpriv --reuid=vm qemu-system-x86_64 {} -M microvm", Some(Board::Microvm)),
            ("./start-vm.sh -M microvm", None),
            ("cloud-hypervisor", None),
            ("", None),
        ] {
            assert_eq!(board(line), expected, "{line}");
        }
    }

    #[test]
    fn the_last_initrd_counts() {
        let at = |line: &str| initrd(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(at("qemu-system-x86_64 -initrd a -m 1G --initrd b"), Some(6));
        assert_eq!(at("setpriv -initrd a qemu-system-x86_64"), None);
        assert_eq!(at("qemu-system-x86_64 -initrd"), None);
        assert_eq!(at("./start-vm.sh -initrd a"), None);
    }

    #[test]
    fn the_program_of_a_shell_is_no_word_of_its_own() {
        let words = ["sh", "-c", "qemu-system-x86_64 -m 1G -initrd a", "-initrd", "b"];
        assert_eq!(position(&words), None);
        assert_eq!(initrd(&words), None);
        assert_eq!(position(&["env", "/usr/bin/qemu-system-arm"]), Some((1, "arm")));
    }

    #[test]
    fn the_program_of_a_shell_is_read() {
        for (script, expected) in [
            ("exec qemu-system-x86_64 -M microvm \"$@\"", Some(Board::Microvm)),
            ("cd /vm && (/usr/bin/qemu-system-x86_64 -m 1G \"$@\");", Some(Board::Pc)),
            ("qemu-system-x86_64 -M 'q35,accel=kvm'", Some(Board::Q35)),
            ("'/opt/my qemu/qemu-system-x86_64' \"$@\"", Some(Board::Pc)),
            ("./start-vm.sh -M microvm \"$@\"", None),
        ] {
            let words = ["sh", "-c", script, "sh", "-m", "2G"];
            assert_eq!(read(&words).map(|machine| machine.board), expected, "{script}");
        }
        let words = ["sh", "-c", "qemu-system-x86_64 \"$@\"", "sh", "-M", "microvm"];
        assert_eq!(read(&words), Some(MachineType::new(Board::Microvm)));
    }

    #[test]
    fn the_board_of_arm_has_uefi_where_a_firmware_says_so() {
        for (options, expected) in [
            ("-kernel vmlinuz", Board::Virt),
            ("-bios /usr/share/qemu-efi-aarch64/QEMU_EFI.fd", Board::VirtUefi),
            ("-drive if=pflash,format=raw,readonly=on,file=/x/AAVMF_CODE.fd", Board::VirtUefi),
            ("-pflash edk2-aarch64-code.fd", Board::VirtUefi),
            ("-blockdev node-name=code,driver=file,filename=/x/AAVMF_CODE.fd", Board::VirtUefi),
            ("-bios u-boot.bin", Board::Virt),
            ("-drive file=efi-root.img,if=virtio", Board::Virt),
        ] {
            assert_eq!(board(&format!("qemu-system-aarch64 -M virt {options}")), Some(expected));
        }
    }

    #[test]
    fn properties_count_wherever_they_stand() {
        let read = |line: &str| read(&line.split(' ').collect::<Vec<_>>());
        let expected = "microvm,acpi=off,pcie=on".parse().ok();
        assert_eq!(read("qemu-system-x86_64 -M microvm,pcie=on -no-acpi"), expected);
        assert_eq!(read("qemu-system-x86_64 -machine acpi=off,pcie=on -M microvm"), expected);
    }
}
