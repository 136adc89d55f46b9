//! `credimg probe`: it says the truth of a real machine, and disturbs nobody else's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::host::{Host, stderr, stdout};
use crate::support::wait::wait_for;

/// The directory with guest kernels and tools that `make setup` unpacks.
pub(crate) const CACHE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.cache");
/// A secret that must appear in no output and no argument.
const VALUE: &str = "hunter2-of-the-token";
const MANIFEST: &str = "\
label: CHIMERA
files: [{path: /a, text: hunter2-of-the-disk}]
credentials:
- {name: api.token, text: hunter2-of-the-token, via: smbios}
- {name: db.password, text: hunter2-of-the-item, via: fw_cfg}
";

/// The command, for a machine of x86-64 with a kernel of the cache.
fn probe(host: &Host, options: &[&str], machine: &str) -> Command {
    let mut command = host.credimg();
    let kernel = format!("{CACHE}/kernel/boot/vmlinux");
    command.args(["probe", "--timeout", "300", "--kernel", &kernel]).args(options);
    command.arg("--").args(machine.split_whitespace()).stdin(Stdio::null());
    command
}

fn run(host: &Host, options: &[&str], machine: &str) -> Output {
    probe(host, options, machine).output().unwrap()
}

/// Builds an image with these options; returns the arguments that attach it.
fn arguments(host: &Host, options: &[&str]) -> String {
    let built = host.build(&[&["-q", "--args", "lines"], options].concat());
    assert!(built.status.success(), "{}", stderr(&built));
    stdout(&built).replace('\n', " ")
}

/// A microvm has no SMBIOS tables. Of the machine's own arguments, the writable disk names a file
/// that does not exist, and the others would detach QEMU, take the terminal or wait for a debugger.
#[test]
fn a_microvm_loses_what_goes_by_smbios_and_gets_the_rest() {
    let host = Host::new(MANIFEST);
    let image = arguments(&host, &[]).replace("virtio-blk,addr=0x19,", "virtio-blk-device,");
    let machine = format!(
        "qemu-system-x86_64 -machine microvm -cpu qemu64,-cx16 -m 256 -nodefaults -S -daemonize \
         -drive file=missing,if=none,id=r -device virtio-blk-device,drive=r -monitor stdio {image}"
    );
    let output = run(&host, &[], &machine);
    let expected = "3 sent, 2 arrived\n\
                    lost: api.token, by smbios (microvm: it has no SMBIOS tables)\n";
    assert_eq!(stdout(&output), expected, "{}", stderr(&output));
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""));
}

#[test]
fn what_cannot_be_probed_is_told_before_anything_starts() {
    let host = Host::new(MANIFEST);
    fs::create_dir(host.path("modules")).unwrap();
    for (name, kind) in [("modules/modules.dep", FileType::RegularFile), ("fifo", FileType::Fifo)] {
        mknodat(CWD, host.path(name), kind, Mode::RUSR, 0).unwrap();
    }
    // Nobody waits for a FIFO, and nothing that has no end is read.
    symlink(host.path("fifo"), host.path("modules/modules.builtin")).unwrap();
    let smbios = "-smbios type=11,value=x";
    let qemu = format!("qemu-system-x86_64 {smbios}");
    for (options, machine, code, expected) in [
        (&[][..], "sh start-vm.sh -M q35", 2, "no word behind -- is a QEMU"),
        (&[], "qemu-system-x86_64 -m 1G", 2, "these arguments send nothing"),
        (&[], "qemu-system-x86_64 -readconfig vm.cfg", 2, "-readconfig"),
        (&[], "qemu-system-x86_64 -smbios file=missing", 4, "cannot read missing"),
        (&["--modules", "."], &qemu, 2, "it is no directory of modules"),
        (&["--init", "missing"], &qemu, 4, "cannot read missing"),
        (&["--init", "fifo"], &qemu, 4, "fifo is a FIFO"),
        (&["--init", "/dev/zero"], &qemu, 4, "/dev/zero is a character device"),
        (&["--modules", "modules"], &qemu, 4, "modules.builtin is a FIFO"),
        (&["missing.yaml"], &qemu, 3, "missing.yaml"),
    ] {
        let output = run(&host, options, machine);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{machine}: {said}");
        assert!(said.contains(expected), "{machine}: {said}");
        assert!(output.stdout.is_empty());
        assert!(!said.contains("manifest's directory"), "{machine}: {said}");
    }
    let other = format!("qemu-system-aarch64 -M virt {smbios}");
    let output = host.credimg().args(["probe", "--"]).args(other.split(' ')).output().unwrap();
    assert!(stderr(&output).contains("kernel is not for aarch64"), "{}", stderr(&output));
    let output = run(&host, &[], &other);
    assert!(stderr(&output).contains("no program for guests of aarch64"), "{}", stderr(&output));
}

#[test]
fn what_qemu_says_when_it_ends_is_told() {
    let host = Host::empty();
    let machine = "qemu-system-x86_64 -M microvm -smbios type=11,value=x -device qemu-xhci";
    let output = run(&host, &[], machine);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("QEMU ended with exit code 1"), "{said}");
    assert!(said.contains("No 'PCI' bus found"), "{said}");
}

/// What firmware writes goes to a file that QEMU makes where `TMPDIR` says: in memory.
#[test]
fn what_firmware_writes_stays_in_memory() {
    let host = Host::empty();
    fs::write(host.path("vars.fd"), vec![0; 1 << 20]).unwrap();
    let script = "#!/bin/sh\necho \"temporaries: $TMPDIR\"\nexec qemu-system-x86_64 \"$@\"\n";
    let qemu = host.write("qemu-system-x86_64", script);
    fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).unwrap();
    // QEMU opens the flash memory before it misses the bus.
    let machine =
        "./qemu-system-x86_64 -smbios type=11,value=x -pflash vars.fd -device ahci,bus=no";
    let output = run(&host, &[], machine);
    let said = stderr(&output);
    assert!(said.contains("temporaries: /dev/shm\n"), "{said}");
    assert!(said.contains("Bus 'no' not found"), "{said}");
}

/// QEMU ends when credimg is killed by a signal, and no argument of QEMU's shows a value.
#[test]
fn a_signal_ends_the_machine_whose_arguments_hold_no_value() {
    let host = Host::new(MANIFEST);
    let machine = "qemu-system-x86_64 -machine q35 -m 128";
    let mut probe = probe(&host, &["secrets.yaml"], machine);
    let mut child = probe.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let qemu = || {
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        let is_qemu = |pid: &&str| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.starts_with("qemu-system")
        };
        children.split_whitespace().find(is_qemu).map(str::to_owned)
    };
    let pid = wait_for(qemu);
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("/proc/{pid}/{file}")).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!text.contains(VALUE) && !text.contains("hunter2"), "{text}");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    wait_for(|| (!fs::exists(format!("/proc/{pid}")).unwrap()).then_some(()));
}
