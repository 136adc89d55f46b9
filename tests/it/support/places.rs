//! Machines that boot from a root disk beside our images: which roots still boot.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Real mode code: writes the text behind it to the first serial port, then halts.
const BOOT_CODE: &[u8] = &[
    0x31, 0xc0, // xor ax, ax
    0x8e, 0xd8, // mov ds, ax
    0xbe, 0x16, 0x7c, // mov si, 0x7c16: the text
    0xac, // next: lodsb
    0x08, 0xc0, // or al, al
    0x74, 0x06, // jz end
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xee, // out dx, al
    0xeb, 0xf5, // jmp next
    0xf4, // end: hlt
    0xeb, 0xfd, // jmp end
    0x90, // nop
];
const TEXT: &[u8] = b"BOOTED-ROOT\r\n\0";

/// A machine of no other device: it ends where its firmware finds nothing to boot.
const MACHINE: &str = "-m 32 -nodefaults -display none -serial stdio -no-reboot \
                       -boot reboot-timeout=1 -accel tcg";

/// How a root disk is attached: a name, then arguments in which `ROOT` stands for the file.
pub(crate) type Root = (&'static str, &'static str);

/// Those of machines with PCI.
pub(crate) const ROOTS: [Root; 6] = [
    ("if=virtio", "-drive ROOT,if=virtio"),
    ("virtio-blk", "-drive ROOT,if=none,id=r -device virtio-blk,drive=r"),
    ("nvme", "-drive ROOT,if=none,id=r -device nvme,drive=r,serial=r"),
    ("usb", "-drive ROOT,if=none,id=r -device qemu-xhci,id=x -device usb-storage,bus=x.0,drive=r"),
    ("ide", "-drive ROOT"),
    ("scsi", "-drive ROOT,if=none,id=r -device virtio-scsi,id=s -device scsi-hd,bus=s.0,drive=r"),
];

/// A directory with a root disk and images.
pub(crate) struct Places(TempDir);

impl Places {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = [BOOT_CODE, TEXT].concat();
        disk.resize(510, 0);
        disk.extend([0x55, 0xaa]);
        disk.resize(1 << 20, 0);
        fs::write(directory.path().join("root.img"), disk).unwrap();
        let manifest = "files: [{path: /a, text: x}]\n";
        fs::write(directory.path().join("secrets.yaml"), manifest).unwrap();
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Builds an image; returns the arguments that attach it.
    pub(crate) fn build(&self, name: &str, options: &[&str]) -> String {
        let image = PathBuf::from(name);
        let output = Command::new(env!("CARGO_BIN_EXE_credimg"))
            .args(["build", "secrets.yaml", "-q", "--label", "CHIMERA", "-o"])
            .arg(&image)
            .args(["--serial", &name.replace('.', "-")])
            .args(options)
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Whether the machine with these arguments, quoted for the shell, boots from the root
    /// disk; an error where QEMU does not start.
    pub(crate) fn boots(&self, machine: &str, arguments: &str) -> Result<bool, String> {
        let arguments = arguments.replace("ROOT", "file=root.img,format=raw,snapshot=on");
        let script =
            format!(r#"eval "exec timeout 60 qemu-system-x86_64 -machine {machine} {MACHINE} $0""#);
        let mut child = Command::new("sh")
            .args(["-c", &script, &arguments])
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = str::from_utf8(TEXT).unwrap().trim_end_matches(['\r', '\n', '\0']);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_booted = lines.map_while(Result::ok).any(|line| line.contains(text));
        if is_booted {
            // It halts for ever. `timeout` hands this on to QEMU.
            rustix::process::kill_process(
                rustix::process::Pid::from_child(&child),
                rustix::process::Signal::TERM,
            )
            .unwrap();
        }
        let status = child.wait().unwrap();
        let mut message = String::new();
        child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
        match status.code() {
            _ if is_booted => Ok(true),
            Some(0) => Ok(false),
            _ => Err(format!("{status}: {message}")),
        }
    }

    /// Boots each of the roots before and behind `ours` on each machine; returns what does
    /// not boot, one a line.
    pub(crate) fn failures(&self, machines: &[&str], roots: &[Root], ours: &str) -> Vec<String> {
        let mut orders = Vec::new();
        for machine in machines {
            for (name, root) in roots {
                orders.push((
                    format!("{machine}, {name} before"),
                    *machine,
                    format!("{root} {ours}"),
                ));
                orders.push((
                    format!("{machine}, {name} behind"),
                    *machine,
                    format!("{ours} {root}"),
                ));
            }
        }
        let half = orders.len().div_ceil(2);
        let run = |orders: &[(String, &str, String)]| {
            let boot = |(name, machine, arguments): &(String, &str, String)| match self
                .boots(machine, arguments)
            {
                Ok(true) => None,
                Ok(false) => Some(name.clone()),
                Err(message) => Some(format!("{name}: {message}")),
            };
            orders.iter().filter_map(boot).collect::<Vec<_>>()
        };
        let (first, second) = orders.split_at(half);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| run(second));
            [run(first), other.join().unwrap()].concat()
        })
    }
}
